"""A run on disk: how it was asked for, its plan and its model."""

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_dycon.engine.checkpoints import CheckpointFolder
from napari_dycon.engine.holdout import HoldOut
from napari_dycon.engine.plan import Plan
from napari_dycon.engine.prepared import PreparedCase
from napari_dycon.errors import TrainingError
from napari_dycon.io.atomic import make_folder
from napari_dycon.io.json_files import write_model
from napari_dycon.learning.methods.base import Method, get_method
from napari_dycon.study.store.lock import RunLock

LOCK_ATTEMPTS = 3
LOCK_PAUSE_SECONDS = 0.1


class RunConfig(BaseModel):
    """What was asked for; ``config.json``.

    ``overrides`` are the fields of the plan that were set by hand; ``continued_from`` is the run whose model
    was the start; ``trained_on`` are all cases whose labels the model has learned from, also before that;
    ``foreign`` is a model that another study has trained.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    seed: int = 0
    minutes: float | None = None
    iterations: int | None = None
    open_ended: bool = False
    overrides: dict[str, Any] = {}
    continued_from: str | None = None
    foreign: bool = False
    holdout: HoldOut = HoldOut()
    trained_on: tuple[str, ...] = ()
    version: str


_Model = TypeVar("_Model", bound=BaseModel)


def with_new_labels(config: RunConfig, cases: Sequence[PreparedCase]) -> RunConfig:
    """What is held out and what is learned from, with scans and labels that came since the run began."""
    holdout = config.holdout.with_siblings(cases)
    seen = {case.case for case in cases if holdout.training_target(case) is not None}
    trained_on = config.trained_on
    if not seen <= set(trained_on):
        trained_on = tuple(sorted(seen | set(trained_on)))
    return config.model_copy(update={"holdout": holdout, "trained_on": trained_on})


class RunFolder:
    """Files of one run, wherever its folder lies."""

    def __init__(self, path: Path) -> None:
        self.run = path.name
        self.path = path
        self.checkpoints = CheckpointFolder(self.path / "checkpoints")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep all others from training the run while the block runs.

        Raises
        ------
        TrainingError
            When somebody trains it, or its folder cannot be written.
        """
        lock = RunLock(self.path)
        refusal = lock.acquire()
        for _ in range(LOCK_ATTEMPTS):  # somebody may only have looked whether it is held
            if refusal is None:
                break
            time.sleep(LOCK_PAUSE_SECONDS)
            refusal = lock.acquire()
        if refusal is not None:
            raise TrainingError(f"Run {self.run} cannot be trained now: {refusal}.")
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def fill(self) -> Iterator[None]:
        """Make the run's folder and keep it while the block fills it; of a new one that fails nothing stays.

        Raises
        ------
        TrainingError, VolumeError
            As `lock` does, and when the folder cannot be made.
        """
        make_folder(self.path)
        new = not any(self.path.iterdir())
        try:
            with self.lock():
                yield
        except BaseException:
            if new:
                shutil.rmtree(self.path, ignore_errors=True)
            raise

    def write(self, config: RunConfig, plan: Plan) -> None:
        """Write ``config.json`` and ``plan.json``."""
        write_model(self.path / "config.json", config)
        write_model(self.path / "plan.json", plan)

    def config(self) -> RunConfig:
        """Read ``config.json``."""
        return self._read("config.json", RunConfig)

    def plan(self) -> Plan:
        """Read ``plan.json``."""
        return self._read("plan.json", Plan)

    def method(self) -> tuple[Plan, Method]:
        """Load the model of the newest whole checkpoint, on the CPU.

        Raises
        ------
        TrainingError
            When the run has no readable checkpoint or belongs to another version.
        """
        plan = self.plan()
        checkpoint = self.checkpoints.load()
        method = build_method(self.config().method, plan)
        try:
            method.load_state_dict(checkpoint.part("method"))
        except RuntimeError:
            raise TrainingError(
                f"The model of run {self.run} does not fit its plan; it was not changed. Train again."
            ) from None
        return plan, method

    def _read(self, name: str, model: type[_Model]) -> _Model:
        try:
            return model.model_validate(json.loads((self.path / name).read_text(encoding="utf-8")))
        except OSError:
            raise TrainingError(f"Run {self.run} has no {name}; it cannot be continued or used.") from None
        except (ValidationError, ValueError):
            raise TrainingError(
                f"The file {name} of run {self.run} is damaged or from another version; train again."
            ) from None


def build_method(name: str, plan: Plan) -> Method:
    """A fresh method for a plan; weights from torch's global random numbers.

    Raises
    ------
    TrainingError
        When the method or one of its settings does not exist.
    """
    kind = get_method(name)
    known: dict[str, Any] = dict(plan.method_settings)
    try:
        settings = kind.Settings.model_validate(known)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise TrainingError(f"Method {name} cannot be set up like this: {place}: {first['msg']}.") from None
    method = kind(plan.network, settings)
    method.wholes = plan.whole_classes
    return method
