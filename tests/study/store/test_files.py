import json

import pytest

from napari_dycon.errors import StudyError
from napari_dycon.study.store.files import path_inside, scan_path, scan_reference
from napari_dycon.study.store.schema import Structure, StudyRecord
from napari_dycon.study.store.studyfile import StudyFile, read_record
from napari_dycon.study.study import Study

HOSTILE = [
    "../secret.nii.gz",
    "scans/../../secret.nii.gz",
    "/etc/passwd",
    "C:/Windows/win.ini",
    "C:secret.nii",
    "\\\\host\\share\\x.nii",
    "//host/share/x.nii",
    "scans\\..\\..\\x.nii",
    "scans/con.nii.gz",
    "scans/x.nii.gz ",
    "scans./x.nii",
    "scans//x.nii",
    "scans/a\0b.nii",
    "scans/x.nii:stream",
    "",
]
DAMAGED = [b"", b'{"schema_version": 1, "na', b"\xff\xfe\0", b"[]", b"null", b"[" * 100_000]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_path_that_would_leave_the_study_is_refused(tmp_path, text):
    with pytest.raises(StudyError, match="not a safe path"):
        path_inside(tmp_path, text)


@pytest.mark.parametrize("text", ["scans/LA_000.nii.gz", "x.nii", "a/b/c d.mha", "scans/Müller.nii"])
def test_a_path_inside_the_study_is_accepted(tmp_path, text):
    assert path_inside(tmp_path, text) == tmp_path / text


def test_a_link_out_of_the_study_is_refused(tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "scans").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(StudyError, match="not a safe path"):
        path_inside(tmp_path / "study", "scans/x.nii.gz")


def test_scans_are_referred_to_relatively_inside_the_study_and_absolutely_outside(tmp_path):
    root = tmp_path / "study"
    inside, outside = root / "scans" / "a.nii.gz", tmp_path / "data" / "b.nii.gz"
    assert scan_reference(root, inside) == "scans/a.nii.gz"
    for scan in (inside, outside):
        assert scan_path(root, scan_reference(root, scan)) == scan


def test_keys_that_this_version_does_not_know_are_kept(tmp_path):
    record = StudyRecord(name="heart", structures=(Structure(value=1, name="atrium"),))
    content = json.loads(record.model_dump_json())
    content["reading_room"] = "B12"
    content["structures"][0]["snomed"] = "82471001"
    (tmp_path / "study.json").write_text(json.dumps(content))
    with Study.open(tmp_path) as study:
        study.add_structure("ventricle")
    after = json.loads((tmp_path / "study.json").read_text())
    assert after["reading_room"] == "B12"
    assert after["structures"][0]["snomed"] == "82471001"
    assert len(after["structures"]) == 2


def test_a_newer_format_is_refused_and_not_touched(tmp_path):
    text = '{"schema_version": 4, "name": "x", "wards": {}}'
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(StudyError, match=r"newer version of napari-dycon \(format 4"):
        Study.open(tmp_path)
    assert (tmp_path / "study.json").read_text() == text


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_study_file_is_replaced_by_its_backup(tmp_path, content):
    with Study.create(tmp_path, [Structure(value=1, name="atrium")], name="heart"):
        pass
    (tmp_path / "study.json").write_bytes(content)
    with Study.open(tmp_path) as study:
        assert study.name == "heart"
        assert "backup" in study.notes[0]
    assert (tmp_path / "study.json.damaged").read_bytes() == content
    assert read_record(tmp_path)[1] == ()


def test_a_missing_study_file_is_replaced_by_its_backup(tmp_path):
    StudyFile(tmp_path).write(StudyRecord(name="heart"))
    (tmp_path / "study.json").unlink()
    with Study.open(tmp_path) as study:
        assert study.name == "heart"


def test_damage_beyond_the_backup_is_told_in_one_sentence(tmp_path):
    for name in ("study.json", "study.json.bak"):
        (tmp_path / name).write_text('{"schema_version": 1, "name": "x", "cases": [{"id": "../x"}')
    with pytest.raises(StudyError, match=r"cannot be read .*neither can its backup.*Nothing was changed"):
        Study.open(tmp_path)


def test_a_folder_without_a_study_is_told_apart(tmp_path):
    with pytest.raises(StudyError, match="is not a study"):
        Study.open(tmp_path)
