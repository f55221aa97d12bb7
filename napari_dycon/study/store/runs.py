"""Runs and what they predicted, as files in the study folder."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dycon.errors import StudyError
from napari_dycon.io.atomic import in_plain_words, make_folder_in
from napari_dycon.io.geometry import Geometry
from napari_dycon.io.json_files import finite, parse_json, write_json
from napari_dycon.io.masks import read_map, read_mask, write_map, write_mask
from napari_dycon.study.store.files import clear_way, free_path

ENTROPY = "entropy"
"""Name of the map of predictive entropy, divided by ln C."""

PROPOSAL_FILE = "proposed.json"
_MAP_NAME = re.compile(r"[a-z][a-z0-9_-]{0,40}")
_RUN_ID = re.compile(r"([0-9]{3,6})-[a-z0-9][a-z0-9_-]{0,40}")


class RunStore:
    """The ``runs/`` and ``predictions/`` folders of one study."""

    def __init__(self, study: Path) -> None:
        self._runs = study / "runs"
        self._predictions = study / "predictions"

    def ids(self) -> list[str]:
        """Ids of all runs, newest last."""
        names = [name for name in self._entries() if (self._runs / name).is_dir()]
        return sorted(names, key=lambda name: (int(name.split("-")[0]), name))

    def new(self, method: str) -> str:
        """Make the folder of a new run and return its id, for example ``001-dycon``."""
        clear_way(self._runs, folder=True)
        make_folder_in(self._runs.parent, self._runs)
        while True:
            numbers = [int(name.split("-")[0]) for name in self._entries()]
            run = f"{max(numbers, default=0) + 1:03d}-{method}"
            with in_plain_words(self.folder(run)), contextlib.suppress(FileExistsError):
                self.folder(run).mkdir()  # another process may have taken the number in the meantime
                return run

    def folder(self, run: str) -> Path:
        """Folder of a run, there or not.

        Raises
        ------
        StudyError
            If the id is not one that this program gives.
        """
        return self._runs / _check_id(run)

    def proposals(self) -> list[str]:
        """Runs that wait to become the active one, the latest last (see `propose`)."""
        found = {run: _proposal_time(self.folder(run)) for run in self.ids()}
        return sorted((run for run in found if found[run]), key=lambda run: found[run])

    def withdraw(self, runs: Iterable[str]) -> None:
        """Forget that runs wait to become the active one."""
        for run in runs:
            with contextlib.suppress(OSError):
                (self.folder(run) / PROPOSAL_FILE).unlink(missing_ok=True)

    def prediction_path(self, run: str, case: str) -> Path:
        """File of a predicted mask."""
        return self._predictions / _check_id(run) / f"{case}.nii.gz"

    def map_path(self, run: str, case: str, name: str) -> Path:
        """File of a map beside a prediction, there or not.

        Raises
        ------
        StudyError
            If maps cannot be called so.
        """
        if not _MAP_NAME.fullmatch(name):
            raise StudyError(f"A map cannot be called {name!r}; use small letters, digits, - and _.")
        return self._predictions / _check_id(run) / f"{case}.{name}.nii.gz"

    def map_names(self, run: str, case: str) -> tuple[str, ...]:
        """Names of the maps beside a prediction, sorted."""
        start, end = f"{case}.", ".nii.gz"
        folder = self.prediction_path(run, case).parent
        files = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        names = (
            file[len(start) : -len(end)] for file in files if file.startswith(start) and file.endswith(end)
        )
        return tuple(sorted(name for name in names if _MAP_NAME.fullmatch(name)))

    def read_prediction(self, run: str, case: str, geometry: Geometry) -> NDArray[np.uint8] | None:
        """Predicted mask ``(x, y, z)``; None where there is none."""
        path = self.prediction_path(run, case)
        return read_mask(path, geometry) if path.is_file() else None

    def read_map(self, run: str, case: str, name: str, geometry: Geometry) -> NDArray[np.float32] | None:
        """Map ``(x, y, z)`` of values from 0 to 1; None where there is none of that name."""
        path = self.map_path(run, case, name)
        return read_map(path, geometry) if path.is_file() else None

    def write_map(self, run: str, case: str, name: str, values: NDArray[Any], scan: Path) -> None:
        """Write a map of values from 0 to 1 on the grid of the scan."""
        path = self.map_path(run, case, name)
        for folder in (self._predictions, path.parent):
            clear_way(folder, folder=True)
        make_folder_in(self._predictions.parent, path.parent)
        clear_way(path)
        write_map(path, values, scan)

    def write_prediction(
        self, run: str, case: str, mask: NDArray[np.uint8], maps: Mapping[str, NDArray[Any]], scan: Path
    ) -> None:
        """Write the maps by name, and last the mask, on the grid of the scan."""
        for name, values in maps.items():
            self.write_map(run, case, name, values, scan)
        clear_way(self.prediction_path(run, case))
        write_mask(self.prediction_path(run, case), mask, scan)

    def take_prediction(self, run: str, case: str, other: RunStore) -> None:
        """Move a prediction here that was written elsewhere on this disk; the mask last."""
        for name in other.map_names(run, case):
            self._take(other.map_path(run, case, name), self.map_path(run, case, name))
        self._take(other.prediction_path(run, case), self.prediction_path(run, case))

    def _take(self, source: Path, target: Path) -> None:
        make_folder_in(self._predictions.parent, target.parent)
        clear_way(target)
        with in_plain_words(target):
            source.replace(target)

    def read_summary(self, run: str) -> dict[str, dict[str, Any]]:
        """Summary of each predicted case; what of it cannot be read is left out."""
        try:
            content = parse_json(self._summary(run).read_bytes())
        except (OSError, ValueError):
            return {}
        rows = content.items() if isinstance(content, dict) else ()
        return {case: _sound(row) for case, row in rows if isinstance(row, dict)}

    def write_summary(self, run: str, summary: Mapping[str, Mapping[str, Any]]) -> None:
        """Add summaries of cases to those that are there; numbers that are not finite are left out."""
        make_folder_in(self._predictions.parent, self._summary(run).parent)
        self._write(run, {**self.read_summary(run), **{case: dict(row) for case, row in summary.items()}})

    def drop_summary(self, run: str, case: str) -> dict[str, Any]:
        """Forget the summary of a case, and return it; empty where there is none."""
        rows = self.read_summary(run)
        row = rows.pop(case, {})
        if row:
            self._write(run, rows)
        return row

    def _write(self, run: str, rows: Mapping[str, Mapping[str, Any]]) -> None:
        path = self._summary(run)
        if path.is_file() and not self.read_summary(run):
            with contextlib.suppress(OSError):
                path.replace(free_path(path.with_name(f"{path.name}.damaged")))
        clear_way(path)
        write_json(path, finite(rows))

    def _entries(self) -> list[str]:
        """Names of all that is named like a run, folders or not."""
        try:
            return [path.name for path in self._runs.iterdir() if _RUN_ID.fullmatch(path.name)]
        except OSError:
            return []

    def _summary(self, run: str) -> Path:
        return self._predictions / _check_id(run) / "summary.json"


def probability_map(value: int) -> str:
    """Name of the map of the probability of a label value."""
    return f"probability-{value}"


def propose(folder: Path) -> None:
    """Ask whoever holds the study, now or next, to make the run in a folder the active one.

    Only the holder of the study's lock writes ``study.json``, and a training does not hold it.

    Raises
    ------
    VolumeError
        If the folder cannot be written.
    """
    write_json(folder / PROPOSAL_FILE, {"proposed_ns": time.time_ns()})


def _proposal_time(folder: Path) -> int:
    """When a run was proposed, in nanoseconds; 0 where it was not."""
    try:
        found = parse_json((folder / PROPOSAL_FILE).read_bytes())
    except FileNotFoundError:
        return 0
    except (OSError, ValueError):
        return 1
    when = found.get("proposed_ns") if isinstance(found, dict) else None
    return when if isinstance(when, int) and when > 0 else 1


def _sound(row: dict[str, Any]) -> dict[str, Any]:
    """A row without values of another kind than they must have."""
    kinds: dict[str, type] = {
        "volumes_ml": dict,
        "expected_dice": dict,
        "mean_entropy": float,
        "ready": bool,
        "cut": list,
    }
    return {key: value for key, value in row.items() if isinstance(value, kinds.get(key, object))}


def _check_id(run: str) -> str:
    if not _RUN_ID.fullmatch(run):
        raise StudyError(f"{run!r} is not the name of a run; runs are named like 001-dycon.")
    return run
