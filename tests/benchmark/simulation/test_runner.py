"""Rounds of suggesting, labelling and training on small scans."""

import json

import numpy as np
import pytest

from napari_dycon.benchmark.simulation import LaneStarted, RoundAnswered, RoundFinished, Simulation
from napari_dycon.engine.control import Control
from napari_dycon.engine.events import RunFinished, RunStarted, StepFinished
from napari_dycon.errors import DyconError
from napari_dycon.guidance.annotator import Habits
from napari_dycon.study.study import Study
from tests.benchmark.simulation.rounds import asked, run
from tests.test_benchmark import write_scan


@pytest.fixture
def protocol(scans):
    return asked(scans)


def test_the_start_is_made_once_and_shared(finished):
    _, rows, told = finished
    assert [(row.strategy, row.round) for row in rows] == [
        ("random_foreground", 0),
        ("random_foreground", 1),
        ("even", 0),
        ("even", 1),
    ]
    first, second = rows[0], rows[2]
    assert first.model_copy(update={"strategy": "even"}) == second
    assert sum(isinstance(event, RunFinished) for event in told) == 3
    assert (rows[1].iterations, rows[1].slices, rows[1].seconds > first.seconds) == (7, 6, True)


def test_only_what_was_asked_for_is_known(finished):
    folder, rows, _ = finished
    for row in (rows[1], rows[3]):
        (lane,) = folder.glob(f"simulation-*/{row.strategy}-0")
        with Study.open(lane / "study", read_only=True) as study:
            annotations = [study.annotation(case.id) for case in study.cases]
        slices = 0
        for annotation in annotations:
            complete = np.zeros(annotation.shape, bool)
            for axis in range(3):
                np.moveaxis(complete, axis, 0)[annotation.complete_slices(axis)] = True
            np.testing.assert_array_equal(annotation.known > 0, complete)
            slices += sum(annotation.complete_counts())
        assert slices == row.slices


def test_work_grows_with_every_round(finished):
    _, rows, told = finished
    assert rows[1].effort_seconds > rows[0].effort_seconds > 0
    assert rows[1].contour_mm >= rows[0].contour_mm > 0
    answered = [event for event in told if isinstance(event, RoundAnswered)]
    assert [(event.round, event.slices) for event in answered] == [(0, 3), (1, 6), (1, 6)]
    assert answered[1].effort_seconds == pytest.approx(rows[1].effort_seconds, abs=0.1)


def test_finished_rows_are_kept(protocol, finished):
    folder, rows, _ = finished
    told = []
    again = run(Simulation(protocol, folder / "elsewhere", folder / "result.json"), told)
    assert again == rows
    assert all(isinstance(event, RoundFinished) and event.kept for event in told)
    assert not (folder / "elsewhere").exists()


def test_more_rounds_go_on_from_the_last_one(protocol, finished):
    folder, rows, _ = finished
    longer = protocol.model_copy(update={"rounds": 2, "strategies": ("even",)})
    told = []
    more = run(Simulation(longer, folder, folder / "result.json", threads=1), told)
    assert more[:2] == rows[2:] and len(more) == 3
    assert more[2].slices == 9
    assert sum(isinstance(event, RunFinished) for event in told) == 1
    assert json.loads((folder / "result.json").read_text())["comparison"] == []


@pytest.mark.parametrize("where", ["asking", "training"])
def test_what_was_interrupted_goes_on_and_ends_the_same(protocol, finished, tmp_path, where):
    brake, out = Control(), tmp_path / "result.json"
    answered = 0
    for event in Simulation(protocol, tmp_path / "work", out, control=brake, threads=1).run():
        answered += isinstance(event, RoundAnswered)
        if answered == 2 and (where == "asking" or isinstance(event, StepFinished)):
            brake.stop()
        if isinstance(event, RunStarted):
            last = event.run
    assert [row["round"] for row in json.loads(out.read_text())["rows"]] == [0]
    told = []
    rows = run(Simulation(protocol, tmp_path / "work", out, threads=1), told)
    assert next(event for event in told if isinstance(event, LaneStarted)).resumed
    if where == "training":
        assert next(event for event in told if isinstance(event, RunStarted)).run == last
    same = {"seconds"}
    assert [row.model_dump(exclude=same) for row in rows] == [
        row.model_dump(exclude=same) for row in finished[1]
    ]


def test_another_annotator_is_another_measurement(protocol, tmp_path, finished):
    wide = protocol.model_copy(update={"habits": Habits(bias_mm=2.0)})
    out = finished[0] / "result.json"
    steps = Simulation(wide, tmp_path, out).run()
    assert isinstance(next(steps), LaneStarted)
    steps.close()


def test_a_strategy_that_is_not_there_is_named_before_any_work(protocol, tmp_path):
    with pytest.raises(DyconError, match=r"magic.*random_foreground"):
        Simulation(protocol.model_copy(update={"strategies": ("ours", "magic")}), tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_a_scan_to_train_on_without_labels_is_named(tmp_path, protocol):
    for number in range(4):
        write_scan(tmp_path, f"organ_{number}", number, with_label=number != 1)
    changed = {"images": tmp_path / "images", "labels": tmp_path / "labels"}
    with pytest.raises(DyconError, match=r"organ_1\.nii\.gz has no label map"):
        Simulation(protocol.model_copy(update=changed), tmp_path / "work")
