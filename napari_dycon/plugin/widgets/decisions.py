"""A button for the likely decision with a narrow one beside it for the others."""

from functools import partial

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from napari_dycon.plugin.widgets.action_menu import ActionMenu
from napari_dycon.plugin.widgets.icons import icon
from napari_dycon.plugin.widgets.parts import allow, menu_button, push_button
from napari_dycon.plugin.widgets.theme import Theme

ACCEPT = (
    "accept_slice",
    "accept_click",
    "accept_region",
    "accept_case",
    "",
    "withdraw_slice",
    "withdraw_region",
    "withdraw_case",
)
REJECT = ("reject_slice", "reject_click", "reject_region", "reject_case")


class SplitButton(QWidget):
    """The first of several decisions on a button, all of them in a menu beside it, which asks for them.

    Parameters
    ----------
    names
        Ids of actions; an empty one stands for a line.
    """

    def __init__(self, text: str, tip: str, sign: str, names: tuple[str, ...]) -> None:
        super().__init__()
        self._sign = sign
        self.menu = ActionMenu(self, *names)
        self.button = push_button(text, tip, partial(self._ask, names[0]))
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

    def _ask(self, name: str, checked: bool = False) -> None:
        del checked
        self.menu.asked.emit(name)
