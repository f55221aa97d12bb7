import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_dycon.plugin.actions import ACTIONS, GROUPS
from napari_dycon.plugin.keys.schemes import SCHEMES, key_text, keys_of
from napari_dycon.plugin.widgets.dockkeys import key_lines
from napari_dycon.plugin.widgets.keysheet import KeySheet

SPOKEN, GROUP = Qt.ItemDataRole.AccessibleTextRole, Qt.ItemDataRole.AccessibleDescriptionRole


@pytest.fixture
def sheet(qtbot, theme):
    sheet = KeySheet()
    qtbot.addWidget(sheet)
    sheet.set_theme(theme)
    sheet.set_schemes(tuple(SCHEMES.items()))
    sheet.set_keys("slicer", key_lines("slicer"))
    sheet.resize(360, 600)
    sheet.show()
    qtbot.waitExposed(sheet)
    sheet.activateWindow()
    return sheet


def spoken(sheet):
    """Return what a screen reader has to say of each row, a pair of cells."""
    model = sheet.list.model()
    return [
        tuple(model.index(row, column).data(SPOKEN) or "" for column in range(2))
        for row in range(model.rowCount())
    ]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_action_with_a_key_is_read_out_with_its_keys(sheet, scheme):
    sheet.set_keys(scheme, key_lines(scheme))
    told = spoken(sheet)
    for action in ACTIONS:
        if keys := keys_of(action, scheme):
            assert (action.title, ", ".join(map(key_text, keys))) in told
    headings = [title for title, keys in told if not keys]
    assert headings == [group for group in GROUPS if group in headings]
    assert len(told) == len(headings) + len(sheet.list.lines)
    assert sheet.list.model().index(1, 0).data(GROUP) == headings[0]


def test_a_search_leaves_the_headings_of_what_it_finds(sheet):
    QTest.keyClicks(sheet.search, "brush")
    assert {line.title for line in sheet.list.lines} == {
        "Brush",
        "Smaller brush",
        "Bigger brush",
        "Brush size",
    }
    assert [title for title, keys in spoken(sheet) if not keys] == ["Painting", "Mouse"]
    assert sheet.list.columnSpan(0, 0) == 2
    assert not sheet.nothing.isVisible()
    QTest.keyClicks(sheet.search, " of nothing")
    assert not sheet.list.lines
    assert sheet.nothing.isVisible()
    sheet.search.clear()
    assert sheet.list.columnSpan(1, 0) == 1


def test_what_is_found_is_copied_or_the_lines_chosen_of_it(qtbot, sheet):
    QTest.keyClicks(sheet.search, "undo")
    QTest.mouseClick(sheet.copy_button, Qt.MouseButton.LeftButton)
    assert QApplication.clipboard().text() == "Undo\tCtrl+Z, Z"
    sheet.search.setText("redo")
    QTest.keyClick(sheet.search, Qt.Key.Key_Down)
    qtbot.waitUntil(sheet.list.hasFocus)
    QTest.keyClick(sheet.list, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.clipboard().text() == "Redo\tCtrl+Y, Ctrl+Shift+Z, Y"


def test_a_heading_cannot_be_chosen_and_escape_leaves_the_table(qtbot, sheet):
    heading = sheet.list.visualRect(sheet.list.model().index(0, 0)).center()
    QTest.mouseClick(sheet.list.viewport(), Qt.MouseButton.LeftButton, pos=heading)
    assert not sheet.list.selectionModel().hasSelection()
    with qtbot.waitSignal(sheet.closed):
        QTest.keyClick(sheet.list, Qt.Key.Key_Escape)
