"""The list of cases or, in the same place, the versions of the open case; bound to the session."""

from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtWidgets import QStackedWidget

from napari_dycon.plugin.actions import BY_ID, Situation
from napari_dycon.plugin.widgets.cases import CasesPanel
from napari_dycon.plugin.widgets.theme import Theme
from napari_dycon.plugin.widgets.versions import VersionsPanel

if TYPE_CHECKING:
    from napari_dycon.plugin.session import Session


class Shelf(QStackedWidget):
    """Shows one of two lists, so that nothing else in the dock moves.

    Parameters
    ----------
    cases
        The list of cases.
    session
        Its versions are shown as long as it has any.
    """

    def __init__(self, cases: CasesPanel, session: "Session") -> None:
        super().__init__()
        self._session = session
        self.cases, self.versions = cases, VersionsPanel()
        self.addWidget(self.cases)
        self.addWidget(self.versions)
        cases.menu.versions_requested.connect(session.versions.show)
        self.versions.look_requested.connect(session.versions.look_at)
        self.versions.restore_requested.connect(session.versions.restore)
        self.versions.close_requested.connect(session.versions.close)
        session.versions.changed.connect(self.show_versions)

    def show_versions(self) -> None:
        """Show the versions of the session's case, or the cases where it has none."""
        if not isalive(self):
            return
        versions, shown = self._session.versions.shown, self.currentWidget() is self.versions
        if versions is not None:
            self.versions.set_versions(versions)
        left = versions is None and self.versions.isAncestorOf(self.window().focusWidget())
        self.setCurrentWidget(self.cases if versions is None else self.versions)
        if versions is not None and not shown:
            self.versions.table.setFocus()
        elif left:
            self.cases.view.setFocus()  # Qt would choose the search, which has an undo of its own

    def show_reasons(self, now: Situation) -> None:
        """Disable restoring where nothing may be changed."""
        self.versions.set_blocked(BY_ID["restore_version"].why_not(now))

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self.cases.set_theme(theme)
        self.versions.set_theme(theme)
