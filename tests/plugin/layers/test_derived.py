"""Entropy on undecided voxels, and differences only: computed where they are looked at."""

import numpy as np
import pytest

from napari_dycon.plugin.layers.derived import Derived, differences, open_only
from napari_dycon.plugin.layers.outlines import MISSED
from napari_dycon.study.truth.annotations import Known

RUN = "001-dycon"


def test_only_what_somebody_has_spoken_of_can_differ():
    known = np.array([Known.UNKNOWN, Known.IGNORE, Known.DRAWN, Known.COMPLETED, Known.ACCEPTED, Known.DRAWN])
    prediction, labels = np.array([1, 1, 1, 2, 0, 3], np.uint8), np.array([0, 0, 0, 1, 2, 3], np.uint8)
    found = differences(prediction, labels, known.astype(np.uint8))
    assert found.tolist() == [0, 0, 1, 2, MISSED + 2, 0]


def test_a_derived_array_follows_its_sources_in_every_slice():
    values, known = np.arange(24, dtype=np.uint8).reshape(2, 3, 4), np.zeros((2, 3, 4), np.uint8)
    derived = Derived(open_only, np.uint8, values, known)
    assert (derived.shape, derived.ndim, derived.dtype, derived.size) == ((2, 3, 4), 3, np.uint8, 24)
    assert np.array_equal(derived[1], values[1])
    known[1, 0] = Known.DRAWN
    assert derived[1, 0].tolist() == [0] * 4
    assert derived[1, 1, 2] == values[1, 1, 2]
    assert np.array_equal(np.asarray(derived), np.where(known, 0, values))


@pytest.fixture
def predicted(opened, engine):
    """The case that is open is predicted, with an entropy of a half in a box and the rest sure."""
    study = opened.study
    (study.path / "runs" / RUN).mkdir(parents=True)
    study.set_active_run(RUN)
    engine.predict(study, RUN, "alpha")
    engine.predict(study, RUN, "beta")
    opened.open("beta")
    return opened.open("alpha")


def seen(layer):
    return np.asarray(layer.data)


def unsure_place(opened, z):
    """A voxel in the middle of what the model is unsure of, on a slice."""
    return (z, *(int(middle) for middle in np.median(np.argwhere(seen(opened.layer("entropy"))[z]), axis=0)))


def test_entropy_is_shown_on_undecided_voxels_only(predicted):
    entropy = predicted.layer("entropy")
    before = np.count_nonzero(seen(entropy))
    assert before == 8 * 9 * 8
    predicted.paint(unsure_place(predicted, 5))
    covered = seen(predicted.layer("annotation")) > 0
    assert np.count_nonzero(seen(entropy)) == before - np.count_nonzero(covered) < before
    assert not seen(entropy)[covered].any()
    predicted.session.labels.undo()
    predicted.rest()
    assert np.count_nonzero(seen(entropy)) == before


def test_the_slice_on_screen_follows_a_stroke(predicted):
    shown = predicted.layer("entropy")._slice.image.raw
    before = np.count_nonzero(shown)
    z = predicted.viewer.dims.current_step[0]
    predicted.paint(unsure_place(predicted, z))
    assert np.count_nonzero(predicted.layer("entropy")._slice.image.raw) < before


def test_differences_only_and_back(predicted):
    predicted.session.actions.ask("differences")
    assert predicted.session.views.overlay.differences
    layer, prediction = predicted.layer("differences"), predicted.layer("prediction")
    assert (layer.visible, prediction.visible) == (True, False)
    assert not seen(layer).any(), "nobody has said anything yet"
    predicted.paint((5, 3, 3), value=3, size=1)
    labels = seen(predicted.layer("annotation"))
    assert np.array_equal(seen(layer) > 0, (labels > 0) & (labels != seen(prediction)))
    predicted.open("beta")
    assert not seen(layer).any(), "nothing of alpha"
    predicted.session.actions.ask("differences")
    assert (layer.visible, prediction.visible) == (False, True)
    assert predicted.viewer.layers.selection.active is predicted.layer("annotation")


def test_what_was_accepted_is_no_difference(predicted):
    predicted.viewer.dims.set_current_step(0, 5)
    predicted.session.regions.decide("accept", "slice")
    predicted.rest()
    predicted.session.actions.ask("differences")
    assert not seen(predicted.layer("differences")).any()
    predicted.session.actions.ask("differences")
    assert not seen(predicted.layer("prediction"))[5].any(), "decided: no longer outlined"
