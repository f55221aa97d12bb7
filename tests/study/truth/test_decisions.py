import numpy as np
import pytest

from napari_dycon.io.geometry import Geometry
from napari_dycon.study.truth.annotations import Annotation, Known
from napari_dycon.study.truth.editing import AnnotationEditor
from napari_dycon.study.truth.regions import connected_piece, cuboid, polygon

SHAPE = (8, 7, 6)


@pytest.fixture
def editor():
    """One voxel is drawn as 2, one is to be ignored; the rest is unknown."""
    annotation = Annotation.empty(SHAPE)
    annotation.labels[1, 1, 1], annotation.known[1, 1, 1] = 2, Known.DRAWN
    annotation.known[2, 2, 2] = Known.IGNORE
    return AnnotationEditor(annotation, Geometry(SHAPE, np.eye(4)))


def voxels(editor, known):
    return int(np.count_nonzero(editor.known == known))


@pytest.mark.parametrize(
    "where",
    [cuboid(SHAPE, (0, 0, 0), (3, 3, 3)), polygon(SHAPE, 2, 2, [(-1, -1), (-1, 5.5), (5.5, -1)]), None],
)
def test_a_region_is_complete_and_not_complete_again(editor, where):
    before = editor.known.copy()
    edit = editor.complete(where)
    assert voxels(editor, Known.COMPLETED) == edit.voxels > 5
    editor.reopen(where)
    np.testing.assert_array_equal(editor.known, before)
    assert editor.undo_names == ["Region not complete", "Region complete"]


def test_a_case_is_complete_and_not_complete_again(editor):
    before = editor.known.copy()
    editor.complete_case()
    assert editor.annotation.known_fraction == 1
    editor.reopen_case()
    np.testing.assert_array_equal(editor.known, before)


def test_a_region_of_a_full_label_map_can_be_opened_again():
    editor = AnnotationEditor(Annotation.full(np.zeros(SHAPE, np.uint8)), Geometry(SHAPE, np.eye(4)))
    editor.labels[0, 0, 0] = 1
    editor.reopen(cuboid(SHAPE, (0, 0, 0), (1, 1, 1)))
    assert voxels(editor, Known.UNKNOWN) == 7
    assert editor.known[0, 0, 0] == Known.DRAWN


def test_the_piece_of_a_prediction_under_a_voxel_is_accepted_or_rejected(editor):
    prediction = np.zeros(SHAPE, np.uint8)
    prediction[0:3, 1, 1] = 1  # touches what was drawn as something else
    prediction[5:7, 5, 5] = 1
    accepted = editor.accept(prediction, connected_piece(prediction, (5, 5, 5)), run="001-dycon")
    assert (editor.labels[5:7, 5, 5] == 1).all()
    assert voxels(editor, Known.ACCEPTED) == accepted.voxels == 2
    assert accepted.run == "001-dycon"
    rejected = editor.reject(prediction, connected_piece(prediction, (0, 1, 1)))
    assert rejected.voxels == 2
    assert (editor.labels[[0, 2], 1, 1] == 0).all()
    assert (editor.known[[0, 2], 1, 1] == Known.DRAWN).all()
    assert editor.labels[1, 1, 1] == 2


def test_accepting_can_be_withdrawn_in_a_part(editor):
    before = editor.annotation.copy()
    editor.accept(np.ones(SHAPE, np.uint8))
    editor.withdraw((slice(None), slice(None), 3))
    assert not editor.known[:, :, 3].any()
    assert editor.annotation.slice_is_complete(2, 4)
    editor.withdraw()
    np.testing.assert_array_equal(editor.known, before.known)
    np.testing.assert_array_equal(editor.labels, before.labels)


def test_a_region_to_be_ignored_and_one_to_be_forgotten(editor):
    editor.ignore(cuboid(SHAPE, (0, 0, 0), (1, 1, 1)))
    assert voxels(editor, Known.IGNORE) == 9
    editor.forget(None)
    assert not editor.known.any()
    assert not editor.labels.any()
    editor.undo()
    editor.undo()
    assert (editor.labels[1, 1, 1], editor.known[1, 1, 1]) == (2, Known.DRAWN)
