"""torch.autograd.gradcheck of every loss.

Inputs are float64 but every loss computes in float32, so that steps are wide and tolerances those of float32.
FeCL is checked without focal weights, which carry no gradient on purpose; test_fecl.py checks them frozen.
"""

import pytest
import torch
from torch.autograd import gradcheck

from napari_dycon.learning.batch import IGNORE, UNKNOWN
from napari_dycon.learning.losses.fecl import fecl
from napari_dycon.learning.losses.supervised import confident_cross_entropy, partial_loss
from napari_dycon.learning.losses.uncl import mean_squared_consistency, uncl


def _random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


STUDENT, TEACHER = _random(1, 3, 3, 2, 2), _random(1, 3, 3, 2, 2, seed=1)
TARGET = torch.tensor([0, 1, 2, 2, 1, 0, UNKNOWN, IGNORE, 1, 2, 0, 1]).reshape(1, 3, 2, 2)
WEIGHT = _random(1, 3, 2, 2, seed=2).abs()
CELLS, OTHERS = _random(8, 4), _random(8, 4, seed=1)
CLASSES = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3])
LOSSES = {
    "partial": lambda x: partial_loss(x, TARGET),
    "partial, weighted": lambda x: partial_loss(x, TARGET, WEIGHT),
    "partial, with a whole": lambda x: partial_loss(x, TARGET, WEIGHT, [(1, 2)]),
    "pseudo-labels": lambda x: confident_cross_entropy(x, TARGET),
    "consistency": lambda x: mean_squared_consistency(x, TEACHER),
    "uncl": lambda x: uncl(x, TEACHER, 0.7),
    "uncl, large beta": lambda x: uncl(x, TEACHER, 5.0),
    "uncl, capped": lambda x: uncl(x, TEACHER, 0.7, 0.02, TARGET == UNKNOWN),
}
CONTRASTS = {
    "plain": {},
    "hard negatives": {"teacher": OTHERS, "hard_negatives": 2},
    "bracket": {"teacher": OTHERS, "hard_negatives": 2, "bracket": True, "reference_negatives": None},
    "entropy": {"entropy": WEIGHT.flatten()[:8]},
    "plain sum": {"reference_negatives": None},
}


def _check(loss, x):
    return gradcheck(loss, (x.clone().requires_grad_(),), eps=1e-2, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_on_voxels(name):
    assert _check(LOSSES[name], STUDENT)


@pytest.mark.parametrize("name", CONTRASTS)
def test_contrast_of_patches(name):
    assert _check(lambda z: fecl(z, CLASSES, gamma=0.0, **CONTRASTS[name]), CELLS)
