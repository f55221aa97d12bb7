"""Asks what the volumes of 4D files are, for all files of an import together, before anything is added."""

from collections.abc import Callable, Mapping

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QButtonGroup, QDialog, QRadioButton, QVBoxLayout, QWidget

from napari_dycon.plugin.widgets.parts import answer_buttons, plain_label
from napari_dycon.study.exchange.frames import MOST_CASES, MOST_CHANNELS, Volumes

WIDTH = 400
NAMED = 3
"""So many files are named; of more there is a number."""


class FramesDialog(QDialog):
    """One question with three answers; whoever closes it adds nothing.

    Parameters
    ----------
    parent
        The widget the question belongs to.
    files
        How many volumes each file holds, by its name.
    take
        Told what the volumes are.
    """

    def __init__(self, parent: QWidget, files: Mapping[str, int], take: Callable[[Volumes], None]) -> None:
        super().__init__(parent)
        self._take = take
        self.setWindowTitle("Files with several volumes")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(WIDTH)
        self.answers: dict[Volumes, QRadioButton] = {
            "cases": QRadioButton(f"Time points: {_cases_in_words(files)}"),
            "channels": QRadioButton("Several images of one case"),
            "out": QRadioButton("Leave it out" if len(files) == 1 else "Leave them out"),
        }
        self._group = QButtonGroup(self)
        for button in self.answers.values():
            self._group.addButton(button)
        self._limit("cases", files, MOST_CASES)
        self._limit("channels", files, MOST_CHANNELS)
        next(button for button in self.answers.values() if button.isEnabled()).setChecked(True)
        self.buttons, _ = answer_buttons(self, "Go on", self._finish)
        text = plain_label(f"{_files_in_words(files)} What are they?")
        text.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 14, 16, 14)
        layout.setSpacing(8)
        for part in (text, *self.answers.values(), self.buttons):
            layout.addWidget(part)

    @property
    def answer(self) -> Volumes:
        """What is chosen."""
        return next(key for key, button in self.answers.items() if button.isChecked())

    def _limit(self, answer: Volumes, files: Mapping[str, int], most: int) -> None:
        """Offer no answer that all files are too long for."""
        if min(files.values()) > most:
            self.answers[answer].setEnabled(False)
            self.answers[answer].setToolTip(f"Up to {most} volumes of a file can be taken so.")

    def _finish(self) -> None:
        answer = self.answer
        self.accept()
        self._take(answer)


def _files_in_words(files: Mapping[str, int]) -> str:
    (name, count), *rest = files.items()
    if not rest:
        return f"{name} holds {count} volumes of one grid."
    if len(files) > NAMED:
        return f"{name} and {len(rest)} other files hold several volumes each."
    return f"{', '.join(f'{name} ({count})' for name, count in files.items())} hold several volumes each."


def _cases_in_words(files: Mapping[str, int]) -> str:
    if len(files) == 1:
        return f"{sum(files.values())} cases of one patient"
    return f"{sum(files.values())} cases, each file a patient"
