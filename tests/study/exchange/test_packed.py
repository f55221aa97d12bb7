"""Archives and discs as sources of an import."""

import shutil
import tempfile
import zipfile

import pytest

from napari_dycon.study.exchange.importing import add_scans
from tests.dicom_series import SLICES, write_series


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def archive(tmp_path):
    return pack(tmp_path, write_series(tmp_path / "exam" / "t1"))


def pack(tmp_path, folder):
    return tmp_path / shutil.make_archive(str(tmp_path / "exam"), "zip", folder.parent)


def test_a_series_in_an_archive_becomes_a_scan_of_the_study(study, archive, temporary):
    _, event = add_scans(study, [archive])
    assert event.problem is None and event.path == archive / "t1" and event.case.name == "t1"
    assert study.scan_path(event.case.id).is_relative_to(study.path)
    assert event.case.shape[2] == SLICES and not list(temporary.iterdir())


def test_what_is_wrong_in_an_archive_is_told_by_its_own_name(study, tmp_path, temporary):
    folder = write_series(tmp_path / "exam" / "t1")
    file = sorted(folder.iterdir())[3]
    file.write_bytes(file.read_bytes()[:300])
    archive = pack(tmp_path, folder)
    _, *events = add_scans(study, [archive])
    told = " ".join(f"{event.path} {event.problem}" for event in events)
    assert "cannot be read" in told and str(archive) in told and str(temporary) not in told
    assert not list(temporary.iterdir()) and not study.cases


def test_an_import_that_is_ended_leaves_nothing(study, archive, temporary):
    events = add_scans(study, [archive, archive.parent / "exam"])
    next(events)
    next(events)
    assert list(temporary.iterdir())
    events.close()
    assert not list(temporary.iterdir())


def test_a_damaged_archive_does_not_end_the_import(study, archive, make_scan, tmp_path):
    bad = tmp_path / "bad.zip"
    bad.write_bytes(archive.read_bytes()[:-100])
    _, *events = add_scans(study, [bad, make_scan(), archive])
    assert sorted(event.outcome for event in events) == ["added", "added", "refused"]
    assert next(event for event in events if event.path == bad).problem.startswith("bad.zip is damaged")


def test_other_scans_in_an_archive_stay_packed_and_are_named(study, make_scan, tmp_path):
    archive = tmp_path / "mixed.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.write(make_scan("anna"), "anna.nii.gz")
    _, event = add_scans(study, [archive])
    assert event.case is None and "anna.nii.gz" in event.problem and "unpack" in event.problem
