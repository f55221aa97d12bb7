"""Scores against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dycon.engine.evaluation import evaluate, evaluate_masks
from napari_dycon.errors import TrainingError
from napari_dycon.study.exchange import importing
from tests.engine.conftest import ball_case, save_scan


def cube(start, shape=(20, 20, 20), side=6, value=1):
    mask = np.zeros(shape, np.uint8)
    mask[tuple(slice(s, s + side) for s in start)] = value
    return mask


def score(found, truth, spacing=(1.0, 1.0, 1.0)):
    return evaluate_masks(found, truth, spacing, [1])[0]


def test_equal_masks_are_perfect():
    result = score(cube((3, 3, 3)), cube((3, 3, 3)))
    assert (result.dice, result.jaccard, result.hd95_mm, result.asd_mm) == (1, 1, 0, 0)
    assert result.volume_error == 0
    assert not result.missed


def test_a_shift_by_two_voxels_in_millimetres():
    result = score(cube((5, 3, 3)), cube((3, 3, 3)), spacing=(1.5, 1.0, 1.0))
    assert result.dice == pytest.approx(2 / 3)
    assert result.jaccard == pytest.approx(1 / 2)
    assert result.hd95_mm == pytest.approx(3.0)


def test_two_single_voxels():
    found, truth = cube((2, 2, 2), side=1), cube((5, 6, 2), side=1)
    result = score(found, truth, spacing=(1.0, 1.0, 3.0))
    assert result.dice == 0
    assert result.hd95_mm == pytest.approx(5.0)
    assert result.asd_mm == pytest.approx(5.0)


def test_the_mean_distance_takes_both_directions():
    found, truth = cube((2, 2, 2), side=1), cube((2, 2, 2), side=1)
    truth[6, 2, 2] = 1
    assert score(found, truth).asd_mm == pytest.approx((0 + 0 + 4) / 3)


def test_a_miss_is_counted_and_has_no_distance():
    result = score(np.zeros((20, 20, 20), np.uint8), cube((3, 3, 3)))
    assert result.missed
    assert (result.dice, result.hd95_mm, result.asd_mm, result.volume_error) == (0, None, None, -1)


def test_something_found_where_nothing_is_scores_zero_but_is_no_miss():
    result = score(cube((3, 3, 3)), np.zeros((20, 20, 20), np.uint8))
    assert (result.dice, result.missed, result.volume_error) == (0, False, None)


def test_absent_in_both_is_agreement():
    empty = np.zeros((20, 20, 20), np.uint8)
    assert score(empty, empty).dice == 1


def test_structures_are_scored_apart():
    found, truth = cube((3, 3, 3)), cube((3, 3, 3))
    truth[truth == 1] = 2
    assert [s.dice for s in evaluate_masks(found, truth, (1, 1, 1), [1, 2])] == [0, 0]


def test_touching_the_border_of_the_scan_is_no_special_case():
    a, b = cube((0, 0, 0)), cube((0, 0, 0), side=7)
    assert score(a, b).hd95_mm == pytest.approx(np.sqrt(1), abs=0.8)


def test_the_predictions_of_a_study_are_compared_by_file_name(make_study, train, tmp_path):
    study = make_study()
    run = train(study, "supervised", iterations=1)[0].run
    labels = [ball_case(index)[1] for index in range(4)]
    folder = tmp_path / "truth"
    folder.mkdir()
    for record, truth in zip(study.cases[:2], labels, strict=False):
        save_scan(folder / f"{record.name}.nii.gz", truth)
        study.predictions.save(run, record.id, truth, np.zeros(truth.shape, np.float32))
    save_scan(folder / f"{study.cases[2].name}.nii.gz", labels[2])
    result = evaluate(study, None, folder)
    assert [case.case for case in result.cases] == [record.id for record in study.cases[:2]]
    assert all(s.dice == 1 for case in result.cases for s in case.scores)
    assert result.without_prediction == (study.cases[2].id,)
    with pytest.raises(TrainingError, match="file name"):
        evaluate(study, run, tmp_path / "nowhere-else")
    save_scan(folder / f"{study.cases[0].name}.nii.gz", labels[0], np.eye(4))
    again = evaluate(study, run, folder)
    assert [case.case for case in again.cases] == [study.cases[1].id]
    assert "from its scan" in again.left_out[study.cases[0].id]


@pytest.mark.parametrize("bad", ["grid", "text", "cut", "fractions", "scan gone"])
def test_one_bad_reference_does_not_end_the_others(make_study, tmp_path, bad):
    study, folder = make_study(cases=3), tmp_path / "truth"
    run = study.new_run("supervised")
    study.set_active_run(run)
    folder.mkdir()
    for index, record in enumerate(study.cases):
        truth = ball_case(index)[1]
        study.predictions.save(run, record.id, truth, np.zeros(truth.shape, np.float32))
        path = save_scan(folder / f"{record.name}.nii.gz", truth)
        if index == 1:
            if bad == "grid":
                save_scan(path, truth[1:])
            elif bad == "text":
                path.write_text("no mask")
            elif bad == "cut":
                path.write_bytes(path.read_bytes()[:200])
            elif bad == "fractions":
                save_scan(path, truth + 0.5)
            else:
                study.scan_path(record.id).unlink()
    result = evaluate(study, None, folder)
    assert [case.case for case in result.cases] == [study.cases[0].id, study.cases[2].id]
    assert list(result.left_out) == [study.cases[1].id]


def test_reference_values_without_a_structure_are_reported(make_study, tmp_path):
    study, folder = make_study(cases=1), tmp_path / "truth"
    run = study.new_run("supervised")
    study.set_active_run(run)
    folder.mkdir()
    (record,), truth = study.cases, ball_case(0)[1]
    study.predictions.save(run, record.id, truth, np.zeros(truth.shape, np.float32))
    truth[:2, :2, 0] = 9
    save_scan(folder / f"{record.name}.nii.gz", truth)
    assert evaluate(study, None, folder).unnamed == {record.id: {9: 4}}


def test_a_reference_segment_of_another_name_is_not_the_structure_of_its_value(make_study, tmp_path):
    study, folder = make_study(cases=1), tmp_path / "truth"
    run = study.new_run("supervised")
    study.set_active_run(run)
    folder.mkdir()
    (record,), truth = study.cases, ball_case(0)[1]
    study.predictions.save(run, record.id, truth, np.zeros(truth.shape, np.float32))
    affine = study.geometry(record.id).affine
    columns = " ".join("({},{},{})".format(*column) for column in affine[:3, :3].T)
    lines = [
        *("NRRD0004", "type: uint8", "dimension: 3", "space: RAS", "encoding: raw"),
        *("sizes: {} {} {}".format(*truth.shape), f"space directions: {columns}"),
        "space origin: ({},{},{})".format(*affine[:3, 3]),
        *("Segment0_Name:=another organ", "Segment0_LabelValue:=3"),
    ]
    head = "\n".join(lines).encode() + b"\n\n"
    (folder / f"{record.name}.seg.nrrd").write_bytes(head + truth.astype(np.uint8).tobytes(order="F"))
    result = evaluate(study, None, folder)
    assert result.unnamed[record.id][3] == int((truth == 3).sum())
    assert result.cases[0].scores[0].volume_error is None, "the reference holds none of the structure"


@pytest.fixture
def two_of_one_name(make_study, tmp_path):
    """Two patients' scans of one file name, predicted without a fault, and the true labels of both."""
    study = make_study(cases=0)
    run = study.new_run("supervised")
    study.set_active_run(run)
    truths = {}
    for index, patient in enumerate(("anna", "bert")):
        image, truth = ball_case(index)
        (tmp_path / "scans" / patient).mkdir(parents=True)
        save_scan(tmp_path / "scans" / patient / "T1.nii.gz", image)
        truths[patient] = truth
    list(importing.add_scans(study, [tmp_path / "scans"]))
    for case, truth in zip(study.cases, truths.values(), strict=True):
        study.predictions.save(run, case.id, truth, np.zeros(truth.shape, np.float32))
    return study, truths


def test_a_reference_belongs_to_the_patient_whose_folder_it_lies_in(two_of_one_name, tmp_path):
    study, truths = two_of_one_name
    (tmp_path / "truth" / "bert").mkdir(parents=True)
    save_scan(tmp_path / "truth" / "bert" / "T1.nii.gz", truths["bert"])
    (scored,) = evaluate(study, None, tmp_path / "truth").cases
    assert study.case(scored.case).name == "bert/T1"
    assert {score.dice for score in scored.scores} == {1}


def test_a_reference_that_could_be_of_two_patients_is_of_neither(two_of_one_name, tmp_path):
    study, truths = two_of_one_name
    (tmp_path / "truth").mkdir()
    save_scan(tmp_path / "truth" / "T1.nii.gz", truths["bert"])
    found = evaluate(study, None, tmp_path / "truth")
    assert found.cases == () and set(found.left_out) == {case.id for case in study.cases}
    assert all("says whose it is" in reason for reason in found.left_out.values())
