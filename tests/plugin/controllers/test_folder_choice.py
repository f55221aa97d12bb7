"""Whatever folder a newcomer chooses, there is a way on."""

import shutil

import pytest

from napari_dycon.plugin.controllers import folder_choice
from napari_dycon.plugin.controllers.folder_choice import begin_at, holds_scans
from napari_dycon.plugin.widgets import window_memory

NIFTI = "liver_01.nii.gz"


def made(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\0" * 128 + b"DICM" if path.suffix in ("", ".dcm") else b"x")
    return folder


@pytest.mark.parametrize(
    "names",
    [
        [NIFTI],
        ["a/b/scan.nrrd"],
        ["images/a.mha", "labels/a.mha"],
        ["patient/series/IM0001"],
        ["1.dcm", "readme.txt"],
        ["notes.txt", "scan.NII"],
    ],
)
def test_the_folder_of_the_scans_becomes_a_study_of_them(tmp_path, names):
    begin = begin_at(made(tmp_path, *names))
    assert (begin.study, begin.exists, begin.scans) == (tmp_path / "dycon-study", False, (tmp_path,))
    assert str(begin.study) in begin.sentence


@pytest.mark.parametrize("names", [["only/folders/in/here.txt"], ["thesis.docx"], ["empty/.keep"]])
def test_a_folder_without_scans_says_so_and_leads_on(tmp_path, names):
    begin = begin_at(made(tmp_path, *names))
    assert (begin.study, begin.scans) == (tmp_path / "dycon-study", ())
    assert "No scans were found" in begin.sentence and "add scans" in begin.sentence


def test_an_empty_folder_is_the_study_itself(tmp_path):
    made(tmp_path, ".DS_Store")
    begin = begin_at(tmp_path)
    assert (begin.study, begin.exists, begin.scans) == (tmp_path, False, ())


@pytest.mark.parametrize("chosen", [".", "study.json", "annotations", "predictions/001-dycon", "runs"])
def test_a_study_is_opened_from_wherever_in_it(tmp_path, chosen):
    made(tmp_path, "study.json", "annotations/a.nii.gz", "predictions/001-dycon/a.nii.gz", "runs/x.json")
    if chosen.startswith("predictions"):
        chosen = "predictions"
    begin = begin_at(tmp_path / chosen)
    assert (begin.study, begin.exists) == (tmp_path, True)


def test_a_study_whose_file_is_damaged_away_is_opened_by_its_backup(tmp_path):
    assert begin_at(made(tmp_path, "study.json.bak")).exists


def test_the_scans_folder_opens_its_study_the_second_time(tmp_path):
    made(tmp_path, NIFTI, "dycon-study/study.json")
    assert begin_at(tmp_path) == folder_choice.Beginning(tmp_path / "dycon-study", True)


def test_a_folder_in_the_way_is_left_alone(tmp_path):
    made(tmp_path, NIFTI, "dycon-study/something else.txt")
    assert begin_at(tmp_path).study == tmp_path / "dycon-study-2"


def test_a_scan_is_a_way_to_begin_as_well(tmp_path):
    scan = made(tmp_path, NIFTI, "other.nii.gz") / NIFTI
    assert begin_at(scan).scans == (scan,)


@pytest.mark.parametrize(("locked", "where"), [(1, "beside"), (2, "documents")])
def test_a_write_protected_folder_keeps_its_study_elsewhere(tmp_path, monkeypatch, locked, where):
    scans = made(tmp_path / "disc" / "scans", NIFTI)
    closed = {scans, scans.parent} if locked == 2 else {scans}
    monkeypatch.setattr(folder_choice, "can_write", lambda folder: folder not in closed)
    monkeypatch.setattr(folder_choice, "user_documents_path", lambda: tmp_path / "Documents")
    begin = begin_at(scans)
    assert (
        begin.study
        == {
            "beside": tmp_path / "disc" / "scans-dycon-study",
            "documents": tmp_path / "Documents" / "DyCON" / "scans",
        }[where]
    )
    assert begin.scans == (scans,) and str(begin.study) in begin.sentence


def test_whether_a_folder_can_be_written_to_is_tried():
    assert not folder_choice.can_write(folder_choice.Path("/proc"))


def test_of_a_huge_folder_only_the_beginning_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_choice, "MOST_LOOKED_AT", 10)
    made(tmp_path, *(f"{number:03}.txt" for number in range(20)), "z.nii.gz")
    assert not holds_scans(tmp_path)


def test_recent_studies_are_few_the_latest_first_and_only_those_that_are_there(tmp_path):
    for number in range(10):
        window_memory.remember_study(made(tmp_path / f"s{number}", "study.json"))
    window_memory.remember_study(tmp_path / "s5")
    shutil.rmtree(tmp_path / "s9")
    names = [folder.name for folder in window_memory.recent_studies()]
    assert names == ["s5", "s8", "s7", "s6", "s4", "s3", "s2"]
    window_memory.forget_studies()
    assert window_memory.recent_studies() == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"recent": 3}', '{"width": -5}', '{"minutes": NaN}'])
def test_a_damaged_memory_is_no_memory(content):
    window_memory.state_file().write_text(content)
    assert window_memory.recall() == window_memory.Remembered()
    window_memory.remember(minutes=7.5)
    assert window_memory.recall().minutes == 7.5


def test_a_disk_that_cannot_be_written_to_costs_only_the_memory(monkeypatch):
    monkeypatch.setattr(window_memory, "state_file", lambda: folder_choice.Path("/proc/nowhere/window.json"))
    window_memory.remember(minutes=7.5)
    assert window_memory.recall().minutes is None
