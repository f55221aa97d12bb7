"""From an empty window to the first stroke, with real clicks on the real window."""

import nibabel as nib
import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLineEdit

from napari_dycon.plugin.session import get_session
from napari_dycon.plugin.widgets import doors
from napari_dycon.plugin.widgets.dialogs import StructuresDialog
from napari_dycon.plugin.widgets.dock import DyconDock
from napari_dycon.study.exchange import importing
from napari_dycon.study.study import Study

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton


class Newcomer:
    """Somebody with a folder of scans and a mouse, whose clicks are counted."""

    def __init__(self, qtbot, viewer):
        self.qtbot, self.viewer, self.session, self.clicks = qtbot, viewer, get_session(viewer), 0
        self.dock = DyconDock(viewer)
        viewer.window.add_dock_widget(self.dock, name="Study")
        viewer.window.resize(1300, 900)
        viewer.window.show()
        qtbot.wait(50)

    def wait(self, condition):
        self.qtbot.waitUntil(condition, timeout=30_000)

    def click(self, button):
        self.wait(lambda: button.isVisible() and button.isEnabled())
        QTest.mouseClick(button, LEFT)
        self.clicks += 1

    def name(self, *names):
        """Type names of structures, each with a line of its own, and press Enter."""
        dialog = self.dock.findChild(StructuresDialog)
        for number, name in enumerate(names):
            if number:
                self.click(dialog.another)
            QTest.keyClicks(dialog._fields[number], name)
        QTest.keyClick(dialog._fields[-1], Qt.Key.Key_Return)

    def stroke(self):
        """Drag over the middle of the canvas."""
        canvas = self.viewer.window._qt_window._qt_viewer.canvas.native
        middle = QPoint(canvas.width() // 2, canvas.height() // 2)
        QTest.mouseMove(canvas, middle)
        QTest.mousePress(canvas, LEFT, pos=middle)
        QTest.mouseMove(canvas, middle + QPoint(9, 0))
        self.qtbot.wait(50)
        QTest.mouseRelease(canvas, LEFT, pos=middle + QPoint(9, 0))
        self.clicks += 1

    @property
    def painted(self):
        return np.unique(self.viewer.layers["annotation"].data[self.viewer.layers["annotation"].data > 0])


@pytest.fixture
def newcomer(qtbot, make_napari_viewer):
    one = Newcomer(qtbot, make_napari_viewer())
    yield one
    one.session.close()


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    generator = np.random.default_rng(1)
    for number in (1, 2):
        voxels = generator.integers(0, 900, (48, 64, 16)).astype(np.int16)
        nib.save(nib.Nifti1Image(voxels, np.diag([1, 1, 3, 1])), folder / f"scan_{number}.nii.gz")
    return folder


@pytest.mark.parametrize("again", ["the scans' folder", "an empty folder", "the study's own folder"])
def test_the_first_stroke_takes_few_clicks_whatever_folder_is_chosen(newcomer, scans, monkeypatch, again):
    answers = {"the scans' folder": [scans], "an empty folder": [scans.parent / "new", scans]}.get(again)
    if answers is None:
        Study.create(scans / "dycon-study", []).close()
        answers = [scans / "dycon-study", scans]
    (scans.parent / "new").mkdir()
    queue = iter(answers)
    monkeypatch.setattr(doors, "ask_folder", lambda *_: next(queue))
    newcomer.click(newcomer.dock.empty.open_button)
    newcomer.clicks += 1  # the file dialog's own button
    if again != "the study's own folder":
        newcomer.name("liver", "tumour")
    if len(answers) > 1:
        newcomer.clicks += 2  # the menu and the file dialog
        newcomer.dock.header.add_menu.asked.emit("add_folder")
    newcomer.wait(
        lambda: newcomer.session.cases.case_id is not None and newcomer.session.tasks.state.kind == "idle"
    )
    newcomer.click(newcomer.dock.tools.paint_button)
    newcomer.stroke()
    newcomer.wait(lambda: newcomer.painted.tolist() == [1])
    assert newcomer.clicks <= 8
    assert len(newcomer.session.cases.list.rows()) == 2
    assert (scans / "study.json").exists() is False


def test_the_brush_paints_at_once_and_its_button_says_so(desk):
    _, dock = desk.add_dock()
    layer, button = desk.viewer.layers["annotation"], dock.tools.paint_button
    assert layer.mode == "pan_zoom" and not button.isChecked()
    QTest.mouseClick(button, LEFT)
    assert layer.mode == "paint" and button.isChecked()
    layer.mode = "erase"
    assert not button.isChecked()
    QTest.mouseClick(button, LEFT)
    QTest.mouseClick(button, LEFT)
    assert layer.mode == "pan_zoom" and not button.isChecked()


@pytest.mark.parametrize(
    ("tool", "then"), [("pan_zoom", "paint"), ("erase", "erase"), ("fill", "fill"), ("paint", "paint")]
)
def test_who_chooses_a_structure_with_the_hand_wants_to_paint_it(desk, tool, then):
    _, dock = desk.add_dock()
    layer = desk.viewer.layers["annotation"]
    layer.mode = tool
    chips = dock.structures.chips
    QTest.mouseClick(chips.viewport(), LEFT, pos=chips.visualItemRect(chips.item(0)).center())
    assert layer.mode == then


@pytest.mark.parametrize("side", [12, 40, 100, 512])
def test_the_first_brush_fits_the_scan(desk, tmp_path, side):
    study = Study.create(tmp_path / f"s{side}", [])
    nib.save(nib.Nifti1Image(np.zeros((side + 8, side, 4), np.int16), np.eye(4)), tmp_path / f"{side}.nii.gz")
    importing.add_scan(study, tmp_path / f"{side}.nii.gz")
    study.close()
    desk.session.open_study(tmp_path / f"s{side}")
    desk.wait(lambda: desk.session.cases.case_id == str(side))
    assert desk.viewer.layers["annotation"].brush_size == max(1, round(0.03 * side))


def test_a_brush_that_the_person_chose_stays_in_the_next_case_and_the_next_time(desk, study_path):
    layer = desk.viewer.layers["annotation"]
    layer.mode, layer.brush_size = "paint", 7
    desk.session.cases.list.logbook.touch()
    desk.open("patient-04")
    assert layer.brush_size == 7
    desk.session.save_now()
    desk.session.close()
    desk.session.open_study(study_path)
    desk.wait(lambda: desk.session.cases.case_id is not None)
    assert layer.brush_size == 7


@pytest.mark.parametrize("mode", ["paint", "fill", "polygon"])
def test_who_paints_before_there_is_a_structure_gets_one(newcomer, scans, tmp_path, mode):
    study = Study.create(tmp_path / "bare", [])
    importing.add_scan(study, scans / "scan_1.nii.gz")
    study.close()
    newcomer.session.open_study(tmp_path / "bare")
    newcomer.wait(lambda: newcomer.session.cases.case_id is not None)
    newcomer.viewer.layers["annotation"].mode = mode
    assert [one.name for one in newcomer.session.structures.all] == ["Structure 1"]
    assert newcomer.viewer.layers["annotation"].mode == mode
    if mode == "paint":
        newcomer.stroke()
        newcomer.wait(lambda: newcomer.painted.tolist() == [1])


def test_the_start_page_lists_the_studies_of_before(newcomer, study_path, qtbot):
    assert not newcomer.dock.empty.recent.isVisible()
    newcomer.session.open_study(study_path)
    newcomer.session.close()
    newcomer.dock.show_page()
    button = newcomer.dock.empty.recent.buttons[0]
    assert button.text() == study_path.name and str(study_path) in button.toolTip()
    newcomer.click(button)
    newcomer.wait(lambda: newcomer.session.study is not None)
    newcomer.session.close()
    newcomer.dock.show_page()
    newcomer.click(newcomer.dock.empty.recent.clear_button)
    assert not newcomer.dock.empty.recent.isVisible()


def test_after_scans_were_added_the_keys_go_through_slices_and_cases(newcomer, scans, monkeypatch):
    window = newcomer.viewer.window._qt_window
    window.activateWindow()
    monkeypatch.setattr(doors, "ask_folder", lambda *_: scans)
    newcomer.click(newcomer.dock.empty.open_button)
    newcomer.name("heart")
    newcomer.wait(lambda: newcomer.session.cases.case_id is not None)
    newcomer.wait(lambda: not newcomer.session.tasks.state.busy)
    assert not isinstance(window.focusWidget(), QLineEdit)
    newcomer.dock.cases.filter.search.setFocus()
    newcomer.dock.header.add_menu.asked.emit("add_folder")
    assert window.focusWidget() is newcomer.dock.cases.view
