"""How good a model is while it is trained: looked at on the way, measured at the end."""

import gc
import math
import traceback
from collections.abc import Iterator

import torch

from napari_dycon.engine.budget import Stopwatch
from napari_dycon.engine.control import Control
from napari_dycon.engine.device import is_out_of_memory, release_memory
from napari_dycon.engine.events import Event, Note, Validated
from napari_dycon.engine.prepared import PreparedCase
from napari_dycon.engine.readiness import Quality, write_quality
from napari_dycon.engine.start import Start
from napari_dycon.engine.validation import Validator
from napari_dycon.errors import StudyError, VolumeError

VALIDATIONS = 20
LOOKING_SHARE = 0.1
"""On the way, no look at the quality begins while those before took more than this share of the time."""


class Assessment:
    """Measures a run on what is held out from it, in the time of the run.

    Parameters
    ----------
    start
        The run.
    control
        Can stop it.
    device
        Where its networks are.
    watch
        Its active time.

    Attributes
    ----------
    dice, best
        Mean Dice found last, and the best so far; None before anything was found.
    """

    def __init__(self, start: Start, control: Control, device: torch.device, watch: Stopwatch) -> None:
        self._start, self._control, self._device, self._watch = start, control, device, watch
        self._validator = Validator(start.cases, start.config.holdout, start.plan)
        self._looked = 0.0
        self.dice: float | None = None
        self.best: float | None = None

    def take(self, case: PreparedCase) -> None:
        """Measure on what is held out of a case by now."""
        self._validator.take(case, self._start.config.holdout)

    def look(self, iteration: int, before: float, now: float) -> Iterator[Event]:
        """Measure when another twentieth of the budget is used, as far as that leaves time for training.

        Parameters
        ----------
        iteration
            Steps done.
        before, now
            Share of the budget used before the last step and after it.
        """
        due = math.floor(before * VALIDATIONS) < math.floor(now * VALIDATIONS)
        if due and self._looked <= LOOKING_SHARE * self._watch.seconds:
            started = self._watch.seconds
            yield from self.measure(iteration, everything=False)
            self._looked += self._watch.seconds - started

    def measure(self, iteration: int, everything: bool) -> Iterator[Event]:
        """Measure where anything is held out; with `everything` all of it, and keep what was found."""
        if not self._validator.possible:
            return
        self._watch.start()
        try:
            found = self._quality(iteration, everything)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            yield Note("warning", "Memory ran out while the quality was measured; the training goes on.")
            return
        finally:
            self._watch.stop()
        if found is None or not math.isfinite(found.mean_dice):
            return
        self.dice = found.mean_dice
        self.best = max(self.best or 0.0, found.mean_dice)
        yield Validated(found.iteration, found.dice | found.wholes, found.mean_dice, found.where)
        if everything:
            yield from self._keep(found)

    def _quality(self, iteration: int, everything: bool) -> Quality | None:
        """Measure; where memory runs out once more with smaller windows, which stay small from then on."""
        networks = self._start.method.deciders()
        while True:
            try:
                return self._validator.run(networks, iteration, self._device, self._control, everything)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or not self._validator.shrink():
                    raise
                traceback.clear_frames(error.__traceback__)
            gc.collect()
            release_memory(self._start.device)

    def _keep(self, found: Quality) -> Iterator[Note]:
        try:
            write_quality(self._start.folder.path, found)
        except (StudyError, VolumeError) as error:
            yield Note("warning", f"What the held-out labels say about the model was not saved: {error}")
