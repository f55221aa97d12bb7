import numpy as np
import pytest

from napari_dycon.study.truth.annotations import IGNORE, UNKNOWN, Annotation, Known

SHAPE = (6, 5, 4)


def test_an_empty_annotation_knows_nothing_and_a_full_one_everything():
    assert Annotation.empty(SHAPE).known_fraction == 0
    full = Annotation.full(np.ones(SHAPE, np.uint8))
    assert full.known_fraction == 1
    assert (full.known == Known.DRAWN).all()


def test_completing_a_slice_makes_its_unknown_voxels_background_and_no_others():
    annotation = Annotation.empty(SHAPE)
    annotation.labels[1, 2, 3], annotation.known[1, 2, 3] = 7, Known.DRAWN
    annotation.complete_slice(axis=2, index=3)
    assert annotation.slice_is_complete(2, 3)
    assert annotation.labels[1, 2, 3] == 7
    assert annotation.complete_slices(2) == [3]
    assert annotation.known[:, :, :3].max() == Known.UNKNOWN
    assert annotation.known_fraction == 1 / 4


def test_reopening_gives_back_the_background_of_completing_but_not_what_was_painted_or_erased():
    annotation = Annotation.empty(SHAPE)
    annotation.labels[1, 2, 3], annotation.known[1, 2, 3] = 7, Known.DRAWN
    annotation.known[0, 0, 3] = Known.DRAWN  # erased by hand
    before = annotation.known.copy()
    annotation.complete_slice(2, 3)
    annotation.reopen_slice(2, 3)
    np.testing.assert_array_equal(annotation.known, before)


def test_reopening_a_slice_of_an_earlier_session_keeps_paint_and_accepted_voxels():
    annotation = Annotation.full(np.zeros(SHAPE, np.uint8))
    annotation.labels[1, 2, 3] = 7
    annotation.known[2, 2, 3] = Known.ACCEPTED
    annotation.reopen_slice(2, 3)
    assert np.argwhere(annotation.known[:, :, 3]).tolist() == [[1, 2], [2, 2]]
    assert annotation.slice_is_complete(2, 2)


def test_accepting_never_overwrites_what_a_person_drew_or_told_to_ignore():
    annotation = Annotation.empty(SHAPE)
    annotation.labels[0, 0, 0], annotation.known[0, 0, 0] = 5, Known.DRAWN
    annotation.known[1, 0, 0] = Known.IGNORE
    annotation.known[2, 0, 0] = Known.INTERPOLATED
    annotation.accept(np.full(SHAPE, 9, np.uint8))
    assert annotation.labels[0, 0, 0] == 5
    assert annotation.known[:3, 0, 0].tolist() == [Known.DRAWN, Known.IGNORE, Known.ACCEPTED]
    assert annotation.labels[2, 0, 0] == 9
    assert annotation.known_fraction == 1


@pytest.mark.parametrize("as_mask", [False, True])
def test_accepting_a_part_leaves_the_rest_unknown(as_mask):
    annotation = Annotation.empty(SHAPE)
    where = (slice(None), slice(None), slice(1, 2))
    mask = np.zeros(SHAPE, bool)
    mask[where] = True
    annotation.accept(np.full(SHAPE, 9, np.uint8), mask if as_mask else where)
    np.testing.assert_array_equal(annotation.known == Known.ACCEPTED, mask)
    np.testing.assert_array_equal(annotation.labels == 9, mask)


def test_the_training_target_speaks_only_where_something_is_known():
    annotation = Annotation.empty(SHAPE)
    annotation.labels[:3] = np.array([40, 7, 99], np.uint8)[:, None, None]
    annotation.known[:4] = Known.DRAWN
    annotation.known[0, 0, 0] = Known.IGNORE
    target = annotation.training_target([7, 40])
    assert target[0, 0, 0] == IGNORE
    assert target[0, 1, 0] == 2
    assert (target[1] == 1).all()
    assert (target[2] == IGNORE).all()  # a value without a structure
    assert (target[3] == 0).all()
    assert (target[4:] == UNKNOWN).all()


def test_labels_of_unknown_voxels_never_reach_the_training_target():
    labels = np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.uint8)
    garbage, empty = Annotation(labels, np.zeros(SHAPE, np.uint8)), Annotation.empty(SHAPE)
    np.testing.assert_array_equal(garbage.training_target([1, 2]), empty.training_target([1, 2]))
    assert garbage.label_voxels() == {}


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="uint8"):
        Annotation(np.zeros(SHAPE), np.zeros(SHAPE))
    with pytest.raises(ValueError, match="one 3D shape"):
        Annotation(np.zeros(SHAPE, np.uint8), np.zeros((6, 5, 3), np.uint8))
    with pytest.raises(ValueError, match="differ in size"):
        Annotation.empty(SHAPE).accept(np.zeros((6, 5, 3), np.uint8))


def random_annotation(seed):
    rng = np.random.default_rng(seed)
    known = rng.choice(5, SHAPE, p=[0.6, 0.1, 0.1, 0.1, 0.1]).astype(np.uint8)
    return Annotation(((known > 0) * rng.integers(0, 3, SHAPE)).astype(np.uint8), known)


@pytest.mark.parametrize("seed", range(5))
def test_reopening_is_the_exact_reverse_of_completing_even_after_the_study_was_closed(seed):
    rng = np.random.default_rng(seed)
    annotation = random_annotation(seed)
    states, completed = [], []
    for axis in rng.permutation(3):
        index = int(rng.integers(SHAPE[axis]))
        states.append(annotation.known.copy())
        annotation.complete_slice(int(axis), index)
        completed.append((int(axis), index))
    annotation = annotation.copy()  # as read from disk
    for state, (axis, index) in zip(reversed(states), reversed(completed), strict=True):
        annotation.reopen_slice(axis, index)
        np.testing.assert_array_equal(annotation.known, state)


def test_reopening_a_slice_leaves_crossing_slices_complete_in_any_order():
    annotation = Annotation.empty(SHAPE)
    annotation.complete_slice(2, 1)
    annotation.complete_slice(0, 3)
    annotation.reopen_slice(2, 1)
    only = Annotation.empty(SHAPE)
    only.complete_slice(0, 3)
    np.testing.assert_array_equal(annotation.known, only.known)


def test_a_slice_of_a_complete_case_can_be_reopened():
    annotation = Annotation.empty(SHAPE)
    annotation.complete_all()
    annotation.reopen_slice(1, 2)
    assert not annotation.known[:, 2].any()
    assert annotation.known_fraction == 4 / 5
    annotation.reopen_all()
    assert annotation.known_fraction == 0


def test_completed_background_is_said_by_a_person():
    annotation = Annotation.empty(SHAPE)
    annotation.complete_slice(2, 1)
    annotation.accept(np.full(SHAPE, 9, np.uint8))
    assert (annotation.labels[:, :, 1] == 0).all()
    assert (annotation.training_target([9])[:, :, 1] == 0).all()


def test_interpolated_voxels_weigh_less_or_are_left_out():
    annotation = Annotation.full(np.ones(SHAPE, np.uint8))
    assert annotation.training_weight() is None
    annotation.known[2], annotation.known[3] = Known.INTERPOLATED, Known.ACCEPTED
    weight = annotation.training_weight()
    assert (weight[2] == 0.5).all()
    assert (np.delete(weight, 2, 0) == 1).all()
    assert annotation.training_weight({}) is None
    assert (annotation.training_weight({Known.ACCEPTED: 0.25})[3] == 0.25).all()
    target = annotation.training_target([1], without={Known.INTERPOLATED, Known.ACCEPTED})
    assert (target[2:4] == UNKNOWN).all()
    assert (np.delete(target, (2, 3), 0) == 1).all()
