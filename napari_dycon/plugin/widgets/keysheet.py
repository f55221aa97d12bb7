"""The list of keys: a page of the dock that can be searched, with the choice of the scheme."""

from collections.abc import Sequence
from dataclasses import dataclass

from qtpy.QtCore import QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QFont, QFontMetricsF, QKeyEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QComboBox, QFrame, QLineEdit, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from napari_dycon.plugin.widgets.icons import icon
from napari_dycon.plugin.widgets.parts import plain_label, push_button, row
from napari_dycon.plugin.widgets.theme import Theme

LINE, HEAD, GAP, EDGE = 25, 30, 5, 8


@dataclass(frozen=True)
class KeyLine:
    """One line of the list: what is done, under which heading, and with which keys."""

    group: str
    title: str
    keys: tuple[str, ...]

    def holds(self, words: Sequence[str]) -> bool:
        """Return whether every one of ``words`` is in the title, the heading or a key."""
        text = " ".join((self.group, self.title, *self.keys)).casefold()
        return all(word in text for word in words)


class KeyList(QWidget):
    """Draws lines under their headings, the keys as caps on the right."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: tuple[KeyLine, ...] = ()
        self._theme = Theme.named("dark")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    @property
    def lines(self) -> tuple[KeyLine, ...]:
        """The lines that are drawn."""
        return self._lines

    def set_lines(self, lines: Sequence[KeyLine]) -> None:
        """Draw ``lines``; those of one group follow each other."""
        self._lines = tuple(lines)
        groups = len({line.group for line in lines})
        self.setFixedHeight(max(len(lines) * LINE + groups * HEAD, HEAD + LINE))
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self._theme = theme
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw headings, titles and caps."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not self._lines:
            painter.setPen(QColor(self._theme.muted))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "No key does that.")
        top, group = 0.0, None
        for line in self._lines:
            if line.group != group:
                self._draw_heading(painter, top, line.group)
                top, group = top + HEAD, line.group
            self._draw_line(painter, top, line)
            top += LINE
        painter.end()

    def _draw_heading(self, painter: QPainter, top: float, text: str) -> None:
        font = QFont(self.font())
        font.setBold(True)
        painter.setFont(font)
        painter.setPen(QColor(self._theme.text))
        box = QRectF(EDGE, top + 8, self.width() - 2 * EDGE, HEAD - 10)
        painter.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, text)
        painter.setPen(QPen(QColor(self._theme.line), 1))
        painter.drawLine(round(box.left()), round(box.bottom()), round(box.right()), round(box.bottom()))
        painter.setFont(self.font())

    def _draw_line(self, painter: QPainter, top: float, line: KeyLine) -> None:
        right = self.width() - EDGE
        for key in reversed(line.keys):
            right = self._draw_cap(painter, right, top, key) - GAP
        box = QRectF(EDGE, top, right - EDGE - GAP, LINE)
        painter.setPen(QColor(self._theme.text))
        metrics = QFontMetricsF(painter.font())
        title = metrics.elidedText(line.title, Qt.TextElideMode.ElideRight, box.width())
        painter.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, title)

    def _draw_cap(self, painter: QPainter, right: float, top: float, key: str) -> float:
        width = max(QFontMetricsF(painter.font()).horizontalAdvance(key) + 12, 22.0)
        cap = QRectF(right - width, top + 3.5, width, LINE - 7)
        painter.setPen(QPen(QColor(self._theme.hover), 1))
        painter.setBrush(QColor(self._theme.field))
        painter.drawRoundedRect(cap, 4, 4)
        painter.setPen(QColor(self._theme.text))
        painter.drawText(cap, Qt.AlignmentFlag.AlignCenter, key)
        return float(cap.left())


class KeySearch(QLineEdit):
    """A search field; Escape empties it, and leaves the page when it is empty."""

    left = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Act on Escape; the rest is typing."""
        if event.key() != Qt.Key.Key_Escape:
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
        self._all: tuple[KeyLine, ...] = ()
        self.close_button = push_button("", "Back (Esc)", self.closed, "icon")
        self.scheme = QComboBox()
        self.scheme.setToolTip("Which program's keys to use")
        self.scheme.activated.connect(self._ask_scheme)
        self.search = KeySearch()
        self.search.setPlaceholderText("Search keys")
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._show)
        self.search.left.connect(self.closed)
        self.list = KeyList()
        self._scroll = QScrollArea()
        self._scroll.setWidget(self.list)
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 8, 10, 4)
        layout.setSpacing(7)
        layout.addLayout(row(self.close_button, plain_label("Keys", "study"), 1, self.scheme))
        layout.addWidget(self.search)
        layout.addWidget(self._scroll, 1)

    def set_schemes(self, schemes: Sequence[tuple[str, str]]) -> None:
        """Offer ``(name, title)`` of every scheme."""
        self.scheme.clear()
        for name, title in schemes:
            self.scheme.addItem(title, name)

    def set_keys(self, scheme: str, lines: Sequence[KeyLine]) -> None:
        """Show ``lines``, the keys of ``scheme``."""
        self._all = tuple(lines)
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
        self._scroll.verticalScrollBar().setValue(0)
        self.search.setFocus()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Leave on Escape wherever the focus is."""
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        else:
            super().keyPressEvent(event)

    def _show(self) -> None:
        words = self.search.text().casefold().split()
        self.list.set_lines([line for line in self._all if line.holds(words)])

    def _ask_scheme(self, place: int) -> None:
        self.scheme_requested.emit(self.scheme.itemData(place))
