"""The page of expert settings: folded away, searchable, everything explained; nobody needs it to train."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QFrame, QLineEdit, QScrollArea, QVBoxLayout, QWidget

from napari_dycon.plugin.controllers.expert import METHOD, PLAN, Refusal, Section
from napari_dycon.plugin.widgets.forms import SettingsForm
from napari_dycon.plugin.widgets.icons import icon
from napari_dycon.plugin.widgets.parts import allow, flat_button, plain_label, push_button, row, set_role
from napari_dycon.plugin.widgets.theme import Theme

LEAD = (
    "Nothing here needs to be set. What you set holds until the study is closed, and is kept with each "
    "training."
)
LOADING = "Loading what there is to set…"
NOTHING_SET = "Nothing was set by hand for the newest run."


class SectionPanel(QWidget):
    """A heading that folds the form below it."""

    def __init__(self, section: Section, method: str) -> None:
        super().__init__()
        self.title = f"{section.title}: {method}" if section.key == METHOD else section.title
        inside = "" if section.key in (PLAN, METHOD) else f"{section.key}."
        self.form = SettingsForm(section.settings, section.planned, f"--override {inside}")
        self.head = push_button(self.title, "Show or hide these settings", self._fold, "fold")
        self.head.setCheckable(True)
        self._theme: Theme | None = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(row(self.head, 1))
        layout.addWidget(self.form)
        self._fold()

    def show_values(self, values: Mapping[str, Any], refused: Mapping[str, Refusal]) -> None:
        """Show what was set and what is refused, and in the heading how much."""
        self.form.show_values(values, refused)
        count = f"{len(values)} set" if values else ""
        wrong = f"{len(refused)} refused" if refused else ""
        self.head.setText("  ·  ".join(filter(None, (self.title, count, wrong))))
        set_role(self.head, "fold-bad" if refused else "fold")

    def open_touched(self) -> None:
        """Unfold if anything is set or refused."""
        if self.head.text() != self.title:
            self.head.setChecked(True)
            self._fold()

    def search(self, words: Sequence[str]) -> None:
        """Show what holds every one of ``words``; without any, what was open before."""
        found = self.form.search(words)
        self.setVisible(found)
        self.form.setVisible(found and (bool(words) or self.head.isChecked()))
        self._draw()

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self._theme = theme
        self.form.set_theme(theme)
        self._draw()

    def _fold(self) -> None:
        self.form.setVisible(self.head.isChecked())
        self._draw()

    def _draw(self) -> None:
        if self._theme is not None:
            self.head.setIcon(icon("right" if self.form.isHidden() else "down", self._theme.muted))


class ExpertPage(QWidget):
    """All settings of a training; the page of the dock that the button beside Train opens."""

    closed = Signal()
    change_requested = Signal(str, str, object)
    reset_requested = Signal(str, str)
    reset_all_requested = Signal()
    repeat_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.close_button = push_button("", "Back (Esc)", self.closed, "icon")
        self.repeat_button = flat_button("As last time", "", self.repeat_requested.emit)
        self.reset_button = flat_button(
            "Reset all", "Leave everything to the plan again", self.reset_all_requested.emit
        )
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search settings")
        self.search.setAccessibleName("Search settings")
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._search)
        self.lead = plain_label(LOADING, "muted")
        self.lead.setWordWrap(True)
        self.panels: dict[str, SectionPanel] = {}
        self._theme: Theme | None = None
        self._body = QWidget()
        self._column = QVBoxLayout(self._body)
        self._column.setContentsMargins(0, 0, 6, 0)
        self._column.setSpacing(4)
        self._column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidget(self._body)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 8, 10, 4)
        layout.setSpacing(7)
        title = plain_label("Settings of Train", "study")
        layout.addLayout(row(self.close_button, title, 1, self.repeat_button, self.reset_button))
        layout.addWidget(self.lead)
        layout.addWidget(self.search)
        layout.addWidget(scroll, 1)

    def begin(self) -> None:
        """Wait for what there is to set."""
        self.search.clear()
        self.set_sections((), "")
        self.setFocus()

    def set_sections(self, sections: Sequence[Section], method: str) -> None:
        """Make the forms of ``sections``; ``method`` is how the method is called."""
        for panel in self.panels.values():
            self._column.removeWidget(panel)
            panel.hide()
            panel.deleteLater()
        self.panels = {section.key: self._panel(section, method) for section in sections}
        self.lead.setText(LEAD if sections else LOADING)
        for part in (self.search, self.repeat_button, self.reset_button):
            part.setVisible(bool(sections))
        self._search()

    def open_touched(self) -> None:
        """Unfold the sections in which something is set or refused."""
        for panel in self.panels.values():
            panel.open_touched()

    def show_values(
        self,
        values: Mapping[str, Mapping[str, Any]],
        refused: Mapping[str, Mapping[str, Refusal]],
        last_run: str,
    ) -> None:
        """Show what was set and refused, by section; offer what was set for ``last_run``, if anything was."""
        for key, panel in self.panels.items():
            panel.show_values(values.get(key, {}), refused.get(key, {}))
        self.repeat_button.setProperty("tip", f"Set what was set for {last_run}" if last_run else "")
        allow(self.repeat_button, "" if last_run else NOTHING_SET)
        nothing = not any(values.values()) and not any(refused.values())
        allow(self.reset_button, "Nothing is set by hand." if nothing else "")
        self._search()

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self._theme = theme
        self.close_button.setIcon(icon("left", theme.text))
        self.close_button.setIconSize(QSize(14, 14))
        for panel in self.panels.values():
            panel.set_theme(theme)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Empty the search on Escape, then leave, wherever the focus is."""
        if event.key() != Qt.Key.Key_Escape:
            super().keyPressEvent(event)
        elif self.search.text():
            self.search.clear()
        else:
            self.closed.emit()

    def _panel(self, section: Section, method: str) -> SectionPanel:
        panel = SectionPanel(section, method)
        panel.form.change_requested.connect(partial(self._ask_change, section.key))
        panel.form.reset_requested.connect(partial(self._ask_reset, section.key))
        if self._theme is not None:
            panel.set_theme(self._theme)
        self._column.insertWidget(self._column.count() - 1, panel)
        return panel

    def _ask_change(self, key: str, name: str, given: Any) -> None:
        self.change_requested.emit(key, name, given)

    def _ask_reset(self, key: str, name: str) -> None:
        self.reset_requested.emit(key, name)

    def _search(self) -> None:
        words = self.search.text().casefold().split()
        for panel in self.panels.values():
            panel.search(words)
