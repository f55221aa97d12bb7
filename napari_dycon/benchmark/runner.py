"""Trains and tests every method with every seed, row by row, and goes on where it was interrupted."""

import hashlib
import json
import shutil
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from napari_dycon.benchmark.events import BenchmarkEvent, RowFinished, RowStarted, ScanTested
from napari_dycon.benchmark.protocol import Pair, Protocol, split_scans, spread_slices
from napari_dycon.benchmark.rows import CaseScore, Row, add_row, load_rows, mean_of, row_key
from napari_dycon.benchmark.scoring import means_of, score_scan, structures_of
from napari_dycon.benchmark.training import following
from napari_dycon.benchmark.variants import Contender, contenders
from napari_dycon.engine.budget import Stopwatch
from napari_dycon.engine.control import Control
from napari_dycon.engine.device import resolve_device
from napari_dycon.engine.events import Event, RunStarted
from napari_dycon.engine.inference import Predictor
from napari_dycon.engine.runners.here import Trainer
from napari_dycon.io.atomic import write_text_atomic
from napari_dycon.io.geometry import Geometry
from napari_dycon.io.masks import read_mask
from napari_dycon.io.volumes import read_geometry, read_volume
from napari_dycon.study.exchange import importing
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation


@dataclass(frozen=True, slots=True)
class _Trained:
    run: str
    device: str
    iterations: int
    seconds: float
    peak_memory_mb: float


@dataclass(frozen=True, slots=True)
class _Tested:
    scores: list[CaseScore]
    seconds: float


class Benchmark:
    """Trains and tests every method with every seed, and can be interrupted at any time.

    Parameters
    ----------
    protocol : Protocol
    work : Path
        Folder for the study and for unfinished runs. Called again with the same folder, an interrupted row
        goes on from its last checkpoint.
    results : Path, optional
        JSON file of the rows; rows already in it are kept and not measured again.
    control : Control, optional
        Stops after the step at hand; the unfinished row can be resumed.
    threads : int, optional
        Processor threads of the training.
    device : str, optional
        What the rows are measured on, where that is not here.

    Raises
    ------
    DyconError
        When scans, methods or variants are not there or do not fit.
    """

    def __init__(
        self,
        protocol: Protocol,
        work: Path,
        results: Path | None = None,
        *,
        control: Control | None = None,
        threads: int | None = None,
        device: str | None = None,
    ) -> None:
        self.protocol = protocol
        self.work = work
        self.threads = threads
        self.device = device or resolve_device(protocol.device)
        self.contenders = contenders(protocol.methods, protocol.variants)
        self.split = split_scans(protocol)
        self.control = control or Control()
        self._budget = protocol.budget
        self._data = self.split.fingerprint
        self._results = results
        self._study_path = work / f"study-{_digest(self._data, len(self.split.labelled), protocol.slices)}"

    def run(self) -> Generator[BenchmarkEvent, None, list[Row]]:
        """Measure what is missing and return the rows; fewer than asked for once the control was stopped."""
        rows: list[Row] = []
        with self.open_study() as study:
            for number, (seed, contender) in enumerate(self.wanted, start=1):
                row = self.row_of(contender, seed)
                kept = row is not None
                if row is None:
                    row = yield from self.measure(study, contender, seed, number)
                if row is None:
                    break
                rows.append(row)
                self.keep(row)
                yield RowFinished(row, kept)
        return rows

    @property
    def wanted(self) -> list[tuple[int, Contender]]:
        """Seed and contender of each row."""
        return [(seed, contender) for seed in self.protocol.seeds for contender in self.contenders]

    def row_of(self, contender: Contender, seed: int) -> Row | None:
        """The row that is in the file already."""
        return load_rows(self._results).get(self._key(contender, seed))

    def keep(self, row: Row) -> None:
        """Write a row to the file."""
        add_row(self._results, row)

    def open_study(self, *, read_only: bool = False) -> Study:
        """Open the study of all rows, which is made when it is not there."""
        complete = self._study_path / "complete"
        if complete.exists():
            return Study.open(self._study_path, read_only=read_only)
        shutil.rmtree(self._study_path, ignore_errors=True)
        self._study_path.parent.mkdir(parents=True, exist_ok=True)
        structures = structures_of((*self.split.labelled, *self.split.test))
        study = Study.create(self._study_path, structures, name="benchmark")
        _import_scans(study, self.split.labelled, self.split.unlabelled, self.protocol.slices)
        write_text_atomic(complete, self._data + "\n")
        return study

    def measure(
        self, study: Study, contender: Contender, seed: int, number: int
    ) -> Generator[BenchmarkEvent, None, Row | None]:
        """Train and test a contender with a seed, or go on with that; no row when it was stopped."""
        notes = self._study_path / f"row-{_digest(self._key(contender, seed))}.json"
        state: dict[str, Any] = json.loads(notes.read_text(encoding="utf-8")) if notes.exists() else {}
        yield RowStarted(contender.method, seed, number, self.total, bool(state), contender.variant)
        if "trained" in state:
            trained: _Trained | None = _Trained(**state["trained"])
        else:
            trained = yield from self._train(study, contender, seed, notes, state.get("run"))
        if trained is None:
            return None
        tested = yield from self._test(study, trained)
        return None if tested is None else self._row(contender, seed, trained, tested)

    @property
    def total(self) -> int:
        """Number of rows asked for."""
        return len(self.contenders) * len(self.protocol.seeds)

    def _key(self, contender: Contender, seed: int) -> str:
        p = self.protocol
        labelled = len(self.split.labelled)
        same = (contender.method, seed, labelled, p.slices, self._budget, p.overrides, self._data)
        return row_key(*same, self.device, contender.variant, contender.settings)

    def _overrides(self, contender: Contender) -> dict[str, Any]:
        """Changes of the plan asked for, with those of the variant on top."""
        overrides = dict(self.protocol.overrides)
        if contender.settings:
            overrides["method_settings"] = {**overrides.get("method_settings", {}), **contender.settings}
        return overrides

    def _train(
        self, study: Study, contender: Contender, seed: int, notes: Path, run: str | None
    ) -> Generator[BenchmarkEvent, None, _Trained | None]:
        trainer = Trainer(
            study,
            contender.method,
            minutes=self.protocol.minutes,
            iterations=self.protocol.iterations,
            seed=seed,
            device=self.protocol.device,
            overrides=self._overrides(contender),
            run_id=run,
            resume=run is not None,
            warm_start=False,
            control=self.control,
            threads=self.threads,
            holdout=False,
        )
        memory = _PeakMemory()
        device = "cpu"

        def note(event: Event) -> None:
            nonlocal device
            memory.sample()
            if isinstance(event, RunStarted):
                device = event.device
                write_text_atomic(notes, json.dumps({"run": event.run}))

        end = yield from following(trainer, note)
        if end is None:
            return None
        trained = _Trained(end.run, device, end.iteration, end.seconds, memory.megabytes)
        write_text_atomic(notes, json.dumps({"run": end.run, "trained": _as_dict(trained)}))
        return trained

    def _test(self, study: Study, trained: _Trained) -> Generator[BenchmarkEvent, None, _Tested | None]:
        predictor = Predictor.load(study, trained.run, device=self.protocol.device)
        scores: list[CaseScore] = []
        watch = Stopwatch()
        for done, pair in enumerate(self.split.test, start=1):
            if self.control.stopped:
                return None
            volume = read_volume(pair.image)
            watch.start()
            found = predictor.volume(volume, probabilities=False).mask
            watch.stop()
            case = score_scan(pair, found, volume.geometry, study.structures)
            scores += case
            yield ScanTested(pair.name, done, len(self.split.test), mean_of(score.dice for score in case))
        return _Tested(scores, watch.seconds)

    def _row(self, contender: Contender, seed: int, trained: _Trained, tested: _Tested) -> Row:
        return Row(
            method=contender.method,
            seed=seed,
            labelled=len(self.split.labelled),
            labelled_scans=tuple(pair.name for pair in self.split.labelled),
            slices=self.protocol.slices,
            iterations=trained.iterations,
            seconds=round(trained.seconds, 2),
            iterations_per_second=round(trained.iterations / max(trained.seconds, 1e-9), 3),
            peak_memory_mb=round(trained.peak_memory_mb, 1),
            device=trained.device,
            budget=self._budget,
            overrides=dict(self.protocol.overrides),
            data=self._data,
            variant=contender.variant,
            variant_settings=dict(contender.settings),
            test_seconds=round(tested.seconds, 2),
            recipe=self.protocol.recipe,
            **means_of(tested.scores),
        )


class _PeakMemory:
    """Highest memory seen during one run: of the graphics card when one works, else of this process."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._bytes = 0
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def sample(self) -> None:
        self._bytes = max(self._bytes, int(self._process.memory_info().rss))

    @property
    def megabytes(self) -> float:
        card = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
        return float(card or self._bytes) / 2**20


def _import_scans(
    study: Study, labelled: Iterable[Pair], unlabelled: Iterable[Pair], slices: int | None
) -> None:
    for pair in labelled:
        geometry = read_geometry(pair.image)
        annotation = _annotation(read_mask(pair.truth, geometry), geometry, slices)
        study.save_annotation(importing.add_scan(study, pair.image).id, annotation, reason="import")
    for pair in unlabelled:
        importing.add_scan(study, pair.image)


def _annotation(mask: NDArray[np.uint8], geometry: Geometry, slices: int | None) -> Annotation:
    if slices is None:
        return Annotation.full(mask)
    annotation = Annotation.empty(geometry.shape)
    axis, indices = spread_slices(mask, geometry, slices)
    for index in indices:
        window = tuple(index if a == axis else slice(None) for a in range(3))
        annotation.labels[window] = mask[window]
        annotation.complete_slice(axis, index)
    return annotation


def _as_dict(trained: _Trained) -> dict[str, Any]:
    return {name: getattr(trained, name) for name in _Trained.__slots__}


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]
