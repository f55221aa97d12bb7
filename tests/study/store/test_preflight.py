import re

import numpy as np
import pytest

from napari_dycon.study.exchange import importing
from napari_dycon.study.truth.annotations import Annotation


def messages(study, fatal):
    return [problem.message for problem in study.preflight() if problem.fatal is fatal]


def test_an_empty_study_needs_a_scan(study):
    assert messages(study, True) == ["Add at least one scan."]


def test_without_labels_there_is_nothing_to_learn(study, make_scan):
    importing.add_scan(study, make_scan())
    assert any("Nothing to learn from yet" in message for message in messages(study, True))


def test_a_good_study_has_no_fatal_problem_and_says_that_it_is_small(study, make_scan, make_labels):
    importing.add_scan(study, make_scan("a"), make_labels("a"))
    importing.add_scan(study, make_scan("b"))
    assert messages(study, True) == []
    (note,) = messages(study, False)
    assert "1 labelled case:" in note


def test_without_unlabelled_cases_training_is_announced_as_supervised(study, make_scan, make_labels):
    importing.add_scan(study, make_scan("a"), make_labels("a"))
    assert any("without an unlabelled part" in message for message in messages(study, False))


def test_paint_alone_does_not_tell_where_structures_are_not(study, make_scan):
    case = importing.add_scan(study, make_scan())
    annotation = Annotation.empty(case.shape)
    annotation.labels[2:5, 2:5, 2], annotation.known[2:5, 2:5, 2] = 1, 1
    study.save_annotation(case.id, annotation, "autosave")
    assert any("mark a slice as complete" in message for message in messages(study, True))
    annotation.complete_slice(2, 2)
    study.save_annotation(case.id, annotation, "autosave")
    assert messages(study, True) == []


def test_structures_and_values_that_cannot_be_learned_are_named(study, make_scan, make_labels):
    study.add_structure("ventricle")
    case = importing.add_scan(study, make_scan("a"), make_labels("a"))
    annotation = study.annotation(case.id)
    annotation.labels[8:, 8:, 6] = 77
    study.save_annotation(case.id, annotation, "autosave")
    notes = " ".join(messages(study, False))
    assert "'ventricle' is not painted in any case" in notes
    assert "77 (8 voxels)" in notes


def test_an_empty_label_map_is_questioned(study, make_scan, make_labels):
    importing.add_scan(study, make_scan("a"), make_labels("a"))
    importing.add_scan(study, make_scan("b"), make_labels("b", values=()))
    assert any("b has known voxels but nothing is painted" in message for message in messages(study, False))


@pytest.mark.parametrize(
    ("voxels", "message", "fatal"),
    [
        (np.full((12, 10, 8), 7, np.int16), "same value everywhere \\(7\\)", True),
        (np.arange(120, dtype=np.int16).reshape(12, 10, 1), "1 slice;", True),
        (np.where(np.arange(960) == 5, np.nan, np.arange(960)).reshape(12, 10, 8), "1 invalid \\(NaN", False),
        (np.linspace(0, 1e30, 960).reshape(12, 10, 8), "check the units", False),
        (np.linspace(0, 1e6, 960).reshape(12, 10, 8), "looks different from the other scans", False),
    ],
)
def test_a_scan_that_would_spoil_the_training_is_named(
    study, make_scan, make_labels, write_nifti, tmp_path, voxels, message, fatal
):
    for name in "abc":
        importing.add_scan(study, make_scan(name), make_labels(name))
    bad = importing.add_scan(study, write_nifti(tmp_path / "bad.nii.gz", voxels))
    found = [p for p in study.preflight() if p.case == bad.id and p.fatal is fatal]
    assert len(found) == 1
    assert re.search(message, found[0].message)
    assert [p.case for p in study.preflight() if p.fatal and p.case != bad.id] == []


def test_a_scan_that_is_gone_or_changed_is_named(study, make_scan, make_labels):
    for name in "ab":
        importing.add_scan(study, make_scan(name), make_labels(name))
    make_scan("c").replace(study.scan_path("a"))
    study.scan_path("b").unlink()
    problems = {problem.case: problem for problem in study.preflight()}
    assert "has changed on disk" in problems["a"].message
    assert problems["a"].fatal and "put the first one back" in problems["a"].message
    assert problems["b"].fatal
    assert "put it back" in problems["b"].message


def test_very_different_voxel_sizes_are_noted(study, make_scan, make_labels, write_nifti, tmp_path):
    importing.add_scan(study, make_scan("a"), make_labels("a"))
    voxels = np.random.default_rng(5).integers(0, 900, (12, 10, 8)).astype(np.int16)
    importing.add_scan(study, write_nifti(tmp_path / "coarse.nii.gz", voxels, np.diag([6.0, 6, 6, 1])))
    assert any("Voxel sizes vary from 1 to 6 mm" in message for message in messages(study, False))


@pytest.mark.parametrize(
    ("voxels", "shape", "said"), [(9, (512, 512, 400), True), (900, (512, 512, 400), False)]
)
def test_a_structure_too_small_for_the_grid_is_named_with_its_size(
    study, make_scan, make_labels, voxels, shape, said
):
    case = importing.add_scan(study, make_scan("a"), make_labels("a"))
    small = {
        "shape": shape,
        "spacing": (0.5, 0.5, 0.5),
        "voxel_volume_mm3": 0.125,
        "label_voxels": {1: voxels},
    }
    study.replace_case(case.model_copy(update=small))
    name = study.structures[0].name
    found = [message for message in messages(study, False) if "too" in message or "measures only" in message]
    assert bool(found) == said
    if said:
        assert f"'{name}' measures only 1.3 mm in a" in found[0] and "cut the scans" in found[0]
    study.replace_case(case.model_copy(update={"label_voxels": {1: 1}}))
    assert not [message for message in messages(study, False) if "measures only" in message]
