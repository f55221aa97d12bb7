import gc
import time
from dataclasses import replace
from pathlib import Path

import pytest
from napari.utils._proxies import PublicOnlyProxy
from qtpy.QtCore import QMimeData, QPoint, QPointF, QSize, Qt, QUrl
from qtpy.QtGui import QColor, QCursor, QDropEvent, QIcon
from qtpy.QtWidgets import QLabel

from napari_dycon.plugin import actions
from napari_dycon.plugin.background.task_state import TaskState
from napari_dycon.plugin.widgets import doors
from napari_dycon.plugin.widgets.dialogs import StructuresDialog
from napari_dycon.plugin.widgets.dock import DyconDock
from napari_dycon.plugin.widgets.theme import Theme
from napari_dycon.study.store.removing import RemovedCase

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def dock(make_dock, session, rows):
    session.open_with(rows)
    session.cases.case_id = "b"
    session.cases.has_prediction = True
    session.study.active_run = "001-dycon"
    return make_dock()


def test_without_a_study_it_invites(make_dock, session):
    dock = make_dock()
    assert dock.empty.isVisible()
    assert not dock.cases.isVisible() and not dock.cards.isVisible()


def test_opening_a_study_shows_it(make_dock, session, rows):
    dock = make_dock()
    session.open_with(rows)
    assert dock.cases.isVisible()
    assert dock.header.name.text() == "Left atrium"
    assert dock.cases.proxy.rowCount() == 3
    assert dock.structures.chips.count() == 2


def test_everything_fits_380_by_700_without_a_scroll_bar(qtbot, dock, session):
    session.tasks.state = TaskState("training", "running", 0.5, 100.0, "Iteration 1234, 7.4 a second")
    session.dialogue.message.emit("error", "A long sentence. " * 20)
    session.labels.slice_state_changed.emit(True, "sagittal slice 134 of 288")
    session.tasks.changed.emit(session.tasks.state)
    dock.resize(380, 700)
    qtbot.wait(50)
    assert dock.sizeHint().width() == 380
    assert dock.work.minimumSizeHint().width() <= 380
    assert dock.work.minimumSizeHint().height() <= dock.work.parentWidget().height()
    assert dock._scroll.verticalScrollBar().maximum() == 0
    assert dock._scroll.horizontalScrollBar().maximum() == 0


def test_nothing_is_cut_off_at_380_by_700(qtbot, dock):
    dock.resize(380, 700)
    qtbot.wait(50)
    for panel in (dock.header, dock.cases, dock.structures, dock.training, dock.review):
        assert panel.height() >= panel.minimumSizeHint().height()
        assert panel.width() >= panel.minimumSizeHint().width()
        for label in panel.findChildren(QLabel):
            assert not label.isVisible() or label.visibleRegion().boundingRect() == label.rect()


def test_a_small_window_scrolls_instead_of_squeezing(qtbot, dock):
    dock.resize(380, 450)
    qtbot.wait(50)
    assert dock._scroll.verticalScrollBar().maximum() > 0
    assert dock._scroll.horizontalScrollBar().maximum() == 0


@pytest.mark.parametrize(
    ("press", "asked"),
    [
        (lambda dock: dock.structures.slice_button, ("labels.toggle_slice_complete",)),
        (lambda dock: dock.structures.case_button, ("labels.toggle_case_complete",)),
        (lambda dock: dock.training.train_button, ("training.train", "dycon", 5.0, False)),
        (lambda dock: dock.review.accept.button, ("regions.decide", "accept", "slice")),
        (lambda dock: dock.review.reject.button, ("regions.decide", "reject", "slice")),
        (lambda dock: dock.review.prediction, ("views.set_overlay", ("prediction", False))),
        (lambda dock: dock.review.uncertainty, ("views.set_overlay", ("entropy", True))),
    ],
)
def test_a_press_reaches_the_session(qtbot, dock, session, press, asked):
    qtbot.mouseClick(press(dock), LEFT)
    assert session.asked == [asked]


def test_next_and_previous_place(qtbot, dock, session, place):
    session.suggestions.places = [place("a", "first"), place("b", "second")]
    session.suggestions.index = 1
    session.suggestions.changed.emit()
    assert dock.cards.reason.text() == "Second"
    qtbot.mouseClick(dock.cards.next_button, LEFT)
    qtbot.mouseClick(dock.cards.previous_button, LEFT)
    qtbot.mouseClick(dock.cards.skip_button, LEFT)
    qtbot.mouseClick(dock.cards.finish_button, LEFT)
    assert session.asked == [
        ("suggestions.step", 1),
        ("suggestions.step", -1),
        ("suggestions.skip",),
        ("suggestions.finish",),
    ]


@pytest.mark.parametrize(
    ("key", "modifier", "asked"),
    [
        (Qt.Key.Key_U, Qt.KeyboardModifier.NoModifier, ("views.set_overlay", ("entropy", True))),
        (Qt.Key.Key_G, Qt.KeyboardModifier.NoModifier, ("views.set_overlay", ("prediction", False))),
        (Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier, ("labels.toggle_slice_complete",)),
    ],
)
def test_keys(qtbot, dock, session, key, modifier, asked):
    dock.activateWindow()
    dock.setFocus()
    qtbot.waitUntil(dock.isActiveWindow)
    qtbot.keyClick(dock, key, modifier)
    assert session.asked == [asked]


def test_a_sentence_can_be_read_on_two_lines(qtbot, dock, session):
    sentence = "There is nothing to fill: label two slices of this plane with others between them."
    session.dialogue.message.emit("info", sentence)
    qtbot.wait(30)
    assert dock.messages.label._elidedText() == sentence


@pytest.mark.parametrize("part", ["table", "button"])
def test_the_arrows_go_through_the_slices_after_a_click_in_the_dock(qtbot, dock, session, part):
    widget = dock.cases.view if part == "table" else dock.structures.slice_button
    dock.activateWindow()
    widget.setFocus()
    qtbot.waitUntil(widget.hasFocus)
    qtbot.keyClick(widget, Qt.Key.Key_Right)
    qtbot.keyClick(widget, Qt.Key.Key_Left)
    assert session.asked == [("views.step_slice", 1), ("views.step_slice", -1)]


def test_the_arrows_move_in_a_note_while_it_is_typed(qtbot, dock, session):
    dock.activateWindow()
    dock.cases.line.note.setFocus()
    qtbot.waitUntil(dock.cases.line.note.hasFocus)
    qtbot.keyClick(dock.cases.line.note, Qt.Key.Key_Left)
    assert session.asked == []


def test_the_brush_on_its_button_has_the_colour_of_what_it_says(dock, session):
    def shown():
        return dock.tools.paint_button.icon().pixmap(16, 16).toImage().copy()

    plain = shown()
    session.tools.says.value = "background"
    session.tools.changed.emit()
    marked = shown()
    assert marked != plain
    session.tools.says.value = "structure"
    session.tools.changed.emit()
    assert shown() == plain


@pytest.mark.parametrize("name", ["dark", "light"])
def test_an_icon_on_a_disabled_button_has_the_faint_colour_of_the_theme(
    make_dock, session, rows, viewer, name
):
    viewer.theme = name
    session.open_with(rows)
    session.cases.case_id, session.labels.undo_name = "b", "Paint"
    tools, background = make_dock().tools, QColor(Theme.of_name(name).background).lightness()

    def contrast(button):
        mode = QIcon.Mode.Normal if button.isEnabled() else QIcon.Mode.Disabled
        image = button.icon().pixmap(QSize(16, 16), mode).toImage()
        colours = [image.pixelColor(x, y) for x in range(image.width()) for y in range(image.height())]
        return max(abs(one.lightness() - background) for one in colours if one.alpha() > 250)

    assert tools.undo_button.isEnabled() and not tools.redo_button.isEnabled()
    faint = abs(QColor(Theme.of_name(name).disabled).lightness() - background)
    assert contrast(tools.redo_button) == pytest.approx(faint, abs=10)
    assert contrast(tools.undo_button) > 1.5 * faint


def test_a_button_does_not_look_hovered_once_its_menu_is_closed(qtbot, dock):
    button, menu = dock.tools.says_button, dock.tools.paint_menu
    button.setAttribute(Qt.WidgetAttribute.WA_UnderMouse, True)
    menu.popup(button.mapToGlobal(button.rect().bottomLeft()))
    qtbot.waitUntil(menu.isVisible)
    QCursor.setPos(dock.mapToGlobal(QPoint(2, 2)))
    menu.close()
    qtbot.wait(20)
    assert not button.underMouse()


def test_keys_do_not_fire_while_typing(qtbot, dock, session):
    dock.activateWindow()
    dock.cases.filter.search.setFocus()
    qtbot.waitUntil(dock.cases.filter.search.hasFocus)
    qtbot.keyClicks(dock.cases.filter.search, "un")
    assert session.asked == []
    assert dock.cases.filter.search.text() == "un"


@pytest.mark.parametrize("button", ["train_button", "stop_button"])
def test_a_button_that_goes_with_its_task_leaves_the_keys_to_the_list(qtbot, dock, session, button):
    dock.activateWindow()
    states = TaskState("training", "running", 0.2, 60.0, ""), TaskState("idle", "", None, None, "")
    after, before = states if button == "train_button" else states[::-1]
    for state in (before, after):
        session.tasks.state = state
        session.tasks.changed.emit(state)
        if state is before:
            getattr(dock.training, button).setFocus()
            qtbot.waitUntil(getattr(dock.training, button).hasFocus)
    assert dock.cases.view.hasFocus()


def test_training_can_be_paused_resumed_and_stopped(qtbot, dock, session):
    session.tasks.state = TaskState("training", "running", 0.2, 60.0, "")
    session.tasks.changed.emit(session.tasks.state)
    qtbot.mouseClick(dock.training.pause_button, LEFT)
    session.tasks.state = replace(session.tasks.state, phase="paused")
    session.tasks.changed.emit(session.tasks.state)
    qtbot.mouseClick(dock.training.pause_button, LEFT)
    qtbot.mouseClick(dock.training.stop_button, LEFT)
    assert session.asked == [("tasks.pause",), ("tasks.resume",), ("tasks.stop",)]


def test_a_new_dock_shows_the_session_as_it_is(make_dock, session, rows, place):
    session.open_with(rows)
    session.labels.saved = ("Saved 12:03:05", True)
    session.labels.slice_state = (True, "axial slice 3 of 80")
    session.tasks.state = TaskState("training", "paused", 0.3, None, "Iteration 99")
    session.tasks.curves.losses = {"supervised": ([1, 2], [0.5, 0.4])}
    session.suggestions.places, session.suggestions.index = [place("a", "look here")], 0
    dock = make_dock()
    dock.training.curves.draw()
    assert dock.header.saved.text() == "Saved 12:03:05"
    assert dock.structures.slice_button.isChecked()
    assert dock.training.pause_button.text() == "Resume"
    assert dock.training.curves.legend.names == ["labelled"]
    assert dock.cards.reason.text() == "Look here"


def test_a_deleted_dock_leaves_the_session_working(qtbot, viewer, session, rows):
    session.open_with(rows)
    dock = DyconDock(viewer, session)
    dock.deleteLater()
    qtbot.wait(20)
    session.study_changed.emit()
    session.tasks.changed.emit(TaskState("training"))
    session.dialogue.message.emit("info", "still alive")
    viewer.theme = "light"
    del dock
    gc.collect()
    session.cases.list.changed.emit()
    assert len(session.tasks.changed) == 0, "a dead dock is not kept"


def test_it_works_on_the_proxy_that_napari_hands_to_plugins(qtbot, viewer, session, rows):
    session.open_with(rows)
    dock = DyconDock(PublicOnlyProxy(viewer), session)
    qtbot.addWidget(dock)
    before = dock.styleSheet()
    viewer.theme = "light"
    assert dock.styleSheet() != before


def test_a_step_of_training_costs_the_interface_little(dock, session):
    session.tasks.changed.emit(TaskState("training", "running", 0.0, 100.0, "Iteration 0"))
    started = time.perf_counter()
    for step in range(200):
        session.tasks.state = TaskState(
            "training", "running", step / 200, 100.0 - step / 2, f"Iteration {step}"
        )
        session.tasks.changed.emit(session.tasks.state)
    assert (time.perf_counter() - started) / 200 < 0.005


def test_two_docks_show_the_same(make_dock, session, rows):
    first, second = make_dock(), make_dock()
    session.open_with(rows)
    session.labels.saved_changed.emit("Saved 1:02:03", True)
    assert first.header.saved.text() == second.header.saved.text() == "Saved 1:02:03"


def test_it_follows_the_theme_of_the_viewer(dock, viewer):
    dark = dock.styleSheet()
    viewer.theme = "light"
    assert dock.styleSheet() != dark
    assert "@" not in dock.styleSheet(), "every colour is filled in"


def test_a_read_only_study_can_be_looked_at_but_not_changed(make_dock, session, rows):
    session.open_with(rows, read_only=True)
    session.cases.case_id, session.cases.has_prediction = "b", True
    dock = make_dock()
    for button in (
        dock.header.add_button,
        dock.structures.add_button,
        dock.structures.slice_button,
        dock.training.train_button,
        dock.review.accept.button,
    ):
        assert not button.isEnabled()
        assert actions.READ_ONLY in button.toolTip()
    assert dock.review.prediction.isEnabled()
    assert dock.header.export_button.isEnabled()


def test_the_dock_does_what_needs_it_or_says_why_not(dock, session, monkeypatch):
    asked = []
    monkeypatch.setattr(dock, "_deeds", {name: lambda name=name: asked.append(name) for name in dock._deeds})
    assert set(dock._deeds) == {action.id for action in actions.ACTIONS if action.by_dock}
    dock.ask("restore_case")
    assert session.asked[-1] == ("dialogue.say", "info", actions.NO_REMOVED) and not asked
    session.structures.all = [one.model_copy(update={"group": "heart"}) for one in session.structures.all]
    dock.cases.menu.removed_cases = lambda: [RemovedCase("x", "a", "scan 10", "2026-11-21T10:00:00+00:00")]
    for name in dock._deeds:
        dock.ask(name)
    assert asked == list(dock._deeds)
    session.study.read_only = True
    dock.ask("train")
    assert len(asked) == len(dock._deeds)
    assert session.asked[-1] == ("dialogue.say", "info", actions.READ_ONLY)


def test_a_process_of_its_own_is_offered_beside_the_title_and_taken(qtbot, dock, session):
    button = dock.training.own_process
    assert not button.isVisible()
    session.own_process.offered = True
    session.own_process.changed.emit()
    assert button.isVisible()
    assert dock._scroll.verticalScrollBar().maximum() == 0
    qtbot.mouseClick(button, LEFT)
    assert session.asked[-1] == ("own_process.use",)


def test_train_waits_for_labels_and_says_so(make_dock, session, make_row):
    session.open_with([make_row("a", "scan 1")])
    dock = make_dock()
    assert not dock.training.train_button.isEnabled()
    assert actions.NO_LABELS in dock.training.train_button.toolTip()
    session.cases.list.listed = [make_row("a", "scan 1", "partial", 0.01)]
    session.cases.list.changed.emit()
    assert dock.training.train_button.isEnabled()


def test_train_waits_for_the_engine(make_dock, session, rows):
    session.training.methods = []
    session.open_with(rows)
    dock = make_dock()
    assert actions.LOADING in dock.training.train_button.toolTip()
    session.training.methods = [("dycon", "DyCON: learns from all")]
    session.training.engine_ready.emit()
    assert dock.training.train_button.isEnabled()


def test_a_folder_that_holds_a_study_is_opened(dock, session, tmp_path, monkeypatch):
    (tmp_path / "study.json").write_text("{}")
    monkeypatch.setattr(doors, "ask_folder", lambda *_: tmp_path)
    dock.header.open_menu.asked.emit("choose_study")
    assert session.asked == [("open_study", tmp_path)]


def test_an_empty_folder_becomes_a_study_of_named_structures(qtbot, dock, session, tmp_path, monkeypatch):
    monkeypatch.setattr(doors, "ask_folder", lambda *_: tmp_path)
    dock.header.open_menu.asked.emit("choose_study")
    dialog = dock.findChild(StructuresDialog)
    create = dialog._create
    assert not create.isEnabled()
    qtbot.keyClicks(dialog._fields[0], "Liver")
    dialog.add_field()
    qtbot.keyClicks(dialog._fields[1], "Tumour")
    qtbot.mouseClick(create, LEFT)
    name, folder, structures = session.asked[0]
    assert (name, folder) == ("new_study", tmp_path)
    assert [(structure.value, structure.name) for structure in structures] == [(1, "Liver"), (2, "Tumour")]


@pytest.mark.parametrize("name", ["x" * 201, "x" * 5000])
def test_a_name_that_cannot_be_is_refused_while_it_can_still_be_mended(
    qtbot, dock, session, tmp_path, monkeypatch, name
):
    monkeypatch.setattr(doors, "ask_folder", lambda *_: tmp_path)
    dock.header.open_menu.asked.emit("choose_study")
    dialog = dock.findChild(StructuresDialog)
    dialog._fields[0].setText(name)
    assert dialog.trouble.isVisible() and not dialog._create.isEnabled()
    qtbot.keyClick(dialog._fields[0], Qt.Key.Key_Return)
    assert dialog.isVisible() and not session.asked
    dialog._fields[0].setText("liver")
    assert not dialog.trouble.isVisible()
    qtbot.mouseClick(dialog._create, LEFT)
    assert session.asked[0][0] == "new_study" and session.asked[0][2][0].value == 1


def test_adding_and_exporting_ask_for_folders(dock, session, monkeypatch):
    answers = iter([Path("/scans"), Path("/scans"), Path("/labels"), Path("/moved"), Path("/out")])
    monkeypatch.setattr(doors, "ask_folder", lambda *_: next(answers))
    monkeypatch.setattr(doors, "ask_scans", lambda *_: [Path("/a.nii")])
    for action in dock.header.add_menu.actions():
        if not action.isSeparator():
            action.trigger()
    dock.header.export_requested.emit()
    assert session.asked == [
        ("exchange.add_scans", [Path("/a.nii")]),
        ("exchange.add_scans", [Path("/scans")]),
        ("exchange.add_scans", [Path("/scans")], Path("/labels")),
        ("exchange.find_scans", Path("/moved")),
        ("exchange.export", Path("/out")),
    ]


def test_readers_are_asked_for_by_name(dock, session, monkeypatch):
    asked = []
    monkeypatch.setattr(doors, "ask_name", lambda parent, title, question, text: asked.append(text) or "BK")
    dock.header.open_menu.asked.emit("call_reader")
    dock.header.open_menu.asked.emit("invite_reader")
    assert asked == ["AB", ""]
    said = [call[:2] for call in session.asked if call[0].startswith("readers")]
    assert said == [("readers.call", "BK"), ("readers.invite", "BK")]


def test_a_cancelled_question_does_nothing(dock, session, monkeypatch):
    monkeypatch.setattr(doors, "ask_folder", lambda *_: None)
    monkeypatch.setattr(doors, "ask_scans", lambda *_: [])
    dock.header.open_menu.asked.emit("choose_study")
    dock.header.export_requested.emit()
    dock.header.add_menu.actions()[0].trigger()
    assert session.asked == []


def test_scans_dropped_without_a_study_begin_one_beside_them(qtbot, make_dock, session, tmp_path):
    dock = make_dock()
    scan = tmp_path / "scan.nii.gz"
    scan.touch()
    dock.begin_with([scan])
    dialog = dock.findChild(StructuresDialog)
    assert str(tmp_path / "dycon-study") in dialog.where.text()
    qtbot.keyClicks(dialog._fields[0], "Liver")
    qtbot.keyClick(dialog._fields[0], Qt.Key.Key_Return)
    assert session.asked[0][:2] == ("new_study", tmp_path / "dycon-study")


def test_dropped_scans_are_added(dock, session, tmp_path):
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(tmp_path))])
    no = Qt.KeyboardModifier.NoModifier
    event = QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, mime, LEFT, no)
    dock.dropEvent(event)
    assert session.asked == [("exchange.add_scans", [tmp_path])]
