"""Curves: rebuilt from a run's record, and small however long the run."""

import itertools
import json

from napari_dycon.plugin.background.curves import POINTS, Curves


def test_curves_come_back_from_the_record_of_a_killed_run(tmp_path):
    lines = [
        {"event": "RunStarted", "run": "001-dycon"},
        {"event": "StepFinished", "iteration": 1, "losses": {"supervised": 1.5, "uncl": 0.0}},
        {"event": "StepFinished", "iteration": 2, "losses": {"supervised": 1.0, "uncl": None}},
        {"event": "Validated", "iteration": 2, "mean_dice": 0.5},
    ]
    text = "\n".join(json.dumps(line) for line in lines) + '\n{"event": "StepFin'
    (tmp_path / "events.jsonl").write_text(text)
    curves = Curves.from_events(tmp_path / "events.jsonl")
    assert curves.losses == {"supervised": ([1, 2], [1.5, 1.0]), "uncl": ([1], [0.0])}
    assert curves.dice == ([2], [0.5])


def test_a_run_without_a_record_has_no_curves(tmp_path):
    assert Curves.from_events(tmp_path / "none.jsonl").empty


def test_a_long_run_is_thinned_out_evenly():
    curves = Curves()
    for iteration in range(20 * POINTS):
        curves.add_losses(iteration, {"total": float(iteration)})
    iterations, values = curves.losses["total"]
    steps = {b - a for a, b in itertools.pairwise(iterations)}
    assert len(iterations) <= POINTS
    assert iterations[0] == 0
    assert len(steps) == 1
    assert values == [float(iteration) for iteration in iterations]
