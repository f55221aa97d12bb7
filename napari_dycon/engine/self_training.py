"""Self-training: midway a model labels the scans that nobody labelled, and learns on from these labels."""

import shutil
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from napari_dycon.engine.arrays import npy_bytes
from napari_dycon.engine.control import Control
from napari_dycon.engine.device import is_out_of_memory
from napari_dycon.engine.events import Note, ScanLabelled
from napari_dycon.engine.plan import Plan
from napari_dycon.engine.prepared import PreparedCase
from napari_dycon.engine.steps import finish
from napari_dycon.engine.tidiness import REACH, tidy
from napari_dycon.engine.windows import glance, predict_windows, window_starts
from napari_dycon.errors import StudyError, VolumeError
from napari_dycon.io.atomic import make_folder_in, write_bytes_atomic, write_text_atomic
from napari_dycon.learning.batch import UNKNOWN
from napari_dycon.learning.networks import SegmentationNetwork

FOLDER = "own_labels"
WHOLE = "whole"
"""Written last."""
SHARE = 0.15
"""Of what the steps of a run cost, what labelling may cost, both counted in patches and not timed."""
PASSES_OF_A_STEP = 3
"""A patch that is learned from costs about so many that are only looked at."""


@dataclass(frozen=True)
class Filled:
    """What may be learned from a scan once the model has filled in what nobody knew.

    Attributes
    ----------
    target : uint8 (x, y, z) classes on the plan's grid
    weight : float16 (x, y, z); None for 1
    """

    target: NDArray[np.uint8]
    weight: NDArray[np.float16] | None


class OwnLabels:
    """Files of what a model made of unlabelled scans, in the folder of its run, until the run has ended."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._path = run / FOLDER

    def read(self) -> dict[str, Filled] | None:
        """Map what was written into memory, by case; None where it is not all there."""
        try:
            cases = (self._path / WHOLE).read_text(encoding="utf-8").splitlines()
            return {case: Filled(self._array(case), self._weight(case)) for case in cases}
        except (OSError, ValueError, EOFError):
            return None

    def write(self, case: str, filled: Filled) -> None:
        """Write those of one scan.

        Raises
        ------
        VolumeError, StudyError
            When the disk is full or cannot be written.
        """
        make_folder_in(self._run, self._path)
        write_bytes_atomic(self._path / f"{case}.npy", npy_bytes(filled.target))
        if filled.weight is not None:
            write_bytes_atomic(self._path / f"{case}.weight.npy", npy_bytes(filled.weight))

    def close(self, cases: Sequence[str]) -> None:
        """Say that these scans are all."""
        write_text_atomic(self._path / WHOLE, "".join(f"{case}\n" for case in cases))

    def drop(self) -> None:
        """Remove them."""
        shutil.rmtree(self._path, ignore_errors=True)

    def _array(self, case: str) -> NDArray[np.uint8]:
        array: NDArray[np.uint8] = np.load(self._path / f"{case}.npy", mmap_mode="c", allow_pickle=False)
        return array

    def _weight(self, case: str) -> NDArray[np.float16] | None:
        path = self._path / f"{case}.weight.npy"
        if not path.exists():
            return None
        array: NDArray[np.float16] = np.load(path, mmap_mode="c", allow_pickle=False)
        return array


class SelfTraining:
    """Where a run stands: before the model has labelled scans by itself, or after that.

    Parameters
    ----------
    run
        Its folder.
    cases
        Scans that the model may label.
    known
        What training may know of a case by now, classes on the plan's grid; stays as it is.
    turn
        Share of the run after which scans are labelled; 1 for never.
    first
        Where the schedules begin; afterwards they begin like those of a model that continues.
    """

    def __init__(
        self,
        run: Path,
        cases: Sequence[PreparedCase],
        known: Callable[[PreparedCase], NDArray[np.uint8] | None],
        plan: Plan,
        seed: int,
        turn: float,
        first: float,
    ) -> None:
        self._store = OwnLabels(run)
        self._cases = list(cases)
        self._known = known
        self._plan = plan
        self._seed = seed
        self._turn = turn if cases else 1.0
        self._first = first
        self._own: Mapping[str, Filled] | None = None

    @property
    def own(self) -> Mapping[str, Filled]:
        """What the model has made of scans, by case; empty before it has."""
        return self._own or {}

    @property
    def begun(self) -> bool:
        """Whether it has."""
        return self._own is not None

    def due(self, progress: float) -> bool:
        """Whether it is time to label scans."""
        return self._own is None and progress >= self._turn

    def schedule(self, progress: float) -> float:
        """Progress as methods and learning rate see it."""
        if self._own is None:
            return self._first + (1 - self._first) * min(1.0, progress / self._turn)
        again = self._plan.warm_start_progress
        return again + (1 - again) * (progress - self._turn) / (1 - self._turn)

    def restore(self) -> None:
        """Read what was labelled before; where it is not all there, it is due again."""
        self._own = self._store.read()

    def take(self, case: PreparedCase) -> None:
        """Know a case as a person has labelled it by now; what the model made of it gives way.

        Raises
        ------
        VolumeError, StudyError
            When the disk is full or cannot be written; nothing is changed then.
        """
        if self._own is not None and case.case in self._own:
            own = {name: filled for name, filled in self._own.items() if name != case.case}
            self._store.close(list(own))
            self._own = own
        self._cases = [case if other.case == case.case else other for other in self._cases]

    def drop(self) -> None:
        """Remove the files; what is in use stays in use."""
        self._store.drop()

    def label(
        self, networks: Sequence[SegmentationNetwork], steps: float, device: torch.device, control: Control
    ) -> Generator[ScanLabelled, None, Note | None]:
        """Label scans with the mean of the networks, as many as cost little beside so many steps.

        Returns
        -------
        What to tell about it; None when stopped meanwhile. Memory or a disk that is full cost the labels
        and not the training.
        """
        cases = affordable(self._cases, self._plan, self._seed, steps)
        known = {case.case: self._known(case) for case in cases}
        try:
            if not (yield from label_scans(networks, cases, known, self._plan, device, control, self._store)):
                return None
        except (StudyError, VolumeError) as error:
            return self._without(f"its labels could not be kept: {error}")
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            traceback.clear_frames(error.__traceback__)
            return self._without("memory ran out.")
        self._own = self._store.read()
        if self._own is None:
            return self._without("its labels cannot be read.")
        return Note("info", f"The model labelled {len(cases)} scans by itself and learns from them too.")

    def forgo(self) -> None:
        """Label no scans in this run."""
        self._turn = 1.0

    def _without(self, why: str) -> Note:
        self.forgo()
        self._store.drop()
        return Note(
            "warning", f"The model did not label scans by itself, the training goes on without: {why}"
        )


def affordable(cases: Sequence[PreparedCase], plan: Plan, seed: int, steps: float) -> list[PreparedCase]:
    """Scans to label, drawn by lot, as many as cost little beside so many steps; at least one."""
    left = SHARE * steps * plan.batch_labelled * PASSES_OF_A_STEP
    chosen: list[PreparedCase] = []
    for index in np.random.default_rng((seed, 13)).permutation(len(cases)).tolist():
        shape = [max(n, p) for n, p in zip(cases[index].grid, plan.patch_size, strict=True)]
        left -= len(window_starts(shape, plan.patch_size, plan.overlap)) * len(plan.views)
        if left < 0 and chosen:
            break
        chosen.append(cases[index])
    return chosen


def label_scans(
    networks: Sequence[SegmentationNetwork],
    cases: Sequence[PreparedCase],
    known: Mapping[str, NDArray[np.uint8] | None],
    plan: Plan,
    device: torch.device,
    control: Control,
    store: OwnLabels,
) -> Generator[ScanLabelled, None, bool]:
    """Fill in what is unknown of some scans with what the networks predict; False when stopped meanwhile.

    Parameters
    ----------
    networks
        Their mean probability decides.
    known
        What training may know of each case by name, classes on the plan's grid; stays as it is.
    """
    store.drop()
    for done, case in enumerate(cases):
        yield ScanLabelled(case.case, done, len(cases))
        classes = _classes(networks, case.image, plan, device, control)
        if classes is None:
            return False
        store.write(case.case, _fill_in(case, known[case.case], classes))
        case.let_go()
    store.close([case.case for case in cases])
    return True


def _classes(
    networks: Sequence[SegmentationNetwork],
    image: NDArray[np.float16],
    plan: Plan,
    device: torch.device,
    control: Control,
) -> NDArray[np.uint8] | None:
    places = finish(glance(networks, image, plan, device, control))
    if places is None:
        return None
    together = [range(len(networks))]
    found = finish(
        predict_windows(
            networks, image, plan, device, control, means=together, views=plan.views, places=places
        )
    )
    if found is None:
        return None
    classes = found[0].argmax(dim=0).numpy().astype(np.uint8)
    likely = (1 + found[0, 1:].argmax(dim=0)) * (found[0, 1:].amax(dim=0) > REACH)
    lookup = np.array((0, *plan.structure_values), dtype=np.uint8)
    values, reach = lookup[classes], lookup[likely.numpy()]
    tidy(values, plan, float(np.prod(plan.spacing)), reach)
    return np.where(values == 0, np.uint8(0), classes)


def _fill_in(case: PreparedCase, known: NDArray[np.uint8] | None, classes: NDArray[np.uint8]) -> Filled:
    if known is None:
        return Filled(classes, None)
    unknown = known == UNKNOWN
    weight = None if case.weight is None else np.where(unknown, np.float16(1), case.weight)
    return Filled(np.where(unknown, classes, known), weight)
