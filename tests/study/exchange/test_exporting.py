import csv
import gzip
import json
import os

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.errors import StudyError
from napari_dycon.study.exchange import exporting, importing
from napari_dycon.study.exchange.exporting import CaseExported, ExportRequest, cases_left_out, export_all
from napari_dycon.study.truth.annotations import Annotation, Known


def exported(study, out, case_ids=None, **options):
    """Everything that was written, masks first and the table last."""
    cases = None if case_ids is None else tuple(case_ids)
    end = export_all(study, ExportRequest(out, cases, **options))
    return [*(path for path, _ in end.masks), end.table]


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_complete_case_is_exported_as_annotated_on_its_own_grid(study, oblique_scan, tmp_path):
    case = importing.add_scan(study, oblique_scan)
    labels = np.zeros(case.shape, np.uint8)
    labels[3:9, 4:10, 2:5] = 1
    study.save_annotation(case.id, Annotation.full(labels), "complete")
    mask_path, table = exported(study, tmp_path / "out")
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
    assert float(row["known_percent"]) == 100 and row["cut_at_edge"] == "no"


def test_what_a_person_knows_lies_on_top_of_the_prediction(study, make_scan, tmp_path):
    case = importing.add_scan(study, make_scan())
    annotation = Annotation.empty(case.shape)
    annotation.labels[0, 0, 0], annotation.known[0, 0, 0] = 1, Known.DRAWN
    annotation.known[1, 0, 0] = Known.DRAWN  # certain background
    annotation.known[2, 0, 0] = Known.IGNORE
    study.save_annotation(case.id, annotation, "autosave")
    run = study.new_run("dycon")
    prediction = np.ones(case.shape, np.uint8)
    prediction[0, 0, 0] = 0
    study.predictions.save(run, case.id, prediction, np.zeros(case.shape))
    study.set_active_run(run)
    mask_path, table = exported(study, tmp_path / "out")
    expected = np.ones(case.shape, np.uint8)
    expected[1, 0, 0] = 0
    np.testing.assert_array_equal(np.asarray(nib.load(mask_path).dataobj), expected)
    assert rows(table)[0]["source"] == "prediction"


def test_cases_without_anything_are_left_out_and_nothing_at_all_is_told(
    study, make_scan, make_labels, tmp_path
):
    importing.add_scan(study, make_scan("a"))
    with pytest.raises(StudyError, match="nothing to export yet"):
        exported(study, tmp_path / "out")
    importing.add_scan(study, make_scan("b"), make_labels("b"))
    assert [path.name for path in exported(study, tmp_path / "out")] == ["b.nii.gz", "volumes.csv"]
    with pytest.raises(StudyError, match="nothing to export yet"):
        exported(study, tmp_path / "out", case_ids=["a"])


def test_the_studys_own_folders_and_the_scans_are_not_written_over(study, make_scan, make_labels):
    scan = make_scan("a")
    before = scan.read_bytes()
    importing.add_scan(study, scan, make_labels("a"))
    with pytest.raises(StudyError, match="belongs to the study itself"):
        exported(study, study.path / "annotations")
    with pytest.raises(StudyError, match="is the scan itself"):
        exported(study, scan.parent)
    with pytest.raises(Exception, match="is the scan itself"):
        exported(study, scan.parent, overwrite=True)
    assert scan.read_bytes() == before


def predict(study, case, ready):
    mask = np.ones(case.shape, np.uint8)
    study.predictions.save(study.active_run, case.id, mask, np.zeros(case.shape))
    row = {"volumes_ml": {}, "mean_entropy": 0.1, "empty": False, "ready": ready}
    study.predictions.save_summary(study.active_run, {case.id: row})


def test_predictions_of_a_model_that_was_not_ready_are_left_out_unless_asked_for(study, make_scan, tmp_path):
    plain, begun, sound, complete = (importing.add_scan(study, make_scan(name)) for name in "abcd")
    study.set_active_run(study.new_run("dycon"))
    own = Annotation.empty(begun.shape)
    own.labels[0, 0, 0], own.known[0, 0, 0] = 1, Known.DRAWN
    study.save_annotation(begun.id, own, "autosave")
    study.save_annotation(complete.id, Annotation.full(own.labels), "complete")
    for case in (plain, begun, complete):
        predict(study, study.case(case.id), ready=False)
    predict(study, sound, ready=True)
    paths = exported(study, tmp_path / "out")
    assert [path.name for path in paths] == ["b.nii.gz", "c.nii.gz", "d.nii.gz", "volumes.csv"]
    assert [row["source"] for row in rows(paths[-1])] == ["annotation", "prediction", "annotation"]
    assert np.asarray(nib.load(paths[0]).dataobj).sum() == 1
    assert cases_left_out(study, None, None) == ["a", "b"]
    assert cases_left_out(study, ["b", "c"], study.active_run) == ["b"]
    paths = exported(study, tmp_path / "all", not_ready=True)
    assert len(paths) == 5 and np.asarray(nib.load(paths[0]).dataobj).all()
    with pytest.raises(StudyError, match="not ready when it predicted"):
        exported(study, tmp_path / "none", case_ids=["a"])


def test_nothing_that_is_there_is_replaced_unless_asked_for(study, make_scan, make_labels, tmp_path):
    """Masks that were corrected in another program since they were imported stay as they are."""
    labels = make_labels("a")
    importing.add_scan(study, make_scan("a"), labels)
    before = labels.read_bytes()
    with pytest.raises(StudyError, match=r"Nothing was exported: .* holds a.nii.gz already.*--overwrite"):
        exported(study, labels.parent)
    assert (labels.read_bytes(), [path.name for path in labels.parent.iterdir()]) == (before, ["a.nii.gz"])
    table = tmp_path / "out" / "volumes.csv"
    table.parent.mkdir()
    table.write_text("mine")
    with pytest.raises(StudyError, match=r"volumes\.csv already"):
        exported(study, table.parent)
    assert table.read_text() == "mine"
    exported(study, table.parent, overwrite=True)
    assert table.read_text() != "mine"


def test_a_mask_that_differs_in_upper_case_alone_is_in_the_way(study, make_scan, make_labels, tmp_path):
    importing.add_scan(study, make_scan("a"), make_labels("a"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "A.nii.gz").touch()
    with pytest.raises(StudyError, match=r"A\.nii\.gz already"):
        exported(study, tmp_path / "out")


def test_masks_and_rows_bear_the_names_of_the_scans(study, make_scan, make_labels, tmp_path):
    names = ["1.3.6.1", "sub-01_T1w.v2", "Müller 1950"]
    for name in names:
        importing.add_scan(study, make_scan(name), make_labels(name))
    *masks, table = exported(study, tmp_path / "out")
    assert [mask.name for mask in masks] == [f"{name}.nii.gz" for name in names]
    assert [row["name"] for row in rows(table)] == names
    assert rows(table)[1]["patient"] == "sub-01"


def test_with_pseudonyms_no_name_leaves_the_study(study, make_scan, make_labels, tmp_path):
    make_scan("Meier", folder="images/Anna")
    importing.add_scan(study, tmp_path / "images" / "Anna" / "Meier.nii.gz", make_labels("Meier"))
    importing.add_scan(study, make_scan("sub-01_Meier_T1w"), make_labels("x", values=(1,)))
    out = tmp_path / "out"
    *masks, table = exported(study, out, pseudonyms=True)
    everything = " ".join(path.name for path in out.iterdir()) + table.read_text()
    assert not any(word in everything for word in ("Meier", "Anna", "sub-01"))
    told = json.loads((study.path / "pseudonyms.json").read_text())
    assert {told[mask.name.removesuffix(".nii.gz")] for mask in masks} == {"Meier", "sub-01_Meier_T1w"}


@pytest.mark.parametrize("fault", ["gone", "replaced", "damaged"])
def test_one_scan_that_fails_does_not_keep_the_others(study, make_scan, make_labels, tmp_path, fault):
    for name in "abc":
        importing.add_scan(study, make_scan(name), make_labels(name))
    scan = study.scan_path("b")
    if fault == "gone":
        scan.unlink()
    elif fault == "replaced":
        make_scan("another", folder="images").replace(scan)
    else:
        scan.write_bytes(scan.read_bytes()[:100])
    end = export_all(study, ExportRequest(tmp_path / "out"))
    assert [path.name for path, _ in end.masks] == ["a.nii.gz", "c.nii.gz"]
    assert {row["case"] for row in rows(end.table)} == {"a", "c"}
    ((case, problem),) = end.problems
    assert case == "b" and problem
    assert not (tmp_path / "out" / "b.nii.gz").exists()
    if fault == "replaced":
        assert "changed since it was imported" in problem


def test_the_summary_says_what_of_which_kind_is_where(study, make_scan, make_labels, tmp_path):
    importing.add_scan(study, make_scan("a"), make_labels("a"))
    plain = importing.add_scan(study, make_scan("b"))
    study.set_active_run(study.new_run("dycon"))
    predict(study, plain, ready=True)
    end = export_all(study, ExportRequest(tmp_path / "out"))
    assert (
        end.summary == f"2 masks (1 annotation and 1 prediction) and volumes.csv are in {tmp_path / 'out'}."
    )


def test_an_export_can_be_ended_at_any_case(study, make_scan, make_labels, tmp_path):
    for name in "abc":
        importing.add_scan(study, make_scan(name), make_labels(name))
    for event in exporting.export(study, ExportRequest(tmp_path / "out")):
        if isinstance(event, CaseExported) and event.done == 2:
            assert (event.total, event.origin) == (3, "annotation")
            break
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.nii.gz", "b.nii.gz"]


def test_no_scan_is_written_over_even_when_asked_to(study, make_scan, make_labels, write_nifti):
    first, second = make_scan("a"), make_scan("b")
    importing.add_scan(study, first, make_labels("a"))
    importing.add_scan(study, second)
    before = {path: path.read_bytes() for path in (first, second)}
    with pytest.raises(StudyError, match="is the scan itself"):
        list(exporting.export(study, ExportRequest(first.parent, overwrite=True)))
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(path.name for path in first.parent.iterdir()) == ["a.nii.gz", "b.nii.gz"]


def test_a_scan_that_was_replaced_with_its_size_and_time_kept_is_noticed(study, make_scan, make_labels):
    scan, other = make_scan("a"), make_scan("b")
    for path in (scan, other):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
    scan, other = scan.with_suffix(""), other.with_suffix("")
    importing.add_scan(study, scan, make_labels("a"))
    times = scan.stat()
    scan.write_bytes(other.read_bytes())
    os.utime(scan, ns=(times.st_atime_ns, times.st_mtime_ns))
    out = study.path.parent / "out"
    end = export_all(study, ExportRequest(out))
    assert [case for case, problem in end.problems if "has changed" in problem] == ["a"]
    assert (end.masks, end.summary) == ((), "Nothing was exported.")
    assert not out.exists()


def test_when_no_case_can_be_exported_every_reason_is_told(study, make_scan, make_labels, tmp_path):
    for name in "ab":
        importing.add_scan(study, make_scan(name), make_labels(name))
        study.scan_path(name).unlink()
    end = export_all(study, ExportRequest(tmp_path / "out"))
    assert [case for case, _ in end.problems] == ["a", "b"]
    assert end.summary == "Nothing was exported." and not (tmp_path / "out").exists()


def test_the_table_names_the_file_of_each_case(study, make_scan, make_labels, tmp_path):
    for name in ("CON", "a. ", "b"):
        importing.add_scan(study, make_scan(name), make_labels(name))
    *masks, table = exported(study, tmp_path / "out")
    found = {row["name"]: row["file"] for row in rows(table)}
    assert found == dict(zip(("CON", "a. ", "b"), (mask.name for mask in masks), strict=True))
