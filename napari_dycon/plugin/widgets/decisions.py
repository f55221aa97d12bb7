"""A button for the likely decision with a narrow one beside it for the others."""

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QHBoxLayout, QMenu, QSizePolicy, QWidget

from napari_dycon.plugin.widgets.icons import icon
from napari_dycon.plugin.widgets.parts import allow, menu_button, push_button
from napari_dycon.plugin.widgets.theme import Theme

Choice = tuple[str, str, str]
"""What to do, to which part, and the words of it in the menu; empty words for a line between."""

ACCEPT: tuple[Choice, ...] = (
    ("accept", "slice", "Accept on this slice"),
    ("accept", "piece", "Accept a piece: click it"),
    ("accept", "region", "Accept in a box: draw it"),
    ("accept", "case", "Accept the whole case"),
    ("", "", ""),
    ("withdraw", "slice", "Take back on this slice"),
    ("withdraw", "region", "Take back in a box: draw it"),
    ("withdraw", "case", "Take back in the whole case"),
)
REJECT: tuple[Choice, ...] = (
    ("reject", "slice", "Reject on this slice"),
    ("reject", "piece", "Reject a piece: click it"),
    ("reject", "region", "Reject in a box: draw it"),
    ("reject", "case", "Reject the whole case"),
)


class SplitButton(QWidget):
    """The first of several decisions on a button, all of them in a menu beside it."""

    chosen = Signal(str, str)

    def __init__(self, text: str, tip: str, sign: str, choices: Sequence[Choice]) -> None:
        super().__init__()
        self._sign = sign
        self._first = choices[0]
        self.menu = QMenu(self)
        for what, part, words in choices:
            if words:
                self.menu.addAction(words).setData((what, part))
            else:
                self.menu.addSeparator()
        self.menu.triggered.connect(self._choose)
        self.button = push_button(text, tip, self._choose_first)
        self.button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.more = menu_button("", f"{tip.split()[0]}: slice, piece, box, case", self.menu, "icon")
        self.more.setFixedWidth(22)
        self.more.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        layout.addWidget(self.button, 1)
        layout.addWidget(self.more)

    def allow(self, reason: str) -> None:
        """Enable it when ``reason`` is empty, else say why not."""
        for button in (self.button, self.more):
            allow(button, reason)

    def draw(self, theme: Theme) -> None:
        """Draw the icons in the colours of ``theme``."""
        colour = theme.text if self.button.isEnabled() else theme.muted
        self.button.setIcon(icon(self._sign, colour))
        self.more.setIcon(icon("down", colour))

    def _choose(self, action: QAction) -> None:
        self.chosen.emit(*action.data())

    def _choose_first(self) -> None:
        self.chosen.emit(*self._first[:2])
