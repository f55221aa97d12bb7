"""What a person's two hands do at once never puts a label on another voxel, patient or structure."""

import threading

import nibabel as nib
import numpy as np
import pytest
from napari.layers.labels._labels_constants import Mode

from napari_dycon.plugin.background import jobs
from napari_dycon.plugin.canvases.mirrors import Mirror
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Known
from tests.plugin.hands import Mouse

ROLES = ("scan", "annotation", "prediction", "entropy")


@pytest.fixture
def mouse(opened):
    layer = opened.layer("annotation")
    layer.brush_size, layer.mode = 2, "paint"
    return Mouse(opened.viewer)


def labels(opened):
    return opened.layer("annotation").data


def on_disk(opened, case):
    opened.session._desk.saving.flush()
    return opened.study.annotation(case).labels


def to_beta(opened):
    opened.open("beta")


def remove(opened):
    opened.session.cases.remove(["alpha"])
    opened.wait(lambda: opened.session.cases.case_id not in (None, "alpha"))


def merge(opened):
    opened.session.structures.merge(1, 3)
    opened.wait(lambda: opened.session.dialogue.question is not None)
    opened.session.dialogue.answer("change")
    opened.rest()
    opened.wait(lambda: opened.session.cases.case_id == "alpha")


@pytest.mark.parametrize("change", [to_beta, remove, merge])
def test_a_stroke_stays_in_the_case_in_which_it_was_begun(opened, mouse, change):
    at = opened.viewer.dims.current_step[0]
    mouse.press((at, 5, 5))
    mouse.move((at, 5, 8))
    painted = int((labels(opened) == 1).sum())
    assert painted
    change(opened)
    opened.layer("annotation").mode = "paint"
    now = labels(opened).copy()
    at = opened.viewer.dims.current_step[0]
    for column in (9, 10, 11):
        mouse.move((at, 9, column))
    mouse.release((at, 9, 11))
    assert np.array_equal(labels(opened), now)
    if change is not remove:
        assert int((on_disk(opened, "alpha") > 0).sum()) == painted
    mouse.drag((at, 9, 5), (at, 9, 7))
    assert not np.array_equal(labels(opened), now), "the next stroke counts"


@pytest.mark.parametrize("change", ["slice", "plane", "fill", "pan_zoom", "undo", "version", "close"])
def test_what_is_changed_during_a_drag_ends_the_stroke(opened, mouse, change):
    at = opened.viewer.dims.current_step[0]
    layer, session = opened.layer("annotation"), opened.session
    mouse.press((at, 5, 5))
    mouse.move((at, 5, 8))
    case = session._desk.case
    painted = case.annotation.labels.copy()
    if change == "slice":
        session.views.step_slice(1)
    elif change == "plane":
        session.views.show_plane("coronal")
    elif change == "undo":
        session.labels.undo()
        painted[:] = 0
    elif change == "version":
        session._desk.look_at(np.zeros_like(painted))
    elif change == "close":
        session.close()
    else:
        layer.mode = change
    here = [5, 9, 9]
    here[opened.viewer.dims.order[0]] = opened.viewer.dims.current_step[opened.viewer.dims.order[0]]
    mouse.move(here)
    mouse.move(np.add(here, (0, 0, 2)))
    mouse.release(here)
    assert np.array_equal(case.annotation.labels, painted)


def test_undo_in_the_middle_of_a_stroke_leaves_nothing_known(opened, mouse):
    at = opened.viewer.dims.current_step[0]
    known = opened.session._desk.case.annotation.known
    before = known.copy()
    mouse.press((at, 5, 5))
    mouse.move((at, 5, 8))
    opened.session.labels.undo()
    mouse.release((at, 5, 8))
    assert np.array_equal(known, before)


def test_a_polygon_over_two_slices_or_two_cases_is_not_painted(opened, notes):
    layer = opened.layer("annotation")
    layer.mode = "polygon"
    at = opened.viewer.dims.current_step[0]
    layer.paint_polygon([(at, 2, 2), (at, 2, 9), (at + 1, 9, 9)], 1)
    assert not labels(opened).any()
    layer._overlays["polygon"].points = [(at, 2, 2), (at, 2, 9), (at, 9, 9)]
    opened.open("gamma")
    assert layer._overlays["polygon"].points == []
    layer.paint_polygon([(at, 2, 2), (at, 2, 9), (at, 9, 9)], 1)
    assert labels(opened).any()


MOVES = {
    "scale": lambda layer: setattr(layer, "scale", (1, 2, 3)),
    "translate": lambda layer: setattr(layer, "translate", (9, 0, 0)),
    "rotate": lambda layer: setattr(layer, "rotate", (0, 0, 30)),
    "shear": lambda layer: setattr(layer, "shear", (0.1, 0, 0)),
    "affine": lambda layer: setattr(layer, "affine", np.diag([1, 1, 2, 1.0])),
    "units": lambda layer: setattr(layer, "units", ("cm",) * 3),
}


@pytest.mark.parametrize("how", MOVES)
@pytest.mark.parametrize("role", ROLES)
def test_no_layer_leaves_its_scan(opened, role, how):
    layer, place = opened.layer(role), opened.layer("scan").extent.world.copy()
    MOVES[how](layer)
    assert np.allclose(layer.extent.world, place)
    assert np.allclose(layer.world_to_data((10, 4, 5)), np.divide((10, 4, 5), layer.scale))
    copy = Mirror(layer, lambda *_: None)
    MOVES[how](copy.layer)
    assert np.allclose(copy.layer.extent.world, place)
    opened.open("beta")
    assert np.allclose(layer.scale, 0.7)
    assert np.allclose(copy.layer.scale, 0.7)


@pytest.mark.parametrize("role", ROLES)
def test_napari_s_tool_for_moving_a_layer_is_not_taken_up(opened, role):
    layer = opened.layer(role)
    opened.viewer.layers.selection.active = layer
    layer.mode = "transform"
    assert layer.mode == Mode.PAN_ZOOM
    place = layer.extent.world.copy()
    at = opened.viewer.dims.current_step[0]
    Mouse(opened.viewer).drag((at, 5, 5), (at, 8, 8), (at, 9, 12))
    assert np.array_equal(layer.extent.world, place)


def test_a_copy_for_another_canvas_changes_nothing_in_the_hand(opened):
    session, layer = opened.session, opened.layer("annotation")
    session.structures.select(3)
    layer.mode, layer.brush_size, layer.preserve_labels, layer.n_edit_dimensions = "erase", 7, True, 3
    copies = [Mirror(layer, lambda *_: None) for _ in range(2)]
    session.structures.recolour(3, "#00ff00")
    for one in (layer, *(copy.layer for copy in copies)):
        hand = (one.selected_label, one.mode, one.brush_size, one.preserve_labels, one.n_edit_dimensions)
        assert hand == (3, "erase", 7, True, 3)
    assert session.structures.active_value == 3
    copies[1].layer.selected_label = 1
    assert session.structures.active_value == layer.selected_label == copies[0].layer.selected_label == 1


def test_the_reason_of_a_place_goes_with_its_case(opened):
    opened.rest()
    session = opened.session
    session.suggestions.step()
    opened.wait(lambda: session.cases.case_id == "beta")
    assert session.suggestions.index == 0
    opened.open("alpha")
    assert session.suggestions.index == -1


def test_a_study_reads_back_what_was_painted_while_cases_changed(opened, mouse, study_path):
    at = opened.viewer.dims.current_step[0]
    mouse.press((at, 5, 5))
    opened.open("gamma")
    mouse.move((at, 9, 9))
    mouse.release((at, 9, 9))
    opened.session.close()
    with Study.open(study_path) as study:
        assert study.annotation("alpha").labels.any()
        assert not study.annotation("gamma").labels.any()


@pytest.fixture
def labels_come(opened, tmp_path, monkeypatch):
    """Start an import of labels for alpha, which are all valve, and hold it until the second call."""
    begun, gate, add_scans = threading.Event(), threading.Event(), jobs.add_scans
    scan = opened.study.scan_path("alpha")
    folder = tmp_path / "labels"
    folder.mkdir()
    image = nib.load(scan)
    nib.save(nib.Nifti1Image(np.full(image.shape, 3, np.uint8), image.affine), folder / "alpha.nii.gz")

    def held(study, *args, **more):
        begun.set()
        gate.wait(15)
        yield from add_scans(study, *args, **more)

    monkeypatch.setattr(jobs, "add_scans", held)

    def come():
        if not opened.session.tasks.state.busy:
            opened.session.exchange.add_scans([scan], folder)
            opened.wait(begun.is_set)
        else:
            gate.set()
            opened.rest()

    return come


@pytest.mark.parametrize(
    "hand", ["rests", "has painted", "paints", "has undone", "is elsewhere", "comes back"]
)
def test_labels_that_are_imported_and_labels_that_are_painted_meanwhile_are_both_kept(
    opened, mouse, labels_come, hand
):
    at = opened.viewer.dims.current_step[0]
    labels_come()
    if hand != "rests":
        mouse.press((at, 5, 5))
        mouse.move((at, 5, 8))
    if hand not in ("rests", "paints"):
        mouse.release((at, 5, 8))
    if hand in ("is elsewhere", "comes back"):
        opened.session.labels.undo()
        opened.open("beta")
    if hand == "comes back":
        opened.session.cases.open("alpha")
    if hand == "has undone":
        opened.session.labels.undo()
    labels_come()
    if hand == "paints":
        mouse.move((at, 5, 11))
        mouse.release((at, 5, 11))
    opened.open("alpha")
    opened.rest()
    found = labels(opened)
    painted = {int(value): int((found == value).sum()) for value in np.unique(found)}
    if hand in ("has painted", "paints"):
        assert found[at, 5, 5] == found[at, 5, 8] == 1 and painted[1] < 60
        assert hand == "has painted" or found[at, 5, 11] == 1
    else:
        assert set(painted) == {3}
    assert set(painted) <= {1, 3}
    assert (opened.session._desk.case.annotation.known == Known.DRAWN).all()
    assert np.array_equal(on_disk(opened, "alpha"), opened.session._desk.case.annotation.labels)
    opened.session.labels.undo()
    assert opened.session._desk.saving.flush()
