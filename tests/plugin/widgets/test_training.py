import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QStyle, QStyleOptionComboBox

from napari_dycon.plugin.widgets.training import FIELD_MARGIN, TrainingPanel, duration

METHODS = [("supervised", "Supervised: labelled voxels only"), ("dycon", "DyCON: learns from all")]


@pytest.fixture
def panel(qtbot, theme):
    panel = TrainingPanel()
    qtbot.addWidget(panel)
    panel.set_theme(theme)
    panel.set_methods(METHODS, "dycon")
    panel.set_task("idle", "running", None, None, "")
    panel.resize(360, 220)
    panel.show()
    qtbot.waitExposed(panel)
    return panel


def press(qtbot, button):
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_train_hands_over_method_and_minutes(qtbot, panel):
    panel.minutes.setValue(2.5)
    with qtbot.waitSignal(panel.train_requested) as asked:
        press(qtbot, panel.train_button)
    assert asked.args == ["dycon", 2.5, False]


def test_a_control_is_asked_for_by_a_tick(qtbot, panel):
    panel.control.setChecked(True)
    with qtbot.waitSignal(panel.train_requested) as asked:
        press(qtbot, panel.train_button)
    assert asked.args[2] is True and "what the unlabelled scans bring" in panel.control.toolTip()


def test_methods_read_again_keep_the_choice(panel):
    panel.method.setCurrentIndex(0)
    panel.set_methods(METHODS, "dycon")
    assert panel.method.currentData() == "supervised"


@pytest.mark.parametrize(
    "title", ["DyCON: learns from all", "Dual network: two", "DyCON as published: to compare"]
)
def test_the_method_can_be_read_in_the_narrowest_dock_that_scrolls(qtbot, make_dock, session, rows, title):
    session.open_with(rows)
    dock = make_dock()
    dock.resize(360, 500)
    dock.training.set_methods([("one", title)], "one")
    qtbot.wait(50)
    assert dock._scroll.verticalScrollBar().isVisible()
    box = dock.training.method
    option = QStyleOptionComboBox()
    box.initStyleOption(option)
    field = box.style().subControlRect(
        QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, box
    )
    assert box.fontMetrics().horizontalAdvance(title.split(":")[0]) <= field.width() - FIELD_MARGIN
    assert dock.training.control.isVisible()
    assert dock.work.width() <= dock._scroll.viewport().width(), "nothing is cut off at the right"


def test_running_shows_pause_stop_and_time_left_in_place_of_train(qtbot, panel):
    height = panel.sizeHint().height()
    panel.set_task("training", "running", 0.42, 192.0, "Iteration 812")
    assert not panel.train_button.isVisible()
    assert not panel.method.isVisible()
    assert panel.time_left.text() == "3:12 left"
    assert panel.progress.share == 0.42
    assert panel.sizeHint().height() == height, "nothing jumps"
    with qtbot.waitSignal(panel.pause_requested):
        press(qtbot, panel.pause_button)
    with qtbot.waitSignal(panel.stop_requested):
        press(qtbot, panel.stop_button)


def test_paused_offers_resume(qtbot, panel):
    panel.set_task("training", "paused", 0.42, None, "Iteration 812")
    assert panel.pause_button.text() == "Resume"
    assert panel.time_left.text() == "Paused · 42 % done"
    with qtbot.waitSignal(panel.resume_requested), qtbot.assertNotEmitted(panel.pause_requested):
        press(qtbot, panel.pause_button)


def test_stopping_cannot_be_pressed_twice_and_says_so(qtbot, panel):
    panel.set_task("training", "stopping", 0.42, None, "")
    assert not panel.stop_button.isEnabled()
    assert "wait" in panel.stop_button.toolTip()


def test_predicting_leaves_train_within_reach(panel):
    panel.set_task("predicting", "running", 0.1, None, "Predicting case 2 of 24")
    assert (panel.title.text(), panel.status.text()) == ("Predicting", "case 2 of 24")
    assert panel.train_button.isVisible()
    assert panel.stop_button.isVisible()
    assert not panel.pause_button.isVisible()


def test_back_to_idle_clears_the_progress(panel):
    panel.set_task("training", "running", 0.9, 3.0, "")
    panel.set_task("idle", "running", None, None, "")
    assert panel.progress.share is None
    assert panel.title.text() == "Train"
    assert panel.method.isVisible()


def test_blocked_says_why(panel):
    panel.set_blocked("Nothing is labelled yet.")
    assert not panel.train_button.isEnabled()
    assert "Nothing is labelled yet." in panel.train_button.toolTip()


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (192, "3:12"), (3792, "1:03:12")])
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_minutes_show_no_needless_decimals(panel):
    panel.minutes.setValue(5)
    assert panel.minutes.text() == "5 min"
    panel.minutes.setValue(0.5)
    assert panel.minutes.text() == "0.5 min"


@pytest.mark.parametrize(
    ("typed", "minutes", "text"),
    [
        ("7.5", 7.5, "7.5 min"),
        ("12,5 min", 12.5, "12.5 min"),
        ("0.01", 0.5, "0.5 min"),
        ("9999", 720.0, "720 min"),
        ("soon", 5.0, "5 min"),
        ("nan", 5.0, "5 min"),
        ("Until stopped", None, "until stopped"),
    ],
)
def test_a_length_may_be_typed(qtbot, panel, typed, minutes, text):
    panel.minutes.setValue(5.0)
    edit = panel.minutes.lineEdit()
    edit.selectAll()
    qtbot.keyClicks(edit, typed)
    assert panel.minutes.value() == minutes, "what is being typed counts"
    with qtbot.waitSignal(panel.minutes.changed):
        qtbot.keyClick(edit, Qt.Key.Key_Return)
    assert (panel.minutes.value(), panel.minutes.text()) == (minutes, text)


def test_until_stopped_is_chosen_from_the_list_and_needs_no_control(qtbot, panel):
    panel.control.setChecked(True)
    panel.minutes.setCurrentIndex(panel.minutes.count() - 1)
    assert panel.minutes.text() == "until stopped" and not panel.control.isEnabled()
    assert "one that has an end" in panel.control.toolTip()
    with qtbot.waitSignal(panel.train_requested) as asked:
        press(qtbot, panel.train_button)
    assert asked.args == ["dycon", None, False]
    panel.minutes.setValue(2.0)
    assert panel.control.isEnabled()


def test_a_training_without_an_end_shows_no_share_but_what_it_has_done(panel):
    height = panel.sizeHint().height()
    panel.set_task("training", "running", None, None, "Run 001-dycon on cpu")
    assert panel.time_left.text() == "Preparing…"
    panel.set_task("training", "running", None, None, "Iteration 812, 7.4 a second · 14 slices", 192.0)
    assert panel.time_left.text() == "3:12"
    panel.set_task(
        "training", "running", None, None, "Iteration 812, 7.4 a second · 14 slices", 192.0, 0.8125
    )
    assert panel.time_left.text() == "3:12 · Dice 0.81" and not panel.progress.share
    panel.set_task("training", "paused", None, None, "", 192.0, 0.8125)
    assert panel.time_left.text() == "Paused · 3:12 · Dice 0.81"
    assert panel.sizeHint().height() == height, "nothing jumps"


def test_the_settings_are_a_small_button_that_says_what_was_set(qtbot, panel):
    assert panel.settings_button.text() == ""
    with qtbot.waitSignal(panel.settings_requested):
        press(qtbot, panel.settings_button)
    panel.set_changes(["learning_rate = 0.01", "start = 0.5"])
    assert panel.settings_button.text().strip() == "2 set"
    assert "learning_rate = 0.01" in panel.settings_button.toolTip()
    panel.set_changes([])
    assert panel.settings_button.text() == ""
