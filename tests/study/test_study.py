import json
import os
import shutil
import threading

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.errors import StudyError
from napari_dycon.study.exchange import importing
from napari_dycon.study.store.schema import DEFAULT_COLORS, Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation, Known


def test_a_study_is_the_same_after_closing_and_opening(study, make_scan, make_labels):
    importing.add_scan(study, make_scan("a"), make_labels("a"))
    importing.add_scan(study, make_scan("b"))
    record = study.record
    study.close()
    with Study.open(study.path / "study.json") as again:
        assert again.record == record
        assert [case.status for case in again.cases] == ["complete", "unlabelled"]


def test_a_real_scan_comes_back_voxel_by_voxel(study, atria):
    images, labels = atria
    case = importing.add_scan(study, images / "LA_000.nii.gz", labels / "LA_000.nii.gz")
    truth = np.asarray(nib.load(labels / "LA_000.nii.gz").dataobj)
    assert (case.id, case.status, case.known_fraction) == ("LA_000", "complete", 1.0)
    assert case.volumes_ml["left atrium"] == pytest.approx((truth == 1).sum() * 1.25**3 / 1000)
    np.testing.assert_array_equal(study.annotation("LA_000").labels, truth)
    np.testing.assert_array_equal(
        study.volume("LA_000").array, np.asarray(nib.load(images / "LA_000.nii.gz").dataobj)
    )


def test_status_follows_what_is_known(study, make_scan):
    case = importing.add_scan(study, make_scan())
    annotation = Annotation.empty(case.shape)
    assert study.save_annotation(case.id, annotation, "autosave").status == "unlabelled"
    annotation.complete_slice(2, 3)
    saved = study.save_annotation(case.id, annotation, "autosave")
    assert (saved.status, saved.known_fraction) == ("partial", 1 / 8)
    annotation.known[annotation.known == Known.UNKNOWN] = Known.IGNORE
    assert study.save_annotation(case.id, annotation, "autosave").status == "complete"
    assert study.case(case.id).status == "complete"


def test_status_is_right_after_a_crash_between_annotation_and_study_file(study, make_scan):
    case = importing.add_scan(study, make_scan())
    before = (study.path / "study.json").read_bytes()
    study.save_annotation(case.id, Annotation.full(np.ones(case.shape, np.uint8)), "complete")
    study.close()
    for name in ("study.json", "study.json.bak"):
        (study.path / name).write_bytes(before)
    with Study.open(study.path) as again:
        assert again.case(case.id).status == "complete"
        assert again.case(case.id).volumes_ml["left atrium"] > 0
    assert json.loads((study.path / "study.json").read_text())["cases"][0]["status"] == "complete"


def test_an_annotation_of_another_size_is_not_saved(study, make_scan):
    case = importing.add_scan(study, make_scan())
    with pytest.raises(StudyError, match="has not the size of its scan"):
        study.save_annotation(case.id, Annotation.empty((3, 3, 3)), "autosave")


def test_structures_get_free_values_and_colours(study):
    second = study.add_structure("ventricle")
    third = study.add_structure("scar", color="#123456", value=40)
    assert [s.value for s in study.structures] == [1, 2, 40]
    assert second.color in DEFAULT_COLORS
    assert second.color != study.structures[0].color
    assert third.color == "#123456"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "left atrium"}, "already"),
        ({"name": "x", "value": 1}, "already"),
        ({"name": "x", "value": 256}, "1 to 255"),
        ({"name": ""}, "needs a name"),
        ({"name": "x", "color": "red"}, "colour"),
    ],
)
def test_an_impossible_structure_is_refused_and_nothing_changes(study, fields, message):
    before = (study.path / "study.json").read_bytes()
    with pytest.raises(StudyError, match=message):
        study.add_structure(**fields)
    assert (study.path / "study.json").read_bytes() == before


def test_a_renamed_structure_keeps_its_labels_and_volumes(study, make_scan, make_labels):
    case = importing.add_scan(study, make_scan(), make_labels())
    volume = case.volumes_ml["left atrium"]
    study.change_structure(1, name="atrium sinistrum")
    study.change_structure(1, color="#00ff00")
    assert study.case(case.id).volumes_ml == {"atrium sinistrum": volume}
    assert study.structures[0] == Structure(value=1, name="atrium sinistrum", color="#00ff00")
    with pytest.raises(StudyError, match="no structure with label value 9"):
        study.change_structure(9, name="x")


def test_the_message_about_an_unknown_case_names_it(study):
    with pytest.raises(StudyError, match="'LA_999'"):
        study.volume("LA_999")


def test_a_study_can_be_moved_with_the_scans_inside_it(study, make_scan, tmp_path):
    scan = make_scan()
    shutil.copytree(scan.parent, study.path / "scans")
    case = importing.add_scan(study, study.path / "scans" / scan.name)
    study.close()
    shutil.move(study.path, tmp_path / "elsewhere")
    with Study.open(tmp_path / "elsewhere") as moved:
        assert moved.volume(case.id).path == tmp_path / "elsewhere" / "scans" / scan.name
        assert moved.case(case.id).scan == f"scans/{scan.name}"


def test_a_changed_scan_is_noticed_and_a_touched_one_is_not(study, make_scan):
    path = make_scan()
    case = importing.add_scan(study, path)
    os.utime(path, (1, 1))
    assert study.volume(case.id).notes == ()
    make_scan("other").replace(path)
    (note,) = study.volume(case.id).notes
    assert "scan has changed on disk" in note
    make_scan("third", shape=(12, 10, 9)).replace(path)
    with pytest.raises(StudyError, match="now holds another scan: 12 x 10 x 9"):
        study.volume(case.id)


def test_a_missing_scan_is_told_and_found_again_by_importing_it_from_its_new_place(
    study, make_scan, tmp_path
):
    path = make_scan()
    case = importing.add_scan(study, path)
    path.rename(tmp_path / "moved.nii.gz")
    with pytest.raises(StudyError, match=r"not at .*scan.nii.gz any more"):
        study.volume(case.id)
    assert importing.add_scan(study, tmp_path / "moved.nii.gz").id == case.id
    assert study.volume(case.id).notes == ()
    assert len(study.cases) == 1


def test_a_hostile_scan_path_is_not_followed(study, make_scan):
    importing.add_scan(study, make_scan())
    study.close()
    content = json.loads((study.path / "study.json").read_text())
    content["cases"][0]["scan"] = "../images/scan.nii.gz"
    (study.path / "study.json").write_text(json.dumps(content))
    with Study.open(study.path) as opened, pytest.raises(StudyError, match="not a safe path"):
        opened.volume("scan")


def test_threads_may_save_and_change_structures_at_the_same_time(study, make_scan):
    cases = [importing.add_scan(study, make_scan(name)) for name in "abc"]
    full = Annotation.full(np.ones(cases[0].shape, np.uint8))

    def save(case_id):
        for _ in range(4):
            study.save_annotation(case_id, full, "complete")

    threads = [threading.Thread(target=save, args=(case.id,)) for case in cases]
    for thread in threads:
        thread.start()
    for number in range(5):
        study.add_structure(f"structure {number}")
    for thread in threads:
        thread.join()
    study.close()
    with Study.open(study.path) as again:
        assert [case.status for case in again.cases] == ["complete"] * 3
        assert len(again.structures) == 6
