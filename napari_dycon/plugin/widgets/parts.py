"""Small parts the panels share: labels, buttons, a thin progress line."""

from collections.abc import Callable
from functools import partial

from qtpy.QtCore import QPoint, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QCursor, QIcon, QPainter, QPaintEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QTableView,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from napari_dycon.plugin.widgets.theme import Theme

QUIET = ("flat", "tool", "narrow", "count", "icon")
"""Roles of buttons that the mouse gives no focus: its ring is for those who come by the Tab key."""


def plain_label(text: str = "", role: str = "") -> QLabel:
    """Return a label that never reads its text as markup."""
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setText(text)
    label.setProperty("role", role)
    return label


def answer_buttons(
    dialog: QDialog, accept: str, finish: Callable[[], None], reject: str = "Cancel"
) -> tuple[QDialogButtonBox, QPushButton]:
    """Return the buttons of a question without icons, and among them the one that ``finish`` is called by."""
    buttons = QDialogButtonBox()
    chosen = buttons.addButton(accept, QDialogButtonBox.ButtonRole.AcceptRole)
    chosen.setProperty("role", "primary")
    buttons.addButton(reject, QDialogButtonBox.ButtonRole.RejectRole)
    for button in buttons.buttons():
        button.setIcon(QIcon())
    buttons.accepted.connect(finish)
    buttons.rejected.connect(dialog.reject)
    return buttons, chosen


def prepare_table(table: QTableView, row_height: int) -> None:
    """Let a table of the dock have rows that are chosen whole and never edited, in pixels high."""
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.setTabKeyNavigation(False)
    table.setShowGrid(False)
    table.setWordWrap(False)
    table.setMinimumHeight(84)
    table.verticalHeader().hide()
    table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
    table.verticalHeader().setDefaultSectionSize(row_height)


class ElidedLabel(QElidingLabel):
    """One line of plain text, shortened with an ellipsis; the tooltip holds the whole text."""

    def __init__(self, role: str = "") -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setProperty("role", role)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def show_text(self, text: str) -> None:
        """Show ``text``; line breaks become blanks."""
        self.setText(" ".join(text.split()))
        self.setToolTip(as_tooltip(text))

    def minimumSizeHint(self) -> QSize:
        """Return the size of one line, whatever the length of the text."""
        return QSize(0, self.fontMetrics().height() + 2)

    sizeHint = minimumSizeHint

    def hasHeightForWidth(self) -> bool:
        """Return that the text asks for no height: it is shortened, and moves nothing around it."""
        return False


def as_tooltip(text: str) -> str:
    """Return ``text`` so that Qt shows it as it is: no markup is read, long lines are wrapped."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", "<br>")
    return f"<qt>{escaped}</qt>" if text else ""


def set_role(widget: QWidget, role: str) -> None:
    """Give ``widget`` another role of the style sheet and draw it anew."""
    if widget.property("role") != role:
        widget.setProperty("role", role)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


def push_button(text: str, tip: str, clicked: Callable[..., object] | None, role: str = "") -> QPushButton:
    """Return a button with a tooltip, connected to ``clicked``."""
    button = QPushButton(text)
    button.setProperty("role", role)
    button.setProperty("tip", tip)
    button.setToolTip(as_tooltip(tip))
    button.setCursor(Qt.CursorShape.PointingHandCursor)
    if role in QUIET:
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    if clicked is not None:
        button.clicked.connect(clicked)
    return button


def flat_button(text: str, tip: str, clicked: Callable[..., object] | None = None) -> QPushButton:
    """Return a button without a frame, for what is needed less often."""
    return push_button(text, tip, clicked, "flat")


def menu_button(text: str, tip: str, menu: QMenu, role: str = "") -> QPushButton:
    """Return a button that opens ``menu``."""
    button = push_button(text, tip, None, role)
    button.setMenu(menu)
    menu.aboutToHide.connect(partial(_leave, button))
    return button


def _leave(button: QPushButton) -> None:
    """Let a button know that the pointer has left it: Qt does not say so when its menu closes."""
    button.setAttribute(Qt.WidgetAttribute.WA_UnderMouse, button.rect().contains(_pointer(button)))
    button.update()


def _pointer(widget: QWidget) -> QPoint:
    return widget.mapFromGlobal(QCursor.pos())


def allow(button: QWidget, reason: str) -> None:
    """Enable ``button`` when ``reason`` is empty; else disable it and say why in its tooltip."""
    button.setEnabled(not reason)
    button.setProperty("reason", reason)
    set_tip(button, button.property("tip") or "")


def set_tip(button: QWidget, tip: str) -> None:
    """Give ``button`` another tooltip; why it is disabled, if it is, is told below."""
    reason = button.property("reason") or ""
    button.setProperty("tip", tip)
    button.setToolTip(as_tooltip(f"{tip}\n\n{reason}" if tip and reason else tip or reason))


def rule() -> QFrame:
    """Return a hairline between two panels."""
    line = QFrame()
    line.setProperty("role", "rule")
    line.setFixedHeight(1)
    return line


def row(*items: QWidget | int, spacing: int = 6) -> QHBoxLayout:
    """Return a row of widgets without margins; a number is a stretch."""
    layout = QHBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(spacing)
    for item in items:
        if isinstance(item, int):
            layout.addStretch(item)
        else:
            layout.addWidget(item)
    return layout


class Painted(QWidget):
    """A small widget that is drawn by hand, in the colours of the theme."""

    def __init__(self) -> None:
        super().__init__()
        self._theme: Theme | None = None

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self._theme = theme
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw nothing before the colours are known."""
        if self._theme is not None:
            painter = QPainter(self)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self.draw(painter, self._theme)
            painter.end()

    def draw(self, painter: QPainter, theme: Theme) -> None:
        """Draw the widget."""
        raise NotImplementedError


class ProgressLine(Painted):
    """A bar of four pixels: a share from 0 to 1, or idle when it is ``None``."""

    def __init__(self) -> None:
        super().__init__()
        self._share: float | None = None
        self.setFixedHeight(4)

    @property
    def share(self) -> float | None:
        """The share that is shown."""
        return self._share

    def set_share(self, share: float | None) -> None:
        """Show ``share`` (0 to 1), or an empty line for ``None``."""
        self._share = None if share is None else min(1.0, max(0.0, share))
        self.update()

    def draw(self, painter: QPainter, theme: Theme) -> None:
        """Draw the groove and the share."""
        painter.setPen(Qt.PenStyle.NoPen)
        bounds = QRectF(self.rect())
        painter.setBrush(QColor(theme.control))
        painter.drawRoundedRect(bounds, 2, 2)
        if self._share:
            painter.setBrush(QColor(theme.accent))
            painter.drawRoundedRect(
                QRectF(0, 0, max(4.0, bounds.width() * self._share), bounds.height()), 2, 2
            )


def in_cell(widget: QWidget) -> QWidget:
    """Put a widget into the cell of a table, so that it can be hidden; a table shows what lies in cells."""
    holder = QWidget()
    holder.setObjectName("holder")
    holder.setStyleSheet("QWidget#holder { background: transparent; }")
    layout = QVBoxLayout(holder)
    layout.setContentsMargins(0, 3, 8, 3)
    layout.addWidget(widget)
    return holder
