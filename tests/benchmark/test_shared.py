"""Rows of a benchmark as tasks: the same rows as one after the other, each written once by who asked."""

import json

import pytest

from napari_dycon.benchmark import Benchmark, Protocol, RowFinished, RowStarted, shared
from napari_dycon.benchmark.events import WorkerTold
from napari_dycon.engine.control import Control
from napari_dycon.errors import TrainingError
from tests.benchmark import inline
from tests.test_benchmark import write_scan

TINY = {"patch_size": [32, 32, 32], "network": {"widths": [8, 16], "strides": [[2, 2, 2]]}, "averaged": False}
TIMES = {"seconds", "iterations_per_second", "peak_memory_mb", "test_seconds"}


@pytest.fixture(scope="module")
def protocol(tmp_path_factory):
    folder = tmp_path_factory.mktemp("organ")
    for number in range(3):
        write_scan(folder, f"organ_{number:03d}", number)
    return Protocol(
        images=folder / "images",
        labels=folder / "labels",
        labelled=1,
        methods=("supervised",),
        seeds=(0, 1),
        iterations=2,
        device="cpu",
        overrides=TINY,
    )


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(shared, "share_out", inline.share_out)


def run(steps):
    told = []
    while True:
        try:
            told.append(next(steps))
        except StopIteration as end:
            return end.value, told


def figures(rows):
    return [row.model_dump(exclude=TIMES) for row in rows]


def test_rows_are_those_of_one_after_the_other_and_kept(protocol, tmp_path):
    first = protocol.model_copy(update={"seeds": (0,)})
    alone, _ = run(Benchmark(first, tmp_path / "one", tmp_path / "one.json", threads=1).run())
    file = tmp_path / "many.json"
    rows, told = run(shared.run_on((), Benchmark(protocol, tmp_path / "many", file, threads=1)))
    assert figures(rows)[:1] == figures(alone)
    assert [(e.seed, e.number, e.total) for e in told if isinstance(e, RowStarted)] == [(0, 1, 2), (1, 2, 2)]
    assert all(0 <= event.share <= 1 for event in told if isinstance(event, WorkerTold))
    assert len(json.loads(file.read_text())["rows"]) == 2
    before = file.read_bytes()
    again, told = run(shared.run_on((), Benchmark(protocol, tmp_path / "many", file, threads=1)))
    assert figures(again) == figures(rows)
    assert [event.kept for event in told if isinstance(event, RowFinished)] == [True, True]
    assert file.read_bytes() == before


def test_a_row_that_fails_is_named_after_the_others_are_done(protocol, tmp_path):
    file = tmp_path / "result.json"
    bench = Benchmark(protocol, tmp_path / "work", file, threads=1)
    with pytest.raises(TrainingError, match="Not measured: supervised, seed 0: a worker failed"):
        run(shared.run_on({"supervised, seed 0"}, bench))
    assert [row["seed"] for row in json.loads(file.read_text())["rows"]] == [1]


def test_a_stopped_row_goes_on_where_it_was(protocol, tmp_path):
    control, file = Control(), tmp_path / "result.json"
    steps = shared.run_on((), Benchmark(protocol, tmp_path / "work", file, control=control, threads=1))
    first = next(steps)
    assert isinstance(first, RowStarted)
    while not isinstance(first, RowFinished):
        first = next(steps)
    control.stop()
    rows, _ = run(steps)
    assert [row.seed for row in rows] == [0]
    rows, told = run(shared.run_on((), Benchmark(protocol, tmp_path / "work", file, threads=1)))
    assert [row.seed for row in rows] == [0, 1]
    assert [event.kept for event in told if isinstance(event, RowFinished)] == [True, False]
