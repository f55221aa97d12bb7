"""One optimiser step, guarded: Fabric, the optimiser, the learning rate and the way back."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor, nn

from napari_dycon.engine.device import DeviceName
from napari_dycon.engine.plan import Plan
from napari_dycon.engine.team import ALONE, Team
from napari_dycon.learning.batch import Batch
from napari_dycon.learning.methods.base import Method

WARM_UP_STEPS = 10
"""Steps over which the learning rate rises, also where a run goes on from another model: moments are new."""


class Unstable(RuntimeError):
    """A loss or gradient is not a finite number; weights were not touched by this step."""


@dataclass(frozen=True)
class Snapshot:
    """Weights and optimiser state in memory, to go back to."""

    iteration: int
    tensors: Mapping[str, Tensor]


class Optimisation:
    """Makes steps with a method.

    Parameters
    ----------
    method
        Is moved to the device; stays accessible as it is.
    team
        The processes that make each step together.
    """

    def __init__(self, method: Method, plan: Plan, device: DeviceName, seed: int, team: Team = ALONE) -> None:
        from lightning_fabric import Fabric  # its package, which brings torch's compiler, takes seconds

        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it tells the precision on stderr
        self.method = method
        self._team = team
        self.rate_factor = 1.0
        self._plan = plan
        self._seed = seed
        devices = [team.place] if device == "cuda" and team.size > 1 else 1
        self._fabric = Fabric(accelerator=device, devices=devices, precision=plan.precision)
        self._parameters = list(method.trainable_parameters())
        self._optimiser = _optimiser(self._parameters, plan)
        self._model, self._wrapped = self._fabric.setup(_Losses(method), self._optimiser)

    @property
    def device(self) -> torch.device:
        """Where the method lives."""
        return self._fabric.device

    def step(self, batch: Batch, iteration: int, progress: float) -> dict[str, float]:
        """Make one step; everything random in it follows from seed and iteration.

        Raises
        ------
        Unstable
            When the loss or a gradient is not finite; the weights are unchanged then.
        """
        torch.manual_seed(_mix(self._seed, iteration))
        for group in self._optimiser.param_groups:
            group["lr"] = self.rate_factor * learning_rate(self._plan, iteration, progress)
        self.method.train()
        batch = self._team.whole(batch.to(self.device))
        self._wrapped.zero_grad()
        parts = {field.name: getattr(batch, field.name) for field in fields(batch)}
        with self._team.sharing(self.method):
            losses: dict[str, Tensor] = self._model(progress, **parts)
        total = torch.stack([loss.float() for loss in losses.values()]).sum()
        if not self._team.agree(bool(torch.isfinite(total))):
            raise Unstable
        self._fabric.backward(total)
        self._team.add_gradients(self.method)
        norm = self._fabric.clip_gradients(
            self._model, self._wrapped, max_norm=self._plan.gradient_clip, error_if_nonfinite=False
        )
        # Float16's loss scaler skips such steps by itself and lowers its scale.
        if self._plan.precision != "16-mixed" and norm is not None and not bool(torch.isfinite(norm)):
            raise Unstable
        self._wrapped.step()
        self.method.after_step(progress)
        return {name: float(loss.detach()) for name, loss in losses.items()}

    def tensors(self) -> dict[str, Tensor]:
        """Networks under ``method.`` and optimiser state under ``optimiser.``; not copies."""
        found = {f"method.{name}": value for name, value in self.method.state_dict().items()}
        for index, parameter in enumerate(self._parameters):
            for name, value in self._optimiser.state[parameter].items():
                if isinstance(value, Tensor):
                    found[f"optimiser.{index}.{name}"] = value
        return found

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Bring networks and optimiser to a saved state."""
        own = self.method.state_dict()
        for name, value in own.items():
            value.copy_(tensors[f"method.{name}"])
        for index, parameter in enumerate(self._parameters):
            prefix = f"optimiser.{index}."
            self._optimiser.state[parameter] = {
                name.removeprefix(prefix): _like(value, parameter)
                for name, value in tensors.items()
                if name.startswith(prefix)
            }

    def snapshot(self, iteration: int) -> Snapshot:
        """Copy everything, to go back to with :meth:`restore`."""
        return Snapshot(iteration, {k: v.detach().clone() for k, v in self.tensors().items()})


class _Losses(nn.Module):
    """Makes the method's losses the forward pass that Fabric wraps, which cannot pass a frozen dataclass."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(self, progress: float, **parts: Tensor | None) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = self.method(Batch(**parts), progress)  # type: ignore[arg-type]
        return losses


def learning_rate(plan: Plan, iteration: int, progress: float) -> float:
    """Polynomial decay after a short rise."""
    rise = min(1.0, (iteration + 1) / WARM_UP_STEPS)
    return float(plan.learning_rate * rise * max(0.0, 1.0 - progress) ** 0.9)


def _optimiser(parameters: list[nn.Parameter], plan: Plan) -> torch.optim.Optimizer:
    if plan.optimiser == "adamw":
        return torch.optim.AdamW(parameters, lr=plan.learning_rate, weight_decay=plan.weight_decay)
    return torch.optim.SGD(
        parameters,
        lr=plan.learning_rate,
        momentum=plan.momentum,
        nesterov=True,
        weight_decay=plan.weight_decay,
    )


def _like(value: Tensor, parameter: Tensor) -> Tensor:
    """A copy in the parameter's memory order, which saving does not keep."""
    if value.shape != parameter.shape:
        return value.clone()
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)


def _mix(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
