"""Machines that a person names, and what they may not be called."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_dycon.engine.runners.elsewhere import machines
from napari_dycon.engine.runners.elsewhere.machines import (
    find_machine,
    forget_machine,
    keep_machine,
    make_machine,
    read_machines,
)
from napari_dycon.engine.runners.elsewhere.ssh import command_for
from napari_dycon.errors import TrainingError


@pytest.fixture
def settings() -> Path:
    return machines.settings_path()


def test_machines_are_kept_replaced_and_forgotten():
    assert read_machines() == ()
    keep_machine(make_machine(name="one", destination="me@one"))
    keep_machine(make_machine(name="two", destination="two", device="cuda"))
    keep_machine(make_machine(name="one", destination="me@other"))
    assert [machine.name for machine in read_machines()] == ["two", "one"]
    assert find_machine("one").destination == "me@other"
    forget_machine("two")
    with pytest.raises(TrainingError, match=r"no machine named 'two'\. There are: one\."):
        find_machine("two")


@pytest.mark.parametrize("content", ["{", '{"machines": [{"name": "x", "destination": "-oProxyCommand=x"}]}'])
def test_a_damaged_list_is_a_sentence(settings, content):
    settings.parent.mkdir()
    settings.write_text(content)
    with pytest.raises(TrainingError, match="list of machines is damaged"):
        read_machines()


@pytest.mark.parametrize(
    "destination",
    [
        "-oProxyCommand=touch x",
        "me@host;ls",
        "me@-host",
        "host name",
        "$(ls)",
        "`ls`",
        "me@h|x",
        "a\nb",
        "a&b",
    ],
)
def test_what_is_no_destination_is_refused(destination):
    with pytest.raises(TrainingError, match="Write a host"):
        make_machine(name="x", destination=destination)


@pytest.mark.parametrize("destination", ["gpu", "me@gpu.example.org", "10.0.0.7", "me@fe80::1", "my-alias_2"])
def test_destinations_of_ssh_are_taken(destination):
    assert make_machine(name="x", destination=destination).destination == destination


@pytest.mark.parametrize(
    "python", ["-c x", "python3; rm x", "python3 > x", "$HOME/python", "a'b", 'a"b', "", "a\nb"]
)
def test_what_is_no_plain_command_is_refused(python):
    with pytest.raises(TrainingError, match="command of plain words"):
        make_machine(name="x", destination="gpu", python=python)


@pytest.mark.parametrize("name", ["", "-x", "a/b", "a\nb", "x" * 41])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(TrainingError, match="A name has letters"):
        make_machine(name=name, destination="gpu")


def test_a_machine_without_any_way_to_it_is_refused():
    with pytest.raises(TrainingError, match="through ssh, or in which shared folder"):
        make_machine(name="x")


def test_ssh_asks_nothing_and_gets_no_path_of_this_computer(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    machine = make_machine(
        name="x", destination="me@gpu", port=2222, python="~/venv/bin/python", scratch="/data/my folder"
    )
    command = command_for(machine)
    assert command[0] == "/bin/ssh" and "BatchMode=yes" in command
    after = command[command.index("--") :]
    assert command[command.index("-p") + 1] == "2222"
    assert after == ["--", "me@gpu", "venv/bin/python -m napari_dycon.engine.runners.elsewhere.wire"]
