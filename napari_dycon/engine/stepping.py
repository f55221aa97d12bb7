"""The steps of a run, one after the other, and the way back where one goes wrong."""

import gc
import traceback
from collections.abc import Iterator

from napari_dycon.engine.device import is_out_of_memory, release_memory
from napari_dycon.engine.events import Note
from napari_dycon.engine.optimisation import Optimisation, Unstable
from napari_dycon.engine.patches import PatchSampler
from napari_dycon.engine.plan import smaller_patch
from napari_dycon.engine.self_training import SelfTraining
from napari_dycon.engine.start import Start
from napari_dycon.errors import TrainingError
from napari_dycon.learning.batch import Batch

SNAPSHOT_ITERATIONS = 100
PREFETCHED_ON_GPU = 4


def in_words(error: BaseException) -> str:
    """What went wrong in a library, in one line."""
    if is_out_of_memory(error):
        return "memory ran out; close other programs or choose the CPU."
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


class Steps:
    """Makes steps; what it does follows from the bundle, the iteration and the active time alone.

    Parameters
    ----------
    start
        The run, at its beginning or where it was left.
    self_training
        Where it stands in that; the schedules follow from it.

    Attributes
    ----------
    iteration
        Steps done.
    optimisation
        Networks and optimiser.
    sampler
        Where patches come from.
    rolled_back
        Whether training went back to earlier weights once.
    """

    sampler: PatchSampler

    def __init__(self, start: Start, self_training: SelfTraining) -> None:
        self._start, self._self_training = start, self_training
        seed, team = start.config.seed, start.team
        self.optimisation = Optimisation(start.method, start.plan, start.device, seed, team)
        self.iteration = 0
        self.rolled_back = False
        self._shrunk = False
        self._seconds = 0.0
        if start.checkpoint is not None:
            self.optimisation.restore(start.checkpoint.tensors)
            state = start.checkpoint.state
            self.iteration = start.checkpoint.iteration
            self._seconds = float(state["seconds"])
            self.optimisation.rate_factor = float(state["rate_factor"])
            self.rolled_back = bool(state["rolled_back"])
        team.align(self.optimisation.tensors())
        self._good = self.optimisation.snapshot(self.iteration)
        self.learn_from()

    def learn_from(self, sampler: PatchSampler | None = None) -> None:
        """Take batches from what may be learned from by now, unless a sampler of that is given."""
        self.sampler = sampler or self._start.sampler(self._self_training.own)
        ahead = PREFETCHED_ON_GPU if self._start.device == "cuda" else 0
        self._batches: Iterator[Batch] = self.sampler.batches(self.iteration, ahead, self._patches)

    def make(self, seconds: float) -> dict[str, float] | Note:
        """Make a step after so many active seconds.

        Returns
        -------
        The losses by name; or a note about why there was no step and what was changed.

        Raises
        ------
        TrainingError
            When training cannot go on.
        """
        self._seconds = seconds
        out_of_memory = False
        losses: dict[str, float] = {}
        try:
            batch = next(self._batches)
            losses = self.optimisation.step(batch, self.iteration, self._schedule(self.iteration))
        except Unstable:
            return self._roll_back()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise TrainingError(
                    f"Training failed at step {self.iteration + 1}: {in_words(error)}"
                ) from error
            traceback.clear_frames(error.__traceback__)
            out_of_memory = True
        if out_of_memory:
            return self._shrink()
        self.iteration += 1
        if self.iteration % SNAPSHOT_ITERATIONS == 0:
            self._good = self.optimisation.snapshot(self.iteration)
        return losses

    def _schedule(self, iteration: int) -> float:
        """Progress as methods and learning rate see it."""
        return self._self_training.schedule(self._start.budget.progress(iteration, self._seconds))

    def _patches(self, iteration: int) -> tuple[int, int]:
        return self._start.method.patches(self._schedule(iteration), *self.sampler.planned)

    def _roll_back(self) -> Note:
        """Return to the last good weights with a third of the learning rate, once."""
        if self.rolled_back:
            raise TrainingError(
                f"Training became unstable again at step {self.iteration + 1} and was stopped; your labels "
                "and the last saved model are untouched. Look for scans with odd values."
            )
        unstable, self.iteration = self.iteration + 1, self.iteration + 1
        self.rolled_back = True
        self.optimisation.restore(self._good.tensors)
        self.optimisation.rate_factor /= 3
        return Note(
            "warning",
            f"Training became unstable at step {unstable}; it went back to step {self._good.iteration} "
            "with a lower learning rate.",
        )

    def _shrink(self) -> Note:
        """Go on with a smaller patch after memory ran out, once; not where other processes wait."""
        if self._start.team.size > 1:
            raise TrainingError(
                "A device has too little memory for its part of a step; train on one device first, or give a "
                "smaller patch with --override patch_size=[X,Y,Z]."
            )
        plan = smaller_patch(self._start.plan)
        if self._shrunk or plan is None:
            raise TrainingError(
                "There is not enough memory to train on these scans; close other programs or choose the CPU."
            )
        self._shrunk = True
        self._start.plan = plan
        self._start.folder.write(self._start.config, plan)
        gc.collect()
        release_memory(self._start.device)
        self.optimisation.restore(self._good.tensors)
        self.learn_from()
        size = " x ".join(map(str, plan.patch_size))
        return Note("warning", f"Memory ran out; the training goes on with smaller patches ({size} voxels).")
