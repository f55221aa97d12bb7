from types import SimpleNamespace

import pytest
from pydicom.fileset import FileSet

from napari_dycon.errors import VolumeError
from napari_dycon.io.dicom import find_series
from napari_dycon.io.dicomdir import read_directory
from tests.dicom_series import SERIES, SLICES, make_image, write_series


@pytest.fixture
def disc(tmp_path, monkeypatch):
    """A disc of one series, with another beside it that its DICOMDIR does not list."""
    (tmp_path / "stage").mkdir()
    stage = SimpleNamespace(name=tmp_path / "stage", cleanup=lambda: None)
    monkeypatch.setattr("pydicom.fileset.TemporaryDirectory", lambda: stage)
    files = FileSet()
    for index in range(SLICES):
        files.add(make_image(index, SeriesNumber=1, StudyID="1"))
    files.write(tmp_path / "disc")
    write_series(tmp_path / "disc" / "other", SeriesInstanceUID="1.2.9", SeriesDescription="other")
    return tmp_path / "disc"


def listed(disc):
    return read_directory(disc / "DICOMDIR").files


def test_a_dicomdir_stands_for_the_files_that_it_lists(disc):
    (found,) = find_series(disc / "DICOMDIR")
    assert found.uid == SERIES and found.problem is None and len(found.files) == SLICES
    assert len(find_series(disc)) == 2


def test_names_in_another_case_are_found(disc):
    for path in sorted(disc.rglob("*"), reverse=True):
        path.rename(path.with_name(path.name.lower()))
    (found,) = find_series(disc / "dicomdir")
    assert len(found.files) == SLICES


@pytest.mark.parametrize("place", ["DICOMDIR", "."])
def test_a_series_of_which_the_last_file_is_missing_is_refused(disc, place):
    sorted(find_series(disc / "DICOMDIR")[0].files)[-1].unlink()
    found = {one.uid: one for one in find_series(disc / place)}
    assert "1 of its files that the DICOMDIR lists are not there" in found[SERIES].problem
    assert all(one.problem is None for uid, one in found.items() if uid != SERIES)


def test_a_series_that_was_moved_as_a_whole_lacks_nothing(disc, tmp_path):
    for number, file in enumerate(listed(disc)):
        file.rename(disc / f"moved{number}.dcm")
    assert {one.problem for one in find_series(disc)} == {None}


def test_a_damaged_dicomdir_is_a_sentence_where_it_is_named(disc):
    (disc / "DICOMDIR").write_bytes((disc / "DICOMDIR").read_bytes()[:700])
    try:
        found = find_series(disc / "DICOMDIR")
    except VolumeError as error:
        assert "damaged" in str(error)
    else:
        assert found == []
    assert len(find_series(disc)) == 2
