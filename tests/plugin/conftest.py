"""A small study of scans with different shapes, and a session whose engine is a fake."""

import json
import shutil
import time

import nibabel as nib
import numpy as np
import pytest
from napari.components import ViewerModel

from napari_dycon.engine.events import (
    CasePredicted,
    CheckpointSaved,
    PredictionFinished,
    PredictionProgress,
    RunFinished,
    RunStarted,
    StepFinished,
    Validated,
)
from napari_dycon.guidance.suggestions import Suggestion
from napari_dycon.plugin import session
from napari_dycon.plugin.background import jobs
from napari_dycon.plugin.controllers import training
from napari_dycon.study.exchange import importing
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study

SHAPES = {"alpha": (20, 24, 10), "beta": (16, 18, 14), "gamma": (20, 24, 10)}
SPACINGS = {"alpha": (1.0, 1.0, 2.5), "beta": (0.7, 0.7, 0.7), "gamma": (1.0, 1.0, 2.5)}


def write_scan(folder, name):
    values = np.random.default_rng(sum(name.encode())).normal(100, 20, SHAPES[name]).astype(np.float32)
    path = folder / f"{name}.nii.gz"
    affine = np.diag([-SPACINGS[name][0], -SPACINGS[name][1], SPACINGS[name][2], 1.0])
    nib.save(nib.Nifti1Image(values, affine), path)
    return path


@pytest.fixture(scope="session")
def folder_of_a_study(tmp_path_factory):
    """Folder with the scans of a closed study and the study itself."""
    folder = tmp_path_factory.mktemp("made")
    scans = folder / "scans"
    scans.mkdir()
    structures = [
        Structure(value=1, name="atrium", color="#e6550d"),
        Structure(value=3, name="valve", color="#3182bd"),
    ]
    with Study.create(folder / "study", structures) as study:
        list(importing.add_scans(study, [write_scan(scans, name) for name in SHAPES]))
    return folder


@pytest.fixture
def study_path(folder_of_a_study, tmp_path):
    """Folder of a closed study of its own: three scans of two sizes, none of them labelled."""
    shutil.copytree(folder_of_a_study, tmp_path, dirs_exist_ok=True)
    study = tmp_path / "study"
    for record in study.glob("study.j*"):  # of scans that lie elsewhere it keeps the whole path
        text = record.read_text().replace(_as_json(folder_of_a_study), _as_json(tmp_path))
        record.write_text(text)
    return study


def _as_json(path):
    return json.dumps(str(path))[1:-1]


class Engine:
    """What the background jobs of a session do instead of learning."""

    def __init__(self):
        self.error = None
        self.steps = 5
        self.step_seconds = 0.0
        self.predicted = []
        self.trained = 0

    def training(
        self,
        study,
        method,
        minutes,
        device,
        save_first,
        resume=None,
        apart=False,
        twin=False,
        overrides=None,
        machine=None,
    ):
        self.overrides = overrides

        def source(control):
            save_first()
            run = resume or study.new_run(method)
            yield RunStarted(run, method, "cpu", {})
            for iteration in range(1, self.steps + 1):
                control.wait_while_paused()
                if control.stopped:
                    break
                time.sleep(self.step_seconds)
                self.trained += 1
                yield StepFinished(
                    iteration, iteration / self.steps, {"supervised": 1 / iteration}, 1.0, 2.0, 3.0
                )
                if self.error is not None:
                    raise self.error
            yield Validated(iteration, {"atrium": 0.8}, 0.8, "held-out slices")
            (study.run_dir(run) / "checkpoint").write_text(str(iteration))
            study.set_active_run(run)
            yield CheckpointSaved(iteration)
            reason = "stopped" if control.stopped else "budget"
            yield RunFinished(run, iteration, reason, 1.0, 0.8, 0.8, "Training ended.")
            if twin:
                yield RunStarted(f"{run}-twin", method, "cpu", {})
                yield StepFinished(1, 1.0, {"supervised": 1.0}, 1.0, 0.0, 3.0)
                yield RunFinished(f"{run}-twin", 1, reason, 1.0, 0.7, 0.7, "The twin ended.")
                yield jobs.ControlFinished("The unlabelled scans brought +10.0 points here.")

        return source

    def prediction(self, study, run, case_ids, device):
        def source(control):
            for done, case in enumerate(case_ids):
                if control.stopped:
                    break
                yield PredictionProgress(case, done, len(case_ids), done / len(case_ids))
                time.sleep(self.step_seconds)
                self.predict(study, run, case)
                self.predicted.append(case)
                yield CasePredicted(case, done + 1, len(case_ids), {"atrium": 1.5, "valve": 0.0}, 0.25, False)
            yield PredictionFinished(run, tuple(case_ids), control.stopped)
            yield jobs.SuggestionsReady((self.suggestion(case_ids[-1]),))

        return source

    @staticmethod
    def predict(study, run, case):
        shape = study.case(case).shape
        mask = np.zeros(shape, np.uint8)
        mask[2:10, 3:12, 1:9] = 1
        study.predictions.save(run, case, mask, np.where(mask, 0.5, 0.0).astype(np.float32))
        row = {"volumes_ml": {"atrium": 1.5, "valve": 0.0}, "mean_entropy": 0.25, "empty": False}
        study.predictions.save_summary(run, {case: row})

    @staticmethod
    def suggestion(case):
        return Suggestion(
            case=case,
            plane="coronal",
            axis=1,
            index=7,
            box=((2, 6), (7, 8), (3, 5)),
            structure=1,
            structure_name="atrium",
            score=0.5,
            reason="the model is unsure here",
        )

    def suggestions(self, study):
        return lambda control: iter([jobs.SuggestionsReady((self.suggestion(study.cases[1].id),))])

    @staticmethod
    def engine_facts(wish):
        return lambda control: iter([jobs.EngineReady((("dycon", "DyCON"),), "cpu")])


class Opened:
    """A session with its viewer, and the steps tests take again and again."""

    def __init__(self, qtbot, session, viewer):
        self.qtbot, self.session, self.viewer = qtbot, session, viewer

    @property
    def study(self):
        return self.session.study

    def wait(self, condition, seconds=15):
        self.qtbot.waitUntil(condition, timeout=seconds * 1000)

    def open(self, case):
        self.session.cases.open(case)
        self.wait(lambda: self.session.cases.case_id == case)
        return self

    def rest(self):
        """Wait until nothing runs in the background."""
        one = self.session
        self.wait(
            lambda: not (one.tasks.state.busy or one.tools.growing or one._loads.busy or one._chores.busy)
        )

    def layer(self, role):
        return self.viewer.layers[role]

    def paint(self, centre, value=1, size=3):
        layer = self.layer("annotation")
        layer.brush_size = size
        layer.paint(centre, value)


@pytest.fixture
def engine(monkeypatch):
    fake = Engine()
    for name in ("training", "prediction", "suggestions", "engine_facts"):
        monkeypatch.setattr(jobs, name, getattr(fake, name))
    monkeypatch.setattr(training, "preferred_device", lambda: "cpu")
    return fake


@pytest.fixture
def notes(monkeypatch):
    """Every notification, as ``(level, text)``."""
    seen = []
    monkeypatch.setattr(
        "napari_dycon.plugin.controllers.dialogue.notify", lambda level, text: seen.append((level, text))
    )
    return seen


@pytest.fixture
def make_session(qtbot, engine, notes):
    """Sessions on bare viewer models, closed at the end."""
    made = []

    def make(viewer=None):
        viewer = viewer or ViewerModel()
        made.append((viewer, session.get_session(viewer)))
        return made[-1][1]

    yield make
    for _, one in made:
        one.close()


@pytest.fixture
def opened(qtbot, make_session, study_path):
    """A session on a viewer model with the study and its first case open."""
    viewer = ViewerModel()
    one = make_session(viewer)
    one.open_study(study_path)
    return Opened(qtbot, one, viewer).open("alpha")
