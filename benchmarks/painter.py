"""A person who labels as fast as a machine: strokes and named operations, the same ones again for a seed.

What a session did can be done again in memory, step by step; so it is known what every voxel may hold.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dycon.errors import StudyError
from napari_dycon.io.masks import read_mask
from napari_dycon.study.store.autosave import Autosaver
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation
from napari_dycon.study.truth.cleanup import fill_holes, keep_largest
from napari_dycon.study.truth.editing import AnnotationEditor
from napari_dycon.study.truth.edits import difference
from napari_dycon.study.truth.interpolation import interpolate
from napari_dycon.study.truth.regions import everything

PACE_S = 0.1
MIXTURE = {
    "stroke": 66, "erase": 6, "undo": 6, "redo": 2, "accept slice": 3, "accept case": 1, "interpolate": 3,
    "keep largest": 2, "fill holes": 2, "complete slice": 2, "restore": 3, "save": 4,
}  # fmt: skip
Voxels = NDArray[np.uint16]


@dataclass(frozen=True)
class Done:
    """A line of the log: a step, when it was begun and done (None where the kill came first)."""

    begun: float
    generation: int | None
    ended: float | None


class Painter:
    """Labels the last case of a study in steps that follow from the seed alone."""

    def __init__(self, study: Study, seed: int, predictions: Path) -> None:
        self.study, self.case = study, study.cases[-1]
        self.geometry = study.geometry(self.case.id)
        self.editor = AnnotationEditor(study.annotation(self.case.id), self.geometry)
        self.prediction = read_mask(predictions / f"{self.case.name}.nii.gz", self.geometry)
        self._chance = random.Random(seed)

    def step(self, generation: int | None) -> str:
        """Do the next thing; `generation` is the version to restore, if that is what comes."""
        kind = self.coming
        self._chance.random()
        x, y, z = (self._chance.randrange(4, size - 4) for size in self.geometry.shape)
        try:
            self._do(kind, (x, y, z), generation)
        except StudyError:  # nothing to interpolate, for example: the next step then
            return f"{kind} (nothing to do)"
        return kind

    @property
    def coming(self) -> str:
        """What the next step will be."""
        state = self._chance.getstate()
        kind = self._chance.choices(list(MIXTURE), list(MIXTURE.values()))[0]
        self._chance.setstate(state)
        return kind

    def voxels(self) -> Voxels:
        """Label and known value of each voxel, in one number."""
        return voxels_of(self.editor.annotation)

    def _do(self, kind: str, place: tuple[int, int, int], generation: int | None) -> None:
        editor, structure = self.editor, self.study.structures[0]
        if kind in ("stroke", "erase"):
            self._stroke(place, int(kind == "stroke"))
        elif kind == "undo":
            editor.undo()
        elif kind == "redo":
            editor.redo()
        elif kind == "accept slice":
            editor.accept(self.prediction, (slice(None), slice(None), slice(place[2], place[2] + 1)))
        elif kind == "accept case":
            editor.accept(self.prediction)
        elif kind == "interpolate":
            found = interpolate(editor.annotation, self.geometry.spacing, [structure], 2)
            editor.apply(found.edit(editor.annotation))
        elif kind == "keep largest":
            editor.apply(keep_largest(editor.annotation, structure))
        elif kind == "fill holes":
            editor.apply(fill_holes(editor.annotation, structure))
        elif kind == "complete slice":
            editor.complete_slice(2, place[2])
        elif kind == "restore":
            self._restore(generation)

    def _stroke(self, place: tuple[int, int, int], value: int) -> None:
        x, y, z = place
        where = np.mgrid[x - 3 : x + 4, y - 3 : y + 4, z : z + 1].reshape(3, -1)
        with self.editor.painting():
            self.editor.labels[tuple(where)] = value
            self.editor.stroke(tuple(where))

    def _restore(self, generation: int | None) -> None:
        if generation is None:
            raise StudyError("No version was kept yet.")
        old, live = self.study.annotation_version(self.case.id, generation), self.editor.annotation
        whole = everything(self.geometry.shape)
        self.editor.apply(difference(live, old, whole, f"Restore version {generation}", "restore"))


def paint(folder: Path, seed: int, predictions: Path, log: Path) -> None:
    """Label until killed; each step is logged before it begins and when it is done."""
    study = Study.open(folder, read_only=False)
    painter = Painter(study, seed, predictions)
    saver = Autosaver(study, on_saved=lambda case: None, on_error=print)
    with log.open("a", buffering=1) as lines:
        while True:
            generation = _newest_kept(study, painter.case.id) if painter.coming == "restore" else None
            lines.write(json.dumps({"begun": time.time(), "generation": generation}) + "\n")
            kind = painter.step(generation)
            saver.touch(painter.case.id, painter.editor)
            lines.write(json.dumps({"done": time.time(), "kind": kind}) + "\n")
            if kind == "save":
                saver.flush()
            time.sleep(PACE_S)


def read_log(log: Path) -> tuple[list[Done], dict[str, int]]:
    """Steps of a killed session, and how many there were of each kind."""
    done: list[Done] = []
    kinds: dict[str, int] = {}
    for line in log.read_text().splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if "begun" in entry:
            done.append(Done(entry["begun"], entry["generation"], None))
        else:
            done[-1] = Done(done[-1].begun, done[-1].generation, entry["done"])
            kinds[entry["kind"]] = kinds.get(entry["kind"], 0) + 1
    return done, kinds


def states(painter: Painter, done: list[Done]) -> Iterator[Voxels]:
    """What the annotation was: at opening, and after each step."""
    yield painter.voxels()
    for entry in done:
        painter.step(entry.generation)
        yield painter.voxels()


def voxels_of(annotation: Annotation) -> Voxels:
    """Label and known value of each voxel, in one number."""
    return annotation.labels.astype(np.uint16) | (annotation.known.astype(np.uint16) << 8)


def oldest_state(found: Voxels, was: list[Voxels]) -> tuple[int, int]:
    """Find how far back one must go to explain every voxel, and how many nothing explains."""
    unexplained = np.ones(found.shape, bool)
    for index in range(len(was) - 1, -1, -1):
        unexplained &= found != was[index]
        if not unexplained.any():
            return index, 0
    return 0, int(np.count_nonzero(unexplained))


def _newest_kept(study: Study, case_id: str) -> int | None:
    kept = study.versions(case_id)[1:]
    return kept[0].generation if kept else None
