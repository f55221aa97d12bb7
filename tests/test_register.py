"""A register finds what is in its package and what other packages name; one that is broken costs no other."""

from importlib.metadata import EntryPoint

import pytest

from napari_dycon.errors import TrainingError
from napari_dycon.learning.methods.base import methods
from napari_dycon.register import Register


@pytest.fixture
def empty():
    return Register[object]("thing", "napari_dycon.learning.losses", "napari_dycon.things", TrainingError)


def name_entries(monkeypatch, **modules):
    entries = [EntryPoint(name, value, "napari_dycon.things") for name, value in modules.items()]
    monkeypatch.setattr("napari_dycon.register.entry_points", lambda group: entries)


def test_things_are_found_by_name_and_others_refused_with_all_names(empty):
    empty("b")(2)
    empty.add("a", 1)
    assert empty.names() == ("a", "b")
    assert empty.get("b") == 2
    with pytest.raises(TrainingError, match="There is no thing 'c'; choose one of a, b"):
        empty.get("c")
    with pytest.raises(ValueError, match="two things are called 'a'"):
        empty.add("a", 3)


def test_another_package_adds_by_naming_a_module(empty, tmp_path, monkeypatch):
    monkeypatch.setattr("napari_dycon.register.things", empty, raising=False)
    source = "from napari_dycon.register import things\nthings.add('far', 7)\n"
    (tmp_path / "a_strangers_thing.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    name_entries(monkeypatch, far="a_strangers_thing")
    assert empty.get("far") == 7


def test_a_stranger_that_cannot_be_loaded_is_told_and_costs_no_other(empty, monkeypatch):
    empty.add("near", 1)
    name_entries(monkeypatch, far="no_such_module_anywhere")
    with pytest.warns(RuntimeWarning, match="thing far of another package cannot be used: ModuleNotFound"):
        assert empty.names() == ("near",)


def test_all_methods_of_the_package_are_there():
    assert {"dycon", "mean_teacher", "supervised"} <= set(methods.names())
