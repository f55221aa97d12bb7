"""A training apart is offered after what it would have kept from the window, and in no other case."""

from types import SimpleNamespace

import pytest

from napari_dycon.engine.stepping import in_words
from napari_dycon.plugin.background.worker import plain_words
from napari_dycon.plugin.controllers import own_process
from napari_dycon.plugin.controllers.own_process import OwnProcess


class Talk:
    def __init__(self):
        self.said = []

    def say(self, level, text):
        self.said.append((level, text))


@pytest.fixture
def offer(monkeypatch):
    wishes = SimpleNamespace(apart=False)
    monkeypatch.setattr(own_process, "prefers_own_process", lambda: wishes.apart)
    monkeypatch.setattr(own_process, "prefer_own_process", lambda: setattr(wishes, "apart", True))
    return OwnProcess(Talk())


def test_it_is_offered_when_memory_ran_out(offer):
    offer.consider_failure("The disk is full: free some space.")
    assert not offer.offered
    for error in (in_words(MemoryError()), plain_words(MemoryError())):
        offer.offered = False
        offer.consider_failure(error)
        assert offer.offered, error


def test_it_is_offered_where_memory_is_short(offer, monkeypatch):
    memory = SimpleNamespace(available=16 * 2**30)
    monkeypatch.setattr(own_process.psutil, "virtual_memory", lambda: memory)
    offer.consider_memory()
    assert not offer.offered
    memory.available = 2**30
    offer.consider_memory()
    assert offer.offered


def test_once_chosen_it_is_not_offered_again(offer):
    changes = []
    offer.changed.connect(lambda: changes.append(offer.offered))
    offer.offer()
    offer.use()
    offer.offer()
    assert changes == [True, False]
    assert offer._dialogue.said == [("info", own_process.USED)]


def test_a_run_that_was_cut_off_with_the_program_is_a_reason(opened, make_session, study_path, monkeypatch):
    monkeypatch.setattr(own_process, "prefers_own_process", lambda: False)
    assert not opened.session.own_process.offered
    run = opened.study.new_run("dycon")
    folder = opened.study.run_dir(run)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "00000004").write_text("x")
    (folder / "events.jsonl").write_text('{"event": "StepFinished", "iteration": 4, "losses": {"a": 1.0}}\n')
    opened.session.close()
    again = make_session()
    again.open_study(study_path)
    opened.wait(lambda: again.own_process.offered)
