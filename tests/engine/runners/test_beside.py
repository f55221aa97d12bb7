"""Whatever is saved of labels while a run without an end is trained joins it, wherever it is trained."""

from __future__ import annotations

import re
import signal
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from napari_dycon.engine import joining, joins
from napari_dycon.engine.bundle import UPDATE, Bundle
from napari_dycon.engine.control import Control
from napari_dycon.engine.events import Event, LabelsJoined, Note, RunFinished, StepFinished
from napari_dycon.engine.request import Request
from napari_dycon.engine.runners import beside
from napari_dycon.engine.runners.apart import train_apart
from napari_dycon.engine.runners.here import train_here
from napari_dycon.engine.runs import RunFolder
from napari_dycon.engine.store import CaseStore
from napari_dycon.errors import TrainingError, VolumeError
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation
from tests.engine.conftest import TINY, ball_case
from tests.engine.runners.test_apart import trainer

PATIENCE = 120.0
RUN = "001-dycon"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(joins, "LOOK_SECONDS", 0.0)


def wish(**changes: object) -> Request:
    common = {"open_ended": True, "iterations": 1000, "overrides": TINY, "threads": 1, "device": "cpu"}
    return Request(**{**common, **changes})


def label(study: Study, index: int = 2) -> str:
    case = study.cases[index].id
    study.save_annotation(case, Annotation.full(ball_case(index)[1]), "complete")
    return case


def train(
    run: Callable,
    study: Study,
    after: Callable[[], object],
    until: Callable[[Event], bool],
    **changes: object,
) -> list[Event]:
    """Train until something has happened; after the third step something is done."""
    control, seen, steps, since = Control(), [], 0, time.monotonic()
    for event in run(study, wish(**changes), control):
        seen.append(event)
        steps += isinstance(event, StepFinished)
        if isinstance(event, StepFinished) and steps == 3:
            after()
        if until(event) or time.monotonic() - since > PATIENCE:
            control.stop()
    return seen


def is_join(event: Event) -> bool:
    return isinstance(event, LabelsJoined)


def is_step(event: Event) -> bool:
    return isinstance(event, StepFinished)


def joining_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "dycon-joining"]


@pytest.mark.parametrize("run", [train_here, train_apart])
def test_what_is_saved_joins_and_counts_as_learned_from(make_study, run):
    study = make_study()
    events = train(run, study, lambda: label(study), is_join)
    case = study.cases[2].id
    (join,) = [event for event in events if is_join(event)]
    assert join.cases == (case,) and join.slices == 18
    assert events[-1].reason == "stopped" and study.active_run == events[-1].run == RUN
    folder = RunFolder(study.run_dir(RUN))
    assert case in folder.config().trained_on and not joining_threads()
    (until,) = Bundle(folder.path).contents().before
    assert (until.iteration, until.cases[0].case) == (join.iteration, case)


def test_what_another_program_saves_joins_a_training_that_only_reads_the_study(make_study):
    study = make_study()
    with Study.open(study.path) as reader:
        assert reader.read_only
        events = train(train_here, reader, lambda: label(study), is_join)
    assert any(is_join(event) for event in events)


def test_what_is_saved_while_scans_are_prepared_joins_as_well(make_study, monkeypatch):
    study, prepare, prepared = make_study(), CaseStore.prepare, []

    def late(self, case):
        found = prepare(self, case)
        prepared.append(case)
        if len(prepared) == len(study.cases):
            label(study)
        return found

    monkeypatch.setattr(CaseStore, "prepare", late)
    events = train(train_here, study, lambda: None, is_join)
    assert [event.cases for event in events if is_join(event)] == [(study.cases[2].id,)]


def test_a_run_with_a_budget_is_not_watched(make_study):
    study, seen = make_study(), []
    events = train(
        train_here,
        study,
        lambda: (label(study), time.sleep(0.3), seen.extend(joining_threads())),
        lambda event: False,
        open_ended=False,
        iterations=6,
    )
    assert not seen and events[-1].reason == "budget"
    assert not any(is_join(event) for event in events)


def test_closing_the_events_ends_the_watch(make_study):
    study = make_study()
    events = train_here(study, wish(), Control())
    while not isinstance(next(events), StepFinished):
        pass
    assert joining_threads()
    events.close()
    assert not joining_threads()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            VolumeError("The disk is full."),
            "What was labelled in .* could not join the training: The disk is full",
        ),
        (MemoryError(), "there is not enough memory"),
        (KeyError("odd"), "New labels could not join: KeyError"),
    ],
)
def test_labels_that_cannot_be_prepared_are_a_note_and_the_training_goes_on(
    make_study, monkeypatch, error, words
):
    study = make_study()

    def fail() -> None:
        monkeypatch.setattr(CaseStore, "prepare", lambda self, case: (_ for _ in ()).throw(error))
        label(study)
        label(study, 3)

    events = train(train_here, study, fail, lambda event: isinstance(event, Note))
    assert any(isinstance(event, Note) and re.search(words, event.text) for event in events)
    assert isinstance(events[-1], RunFinished) and events[-1].reason == "stopped"


def test_labels_whose_update_could_not_be_written_join_with_the_next_ones(make_study, monkeypatch):
    study, write, failed = make_study(), Bundle.write_update, []

    def once(self, update):
        if not failed:
            failed.append(True)
            raise VolumeError("The disk is full.")
        write(self, update)

    monkeypatch.setattr(joining.Bundle, "write_update", once)
    seen: set[str] = set()

    def both(event: Event) -> bool:
        if isinstance(event, Note) and "disk is full" in event.text:
            label(study, 3)
        if isinstance(event, LabelsJoined):
            seen.update(event.cases)
        return seen == {study.cases[2].id, study.cases[3].id}

    train(train_here, study, lambda: label(study), both)
    assert seen == {study.cases[2].id, study.cases[3].id}


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("moment", ["offered", "joined"])
def test_a_trainer_that_is_killed_in_mid_join_loses_nothing(make_study, moment):
    study, events = make_study(), list[Event]()
    update = study.run_dir(RUN) / "bundle" / UPDATE

    def kill() -> None:
        since = time.monotonic()
        while not update.exists() and time.monotonic() - since < PATIENCE:
            time.sleep(0.001)
        trainer().send_signal(signal.SIGKILL)

    killer = threading.Thread(target=kill)
    with pytest.raises(TrainingError, match=r"was killed.*labels are untouched"):
        for event in train_apart(study, wish(), Control()):
            events.append(event)
            if isinstance(event, StepFinished) and event.iteration == 3:
                label(study)
                if moment == "offered":
                    killer.start()
            if isinstance(event, LabelsJoined) and moment == "joined":
                trainer().send_signal(signal.SIGKILL)
    if moment == "offered":
        killer.join()
    assert isinstance(events[-1], RunFinished)
    case = study.cases[2].id
    assert np.array_equal(study.annotation(case).labels, ball_case(2)[1])
    again = train(
        train_here,
        study,
        lambda: None,
        lambda event: isinstance(event, StepFinished),
        run_id=RUN,
        resume=True,
    )
    assert again[-1].reason == "stopped" and study.active_run == RUN
    contents = Bundle(study.run_dir(RUN)).contents()
    assert "target" in next(one for one in contents.cases if one.case == case).arrays
    assert [until.cases[0].case for until in contents.before] == [case]
    assert case in RunFolder(study.run_dir(RUN)).config().trained_on
    assert not (study.run_dir(RUN) / "bundle" / UPDATE).exists()
