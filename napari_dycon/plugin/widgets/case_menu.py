"""What can be done with the selected cases, and with those that were removed, as a menu."""

from collections.abc import Callable, Sequence

from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QMenu, QWidget

from napari_dycon.plugin.actions import BY_ID
from napari_dycon.plugin.controllers.case_rows import CaseRow
from napari_dycon.plugin.widgets.dialogs import confirm_removal
from napari_dycon.study.store.removing import RemovedCase

MOST_REMOVED_SHOWN = 12


class CaseMenu(QObject):
    """Asks for what is chosen in it.

    Parameters
    ----------
    parent
        The widget that menu and questions belong to.
    selected
        Returns the rows of the selected cases.

    Attributes
    ----------
    removed_cases
        Returns the cases that can be put back.
    """

    open_requested = Signal(str)
    versions_requested = Signal(str)
    predict_requested = Signal(list)
    review_requested = Signal(list, bool)
    flag_requested = Signal(list, bool)
    remove_requested = Signal(list)
    restore_requested = Signal(str)
    search_requested = Signal()

    def __init__(self, parent: QWidget, selected: Callable[[], list[CaseRow]]) -> None:
        super().__init__(parent)
        self._selected = selected
        self._blocked = self._no_prediction = self._no_search = ""
        self.removed_cases: Callable[[], Sequence[RemovedCase]] = tuple

    def set_blocked(self, changing: str, predicting: str, searching: str) -> None:
        """Disable what changes the study, predicting, or looking for moved scans, each with the reason."""
        self._blocked, self._no_prediction, self._no_search = changing, predicting, searching

    def make(self) -> QMenu:
        """Return a new menu; empty where there is nothing to do."""
        menu, rows = QMenu(self.parent()), self._selected()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.setToolTipsVisible(True)
        if rows:
            self._add_actions(menu, rows)
        removed = list(self.removed_cases())[:MOST_REMOVED_SHOWN]
        if removed and not self._blocked:
            self._add_removed(menu, removed)
        return menu

    def ask_removal(self) -> None:
        """Ask whether the selected cases shall leave the study."""
        rows = self._selected()
        if rows and not self._blocked:
            cases = [row.id for row in rows]
            names = [row.name for row in rows]
            confirm_removal(self.parent(), names, lambda: self.remove_requested.emit(cases))

    def _add_actions(self, menu: QMenu, rows: list[CaseRow]) -> None:
        cases, many = [row.id for row in rows], "" if len(rows) == 1 else f" {len(rows)} cases"
        flagged, to_review = all(row.flagged for row in rows), all(row.to_review for row in rows)
        if not many:
            menu.addAction("Open", lambda: self.open_requested.emit(cases[0]))
            menu.addAction(BY_ID["versions"].words, lambda: self.versions_requested.emit(cases[0]))
        predict = menu.addAction(f"Predict{many}", lambda: self.predict_requested.emit(cases))
        menu.addSeparator()
        review = menu.addAction(
            f"Reviewed{many and ':' + many}" if to_review else f"To review{many and ':' + many}",
            lambda: self.review_requested.emit(cases, not to_review),
        )
        flag = menu.addAction(
            f"Unflag{many}" if flagged else f"Flag{many}",
            lambda: self.flag_requested.emit(cases, not flagged),
        )
        menu.addSeparator()
        remove = menu.addAction(f"Remove{many}…", self.ask_removal)
        for action in (review, flag, remove):
            _allow(action, self._blocked)
        _allow(predict, self._no_prediction)
        if any(row.lost for row in rows):
            search = menu.addAction(BY_ID["find_scans"].words, lambda: self.search_requested.emit())
            _allow(search, self._no_search)

    def _add_removed(self, menu: QMenu, removed: list[RemovedCase]) -> None:
        back = menu.addMenu("Put back")
        back.setToolTipsVisible(True)
        for item in removed:
            action = back.addAction(item.name.replace("&", "&&"))
            action.setToolTip(f"Removed {item.removed.replace('T', ' ').split('+')[0]} UTC")
            action.setData(item.folder)
        back.triggered.connect(lambda action: self.restore_requested.emit(action.data()))


def _allow(entry: QAction, reason: str) -> None:
    entry.setEnabled(not reason)
    entry.setToolTip(reason)
