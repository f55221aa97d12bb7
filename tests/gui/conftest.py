"""A real viewer with the dock on a small phantom study."""

import subprocess
import sys
import textwrap

import pytest

from napari_dycon.plugin.session import get_session
from napari_dycon.study.exchange.phantom import make_phantom_study

SIZE = (32, 32, 20)


@pytest.fixture(autouse=True)
def notes(monkeypatch):
    """Every notification, as ``(level, text)``; none pops up."""
    seen = []
    monkeypatch.setattr(
        "napari_dycon.plugin.controllers.dialogue.notify", lambda level, text: seen.append((level, text))
    )
    return seen


@pytest.fixture(autouse=True)
def _soon_ready(monkeypatch):
    """Three steps are enough here for a model to show what it has learned."""
    monkeypatch.setattr("napari_dycon.engine.readiness.ENOUGH_SKILL", -1.0)


@pytest.fixture(scope="session")
def phantom_folder(tmp_path_factory):
    """Folder of a closed phantom study of four small patients, two of them labelled."""
    folder = tmp_path_factory.mktemp("phantom") / "study"
    make_phantom_study(folder, cases=4, labelled=2, size=SIZE).close()
    return folder


@pytest.fixture
def study_path(phantom_folder, tmp_path):
    """A copy of the phantom study that may be changed."""
    import shutil

    return shutil.copytree(phantom_folder, tmp_path / "study", ignore=shutil.ignore_patterns(".study*"))


class Desk:
    """A viewer with its session, and the waiting that tests need."""

    def __init__(self, qtbot, viewer):
        self.qtbot, self.viewer, self.session = qtbot, viewer, get_session(viewer)

    def wait(self, condition, seconds=60):
        self.qtbot.waitUntil(condition, timeout=seconds * 1000)

    def open(self, case):
        self.session.cases.open(case)
        self.wait(lambda: self.session.cases.case_id == case)

    def start_training(self, minutes=5.0):
        self.wait(lambda: bool(self.session.training.methods))
        self.session.training.train("dycon", minutes)
        self.wait(lambda: len(self.session.tasks.curves.losses.get("supervised", ((),))[0]) > 2)

    def add_dock(self):
        from napari_dycon.plugin.widgets.dock import DyconDock

        widget = DyconDock(self.viewer)
        return self.viewer.window.add_dock_widget(widget, name="Study"), widget


@pytest.fixture
def desk(qtbot, make_napari_viewer, study_path):
    """A desk with the phantom study and its first unlabelled case open."""
    viewer = make_napari_viewer()
    one = Desk(qtbot, viewer)
    one.session.open_study(study_path)
    one.open("patient-03")
    yield one
    one.session.close()


@pytest.fixture
def run_program():
    """Run a program with a window of its own in another process, with the study's folder as argument."""

    def run(code, study_path):
        return subprocess.run(
            [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(code), str(study_path)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run
