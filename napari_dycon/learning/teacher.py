"""The teacher: a slowly following copy of the student."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from napari_dycon.learning.networks import Output, SegmentationNetwork


class Teacher(nn.Module):
    """Exponential moving average of a network (Mean Teacher, Tarvainen & Valpola 2017).

    Always in evaluation mode and without gradients. Floating-point buffers are averaged like
    parameters, others copied.

    Parameters
    ----------
    student
        The network to follow; the teacher starts as its copy.
    momentum
        Share of the old average that is kept at each update. The first updates keep less, `n / (n + 9)`
        after n updates: the teacher always looks back over about the last tenth of a run, so that a short
        run does not end with an average of its untrained beginning.
    """

    updates: Tensor

    def __init__(self, student: SegmentationNetwork, momentum: float = 0.99) -> None:
        super().__init__()
        self.network = copy.deepcopy(student).requires_grad_(False)
        self.momentum = momentum
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.eval()

    def train(self, mode: bool = True) -> Teacher:
        """Stay in evaluation mode, whatever is asked for."""
        super().train(False)
        return self

    @torch.no_grad()
    def forward(self, x: Tensor, *, project: bool = False) -> Output:
        """Segment `(B, Cin, X, Y, Z)` patches without gradients."""
        output: Output = self.network(x, project=project)
        return output

    @torch.no_grad()
    def update(self, student: SegmentationNetwork) -> None:
        """Move towards the student by one step."""
        done = int(self.updates)
        step = 1.0 - min(done / (done + 9), self.momentum)
        mine, theirs = self.network.state_dict(), student.state_dict()
        for key, value in mine.items():
            if value.is_floating_point():
                value.lerp_(theirs[key], step)
            else:
                value.copy_(theirs[key])
        self.updates += 1
