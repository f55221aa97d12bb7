"""Swin UNETR follows the spec in every point, or says what it needs."""

import pytest
import torch

from napari_dycon.engine.warmstart import _class_axes
from napari_dycon.errors import TrainingError
from napari_dycon.learning.networks import NetworkSpec, build_network

SPEC = NetworkSpec(
    kind="swin_unetr", widths=(12, 12, 24, 48, 96, 192), strides=((2, 2, 2),) * 5, classes=3, projection=12
)


@pytest.fixture
def einops():
    """The package that it needs, which the tests bring along."""
    pytest.importorskip("einops")


def test_logits_have_the_size_of_the_image_and_embeddings_that_of_the_cells(einops):
    network = build_network(SPEC)
    output = network(torch.randn(1, 1, 32, 64, 32), project=True)
    assert output.logits.shape == (1, 3, 32, 64, 32)
    assert output.embedding.shape == (1, 12, 4, 8, 4)
    assert network.embedding_stride == (8, 8, 8)
    (output.logits.mean() + output.embedding.mean()).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("size", [(32, 48, 32), (32, 32, 32)])
def test_patches_that_it_cannot_take_are_refused(size, einops):
    with pytest.raises(TrainingError, match="The network cannot take a patch of"):
        build_network(SPEC)(torch.randn(1, 1, *size))


@pytest.mark.parametrize(
    ("change", "needed"),
    [
        ({"widths": (12, 24, 48, 96, 192, 384)}, r"network\.widths=\[12,12,24,48,96,192\]"),
        ({"widths": (16, 16, 32, 64, 128, 256)}, "a multiple of 12, not 16"),
        ({"strides": ((2, 2, 1), *((2, 2, 2),) * 4)}, r"network\.strides=\[\[2,2,2\],"),
    ],
)
def test_a_spec_that_it_cannot_follow_is_refused_with_one_that_it_can(change, needed, einops):
    with pytest.raises(TrainingError, match=needed):
        build_network(SPEC.model_copy(update=change))


def test_its_classes_are_found_for_a_warm_start_and_random_numbers_are_left_alone(einops):
    before = torch.get_rng_state()
    assert set(_class_axes(SPEC)) == {"network.out.conv.conv.weight", "network.out.conv.conv.bias"}
    assert torch.equal(torch.get_rng_state(), before)


def test_without_einops_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("napari_dycon.learning.backbones.swin_unetr.find_spec", lambda name: None)
    with pytest.raises(TrainingError, match=r"pip install napari-dycon\[transformers\]"):
        build_network(SPEC)
