"""Labels that are made while a run is trained: taken over between two steps, from the folder of the run."""

import time
from dataclasses import dataclass

import numpy as np

from napari_dycon.engine.bundle import Bundle, BundledCase, Contents
from napari_dycon.engine.events import Note
from napari_dycon.engine.prepared import PreparedCase
from napari_dycon.engine.runs import RunConfig
from napari_dycon.engine.start import Start
from napari_dycon.errors import TrainingError
from napari_dycon.learning.batch import IGNORE, UNKNOWN

LOOK_SECONDS = 1.0
NOT_JOINED = "New labels could not join the training, which goes on with those before:"


@dataclass(frozen=True)
class Join:
    """New labels of some cases: as they lie in the folder, and as they are learned from."""

    entries: tuple[BundledCase, ...]
    cases: tuple[PreparedCase, ...]
    slices: int


class Joins:
    """Looks for new labels once a second at most, and puts down what was learned from since when.

    Parameters
    ----------
    bundle
        What the run is trained on. Nothing is looked for unless it is open-ended.
    start
        The run; its cases are those in use.
    """

    def __init__(self, bundle: Bundle, start: Start) -> None:
        self._bundle, self._start = bundle, start
        self._contents: Contents = bundle.contents()
        self._stamp = (0, 0, 0)
        self._looked = 0.0

    def look(self) -> Join | Note | None:
        """What has come since the last look; a note where it cannot be used, None where it is nothing."""
        now = time.monotonic()
        if not self._contents.open_ended or now - self._looked < LOOK_SECONDS:
            return None
        self._looked, stamp = now, self._bundle.update_stamp()
        if stamp == self._stamp:
            return None
        self._stamp = stamp
        try:
            return self._read()
        except (TrainingError, MemoryError) as error:
            if self._bundle.update_stamp() != stamp:  # replaced while it was read: the next look takes that
                return None
            return Note("warning", f"{NOT_JOINED} {error or 'there is not enough memory.'}")

    @property
    def slices(self) -> int:
        """How many slices are complete in what is learned from and measured on."""
        return self._contents.slices

    def put_down(self, join: Join, config: RunConfig, iteration: int) -> None:
        """Write what is learned from after so many steps, before it is.

        Raises
        ------
        VolumeError, StudyError
            When the disk is full or cannot be written.
        """
        contents = self._contents.replace(join.entries, iteration)
        self._start.folder.write(config, self._start.plan)
        self._bundle.write(contents)
        self._contents = contents
        for entry in join.entries:
            self._bundle.drop_labels(entry)

    def _read(self) -> Join | None:
        now = {case.case: case for case in self._contents.cases}
        new = [
            case
            for case in self._bundle.read_update().cases
            if case.case in now and not case.same_labels(now[case.case])
        ]
        if not new:
            return None
        prepared = {case.case: case for case in self._start.cases}
        cases = tuple(self._bundle.labels(case, prepared[case.case]) for case in new)
        for case in cases:
            _check_classes(case, len(self._start.plan.structure_values))
        return Join(
            entries=tuple(_beside(case, now[case.case]) for case in new),
            cases=cases,
            slices=sum(case.slices - now[case.case].slices for case in new),
        )


def _beside(new: BundledCase, before: BundledCase) -> BundledCase:
    """New labels with the scan and the patient that the run began with."""
    arrays = {kind: entry for kind, entry in before.arrays.items() if kind == "image"}
    return before.model_copy(update={"arrays": {**new.arrays, **arrays}, "slices": new.slices})


def _check_classes(case: PreparedCase, structures: int) -> None:
    """Refuse labels that the model has no output for: the loss would read beyond its end."""
    allowed = np.zeros(256, dtype=bool)
    allowed[[*range(structures + 1), IGNORE, UNKNOWN]] = True
    for target in (case.target, case.judged):
        if target is not None and not allowed[target].all():
            raise TrainingError(f"the labels of {case.case} are not those of the structures of this run.")
