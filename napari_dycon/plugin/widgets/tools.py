"""One row of tools for labelling; while the session has a question, it is asked in the same place."""

from collections.abc import Sequence

from qtpy.QtCore import QSize, Signal
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_dycon.plugin.actions import CLEANUPS, SAYS, SHAPES
from napari_dycon.plugin.controllers.question import Question
from napari_dycon.plugin.layers.known_map import LOOKS
from napari_dycon.plugin.widgets.action_menu import ActionMenu, PanelMenu
from napari_dycon.plugin.widgets.icons import icon, two_icons
from napari_dycon.plugin.widgets.intensity import IntensityPanel
from napari_dycon.plugin.widgets.parts import (
    allow,
    menu_button,
    push_button,
    set_tip,
)
from napari_dycon.plugin.widgets.question_strip import QuestionStrip
from napari_dycon.plugin.widgets.theme import Theme
from napari_dycon.study.truth.annotations import Known

HEIGHT = 28
PLAIN = next(iter(SAYS))
"""What the brush says unless it is told otherwise."""
SAY_COLOURS = {"background": LOOKS[Known.DRAWN][1], "ignore": LOOKS[Known.IGNORE][1]}
"""Colours of the brush on its button: those of its strokes in the known map."""


class ToolsPanel(QWidget):
    """Undo and redo, what the brush says, operations on the active structure, and further menus.

    Attributes
    ----------
    known_button
        Stays down while the known map is shown.
    """

    undo_requested = Signal()
    redo_requested = Signal()
    brush_requested = Signal()
    growth_requested = Signal()
    known_requested = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self._theme: Theme | None = None
        self._says = PLAIN
        self.paint_menu = ActionMenu(self, *(f"say_{what}" for what in SAYS))
        self.paint_menu.tick(f"say_{PLAIN}")
        self.cleanup_menu = ActionMenu(self, *(f"clean_{how}" for how in CLEANUPS))
        self.region_menu = ActionMenu(self, *(f"region_{shape}" for shape in SHAPES))
        self.more_menu = ActionMenu(self, "versions", "keys")
        self.undo_button = push_button("", "Undo", self.undo_requested, "tool")
        self.redo_button = push_button("", "Redo", self.redo_requested, "tool")
        self.paint_button = push_button("", "Paint", self.brush_requested, "tool")
        self.says_button = menu_button("", "What the brush says", self.paint_menu, "narrow")
        self.window_menu = ActionMenu(self)
        self.window_button = menu_button("", "Brightness and contrast of the scan", self.window_menu, "tool")
        self.intensity = IntensityPanel()
        range_menu = PanelMenu(self, self.intensity)
        self.range_button = menu_button(
            "", "Paint only within a range of intensities (I)", range_menu, "tool"
        )
        self.grow_button = push_button("", "Grow a piece from strokes", self.growth_requested, "tool")
        self.interpolate_menu = ActionMenu(self, "interpolate", "interpolate_all", "", "carry_over")
        self.interpolate_button = menu_button(
            "", "Fill in: between slices, from another exam", self.interpolate_menu, "tool"
        )
        self.cleanup_button = menu_button("", "Clean up the active structure", self.cleanup_menu, "tool")
        self.region_button = menu_button("", "Region", self.region_menu, "tool")
        self.known_button = push_button("", "Show what is known, and how", None, "tool")
        self.more_button = menu_button("", "More", self.more_menu, "tool")
        for button in (self.paint_button, self.range_button, self.known_button):
            button.setCheckable(True)
        self.known_button.clicked.connect(self.known_requested)
        self.strip = QuestionStrip()
        self._lay_out()

    def _lay_out(self) -> None:
        tools = QWidget()
        line = QHBoxLayout(tools)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(2)
        for button in self._icons():
            if button in (self.paint_button, self.grow_button, self.known_button):
                line.addWidget(_gap())
            line.addWidget(button, 0 if button is self.says_button else 1)
        self.pages = QStackedWidget()
        self.pages.addWidget(tools)
        self.pages.addWidget(self.strip)
        self.pages.setFixedHeight(HEIGHT)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.pages)

    # ---- showing -----------------------------------------------------------------------------

    def set_question(self, question: Question | None) -> None:
        """Ask ``question`` in the place of the tools; None shows the tools again."""
        if question is not None:
            self.strip.ask(question)
        else:
            self.strip.rest()
        self.pages.setCurrentIndex(0 if question is None else 1)

    def set_history(self, undo: str, redo: str, keys: Sequence[str], blocked: str) -> None:
        """Name what would be undone and done again, empty where there is nothing; or why it cannot be."""
        for button, verb, name, key in zip(
            (self.undo_button, self.redo_button), ("Undo", "Redo"), (undo, redo), keys, strict=True
        ):
            set_tip(button, f"{verb}: {name} ({key})" if name else f"{verb} ({key})")
            allow(button, blocked or ("" if name else f"There is nothing to {verb.lower()}."))
        self._draw_icons()

    def set_paint(self, how: str, in_hand: bool) -> None:
        """Show what the brush says, a key of ``SAYS``, and whether it is in the hand."""
        self.paint_menu.tick(f"say_{how}")
        self.paint_button.setChecked(in_hand)
        self._says = how
        said = "" if how == PLAIN else f": {SAYS[how]}"
        set_tip(self.paint_button, f"Paint{said}. Press again to move the picture")
        set_tip(self.says_button, f"What the brush says: {SAYS[how]}")
        self._draw_icons()

    def set_range(self, on: bool, chosen: tuple[float, float], bounds: tuple[float, float]) -> None:
        """Show whether painting keeps to a range of intensities, and to which."""
        self.range_button.setChecked(on)
        self.intensity.set_range(on, chosen, bounds)

    def set_structure(self, name: str) -> None:
        """Name the active structure in the menus."""
        self.interpolate_menu.tell("interpolate", name)
        self.cleanup_button.setProperty("tip", f"Clean up {name}" if name else "Clean up")

    def set_blocked(self, labelling: str) -> None:
        """Disable whatever changes labels, with the reason."""
        for button in (
            self.paint_button,
            self.says_button,
            self.range_button,
            self.grow_button,
            self.interpolate_button,
            self.cleanup_button,
            self.region_button,
        ):
            allow(button, labelling)
        self._draw_icons()

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self._theme = theme
        self.intensity.set_theme(theme)
        self.strip.set_theme(theme)
        self._draw_icons()

    def _icons(self) -> dict[QPushButton, str]:
        return {
            self.undo_button: "undo",
            self.redo_button: "redo",
            self.paint_button: "brush",
            self.says_button: "down",
            self.range_button: "range",
            self.grow_button: "grow",
            self.interpolate_button: "interpolate",
            self.cleanup_button: "clean",
            self.region_button: "region",
            self.known_button: "known",
            self.window_button: "window",
            self.more_button: "more",
        }

    def _draw_icons(self) -> None:
        if self._theme is None:
            return
        theme = self._theme
        for button, name in self._icons().items():
            button.setIconSize(QSize(16, 16))
            if button in (self.range_button, self.known_button):
                button.setIcon(two_icons(name, theme.muted, theme.text, theme.disabled))
            else:
                colour = (
                    SAY_COLOURS.get(self._says, theme.text) if button is self.paint_button else theme.text
                )
                button.setIcon(icon(name, colour if button.isEnabled() else theme.disabled))


def _gap() -> QFrame:
    line = QFrame()
    line.setProperty("role", "rule")
    line.setFixedSize(1, HEIGHT - 14)
    return line
