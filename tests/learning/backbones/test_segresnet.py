"""SegResNet follows the spec in every point, or says what it needs."""

import pytest
import torch

from napari_dycon.errors import TrainingError
from napari_dycon.learning.networks import NetworkSpec, build_network

SPEC = NetworkSpec(kind="segresnet", widths=(8, 16, 32, 64), in_channels=2, classes=3, projection=12)


def test_logits_have_the_size_of_the_image_and_embeddings_that_of_the_cells():
    network = build_network(SPEC)
    output = network(torch.randn(2, 2, 16, 24, 8), project=True)
    assert output.logits.shape == (2, 3, 16, 24, 8)
    assert output.embedding.shape == (2, 12, 2, 3, 1)
    assert network.embedding_stride == (8, 8, 8)
    (output.logits.mean() + output.embedding.mean()).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_patches_that_do_not_divide_are_refused():
    with pytest.raises(TrainingError, match="multiples of 8 x 8 x 8"):
        build_network(SPEC)(torch.randn(1, 2, 16, 20, 8))


def test_dropout_drops_in_training_alone():
    network = build_network(SPEC.model_copy(update={"dropout": 0.5}))
    x = torch.randn(1, 2, 16, 16, 16)
    assert not torch.equal(network(x).logits, network(x).logits)
    network.eval()
    assert torch.equal(network(x).logits, network(x).logits)


@pytest.mark.parametrize(
    ("change", "needed"),
    [
        ({"widths": (8, 16, 24, 32)}, r"network\.widths=\[8,16,32,64\]"),
        ({"widths": (12, 24, 48, 96)}, "a multiple of 8, not 12"),
        (
            {"strides": ((2, 2, 1), (2, 2, 2), (2, 2, 2))},
            r"strides=\[\[2,2,2\],\[2,2,2\],\[2,2,2\]\]",
        ),
        ({"kernels": ((3, 3, 1), (3, 3, 3), (3, 3, 3), (3, 3, 3))}, r"network\.kernels=\[\[3,3,3\],"),
    ],
)
def test_a_spec_that_it_cannot_follow_is_refused_with_one_that_it_can(change, needed):
    with pytest.raises(TrainingError, match=needed):
        build_network(SPEC.model_copy(update=change))
