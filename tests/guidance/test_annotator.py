"""The simulated annotator on a disc: what it draws, what it leaves, and what that costs."""

import math

import numpy as np
import pytest

from napari_dycon.guidance.annotator import Annotator, Costs, Habits, contour_mm, widen
from napari_dycon.study.truth.annotations import Annotation, Known

SHAPE = (64, 64, 9)
SPACING = (1.0, 1.0, 3.0)


def disc(radius: float, value: int = 1, centre: tuple[float, float] = (32, 32)) -> np.ndarray:
    x, y = np.ogrid[: SHAPE[0], : SHAPE[1]]
    inside = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2
    volume = np.zeros(SHAPE, np.uint8)
    volume[inside, 1:8] = value
    return volume


def person(truth: np.ndarray, **habits: float) -> Annotator:
    return Annotator(truth, SPACING, Habits(**habits), Costs(slice=10, click=2, millimetre=0.5))


def labelled(who: Annotator, prediction: np.ndarray | None = None, index: int = 4):
    annotation = Annotation.empty(SHAPE)
    answer = who.label(annotation, 2, index, prediction)
    assert annotation.slice_is_complete(2, index)
    assert not annotation.known[..., index - 1].any()
    return annotation, answer


def test_without_a_prediction_the_whole_contour_is_drawn():
    truth = disc(16)
    annotation, answer = labelled(person(truth))
    np.testing.assert_array_equal(annotation.labels[..., 4], truth[..., 4])
    assert set(np.unique(annotation.known[..., 4])) == {Known.DRAWN, Known.COMPLETED}
    assert answer.contour_mm == pytest.approx(2 * math.pi * 16, rel=0.05)
    assert answer.clicks == 1
    assert answer.seconds == pytest.approx(10 + 2 + 0.5 * answer.contour_mm)


def test_an_empty_slice_costs_a_look():
    annotation, answer = labelled(person(disc(16)), index=0)
    assert not annotation.labels.any()
    assert (answer.contour_mm, answer.clicks, answer.seconds) == (0, 0, 10)


def test_a_prediction_within_the_tolerance_is_accepted():
    prediction = disc(17.4)
    annotation, answer = labelled(person(disc(16)), prediction)
    np.testing.assert_array_equal(annotation.labels[..., 4], prediction[..., 4])
    assert set(np.unique(annotation.known[..., 4])) == {Known.ACCEPTED}
    assert answer.seconds == 10


def test_only_the_part_that_is_too_far_off_is_drawn_anew():
    truth, prediction = disc(16), disc(17)
    prediction[32:38, 48:58, 1:8] = 1
    annotation, answer = labelled(person(truth), prediction)
    assert not annotation.labels[32:38, 51:58, 4].any()
    assert (annotation.labels[..., 4] != truth[..., 4]).any()
    assert {Known.ACCEPTED, Known.DRAWN} == set(np.unique(annotation.known[..., 4]))
    assert answer.clicks == 1
    assert 4 < answer.contour_mm < 25


def test_a_piece_that_is_not_there_is_taken_away_with_a_click():
    truth = disc(16)
    annotation, answer = labelled(person(truth), truth | disc(4, centre=(8, 8)))
    np.testing.assert_array_equal(annotation.labels[..., 4], truth[..., 4])
    assert (answer.contour_mm, answer.clicks) == (0, 1)


def test_a_thin_piece_that_was_missed_is_drawn_however_thin():
    truth = np.zeros(SHAPE, np.uint8)
    truth[20:22, 10:50, 1:8] = 1
    annotation, _ = labelled(person(truth), np.zeros(SHAPE, np.uint8))
    np.testing.assert_array_equal(annotation.labels[..., 4], truth[..., 4])


def test_one_structure_taken_for_another_is_mended():
    truth = disc(16)
    truth[32:] *= 2
    annotation, answer = labelled(person(truth), disc(16))
    assert (annotation.labels[40, 32, 4], annotation.labels[24, 32, 4]) == (2, 1)
    assert answer.contour_mm > 60


def test_what_is_known_already_stays_and_costs_nothing():
    truth = disc(16)
    annotation = Annotation.empty(SHAPE)
    annotation.labels[..., 4], annotation.known[..., 4] = 1, Known.DRAWN
    answer = person(truth).label(annotation, 2, 4, None)
    assert (annotation.labels[..., 4] == 1).all()
    assert answer.seconds == 10


@pytest.mark.parametrize("bias", [-3.0, 2.0])
def test_bias_moves_every_contour(bias):
    annotation, _ = labelled(person(disc(16), bias_mm=bias))
    area = np.count_nonzero(annotation.labels[..., 4])
    assert area == pytest.approx(math.pi * (16 + bias) ** 2, rel=0.08)


def test_structures_that_touch_do_not_grow_over_each_other():
    labels = np.zeros((20, 20), np.uint8)
    labels[2:10, 5:15], labels[10:18, 5:15] = 1, 2
    wide = widen(labels, (1.0, 1.0), 2.0)
    assert (wide[:10] != 2).all() and (wide[10:] != 1).all()
    assert wide[0].max() == 1 and wide[-1].max() == 2


def test_the_ends_of_a_structure_can_be_overlooked_but_never_all_of_it():
    who = person(disc(16), missed_ends=2)
    drawn = [bool(who.draw(2, index).any()) for index in range(SHAPE[2])]
    assert drawn == [False, False, False, True, True, True, False, False, False]
    thin = person(np.where(np.arange(9) == 4, disc(16), 0).astype(np.uint8), missed_ends=2)
    assert thin.draw(2, 4).any()


def test_a_contour_is_measured_in_millimetres_of_the_plane():
    labels = np.zeros((30, 30), np.uint8)
    labels[10:20, 10:20] = 1
    every = np.ones_like(labels, bool)
    assert contour_mm(labels, every, (1.0, 3.0)) == pytest.approx(math.pi / 4 * (20 * 3 + 20 * 1))
    assert contour_mm(labels, ~every, (1.0, 3.0)) == 0
