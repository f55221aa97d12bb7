"""Where trainings take place, and what is written about a machine."""

from types import SimpleNamespace

import pytest

from napari_dycon.engine.runners.elsewhere.machines import (
    NamedMachine,
    forget_machine,
    keep_machine,
    read_machines,
)
from napari_dycon.plugin.controllers.expert import TOGETHER
from napari_dycon.plugin.controllers.places import GONE, Places
from tests.far_machine import ssh

__all__ = ["ssh"]


@pytest.fixture
def places(opened):
    return opened.session.training.places


@pytest.fixture
def preference(monkeypatch):
    """What stands in the preferences; a start of the window is a new owner of places."""
    kept = SimpleNamespace(machine="")
    module = "napari_dycon.plugin.controllers.places"
    monkeypatch.setattr(f"{module}.preferred_machine", lambda: kept.machine)
    monkeypatch.setattr(f"{module}.prefer_machine", lambda name: setattr(kept, "machine", name))
    return kept


def start_again(said):
    dialogue = SimpleNamespace(say=lambda level, text: said.append(text))
    again = Places(dialogue, SimpleNamespace(put=lambda *_: None))
    again.look()
    return again


def test_where_to_train_is_remembered_over_a_restart(preference):
    said = []
    keep_machine(NamedMachine(name="gpu", destination="gpu"))
    places = start_again(said)
    places.choose("gpu")
    assert preference.machine == "gpu" and start_again(said).machine == places.machine
    places.choose("")
    assert start_again(said).machine is None and not said


@pytest.mark.parametrize("how", ["here", "elsewhere"])
def test_a_machine_that_is_gone_is_not_trained_on(preference, how):
    said = []
    keep_machine(NamedMachine(name="gpu", destination="gpu"))
    places = start_again(said)
    places.choose("gpu")
    (places.forget if how == "here" else forget_machine)("gpu")
    assert start_again(said).machine is None and preference.machine == ""
    assert said == ([] if how == "here" else [GONE.format("gpu")])


def write(places, **fields):
    places.begin()
    for name, given in fields.items():
        places.change(name, given)


def test_a_machine_is_written_down_chosen_and_asked(opened, places, ssh):
    machine = ssh.machine
    write(
        places,
        name=machine.name,
        destination=machine.destination,
        python=machine.python,
        scratch=machine.scratch,
        device="cpu",
    )
    assert places.keep() and read_machines() == (machine,) and places.machine == machine
    opened.wait(lambda: "Ready: processor" in places.said[machine.name].text, seconds=60)
    places.forget(machine.name)
    assert places.machines == () and places.machine is None


def test_what_cannot_be_is_refused_in_words_and_nothing_is_kept(places):
    write(places, name="gpu", destination="-oProxyCommand=ls")
    assert not places.keep() and "Write a host" in places.refused[TOGETHER].sentence
    write(places, name="gpu", destination="gpu", port="many")
    assert "whole number" in places.refused["port"].sentence and not places.keep()
    places.reset("port")
    assert places.values() == {"name": "gpu", "destination": "gpu"}
    write(places)
    assert not places.keep() and "A name has letters" in places.refused[TOGETHER].sentence
    assert read_machines() == ()


def test_what_is_missing_there_is_said_in_words(opened, places, ssh):
    write(places, name="gpu", destination="gpu", python="no-such-python")
    assert places.keep()
    opened.wait(lambda: not places.said["gpu"].usable)
    assert "has no command no-such-python" in places.said["gpu"].text


def test_a_run_that_is_away_goes_on_where_it_is(places, ssh):
    machine = ssh.machine
    places.away = ("001-dycon", machine)
    assert places.where("001-dycon") == machine
    assert places.where(None) is None and places.where("002-dycon") is None
