"""What runs predicted of the cases of a study: masks, maps beside them, and what is known of each."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_dycon.io.geometry import Geometry
from napari_dycon.study.store.runs import ENTROPY, RunStore, probability_map
from napari_dycon.study.store.schema import CaseRecord, Structure
from napari_dycon.study.store.structures import StructureChanges


class _Study(Protocol):
    """The study whose cases are predicted."""

    @property
    def mutex(self) -> AbstractContextManager[object]: ...
    @property
    def structures(self) -> tuple[Structure, ...]: ...
    def case(self, case_id: str) -> CaseRecord: ...
    def geometry(self, case_id: str) -> Geometry: ...
    def scan_path(self, case_id: str) -> Path: ...
    def require_writable(self) -> None: ...


class Predictions:
    """The predictions of one study. Arrays are ``(x, y, z)`` in source order.

    Parameters
    ----------
    study
        Whose cases, structures and scans they are about.
    runs
        Keeps the files.
    changes
        Knows which structures were merged or removed since a mask was written.
    """

    def __init__(self, study: _Study, runs: RunStore, changes: StructureChanges) -> None:
        self._study, self._runs, self._changes = study, runs, changes

    def path(self, run_id: str, case_id: str) -> Path:
        """File of a predicted mask, there or not."""
        return self._runs.prediction_path(run_id, self._study.case(case_id).id)

    def mask(self, run_id: str, case_id: str) -> NDArray[np.uint8] | None:
        """Predicted label values, of the structures of today; None where the case was not predicted."""
        if not self.path(run_id, case_id).is_file():
            return None
        found = self._runs.read_prediction(run_id, case_id, self._study.geometry(case_id))
        return None if found is None else self._changes.translate_mask(found)

    def save(
        self,
        run_id: str,
        case_id: str,
        mask: NDArray[np.uint8],
        entropy: NDArray[Any],
        probabilities: NDArray[Any] | None = None,
    ) -> None:
        """Write a prediction.

        Parameters
        ----------
        run_id, case_id
            What predicted what.
        mask
            Label values ``(x, y, z)``.
        entropy
            Predictive entropy ``(x, y, z)``, 0 to 1.
        probabilities
            ``(C, x, y, z)``: background, then the first C - 1 structures in study order.
        """
        self._study.require_writable()
        self._write(self._runs, run_id, case_id, mask, entropy, probabilities)

    def leave(
        self,
        tray: Path,
        run_id: str,
        case_id: str,
        mask: NDArray[np.uint8],
        entropy: NDArray[Any],
        probabilities: NDArray[Any] | None = None,
    ) -> None:
        """Write a prediction into another folder, for whoever may change the study to `collect` it."""
        self._write(RunStore(tray), run_id, case_id, mask, entropy, probabilities)

    def collect(self, tray: Path, run_id: str, case_id: str) -> None:
        """Take a prediction over that was left in a folder."""
        self._study.require_writable()
        self._runs.take_prediction(run_id, self._study.case(case_id).id, RunStore(tray))

    def _write(
        self,
        runs: RunStore,
        run_id: str,
        case_id: str,
        mask: NDArray[np.uint8],
        entropy: NDArray[Any],
        probabilities: NDArray[Any] | None,
    ) -> None:
        found = () if probabilities is None else zip(self._study.structures, probabilities[1:], strict=False)
        maps = {ENTROPY: entropy} | {probability_map(s.value): values for s, values in found}
        runs.write_prediction(run_id, case_id, mask, maps, self._study.scan_path(case_id))

    # ---- maps --------------------------------------------------------------------------------

    def map_path(self, run_id: str, case_id: str, name: str) -> Path:
        """File of a map beside a prediction, there or not (see `map_names`)."""
        return self._runs.map_path(run_id, self._study.case(case_id).id, name)

    def map_names(self, run_id: str, case_id: str) -> tuple[str, ...]:
        """Names of the maps beside a prediction: ``entropy``, ``probability-1``, and what others add."""
        return self._runs.map_names(run_id, self._study.case(case_id).id)

    def map(self, run_id: str, case_id: str, name: str) -> NDArray[np.float32] | None:
        """Map ``(x, y, z)`` beside a prediction, values from 0 to 1; None where there is none."""
        if not self.map_path(run_id, case_id, name).is_file():
            return None
        return self._runs.read_map(run_id, case_id, name, self._study.geometry(case_id))

    def save_map(self, run_id: str, case_id: str, name: str, values: NDArray[Any]) -> None:
        """Write a map beside a prediction; whatever is shown of a prediction finds it by its name.

        Parameters
        ----------
        run_id, case_id
            To which prediction it belongs.
        name
            Small letters, digits, ``-`` and ``_``.
        values
            ``(x, y, z)``, 0 to 1, kept in steps of 1/255.
        """
        self._study.require_writable()
        scan = self._study.scan_path(case_id)
        self._runs.write_map(run_id, self._study.case(case_id).id, name, values, scan)

    # ---- what is known of them ---------------------------------------------------------------

    def summary(self, run_id: str) -> dict[str, dict[str, Any]]:
        """Return what is known of each predicted case.

        ``volumes_ml`` and ``expected_dice`` by structure, ``mean_entropy``, ``empty``, ``cut``: structures
        that touch the edge of the scan, and ``ready``: whether the model was.
        """
        return self._runs.read_summary(run_id)

    def unready(self, run_id: str) -> set[str]:
        """Cases whose prediction a model made that was not ready yet; such masks are not for use."""
        return {case for case, row in self.summary(run_id).items() if not row.get("ready", True)}

    def save_summary(self, run_id: str, summary: Mapping[str, Mapping[str, Any]]) -> None:
        """Add what `summary` returns; cases that are not named keep theirs."""
        with self._study.mutex:
            self._study.require_writable()
            self._runs.write_summary(run_id, summary)

    def drop_summary(self, run_id: str, case_id: str) -> dict[str, Any]:
        """Forget what `summary` says of a case, and return it; empty where it says nothing."""
        with self._study.mutex:
            self._study.require_writable()
            return self._runs.drop_summary(run_id, case_id)
