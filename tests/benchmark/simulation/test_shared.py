"""Lanes of a simulation as tasks: the same rows as one after the other, from one start a seed."""

import json

import pytest

from napari_dycon.benchmark.simulation import LaneStarted, RoundFinished, Simulation, shared
from napari_dycon.errors import TrainingError
from tests.benchmark import inline
from tests.benchmark.simulation.rounds import asked, run


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(shared, "share_out", inline.share_out)


def figures(rows):
    return [row.model_dump(exclude={"seconds"}) for row in rows]


class Steps:
    """What workers do of a simulation, for `run`."""

    def __init__(self, failing, simulation):
        self.run = lambda: shared.run_on(failing, simulation)


def test_rows_are_those_of_one_after_the_other(scans, finished, tmp_path):
    _, alone, _ = finished
    file, told = tmp_path / "result.json", []
    simulation = Simulation(asked(scans), tmp_path, file, threads=1)
    rows = run(Steps((), simulation), told)
    assert figures(rows) == figures(alone)
    started = [(event.strategy, event.number) for event in told if isinstance(event, LaneStarted)]
    assert started == [("random_foreground", 1), ("even", 2)]
    content = json.loads(file.read_text())
    assert len(content["rows"]) == 4 and content["comparison"]
    told.clear()
    again = run(Steps((), Simulation(asked(scans), tmp_path, file, threads=1)), told)
    assert figures(again) == figures(rows)
    assert all(event.kept for event in told if isinstance(event, RoundFinished))


def test_without_a_start_no_lane_begins(scans, tmp_path):
    simulation = Simulation(asked(scans), tmp_path, tmp_path / "result.json", threads=1)
    with pytest.raises(TrainingError, match="Not measured: start, seed 0: a worker failed"):
        run(Steps({"start, seed 0"}, simulation), [])
    assert not list(tmp_path.glob("simulation-*/*"))
