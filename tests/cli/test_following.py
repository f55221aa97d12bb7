"""What a command says of a training and a prediction, event by event."""

import math

import pytest

from napari_dycon.cli.console import Screen
from napari_dycon.cli.following import finish_showing, follow_prediction, follow_training, show
from napari_dycon.engine.events import (
    CasePredicted,
    CheckpointSaved,
    LabelsJoined,
    Note,
    PredictionFinished,
    PredictionProgress,
    RunFinished,
    RunStarted,
    ScanPreparation,
    StepFinished,
    Validated,
)
from napari_dycon.errors import TrainingError
from napari_dycon.guidance.suggestions import CaseLooked

STARTED = RunStarted("001-dycon", "dycon", "cpu", {}, ("3 scans",), {"LA_1": "gone"})


class Bar:
    def __init__(self):
        self.shown = []

    def update(self, fraction, text):
        self.shown.append((fraction, text))


def finished(reason, message=""):
    return RunFinished("001-dycon", 5, reason, 1.0, 0.8, 0.8, message)


def test_a_training_is_told_and_what_it_left_out_is_kept(capsys):
    left_out = {}
    events = [STARTED, Validated(5, {"organ": 0.81}, 0.81, "held-out slices"), CheckpointSaved(5)]
    end = follow_training([*events, finished("budget")], Screen(), left_out)
    assert end.reason == "budget" and left_out == {"LA_1": "gone"}
    assert capsys.readouterr().out.splitlines() == [
        "Run 001-dycon: dycon on cpu",
        "  3 scans",
        "Iteration 5: Dice 0.810 on held-out slices",
    ]


@pytest.mark.parametrize(
    ("events", "sentence"),
    [
        ([STARTED, finished("failed", "The loss is not finite.")], "The loss is not finite."),
        ([STARTED], "ended without a result"),
    ],
)
def test_a_training_that_brought_nothing_is_an_error(events, sentence):
    with pytest.raises(TrainingError, match=sentence):
        follow_training(events, Screen())


def test_a_prediction_that_just_ends_is_an_error():
    end = PredictionFinished("001-dycon", ("LA_1",), stopped=False)
    assert follow_prediction([end], Screen()) is end
    with pytest.raises(TrainingError, match="ended without a result"):
        follow_prediction([], Screen())


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (LabelsJoined(84, ("a",), 2), "Iteration 84: 2 slices joined the training."),
        (LabelsJoined(84, ("a",), 0), "Iteration 84: What changed in a joined the training."),
        (LabelsJoined(84, ("a", "b"), 1, ("a",)), "Iteration 84: 1 slice joined the training."),
        (LabelsJoined(84, ("a",), 1, ("a",)), "Iteration 84: 1 slice joined what quality is measured on."),
        (CasePredicted("a", 1, 1, {"organ": 1.5}, 0.25, True), "a: nothing found"),
        (CasePredicted("a", 1, 1, {"organ": 1.5}, 0.25, False), "a: organ 1.50 ml, mean entropy 0.25"),
        (
            CasePredicted("a", 1, 1, {"organ": 1.5, "node": 0.0}, 0.25, False, {"organ": 0.9, "node": None}),
            "a: organ 1.50 ml (expected Dice 0.90), node 0.00 ml, mean entropy 0.25",
        ),
        (Note("warning", "so"), "Warning: so"),
    ],
)
def test_what_is_a_line(event, line, capsys):
    bar = Bar()
    show(event, Screen(), bar)
    assert capsys.readouterr().out == f"{line}\n" and not bar.shown


@pytest.mark.parametrize(
    ("event", "fraction", "text"),
    [
        (ScanPreparation("", 0, 0), 0.0, "preparing scan 0 of 0"),
        (
            StepFinished(7, 0.5, {"a": 0.25, "b": 0.5}, 30.0, 75.0, 2.0),
            0.5,
            "iteration 7, loss 0.750, 2.0 iterations/s, 1:15 left",
        ),
        (
            StepFinished(7, 0.8, {"a": 0.25}, 90.0, math.inf, 2.0),
            None,
            "iteration 7, loss 0.250, 2.0 iterations/s, 1:30 so far",
        ),
        (PredictionProgress("LA_1", 1, 4, 0.3), 0.3, "LA_1, 1 of 4 done"),
    ],
)
def test_what_moves_the_bar(event, fraction, text, capsys):
    bar = Bar()
    show(event, Screen(), bar)
    assert bar.shown == [(fraction, text)] and not capsys.readouterr().out


def test_what_a_search_finds_is_returned_when_all_was_shown():
    def search():
        yield CaseLooked("a", 1, 2)
        yield CaseLooked("b", 2, 2)
        return "found"

    bar = Bar()
    assert finish_showing(search(), bar) == "found"
    assert bar.shown == [(0.5, "a, 1 of 2"), (1.0, "b, 2 of 2")]
