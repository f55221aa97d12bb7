"""Commands of napari's palette: each asks for an action, or says why it is not possible."""

import pytest

from napari_dycon.plugin import actions
from napari_dycon.plugin.manifest import palette


class Window:
    """Stands for napari's window; the dock that is opened in it is written down."""

    def __init__(self, dock):
        self.dock, self.opened = dock, []

    def add_plugin_dock_widget(self, *names):
        self.opened.append(names)
        return None, self.dock


class Asked:
    def __init__(self):
        self.names = []

    def ask(self, name):
        self.names.append(name)


@pytest.fixture
def viewer(monkeypatch):
    class Viewer:
        window = Window(Asked())
        session = type("Session", (), {"actions": Asked()})()

    monkeypatch.setattr(palette, "get_session", lambda viewer: viewer.session)
    return Viewer()


def test_what_the_session_does_needs_no_dock(viewer):
    palette.next_case(viewer)
    assert viewer.session.actions.names == ["next_case"]
    assert not viewer.window.opened


def test_what_the_dock_does_opens_it(viewer):
    palette.export(viewer)
    assert viewer.window.opened == [("napari-dycon", "Study")]
    assert viewer.window.dock.names == ["export"]


def test_there_is_no_command_for_anything_else():
    with pytest.raises(AttributeError):
        palette.make_coffee  # noqa: B018


def test_what_is_not_possible_is_told_and_not_done(opened, notes):
    table = opened.session.actions
    table.ask("accept_slice")
    assert notes[-1] == ("info", actions.NO_PREDICTION)
    table.ask("planes")
    assert opened.session.views.planes_shown is False  # there is no window to show them in
    assert len(notes) == 1


def test_the_first_thing_that_is_missing_is_the_reason():
    train = actions.BY_ID["train"]
    now = actions.Situation()
    assert train.why_not(now) == actions.NO_STUDY
    now = actions.Situation(study=True, read_only=True, task="training")
    assert train.why_not(now) == actions.READ_ONLY
    now = actions.Situation(study=True, methods=True, labels=True, task="predicting")
    assert train.why_not(now) == "", "a training takes over from a prediction"
    assert actions.BY_ID["predict"].why_not(now) == actions.NO_MODEL
