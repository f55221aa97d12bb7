"""The dock of DyCON: lays out the panels and binds them to the session of the viewer."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QResizeEvent
from qtpy.QtWidgets import QFrame, QScrollArea, QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from napari_dycon.plugin.actions import BY_ID
from napari_dycon.plugin.widgets import window_memory
from napari_dycon.plugin.widgets.action_menu import open_at
from napari_dycon.plugin.widgets.cards import CardsPanel
from napari_dycon.plugin.widgets.case_menu import OF_SELECTION
from napari_dycon.plugin.widgets.cases import CasesPanel
from napari_dycon.plugin.widgets.dockkeys import DockKeys
from napari_dycon.plugin.widgets.doors import Doors, dropped_paths
from napari_dycon.plugin.widgets.expertbench import ExpertBench
from napari_dycon.plugin.widgets.header import EmptyPanel, HeaderPanel
from napari_dycon.plugin.widgets.messages import MessageLine
from napari_dycon.plugin.widgets.parts import rule
from napari_dycon.plugin.widgets.review import ReviewPanel
from napari_dycon.plugin.widgets.shelf import Shelf
from napari_dycon.plugin.widgets.structure_menu import OF_STRUCTURE
from napari_dycon.plugin.widgets.structures import StructuresPanel
from napari_dycon.plugin.widgets.theme import Theme, style_sheet
from napari_dycon.plugin.widgets.tools import ToolsPanel
from napari_dycon.plugin.widgets.training import TrainingPanel
from napari_dycon.plugin.widgets.windowmenu import WindowMenu
from napari_dycon.plugin.widgets.workbench import Workbench

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_dycon.plugin.session import Session

WIDTH, HEIGHT = 380, 700
SETTLED_MS = 400


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
        self.doors = Doors(self, self.session)
        self.empty, self.header, self.cases = EmptyPanel(), HeaderPanel(), CasesPanel()
        self.structures, self.training, self.review = StructuresPanel(), TrainingPanel(), ReviewPanel()
        self.tools, self.cards = ToolsPanel(), CardsPanel()
        self.shelf = Shelf(self.cases, self.session)
        self.messages = MessageLine()
        WindowMenu(self.tools.window_menu, self.session)
        self.keys = DockKeys(self, self.session)
        self.expert = ExpertBench(self, self.session)
        self.cases.menu.removed_cases = self.session.cases.list.removed_cases
        self.cases.menu.patients = self.session.cases.list.patients
        self.setAcceptDrops(True)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        memory = window_memory.recall()
        self._width = memory.width or WIDTH
        self._wait = QTimer(self)
        self._wait.setSingleShot(True)
        self._wait.setInterval(SETTLED_MS)
        self._wait.timeout.connect(self._remember_width)
        if memory.until_stopped or memory.minutes is not None:
            self.training.minutes.setValue(None if memory.until_stopped else memory.minutes)
        self.training.minutes.changed.connect(self._remember_minutes)
        self.training.train_requested.connect(self._remember_minutes)
        self.training.focus_lost.connect(self.go_to_list)
        self._deeds: dict[str, Callable[[], object]] = {
            "keys": self.keys.toggle_list,
            "add_scans": self._then_list(self.doors.choose_scans),
            "add_folder": self._then_list(self.doors.choose_scan_folder),
            "add_labelled_folder": self._then_list(self.doors.choose_labelled_folder),
            "find_scans": self.doors.choose_search_folder,
            "export": self.doors.choose_export_folder,
            "report": self.doors.choose_report_folder,
            "export_with": self.doors.choose_export_settings,
            "call_reader": self.doors.ask_reader,
            "invite_reader": self.doors.invite_reader,
            "compare_readers": self.session.exchange.readers.compare,
            "decide_readers": self.session.exchange.readers.decide,
            "choose_study": self.doors.choose_study,
            "open_demo": self.doors.open_demo,
            **{name: partial(self.cases.menu.perform, name) for name in OF_SELECTION},
            **{name: partial(self.structures.menu.perform, name) for name in OF_STRUCTURE},
            "choose_model": partial(open_at, self.review.models, self.review.predict_button),
            "start_from": self.doors.models.open,
            "keep_model": self.doors.models.ask_to_keep,
            "export_model": self.doors.models.choose_export_folder,
            "restore_version": self.shelf.versions.ask_restore,
            "add_structure": self.structures.ask_name,
            "train": self.training.train,
            "settings": self.expert.open,
            "places": self.expert.places.open,
        }
        self._lay_out()
        self.cards.begun.connect(self._show_decisions, Qt.ConnectionType.QueuedConnection)
        self._bench = Workbench(self, self.session)
        napari_viewer.events.theme.connect(self._on_theme_changed)
        self.show_theme()
        self._bench.show_all()

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
        self.pages.addWidget(self.expert.page)
        self.pages.addWidget(self.expert.places.page)
        bottom = QVBoxLayout()
        bottom.setContentsMargins(10, 0, 10, 2)
        bottom.addWidget(rule())
        bottom.addWidget(self.cards)  # in sight however far the panels are scrolled
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
        """Remember the width for the next start, once it stays; keep in sight what decides about a place."""
        super().resizeEvent(event)
        self._wait.start()
        if self.cards.card.isVisible():
            QTimer.singleShot(0, self._show_decisions)

    def _remember_width(self) -> None:
        if self.isVisible():
            self._width = self.width()
            window_memory.remember(width=self._width)

    def _remember_minutes(self) -> None:
        minutes = self.training.minutes.value()
        if minutes is None:
            window_memory.remember(until_stopped=True)
        else:
            window_memory.remember(until_stopped=False, minutes=minutes)

    # ---- showing -----------------------------------------------------------------------------

    def show_theme(self) -> None:
        """Use the colours of napari's theme."""
        theme = Theme.of_name(self._viewer.theme)
        self.setStyleSheet(style_sheet(theme))
        for part in (
            self.expert.places.page,
            self.keys.sheet,
            self.expert.page,
            self.doors,
            self.header,
            self.cards,
            self.messages,
        ):
            part.set_theme(theme)
        for panel in (self.empty, self.shelf, self.structures, self.tools, self.training, self.review):
            panel.set_theme(theme)

    def _show_decisions(self) -> None:
        """Have in sight what is decided with about a place, once the cards have taken their room."""
        if isalive(self):
            self._scroll.ensureWidgetVisible(self.review, 0, 0)

    def _on_theme_changed(self, event: object = None) -> None:
        del event
        if isalive(self):
            self.show_theme()

    def show_page(self) -> None:
        """Show the work, or the two ways to begin it."""
        begun = self.session.study is not None
        if not begun:
            self.empty.recent.set_studies(window_memory.recent_studies())
        self.cards.setVisible(begun)
        page, focused = (self._scroll if begun else self.empty), self.window().focusWidget()
        if page is self.pages.currentWidget():
            return
        self.pages.setCurrentWidget(page)
        if begun and focused is not None and self.isAncestorOf(focused):
            self.go_to_list()

    def go_to_list(self) -> None:
        """Give the keys to the list before Qt gives them to the field for searching, where arrows are dead.

        A button that is hidden or disabled while it has the focus hands it to whatever comes next.
        """
        self.cases.view.setFocus()

    def _then_list(self, choose: Callable[[], None]) -> Callable[[], None]:
        """Return what lets the person choose, with the keys given to the list of cases."""

        def ask() -> None:
            self.go_to_list()
            choose()

        return ask

    def begin_with(self, paths: Sequence[Path]) -> None:
        """Open the study that the first path leads to, or begin one with the scans there."""
        self.doors.take(paths)

    def ask(self, name: str) -> None:
        """Do an action that needs the dock, or say why it is not possible now."""
        reason = BY_ID[name].why_not(self.cases.menu.look(self.session.actions.situation()))
        if reason:
            self.session.dialogue.say("info", reason)
        else:
            self._deeds[name]()

    def forget_recent(self) -> None:
        """Remember no study any more."""
        window_memory.forget_studies()
        self.show_page()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files and folders."""
        if dropped_paths(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open a dropped study, or add dropped scans."""
        event.acceptProposedAction()
        self.doors.take(dropped_paths(event))
