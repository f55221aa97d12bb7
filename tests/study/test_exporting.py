import csv

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.errors import StudyError
from napari_dycon.study.annotations import Annotation, Known


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
