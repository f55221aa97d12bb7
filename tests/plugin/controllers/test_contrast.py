"""The grey scale of a scan: presets where they mean something, kept where that makes sense."""

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.plugin.layers.grey_windows import windows_of
from napari_dycon.plugin.layers.open_case import contrast_limits, intensity_range
from napari_dycon.study.exchange import importing
from napari_dycon.study.study import Study


@pytest.fixture
def study_path(tmp_path):
    """Two scans in Hounsfield units and two that are not."""
    random = np.random.default_rng(0)
    for name, level, width in (("ct-1", 0, 900), ("ct-2", -50, 800), ("mr-1", 300, 60), ("mr-2", 900, 90)):
        values = random.normal(level, width, (20, 18, 10)).astype(np.float32)
        nib.save(nib.Nifti1Image(values, np.diag([-1.0, -1.0, 2.0, 1.0])), tmp_path / f"{name}.nii.gz")
    with Study.create(tmp_path / "study", []) as study:
        study.add_structure("lung")
        list(importing.add_scans(study, sorted(tmp_path.glob("*.nii.gz"))))
    return tmp_path / "study"


@pytest.fixture
def show(make_session, study_path, qtbot):
    """Return a function that opens a case; it has the session and the grey scale of the scan."""
    from napari.components import ViewerModel

    viewer = ViewerModel()
    session = make_session(viewer)
    session.open_study(study_path)

    def show(case):
        session.cases.open(case)
        qtbot.waitUntil(lambda: session.cases.case_id == case, timeout=15000)

    show.session = session
    show.limits = lambda: tuple(round(float(value)) for value in viewer.layers["scan"].contrast_limits)
    show("ct-1")
    return show


def names(show):
    return {window.name for window in show.session.contrast.windows}


def test_ct_is_offered_its_presets_and_other_scans_are_not(show):
    assert {"auto", "lung", "bone", "brain", "abdomen", "mediastinum", "full"} <= names(show)
    show("mr-1")
    assert names(show) == {"auto", "wide", "bright", "dark", "full"}


def test_a_preset_shows_the_values_that_radiologists_expect(show):
    show.session.contrast.choose("lung")
    assert show.limits() == (-1200, 200)
    assert show.session.contrast.note == "Lung  W 1400  L −500"
    show.session.contrast.choose("auto")
    assert show.session.contrast.note == ""


def test_a_preset_stays_from_case_to_case_and_comes_back_after_a_scan_without_it(show):
    show.session.contrast.choose("bone")
    show("ct-2")
    assert show.limits() == (-100, 900)
    show("mr-1")
    assert show.session.contrast.window.name == "auto"
    show("ct-1")
    assert show.limits() == (-100, 900)


def test_dragging_right_widens_and_dragging_up_raises_the_level(show):
    show.session.contrast.choose("brain")
    before = show.limits()
    show.session.contrast.drag(20, 0)
    wide = show.limits()
    assert wide[0] < before[0] and wide[1] > before[1]
    show.session.contrast.drag(0, 20)
    assert show.limits()[0] > wide[0] and show.limits()[1] > wide[1]


def test_dragging_never_turns_the_grey_scale_over(show):
    show.session.contrast.drag(-100_000, 0)
    low, high = show.limits()
    assert low < high


def test_a_dragged_window_stays_in_hounsfield_units_only(show):
    show.session.contrast.drag(30, 10)
    mine = show.limits()
    show("ct-2")
    assert show.limits() == mine
    show("mr-1")
    show.session.contrast.drag(30, 10)
    mine = show.limits()
    show("mr-2")
    assert show.limits() != mine
    assert show.session.contrast.window.name == "auto"


def test_showing_the_same_case_again_keeps_its_window(show):
    show("mr-1")
    show.session.contrast.drag(30, 10)
    mine = show.limits()
    show("mr-1")
    show.session.cases.open("mr-1")
    assert show.limits() == mine


def test_a_scan_of_one_value_and_one_without_values_have_windows():
    for values in (np.full((4, 4, 4), 7.0), np.full((4, 4, 4), np.nan), np.zeros((4, 4, 4), np.int16)):
        contrast, full = contrast_limits(values), intensity_range(values)
        for window in windows_of(values, contrast, full):
            assert window.high > window.low
