"""The line below the case table: marks and a note for the open case, back, and on to the next one."""

from collections.abc import Callable

from qtpy.QtCore import QSize, Qt, QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QWidget

from napari_dycon.plugin.controllers.case_rows import CaseRow
from napari_dycon.plugin.widgets.case_view import sign_colour
from napari_dycon.plugin.widgets.icons import icon, two_icons
from napari_dycon.plugin.widgets.parts import allow, push_button
from napari_dycon.plugin.widgets.theme import Theme

WRITE_AFTER_MS = 700
LONGEST_NOTE = 2000


class CaseLine(QWidget):
    """What can be said about the open case, and the way on."""

    note_requested = Signal(str, str)
    flag_requested = Signal(list, bool)
    review_requested = Signal(list, bool)
    next_requested = Signal()
    previous_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._case: CaseRow | None = None
        self.flag = self._mark("Flag this case, to find it again", self._ask_flag)
        self.review = self._mark("This case is to be reviewed, or no longer", self._ask_review)
        self.note = QLineEdit()
        self.note.setMaxLength(LONGEST_NOTE)
        self.note.setProperty("tip", "Your words about this case; the search finds them")
        self.back = push_button("", "Back to the case that was open before", self._ask_previous, "icon")
        self.next = push_button(
            "Next case", "Save, and open the next case of the list that is not complete", self._ask_next
        )
        self._wait = QTimer(self)
        self._wait.setSingleShot(True)
        self._wait.setInterval(WRITE_AFTER_MS)
        self._wait.timeout.connect(self.write_note)
        self.note.textEdited.connect(self._wait.start)
        self.note.editingFinished.connect(self.write_note)
        self.note.returnPressed.connect(self.note.clearFocus)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for item in (self.flag, self.review, self.note, self.back, self.next):
            layout.addWidget(item, 1 if item is self.note else 0)

    def _mark(self, tip: str, clicked: Callable[..., object]) -> QPushButton:
        button = push_button("", tip, clicked, "icon")
        button.setCheckable(True)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        return button

    def set_case(self, case: CaseRow | None) -> None:
        """Show what is said about ``case``; a note that is being typed is written first, not replaced."""
        if self._case is not None and (case is None or case.id != self._case.id):
            self.write_note()
        same = case is not None and self._case is not None and case.id == self._case.id
        self._case = case
        self.flag.setChecked(case is not None and case.flagged)
        self.review.setChecked(case is not None and case.to_review)
        if not (same and (self.note.isModified() or self.note.hasFocus())):
            self.note.setText("" if case is None else case.note)
            self.note.setCursorPosition(0)
        self.note.setPlaceholderText("" if case is None else f"Note on {case.name}")

    def set_blocked(self, marking: str, going: str) -> None:
        """Disable notes and marks, or going on, each with the reason; an empty text enables it."""
        for widget in (self.flag, self.review, self.note):
            allow(widget, marking)
        for widget in (self.back, self.next):
            allow(widget, going)

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        for button, mark in ((self.flag, "flagged"), (self.review, "review")):
            button.setIcon(two_icons(mark, theme.muted, sign_colour(mark, theme), theme.disabled))
        self.back.setIcon(icon("left", theme.text))
        for button in (self.flag, self.review, self.back):
            button.setIconSize(QSize(14, 14))

    def write_note(self) -> None:
        """Ask for what was typed to be kept."""
        self._wait.stop()
        if self._case is not None and self.note.isModified():
            self.note.setModified(False)
            self.note_requested.emit(self._case.id, self.note.text())

    def _ask_flag(self, checked: bool) -> None:
        if self._case is not None:
            self.flag_requested.emit([self._case.id], checked)

    def _ask_review(self, checked: bool) -> None:
        if self._case is not None:
            self.review_requested.emit([self._case.id], checked)

    def _ask_next(self) -> None:
        self.write_note()
        self.next_requested.emit()

    def _ask_previous(self) -> None:
        self.write_note()
        self.previous_requested.emit()
