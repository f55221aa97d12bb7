"""Follows every strategy with every seed, round by round, and goes on where it was interrupted."""

import hashlib
import json
from collections.abc import Generator
from pathlib import Path

from napari_dycon.benchmark.protocol import Split, train_and_test
from napari_dycon.benchmark.simulation.comparison import Difference, compare
from napari_dycon.benchmark.simulation.events import LaneStarted, RoundFinished, SimulationEvent
from napari_dycon.benchmark.simulation.lane import START, Lane, Setting, Steps
from napari_dycon.benchmark.simulation.protocol import Protocol
from napari_dycon.benchmark.simulation.rows import Results, Row, curves, row_key
from napari_dycon.engine.control import Control
from napari_dycon.engine.device import resolve_device


class Simulation:
    """A simulated annotator follows strategies; can be interrupted at any time.

    The start (first slices and first model) is made once a seed, and every strategy goes on from it in a
    study of its own.

    Parameters
    ----------
    protocol : Protocol
    work : Path
        Folder for studies. Called again with the same folder, what was interrupted goes on.
    results : Path, optional
        JSON file of the rows; strategies and seeds all of whose rounds are in it are not followed again.
    control : Control, optional
        Stops after the step at hand.
    threads : int, optional
        Processor threads of training and prediction.
    device : str, optional
        What is trained and predicted on, where that is not here.

    Raises
    ------
    DyconError
        When scans, label maps, strategies or methods are not there or do not fit.
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
        protocol.check()
        self.protocol = protocol
        self.work = work
        self.threads = threads
        self.device = device or resolve_device(protocol.device)
        self.control = control or Control()
        train, test = train_and_test(protocol)
        data = Split(tuple(train), (), tuple(test)).fingerprint
        same = protocol.setting(self.device, data)
        self._setting = Setting(protocol, train, test, same, self.control, threads)
        self._results = Results(results)
        digest = hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()[:8]
        self._folder = work / f"simulation-{digest}"

    @property
    def total(self) -> int:
        """Number of rows asked for."""
        return len(self.protocol.strategies) * len(self.protocol.seeds) * (self.protocol.rounds + 1)

    def run(self) -> Generator[SimulationEvent, None, list[Row]]:
        """Follow what is missing and return the rows; fewer than asked for once the control was stopped."""
        rows: list[Row] = []
        for number, (seed, strategy) in enumerate(self.wanted, start=1):
            kept = self.rows_of(strategy, seed)
            for row in kept:
                yield RoundFinished(row, kept=True)
            rows += kept
            if not kept:
                done = yield from self.follow(strategy, seed, number, rows)
                if not done:
                    return rows
        self.write_comparison(rows)
        return rows

    @property
    def wanted(self) -> list[tuple[int, str]]:
        """Seed and strategy of each lane."""
        return [(seed, name) for seed in self.protocol.seeds for name in self.protocol.strategies]

    def follow(self, strategy: str, seed: int, number: int, rows: list[Row]) -> Steps:
        """Follow a strategy with a seed to its end, or go on with that; rows are added as they are done."""
        lane = Lane(self._folder / f"{strategy}-{seed}", strategy, seed, self._setting)
        yield LaneStarted(strategy, seed, number, len(self.wanted), lane.begun)
        done = yield from self._follow(lane, rows)
        return done

    def keep(self, row: Row) -> None:
        """Write a row to the file."""
        self._results.add(row)

    def write_comparison(self, rows: list[Row]) -> None:
        """Write how the strategies compare beside the rows."""
        self._results.write(self.compare(rows))

    def compare(self, rows: list[Row]) -> list[Difference]:
        """Compare the strategies in some rows of this simulation."""
        return compare(curves(rows))

    def rows_of(self, strategy: str, seed: int) -> list[Row]:
        """The rows of all rounds, if all are there."""
        keys = (
            row_key(strategy, seed, number, self._setting.same) for number in range(self.protocol.rounds + 1)
        )
        rows = [row for row in map(self._results.get, keys) if row is not None]
        return rows if len(rows) == self.protocol.rounds + 1 else []

    def _follow(self, lane: Lane, rows: list[Row]) -> Steps:
        if not lane.begun:
            done = yield from self._begin(lane)
            if not done:
                return False
        before = len(lane.rows)
        for number in range(self.protocol.rounds + 1):
            done = yield from lane.follow(number)
            if not done:
                return False
            row = lane.rows[number]
            rows.append(row)
            self.keep(row)
            yield RoundFinished(row, kept=number < before)
        return True

    def _begin(self, lane: Lane) -> Steps:
        """Make the start of a seed, if it is not there yet, and begin a lane from it."""
        done = yield from self.start(lane.seed)
        if done:
            lane.begin_from(self._start_of(lane.seed))
        return done

    def start(self, seed: int) -> Steps:
        """Make what all strategies of a seed begin with, or go on with that."""
        start = self._start_of(seed)
        if not start.begun:
            start.begin()
        for step in (start.follow(0), start.look_ahead()):
            done = yield from step
            if not done:
                return False
        return True

    def _start_of(self, seed: int) -> Lane:
        return Lane(self._folder / f"start-{seed}", START, seed, self._setting)
