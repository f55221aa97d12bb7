"""Processes that train one run together, each with a device of its own.

All go through the same steps with the same numbers. What is costly is shared out: making patches, and
sending them through the networks. Losses are computed by each process over the whole batch, from outputs that
were gathered, so that a loss which looks across the batch is that of one process; no method knows of this.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, distributed, nn

from napari_dycon.engine.device import DeviceName, is_out_of_memory, resolve_device
from napari_dycon.engine.processor import available_cores
from napari_dycon.errors import TrainingError
from napari_dycon.learning.batch import Batch
from napari_dycon.learning.networks import Output, SegmentationNetwork

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PATIENCE = timedelta(days=30)
"""A training may rest for long, and its processes wait for each other meanwhile."""
LONGEST_TEXT = 1024


class TeamLostError(TrainingError):
    """Another process of the team is gone."""


class Team:
    """One process that trains alone; also what processes that train together have in common.

    Attributes
    ----------
    rank, size
        Which process this is, and how many there are; the first one decides, records and saves.
    place, here
        Number of its device on its machine, and how many of the processes are on that machine.
    """

    rank, size, place, here = 0, 1, 0, 1

    @property
    def leads(self) -> bool:
        """Whether this process decides, records and saves."""
        return self.rank == 0

    def threads(self, wish: int | None) -> int | None:
        """Processor cores for this process; None for all."""
        return wish

    def makes(self, number: int) -> bool:
        """Whether this process makes the patch of a number."""
        return number % self.size == self.rank

    def total(self, tensor: Tensor) -> Tensor:
        """Sum up a tensor over all processes, in place."""
        return tensor

    def tell(self, *numbers: float) -> None:
        """Say something to the others, who must `hear` as many numbers."""

    def tell_text(self, text: str) -> None:
        """Say a short text to the others, who must `hear_text`."""

    def align(self, tensors: Mapping[str, Tensor]) -> None:
        """Make tensors those of the first process; by name, as files give them in any order."""

    @contextmanager
    def sharing(self, method: nn.Module) -> Iterator[None]:
        """Share out among the processes what is sent through the networks of a method meanwhile."""
        yield

    def whole(self, batch: Batch) -> Batch:
        """Put a batch together of which every process has made some patches, the others being 0."""
        return batch

    def add_gradients(self, method: nn.Module) -> None:
        """Add up the gradients of a method's networks."""

    def agree(self, fine: bool) -> bool:
        """Whether all is well everywhere."""
        return fine


ALONE = Team()


class Several(Team):
    """Processes that train together.

    Parameters
    ----------
    fabric
        Launched.
    here
        How many of them are on this machine.
    """

    def __init__(self, fabric: "Fabric", here: int) -> None:
        self.rank, self.size, self.place = fabric.global_rank, fabric.world_size, fabric.local_rank
        self.here = here
        self.device = fabric.device

    def threads(self, wish: int | None) -> int | None:
        """Processor cores for this process; where none are wished for, a fair part of the machine's."""
        return wish or max(1, available_cores() // self.here)

    def total(self, tensor: Tensor) -> Tensor:
        """Sum up a tensor over all processes, in place."""
        with _lost_in_words():
            distributed.all_reduce(tensor)
        return tensor

    def tell(self, *numbers: float) -> None:
        """Say something to the others, who must `hear` as many numbers."""
        self._pass_round(torch.tensor(numbers, dtype=torch.float64))

    def hear(self, count: int) -> list[float]:
        """Wait for what the first process tells."""
        numbers = torch.zeros(count, dtype=torch.float64)
        self._pass_round(numbers)
        return numbers.tolist()

    def tell_text(self, text: str) -> None:
        """Say a short text to the others, who must `hear_text`."""
        content = text.encode()
        self._pass_round(torch.tensor([*content, *([0] * (LONGEST_TEXT - len(content)))], dtype=torch.uint8))

    def hear_text(self) -> str:
        """Wait for a text from the first process."""
        content = torch.zeros(LONGEST_TEXT, dtype=torch.uint8)
        self._pass_round(content)
        return bytes(content.tolist()).rstrip(b"\0").decode()

    def align(self, tensors: Mapping[str, Tensor]) -> None:
        """Make tensors those of the first process; by name, as files give them in any order."""
        for _, tensor in sorted(tensors.items()):
            content = tensor.detach().contiguous()
            self._pass_round(content)
            tensor.detach().copy_(content)

    @contextmanager
    def sharing(self, method: nn.Module) -> Iterator[None]:
        """Share out among the processes what is sent through the networks of a method meanwhile."""
        networks = _networks(method)
        for network in networks:
            network.forward = partial(self._together, network, network.forward)  # type: ignore[method-assign]
        try:
            yield
        finally:
            for network in networks:
                del network.forward

    def whole(self, batch: Batch) -> Batch:
        """Put a batch together of which every process has made some patches, the others being 0."""
        parts = {field.name: self._sum(getattr(batch, field.name)) for field in fields(batch)}
        return Batch(**parts)  # type: ignore[arg-type]

    def add_gradients(self, method: nn.Module) -> None:
        """Add up the gradients of a method's networks, of which every process has those of its patches."""
        parameters = (parameter for network in _networks(method) for parameter in network.parameters())
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if gradients:
            total = self.total(torch.cat([gradient.reshape(-1) for gradient in gradients]))
            parts = torch.split(total, [gradient.numel() for gradient in gradients])
            for gradient, part in zip(gradients, parts, strict=True):
                gradient.copy_(part.view_as(gradient))

    def agree(self, fine: bool) -> bool:
        """Whether all is well everywhere."""
        return not bool(self.total(torch.tensor(float(not fine), device=self.device)))

    def _sum(self, part: Tensor | None) -> Tensor | None:
        if part is None:
            return None
        narrow = part.to(torch.uint8) if part.dtype in (torch.int64, torch.bool) else part
        return self.total(narrow).to(part.dtype)

    def _together(
        self,
        network: SegmentationNetwork,
        forward: Callable[..., Output],
        x: Tensor,
        *,
        project: bool = False,
    ) -> Output:
        """Send the own part of some patches through a network, and gather what it says of all."""
        rows = _share(len(x), self.rank, self.size)
        with self._own_chance(network):
            part = forward(x[rows] if rows.stop > rows.start else x[:1], project=project)
        logits, embedding = (
            None if found is None else _gather(found[: rows.stop - rows.start], rows, len(x), self)
            for found in (part.logits, part.embedding)
        )
        assert logits is not None
        return Output(logits, embedding)

    @contextmanager
    def _own_chance(self, network: SegmentationNetwork) -> Iterator[None]:
        """Draw what a network draws for its own patches apart from what all processes draw alike."""
        dropout = network.dropout
        if not (dropout.training and dropout.p > 0):
            yield
            return
        seed = int(torch.randint(2**62, ()))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + self.rank)
            yield

    def _pass_round(self, tensor: Tensor) -> None:
        with _lost_in_words():
            distributed.broadcast(tensor, src=0)


class _Gathered(torch.autograd.Function):
    """Rows of all processes; each has the gradient of its own, as all compute the same loss."""

    @staticmethod
    def forward(context: Any, part: Tensor, rows: slice, count: int, team: Team) -> Tensor:
        context.rows = rows
        whole = part.new_zeros(count, *part.shape[1:])
        whole[rows] = part
        return team.total(whole)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return gradient[context.rows], None, None, None


def _gather(part: Tensor, rows: slice, count: int, team: Team) -> Tensor:
    whole: Tensor = _Gathered.apply(part, rows, count, team)  # type: ignore[no-untyped-call]
    return whole


def started_with_others() -> bool:
    """Whether whatever started this process, ``torchrun`` for example, has started the others of a team."""
    launched = distributed.is_available() and distributed.is_torchelastic_launched()
    return launched and int(os.environ["WORLD_SIZE"]) > 1


@contextmanager
def join_team(device: str = "auto") -> Iterator[Team]:
    """Take the place in a team that the environment of this process says; trains alone where it says none.

    Raises
    ------
    TrainingError
        When a device is missing.
    """
    if not started_with_others():
        yield ALONE
        return
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
    from lightning_fabric.strategies.ddp import DDPStrategy

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces itself on stderr
    name = resolve_device(device)
    environment = TorchElasticEnvironment()
    here = int(os.environ.get("LOCAL_WORLD_SIZE", environment.world_size()))
    check_devices(name, here)
    backend = "cpu:gloo,cuda:nccl" if name == "cuda" else "gloo"
    strategy = DDPStrategy(cluster_environment=environment, process_group_backend=backend, timeout=PATIENCE)
    fabric = Fabric(
        accelerator=name, devices=here, num_nodes=environment.world_size() // here, strategy=strategy
    )
    with _lost_in_words():
        fabric.launch()
    try:
        yield Several(fabric, here)
    finally:
        distributed.destroy_process_group()


def check_devices(name: DeviceName, count: int) -> None:
    """Refuse more devices than there are.

    Raises
    ------
    TrainingError
        When there are fewer; a CPU counts as many times as it has cores.
    """
    there = usable_devices(name)
    if count > len(there):
        raise TrainingError(
            f"{count} devices were asked for, and there are {len(there)}: {', '.join(there)}."
        )


def usable_devices(name: DeviceName) -> list[str]:
    """What each process of a team on this machine would train on."""
    if name == "cuda":
        count = torch.cuda.device_count()
        return [f"cuda:{index} ({torch.cuda.get_device_name(index)})" for index in range(count)]
    if name == "mps":
        return ["mps"]
    return [f"core {index + 1}" for index in range(available_cores())]


def _networks(method: nn.Module) -> list[SegmentationNetwork]:
    return [module for module in method.modules() if isinstance(module, SegmentationNetwork)]


def _share(count: int, rank: int, size: int) -> slice:
    """The rows of so many that one of several processes takes."""
    return slice(count * rank // size, count * (rank + 1) // size)


@contextmanager
def _lost_in_words() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise TeamLostError(
            "Another process of this training has ended unexpectedly, so this one cannot go on. "
            "What was learned is saved; go on with --resume."
        ) from error
