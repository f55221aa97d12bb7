"""The list of versions shows what the session says and asks; it takes the place of the list of cases."""

import pytest
from qtpy.QtCore import Qt

from napari_dycon.plugin.background.version_rows import CaseVersions, VersionRow
from napari_dycon.plugin.widgets.versions import VersionsPanel
from napari_dycon.study.store.schema import Structure

ROWS = (
    VersionRow(9, "14:03:22", "Painting", 1.0, "all of it"),
    VersionRow(4, "yesterday 23:59", "Accept prediction, 002-dycon", 0.5, "half of it"),
    VersionRow(1, "1 Feb 08:05", "Imported labels", 0.0, "<b>nothing</b>"),
)


def versions(chosen=9, damaged=()):
    return CaseVersions("b", "scan 2", ROWS, chosen, frozenset(damaged))


@pytest.fixture
def panel(qtbot, theme):
    one = VersionsPanel()
    qtbot.addWidget(one)
    one.set_theme(theme)
    one.set_versions(versions())
    one.show()
    return one


def texts(panel, place):
    return [panel.table.item(place, column).text() for column in range(3)]


def test_the_newest_version_is_chosen_and_cannot_be_restored(panel):
    assert panel.title.text() == f"Versions of {versions().case_name}"
    assert texts(panel, 0) == ["14:03:22", "Painting", "100 %"]
    assert panel.chosen == 9
    assert not panel.restore_button.isEnabled()
    assert "have now" in panel.state.text()


def test_a_chosen_row_is_asked_for_once(qtbot, panel):
    asked = []
    panel.look_requested.connect(asked.append)
    panel.table.selectRow(1)
    assert asked == [4]
    panel.set_versions(versions(chosen=4))
    assert asked == [4]
    assert panel.restore_button.isEnabled()
    assert "only to look at" in panel.state.text().lower()


def test_restore_names_the_chosen_version(qtbot, panel):
    panel.set_versions(versions(chosen=1))
    with qtbot.waitSignal(panel.restore_requested) as asked:
        panel.restore_button.click()
    assert asked.args == [1]


def test_a_damaged_version_says_so_and_cannot_be_chosen(qtbot, panel):
    panel.set_versions(versions(damaged=(4,)))
    assert texts(panel, 1)[1] == "Damaged"
    assert not panel.table.item(1, 0).flags() & Qt.ItemFlag.ItemIsSelectable
    assert texts(panel, 2)[1] == "Imported labels"


def test_where_nothing_may_be_changed_nothing_is_restored(panel):
    panel.set_versions(versions(chosen=1))
    panel.set_blocked("Only to look at.")
    assert not panel.restore_button.isEnabled()
    assert "Only to look at" in panel.restore_button.toolTip()


def test_escape_and_close_both_leave(qtbot, panel):
    with qtbot.waitSignal(panel.close_requested):
        qtbot.keyClick(panel.table, Qt.Key.Key_Escape)
    with qtbot.waitSignal(panel.close_requested):
        panel.close_button.click()


def test_text_of_files_is_not_read_as_markup(panel):
    assert "&lt;b&gt;" in panel.table.item(2, 0).toolTip()


# ---- in the dock ------------------------------------------------------------------------------------------


def test_the_list_takes_the_place_of_the_cases_and_nothing_moves(make_dock, session, rows, qtbot):
    session.open_with(rows)
    dock = make_dock()
    qtbot.wait(30)
    before = [panel.geometry() for panel in (dock.shelf, dock.structures, dock.tools, dock.training)]
    session.versions.shown = versions(chosen=4)
    session.cases.case_id = "b"
    session.versions.changed.emit()
    assert dock.shelf.versions.isVisible()
    assert not dock.cases.isVisible()
    qtbot.wait(10)
    assert [p.geometry() for p in (dock.shelf, dock.structures, dock.tools, dock.training)] == before
    assert not dock.structures.slice_button.isEnabled()
    assert "older version" in dock.structures.slice_button.toolTip()
    dock.shelf.versions.restore_button.click()
    dock.shelf.versions.close_button.click()
    assert ("versions.restore", 4) in session.asked
    assert any(asked[0] == "versions.close" for asked in session.asked)
    session.versions.shown = None
    session.versions.changed.emit()
    assert dock.cases.isVisible()
    assert dock.structures.slice_button.isEnabled()


def test_versions_are_reached_from_the_tools_and_from_the_list(make_dock, session, rows):
    session.open_with(rows)
    session.cases.case_id = rows[1].id
    dock = make_dock()
    action = next(action for action in dock.tools.more_menu.actions() if action.text() == "Versions…")
    action.trigger()
    dock.cases.view.selectRow(0)
    menu = dock.cases.menu.make()
    next(action for action in menu.actions() if action.text() == "Versions…").trigger()
    assert [asked for asked in session.asked if asked[0] == "versions.show"] == [
        ("versions.show",),
        ("versions.show", dock.cases.selected_cases()[0]),
    ]


# ---- the menu of a structure ------------------------------------------------------------------------------


def entries(menu):
    return {action.text(): action for action in menu.actions() if action.text()}


def test_the_menu_of_structures_is_in_sight_and_is_about_the_active_one(make_dock, session, rows):
    session.open_with(rows)
    session.structures.all = (
        *session.structures.all,
        Structure(value=5, name="A & B", color="#31a354"),
    )
    dock = make_dock()
    session.structures.changed.emit()
    assert dock.structures.edit_button.isVisible()
    dock.structures.menu.of_active.aboutToShow.emit()
    found = entries(dock.structures.menu.of_active)
    wanted = ["Rename “Left atrium”", "Colour…", "Locked", "Hidden", "Group", "Merge into", "Remove"]
    assert list(found) == wanted
    merge = entries(found["Merge into"].menu())
    assert list(merge) == ["“Appendage”", "“A && B”"]
    merge["“A && B”"].trigger()
    remove = entries(found["Remove"].menu())
    for action in remove.values():
        action.trigger()
    wanted = [("structures.merge", 1, 5), ("structures.remove", 1, False), ("structures.remove", 1, True)]
    assert session.asked[-3:] == wanted


def test_the_only_structure_is_neither_merged_nor_removed(make_dock, session, rows):
    session.open_with(rows)
    session.structures.all = session.structures.all[:1]
    dock = make_dock()
    dock.structures.menu.of_active.aboutToShow.emit()
    found = entries(dock.structures.menu.of_active)
    assert not found["Merge into"].isEnabled()
    assert not found["Remove"].isEnabled()
    found["Rename “Left atrium”"].trigger()
    assert dock.structures.chips.state() == dock.structures.chips.State.EditingState


def test_a_study_that_is_only_looked_at_has_no_menu_of_structures(make_dock, session, rows):
    session.open_with(rows, read_only=True)
    assert not make_dock().structures.edit_button.isEnabled()


@pytest.mark.parametrize("part", ["table", "restore_button", "close_button"])
def test_keys_go_on_in_the_list_of_cases_when_the_versions_are_left(qtbot, make_dock, session, rows, part):
    session.open_with(rows)
    dock = make_dock()
    dock.activateWindow()
    session.versions.shown = versions(chosen=4)
    session.versions.changed.emit()
    widget = getattr(dock.shelf.versions, part)
    widget.setFocus()
    qtbot.waitUntil(widget.hasFocus)
    session.versions.shown = None
    session.versions.changed.emit()
    qtbot.waitUntil(dock.cases.isVisible)
    assert dock.window().focusWidget() is dock.cases.view, "undo in the search would be about its text"
