"""The list of cases: found, sorted and filtered, opened, marked, removed and put back."""

from collections.abc import Sequence

from qtpy.QtCore import QModelIndex, QPoint, QTimer, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_dycon.plugin.background.throttle import Pacer
from napari_dycon.plugin.controllers.case_rows import CaseRow
from napari_dycon.plugin.widgets.case_filter import CaseFilter
from napari_dycon.plugin.widgets.case_line import CaseLine
from napari_dycon.plugin.widgets.case_menu import CaseMenu
from napari_dycon.plugin.widgets.case_table import ID_ROLE, NAME, UNSURE, VOLUME, CaseProxy, CaseTableModel
from napari_dycon.plugin.widgets.case_view import CaseView
from napari_dycon.plugin.widgets.theme import Theme
from napari_dycon.plugin.widgets.window_memory import recall, remember

ARRANGE_MS = 1000
"""How long predicted cases that come in stay where they are before the list is sorted again."""


class CasesPanel(QWidget):
    """The case table with its filter above and the line about the open case below."""

    open_case_requested = Signal(str)
    order_changed = Signal(list)

    def __init__(self) -> None:
        super().__init__()
        self._open_case: str | None = None
        self._uncertainties: list[float | None] = []
        self.model = CaseTableModel(self)
        self.proxy = CaseProxy(self)
        self.proxy.setSourceModel(self.model)
        self.proxy.together = recall().exams_together
        self._arrange_soon = Pacer(self._arrange, ARRANGE_MS)
        self.filter, self.view, self.line = CaseFilter(), CaseView(self.proxy), CaseLine()
        self.menu = CaseMenu(self, self._selected_rows)
        self.note_requested, self.next_requested = self.line.note_requested, self.line.next_requested
        self.flag_requested, self.review_requested = self.line.flag_requested, self.line.review_requested
        self.previous_requested = self.line.previous_requested
        self._connect()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addWidget(self.filter)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.line)

    def _connect(self) -> None:
        self.filter.filter_changed.connect(self._show_only)
        self.filter.search.entered.connect(self._open_first)
        self.filter.search.left_downwards.connect(self._enter_list)
        self.view.row_chosen.connect(self._open_index)
        self.view.remove_asked.connect(self.menu.ask_removal)
        self.view.together_asked.connect(self._put_together)
        self.menu.open_requested.connect(self.open_case_requested)
        self.menu.flag_requested.connect(self.flag_requested)
        self.menu.review_requested.connect(self.review_requested)
        self.view.customContextMenuRequested.connect(self._show_menu)
        self.view.horizontalHeader().sortIndicatorChanged.connect(self._tell_order)

    # ---- showing -----------------------------------------------------------------------------

    def set_rows(self, rows: Sequence[CaseRow]) -> None:
        """Show the cases of the study."""
        before = self._open_case
        others = [row.id for row in rows] != [row.id for row in self.model.rows]
        patients = [row.patient for row in rows] != [row.patient for row in self.model.rows]
        uncertainties = [row.uncertainty for row in rows]
        predicted = uncertainties != self._uncertainties
        self._uncertainties = uncertainties
        self.model.set_rows(rows)
        self.view.fit_columns()
        self.filter.set_rows(rows)
        opened = next((case for case in rows if case.open), None)
        self._open_case = None if opened is None else opened.id
        self.line.set_case(opened)
        if patients:
            self._arrange()
        elif others:
            self._tell_order()
        elif predicted and self.view.horizontalHeader().sortIndicatorSection() in (VOLUME, UNSURE):
            self._arrange_soon()
        if self._open_case not in (None, before):
            QTimer.singleShot(0, self._scroll_to_open)

    def set_blocked(self, marking: str, going: str) -> None:
        """Disable notes and marks, and going on, each with the reason."""
        self.line.set_blocked(marking, going)

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        for part in (self.filter, self.view, self.line):
            part.set_theme(theme)

    def showEvent(self, event: QShowEvent) -> None:
        """Bring the open case into view."""
        super().showEvent(event)
        self._scroll_to_open()

    def shown_cases(self) -> list[str]:
        """Return the ids of the cases that are shown, from top to bottom."""
        return [self.proxy.index(place, NAME).data(ID_ROLE) for place in range(self.proxy.rowCount())]

    def selected_cases(self) -> list[str]:
        """Return the ids of the selected rows, in the order shown."""
        rows = sorted(index.row() for index in self.view.selectionModel().selectedRows())
        return [self.proxy.index(number, NAME).data(ID_ROLE) for number in rows]

    def _selected_rows(self) -> list[CaseRow]:
        rows = {row.id: row for row in self.model.rows}
        return [rows[case] for case in self.selected_cases()]

    def _arrange(self) -> None:
        self.proxy.arrange()
        self._tell_order()

    def _scroll_to_open(self) -> None:
        follow = len(self.selected_cases()) <= 1
        source = next((place for place, row in enumerate(self.model.rows) if row.id == self._open_case), None)
        if source is None:
            return
        index = self.proxy.mapFromSource(self.model.index(source, NAME))
        if index.isValid():
            self.view.scrollTo(index)
            if follow:
                self.view.selectRow(index.row())

    def _show_only(self, mark: str, text: str) -> None:
        self.proxy.mark, self.proxy.text = mark, text
        self._arrange()
        self._scroll_to_open()

    def _put_together(self, together: bool) -> None:
        self.proxy.together = together
        remember(exams_together=together)
        self._arrange()
        self._scroll_to_open()

    def _tell_order(self) -> None:
        self.order_changed.emit(self.shown_cases())

    # ---- what the person asks ----------------------------------------------------------------

    def _open_index(self, index: QModelIndex) -> None:
        self.open_case_requested.emit(index.data(ID_ROLE))

    def _open_first(self) -> None:
        if self.proxy.rowCount():
            self._open_index(self.proxy.index(0, NAME))

    def _enter_list(self) -> None:
        self.view.setFocus()
        if self.proxy.rowCount() and not self.selected_cases():
            self.view.selectRow(0)

    def _show_menu(self, where: QPoint) -> None:
        menu = self.menu.make()
        if not menu.isEmpty():
            menu.popup(self.view.viewport().mapToGlobal(where))
