"""The name of a patient is in one file of a study, and in nothing that leaves it."""

import gzip
import logging
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_dycon.cli import app
from napari_dycon.io.dicom_identity import identity_of, identity_path
from napari_dycon.study.exchange import importing
from napari_dycon.study.exchange.importing import add_scans
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation
from tests.dicom_series import CANARIES, SERIES, write_series
from tests.enhanced_dicom import DEPTHS, frame, make_object, write_object

OF_THE_PATIENT = (b"CANARY", "カナリア".encode(), SERIES.rsplit(".", 1)[0].encode(), b"19500102")


def told(path):
    """Whether a file, unpacked where it is packed, tells anything of the patient."""
    content = path.read_bytes()
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    return any(word in part for word in OF_THE_PATIENT for part in (content, path.name.encode()))


def tellers(*folders):
    return sorted(
        path.name for folder in folders for path in folder.rglob("*") if path.is_file() and told(path)
    )


def import_one(study, folder):
    _, event = add_scans(study, [folder])
    assert event.problem is None
    return event


@pytest.fixture
def dicom(tmp_path):
    return write_series(tmp_path / "from the scanner")


def test_the_canary_is_found_in_no_file_but_the_one_that_keeps_it(study, dicom, tmp_path, caplog, capfd):
    for name in ("napari_dycon", "pydicom", "highdicom"):
        caplog.set_level(logging.DEBUG, name)
    case = import_one(study, dicom).case
    mask = np.zeros(case.shape, np.uint8)
    mask[3:7, 3:7, 3:5] = 1
    study.save_annotation(case.id, Annotation.full(mask), "complete")
    study.close()
    out = tmp_path / "out"
    said = ""
    for command in (
        ["export", str(study.path), str(out), "--json", str(out / "export.json")],
        ["export", str(study.path), str(out / "neutral"), "--pseudonyms"],
        ["report", str(study.path), str(out)],
    ):
        out.mkdir(exist_ok=True)
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
        said += result.output
    heard = (said + caplog.text + "".join(capfd.readouterr())).encode()
    assert tellers(study.path, out) == [f"{case.id}.dicom.json"]
    assert not any(word in heard for word in OF_THE_PATIENT)
    assert len([path for path in out.rglob("*") if path.suffix in (".gz", ".csv", ".pdf")]) == 5


@pytest.mark.parametrize("packed", [False, True])
def test_it_is_told_neither_by_a_list_nor_of_an_enhanced_object_nor_of_an_archive(
    study, tmp_path, caplog, capfd, packed
):
    for name in ("napari_dycon", "pydicom"):
        caplog.set_level(logging.DEBUG, name)
    good = write_object(tmp_path / "in" / "good" / "IM1", make_object([frame(depth) for depth in DEPTHS]))
    bad = make_object([frame(0), *(frame(depth) for depth in DEPTHS)], SeriesInstanceUID="1.2.99")
    write_object(good.parent / "bad" / "IM1", bad)
    source = good.parent
    if packed:
        source = shutil.make_archive(str(tmp_path / "packed"), "zip", source)
    study.close()
    said = ""
    for command in (
        ["import", str(study.path), str(source), "--list", "--json", str(tmp_path / "list.json")],
        ["import", str(study.path), str(source), "--json", str(tmp_path / "import.json")],
    ):
        result = CliRunner().invoke(app, command)
        assert (result.exit_code == 0 and "1 refused" in result.output) or "1 left out" in result.output
        said += result.output
    heard = (said + caplog.text + "".join(capfd.readouterr())).encode()
    assert not any(word in heard for word in OF_THE_PATIENT)
    (case,) = (path.name for path in (study.path / "scans").glob("*.nii.gz"))
    assert tellers(study.path) == [case.replace(".nii.gz", ".dicom.json")]
    assert not told(tmp_path / "list.json") and not told(tmp_path / "import.json")


def test_it_goes_with_its_case_and_comes_back_with_it(study, dicom):
    case = import_one(study, dicom).case
    kept = identity_path(study.scan_path(case.id))
    before = kept.read_bytes()
    removed = study.remove_case(case.id)
    assert not kept.exists() and tellers(study.path / "scans") == []
    study.restore_case(removed.folder)
    assert kept.read_bytes() == before


def test_an_older_study_gets_it_when_the_series_is_imported_again(study, dicom):
    case = import_one(study, dicom).case
    identity_path(study.scan_path(case.id)).unlink()
    again = import_one(study, dicom)
    assert (again.outcome, again.case.id) == ("already there", case.id)
    assert identity_of(study.scan_path(case.id)).patient_and_study["PatientID"] == CANARIES["PatientID"]
    assert len(list((study.path / "scans").iterdir())) == 2


def test_a_series_that_is_refused_leaves_nothing(study, dicom, monkeypatch):
    monkeypatch.setattr(importing, "_record", lambda *_: 1 / 0)
    _, event = add_scans(study, [dicom])
    assert event.outcome == "refused"
    assert not list((study.path / "scans").iterdir())


def test_a_case_is_there_only_with_whose_it_is(study, dicom, monkeypatch):
    seen = []
    add_case = Study.add_case

    def add(self, record, annotation=None):
        seen.append(identity_path(self.path / record.scan).is_file())
        return add_case(self, record, annotation)

    monkeypatch.setattr(Study, "add_case", add)
    import_one(study, dicom)
    assert seen == [True]


def test_a_copy_of_a_study_needs_nothing_of_the_files_it_came_from(study, dicom, tmp_path):
    case = import_one(study, dicom).case
    study.close()
    shutil.rmtree(dicom)
    shutil.copytree(study.path, tmp_path / "copy")
    with Study.open(tmp_path / "copy") as copy:
        assert identity_of(copy.scan_path(case.id)).series == SERIES
