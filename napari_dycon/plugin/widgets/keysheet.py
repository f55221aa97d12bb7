"""The list of keys: a page of the dock that can be searched, with the choice of the scheme."""

from collections.abc import Sequence

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QComboBox, QLineEdit, QVBoxLayout, QWidget

from napari_dycon.plugin.widgets.icons import icon
from napari_dycon.plugin.widgets.key_table import KeyLine, KeyTable
from napari_dycon.plugin.widgets.parts import flat_button, plain_label, push_button, row
from napari_dycon.plugin.widgets.theme import Theme


class KeySearch(QLineEdit):
    """A search field; Escape empties it, then leaves the page; Down goes to what was found."""

    left = Signal()
    found_wanted = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Act on Escape and Down; the rest is typing."""
        if event.key() == Qt.Key.Key_Down:
            self.found_wanted.emit()
        elif event.key() != Qt.Key.Key_Escape:
            super().keyPressEvent(event)
        elif self.text():
            self.clear()
        else:
            self.left.emit()


class KeySheet(QWidget):
    """All keys of one scheme; the page of the dock that F1 opens."""

    scheme_requested = Signal(str)
    closed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.close_button = push_button("", "Back (Esc)", self.closed, "icon")
        self.scheme = QComboBox()
        self.scheme.setToolTip("Which program's keys to use")
        self.scheme.setAccessibleName("Key scheme")
        self.scheme.activated.connect(self._ask_scheme)
        self.search = KeySearch()
        self.search.setPlaceholderText("Search keys")
        self.search.setAccessibleName("Search keys")
        self.search.setClearButtonEnabled(True)
        self.list = KeyTable()
        self.search.textChanged.connect(self._show)
        self.search.left.connect(self.closed)
        self.search.found_wanted.connect(self._go_to_found)
        self.list.left.connect(self.closed)
        self.nothing = plain_label("No key does that.", "muted")
        self.nothing.hide()
        self.copy_button = flat_button("Copy", "Copy the selected lines, or else all that are shown (Ctrl+C)")
        self.copy_button.clicked.connect(self.list.copy)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 8, 10, 4)
        layout.setSpacing(7)
        layout.addLayout(row(self.close_button, plain_label("Keys", "study"), 1, self.scheme))
        layout.addLayout(row(self.search, self.copy_button))
        layout.addWidget(self.nothing)
        layout.addWidget(self.list, 1)

    def set_schemes(self, schemes: Sequence[tuple[str, str]]) -> None:
        """Offer ``(name, title)`` of every scheme."""
        self.scheme.clear()
        for name, title in schemes:
            self.scheme.addItem(title, name)

    def set_keys(self, scheme: str, lines: Sequence[KeyLine]) -> None:
        """Show ``lines``, the keys of ``scheme``."""
        self.list.set_lines(lines)
        self.scheme.setCurrentIndex(self.scheme.findData(scheme))
        self._show()

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self.list.set_theme(theme)
        self.close_button.setIcon(icon("left", theme.text))
        self.close_button.setIconSize(QSize(14, 14))

    def begin(self) -> None:
        """Show everything from the top, ready to search."""
        self.search.clear()
        self.list.clearSelection()
        self.list.scrollToTop()
        self.search.setFocus()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Leave on Escape wherever the focus is."""
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        else:
            super().keyPressEvent(event)

    def _show(self) -> None:
        self.list.search(self.search.text())
        self.nothing.setVisible(not self.list.lines)

    def _go_to_found(self) -> None:
        if self.list.lines:
            self.list.setFocus()
            self.list.selectRow(1)  # below the first heading

    def _ask_scheme(self, place: int) -> None:
        self.scheme_requested.emit(self.scheme.itemData(place))
