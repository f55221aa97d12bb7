"""Networks take any plan, any size that divides, and describe cells about eight voxels wide."""

import pytest
import torch
from pydantic import ValidationError

from napari_dycon.errors import TrainingError
from napari_dycon.learning.networks import NetworkSpec, build_network

ISOTROPIC = ((2, 2, 2),) * 3
FLAT = ((2, 2, 1), (2, 2, 1), (2, 2, 2))
KINDS = ["unet", "vnet"]


def _spec(kind="unet", strides=ISOTROPIC, **options):
    return NetworkSpec(kind=kind, widths=(4, 8, 16, 24, 32)[: len(strides) + 1], strides=strides, **options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("strides", "size", "grid"),
    [
        (ISOTROPIC, (16, 24, 8), (2, 3, 1)),
        (FLAT, (16, 24, 6), (2, 3, 3)),
        (((1, 1, 1), (2, 2, 1), (2, 2, 2)), (8, 12, 6), (2, 3, 3)),
        (((2, 2, 2),) * 4, (32, 16, 16), (4, 2, 2)),
        (((3, 1, 2),), (6, 5, 4), (2, 5, 2)),
    ],
)
def test_logits_have_the_size_of_the_image_and_embeddings_that_of_the_cells(kind, strides, size, grid):
    network = build_network(_spec(kind, strides, in_channels=2, classes=5, projection=12))
    output = network(torch.randn(2, 2, *size), project=True)
    assert output.logits.shape == (2, 5, *size)
    assert output.embedding.shape == (2, 12, *grid)
    cell = tuple(side // count for side, count in zip(size, grid, strict=True))
    assert network.embedding_stride == cell


@pytest.mark.parametrize("strides", [ISOTROPIC, ((1, 1, 1), *ISOTROPIC)])
def test_what_the_embedding_learns_reaches_the_decoder(strides):
    """The bottleneck has cells of the same size; described there, no decoder weight learns from it."""
    network = build_network(_spec("unet", strides))
    network(torch.randn(2, 1, 16, 16, 16), project=True).embedding.square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.decoder[0].parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_a_kernel_of_one_keeps_slices_apart(kind):
    strides = ((2, 2, 1),) * 3
    flat, solid = (
        build_network(_spec(kind, strides, kernels=(kernel,) * 4)).eval() for kernel in ((3, 3, 1), (3, 3, 3))
    )
    scan = torch.randn(1, 1, 16, 16, 5)
    for network in (flat, solid):
        for layer in network.modules():
            if isinstance(layer, torch.nn.InstanceNorm3d):  # it does reach everywhere, through the mean
                layer.forward = lambda x: x
    other = scan.clone()
    other[..., 2] += 1
    moved = [(net(scan).logits - net(other).logits).abs().amax((0, 1, 2, 3)) > 0 for net in (flat, solid)]
    assert moved[0].tolist() == [False, False, True, False, False]
    assert moved[1].all()


def test_kernels_that_do_not_fit_are_refused():
    with pytest.raises(ValidationError, match="as many kernels as widths"):
        _spec(kernels=((3, 3, 1),))
    with pytest.raises(ValidationError, match="odd"):
        _spec(kernels=((2, 3, 3),) * 4)


@pytest.mark.parametrize("kind", KINDS)
def test_embeddings_are_computed_only_when_asked_for(kind):
    network = build_network(_spec(kind))
    called = []
    network.projector.register_forward_hook(lambda *_: called.append(True))
    assert network(torch.randn(1, 1, 16, 16, 16)).embedding is None
    assert not called


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_learns(kind):
    network = build_network(_spec(kind, FLAT))
    output = network(torch.randn(2, 1, 16, 16, 8), project=True)
    (output.logits.square().mean() + output.embedding.square().mean()).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_a_size_that_does_not_divide_is_refused_with_the_sizes_that_do():
    with pytest.raises(TrainingError, match=r"16 x 16 x 9 .* multiples of 8 x 8 x 2"):
        build_network(_spec(strides=FLAT))(torch.randn(1, 1, 16, 16, 9))


def test_a_patch_of_one_cell_is_refused():
    with pytest.raises(TrainingError, match="larger patch"):
        build_network(_spec())(torch.randn(2, 1, 8, 8, 8))


@pytest.mark.parametrize(
    "fault", [{"strides": ISOTROPIC[:2]}, {"classes": 1}, {"strides": ((0, 2, 2),) * 3}, {"width": (3,)}]
)
def test_a_plan_that_cannot_be_built_is_refused(fault):
    with pytest.raises(ValidationError):
        NetworkSpec(**{"widths": (4, 8, 16, 32), "strides": ISOTROPIC, **fault})


def test_a_plan_survives_json():
    spec = _spec("vnet", FLAT, dropout=0.1)
    assert NetworkSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_builds_the_same_network(kind):
    states = []
    for _ in range(2):
        torch.manual_seed(1)
        states.append(build_network(_spec(kind)).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize("kind", KINDS)
def test_patches_of_one_batch_do_not_influence_each_other(kind):
    network = build_network(_spec(kind)).eval()
    image = torch.randn(2, 1, 16, 16, 16)
    together = network(image).logits
    alone = torch.cat([network(image[:1]).logits, network(image[1:]).logits])
    assert torch.allclose(together, alone, atol=1e-5)


def test_memory_order_of_the_image_does_not_matter():
    network = build_network(_spec(in_channels=2)).eval()
    image = torch.randn(1, 2, 16, 16, 16)
    shuffled = image.to(memory_format=torch.channels_last_3d)
    assert torch.equal(network(image).logits, network(shuffled).logits)


def test_a_constant_image_gives_finite_logits():
    for kind in KINDS:
        output = build_network(_spec(kind))(torch.zeros(1, 1, 16, 16, 16), project=True)
        assert output.logits.isfinite().all() and output.embedding.isfinite().all()


def test_dropout_acts_in_training_only():
    network = build_network(_spec(dropout=0.5))
    image = torch.randn(1, 1, 16, 16, 16)
    assert not torch.equal(network(image).logits, network(image).logits)
    network.eval()
    assert torch.equal(network(image).logits, network(image).logits)


@pytest.mark.parametrize("name", ["unknown", "../unet", ""])
def test_a_kind_that_is_not_registered_is_refused_with_those_that_are(name):
    with pytest.raises(ValidationError, match=r"no network '.*'; .* segresnet, swin_unetr, unet, vnet"):
        _spec(name)
