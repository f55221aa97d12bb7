"""Two processes that train together: the same model as one, and nobody waits for one that is gone."""

from __future__ import annotations

import sys

import numpy as np
import psutil
import pytest
import torch

from napari_dycon.engine.control import Control
from napari_dycon.engine.events import RunFinished, StepFinished
from napari_dycon.engine.patches import PatchSampler
from napari_dycon.engine.request import Request
from napari_dycon.engine.runners.apart import train_together
from napari_dycon.engine.runners.crew import places
from napari_dycon.engine.runners.here import train_here
from napari_dycon.engine.runs import RunFolder
from napari_dycon.engine.team import Team, check_devices
from napari_dycon.errors import TrainingError
from tests.engine.conftest import TINY
from tests.engine.test_patches import blob, case_with, plan_with

EXACT = {**TINY, "precision": "32-true"}
several = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="processes meet on Linux alone here"
)


def request(**changes) -> Request:
    wishes = {"device": "cpu", "threads": 1, "seed": 0, "overrides": EXACT, "warm_start": False, **changes}
    return Request(**wishes)


def resumed(iterations: int) -> Request:
    return Request(device="cpu", threads=1, resume=True, iterations=iterations)


def losses(events) -> list[dict[str, float]]:
    return [event.losses for event in events if isinstance(event, StepFinished)]


def stopped_at(step: int, events, control: Control):
    for event in events:
        if isinstance(event, StepFinished) and event.iteration == step:
            control.stop()
        yield event


def assert_close(ones, others, tolerance):
    assert [one.keys() for one in ones] == [other.keys() for other in others]
    assert ones == [pytest.approx(other, abs=tolerance) for other in others]


@several
def test_two_processes_learn_what_one_learns(make_study):
    one, two = make_study(name="one"), make_study(name="two")
    alone = losses(train_here(one, request(iterations=50), Control()))
    events = list(train_together(two, request(iterations=50), Control(), devices=2))
    assert_close(losses(events), alone, 1e-3)
    assert len(alone) == 50
    assert isinstance(events[-1], RunFinished)
    assert events[-1].reason == "budget"
    assert two.active_run == one.active_run
    assert RunFolder(two.run_dir(two.active_run)).checkpoints.iterations == [50]


@several
def test_a_run_of_one_process_goes_on_with_two(make_study):
    study, control = make_study(), Control()
    alone = losses(train_here(make_study(name="whole"), request(iterations=8), Control()))
    first = stopped_at(4, train_here(study, request(iterations=8), control), control)
    assert_close([*losses(first), *losses(train_together(study, resumed(8), Control(), 2))], alone, 1e-4)


@several
def test_one_that_is_killed_ends_the_others_with_a_sentence_and_nothing_is_lost(make_study):
    study = make_study()
    alone = losses(train_here(make_study(name="whole"), request(iterations=8), Control()))
    seen = []
    with pytest.raises(TrainingError, match=r"Process 2 .* was killed.* can go on from its last checkpoint"):
        for event in train_together(study, request(iterations=8), Control(), devices=2):
            seen.append(event)
            if isinstance(event, StepFinished) and event.iteration == 1:
                second().kill()
    assert seen[-1].reason == "failed"
    done = RunFolder(study.run_dir("001-dycon")).checkpoints.iterations[0]
    assert done == len(losses(seen)) > 0
    assert_close([*losses(seen), *losses(train_here(study, resumed(8), Control()))], alone, 1e-4)


def second() -> psutil.Process:
    (found,) = (child for child in psutil.Process().children() if child.environ().get("RANK") == "1")
    return found


class Third(Team):
    def __init__(self, rank: int) -> None:
        self.rank, self.size = rank, 3


def test_processes_make_a_batch_together():
    cases, plan = (
        [case_with(blob()), case_with(blob(), unlabelled=True, seed=1)],
        plan_with(batch_labelled=4, batch_unlabelled=3),
    )
    whole = PatchSampler(cases, plan, 5).batch(7)
    parts = [PatchSampler(cases, plan, 5, Third(rank).makes).batch(7) for rank in range(3)]
    for name in ("image", "target", "weak", "strong", "inside"):
        shares = [getattr(part, name) for part in parts]
        assert torch.equal(torch.stack(shares).sum(dim=0).to(shares[0].dtype), getattr(whole, name))
    assert whole.weak is not None
    made = [sum(bool(patch.any()) for patch in (*part.image, *part.weak)) for part in parts]
    assert sorted(made) == [2, 2, 3]


def test_more_devices_than_there_are_are_refused():
    with pytest.raises(TrainingError, match="1000 devices were asked for, and there are"):
        check_devices("cpu", 1000)


def test_each_process_has_a_place_of_its_own(monkeypatch):
    with pytest.raises(TrainingError, match="NODE_RANK"):
        places(2, 2)
    for name, value in {"NODE_RANK": "1", "MASTER_ADDR": "first", "MASTER_PORT": "29500"}.items():
        monkeypatch.setenv(name, value)
    assert [(place["RANK"], place["LOCAL_RANK"]) for place in places(2, 2)] == [("2", "0"), ("3", "1")]
    assert np.unique([place["WORLD_SIZE"] for place in places(2, 2)]) == ["4"]


def test_labels_do_not_join_a_training_of_several(make_study):
    with pytest.raises(TrainingError, match="single device"):
        list(train_here(make_study(), request(open_ended=True), Control(), Third(0)))
