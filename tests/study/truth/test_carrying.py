"""Labels of an earlier exam come to a later one, and never over what a person said of that."""

import numpy as np
import pytest

from napari_dycon.errors import StudyError
from napari_dycon.study.truth.annotations import Annotation, Known
from napari_dycon.study.truth.carrying import RIM_MM, carry
from napari_dycon.study.truth.editing import AnnotationEditor

SHAPE = (40, 12, 10)
SPACING = (1.0, 2.0, 3.0)


def there(values):
    """The later scan lies as the earlier one does."""
    return np.asarray(values, np.float32)


def shifted(values):
    """Everything has moved by half a voxel along the first axis, and what was at the end has left."""
    moved = np.zeros(SHAPE, np.float32)
    moved[1:] = 0.5 * (there(values)[1:] + there(values)[:-1])
    return moved


@pytest.fixture
def earlier():
    """A block of two structures in a scan that is known but for its last slices along the first axis."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[6:12, 4:8, 3:6] = 1
    labels[12:14, 4:8, 3:6] = 2
    known = np.full(SHAPE, Known.COMPLETED, np.uint8)
    known[labels > 0] = Known.DRAWN
    known[36:] = Known.UNKNOWN
    return Annotation(labels, known)


def test_structures_come_as_they_were_and_are_known_as_interpolated(earlier):
    now = Annotation.empty(SHAPE)
    edit = carry(earlier, there, SPACING, [1, 2], "Labels of A").edit(now)
    edit.apply(now)
    np.testing.assert_array_equal(now.labels, earlier.labels)
    assert set(np.unique(now.known)) == {Known.UNKNOWN, Known.INTERPOLATED}
    assert (now.known[earlier.labels > 0] == Known.INTERPOLATED).all()
    assert (edit.name, edit.reason) == ("Labels of A", "carry")


def test_background_comes_only_near_the_structures(earlier):
    carried = carry(earlier, there, SPACING, [1, 2], "Labels of A")
    assert carried.where[13 + int(RIM_MM), 5, 4]
    assert not carried.where[14 + int(RIM_MM), 5, 4]


def test_what_a_person_said_of_the_later_scan_stays(earlier):
    now = Annotation.empty(SHAPE)
    now.labels[8, 5, 4], now.known[8, 5, 4] = 2, Known.DRAWN
    now.known[9, 5, 4] = Known.COMPLETED
    now.known[10, 5, 4] = Known.IGNORE
    now.labels[11, 5, 4], now.known[11, 5, 4] = 2, Known.ACCEPTED
    now.known[7, 5, 4] = Known.INTERPOLATED
    before = now.copy()
    carry(earlier, there, SPACING, [1, 2], "Labels of A").edit(now).apply(now)
    np.testing.assert_array_equal(now.labels[8:12, 5, 4], before.labels[8:12, 5, 4])
    np.testing.assert_array_equal(now.known[8:12, 5, 4], before.known[8:12, 5, 4])
    assert now.labels[7, 5, 4] == 1


def test_one_undo_takes_all_of_it_back(earlier):
    from napari_dycon.io.geometry import Geometry

    editor = AnnotationEditor(Annotation.empty(SHAPE), Geometry(SHAPE, np.diag([*SPACING, 1.0])))
    editor.apply(carry(earlier, there, SPACING, [1, 2], "Labels of A").edit(editor.annotation))
    assert editor.undo_names == ["Labels of A"]
    editor.undo()
    assert not editor.labels.any() and not editor.known.any()


def test_what_is_unknown_or_not_cared_about_there_is_unknown_here(earlier):
    earlier.known[6:8, 4:8, 3:6] = Known.IGNORE
    earlier.known[8:10, 4:8, 3:6] = Known.UNKNOWN
    carried = carry(earlier, there, SPACING, [1, 2], "Labels of A")
    assert not carried.where[6:10, 4:8, 3:6].any()
    assert carried.where[10:14, 4:8, 3:6].all()


def test_between_voxels_the_larger_share_counts(earlier):
    carried = carry(earlier, shifted, SPACING, [1, 2], "Labels of A")
    np.testing.assert_array_equal(carried.labels[7:12, 5, 4], 1)
    np.testing.assert_array_equal(carried.labels[13, 5, 4], 2)


def test_a_value_without_a_structure_is_background(earlier):
    carried = carry(earlier, there, SPACING, [1], "Labels of A")
    assert set(np.unique(carried.labels)) == {0, 1}


def test_agreement_is_over_what_both_know(earlier):
    now = Annotation.empty(SHAPE)
    carried = carry(earlier, there, SPACING, [1, 2], "Labels of A")
    assert carried.agreement(now) == {}
    now.labels[6:12, 4:8, 3] = 1
    now.labels[6:9, 4:8, 3] = 0
    now.known[:, :, 3] = Known.DRAWN
    assert carried.agreement(now) == {1: pytest.approx(2 * 12 / (24 + 12)), 2: 0.0}


def test_nothing_to_carry_is_said(earlier):
    with pytest.raises(StudyError, match="No structure is labelled"):
        carry(Annotation.empty(SHAPE), there, SPACING, [1], "Labels of A")
    with pytest.raises(StudyError, match="does not show the place"):
        carry(earlier, lambda values: np.zeros(SHAPE, np.float32), SPACING, [1, 2], "Labels of A")
