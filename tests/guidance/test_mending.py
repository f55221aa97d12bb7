import numpy as np

from napari_dycon.guidance.mending import Tally
from napari_dycon.study.truth.annotations import Known


def arrays():
    labels, known = np.zeros((4, 5), np.uint8), np.zeros((4, 5), np.uint8)
    predicted = np.zeros((4, 5), np.uint8)
    predicted[1:3, 1:4] = 1
    return labels, known, predicted


def test_nothing_said_is_nothing_changed():
    labels, known, predicted = arrays()
    assert Tally.of(labels, known, predicted) == Tally(0, 0, 0, 6)


def test_only_what_is_said_against_the_prediction_counts_as_changed():
    labels, known, predicted = arrays()
    before = Tally.of(labels, known, predicted)
    labels[predicted > 0], known[...] = 1, Known.ACCEPTED
    assert Tally.of(labels, known, predicted).since(before) == Tally(20, 20, 0, 6)
    labels[1, 1], known[1, 1] = 0, Known.DRAWN  # too wide
    labels[0, 0], known[0, 0] = 2, Known.DRAWN  # missed
    known[3] = Known.IGNORE
    assert Tally.of(labels, known, predicted).since(before) == Tally(15, 13, 2, 7)


def test_what_was_known_before_is_not_counted_again():
    labels, known, predicted = arrays()
    labels[1], known[1] = 0, Known.DRAWN
    before = Tally.of(labels, known, predicted)
    assert before.changed == 3
    known[...] = Known.COMPLETED
    assert Tally.of(labels, known, predicted).since(before) == Tally(15, 0, 3, 6)


def test_without_a_prediction_there_is_nothing_to_change():
    labels, known, _ = arrays()
    known[...] = Known.DRAWN
    assert Tally.of(labels, known, None).since(Tally(0, 0, None, None)) == Tally(20, 0, None, None)
