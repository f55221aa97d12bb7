import numpy as np
import pytest

from napari_dycon.study.store.schema import Structure
from napari_dycon.study.truth.annotations import Annotation, Known
from napari_dycon.study.truth.cleanup import fill_holes, keep_largest, remove_islands, smooth
from napari_dycon.study.truth.regions import cuboid, one_slice

ATRIUM = Structure(value=1, name="left atrium")
VEIN = Structure(value=2, name="vein")
SHAPE = (24, 20, 16)


def scene(**boxes):
    """Everything is drawn; each box is ``value=(x, y, z)`` slices."""
    annotation = Annotation.full(np.zeros(SHAPE, np.uint8))
    for value, box in boxes.items():
        annotation.labels[box] = int(value[1])
    return annotation


def cleaned(annotation, edit):
    result = annotation.copy()
    edit.apply(result)
    back = result.copy()
    edit.undo(back)
    assert np.array_equal(back.labels, annotation.labels)
    assert np.array_equal(back.known, annotation.known)
    return result


def test_only_the_largest_piece_stays_and_other_structures_are_left_alone():
    annotation = scene(v1=np.s_[2:10, 2:10, 2:10], v2=np.s_[14:15, 2:4, 2:4])
    annotation.labels[20:22, 15:17, 12:14] = 1
    annotation.known[20, 15, 12] = Known.ACCEPTED
    edit = keep_largest(annotation, ATRIUM)
    result = cleaned(annotation, edit)
    assert edit.name == "Keep largest piece of left atrium"
    assert (result.labels == 1).sum() == 8**3
    assert (result.labels == 2).sum() == 4
    assert np.array_equal(result.known, annotation.known)


def test_pieces_that_only_touch_at_an_edge_are_two():
    annotation = scene(v1=np.s_[2:6, 2:6, 2:6])
    annotation.labels[6:8, 6:8, 2:6] = 1
    assert (cleaned(annotation, keep_largest(annotation, ATRIUM)).labels == 1).sum() == 64


def test_islands_are_measured_in_cubic_millimetres():
    annotation = scene(v1=np.s_[2:10, 2:10, 2:10])
    annotation.labels[20:22, 15, 12] = 1  # 2 voxels
    annotation.labels[20:23, 10, 12] = 1  # 3 voxels
    for spacing, left in [((1, 1, 1), 512 + 3), ((1, 1, 2), 512 + 5), ((0.5, 0.5, 0.5), 512)]:
        result = cleaned(annotation, remove_islands(annotation, ATRIUM, spacing, below_mm3=2.5))
        assert (result.labels == 1).sum() == left


def test_an_island_that_is_all_there_is_can_go_but_unknown_labels_are_none():
    annotation = scene(v1=np.s_[2:3, 2:3, 2:3])
    assert not (cleaned(annotation, remove_islands(annotation, ATRIUM, (1, 1, 1), 5)).labels == 1).any()
    annotation.known[:] = Known.UNKNOWN
    assert not remove_islands(annotation, ATRIUM, (1, 1, 1), 5)
    assert not keep_largest(annotation, VEIN)


def test_what_is_enclosed_is_filled_but_not_what_belongs_to_somebody_else():
    annotation = scene(v1=np.s_[2:12, 2:12, 2:12])
    annotation.labels[5:8, 5:8, 5:8] = 0
    annotation.labels[5, 5, 5] = 2
    annotation.known[6, 6, 6] = Known.UNKNOWN
    annotation.known[7, 7, 7] = Known.IGNORE
    annotation.labels[5:8, 5:8, 10:12] = 0  # open to one side
    result = cleaned(annotation, fill_holes(annotation, ATRIUM))
    assert (result.labels[5:8, 5:8, 5:8] == 1).sum() == 25
    assert result.labels[5, 5, 5] == 2
    assert (result.labels[6, 6, 6], result.known[6, 6, 6]) == (1, Known.DRAWN)
    assert (result.labels[7, 7, 7], result.known[7, 7, 7]) == (0, Known.IGNORE)
    assert not (result.labels[5:8, 5:8, 10:12] == 1).any()


@pytest.mark.parametrize("axis", range(3))
def test_a_tunnel_is_a_hole_only_in_the_slices_across_it(axis):
    annotation = scene(v1=np.s_[2:12, 2:12, 2:12])
    np.moveaxis(annotation.labels, axis, 0)[:, 5:8, 5:8] = 0
    assert not fill_holes(annotation, ATRIUM)
    assert not fill_holes(annotation, ATRIUM, axis=(axis + 1) % 3)
    result = cleaned(annotation, fill_holes(annotation, ATRIUM, axis=axis))
    assert (result.labels == 1).sum() == 10**3


def rough_ball(spacing, seed=0):
    rng = np.random.default_rng(seed)
    shape = tuple(round(44 / s) for s in spacing)
    grid = np.meshgrid(
        *((np.arange(n) - n / 2) * s for n, s in zip(shape, spacing, strict=True)), indexing="ij"
    )
    distance = np.sqrt(sum(axis**2 for axis in grid))
    return Annotation.full((distance + rng.normal(0, 1.5, shape) < 15).astype(np.uint8)), distance < 15


@pytest.mark.parametrize("spacing", [(1, 1, 1), (1, 1, 2.5)])
@pytest.mark.parametrize(("method", "size"), [("gaussian", 1.5), ("median", 5)])
def test_a_rough_ball_becomes_smoother_and_keeps_its_volume(spacing, method, size):
    annotation, truth = rough_ball(spacing)
    rough = annotation.labels == 1
    tidy = Annotation.full(np.zeros_like(annotation.labels))
    remove_islands(annotation, ATRIUM, spacing, 50).apply(annotation)
    result = cleaned(annotation, smooth(annotation, ATRIUM, spacing, size, method)).labels == 1
    assert tidy.labels.shape == result.shape
    assert np.count_nonzero(result != truth) < 0.6 * np.count_nonzero(rough != truth)
    assert result.sum() == pytest.approx(truth.sum(), rel=0.08)


@pytest.mark.parametrize("method", ["gaussian", "median"])
def test_thin_parts_survive_smoothing_in_one_piece(method):
    annotation = scene(v1=np.s_[2:10, 4:14, 4:12])
    annotation.labels[10:22, 8, 8] = 1  # a vessel one voxel wide
    annotation.labels[2:10, 18, 4:12] = 1  # a sheet one voxel thick
    annotation.labels[5, 14, 7] = 1  # a bump
    result = cleaned(annotation, smooth(annotation, ATRIUM, (1, 1, 1), 3, method))
    assert (result.labels[10:22, 8, 8] == 1).all()
    assert (result.labels[2:10, 18, 4:12] == 1).all()
    assert result.labels[5, 14, 7] == 0


def test_smoothing_grows_over_no_other_structure_and_no_ignored_voxel():
    annotation = scene(v1=np.s_[2:12, 2:12, 2:12])
    annotation.labels[6:8, 6:8, 11] = 2
    annotation.known[4:6, 6:8, 11] = Known.IGNORE
    result = cleaned(annotation, smooth(annotation, ATRIUM, (1, 1, 1), 2))
    assert (result.labels[6:8, 6:8, 11] == 2).all()
    assert (result.known == Known.IGNORE).sum() == 4


def test_background_by_completing_becomes_drawn_where_the_structure_grows():
    annotation = Annotation.empty(SHAPE)
    annotation.labels[2:12, 2:12, 2:12] = 1
    annotation.known[annotation.labels == 1] = Known.DRAWN
    annotation.labels[6, 6, 6] = annotation.known[6, 6, 6] = 0
    annotation.complete_all()
    result = cleaned(annotation, fill_holes(annotation, ATRIUM))
    assert result.known[6, 6, 6] == Known.DRAWN


@pytest.mark.parametrize("where", ["slice", "box", "mask"])
def test_a_region_limits_what_changes(where):
    annotation = scene(v1=np.s_[2:8, 2:8, 2:14])
    annotation.labels[15:17, 10:12, 2:14] = 1
    region = {
        "slice": one_slice(SHAPE, 2, 5),
        "box": cuboid(SHAPE, (0, 0, 4), (23, 19, 6)),
        "mask": np.broadcast_to(np.isin(np.arange(16), (4, 5, 6)), SHAPE),
    }[where]
    result = cleaned(annotation, keep_largest(annotation, ATRIUM, region))
    slices = np.flatnonzero((result.labels != annotation.labels).any(axis=(0, 1)))
    assert slices.tolist() == ([5] if where == "slice" else [4, 5, 6])
    assert (result.labels[..., 5] == 1).sum() == 36
