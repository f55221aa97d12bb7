"""The versions of the open case: which there are, which one is on screen, and the way back to it."""

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_dycon.plugin.background.version_rows import CaseVersions, VersionRow
from napari_dycon.plugin.widgets.case_table import percent
from napari_dycon.plugin.widgets.parts import ElidedLabel, allow, as_tooltip, prepare_table, push_button, row
from napari_dycon.plugin.widgets.theme import Theme

HEADINGS = ("Saved", "What was done", "Known")
WHEN, WHAT, KNOWN = range(3)
WIDTHS = {WHEN: 104, KNOWN: 52}
ROW = 22
PRESENT = "This is what you have now."
LOOKING = "Only to look at: painting is off."
IS_PRESENT = "You have this version already: choose an older one."


class VersionTable(QTableWidget):
    """One row a version; Escape leaves it."""

    left = Signal()

    def __init__(self) -> None:
        super().__init__(0, len(HEADINGS))
        self.setHorizontalHeaderLabels(HEADINGS)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        prepare_table(self, ROW)
        self._prepare_header()

    def _prepare_header(self) -> None:
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(WHAT, QHeaderView.ResizeMode.Stretch)
        for column, width in WIDTHS.items():
            self.setColumnWidth(column, width)
        for column in range(len(HEADINGS)):
            self.horizontalHeaderItem(column).setTextAlignment(_alignment(column))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Leave on Escape."""
        if event.key() == Qt.Key.Key_Escape:
            self.left.emit()
        else:
            super().keyPressEvent(event)

    def show_row(self, place: int, version: VersionRow, damaged: bool, colour: QColor | None) -> None:
        """Write one row; ``colour`` is that of the text, None for the usual one."""
        what = "Damaged" if damaged else version.what
        for column, text in enumerate((version.when, what, percent(version.known))):
            item = QTableWidgetItem(text)
            item.setTextAlignment(_alignment(column))
            item.setToolTip(as_tooltip(version.tip))
            item.setData(Qt.ItemDataRole.UserRole, version.generation)
            if damaged:
                item.setFlags(Qt.ItemFlag.NoItemFlags)
            if colour is not None:
                item.setForeground(colour)
            self.setItem(place, column, item)


class VersionsPanel(QWidget):
    """A list of versions, the newest first, in the place of the list of cases."""

    look_requested = Signal(int)
    restore_requested = Signal(int)
    close_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._versions: CaseVersions | None = None
        self._theme: Theme | None = None
        self._blocked = ""
        self.title, self.state = ElidedLabel("title"), ElidedLabel("muted")
        self.table = VersionTable()
        self.restore_button = push_button(
            "Restore", "Make this version your annotation again. Undo takes that back.", self.ask_restore
        )
        self.close_button = push_button("Close", "Back to the cases", self.close_requested)
        self.table.itemSelectionChanged.connect(self._ask_look)
        self.table.left.connect(self.close_requested)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addWidget(self.title)
        layout.addWidget(self.table, 1)
        bottom = row(self.state, self.restore_button, self.close_button)
        bottom.setStretch(0, 1)
        layout.addLayout(bottom)

    @property
    def chosen(self) -> int | None:
        """Generation of the selected row."""
        items = self.table.selectedItems()
        return items[0].data(Qt.ItemDataRole.UserRole) if items else None

    def set_versions(self, versions: CaseVersions) -> None:
        """Show the versions of a case, and which of them is looked at."""
        self._versions = versions
        self.title.show_text(f"Versions of {versions.case_name}")
        generations = [version.generation for version in versions.rows]
        self.table.blockSignals(True)
        self.table.setRowCount(len(versions.rows))
        for place, version in enumerate(versions.rows):
            damaged = version.generation in versions.damaged
            self.table.show_row(place, version, damaged, self._colour(damaged))
        self.table.selectRow(generations.index(versions.chosen))
        self.table.blockSignals(False)
        present = versions.chosen == generations[0]
        self.state.show_text(PRESENT if present else LOOKING)
        allow(self.restore_button, self._blocked or (IS_PRESENT if present else ""))

    def set_blocked(self, restoring: str) -> None:
        """Disable restoring, with the reason."""
        self._blocked = restoring
        if self._versions is not None:
            self.set_versions(self._versions)

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self._theme = theme
        if self._versions is not None:
            self.set_versions(self._versions)

    def _colour(self, damaged: bool) -> QColor | None:
        return QColor(self._theme.disabled) if damaged and self._theme is not None else None

    def _ask_look(self) -> None:
        if self.chosen is not None:
            self.look_requested.emit(self.chosen)

    def ask_restore(self) -> None:
        """Ask for the version in sight to be the annotation again."""
        if self.chosen is not None:
            self.restore_requested.emit(self.chosen)


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column == KNOWN else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter
