"""What labels and names say about structures before training."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dycon.engine.anatomy import (
    joint_structures,
    labelled_shapes,
    largest_size,
    names_tell_sides,
    places_tell_sides,
    single_structures,
    smallest_size,
    speck_volumes,
)
from napari_dycon.engine.fingerprint import fingerprint_study
from napari_dycon.engine.plan import Machine, make_plan
from napari_dycon.io.geometry import Geometry
from napari_dycon.study.exchange import importing
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation, Known
from tests.engine.conftest import save_scan

CPU = Machine(device="cpu", memory=8 << 30, cores=2)
SHAPE = (48, 40, 30)


@pytest.mark.parametrize(
    "names",
    [
        ["kidney L", "kidney R"],
        ["Niere links", "Niere rechts"],
        ["linke Niere", "rechte Niere"],
        ["Niere li.", "Niere re."],
        ["rein gauche", "rein droit"],
        ["riñón izquierdo", "riñón derecho"],
        ["rene sinistro", "rene destro"],
        ["rim esquerdo", "rim direito"],
        ["höger njure", "vänster njure"],
        ["левая почка", "правая почка"],
        ["左腎", "右腎"],
        ["LCIV", "RCIV"],
        ["lkidney", "rkidney"],
        ["kidney_l", "kidney_r"],
        ["KidneyLeft", "KidneyRight"],
        ["femurL", "femurR"],
        ["rein G", "rein D"],
        ["LV", "RV", "myocardium"],
        ["left kidney"],
        ["Kidney, Left"],
        ["kidney (R)"],
        ["Lt lung"],
        ["lung-rt"],
    ],
)
def test_names_of_a_side_are_understood(names):
    assert names_tell_sides(names)


@pytest.mark.parametrize(
    "names",
    [
        ["liver"],
        ["lung", "rib"],
        ["head", "tail"],
        ["anterior", "posterior"],
        ["L1", "L2", "L3"],
        ["rectum", "bladder"],
        ["a", "b"],
        ["structure 1", "structure 2"],
        ["lumen", "wall"],
        ["clavicle"],
    ],
)
def test_other_names_are_not_taken_for_a_side(names):
    assert not names_tell_sides(names)


def boxes(*places, shape=SHAPE):
    labels = np.zeros(shape, np.uint8)
    for value, (x, y, z), (a, b, c) in places:
        labels[x : x + a, y : y + b, z : z + c] = value
    return labels


def shapes(labels, spacing=(1.5, 1.5, 2.0), patient="a", flip=False, annotation=None):
    affine = np.diag([*(-s if flip and a == 0 else s for a, s in enumerate(spacing)), 1.0])
    labels = labels[::-1] if flip else labels
    found = annotation(labels) if annotation else Annotation.full(labels)
    return labelled_shapes(found, Geometry(labels.shape, affine), patient, range(1, 9))


RIGHT, LEFT, MIDDLE = (30, 10, 8), (8, 12, 9), (19, 10, 8)
SIZE = (10, 9, 8)


def test_two_structures_that_mirror_each_other_are_never_swapped():
    twins = shapes(boxes((1, RIGHT, SIZE), (2, LEFT, SIZE)))
    assert places_tell_sides([twins])
    assert places_tell_sides([twins, shapes(boxes((1, RIGHT, SIZE), (2, LEFT, SIZE)), flip=True)])


def test_what_lies_elsewhere_or_differs_in_size_or_changes_sides_is_no_pair():
    assert not places_tell_sides([shapes(boxes((1, RIGHT, SIZE), (2, LEFT, (3, 3, 3))))])
    assert not places_tell_sides([shapes(boxes((1, RIGHT, (8, 8, 4)), (2, (8, 28, 24), (8, 8, 4))))])
    assert not places_tell_sides([shapes(boxes((1, RIGHT, SIZE), (2, MIDDLE, SIZE)))])
    one, other = boxes((1, RIGHT, SIZE), (2, LEFT, SIZE)), boxes((2, RIGHT, SIZE), (1, LEFT, SIZE))
    assert not places_tell_sides([shapes(one), shapes(other)])


def test_one_side_alone_counts_once_enough_patients_show_it():
    liver = [shapes(boxes((1, RIGHT, SIZE)), patient=f"p{i}") for i in range(5)]
    assert places_tell_sides(liver)
    assert not places_tell_sides(liver[:4])
    assert not places_tell_sides([shapes(boxes((1, RIGHT, SIZE)), patient="p") for _ in range(9)])
    assert not places_tell_sides([*liver, shapes(boxes((1, LEFT, SIZE)), patient="q")])
    assert not places_tell_sides([shapes(boxes((1, MIDDLE, SIZE)), patient=f"p{i}") for i in range(9)])


def test_a_few_sagittal_slices_do_not_tell_a_side():
    def sliced(labels):
        known = np.zeros(labels.shape, np.uint8)
        known[30:34] = Known.DRAWN
        return Annotation(labels, known)

    found = [
        shapes(boxes((1, RIGHT, SIZE)), annotation=sliced, patient=f"p{i}", spacing=(1, 1, 1))
        for i in range(9)
    ]
    assert not places_tell_sides(found) and found[0][1].right is None


def test_the_size_of_a_structure_is_that_of_its_largest_piece_across():
    found = shapes(boxes((1, RIGHT, (3, 3, 20)), (1, LEFT, (1, 1, 1)), (2, (2, 2, 2), (9, 1, 8))))
    assert found[1].size == pytest.approx(4.5)
    assert found[2].size == pytest.approx(13.5)
    assert smallest_size([found, {}]) == pytest.approx(4.5)
    assert smallest_size([{}]) is None
    assert largest_size([found, {}]) == pytest.approx(13.5)
    assert largest_size([{}]) is None


def test_enough_pieces_in_scans_labelled_all_over_tell_how_small_one_is():
    three = boxes((1, (2, 2, 2), (4, 4, 4)), (1, (12, 2, 2), (2, 2, 3)), (1, (22, 2, 2), (1, 1, 1)))
    found = shapes(three, spacing=(1, 1, 2))
    assert found[1].volumes == (128.0, 24.0)
    assert speck_volumes([found, found, {}]) == {}
    assert speck_volumes([found, found, found]) == {1: 6.0}

    def partly(labels):
        known = np.ones(labels.shape, np.uint8)
        known[0] = Known.UNKNOWN
        return Annotation(labels, known)

    assert speck_volumes([shapes(three, annotation=partly)] * 9) == {}


def patients(*labels):
    return [shapes(found, patient=f"p{number}") for number, found in enumerate(labels)]


ONE, TWO = boxes((1, RIGHT, SIZE)), boxes((1, RIGHT, SIZE), (1, LEFT, SIZE))
SPECK = boxes((1, RIGHT, SIZE), (1, LEFT, (1, 1, 2)))
CORNERS = boxes((1, (10, 10, 8), (6, 6, 6)), (1, (16, 16, 14), (6, 6, 6)))
SMALL = boxes((1, RIGHT, (3, 3, 3)))


@pytest.mark.parametrize(
    ("labels", "single"),
    [
        ([ONE, ONE, ONE], True),
        ([ONE, SPECK, CORNERS], True),
        ([ONE, ONE], False),  # too few to say
        ([ONE, ONE, ONE, TWO], False),  # kidneys, lungs, a second metastasis
        ([ONE, ONE, ONE, SMALL], False),  # sizes of lesions, not of an organ
        ([ONE, ONE, ONE, boxes((2, LEFT, SIZE))], False),  # not everybody has it
    ],
)
def test_a_structure_is_one_piece_when_the_labels_of_all_patients_say_so(labels, single):
    assert single_structures(patients(*labels), {1: "liver"}) == ((1,) if single else ())


@pytest.mark.parametrize("name", ["lesion", "liver tumour", "Lymph node", "gross tumor", "GTV", "Metastasen"])
def test_what_there_may_be_several_of_is_never_cut_to_one_piece(name):
    assert single_structures(patients(ONE, ONE, ONE, ONE), {1: name}) == ()


def test_scans_of_one_patient_or_labelled_in_part_do_not_tell_that_a_structure_is_one_piece():
    def sliced(labels):
        return Annotation(labels, np.where(np.indices(labels.shape)[0] < 41, 1, 0).astype(np.uint8))

    assert single_structures([shapes(ONE, patient="a") for _ in range(5)], {1: "liver"}) == ()
    part = [shapes(boxes((1, RIGHT, SIZE)), annotation=sliced, patient=f"p{i}") for i in range(5)]
    assert single_structures(part, {1: "liver"}) == ()


WALL = boxes((1, (10, 10, 8), (4, 8, 8)), (2, (14, 10, 8), (4, 8, 8)), (1, (18, 10, 8), (4, 8, 8)))
APART = boxes((1, (10, 10, 8), (6, 8, 8)), (2, (30, 10, 8), (6, 8, 8)))


@pytest.mark.parametrize(
    ("labels", "joint"),
    [
        ([WALL, WALL, WALL], True),  # torn by itself, held together by the other
        ([WALL, WALL], False),  # too few to say
        ([WALL, WALL, WALL, APART], False),
        ([WALL, WALL, WALL, ONE], False),  # not everybody has both
        ([WALL, WALL, WALL, np.maximum(WALL, boxes((2, (40, 4, 4), (2, 4, 4))))], False),  # a piece far away
    ],
)
def test_structures_are_one_piece_together_when_the_labels_of_all_patients_say_so(labels, joint):
    found = patients(*labels)
    assert joint_structures(found, {1: "wall", 2: "chamber"}) == (((1, 2),) if joint else ())
    assert joint_structures(found, {1: "wall", 2: "tumour"}) == ()
    assert 1 not in single_structures(found, {1: "wall", 2: "chamber"})


def test_organs_apart_are_no_group():
    assert joint_structures(patients(APART, APART, APART), {1: "liver", 2: "spleen"}) == ()


def test_a_plan_sees_sides_and_sizes_in_the_labels(tmp_path):
    study = Study.create(tmp_path / "study", [Structure(value=1, name="a"), Structure(value=2, name="b")])
    for labels in (boxes((1, RIGHT, SIZE), (2, LEFT, SIZE)), boxes((1, RIGHT, SIZE), (2, LEFT, SIZE))):
        image = (100 + 50 * labels + np.random.default_rng(0).normal(0, 5, SHAPE)).astype(np.int16)
        number = len(study.cases)
        record = importing.add_scan(study, save_scan(tmp_path / f"scan{number}.nii.gz", image + number))
        study.save_annotation(record.id, Annotation.full(labels), "import")
    fingerprint = fingerprint_study(study)
    assert fingerprint.sided and fingerprint.smallest == pytest.approx(10 * 1.2)
    assert make_plan(fingerprint, CPU).augmentation.mirror == (False, False, False)
    assert not fingerprint_study(study, []).sided
    study.close()
