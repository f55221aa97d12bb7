"""A look while it learns: of the slice that was asked for, cheap, and without any influence on learning."""

import io

import numpy as np
import pytest
import torch

from napari_dycon.engine import glimpses
from napari_dycon.engine.control import Control
from napari_dycon.engine.events import Glimpse, from_json
from napari_dycon.engine.glimpses import EVERY_SECONDS, SHARE, Glimpses
from napari_dycon.engine.inference import Predictor
from napari_dycon.engine.runners.child import RemoteControl, Voice
from napari_dycon.engine.viewpoint import View, heard_view, pack, unpack, view_word
from tests.engine.conftest import ORGAN, numbers


@pytest.fixture
def at_once(monkeypatch):
    """Look as often as possible, whatever it costs."""
    monkeypatch.setattr(glimpses, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(glimpses, "SHARE", 100.0)


def watching(case, axis=2, at=0.5):
    control = Control()
    control.watch(View(case, axis, at))
    return control


def test_the_slice_on_screen_is_looked_at_and_nothing_else_changes(make_study, train, at_once):
    study = make_study()
    case = study.cases[-1].id
    with_looks = train(study, iterations=8, seed=3, run_id=study.new_run("dycon"), control=watching(case))
    seen = [event for event in with_looks if isinstance(event, Glimpse)]
    assert seen
    assert {(event.case, event.axis) for event in seen} == {(case, 2)}
    run = next(event.run for event in with_looks if hasattr(event, "plan"))
    record = (study.run_dir(run) / "events.jsonl").read_text()
    assert "Glimpse" not in record
    plain = train(study, iterations=8, seed=3, warm_start=False)
    assert numbers(plain) == numbers(with_looks), "bit for bit"
    assert not any(isinstance(event, Glimpse) for event in plain)


def test_a_glimpse_is_a_slice_of_what_the_model_would_predict(make_study, train, at_once):
    study = make_study()
    train(study, iterations=60)
    predictor = Predictor.load(study, study.active_run, "cpu")
    case = study.cases[-1].id
    whole = predictor.volume(study.volume(case), probabilities=False)
    image = np.asarray(_prepared(study, case, predictor.plan))
    looker = Glimpses([_Case(case, image)], watching(case, at=0.4))
    found = None
    while found is None:
        found = looker.look(predictor.deciders, predictor.plan, torch.device("cpu"), 60, 1.0)
    labels = unpack(found.labels, found.shape)
    assert labels.shape == image.shape[1:3]
    assert set(np.unique(labels)) <= {0, *predictor.plan.structure_values}
    index = int(0.4 * whole.mask.shape[2])
    from scipy import ndimage

    canonical = whole.mask[::-1, ::-1, index]  # the scans run to the left and to the back
    zoomed = ndimage.zoom(
        canonical, np.divide(labels.shape, canonical.shape), order=0, grid_mode=True, mode="nearest"
    )
    assert np.mean((zoomed == ORGAN) == (labels == ORGAN)) > 0.95
    assert (labels == ORGAN).any()


def _prepared(study, case, plan):
    from napari_dycon.engine.preprocessing import prepare_image

    return prepare_image(study.volume(case), plan).array


class _Case:
    def __init__(self, case, image):
        self.case, self.image = case, image


class Clock:
    """Time that passes only while a window is predicted."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


def test_glimpses_take_no_more_than_their_share_and_one_window_at_a_time(monkeypatch):
    clock, begun = Clock(), []
    windows, window_seconds = 4, 0.5

    def slow(view, *rest):
        begun.append(view)
        for done in range(windows):
            clock.now += window_seconds
            yield done / windows
        return Glimpse(view.case, view.axis, view.at, rest[-1], (1, 1), "", "")

    monkeypatch.setattr(glimpses, "time", clock)
    monkeypatch.setattr(glimpses, "_looking", slow)
    control = watching("a")
    looker = Glimpses([_Case("a", np.zeros((1, 4, 4, 4), np.float16))], control)
    trained, seen = 0.0, []
    for step in range(3000):
        trained += 0.1
        before = clock.now
        found = looker.look([], None, torch.device("cpu"), step, trained)
        trained += clock.now - before
        assert clock.now - before <= window_seconds, "one window between two steps"
        assert clock.now <= SHARE * trained + window_seconds
        if found is not None:
            seen.append(trained)
    assert len(seen) >= 3
    assert min(np.diff(seen)) >= EVERY_SECONDS
    control.watch(View("b", 0, 0.1))
    assert len(begun) == len(seen) or len(begun) == len(seen) + 1
    trained += 1000
    looker.look([], None, torch.device("cpu"), 0, trained)
    assert all(view.case == "a" for view in begun), "a case that is not trained on cannot be looked at"


def test_arrays_and_views_travel_as_text():
    array = np.random.default_rng(0).integers(0, 5, (7, 9)).astype(np.uint8)
    event = Glimpse("a", 1, 0.25, 12, (7, 9), pack(array), pack(array))
    back = from_json(event.to_json())
    assert back == event
    assert np.array_equal(unpack(back.labels, back.shape), array)
    with pytest.raises(ValueError, match=r"base64|data|Error"):
        unpack("not an array", (7, 9))
    for view in (View("a “case”", 0, 0.125), None):
        assert heard_view(view_word(view)) == view


def test_a_process_of_its_own_hears_where_the_person_looks():
    control = RemoteControl(Voice(io.StringIO()))
    control.obey(io.StringIO(view_word(View("a", 2, 0.5)) + "\npause\n"))
    assert control.view == View("a", 2, 0.5)
    assert control.stopped, "nobody says anything any more"


def test_where_memory_runs_out_a_training_goes_on_without_looking(make_study, train, at_once, monkeypatch):
    study, asked = make_study(), []

    def too_large(*args):
        asked.append(1)
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(glimpses, "_looking", too_large)
    events = train(study, iterations=4, control=watching(study.cases[-1].id))
    assert asked == [1]
    assert events[-1].reason == "budget"
