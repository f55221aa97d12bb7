import csv

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.errors import StudyError
from napari_dycon.study.annotations import Annotation, Known
from napari_dycon.study.exporting import left_out


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_complete_case_is_exported_as_annotated_on_its_own_grid(study, oblique_scan, tmp_path):
    case = study.add_scan(oblique_scan)
    labels = np.zeros(case.shape, np.uint8)
    labels[3:9, 4:10, 2:5] = 1
    study.save_annotation(case.id, Annotation.full(labels), "complete")
    mask_path, table = study.export(tmp_path / "out")
    mask, scan = nib.load(mask_path), nib.load(oblique_scan)
    np.testing.assert_array_equal(np.asarray(mask.dataobj), labels)
    assert mask.get_data_dtype() == np.uint8
    assert mask_path.name == "oblique.nii.gz"
    np.testing.assert_array_equal(mask.affine, scan.affine)
    for field in ("qform_code", "sform_code", "srow_x", "srow_y", "srow_z", "quatern_b", "qoffset_x"):
        assert mask.header[field].tobytes() == scan.header[field].tobytes()
    (row,) = rows(table)
    assert row["source"] == "annotation"
    assert int(row["voxels"]) == labels.sum()
    assert float(row["volume_ml"]) == pytest.approx(labels.sum() * 0.8 * 1.1 * 2.5 / 1000, rel=1e-4)
    assert float(row["known_percent"]) == 100


def test_what_a_person_knows_lies_on_top_of_the_prediction(study, make_scan, tmp_path):
    case = study.add_scan(make_scan())
    annotation = Annotation.empty(case.shape)
    annotation.labels[0, 0, 0], annotation.known[0, 0, 0] = 1, Known.DRAWN
    annotation.known[1, 0, 0] = Known.DRAWN  # certain background
    annotation.known[2, 0, 0] = Known.IGNORE
    study.save_annotation(case.id, annotation, "autosave")
    run = study.new_run("dycon")
    prediction = np.ones(case.shape, np.uint8)
    prediction[0, 0, 0] = 0
    study.save_prediction(run, case.id, prediction, np.zeros(case.shape))
    study.set_active_run(run)
    mask_path, table = study.export(tmp_path / "out")
    expected = np.ones(case.shape, np.uint8)
    expected[1, 0, 0] = 0
    np.testing.assert_array_equal(np.asarray(nib.load(mask_path).dataobj), expected)
    assert rows(table)[0]["source"] == "prediction"


def test_cases_without_anything_are_left_out_and_nothing_at_all_is_told(
    study, make_scan, make_labels, tmp_path
):
    study.add_scan(make_scan("a"))
    with pytest.raises(StudyError, match="nothing to export yet"):
        study.export(tmp_path / "out")
    study.add_scan(make_scan("b"), make_labels("b"))
    assert [path.name for path in study.export(tmp_path / "out")] == ["b.nii.gz", "volumes.csv"]
    with pytest.raises(StudyError, match="nothing to export yet"):
        study.export(tmp_path / "out", case_ids=["a"])


def test_the_studys_own_folders_and_the_scans_are_not_written_over(study, make_scan, make_labels):
    scan = make_scan("a")
    before = scan.read_bytes()
    study.add_scan(scan, make_labels("a"))
    with pytest.raises(StudyError, match="belongs to the study itself"):
        study.export(study.path / "annotations")
    with pytest.raises(Exception, match="is the scan itself"):
        study.export(scan.parent)
    assert scan.read_bytes() == before


def predict(study, case, ready):
    mask = np.ones(case.shape, np.uint8)
    study.save_prediction(study.active_run, case.id, mask, np.zeros(case.shape))
    row = {"volumes_ml": {}, "mean_entropy": 0.1, "empty": False, "ready": ready}
    study.save_prediction_summary(study.active_run, {case.id: row})


def test_predictions_of_a_model_that_was_not_ready_are_left_out_unless_asked_for(study, make_scan, tmp_path):
    plain, begun, sound, complete = (study.add_scan(make_scan(name)) for name in "abcd")
    study.set_active_run(study.new_run("dycon"))
    own = Annotation.empty(begun.shape)
    own.labels[0, 0, 0], own.known[0, 0, 0] = 1, Known.DRAWN
    study.save_annotation(begun.id, own, "autosave")
    study.save_annotation(complete.id, Annotation.full(own.labels), "complete")
    for case in (plain, begun, complete):
        predict(study, study.case(case.id), ready=False)
    predict(study, sound, ready=True)
    paths = study.export(tmp_path / "out")
    assert [path.name for path in paths] == ["b.nii.gz", "c.nii.gz", "d.nii.gz", "volumes.csv"]
    assert [row["source"] for row in rows(paths[-1])] == ["annotation", "prediction", "annotation"]
    assert np.asarray(nib.load(paths[0]).dataobj).sum() == 1
    assert left_out(study, None, None) == ["a", "b"]
    assert left_out(study, ["b", "c"], study.active_run) == ["b"]
    paths = study.export(tmp_path / "all", not_ready=True)
    assert len(paths) == 5 and np.asarray(nib.load(paths[0]).dataobj).all()
    with pytest.raises(StudyError, match="not ready when it predicted"):
        study.export(tmp_path / "none", case_ids=["a"])
