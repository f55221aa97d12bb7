"""What the sampler made is what the method learns from."""

from __future__ import annotations

from dataclasses import fields

import torch

from napari_dycon.engine.optimisation import Optimisation
from napari_dycon.engine.plan import Plan
from napari_dycon.learning.batch import UNKNOWN, Batch
from napari_dycon.learning.methods.supervised import Supervised
from napari_dycon.learning.networks import NetworkSpec


class Listener(Supervised):
    """Keeps the batch it was given."""

    def forward(self, batch, progress):
        self.heard = batch
        return super().forward(batch, progress)


def test_a_method_is_given_every_part_of_a_batch():
    shape = (2, 8, 8, 8)
    inside = torch.rand(shape) < 0.5
    batch = Batch(
        image=torch.randn(2, 1, 8, 8, 8),
        target=torch.randint(0, 2, shape),
        weight=torch.rand(shape) + 0.1,
        weak=torch.randn(2, 1, 8, 8, 8),
        strong=torch.randn(2, 1, 8, 8, 8),
        inside=inside,
    )
    network = NetworkSpec(classes=2, widths=(8, 16), strides=((2, 2, 2),))
    plan = Plan(
        structure_values=(1,),
        structure_names=("organ",),
        network=network,
        spacing=(1, 1, 1),
        patch_size=(8, 8, 8),
    )
    method = Listener(network)
    Optimisation(method, plan, "cpu", seed=0).step(batch, 0, 0.5)
    for field in fields(Batch):
        assert torch.equal(getattr(method.heard, field.name), getattr(batch, field.name)), field.name
    assert torch.equal(method.heard.blank == UNKNOWN, inside)
