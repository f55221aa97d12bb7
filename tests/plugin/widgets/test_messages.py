"""Messages leave when they are read, and none of another study stays."""

import pytest

from napari_dycon.plugin.widgets.messages import INFO_MS, MessageLine


@pytest.fixture
def line(qtbot, theme):
    one = MessageLine()
    qtbot.addWidget(one)
    one.set_theme(theme)
    one.show()
    return one


def test_a_note_leaves_after_a_while(line):
    line.show_message("info", "14 scans were added.")
    assert line._leave.isActive() and line._leave.interval() == INFO_MS
    line._leave.timeout.emit()
    assert line.text == ""


@pytest.mark.parametrize("level", ["warning", "error"])
def test_what_went_wrong_comes_back_after_a_note_and_stays_until_dismissed(line, level):
    line.show_message(level, "The disk is full.")
    line.show_message("info", "Undone: Paint.")
    line.show_message("info", "")
    assert line.text == "The disk is full."
    line._leave.timeout.emit()
    assert line.text == "The disk is full."
    line.dismiss()
    assert line.text == ""


def test_several_are_read_one_after_the_other_and_the_same_one_once(line):
    for text in ("first", "second", "first"):
        line.show_message("error", text)
    line.dismiss()
    assert line.text == "second"
    line.dismiss()
    assert line.text == ""


def test_no_message_crosses_to_another_study(make_dock, session, rows):
    session.open_with(rows)
    dock = make_dock()
    session.dialogue.message.emit("error", "The scan of a is gone.")
    session.open_with(rows)
    assert dock.messages.text == ""


def test_the_reason_of_a_place_is_whole_in_sight_and_gone_in_another_case(
    qtbot, make_dock, session, rows, place
):
    session.open_with(rows)
    session.cases.case_id = "a"
    dock = make_dock()
    dock.resize(380, 400)
    session.suggestions.places, session.suggestions.index = (
        [place("a", "organ edge unclear " * 8)],
        0,
    )
    session.suggestions.changed.emit()
    reason = dock.cards.reason
    qtbot.waitUntil(
        lambda: reason.isVisible() and reason.visibleRegion().boundingRect() == reason.rect(), timeout=5000
    )
    assert reason.height() >= reason.heightForWidth(reason.width())
    session.cases.case_id, session.suggestions.index = "b", -1
    session.cases.opened.emit("b")
    assert not reason.isVisible()


def test_what_decides_about_a_place_stays_in_sight_when_the_window_becomes_smaller(
    qtbot, make_dock, session, rows, place
):
    session.open_with(rows)
    session.cases.case_id = "a"
    dock = make_dock()
    dock.resize(380, 900)
    session.suggestions.places, session.suggestions.index = [place("a", "organ edge unclear")], 0
    session.suggestions.changed.emit()
    qtbot.wait(20)
    dock.resize(380, 620)
    button = dock.review.accept.button
    qtbot.waitUntil(lambda: button.visibleRegion().boundingRect() == button.rect(), timeout=5000)


def test_width_and_minutes_are_there_again(qtbot, make_dock, session, rows):
    session.open_with(rows)
    dock = make_dock()
    dock.resize(441, 700)
    dock.training.minutes.setValue(12.5)
    qtbot.mouseClick(dock.training.train_button, dock_left())
    qtbot.waitUntil(lambda: dock.sizeHint().width() == 441)
    session.study_changed.emit()
    assert dock.training.minutes.value() == 12.5
    again = make_dock()
    assert again.sizeHint().width() == 441
    assert again.training.minutes.value() == 12.5


def dock_left():
    from qtpy.QtCore import Qt

    return Qt.MouseButton.LeftButton


def test_that_labels_are_not_saved_is_forgotten_once_they_are(make_dock, session, rows):
    session.open_with(rows)
    dock = make_dock()
    for text in ("The labels of a are not saved yet: the disk is full.", "Another sentence."):
        session.dialogue.message.emit("error", text)
    session.labels.saved_changed.emit("The labels of a are not saved yet: the disk is full.", False)
    assert dock.header.saved.text() == "Not saved" and "disk is full" in dock.header.saved.toolTip()
    session.labels.saved_changed.emit("Saved 1:02:03", True)
    dock.messages.dismiss()
    assert dock.messages.text == ""
