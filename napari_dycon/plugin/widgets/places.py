"""The page that says where to train: this computer, or a machine that the person has named."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QFrame, QRadioButton, QScrollArea, QVBoxLayout, QWidget

from napari_dycon.plugin.controllers.expert import Refusal
from napari_dycon.plugin.controllers.setting import Setting
from napari_dycon.plugin.widgets.forms import SettingsForm
from napari_dycon.plugin.widgets.icons import icon
from napari_dycon.plugin.widgets.parts import flat_button, plain_label, push_button, row
from napari_dycon.plugin.widgets.theme import Theme

LEAD = (
    "The study stays on this computer. What a training needs is sent through your own ssh, without names of "
    "files or patients, and removed there when the model is back."
)
INDENT = 22


class Place(NamedTuple):
    """A line of the list; without a name it is this computer."""

    name: str
    text: str
    usable: bool
    chosen: bool


class PlaceRow(QWidget):
    """A place to choose, what is known of it, and for a machine what can be done with it."""

    def __init__(self, page: "PlacesPage", place: Place) -> None:
        super().__init__()
        self.choice = QRadioButton(place.name or "This computer")
        self.choice.setChecked(place.chosen)
        self.choice.clicked.connect(partial(self._ask, page, place.name))
        self.text = plain_label(place.text, "muted" if place.usable else "bad")
        self.text.setWordWrap(True)
        self.text.setContentsMargins(INDENT, 0, 0, 0)
        head = row(self.choice, 1)
        if place.name:
            for title, tip, signal in (
                ("Ask", "Ask the machine what it has", page.check_requested),
                ("Change", "Change how the machine is reached", page.begin_requested),
                ("Forget", "Take the machine off the list", page.forget_requested),
            ):
                head.addWidget(flat_button(title, tip, partial(self._tell, signal, place.name)))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 4)
        column.setSpacing(1)
        column.addLayout(head)
        column.addWidget(self.text)

    @staticmethod
    def _ask(page: "PlacesPage", name: str, checked: bool = False) -> None:
        del checked
        page.choose_requested.emit(name)

    @staticmethod
    def _tell(signal: Any, name: str, checked: bool = False) -> None:
        del checked
        signal.emit(name)


class PlacesPage(QWidget):
    """Where to train, and the small form about a machine."""

    closed = Signal()
    choose_requested = Signal(str)
    check_requested = Signal(str)
    begin_requested = Signal(str)
    forget_requested = Signal(str)
    change_requested = Signal(str, object)
    reset_requested = Signal(str)
    keep_requested = Signal()

    def __init__(self, settings: Sequence[Setting]) -> None:
        super().__init__()
        self.close_button = push_button("", "Back (Esc)", self.closed, "icon")
        self.add_button = flat_button("Add a machine", "Name another machine to train on", self._begin_new)
        self.lead = plain_label(LEAD, "muted")
        self.lead.setWordWrap(True)
        self.form = SettingsForm(settings, {})
        self.form.change_requested.connect(self.change_requested)
        self.form.reset_requested.connect(self.reset_requested)
        self.keep_button = push_button(
            "Keep and ask", "Put it on the list, and see what it has", None, "primary"
        )
        self.keep_button.clicked.connect(self._keep)
        self.cancel_button = push_button("Cancel", "Keep the list as it is", self.hide_form)
        self.rows: list[PlaceRow] = []
        self._theme: Theme | None = None
        self._lay_out()

    def _lay_out(self) -> None:
        self._list = QVBoxLayout()
        self._list.setSpacing(4)
        self.box = QWidget()
        inside = QVBoxLayout(self.box)
        inside.setContentsMargins(0, 6, 0, 0)
        inside.addWidget(plain_label("A machine", "title"))
        inside.addWidget(self.form)
        inside.addLayout(row(1, self.cancel_button, self.keep_button))
        self.box.hide()
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 6, 0)
        column.addLayout(self._list)
        column.addWidget(self.box)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidget(body)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 8, 10, 4)
        layout.setSpacing(7)
        layout.addLayout(row(self.close_button, plain_label("Where to train", "study"), 1, self.add_button))
        layout.addWidget(self.lead)
        layout.addWidget(scroll, 1)

    def set_places(self, places: Sequence[Place]) -> None:
        """List the places anew."""
        for line in self.rows:
            self._list.removeWidget(line)
            line.hide()
            line.deleteLater()
        self.rows = [PlaceRow(self, place) for place in places]
        for line in self.rows:
            self._list.addWidget(line)

    def show_form(self, values: Mapping[str, Any], refused: Mapping[str, Refusal]) -> None:
        """Show what was written about a machine, and what of it is not taken."""
        self.form.show_values(values, refused)

    def open_form(self) -> None:
        """Let a machine be written about."""
        self.box.show()
        next(iter(self.form.rows.values())).native.setFocus()

    def hide_form(self) -> None:
        """Leave the list as it is."""
        self.box.hide()

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self._theme = theme
        self.close_button.setIcon(icon("left", theme.text))
        self.close_button.setIconSize(QSize(14, 14))
        self.form.set_theme(theme)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Leave the form on Escape, then the page."""
        if event.key() != Qt.Key.Key_Escape:
            super().keyPressEvent(event)
        elif self.box.isVisible():
            self.hide_form()
        else:
            self.closed.emit()

    def _begin_new(self) -> None:
        self.begin_requested.emit("")

    def _keep(self) -> None:
        self.setFocus()  # a field that is still being written in tells what it has
        self.keep_requested.emit()
