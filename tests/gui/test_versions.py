"""Versions and structures in the real window: looked at, restored, undone, merged, removed, opened again."""

import numpy as np
import pytest

from napari_dycon.plugin import actions
from napari_dycon.study.study import Study

pytestmark = pytest.mark.gui

CASE, OTHER = "patient-03", "patient-04"


@pytest.fixture
def dock(desk):
    return desk.add_dock()[1]


def rest(desk):
    desk.wait(lambda: not (desk.session.tasks.state.busy or desk.session._loads.busy))


def annotation(desk):
    return desk.viewer.layers["annotation"]


def paint(desk, centre, value):
    annotation(desk).brush_size = 5
    annotation(desk).paint(centre, value)


def list_versions(desk, dock):
    next(a for a in dock.tools.more_menu.actions() if a.text() == "Versions…").trigger()
    desk.wait(lambda: desk.session.versions.shown is not None)
    rest(desk)
    return dock.shelf.versions


def press(desk, button):
    desk.wait(button.isEnabled)
    button.click()


def answer(desk, dock, key):
    desk.wait(lambda: desk.session.dialogue.question is not None)
    rest(desk)
    dock.tools.strip.buttons[key].click()
    rest(desk)
    desk.wait(lambda: desk.session.cases.case_id == CASE)
    rest(desk)


def test_an_older_version_is_looked_at_restored_and_the_restoring_undone(desk, dock):
    values = [structure.value for structure in desk.session.structures.all]
    paint(desk, (5, 12, 12), values[0])
    desk.session.save_now()
    press(desk, dock.structures.case_button)
    rest(desk)
    desk.session.save_now()
    paint(desk, (5, 20, 20), values[1])
    annotation(desk).mode = "paint"
    mine = annotation(desk).data.copy()

    panel = list_versions(desk, dock)
    assert panel.isVisibleTo(dock)
    assert panel.table.rowCount() == 3
    panel.table.selectRow(2)
    desk.wait(lambda: not annotation(desk).visible)
    older = desk.viewer.layers["older version"]
    assert set(np.unique(older.data)) == {0, values[0]}
    older.mode = annotation(desk).mode = "paint"
    assert (older.mode, annotation(desk).mode) == ("pan_zoom", "pan_zoom")
    desk.viewer.dims.ndisplay = 3
    desk.viewer.dims.ndisplay = 2
    assert not older.editable
    assert np.array_equal(annotation(desk).data, mine)

    press(desk, panel.restore_button)
    desk.wait(lambda: desk.session.versions.shown is None)
    assert dock.cases.isVisibleTo(dock)
    assert np.array_equal(annotation(desk).data, np.where(mine == values[0], mine, 0))
    assert annotation(desk).mode == "paint"
    desk.session.labels.undo()
    desk.wait(lambda: np.array_equal(annotation(desk).data, mine))
    rest(desk)
    desk.session.save_now()
    with Study.open(desk.session.study.path, read_only=True) as study:
        assert study.case(CASE).status == "complete"
        display = desk.session._desk.case.display
        assert np.array_equal(display.apply(study.annotation(CASE).labels), mine)


def test_what_is_said_about_the_labels_is_gone_or_put_right_once_they_change(desk, dock):
    line = dock.messages
    for centre in ((5, 12, 12), (5, 20, 20)):
        paint(desk, centre, 1)
        desk.session.save_now()
    panel = list_versions(desk, dock)
    panel.table.selectRow(1)
    press(desk, panel.restore_button)
    desk.wait(lambda: "Undo takes it back" in line.text)
    press(desk, dock.tools.undo_button)
    desk.wait(lambda: "Undo takes it back" not in line.text)
    assert line.text.startswith("Undone: Restore the version of")
    press(desk, dock.tools.redo_button)
    desk.wait(lambda: line.text.startswith("Done again: Restore the version of"))
    paint(desk, (5, 16, 16), 1)
    assert line.text == ""
    desk.session.dialogue.say("warning", "The disk is nearly full.")
    paint(desk, (5, 24, 16), 1)
    assert line.text == "The disk is nearly full."


def test_while_an_older_version_is_on_screen_no_control_changes_anything_and_each_says_why(desk, dock):
    session = desk.session
    for centre in ((5, 12, 12), (5, 20, 20)):
        paint(desk, centre, 1)
        session.save_now()
    session.views.toggle_known_map()
    panel, mine = list_versions(desk, dock), annotation(desk).data.copy()
    panel.table.selectRow(1)
    desk.wait(lambda: not annotation(desk).visible)
    tools, structures, review = dock.tools, dock.structures, dock.review
    for button in (
        *(tools.undo_button, tools.redo_button, tools.paint_button, tools.range_button),
        *(
            tools.grow_button,
            tools.interpolate_button,
            tools.cleanup_button,
            tools.region_button,
            tools.known_button,
        ),
        *(structures.slice_button, structures.case_button, review.accept.button, review.reject.button),
    ):
        assert not button.isEnabled()
        assert actions.OLDER in button.toolTip()
    session.labels.undo()
    assert np.array_equal(annotation(desk).data, mine)
    assert not desk.viewer.layers["known map"].visible, "it is about other labels than those on screen"
    for visible in (False, True):
        session.views.toggle_annotation()
        assert desk.viewer.layers["older version"].visible is visible
        assert not annotation(desk).visible
    session.versions.close()
    assert annotation(desk).visible and desk.viewer.layers["known map"].visible
    assert tools.undo_button.isEnabled() and tools.known_button.isEnabled()


def test_structures_merged_and_removed_leave_everything_else_as_it_was(desk, dock, study_path):
    first, second = (structure.value for structure in desk.session.structures.all[:2])
    desk.session.structures.add("vein")
    third = desk.session.structures.active_value
    paint(desk, (5, 8, 8), first)
    paint(desk, (9, 20, 20), second)
    paint(desk, (13, 12, 12), third)
    display = desk.session._desk.case.display
    desk.session.save_now()
    before = {case.id: desk.session.study.annotation(case.id) for case in desk.session.study.cases}

    dock.structures.menu.merge_requested.emit(second, first)
    answer(desk, dock, "change")
    dock.structures.menu.remove_requested.emit(third, False)
    answer(desk, dock, "change")
    assert [structure.value for structure in desk.session.structures.all] == [first]
    assert dock.structures.chips.count() == 1
    assert set(np.unique(annotation(desk).data)) == {0, first}
    paint(desk, (16, 25, 25), first)
    painted = display.apply(desk.session._desk.case.annotation.labels)[16].copy()
    assert painted.any()
    panel = list_versions(desk, dock)
    panel.table.selectRow(panel.table.rowCount() - 1)
    desk.wait(lambda: not annotation(desk).visible)
    assert set(np.unique(desk.viewer.layers["older version"].data)) <= {0, first}
    desk.session.close()

    with Study.open(study_path) as study:
        assert [structure.value for structure in study.structures] == [first]
        for case, old in before.items():
            now = study.annotation(case)
            gone = old.labels == third
            kept = ~gone & (old.known > 0)
            assert np.array_equal(now.labels[kept], np.where(old.labels == second, first, old.labels)[kept])
            assert np.array_equal(now.known[kept], old.known[kept])
            if case == CASE:
                assert np.array_equal(display.apply(now.labels)[16], painted)
            assert not now.labels[gone].any()
            assert not now.known[gone].any()
