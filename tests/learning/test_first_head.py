"""A head is fitted to labelled patches in one go, to random features, and reads no unknown voxel."""

import pytest
import torch

from napari_dycon.learning.batch import UNKNOWN, Batch
from napari_dycon.learning.first_head import fit_head
from napari_dycon.learning.networks import NetworkSpec, build_network

COARSE = NetworkSpec(widths=(16, 32), strides=((2, 2, 2),))
FINE = NetworkSpec(widths=(16, 32, 64), strides=((1, 1, 1), (2, 2, 2)))
THICK = NetworkSpec(widths=(16, 32), strides=((2, 2, 1),), kernels=((3, 3, 1), (3, 3, 3)))


def balls(count, size=(32, 24, 16)):
    """Bright balls on a dark ground, in each a brighter core."""
    grid = torch.stack(torch.meshgrid(*(torch.arange(side) for side in size), indexing="ij"), -1)
    centres = torch.tensor(size) * torch.empty(count, 3).uniform_(0.35, 0.65)
    distance = (grid - centres.view(-1, 1, 1, 1, 3)).norm(dim=-1)
    target = (distance < 7).long() + (distance < 3.5)
    return (2.0 * target + 0.2 * torch.randn(target.shape))[:, None], target


def dice(found, target, value):
    both = ((found == value) & (target == value)).sum()
    return float(2 * both / ((found == value).sum() + (target == value).sum()))


@pytest.mark.parametrize("spec", [COARSE, FINE, THICK], ids=["coarse", "fine", "thick"])
def test_it_segments_other_patches_from_known_voxels_alone(spec):
    torch.manual_seed(0)
    network = build_network(spec.model_copy(update={"classes": 3})).eval()
    image, target = balls(4)
    known = target[:2].clone()
    known[:, :, :12] = UNKNOWN
    fit_head(network, [Batch(image[:2], known)])
    found = network(image[2:]).logits.argmax(1)
    assert dice(found, target[2:], 1) > 0.6 and dice(found, target[2:], 2) > 0.6
    kernel = network.head.convolution.weight.clone()
    hidden = torch.where(known == UNKNOWN, torch.randint(0, 3, known.shape), known)
    fit_head(network, [Batch(image[:2], hidden, weight=(known != UNKNOWN).float())])
    assert torch.equal(network.head.convolution.weight, kernel)


def test_a_class_that_no_patch_shows_is_not_predicted():
    torch.manual_seed(0)
    network = build_network(COARSE.model_copy(update={"classes": 4})).eval()
    image, target = balls(2)
    fit_head(network, [Batch(image, target)])
    found = network(image).logits
    assert torch.isfinite(found).all() and not (found.argmax(1) == 3).any()


def test_other_heads_stay_as_they_are():
    network = build_network(NetworkSpec(kind="vnet", widths=(4, 8), strides=((2, 2, 2),)))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fit_head(network, [Batch(*balls(2, (16, 16, 16)))])
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
