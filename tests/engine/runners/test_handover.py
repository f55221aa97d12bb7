"""Who makes a finished run the active one: whoever holds the study, now or next."""

import pytest

from napari_dycon.engine.events import Note, RunFinished, StepFinished
from napari_dycon.engine.runners import handover
from napari_dycon.engine.runners.handover import hand_over, handing_over, make_active
from napari_dycon.errors import StudyError
from napari_dycon.study.store.runs import propose
from napari_dycon.study.study import Study

STEP = StepFinished(1, 0.5, {"supervised": 1.0}, 1.0, 1.0, 1.0)


def end(run, reason="budget", iteration=5):
    return RunFinished(run, iteration, reason, 1.0, None, None, "")


@pytest.fixture
def proposed(make_study):
    """A study with a run that waits to become the active one."""
    study = make_study(cases=1, labelled=1)
    run = study.new_run("dycon")
    propose(study.run_dir(run))
    return study, run


def test_the_holder_of_the_study_adopts_at_once(proposed):
    study, run = proposed
    assert [type(event) for event in handing_over(study, iter_of(STEP, end(run)))] == [
        *(StepFinished, RunFinished),
    ]
    assert study.active_run == run


def test_a_study_that_nobody_holds_is_opened_for_it(proposed):
    study, run = proposed
    study.close()
    with Study.open(study.path, read_only=True) as looking:
        assert hand_over(looking)
    with Study.open(study.path, read_only=True) as later:
        assert later.active_run == run


def test_another_holder_is_told_of_and_does_it_when_it_looks(proposed):
    holder, run = proposed
    with Study.open(holder.path, read_only=True) as looking:
        note, last = handing_over(looking, iter_of(end(run)))
        assert note == Note("info", f"The program that has this study open takes run {run} up.")
        assert last == end(run) and holder.active_run is None
    assert holder.adopt_runs() == run


@pytest.mark.parametrize("last", [{"reason": "failed"}, {"reason": "stopped", "iteration": 0}])
def test_a_run_without_a_model_is_not_handed_over(proposed, last):
    study, run = proposed
    assert list(handing_over(study, iter_of(end(run, **last)))) == [end(run, **last)]
    assert study.active_run is None


def test_a_study_that_cannot_be_written_is_a_warning_before_the_end(proposed, monkeypatch):
    study, run = proposed

    def refuse(study):
        raise StudyError("The disk is full.")

    monkeypatch.setattr(handover, "hand_over", refuse)
    note, last = handing_over(study, iter_of(end(run)))
    assert note.level == "warning" and run in note.text and "The disk is full." in note.text
    assert last == end(run)


def test_a_training_that_nobody_follows_any_more_is_closed(proposed):
    closed = []

    def training():
        try:
            yield STEP
        finally:
            closed.append(True)

    following = handing_over(proposed[0], training())
    next(following)
    following.close()
    assert closed


def test_an_earlier_run_can_be_chosen_again(proposed):
    study, run = proposed
    study.adopt_runs()
    later = study.new_run("dycon")
    make_active(study, later)
    assert study.active_run == later
    make_active(study, run)
    assert study.active_run == run


def iter_of(*events):
    yield from events
