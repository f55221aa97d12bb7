import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QColorDialog, QInputDialog, QLineEdit

from napari_dycon.plugin.widgets.chips import mark_rect
from napari_dycon.plugin.widgets.structures import StructuresPanel
from napari_dycon.study.store.schema import Structure

ATRIUM = Structure(value=1, name="Left atrium", color="#e6550d")
EVIL = Structure(value=7, name="<b>x</b>", color="#3182bd")


@pytest.fixture
def panel(qtbot, theme):
    panel = StructuresPanel()
    qtbot.addWidget(panel)
    panel.set_theme(theme)
    panel.set_structures([ATRIUM, EVIL], 1)
    panel.resize(360, 120)
    panel.show()
    qtbot.waitExposed(panel)
    return panel


def chip(panel, place):
    return panel.chips.visualItemRect(panel.chips.item(place))


def test_a_click_on_a_chip_chooses_the_structure(qtbot, panel):
    with qtbot.waitSignal(panel.select_requested) as chosen:
        qtbot.mouseClick(panel.chips.viewport(), Qt.MouseButton.LeftButton, pos=chip(panel, 1).center())
    assert chosen.args == [7]


def test_double_click_on_the_name_renames(qtbot, panel):
    where = chip(panel, 0).center()
    qtbot.mouseClick(panel.chips.viewport(), Qt.MouseButton.LeftButton, pos=where)
    qtbot.mouseDClick(panel.chips.viewport(), Qt.MouseButton.LeftButton, pos=where)
    editor = panel.chips.findChild(QLineEdit)
    editor.setText(" atrium ")
    with qtbot.waitSignal(panel.rename_requested) as renamed:
        qtbot.keyClick(editor, Qt.Key.Key_Return)
    assert renamed.args == [1, "atrium"]
    assert panel.chips.item(0).text() == "Left atrium", "the chip waits for the study"


def test_double_click_on_the_swatch_asks_for_a_colour(qtbot, panel):
    where = chip(panel, 1).topLeft() + QPoint(10, 12)
    qtbot.mouseDClick(panel.chips.viewport(), Qt.MouseButton.LeftButton, pos=where)
    dialog = panel.findChild(QColorDialog)
    assert dialog.currentColor().name() == "#3182bd"
    with qtbot.waitSignal(panel.menu.recolour_requested) as asked:
        dialog.accept()
    assert asked.args == [7, "#3182bd"]


def test_add_takes_a_name_and_enter(qtbot, panel):
    qtbot.mouseClick(panel.add_button, Qt.MouseButton.LeftButton)
    qtbot.keyClicks(panel.new_name, "Mitral valve")
    with qtbot.waitSignal(panel.add_requested) as added:
        qtbot.keyClick(panel.new_name, Qt.Key.Key_Return)
    assert added.args == ["Mitral valve"]


def test_an_empty_name_adds_nothing(qtbot, panel):
    qtbot.mouseClick(panel.add_button, Qt.MouseButton.LeftButton)
    with qtbot.assertNotEmitted(panel.add_requested):
        qtbot.keyClick(panel.new_name, Qt.Key.Key_Return)


def test_slice_complete_shows_what_the_session_says_not_the_click(qtbot, panel):
    panel.set_slice_state(False, "axial slice 3 of 80")
    with qtbot.waitSignal(panel.slice_complete_requested):
        qtbot.mouseClick(panel.slice_button, Qt.MouseButton.LeftButton)
    assert not panel.slice_button.isChecked()
    panel.set_slice_state(True, "axial slice 3 of 80")
    assert panel.slice_button.isChecked()
    assert panel.plane_button.text() == "axial slice 3 of 80"


def test_case_complete_is_asked_for(qtbot, panel):
    with qtbot.waitSignal(panel.case_complete_requested):
        qtbot.mouseClick(panel.case_button, Qt.MouseButton.LeftButton)


def test_another_plane_is_one_menu_away(qtbot, panel):
    with qtbot.waitSignal(panel.plane_menu.asked) as asked:
        panel.plane_button.menu().actions()[1].trigger()
    assert asked.args == ["plane_coronal"]


def test_blocked_buttons_say_why(qtbot, panel):
    panel.set_blocked("Read only.", "Open a case first.")
    assert not panel.add_button.isEnabled()
    assert "Read only." in panel.add_button.toolTip()
    assert "Open a case first." in panel.slice_button.toolTip()
    qtbot.mouseDClick(panel.chips.viewport(), Qt.MouseButton.LeftButton, pos=chip(panel, 0).center())
    assert panel.chips.findChild(QLineEdit) is None
    panel.set_blocked("", "")
    assert panel.case_button.isEnabled()
    assert "Open a case first." not in panel.case_button.toolTip()


def test_many_structures_take_three_rows_and_scroll(qtbot, panel):
    one_row = panel.chips.height()
    panel.set_structures(
        [Structure(value=v, name=f"Structure {v}", color="#777777") for v in range(1, 30)], 1
    )
    assert one_row < panel.chips.height() <= 3 * one_row
    assert panel.chips.verticalScrollBar().maximum() > 0


def test_markup_in_a_name_is_shown_as_it_is(panel):
    assert "&lt;b&gt;x&lt;/b&gt;" in panel.chips.item(1).toolTip()


def listed(panel):
    return [panel.chips.item(place).text() for place in range(panel.chips.count())]


@pytest.fixture
def grouped(panel):
    """An atrium that is locked and hidden, and one of the two others in a group."""
    atrium = ATRIUM.model_copy(update={"locked": True, "hidden": True})
    vein = Structure(value=9, name="Vein", color="#17a25d", group="Vessels")
    panel.set_structures([atrium, EVIL, vein], 1)
    return panel


@pytest.mark.parametrize(("place", "mark"), [(0, "locked"), (1, "hidden")])
def test_a_click_on_a_mark_ends_it_and_chooses_nothing(qtbot, grouped, place, mark):
    where = mark_rect(chip(grouped, 0), 2, place).center()
    with (
        qtbot.waitSignal(grouped.menu.change_requested) as asked,
        qtbot.assertNotEmitted(grouped.select_requested),
    ):
        qtbot.mouseClick(grouped.chips.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert asked.args == [[1], mark, False]
    assert "label 1, locked, hidden" in grouped.chips.item(0).toolTip()


def test_a_group_is_folded_by_its_name_and_opened_by_what_is_sought_in_it(qtbot, grouped):
    assert listed(grouped) == ["Left atrium", "<b>x</b>", "Vessels", "Vein"]
    with qtbot.assertNotEmitted(grouped.select_requested):
        qtbot.mouseClick(grouped.chips.viewport(), Qt.MouseButton.LeftButton, pos=chip(grouped, 2).center())
    assert listed(grouped) == ["Left atrium", "<b>x</b>", "Vessels (1)"]
    grouped.set_structures(list(grouped.chips.structures.values()), 9)
    assert listed(grouped)[-1] == "Vein", "what is painted is seen"
    grouped.set_structures(list(grouped.chips.structures.values()), 1)
    assert grouped.chips.item_of(9).text() == "Vein"


def test_the_menu_locks_hides_and_groups(qtbot, grouped):
    menu = grouped.menu.of_pointed
    menu.show_structure(7, grouped.chips.structures, grouped.chips.groups)
    assert not menu.entry("lock_structure").isChecked()
    with qtbot.waitSignal(grouped.menu.change_requested) as asked:
        menu.entry("lock_structure").trigger()
    assert asked.args == [[7], "locked", True]
    with qtbot.waitSignal(grouped.menu.change_requested) as asked:
        menu.entry("hide_structure").trigger()
    assert asked.args == [[7], "hidden", True]
    none, vessels, new = menu.group.actions()
    assert none.isChecked() and vessels.text() == "Vessels"
    with qtbot.waitSignal(grouped.menu.change_requested) as asked:
        vessels.trigger()
    assert asked.args == [[7], "group", "Vessels"]
    new.trigger()
    dialog = grouped.findChild(QInputDialog)
    dialog.setTextValue(" Heart ")
    with qtbot.waitSignal(grouped.menu.change_requested) as asked:
        dialog.accept()
    assert asked.args == [[7], "group", "Heart"]


def test_a_whole_group_is_locked_or_unlocked(qtbot, grouped):
    menu = grouped.menu.of_group
    menu.show_group("Vessels", grouped.chips.members("Vessels"))
    with qtbot.waitSignal(grouped.menu.change_requested) as asked:
        menu.entry("lock_group").trigger()
    assert asked.args == [[9], "locked", True]
