"""Two scans of one body are brought onto each other, or it is said that they are not."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from napari_dycon.errors import VolumeError
from napari_dycon.io import registration
from napari_dycon.io.geometry import LPS_TO_RAS
from napari_dycon.io.registration import Registration, RegistrationStep, register
from tests.two_exams import SHIFT, TURN, dice, earlier, later


@pytest.fixture(scope="module")
def exams():
    return earlier(), later()


@pytest.fixture(scope="module")
def events(exams):
    (before, _), (after, _) = exams
    return list(register(after, before))


def test_a_mask_lies_where_the_body_has_moved_to(exams, events):
    (_, drawn), (_, truth) = exams
    carried = events[-1].carry(drawn) > 0.5
    unmoved = replace(events[-1], transform=sitk.Transform()).carry(drawn) > 0.5
    assert dice(unmoved, truth > 0) < 0.6
    assert dice(carried, truth > 0) > 0.9


def test_the_known_movement_is_found_to_a_voxel(events):
    for place in np.array([[0.0, 0.0, 0.0], [-15.0, -4.0, 0.0], [20.0, 20.0, 20.0]]):
        then = place  # of the body as it lay in the earlier scan
        now = TURN @ place + SHIFT
        to_lps = np.diag(LPS_TO_RAS)[:3]
        found = np.array(events[-1].transform.TransformPoint((now * to_lps).tolist())) * to_lps
        assert np.linalg.norm(found - then) < 3


def test_it_is_told_how_well_they_lie_on_each_other(events):
    *steps, found = events
    assert [step.done for step in steps] == [1, 2, 3]
    assert isinstance(found, Registration)
    assert 0 < found.before < 0.5 * found.after < 0.5
    assert 0.5 < found.overlap <= 1
    assert found.moved_mm == pytest.approx(np.linalg.norm(SHIFT), abs=6)


def test_the_same_scans_give_the_same_result_bit_by_bit(exams, events):
    (before, drawn), (after, _) = exams
    again = list(register(after, before))[-1]
    assert again.after == events[-1].after
    np.testing.assert_array_equal(again.carry(drawn), events[-1].carry(drawn))


def test_scans_of_different_things_are_refused(exams, monkeypatch):
    monkeypatch.setattr(registration, "MOST_ITERATIONS", 20)
    (before, _), (after, _) = exams
    noise = ndimage.gaussian_filter(np.random.default_rng(5).normal(size=after.array.shape), 2)
    with pytest.raises(VolumeError, match="could not be brought onto each other"):
        list(register(replace(after, array=noise.astype(np.float32)), before))


def test_a_scan_without_any_contrast_is_refused(exams):
    (before, _), (after, _) = exams
    with pytest.raises(VolumeError, match="could not be brought onto each other"):
        list(register(replace(after, array=np.zeros_like(after.array)), before))


def test_it_stops_when_asked_to_and_tells_nothing_more(exams):
    (before, _), (after, _) = exams
    asked = []

    def stop():
        asked.append(1)
        return len(asked) > 200

    assert not [
        event for event in register(after, before, stop=stop) if not isinstance(event, RegistrationStep)
    ]
    assert len(asked) < 230


def test_invalid_voxels_do_no_harm(exams):
    (before, drawn), (after, truth) = exams
    broken = before.array.copy()
    broken[:3] = np.nan
    found = list(register(after, replace(before, array=broken)))[-1]
    assert dice(found.carry(drawn) > 0.5, truth > 0) > 0.9


def test_bending_is_taken_only_where_the_scans_fit_better_for_it(exams, events, monkeypatch):
    monkeypatch.setattr(registration, "BENDING_ITERATIONS", 3)
    monkeypatch.setattr(registration, "BENDING_SAMPLES", 2000)
    (before, drawn), (after, truth) = exams
    found = list(register(after, before, bend=True))[-1]
    assert found.bent == (found.after > events[-1].after + 0.01)
    assert found.after >= events[-1].after
    assert dice(found.carry(drawn) > 0.5, truth > 0) > 0.9
