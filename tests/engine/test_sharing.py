"""Tasks on workers: what they tell, how they stop, and what becomes of them when a worker dies."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from napari_dycon.engine.cluster import join_cluster
from napari_dycon.engine.control import Control
from napari_dycon.engine.sharing import TaskDone, TaskTold, ask, share_out
from tests.engine.sharing_task import task

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers are killed by signals")


@pytest.fixture(scope="module")
def client() -> Iterator:
    with join_cluster("local:2") as joined:
        yield joined


def run(client, jobs, control=None, after=None, act=lambda event, control: None):
    control, told = control or Control(), []
    for event in share_out(client, task, jobs, control, after):
        told.append(event)
        act(event, control)
    return told, {event.task: event for event in told if isinstance(event, TaskDone)}


def test_each_task_is_done_once_though_a_worker_dies_and_another_one_fails(client, tmp_path):
    jobs = {kind: (kind, tmp_path) for kind in ("good", "die once", "fail")}
    told, done = run(client, jobs)
    assert done == {
        "good": TaskDone("good", "good", ""),
        "die once": TaskDone("die once", "die once", ""),
        "fail": TaskDone("fail", None, "This cannot be done."),
    }
    assert sum(isinstance(event, TaskDone) for event in told) == 3
    begun = (tmp_path / "begun").read_text().splitlines()
    assert begun.count("die once") == 2


def test_a_stop_reaches_the_workers_and_those_that_wait_end_at_once(client, tmp_path):
    jobs = {f"stop {number}": ("stop", tmp_path) for number in range(4)}

    def stop(event, control):
        if isinstance(event, TaskTold) and event.share is not None:
            control.stop()

    told, done = run(client, jobs, act=stop)
    assert any(isinstance(event, TaskTold) and event.words == "begun" for event in told)
    assert list(done.values()) == [TaskDone(name, None, "") for name in done]
    assert set(done) == set(jobs)
    assert 1 <= (tmp_path / "begun").read_text().count("stop") <= 2


def test_a_task_begins_after_another_one_or_not_at_all(client, tmp_path):
    jobs = {"first": ("first", tmp_path), "second": ("second", tmp_path)}
    jobs |= {"failing": ("fail", tmp_path), "third": ("third", tmp_path)}
    _, done = run(client, jobs, after={"second": "first", "third": "failing"})
    assert done["second"].result == "second"
    assert done["third"] == TaskDone("third", None, "")
    begun = (tmp_path / "begun").read_text().splitlines()
    assert begun.index("first") < begun.index("second")
    assert "third" not in begun


def test_a_worker_answers_unless_it_is_stopped_before(client):
    assert ask(client, len, "four", Control()) == 4
    control = Control()
    control.stop()
    assert ask(client, len, "four", control) is None
