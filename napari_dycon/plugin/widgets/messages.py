"""The lines at the bottom of the dock: the last note or error, never a window in the way."""

from qtpy.QtCore import QSize, QTimer
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

from napari_dycon.plugin.widgets.icons import icon
from napari_dycon.plugin.widgets.parts import ElidedLabel, flat_button, row, set_role
from napari_dycon.plugin.widgets.theme import Theme

HEIGHT = 26
"""Pixels of two lines: a longer text does not move the panels above."""
INFO_MS = 12_000
ROLES = {"info": "muted", "warning": "warn", "error": "bad"}


class MessageLine(QWidget):
    """A sentence of plain text with its level, on up to two lines; the tooltip holds all of it."""

    def __init__(self) -> None:
        super().__init__()
        self._sign = QLabel()
        self._sign.setFixedSize(QSize(16, 16))
        self.label = ElidedLabel("muted")
        self.label.setWordWrap(True)
        self.label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        self.dismiss_button = flat_button("×", "Dismiss", self.dismiss)
        self.dismiss_button.setFixedSize(QSize(20, 18))
        self._level = "info"
        self._shown = ""
        self._kept: list[tuple[str, str]] = []
        self._leave = QTimer(self)
        self._leave.setSingleShot(True)
        self._leave.setInterval(INFO_MS)
        self._leave.timeout.connect(self._show_kept)
        self._theme: Theme | None = None
        layout = row(self._sign, self.label, self.dismiss_button, spacing=5)
        layout.setStretch(1, 1)
        self.setLayout(layout)
        self.setFixedHeight(HEIGHT)
        self.clear()

    @property
    def text(self) -> str:
        """The message shown, in full."""
        return str(self.label.text())

    def show_message(self, level: str, text: str) -> None:
        """Show ``text``; ``level`` is info, warning or error.

        A note leaves after a while, or with an empty one; warnings and errors stay until they are dismissed.
        """
        if level in ("warning", "error") and text:
            self._kept = [kept for kept in self._kept if kept[1] != text] + [(level, text)]
        if not text:
            self._show_kept()
            return
        self._leave.start()
        self._show(level, text)

    def _show(self, level: str, text: str) -> None:
        self._shown = text
        self._level = level if level in ROLES else "info"
        set_role(self.label, ROLES[self._level])
        self.label.show_text(text)
        self.dismiss_button.setVisible(bool(text))
        self._draw_sign()

    def _show_kept(self) -> None:
        self._show(*(self._kept[-1] if self._kept else ("info", "")))

    def dismiss(self) -> None:
        """Let go of the message shown; one that was kept comes into sight again."""
        if self._kept and self._kept[-1][1] == self._shown:
            self._kept.pop()
        self._show_kept()

    def let_go(self, text: str) -> None:
        """Forget a message that is no longer so, whether it is in sight or below another."""
        self._kept = [kept for kept in self._kept if kept[1] != text]
        if self._shown == text:
            self._show_kept()

    def clear(self) -> None:
        """Show nothing, and keep nothing."""
        self._kept = []
        self._show_kept()

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self._theme = theme
        self._draw_sign()

    def _draw_sign(self) -> None:
        self._sign.setVisible(bool(self.text))
        if self._theme is not None:
            colour = {"info": self._theme.muted, "warning": self._theme.warn, "error": self._theme.bad}[
                self._level
            ]
            name = "info" if self._level == "info" else "warning"
            self._sign.setPixmap(icon(name, colour).pixmap(QSize(16, 16)))
