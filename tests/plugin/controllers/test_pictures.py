"""The images of an exam are seen one at a time, in the same place, under the same labels."""

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.study.exchange import importing
from napari_dycon.study.study import Study

SHAPE = (20, 18, 10)


@pytest.fixture
def study_path(tmp_path):
    """Two cases with T1 and FLAIR, the latter with half the voxels, and one with T1 alone."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number, case in enumerate(("anna", "bert", "carl")):
        index = np.indices(SHAPE).astype(np.float32)
        t1 = 100 + index[0] + number
        nib.save(nib.Nifti1Image(t1, np.diag([-1.0, -1.0, 2.0, 1.0])), folder / f"{case}_t1.nii.gz")
        affine = np.diag([-2.0, -1.0, 2.0, 1.0])
        affine[0, 3] = -0.5
        flair = 1000 + 2 * index[0, :10] + 0.5
        if case != "carl":
            nib.save(nib.Nifti1Image(flair, affine), folder / f"{case}_flair.nii.gz")
    with Study.create(tmp_path / "study", []) as study:
        study.add_structure("lesion")
        list(importing.add_scans(study, [folder], endings={"T1": "t1", "FLAIR": "flair"}))
    return tmp_path / "study"


@pytest.fixture
def show(make_session, study_path, qtbot):
    """Return a function that opens a case; it has the session, the viewer and a wait for an image."""
    from napari.components import ViewerModel

    viewer = ViewerModel()
    session = make_session(viewer)
    session.open_study(study_path)

    def show(case):
        session.cases.open(case)
        qtbot.waitUntil(lambda: session.cases.case_id == case, timeout=15000)

    show.session, show.layers = session, viewer.layers
    show.wait = lambda name: qtbot.waitUntil(lambda: session.views.pictures.shown == name, timeout=15000)
    show("anna")
    return show


def test_the_next_image_is_seen_where_the_scan_was_and_then_the_scan_again(show):
    annotation = show.layers["annotation"]
    before = np.array(show.layers["scan"].data)
    show.session.views.pictures.step()
    show.wait("FLAIR")
    scan = show.layers["scan"]
    assert scan.data.shape == before.shape and show.layers["annotation"] is annotation
    np.testing.assert_allclose((np.asarray(scan.data) - before)[..., 1:-1], 900, atol=1e-3)
    low, high = scan.contrast_limits
    assert 1000 <= low < high <= 1020
    assert show.session.contrast.note.startswith("FLAIR")
    show.session.views.pictures.step()
    show.wait("T1")
    np.testing.assert_array_equal(show.layers["scan"].data, before)


def test_what_one_wants_to_see_is_kept_where_the_next_case_has_it(show):
    show.session.views.pictures.step()
    show.wait("FLAIR")
    show("bert")
    show.wait("FLAIR")
    show("carl")
    assert show.session.views.pictures.names == () and show.layers["scan"].data.max() < 200
    show("anna")
    show.wait("FLAIR")


def test_a_case_with_one_image_says_that_there_is_no_other(show):
    show("carl")
    show.session.actions.ask("next_image")
    assert show.session.contrast.note == ""
    assert show.session.actions.situation().images is False


def test_the_table_says_which_image_a_case_lacks(show):
    problems = {row.name: row.problems for row in show.session.cases.list.rows()}
    assert problems == {"anna": (), "bert": (), "carl": ("It has no FLAIR image.",)}


def test_paint_in_a_range_and_the_pointer_mean_the_image_that_is_seen(show):
    show.session.views.pictures.step()
    show.wait("FLAIR")
    low, high = show.session.tools.intensity_bounds
    assert low >= 1000 and high <= 1021
    assert show.session._presenter.brush.scan.max() >= 1000
