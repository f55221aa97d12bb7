"""What a batch accepts, and which labels it lets through."""

import pytest
import torch

from napari_dycon.learning.batch import IGNORE, UNKNOWN, Batch


def _image(count=2, size=(4, 5, 6), channels=1):
    return torch.randn(count, channels, *size)


def test_labels_of_weight_zero_are_unknown():
    target = torch.tensor([1, 1, IGNORE, UNKNOWN]).reshape(1, 4, 1, 1)
    weight = torch.tensor([1.0, 0.0, 0.0, 1.0]).reshape(1, 4, 1, 1)
    batch = Batch(_image(1, (4, 1, 1)), target, weight)
    assert batch.supervision.flatten().tolist() == [1, UNKNOWN, IGNORE, UNKNOWN]


def test_a_batch_has_no_place_for_labels_of_unlabelled_patches():
    with pytest.raises(ValueError, match="target has shape"):
        Batch(_image(2), torch.zeros(4, 4, 5, 6, dtype=torch.int64), None, _image(2), _image(2))


@pytest.mark.parametrize(
    "views",
    [
        {"weak": _image()},
        {"weak": _image(), "strong": _image(3)},
        {"weak": _image(size=(4, 5, 5)), "strong": _image(size=(4, 5, 5))},
        {"weak": _image(channels=2), "strong": _image(channels=2)},
        {"weight": torch.ones(2, 4, 5)},
    ],
)
def test_views_that_do_not_belong_together_are_refused(views):
    with pytest.raises(ValueError):
        Batch(_image(), torch.zeros(2, 4, 5, 6, dtype=torch.int64), **views)


def test_moving_a_batch_keeps_its_values():
    batch = Batch(
        _image(channels=2), torch.zeros(2, 4, 5, 6, dtype=torch.int64), None, *[_image(3, channels=2)] * 2
    )
    moved = batch.to("cpu")
    assert moved.unlabelled == 3
    assert moved.weight is None
    for name in ("image", "weak", "strong"):
        assert torch.equal(getattr(moved, name), getattr(batch, name))


@pytest.mark.parametrize(("unknown", "partly"), [(0, False), (1, False), (2, True), (8, True)])
def test_a_teacher_is_asked_about_labelled_patches_when_enough_is_unknown(unknown, partly):
    target = torch.zeros(1, 16, 1, 1, dtype=torch.int64)
    target[0, :unknown] = UNKNOWN
    assert Batch(_image(1, (16, 1, 1)), target).partly_labelled == partly
