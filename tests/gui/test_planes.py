"""Three planes beside each other: one cross-hair, one annotation, nothing left when they are gone."""

import gc
import threading

import numpy as np
import pytest
from napari.qt import QtViewer
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_dycon.guidance.suggestions import Suggestion
from napari_dycon.plugin.background import jobs
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Known

pytestmark = pytest.mark.gui


@pytest.fixture
def planes(desk):
    """The linked planes of the desk, shown in a window of some size."""
    desk.viewer.window.resize(1200, 800)
    desk.viewer.window.show()
    desk.session.views.toggle_planes()
    linked = desk.session.views._planes
    desk.wait(lambda: all(pane.marks.width() > 100 for pane in linked.panes.values()))
    settle(desk)
    yield linked
    if linked.shown:
        linked.hide()


def settle(desk, milliseconds=150):
    """Let the timers that link the views run out."""
    desk.qtbot.wait(milliseconds)


def case(desk):
    return desk.session._desk.case


def drawn(desk):
    """How many voxels a person has drawn."""
    return int((case(desk).annotation.known == Known.DRAWN).sum())


def press(desk, view, point, modifier=Qt.KeyboardModifier.NoModifier):
    """Click where ``point`` (z, y, x in mm) is on the canvas of ``view``."""
    QTest.mouseClick(view.marks.parentWidget(), Qt.MouseButton.LeftButton, modifier, place_of(view, point))
    settle(desk)


def place_of(view, point):
    """Where ``point`` (z, y, x in mm) is on the canvas of ``view``."""
    return QPoint(*(round(pixel) for pixel in view.on_screen(np.asarray(point, float))))


def colour_at(view, point):
    """The colour that the canvas of ``view`` shows at ``point``, between 0 and 255."""
    colour = view.marks.parentWidget().grabFramebuffer().pixelColor(place_of(view, point))
    return np.array(colour.getRgb()[:3])


def test_the_other_two_planes_and_3d_appear_with_their_names_and_letters(desk, planes):
    assert list(planes.panes) == ["coronal", "sagittal"]
    shown = {view.plane: view._marks() for view in planes.slices}
    assert shown["axial"].letters == ("R", "L", "A", "P")
    assert shown["coronal"].letters == ("R", "L", "S", "I")
    assert shown["sagittal"].letters == ("A", "P", "S", "I")
    assert shown["coronal"].title.startswith("Coronal ")
    assert planes.solid.model.dims.ndisplay == 3
    assert {"annotation", "prediction", "cross-hair"} >= {layer.name for layer in planes.solid.model.layers}


def test_a_click_moves_the_cross_hair_and_every_plane_goes_there(desk, planes):
    z, y, x = (float(value) for value in planes.cross_hair.point)
    step = desk.viewer.dims.range[0].step
    coronal = planes.panes["coronal"]
    press(desk, coronal, (z + 2 * step, y, x))
    assert desk.viewer.dims.point[0] == pytest.approx(z + 2 * step)
    assert planes.cross_hair.point == pytest.approx([z + 2 * step, y, x])
    across = desk.viewer.dims.range[2].step
    press(desk, planes.slices[0], (z, y, x + 3 * across))
    assert planes.panes["sagittal"].position == pytest.approx(x + 3 * across)
    assert planes.panes["coronal"].position == pytest.approx(y)


def test_moving_the_mouse_with_shift_held_moves_the_cross_hair(desk, planes):
    z, y, x = planes.cross_hair.point
    step = desk.viewer.dims.range[1].step
    desk.viewer.layers["annotation"].mode = "paint"
    view = planes.slices[0]
    where = view.on_screen(np.array([z, y + 4 * step, x]))
    event = type("Event", (), {"modifiers": ("Shift",), "is_dragging": False, "pos": where})()
    event.position = (z, y + 4 * step, x)
    for callback in desk.viewer.mouse_move_callbacks:
        callback(desk.viewer, event)
    settle(desk)
    assert planes.panes["coronal"].position == pytest.approx(y + 4 * step)
    assert not desk.viewer.layers["annotation"].data.any()


def test_scrolling_a_pane_moves_the_line_in_the_others(desk, planes):
    coronal = planes.panes["coronal"]
    before = planes.slices[0]._marks().lines[1].at
    coronal.model.dims.set_current_step(1, coronal.model.dims.current_step[1] + 3)
    settle(desk)
    step = desk.viewer.dims.range[1].step
    moved = planes.slices[0]._marks().lines[1].at - before
    assert moved == pytest.approx(3 * step * desk.viewer.scene.camera.zoom, rel=0.01)


def test_painting_in_a_pane_is_drawn_known_saved_shown_everywhere_and_undone(desk, planes, study_path):
    sagittal = planes.panes["sagittal"]
    before, known = case(desk).annotation.labels.copy(), drawn(desk)
    desk.viewer.layers["annotation"].mode = "paint"
    desk.viewer.layers["annotation"].brush_size = 5
    assert str(sagittal.model.layers["annotation"].mode) == "paint"
    press(desk, sagittal, planes.cross_hair.point)
    painted = int((case(desk).annotation.labels != before).sum())
    assert painted > 10
    assert drawn(desk) >= known + painted
    for view in planes.slices:
        layer = view.model.layers["annotation"]
        assert np.may_share_memory(layer.data, case(desk).annotation.labels)
        assert np.asarray(layer._slice.image.raw).any(), view.plane
    assert desk.session._desk.saving.flush()
    with Study.open(study_path) as copy:
        assert np.array_equal(copy.annotation("patient-03").labels, case(desk).annotation.labels)
    desk.viewer.layers["annotation"].undo()
    settle(desk)
    assert np.array_equal(case(desk).annotation.labels, before)
    assert not np.asarray(sagittal.model.layers["annotation"]._slice.image.raw).any()
    sagittal.model.layers["annotation"].redo()
    assert int((case(desk).annotation.labels != before).sum()) == painted


@pytest.mark.parametrize("painted", ["axial", "sagittal"])
def test_a_stroke_is_seen_in_every_plane_while_it_is_made(desk, planes, painted):
    views = {view.plane: view for view in planes.slices}
    view, layer, moved = views.pop(painted), desk.viewer.layers["annotation"], planes.cross_hair.point.copy()
    layer.mode, layer.brush_size = "paint", 5
    beside = (view.axis + 1) % 3
    moved[beside] += 4 * desk.viewer.dims.range[beside].step
    before = {name: colour_at(other, planes.cross_hair.point) for name, other in views.items()}
    canvas = view.marks.parentWidget()
    QTest.mouseMove(canvas, place_of(view, moved))
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=place_of(view, moved))
    QTest.mouseMove(canvas, place_of(view, planes.cross_hair.point))
    desk.wait(
        lambda: all(
            np.ptp(colour_at(views[name], planes.cross_hair.point) - before[name]) > 20 for name in views
        )
    )
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=place_of(view, planes.cross_hair.point))
    settle(desk)
    desk.session.labels.undo()
    settle(desk)
    for name, other in views.items():
        assert np.array_equal(colour_at(other, planes.cross_hair.point), before[name])


def test_the_tools_work_in_a_pane_with_the_mouse(desk, planes):
    coronal, layer = planes.panes["coronal"], desk.viewer.layers["annotation"]
    z, y, x = planes.cross_hair.point
    step = desk.viewer.dims.range[0].step
    layer.brush_size, layer.mode = 3, "polygon"
    corners = [(z + a * step, y, x + b * step) for a, b in ((-4, -4), (-4, 4), (4, 4), (4, -4))]
    for corner in corners:
        QTest.mouseMove(coronal.marks.parentWidget(), place_of(coronal, corner))
        press(desk, coronal, corner)
    QTest.mouseDClick(
        coronal.marks.parentWidget(), Qt.MouseButton.LeftButton, pos=place_of(coronal, corners[-1])
    )
    settle(desk)
    outlined = int((case(desk).annotation.labels == 1).sum())
    assert outlined > 30
    desk.session.structures.select(2)
    layer.mode = "fill"
    press(desk, coronal, planes.cross_hair.point)
    assert int((case(desk).annotation.labels == 2).sum()) == outlined
    desk.session.structures.select(1)
    layer.mode = "pick"
    press(desk, coronal, planes.cross_hair.point)
    assert desk.session.structures.active_value == 2
    layer.mode = "erase"
    press(desk, coronal, planes.cross_hair.point)
    assert 0 < int((case(desk).annotation.labels == 2).sum()) < outlined


WAYS = {
    "in place": lambda layer, box: (layer.data.__setitem__(box, 2), layer.refresh()),
    "data_setitem": lambda layer, box: layer.data_setitem(tuple(axis.ravel() for axis in np.mgrid[box]), 2),
    "batched": lambda layer, box: (
        layer.data_setitem(tuple(axis.ravel() for axis in np.mgrid[box]), 2, refresh=False),
        layer.refresh(),
    ),
    "fill": lambda layer, box: layer.fill([(part.start + part.stop) // 2 for part in box], 2),
    "polygon": lambda layer, box: layer.paint_polygon(
        [
            ((box[0].start + box[0].stop) // 2, row, column)
            for row, column in (
                (box[1].start, box[2].start),
                (box[1].start, box[2].stop),
                (box[1].stop, box[2].stop),
                (box[1].stop, box[2].start),
            )
        ],
        2,
    ),
    "another array": lambda layer, box: setattr(layer, "data", _with(layer.data, box)),
}


def _with(data, box):
    changed = data.copy()
    changed[box] = 2
    return changed


@pytest.mark.parametrize("way", WAYS)
def test_what_another_plugin_changes_is_seen_in_every_plane_saved_and_known(desk, planes, study_path, way):
    layer = desk.viewer.layers["annotation"]
    views = planes.slices
    before = [colour_at(view, planes.cross_hair.point) for view in views]
    middle = [round(mm / size) for mm, size in zip(planes.cross_hair.point, layer.scale, strict=True)]
    WAYS[way](layer, tuple(slice(index - 3, index + 4) for index in middle))
    settle(desk)
    for view, colour in zip(views, before, strict=True):
        assert np.ptp(colour_at(view, planes.cross_hair.point) - colour) > 20, view.plane
    assert desk.session._desk.saving.flush()
    changed = case(desk).annotation.labels == 2
    assert changed.sum() >= 49
    assert (case(desk).annotation.known[changed] == Known.DRAWN).all()
    with Study.open(study_path) as copy:
        saved = copy.annotation("patient-03")
    assert np.array_equal(saved.labels == 2, changed)
    assert (saved.known[changed] == Known.DRAWN).all()


def test_shown_once_more_every_plane_has_its_room(desk, planes):
    planes.hide()
    planes.show()
    settle(desk, 300)
    assert all(pane.marks.height() > 100 for pane in planes.panes.values())


def test_filling_in_a_pane_becomes_known_too(desk, planes):
    layer = planes.panes["coronal"].model.layers["annotation"]
    known = drawn(desk)
    layer.fill(planes.cross_hair.point / np.asarray(layer.scale), 2)
    settle(desk)
    filled = int((case(desk).annotation.labels == 2).sum())
    assert filled == layer.data.shape[0] * layer.data.shape[2]
    assert drawn(desk) == known + filled


def test_slice_complete_is_about_the_pane_one_works_in(desk, planes):
    coronal = planes.panes["coronal"]
    press(desk, coronal, planes.cross_hair.point)
    assert desk.session.labels.slice_state[1].startswith("Coronal")
    QTest.keyClick(coronal.marks.parentWidget(), Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    settle(desk)
    one = case(desk)
    axis, index = one.display.to_source(1, coronal.model.dims.current_step[1])
    assert one.annotation.slice_is_complete(axis, index)
    middle = one.display.to_source(0, desk.viewer.dims.current_step[0])
    assert not one.annotation.slice_is_complete(*middle)
    press(desk, planes.slices[0], planes.cross_hair.point)
    assert desk.session.labels.slice_state[1].startswith("Axial")


def test_the_undo_history_of_one_case_never_reaches_the_next(desk, planes):
    planes.panes["coronal"].model.layers["annotation"].paint((5, 12, 12), 1)
    desk.open("patient-04")
    settle(desk)
    before = case(desk).annotation.labels.copy()
    planes.panes["coronal"].model.layers["annotation"].undo()
    assert np.array_equal(case(desk).annotation.labels, before)


def test_cases_of_different_size_are_swapped_with_the_planes_shown(desk, planes):
    for name in ("patient-01", "patient-04", "patient-02", "patient-03"):
        desk.open(name)
        settle(desk)
        shape = desk.viewer.layers["scan"].data.shape
        seen = [layer.name for layer in desk.viewer.layers if layer.visible]
        for pane in planes.panes.values():
            assert [layer.name for layer in pane.model.layers if layer.visible] == seen
            assert all(layer.data.shape == shape for layer in pane.model.layers)
            assert pane.position == pytest.approx(planes.cross_hair.point[pane.axis])
        assert planes.cross_hair.point == pytest.approx(desk.viewer.dims.point)
        assert desk.session.labels.slice_state[1].startswith("Axial")


def test_another_plane_in_the_viewer_changes_places_with_the_pane(desk, planes):
    place = planes.cross_hair.point.copy()
    desk.session.views.show_plane("sagittal")
    settle(desk)
    assert list(planes.panes) == ["axial", "coronal"]
    assert desk.viewer.dims.point[2] == pytest.approx(place[2])
    assert planes.cross_hair.point == pytest.approx(place)


def test_layers_deleted_by_hand_go_and_come_in_every_plane(desk, planes):
    desk.viewer.layers.clear()
    assert not any(len(pane.model.layers) for pane in planes.panes.values())
    desk.session.cases.open("patient-03")
    settle(desk)
    names = ["scan", "entropy", "annotation", "prediction"]
    for pane in planes.panes.values():
        assert [layer.name for layer in pane.model.layers] == names
    planes.panes["coronal"].model.layers["annotation"].paint((5, 12, 12), 1)
    settle(desk)
    assert (case(desk).annotation.labels == 1).any()


def test_a_layer_is_copied_when_it_is_seen_for_the_first_time_and_lies_where_it_does(desk, planes):
    names = [layer.name for layer in desk.viewer.layers]
    assert not desk.viewer.layers["prediction"].visible
    for name in ("prediction", "entropy"):
        assert all(name not in pane.model.layers for pane in planes.panes.values())
        assert name not in planes.solid.model.layers
        desk.viewer.layers[name].visible = True
    for pane in planes.panes.values():
        copied = [layer.name for layer in pane.model.layers]
        assert {"prediction", "entropy"} <= set(copied)
        assert copied == [name for name in names if name in copied]
        assert pane.model.layers["prediction"].visible
        assert pane.model.layers.selection.active.name == desk.viewer.layers.selection.active.name
    desk.viewer.layers["prediction"].visible = False
    desk.viewer.layers["prediction"].visible = True
    assert all(len(pane.model.layers) == len(copied) for pane in planes.panes.values())
    assert "prediction" in planes.solid.model.layers


def test_hiding_leaves_nothing_behind(desk, planes, monkeypatch):
    made_at_rest = {"strokes", "preview"}
    desk.qtbot.waitUntil(lambda: made_at_rest <= {layer.name for layer in desk.viewer.layers}, timeout=30000)
    threads, names = threading.active_count(), [layer.name for layer in desk.viewer.layers]
    listeners = {
        name: len(desk.viewer.layers["annotation"].events[name].callbacks) for name in ("paint", "set_data")
    }
    for _ in range(3):
        planes.hide()
        settle(desk, 100)
        gc.collect()
        assert len(QtViewer._instances) == 1
        planes.show()
        settle(desk, 100)
    assert {
        name: len(desk.viewer.layers["annotation"].events[name].callbacks) for name in ("paint", "set_data")
    } == listeners
    planes.hide()
    settle(desk)
    assert threading.active_count() <= threads
    assert [layer.name for layer in desk.viewer.layers] == names
    desk.viewer.layers["annotation"].paint((5, 12, 12), 1)
    assert drawn(desk) > 0


def test_the_key_works_in_the_viewer_and_in_a_pane_and_the_dock_shows_it(desk):
    _, dock = desk.add_dock()
    desk.viewer.window.show()
    dock.header.planes_button.click()
    assert desk.session.views.planes_shown and dock.header.planes_button.isChecked()
    pane = desk.session.views._planes.panes["sagittal"]
    QTest.keyClick(pane.marks.parentWidget(), Qt.Key.Key_Q)
    assert not desk.session.views.planes_shown and not dock.header.planes_button.isChecked()


def test_closing_the_window_with_the_planes_shown(desk, planes):
    planes.panes["coronal"].model.layers["annotation"].paint((5, 12, 12), 1)
    desk.viewer.close()
    desk.wait(lambda: desk.session.study is None and not planes.shown)


PROGRAM = """
    import sys, napari
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication
    from napari_dycon.plugin.session import get_session
    viewer = napari.Viewer()
    session = get_session(viewer)
    session.open_study(sys.argv[1])
    session.cases.open("patient-03")
    state = {"ticks": 0}

    def tick():
        if session.cases.case_id != "patient-03":
            return
        state["ticks"] += 1
        if state["ticks"] == 1:
            session.views.toggle_planes()
        elif state["ticks"] == 10:
            session.views._planes.panes["coronal"].model.layers["annotation"].paint((5, 12, 12), 1)
        elif state["ticks"] == 11:
            {goodbye}

    timer = QTimer()
    timer.timeout.connect(tick)
    timer.start(50)
    napari.run(force=True)
    print("left the event loop")
"""


@pytest.mark.parametrize(
    "goodbye", ["QApplication.instance().quit()", "viewer.close()"], ids=["program", "window"]
)
def test_quitting_with_the_planes_shown(run_program, study_path, goodbye):
    done = run_program(PROGRAM.replace("{goodbye}", goodbye), study_path)
    assert done.returncode == 0, done.stderr
    assert "left the event loop" in done.stdout
    assert "Traceback" not in done.stderr
    with Study.open(study_path) as study:
        assert (study.annotation("patient-03").labels == 1).any()


def test_opening_the_planes_leaves_structure_tool_brush_and_slice(desk):
    session, layer = desk.session, desk.viewer.layers["annotation"]
    desk.viewer.window.show()
    session.structures.select(session.structures.all[-1].value)
    layer.mode, layer.brush_size = "erase", 7
    session.views.step_slice(3)
    hand = (
        session.structures.active_value,
        layer.selected_label,
        layer.mode,
        layer.brush_size,
        desk.viewer.dims.point,
    )
    for _ in range(2):
        session.views.toggle_planes()
        settle(desk)
        now = (
            session.structures.active_value,
            layer.selected_label,
            layer.mode,
            layer.brush_size,
            desk.viewer.dims.point,
        )
        assert now == hand


@pytest.mark.parametrize("case_id", ["patient-03", "patient-04"])
@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_the_next_place_is_what_every_plane_shows(desk, planes, case_id, plane):
    desk.wait(lambda: not desk.session._chores.busy)
    axis = {"axial": 2, "coronal": 1, "sagittal": 0}[plane]
    box = [(4, 8), (10, 14), (3, 7)]
    index = box[axis][0] + 1
    place = Suggestion(case_id, plane, axis, index, tuple(box), 1, "organ", 0.5, "")
    planes.cross_hair.use(planes.panes["coronal"])
    desk.session.suggestions.go_to(place)
    desk.wait(lambda: desk.session.cases.case_id == case_id)
    settle(desk)
    display, wanted = case(desk).display, [0.0, 0.0, 0.0]
    for source_axis, (first, last) in enumerate(box):
        middle = place.index if source_axis == axis else (first + last) // 2
        shown, index = display.to_display(source_axis, middle)
        wanted[shown] = index * display.scale[shown]
    for view in planes.slices:
        assert view.position == pytest.approx(wanted[view.axis]), view.plane
    assert desk.session._presenter.slices.current_slice() == (axis, place.index)


@pytest.mark.parametrize("role", ["scan", "annotation"])
def test_a_drag_with_the_tool_for_moving_layers_moves_none_in_any_plane(desk, planes, role):
    layer = desk.viewer.layers[role]
    desk.viewer.layers.selection.active = layer
    layer.mode = "transform"
    for view in planes.slices:
        view.model.layers[role].mode = "transform"
        canvas, start = view.marks.parentWidget(), place_of(view, planes.cross_hair.point)
        QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=start)
        QTest.mouseMove(canvas, start + QPoint(40, 30))
        QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=start + QPoint(40, 30))
        assert np.allclose(
            view.model.layers[role].extent.world, desk.viewer.layers["prediction"].extent.world
        )


def test_a_prediction_that_arrives_leaves_place_and_plane_in_use(desk, planes):
    pane = planes.panes["coronal"]
    planes.cross_hair.use(pane)
    planes.cross_hair.move_to((5.0, 9.0, 12.0))
    settle(desk)
    point = planes.cross_hair.point.copy()
    mask = np.ones(case(desk).volume.geometry.shape, np.uint8)
    desk.session.views.show_prediction(jobs.PredictionLoaded(desk.session.cases.case_id, mask, mask))
    settle(desk)
    assert np.array_equal(planes.cross_hair.point, point)
    assert planes.cross_hair.is_in_use(pane)
