"""The dock of DyCON: lays out the panels and binds them to the session of the viewer."""

from collections.abc import Callable, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.compat import isalive
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QResizeEvent
from qtpy.QtWidgets import QFrame, QScrollArea, QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from napari_dycon.plugin.actions import BY_ID, Situation
from napari_dycon.plugin.controllers.report import Report
from napari_dycon.plugin.layers.styles import veil_colour
from napari_dycon.plugin.widgets import window_memory
from napari_dycon.plugin.widgets.cases import CasesPanel
from napari_dycon.plugin.widgets.dockkeys import DockKeys
from napari_dycon.plugin.widgets.doors import Doors, dropped_paths
from napari_dycon.plugin.widgets.header import EmptyPanel, HeaderPanel
from napari_dycon.plugin.widgets.messages import MessageLine
from napari_dycon.plugin.widgets.parts import rule
from napari_dycon.plugin.widgets.review import ReviewPanel
from napari_dycon.plugin.widgets.shelf import Shelf
from napari_dycon.plugin.widgets.structures import StructuresPanel
from napari_dycon.plugin.widgets.theme import Theme, style_sheet
from napari_dycon.plugin.widgets.toolbench import Toolbench
from napari_dycon.plugin.widgets.tools import ToolsPanel
from napari_dycon.plugin.widgets.training import TrainingPanel
from napari_dycon.plugin.widgets.windowmenu import WindowMenu

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_dycon.plugin.background.task_state import TaskState
    from napari_dycon.plugin.session import Session

WIDTH, HEIGHT = 380, 700
SETTLED_MS = 400


def while_alive(method: Callable[..., None]) -> Callable[..., None]:
    """Let a handler do nothing once Qt has deleted the dock; the session outlives it."""

    @wraps(method)
    def guarded(self: "DyconDock", *args: Any) -> None:
        if isalive(self):
            method(self, *args)

    return guarded


def _session_of(viewer: "Viewer") -> "Session":
    from napari_dycon.plugin.session import get_session

    return get_session(viewer)


class DyconDock(QWidget):
    """Everything a person needs to label, train, look and correct, in one column.

    The dock holds no state: it may be closed and made again at any time and shows the session as it is.

    Parameters
    ----------
    napari_viewer
        The viewer, or napari's proxy of it.
    session
        What to show; by default the session of the viewer.
    """

    def __init__(self, napari_viewer: "Viewer", session: "Session | None" = None) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.session = _session_of(napari_viewer) if session is None else session
        self._doors = Doors(self, self.session)
        self.empty, self.header, self.cases = EmptyPanel(), HeaderPanel(), CasesPanel()
        self.structures, self.training, self.review = StructuresPanel(), TrainingPanel(), ReviewPanel()
        self.tools = ToolsPanel()
        self.shelf = Shelf(self.cases, self.session)
        self.shelf.offer(self.tools.more_menu)
        self._bench = Toolbench(self.tools, self.session, self)
        self.messages = MessageLine()
        WindowMenu(self.tools.window_menu, self.session)
        self.keys = DockKeys(self, self.session)
        self.cases.removed_cases = self.session.cases.removed
        self.setAcceptDrops(True)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self._shown_kind = self._unsaved = ""
        memory = window_memory.recall()
        self._width = memory.width or WIDTH
        self._wait = QTimer(self)
        self._wait.setSingleShot(True)
        self._wait.setInterval(SETTLED_MS)
        self._wait.timeout.connect(self._remember_width)
        if memory.minutes is not None:
            self.training.minutes.setValue(memory.minutes)
        self.training.minutes.editingFinished.connect(self._remember_minutes)
        self.training.train_requested.connect(self._remember_minutes)
        self._deeds = {
            "keys": self.keys.toggle_list,
            "add_scans": self._doors.choose_scans,
            "export": self._doors.choose_export_folder,
            "remove_case": self.cases.ask_removal,
            "restore_version": self.shelf.versions.ask_restore,
            "add_structure": self.structures.ask_name,
            "train": self.training.train,
        }
        self._lay_out()
        self._bind_intentions()
        self._bind_state()
        self._show_theme()
        self._show_all()

    # ---- layout ------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self.work = QWidget()
        column = QVBoxLayout(self.work)
        column.setContentsMargins(10, 8, 10, 2)
        column.setSpacing(6)
        for panel in (self.header, self.shelf, self.structures, self.tools, self.training, self.review):
            if panel not in (self.header, self.tools):
                column.addWidget(rule())
            column.addWidget(panel, 1 if panel is self.shelf else 0)
        self._scroll = QScrollArea()
        self._scroll.setWidget(self.work)
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.empty)
        self.pages.addWidget(self._scroll)
        self.pages.addWidget(self.keys.sheet)
        bottom = QVBoxLayout()
        bottom.setContentsMargins(10, 0, 10, 2)
        bottom.addWidget(self.review.reason)  # in sight however far the panels are scrolled
        bottom.addWidget(self.messages)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.pages, 1)
        layout.addLayout(bottom)

    def sizeHint(self) -> QSize:
        """Return the size the dock is drawn for, in pixels."""
        return QSize(self._width, HEIGHT)

    def minimumSizeHint(self) -> QSize:
        """Return the smallest useful size in pixels; below ``sizeHint`` the panels scroll."""
        return QSize(WIDTH - 20, 320)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Remember the width for the next start, once it stays."""
        super().resizeEvent(event)
        self._wait.start()

    def _remember_width(self) -> None:
        if self.isVisible():
            self._width = self.width()
            window_memory.remember(width=self._width)

    def _remember_minutes(self) -> None:
        window_memory.remember(minutes=self.training.minutes.value())

    # ---- binding -----------------------------------------------------------------------------

    def _bind_intentions(self) -> None:
        session, doors, perform = self.session, self._doors, self.session.actions.perform
        for signal, slot in (
            (self.empty.open_requested, doors.choose_study),
            (self.empty.demo_requested, doors.open_demo),
            (self.empty.recent_requested, doors.open_recent),
            (self.empty.forget_requested, self._forget_recent),
            (self.header.open_requested, doors.choose_study),
            (self.header.demo_requested, doors.open_demo),
            (self.header.files_requested, self._go_to_list),
            (self.header.folder_requested, self._go_to_list),
            (self.header.labelled_folder_requested, self._go_to_list),
            (self.header.files_requested, doors.choose_scans),
            (self.header.folder_requested, doors.choose_scan_folder),
            (self.header.labelled_folder_requested, doors.choose_labelled_folder),
            (self.header.search_requested, doors.choose_search_folder),
            (self.cases.search_requested, doors.choose_search_folder),
            (self.header.export_requested, doors.choose_export_folder),
            (self.header.planes_requested, partial(perform, "planes")),
            (self.cases.open_case_requested, session.cases.open),
            (self.cases.predict_requested, session.training.predict),
            (self.cases.order_changed, session.cases.set_order),
            (self.cases.note_requested, session.cases.set_note),
            (self.cases.flag_requested, session.cases.flag),
            (self.cases.review_requested, session.cases.review),
            (self.cases.next_requested, partial(perform, "next_case")),
            (self.cases.previous_requested, partial(perform, "previous_case")),
            (self.cases.remove_requested, session.cases.remove),
            (self.cases.restore_requested, session.cases.restore),
            (self.structures.select_requested, session.structures.select),
            (self.structures.add_requested, session.structures.add),
            (self.structures.rename_requested, session.structures.rename),
            (self.structures.recolour_requested, session.structures.recolour),
            (self.structures.merge_requested, session.structures.merge),
            (self.structures.remove_requested, session.structures.remove),
            (self.structures.plane_requested, session.views.show_plane),
            (self.structures.slice_complete_requested, partial(perform, "slice_complete")),
            (self.structures.case_complete_requested, partial(perform, "case_complete")),
            (self.training.train_requested, session.training.train),
            (self.training.pause_requested, session.tasks.pause),
            (self.training.resume_requested, session.tasks.resume),
            (self.training.own_process_requested, partial(perform, "own_process")),
            (self.training.stop_requested, session.tasks.stop),
            (self.review.prediction_shown_requested, self._ask_prediction_shown),
            (self.review.uncertainty_shown_requested, self._ask_uncertainty_shown),
            (self.review.opacity_requested, self._ask_opacity),
            (self.review.predict_case_requested, partial(perform, "predict_case")),
            (self.review.predict_all_requested, partial(perform, "predict")),
            (self.review.decision_requested, session.regions.decide),
            (self.review.next_requested, partial(perform, "next_place")),
            (self.review.previous_requested, partial(perform, "previous_place")),
        ):
            signal.connect(slot)

    def _bind_state(self) -> None:
        session = self.session
        for signal, slot in (
            (session.study_changed, self._on_study_changed),
            (session.cases.changed, self._on_cases_changed),
            (session.cases.opened, self._on_case_opened),
            (session.labels.saved_changed, self._on_saved_changed),
            (session.tasks.changed, self._on_task_changed),
            (session.tasks.curves_changed, self._on_curves_changed),
            (session.structures.changed, self._on_structures_changed),
            (session.suggestions.changed, self._on_suggestions_changed),
            (session.own_process.changed, self._on_offer_changed),
            (session.dialogue.message, self._on_message),
            (session.exchange.reported, self._on_reported),
            (session.exchange.pairs_found, self._on_pairs_found),
            (session.views.overlay_changed, self._on_overlay_changed),
            (session.labels.slice_state_changed, self._on_slice_state_changed),
            (session.training.engine_ready, self._on_engine_ready),
            (session.views.planes_changed, self._on_planes_changed),
            (session.versions.changed, self._on_versions_changed),
            (self._viewer.events.theme, self._on_theme_changed),
        ):
            signal.connect(slot)

    # ---- what the session tells --------------------------------------------------------------

    @while_alive
    def _on_study_changed(self) -> None:
        self.messages.clear()
        self._show_all()

    @while_alive
    def _on_cases_changed(self) -> None:
        self._show_cases()

    @while_alive
    def _on_case_opened(self, case_id: str) -> None:
        self._show_cases()
        self._show_suggestion()

    @while_alive
    def _on_saved_changed(self, text: str, ok: bool) -> None:
        self.header.set_saved(text, ok)
        if ok:
            self.messages.let_go(self._unsaved)
        self._unsaved = "" if ok else text

    @while_alive
    def _on_task_changed(self, task: "TaskState") -> None:
        self._show_task()

    @while_alive
    def _on_curves_changed(self) -> None:
        self._show_curves()

    @while_alive
    def _on_structures_changed(self) -> None:
        self._show_structures()

    @while_alive
    def _on_suggestions_changed(self) -> None:
        self._show_suggestion()

    @while_alive
    def _on_offer_changed(self) -> None:
        self.training.set_offer(self.session.own_process.offered)

    @while_alive
    def _on_reported(self, report: Report) -> None:
        self._doors.show_report(report)

    @while_alive
    def _on_pairs_found(self, candidates: dict[Path, list[Path]]) -> None:
        self._doors.ask_pairs(candidates)

    @while_alive
    def _on_message(self, level: str, text: str) -> None:
        self.messages.show_message(level, text)

    @while_alive
    def _on_overlay_changed(self) -> None:
        self._show_overlay()
        self._show_reasons()

    @while_alive
    def _on_slice_state_changed(self, complete: bool, text: str) -> None:
        self.structures.set_slice_state(complete, text)

    @while_alive
    def _on_engine_ready(self) -> None:
        self._show_engine()

    @while_alive
    def _on_planes_changed(self, shown: bool) -> None:
        self.header.set_planes(shown)

    @while_alive
    def _on_versions_changed(self) -> None:
        self._show_reasons()

    @while_alive
    def _on_theme_changed(self, event: object = None) -> None:
        self._show_theme()

    # ---- showing -----------------------------------------------------------------------------

    def _show_theme(self) -> None:
        theme = Theme.named(self._viewer.theme)
        self.setStyleSheet(style_sheet(theme))
        self.keys.sheet.set_theme(theme)
        panels = (self.empty, self.shelf, self.structures, self.tools, self.training, self.review)
        for panel in (*panels, self.messages):
            panel.set_theme(theme)

    def _show_all(self) -> None:
        study = self.session.study
        self.show_page()
        if study is not None:
            self.header.set_study(study.record.name, str(study.path), study.read_only)
        self.header.set_saved(*self.session.labels.saved)
        self.header.set_planes(self.session.views.planes_shown)
        self.structures.set_slice_state(*self.session.labels.slice_state)
        self.training.set_offer(self.session.own_process.offered)
        self._show_engine()
        self._show_structures()
        self._show_cases()
        self._show_curves()
        self._show_suggestion()
        self._show_overlay()
        self._show_task()
        self._bench.show_all()
        self.shelf.show_versions()

    def show_page(self) -> None:
        """Show the work, or the two ways to begin it."""
        begun = self.session.study is not None
        if not begun:
            self.empty.recent.set_studies(window_memory.recent_studies())
        page, focused = (self._scroll if begun else self.empty), self.window().focusWidget()
        if page is self.pages.currentWidget():
            return
        self.pages.setCurrentWidget(page)
        if begun and focused is not None and self.isAncestorOf(focused):
            self._go_to_list()

    def _go_to_list(self) -> None:
        """Give the keys to the list before Qt gives them to the field for searching, where arrows are dead.

        A button that is hidden or disabled while it has the focus hands it to whatever comes next.
        """
        self.cases.view.setFocus()

    def begin_with(self, paths: Sequence[Path]) -> None:
        """Open the study that the first path leads to, or begin one with the scans there."""
        self._doors.take(paths)

    def ask(self, name: str) -> None:
        """Do an action that needs the dock, or say why it is not possible now."""
        reason = BY_ID[name].why_not(self.session.actions.situation())
        if reason:
            self.session.dialogue.say("info", reason)
        else:
            self._deeds[name]()

    def _forget_recent(self) -> None:
        window_memory.forget_studies()
        self.show_page()

    def _show_engine(self) -> None:
        self.header.set_device(self.session.training.device)
        self.training.set_methods(self.session.training.methods, "dycon")
        self._show_reasons()

    def _show_cases(self) -> None:
        rows = self.session.cases.rows()
        self.cases.set_rows(rows)
        self.structures.set_case_state(any(row.open and row.status == "complete" for row in rows))
        self._show_reasons()

    def _show_structures(self) -> None:
        self.structures.set_structures(self.session.structures.all, self.session.structures.active_value)
        self.review.legend.set_colour(veil_colour(self.session.structures.all))

    def _show_curves(self) -> None:
        self.training.curves.set_curves(self.session.tasks.curves.losses, self.session.tasks.curves.dice)

    def _show_suggestion(self) -> None:
        suggestions, position = self.session.suggestions.places, self.session.suggestions.index
        place = suggestions[position] if 0 <= position < len(suggestions) else None
        open_case = self.session.cases.case_id
        reason = place.reason if place is not None and open_case in (None, place.case) else ""
        self.review.set_suggestion(position, len(suggestions), reason)

    def _show_overlay(self) -> None:
        overlay = self.session.views.overlay
        self.review.set_overlay(overlay.prediction, overlay.entropy, overlay.opacity)

    def _show_task(self) -> None:
        task = self.session.tasks.state
        self.training.set_task(task.kind, task.phase, task.fraction, task.seconds_left, task.text)
        self.empty.set_task(task.text if task.kind != "idle" else "", task.fraction)
        if self._shown_kind != task.kind:
            self._shown_kind = task.kind
            self._show_reasons()

    def _show_reasons(self) -> None:
        now = self.session.actions.situation()
        why = {name: action.why_not(now) for name, action in BY_ID.items()}
        self.header.set_blocked(why["add_scans"], why["export"])
        self.cases.set_blocked(why["remove_case"], why["case_complete"], why["next_case"])
        self.structures.set_blocked(why["add_structure"], why["slice_complete"])
        self._bench.show_reasons(now)
        self.shelf.show_reasons(now)
        self.training.set_blocked(why["train"])
        self.review.set_blocked(why["prediction"], why["accept_slice"], why["predict"], why["predict_case"])
        self.review.set_state(self._tell_prediction(now))

    def _tell_prediction(self, now: Situation) -> str:
        """Return one line on the prediction of the open case."""
        study = self.session.study
        if study is None or not now.case:
            return ""
        return f"predicted by {study.active_run}" if now.prediction else "no prediction yet"

    # ---- what the user asks ------------------------------------------------------------------

    def _ask_prediction_shown(self, shown: bool) -> None:
        self.session.views.set_overlay(prediction=shown)

    def _ask_uncertainty_shown(self, shown: bool) -> None:
        self.session.views.set_overlay(entropy=shown)

    def _ask_opacity(self, opacity: float) -> None:
        self.session.views.set_overlay(opacity=opacity)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files and folders."""
        if dropped_paths(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open a dropped study, or add dropped scans."""
        event.acceptProposedAction()
        self._doors.take(dropped_paths(event))
