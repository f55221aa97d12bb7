"""A look while it learns: the training hears which slice is on screen, and what it says of it is outlined."""

import numpy as np
import pytest

from napari_dycon.engine.events import Glimpse
from napari_dycon.engine.viewpoint import pack
from napari_dycon.plugin.controllers import training


def glimpse(case, axis, at, labels):
    shape = labels.shape
    return Glimpse(case, axis, at, 12, shape, pack(labels), pack(np.zeros(shape, np.uint8)))


@pytest.fixture
def learning(opened, engine):
    """A training that goes on until it is stopped."""
    engine.steps, engine.step_seconds = 10_000, 0.005
    opened.session.training.train("dycon", 1.0)
    opened.wait(lambda: engine.trained > 3)
    yield opened
    opened.session.tasks.stop()
    opened.wait(lambda: not opened.session.tasks.state.busy)


def view(opened):
    return opened.session.tasks._job.control.view


def test_the_training_hears_where_the_person_looks(learning):
    z, _, x = learning.layer("scan").data.shape
    first = view(learning)
    assert (first.case, first.axis) == ("alpha", 2)
    learning.viewer.dims.set_current_step(0, 3)
    assert view(learning).at == pytest.approx(1 - 3.5 / z), "the display runs downwards"
    learning.session.views.show_plane("sagittal")
    learning.viewer.dims.set_current_step(2, 4)
    assert view(learning).axis == 0
    assert view(learning).at == pytest.approx(1 - 4.5 / x), "the display runs to the left, RAS to the right"
    learning.open("beta")
    assert view(learning).case == "beta"


def test_what_it_says_is_outlined_on_that_slice_and_gone_at_the_end(learning):
    z, y, x = learning.layer("scan").data.shape
    labels = np.zeros((x // 2, y // 2), np.uint8)
    labels[: x // 4, : y // 4] = 1  # RAS: low numbers are left and posterior
    learning.session.training._on_trained(glimpse("alpha", 2, 1 - 3.5 / z, labels))
    layer = learning.layer("as it learns")
    seen = np.asarray(layer.data)
    assert layer.visible
    assert np.flatnonzero(seen.any(axis=(1, 2))).tolist() == [3]
    rows, columns = np.nonzero(seen[3])
    assert (rows.min(), rows.max()) == (y // 2, y - 1), "posterior is below"
    assert (columns.min(), columns.max()) == (x // 2, x - 1), "the patient's left is on the right"
    assert learning.viewer.layers.selection.active is learning.layer("annotation")
    assert any("step 12" in entry.text for entry in learning.session._presenter.legend())
    learning.session.training._on_trained(glimpse("beta", 2, 0.5, labels))
    assert learning.session._presenter.maps.glimpsed.case == "alpha"
    learning.session.tasks.stop()
    learning.wait(lambda: not layer.visible)
    assert not np.asarray(layer.data).any()


def test_the_open_case_can_be_predicted_beside_a_training(learning, engine, monkeypatch):
    study = learning.study
    (study.path / "runs" / "000-dycon").mkdir(parents=True)
    study.set_active_run("000-dycon")
    asked = []

    def case_prediction(study, run, case_id, device):
        asked.append((run, case_id))
        return lambda control: iter([])

    monkeypatch.setattr(training.jobs, "case_prediction", case_prediction)
    learning.session.actions.ask("predict_case")
    learning.wait(lambda: bool(asked))
    assert asked == [("000-dycon", "alpha")]
    assert learning.session.tasks.state.kind == "training"
