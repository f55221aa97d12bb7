import math

from napari_dycon.engine.events import LabelsJoined, RunStarted, StepFinished, Validated
from napari_dycon.plugin.background.progress import after
from napari_dycon.plugin.background.task_state import TaskState


def state(*events):
    task = TaskState("training")
    for event in events:
        task = after(event, task)
    return task


def test_a_training_with_an_end_shows_its_share_and_the_time_left():
    started = RunStarted("001-dycon", "dycon", "cpu", {})
    task = state(started, StepFinished(7, 0.25, {}, 30.0, 90.0, 2.0), Validated(7, {}, 0.8, "slices"))
    assert (task.fraction, task.seconds_left, task.seconds_run, task.dice) == (0.25, 90.0, None, None)
    assert task.text == "Iteration 7, 2.0 a second"


def test_one_without_an_end_shows_what_it_has_done_and_learns_from():
    started = RunStarted("001-dycon", "dycon", "cpu", {}, open_ended=True, slices=14)
    step = StepFinished(7, 0.8, {}, 30.0, math.nan, 2.0)
    task = state(started, step)
    assert (task.fraction, task.seconds_left, task.seconds_run, task.dice) == (None, None, 30.0, None)
    assert task.text == "Iteration 7, 2.0 a second · 14 slices"
    found = (Validated(7, {}, 0.8, "slices"), Validated(8, {}, math.nan, "slices"))
    task = state(started, step, LabelsJoined(7, ("a",), 2), *found, LabelsJoined(7, ("b",), -15), step)
    assert task.dice == 0.8 and task.text.endswith(" · 1 slice")
