"""Binds the page that says where to train to the session."""

from typing import TYPE_CHECKING, Protocol

from qtpy.compat import isalive
from qtpy.QtCore import QObject

from napari_dycon.plugin.widgets.places import Place, PlacesPage

if TYPE_CHECKING:
    from qtpy.QtWidgets import QStackedWidget

    from napari_dycon.engine.runners.elsewhere.machines import NamedMachine
    from napari_dycon.plugin.session import Session
    from napari_dycon.plugin.widgets.training import TrainingPanel

HERE = "{device}, as Preferences > Plugins > DyCON say"
DEVICES = {"cuda": "Graphics card", "mps": "Apple graphics", "cpu": "Processor", "auto": "The best device"}


class SettingsDock(Protocol):
    """A dock with pages, and with the button that opens the settings."""

    pages: "QStackedWidget"
    training: "TrainingPanel"

    def show_page(self) -> None:
        """Show the work, or the two ways to begin it."""


class PlacesBench(QObject):
    """Shows where to train, and tells the session where a person wants to.

    Parameters
    ----------
    dock
        Shows it as one of its pages; the bench lives as long as it.
    session
        What is trained.

    Attributes
    ----------
    page
        The page.
    """

    def __init__(self, dock: SettingsDock, session: "Session") -> None:
        super().__init__(dock)
        self._dock, self._session = dock, session
        self._places = places = session.training.places
        self.page = PlacesPage(places.settings)
        for signal, slot in (
            (self.page.closed, dock.show_page),
            (self.page.choose_requested, places.choose),
            (self.page.check_requested, places.check),
            (self.page.begin_requested, self._begin),
            (self.page.forget_requested, places.forget),
            (self.page.change_requested, places.change),
            (self.page.reset_requested, places.reset),
            (self.page.keep_requested, self._keep),
            (dock.training.places_requested, self.open),
            (places.changed, self._show),
            (session.training.engine_ready, self._show),
        ):
            signal.connect(slot)
        self._show()

    def open(self) -> None:
        """Open the page."""
        self._places.look()
        self.page.hide_form()
        self._dock.pages.setCurrentWidget(self.page)
        self.page.setFocus()

    def _begin(self, name: str) -> None:
        self._places.begin(name)
        self.page.open_form()

    def _keep(self) -> None:
        if self._places.keep():
            self.page.hide_form()

    def _show(self) -> None:
        if not isalive(self):
            return
        places = self._places
        chosen = places.machine.name if places.machine is not None else ""
        device = self._session.training.device
        here = Place("", HERE.format(device=DEVICES.get(device, device)), True, not chosen)
        self.page.set_places([here, *(self._line(machine, chosen) for machine in places.machines)])
        self.page.show_form(places.values(), places.refused)
        self._dock.training.set_place(chosen)

    def _line(self, machine: "NamedMachine", chosen: str) -> Place:
        said = self._places.said.get(machine.name)
        through = machine.destination or f"folder {machine.scratch}"
        text = through if said is None else f"{through} · {said.text}" if said.usable else said.text
        return Place(machine.name, text, said is None or said.usable, machine.name == chosen)
