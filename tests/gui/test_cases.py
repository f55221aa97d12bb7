"""A person works through the list in a real window, leaves, and goes on where it was left."""

import pytest
from napari.layers.labels._labels_constants import Mode
from qtpy.QtCore import Qt

from napari_dycon.plugin.session import get_session
from napari_dycon.plugin.widgets.case_table import NAME

pytestmark = pytest.mark.gui


def click_case(desk, panel, case):
    place = panel.shown_cases().index(case)
    index = panel.proxy.index(place, NAME)
    panel.view.scrollTo(index)
    desk.qtbot.mouseClick(
        panel.view.viewport(), Qt.MouseButton.LeftButton, pos=panel.view.visualRect(index).center()
    )
    desk.wait(lambda: desk.session.cases.case_id == case)


def test_one_goes_on_where_one_left_in_case_slice_zoom_and_tool(desk, make_napari_viewer, study_path):
    desk.viewer.window.show()
    _, dock = desk.add_dock()
    desk.qtbot.waitUntil(lambda: dock.cases.view.isVisible(), timeout=30_000)
    click_case(desk, dock.cases, "patient-01")
    layer = desk.viewer.layers["annotation"]
    layer.mode, layer.brush_size = "paint", 6
    desk.qtbot.keyClicks(dock.cases.line.note, "cough")
    desk.qtbot.keyClick(dock.cases.line.note, Qt.Key.Key_Return)
    desk.qtbot.mouseClick(dock.cases.line.flag, Qt.MouseButton.LeftButton)
    desk.qtbot.mouseClick(dock.cases.line.next, Qt.MouseButton.LeftButton)
    desk.wait(lambda: desk.session.cases.case_id == "patient-02")
    assert layer.mode == Mode.PAINT, "the brush stays in the hand"
    desk.session.views.show_plane("coronal")
    desk.viewer.dims.set_point(1, 9 * layer.scale[1])
    desk.viewer.scene.camera.zoom = 7.5
    here = desk.session._presenter.slices.current_slice()
    layer.paint((4, 9, 9), 1)
    desk.viewer.close()
    desk.wait(lambda: desk.session.study is None)

    viewer = make_napari_viewer()
    viewer.window.show()
    session = get_session(viewer)
    session.open_study(study_path)
    desk.wait(lambda: session.cases.case_id is not None)
    desk.qtbot.wait(200)
    again = viewer.layers["annotation"]
    assert session.cases.case_id == "patient-02"
    assert session._presenter.slices.current_slice() == here
    assert session._presenter.slices.plane_on_screen()[0] == "coronal"
    assert viewer.scene.camera.zoom == pytest.approx(7.5)
    assert (again.mode, again.brush_size) == (Mode.PAINT, 6)
    assert again.data[4, 9, 9] == 1
    row = next(row for row in session.cases.list.rows() if row.id == "patient-01")
    assert (row.note, row.flagged) == ("cough", True)
    assert row.seconds > 0
    session.close()
