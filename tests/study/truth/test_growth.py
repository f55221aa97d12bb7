"""Pieces from strokes: on shapes whose truth is known, and on a real scan."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.errors import StudyError
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.truth import growth
from napari_dycon.study.truth.annotations import Annotation, Known
from napari_dycon.study.truth.growth import Opinion, Stroke, grow
from napari_dycon.study.truth.regions import Selection, select

ATRIUM = Structure(value=1, name="left atrium")
VEIN = Structure(value=2, name="vein")
DATA = Path(__file__).parents[4] / "shared" / "data" / "left_atrium_1.25mm"
SHAPE = (60, 56, 24)
SPACING = (1.0, 1.0, 2.0)
MIDDLE = (30, 28, 12)


def ball(radius=14.0, middle=MIDDLE, shape=SHAPE, spacing=SPACING):
    places = np.indices(shape).reshape(3, -1).T
    far = np.linalg.norm((places - np.array(middle)) * spacing, axis=1)
    return (far <= radius).reshape(shape)


def picture(truth, noise=10.0, contrast=60.0):
    values = np.random.default_rng(3).normal(100, noise, truth.shape) + contrast * truth
    return values.astype(np.float32)


def dash(x, y, z, inside=True):
    """A stroke two voxels wide on an axial slice."""
    return Stroke(Selection((slice(*x), slice(y, y + 2), slice(z, z + 1))), inside)


INSIDE = dash((20, 41), 28, 12)


def dice(first, second):
    return 2 * np.count_nonzero(first & second) / (first.sum() + second.sum())


def whole(found, shape=SHAPE):
    mask = np.zeros(shape, bool)
    mask[found.box] = found.piece
    return mask


def test_one_stroke_finds_a_ball():
    truth = ball()
    found = grow(picture(truth), SPACING, Annotation.empty(SHAPE), ATRIUM, [INSIDE])
    assert dice(whole(found), truth) > 0.93
    assert found.name == "Grow left atrium"


def test_a_stroke_outside_keeps_it_out_of_what_looks_the_same():
    truth, other = ball(10, (22, 28, 12)), ball(9, (42, 28, 12))
    image = picture(truth | other, noise=5)
    inside, outside = dash((15, 30), 28, 12), dash((38, 47), 28, 12, inside=False)
    alone = whole(grow(image, SPACING, Annotation.empty(SHAPE), ATRIUM, [inside]))
    both = whole(grow(image, SPACING, Annotation.empty(SHAPE), ATRIUM, [inside, outside]))
    assert (both & other).sum() < 0.1 * other.sum()
    assert (both & other).sum() <= (alone & other).sum()
    assert dice(both, truth) > 0.85


def test_of_two_strokes_the_later_one_counts():
    again = dash((20, 41), 28, 12, inside=False)
    with pytest.raises(StudyError, match="labelled already"):
        grow(picture(ball()), SPACING, Annotation.empty(SHAPE), ATRIUM, [INSIDE, again])
    found = grow(picture(ball()), SPACING, Annotation.empty(SHAPE), ATRIUM, [again, INSIDE])
    assert whole(found)[INSIDE.where.box].all()


def test_what_a_model_says_helps_where_intensities_do_not():
    truth = ball(14)
    image = picture(truth, contrast=0.0)
    opinion = Opinion(truth.astype(np.uint8), np.full(SHAPE, 60, np.uint8))
    without = dice(whole(grow(image, SPACING, Annotation.empty(SHAPE), ATRIUM, [INSIDE])), truth)
    found = grow(image, SPACING, Annotation.empty(SHAPE), ATRIUM, [INSIDE], opinion)
    assert dice(whole(found), truth) > max(0.85, without + 0.1)


def test_a_model_of_another_structure_says_outside():
    truth = ball(14)
    opinion = Opinion(np.where(truth, 2, 0).astype(np.uint8), None)
    found = grow(picture(truth), SPACING, Annotation.empty(SHAPE), ATRIUM, [INSIDE], opinion)
    assert whole(found).sum() < 0.5 * truth.sum()


def test_strokes_are_drawn_and_the_rest_is_accepted_as_one_edit():
    annotation = Annotation.empty(SHAPE)
    outside = dash((2, 8), 4, 12, inside=False)
    outside_near = dash((26, 34), 14, 12, inside=False)
    found = grow(picture(ball()), SPACING, annotation, ATRIUM, [INSIDE, outside, outside_near])
    edit = found.edit(annotation)
    edit.apply(annotation)
    assert edit.reason == "grow"
    assert (annotation.known[INSIDE.where.box] == Known.DRAWN).all()
    assert (annotation.labels[INSIDE.where.box] == 1).all()
    assert (annotation.known[outside_near.where.box] == Known.DRAWN).all()
    assert not annotation.labels[outside_near.where.box].any()
    rest = whole(found)
    rest[INSIDE.where.box] = False
    assert (annotation.known[rest] == Known.ACCEPTED).all()
    assert (annotation.labels[rest] == 1).all()
    assert (
        not annotation.training_target([1], {Known.ACCEPTED})[rest].any()
        or (annotation.training_target([1], {Known.ACCEPTED})[rest] == 255).all()
    ), "quality is not measured on it"
    edit.undo(annotation)
    assert not annotation.labels.any()
    assert not annotation.known.any()


def test_what_a_person_has_said_stays_and_guides():
    truth, annotation = ball(), Annotation.empty(SHAPE)
    taken = (slice(20, 40), slice(32, 44), slice(8, 16))
    annotation.labels[taken], annotation.known[taken] = 2, Known.DRAWN
    closed = (slice(None), slice(None), slice(9, 10))
    annotation.known[closed][annotation.known[closed] == 0] = Known.COMPLETED
    accepted = (slice(28, 32), slice(22, 25), slice(12, 13))
    annotation.labels[accepted], annotation.known[accepted] = 2, Known.ACCEPTED
    before = annotation.copy()
    found = grow(picture(truth), SPACING, annotation, ATRIUM, [INSIDE])
    found.edit(annotation).apply(annotation)
    for where in (taken, closed, accepted):
        assert np.array_equal(annotation.labels[where], before.labels[where])
        assert np.array_equal(annotation.known[where], before.known[where])
    assert not whole(found)[:, :, 9].any()
    assert whole(found)[:, :, 13].any()


def test_an_own_slice_that_is_drawn_does_not_cut_the_piece():
    truth, annotation = ball(), Annotation.empty(SHAPE)
    slab = (slice(None), slice(None), slice(14, 15))
    annotation.labels[slab], annotation.known[slab] = truth[slab], Known.DRAWN
    found = whole(grow(picture(truth), SPACING, annotation, ATRIUM, [INSIDE]))
    assert not found[:, :, 14].any(), "it is known already"
    assert found[:, :, 16].sum() > 0.7 * truth[:, :, 16].sum()


def test_what_was_painted_meanwhile_stays():
    annotation = Annotation.empty(SHAPE)
    found = grow(picture(ball()), SPACING, annotation, ATRIUM, [INSIDE])
    annotation.labels[30, 20, 12], annotation.known[30, 20, 12] = 2, Known.DRAWN
    found.edit(annotation).apply(annotation)
    assert annotation.labels[30, 20, 12] == 2


@pytest.mark.parametrize(
    ("strokes", "sentence"),
    [
        ([], "inside"),
        ([dash((20, 41), 28, 12, inside=False)], "inside"),
        ([Stroke(select(SHAPE, np.zeros(SHAPE, bool)), True)], "inside"),
    ],
)
def test_without_a_stroke_inside_it_says_so(strokes, sentence):
    with pytest.raises(StudyError, match=sentence):
        grow(picture(ball()), SPACING, Annotation.empty(SHAPE), ATRIUM, strokes)


def test_a_stroke_on_another_structure_is_refused():
    annotation = Annotation.empty(SHAPE)
    annotation.labels[...], annotation.known[...] = 2, Known.DRAWN
    with pytest.raises(StudyError, match="labelled already"):
        grow(picture(ball()), SPACING, annotation, ATRIUM, [INSIDE])


def test_where_everything_looks_the_same_it_says_so():
    with pytest.raises(StudyError, match="same intensity"):
        grow(np.zeros(SHAPE, np.uint8), SPACING, Annotation.empty(SHAPE), ATRIUM, [INSIDE])


def test_values_that_are_not_finite_do_no_harm():
    truth, image = ball(), picture(ball())
    image[::7, ::5, ::3] = np.nan
    found = grow(image, SPACING, Annotation.empty(SHAPE), ATRIUM, [INSIDE])
    assert dice(whole(found), truth) > 0.6


def test_thick_slices_are_not_made_thicker_and_large_boxes_are_made_coarser(monkeypatch):
    seen = []
    walk = growth.walk

    def note(image, spacing, *rest):
        seen.append((image.size, spacing))
        return walk(image, spacing, *rest)

    monkeypatch.setattr(growth, "walk", note)
    shape, spacing = (240, 240, 12), (0.8, 0.8, 8.0)
    truth = ball(40, (120, 120, 6), shape, spacing)
    stroke = Stroke(Selection((slice(80, 160), slice(119, 121), slice(6, 7))), True)
    found = grow(picture(truth), spacing, Annotation.empty(shape), ATRIUM, [stroke])
    ((size, coarse),) = seen
    assert size <= growth.MOST_VOXELS
    assert coarse[2] == 8.0
    assert coarse[0] > 0.8
    assert dice(whole(found, shape), truth) > 0.85


def test_the_work_can_be_ended():
    class Enough(Exception):
        pass

    def look_up():
        raise Enough

    with pytest.raises(Enough):
        grow(picture(ball()), SPACING, Annotation.empty(SHAPE), ATRIUM, [INSIDE], None, look_up)


@pytest.mark.skipif(not DATA.exists(), reason="real scans are not there")
def test_strokes_on_an_atrium_find_most_of_it_and_corrections_help():
    name = "LA_005.nii.gz"
    paths = sorted((DATA / "images").glob("*.nii.gz"))
    path = next((path for path in paths if path.name == name), paths[5])
    image = nib.load(path)
    truth = np.asarray(nib.load(DATA / "labels" / path.name).dataobj) == 1
    spacing = tuple(float(size) for size in image.header.get_zooms()[:3])
    index = int(truth.sum(axis=(0, 1)).argmax())
    inside = np.zeros(truth.shape, bool)
    x, y = np.rint(np.argwhere(truth[:, :, index]).mean(axis=0)).astype(int)
    inside[:, y - 1 : y + 1, index] = truth[:, y - 1 : y + 1, index]
    inside[x - 1 : x + 1, :, index] |= truth[x - 1 : x + 1, :, index]
    annotation, strokes = Annotation.empty(truth.shape), [Stroke(select(truth.shape, inside), True)]
    first = whole(grow(np.asarray(image.dataobj), spacing, annotation, ATRIUM, strokes), truth.shape)
    assert dice(first, truth) > 0.5
    for wrong, is_inside in ((first & ~truth, False), (truth & ~first, True)):
        at = int(wrong.sum(axis=(0, 1)).argmax())
        mask = np.zeros(truth.shape, bool)
        mask[:, :, at] = wrong[:, :, at]
        strokes.append(Stroke(select(truth.shape, mask), is_inside))
    later = whole(grow(np.asarray(image.dataobj), spacing, annotation, ATRIUM, strokes), truth.shape)
    assert dice(later, truth) > dice(first, truth)
