"""Boxes lie inside their patches, and a mixed patch keeps each voxel's own label."""

import pytest
import torch

from napari_dycon.learning.mixing import boxes_or_around, paste, random_boxes


def _extents(mask):
    """First and one past the last voxel of each box along each axis, `(B, 3, 2)`."""
    found = []
    for box in mask[:, 0]:
        places = box.nonzero()
        found.append(torch.stack([places.min(dim=0).values, places.max(dim=0).values + 1], dim=1))
    return torch.stack(found)


def test_a_box_is_solid_and_of_the_share_asked_for_on_every_axis():
    mask = random_boxes(7, (12, 9, 5), 2 / 3)
    assert mask.shape == (7, 1, 12, 9, 5) and mask.dtype == torch.bool
    lengths = _extents(mask).diff(dim=2).squeeze(2)
    assert torch.equal(lengths, torch.tensor([8, 6, 3]).expand(7, 3))
    assert torch.equal(mask.flatten(1).sum(dim=1), lengths.prod(dim=1)), "a box has no holes"


def test_boxes_reach_every_corner_and_differ_between_patches():
    starts = _extents(random_boxes(400, (6, 4, 3), 0.5))[:, :, 0]
    assert starts.min(dim=0).values.tolist() == [0, 0, 0]
    assert starts.max(dim=0).values.tolist() == [3, 2, 2]
    counts = torch.bincount(starts[:, 0])
    assert counts.min() > 60, "each of the four places about 100 times"


def test_each_patch_can_have_a_box_of_its_own_size():
    lengths = _extents(random_boxes(3, (8, 8, 8), torch.tensor([0.25, 0.5, 1.0]))).diff(dim=2)
    assert lengths[:, 0, 0].tolist() == [2, 4, 8]


@pytest.mark.parametrize(("share", "voxels"), [(0.0, 1), (1e-6, 1), (1.0, 6 * 4 * 1)])
def test_a_box_has_at_least_one_voxel_and_at_most_the_patch(share, voxels):
    mask = random_boxes(20, (6, 4, 1), share)
    assert mask.flatten(1).sum(dim=1).tolist() == [voxels] * 20


def test_no_patches_give_no_boxes():
    assert random_boxes(0, (4, 4, 4), 0.5).shape == (0, 1, 4, 4, 4)


def test_a_generator_repeats_its_boxes_and_leaves_the_global_one_alone():
    state = torch.get_rng_state()
    first, second = (
        random_boxes(4, (16, 16, 16), 0.5, generator=torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(first, random_boxes(4, (16, 16, 16), 0.5))


def test_images_targets_and_weights_are_pasted_alike():
    mask = random_boxes(3, (6, 5, 4), 0.5)
    inside, outside = torch.rand(3, 2, 6, 5, 4), -torch.rand(3, 2, 6, 5, 4)
    image = paste(inside, outside, mask)
    target = paste(torch.ones(3, 6, 5, 4).long(), torch.zeros(3, 6, 5, 4).long(), mask)
    assert target.dtype == torch.int64
    assert torch.equal(target == 1, mask[:, 0])
    assert torch.equal(image[:, 0] > 0, target == 1)
    assert torch.equal(image, torch.where(mask.expand_as(image), inside, outside))


def test_gradients_flow_to_both_patches_where_they_are_seen():
    mask = random_boxes(1, (4, 4, 4), 0.5)
    inside, outside = (torch.randn(1, 1, 4, 4, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    paste(inside, outside, mask).sum().backward()
    assert torch.equal(inside.grad == 1, mask)
    assert torch.equal(outside.grad == 1, ~mask)


def test_many_patches_are_mixed_without_a_channel_of_their_own():
    mask = random_boxes(1, (4, 4, 4), 0.5)
    weights = paste(torch.ones(5, 4, 4, 4), torch.zeros(5, 4, 4, 4), mask)
    assert torch.equal(weights.bool(), mask[:, 0].expand(5, 4, 4, 4))


def test_a_box_is_as_likely_as_all_around_one():
    torch.manual_seed(0)
    drawn = boxes_or_around(200, (8, 8, 8), 0.25)
    shares = drawn.float().mean(dim=(1, 2, 3, 4))
    assert set(shares.tolist()) == {8 / 512, 1 - 8 / 512}
    assert 70 < int((shares < 0.5).sum()) < 130
