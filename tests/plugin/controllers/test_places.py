"""Where trainings take place, and what is written about a machine."""

import pytest

from napari_dycon.engine.runners.elsewhere.machines import read_machines
from napari_dycon.plugin.controllers.expert import TOGETHER
from tests.far_machine import ssh

__all__ = ["ssh"]


@pytest.fixture
def places(opened):
    return opened.session.training.places


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
