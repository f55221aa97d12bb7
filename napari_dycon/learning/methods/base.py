"""What a learning method is, and the register of all methods."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from napari_dycon.errors import TrainingError
from napari_dycon.learning.batch import Batch
from napari_dycon.learning.losses.supervised import partial_loss
from napari_dycon.learning.methods import GROUP
from napari_dycon.learning.networks import NetworkSpec, SegmentationNetwork, build_network
from napari_dycon.learning.teacher import Teacher
from napari_dycon.register import Register

Losses = dict[str, Tensor]
"""Named scalar losses, already weighted; their sum is minimised."""

Share = Annotated[float, Field(ge=0, le=1)]
"""A number from 0 to 1."""

Weight = Annotated[float, Field(ge=0)]
"""A factor of a loss; 0 turns the loss off."""


class MethodSettings(BaseModel):
    """Settings that every method has.

    Parameters
    ----------
    momentum
        How slowly the teacher follows the student.
    self_training
        Share of the training after which the model labels the unlabelled scans by itself; all schedules then
        begin again, and what was labelled so counts as labelled. 1 for never.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99
    self_training: Annotated[float, Field(gt=0, le=1)] = 1.0


class Method(nn.Module, ABC):
    """One way to learn: a student, its teacher and the losses between them.

    The state dict holds everything needed to go on bit-exactly; random choices come from torch's global
    CPU generator alone.

    Parameters
    ----------
    spec
        The network to train.
    settings
        An instance of `Settings`; its defaults when None.

    Attributes
    ----------
    monitors
        Numbers of the last step worth recording that are not losses.
    wholes
        Class indices of the parts of each whole: a union of structures that counts as one.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    learns_from_unlabelled: ClassVar[bool]
    Settings: ClassVar[type[MethodSettings]] = MethodSettings

    def __init__(self, spec: NetworkSpec, settings: MethodSettings | None = None) -> None:
        super().__init__()
        self.settings = self._accept(settings)
        self.student = build_network(spec)
        self.teacher = Teacher(self.student, self.settings.momentum)
        self.monitors: dict[str, float] = {}
        self.wholes: tuple[tuple[int, ...], ...] = ()

    @abstractmethod
    def forward(self, batch: Batch, progress: float) -> Losses:
        """Return the losses of one step.

        Parameters
        ----------
        batch
            Patches on the device of the method.
        progress
            Share of the training done, from 0 to 1.
        """

    def supervised(self, batch: Batch) -> Losses:
        """Return `{"supervised"}` of the student, computing nothing but the labelled patches."""
        logits = self.student(batch.image).logits
        return {"supervised": self.labels_loss(logits, batch.supervision, batch.weight)}

    def labels_loss(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return how far logits are from labels, those of structures and of wholes; see `partial_loss`."""
        return partial_loss(logits, target, weight, self.wholes)

    def needs_unlabelled(self, progress: float) -> bool:
        """Whether `forward` reads unlabelled patches at this progress; where not, none need be made."""
        return self.learns_from_unlabelled

    def patches(self, progress: float, labelled: int, unlabelled: int) -> tuple[int, int]:
        """How many of the planned labelled and unlabelled patches a step at this progress takes."""
        return labelled, unlabelled if self.needs_unlabelled(progress) else 0

    def after_step(self, progress: float) -> None:
        """Do what is due after each optimiser step: the teacher follows the student."""
        self.teacher.update(self.student)

    def deciders(self) -> list[SegmentationNetwork]:
        """Return the networks whose mean probability is the prediction, the most trusted one first."""
        return [self.teacher.network]

    def committee(self) -> list[SegmentationNetwork]:
        """Return the networks whose disagreement is shown, all deciders among them."""
        return [*self.deciders(), self.student]

    def trainable_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters for the optimiser."""
        return (parameter for parameter in self.parameters() if parameter.requires_grad)

    @classmethod
    def networks_at_once(cls, settings: Mapping[str, Any]) -> float:
        """Memory that training with some settings takes, in networks of the plan; a teacher's is little."""
        return 1.0

    @classmethod
    def _accept(cls, settings: MethodSettings | None) -> MethodSettings:
        if settings is None:
            return cls.Settings()
        if not isinstance(settings, cls.Settings):
            raise TypeError(f"{cls.__name__} needs {cls.Settings.__name__}, not {type(settings).__name__}")
        return settings


methods: Register[type[Method]] = Register(
    "learning method", "napari_dycon.learning.methods", GROUP, TrainingError
)
_M = TypeVar("_M", bound=type[Method])


def register(name: str) -> Callable[[_M], _M]:
    """Make a method known by a name, as in `@register("dycon")`."""

    def add(method: _M) -> _M:
        methods.add(name, method)
        method.name = name
        return method

    return add


def method_names() -> tuple[str, ...]:
    """Return the names of all methods, sorted."""
    return methods.names()


def get_method(name: str) -> type[Method]:
    """Return the method of a name.

    Raises
    ------
    TrainingError
        If there is none.
    """
    return methods.get(name)
