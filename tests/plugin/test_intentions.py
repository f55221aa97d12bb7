"""Whatever a person does, in whatever order: every label is where it was painted, the hand keeps its tool."""

import threading
from types import SimpleNamespace

import pytest
from napari.utils.events import EmitterGroup

from napari_dycon.plugin.keys import preferences
from tests.plugin.walking import Walker

pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")  # a person may turn a layer


@pytest.fixture(autouse=True)
def _own_preferences(monkeypatch):
    """The person's are neither read nor written."""
    keys = SimpleNamespace(key_scheme="napari", events=EmitterGroup(key_scheme=None))
    monkeypatch.setattr(preferences, "_keys", lambda: keys)


@pytest.mark.parametrize("seed", range(2))
def test_random_intentions_leave_every_label_in_its_place(opened, notes, seed):
    walk(opened, notes, seed, steps=40)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 110))
def test_many_random_intentions_leave_every_label_in_its_place(opened, notes, seed):
    walk(opened, notes, seed, steps=200)


def walk(opened, notes, seed, steps):
    Walker(opened, notes, seed).walk(steps)
    opened.session.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "dycon-autosave"]
