"""Binds the expert settings to the session."""

from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtCore import QObject

from napari_dycon.plugin.widgets.expert import ExpertPage
from napari_dycon.plugin.widgets.placesbench import PlacesBench, SettingsDock

if TYPE_CHECKING:
    from napari_dycon.plugin.session import Session


class ExpertBench(QObject):
    """Shows what an expert has set, and tells the session what she sets.

    Parameters
    ----------
    dock
        Shows the settings as one of its pages; the bench lives as long as it.
    session
        What they belong to.

    Attributes
    ----------
    page
        The settings.
    places
        Where to train, the other page of Train.
    """

    def __init__(self, dock: SettingsDock, session: "Session") -> None:
        super().__init__(dock)
        self._dock, self._session = dock, session
        self.page, self.places = ExpertPage(), PlacesBench(dock, session)
        for signal, slot in (
            (self.page.closed, dock.show_page),
            (self.page.change_requested, session.expert.change),
            (self.page.reset_requested, session.expert.reset),
            (self.page.reset_all_requested, session.expert.reset_all),
            (self.page.repeat_requested, session.expert.repeat_last),
            (dock.training.settings_requested, self.open),
            (dock.training.method.currentIndexChanged, self._show_changes),
            (session.expert.found, self._show_sections),
            (session.expert.changed, self._show_values),
        ):
            signal.connect(slot)

    def open(self) -> None:
        """Open the settings of the method that is chosen."""
        self.page.begin()
        self._dock.pages.setCurrentWidget(self.page)
        self._session.expert.look(self._dock.training.method.currentData() or "")

    def _show_sections(self) -> None:
        if isalive(self):
            title = self._dock.training.method.currentText().partition(":")[0]
            self.page.set_sections(self._session.expert.sections, title)
            self._show_values()
            self.page.open_touched()

    def _show_values(self) -> None:
        if not isalive(self):
            return
        expert = self._session.expert
        keys = [section.key for section in expert.sections]
        self.page.show_values(
            {key: expert.values(key) for key in keys},
            {key: expert.refusals(key) for key in keys},
            expert.last_run if expert.can_repeat else "",
        )
        self._show_changes()

    def _show_changes(self) -> None:
        method = self._dock.training.method.currentData() or ""
        self._dock.training.set_changes(self._session.expert.changes(method))
