"""How long to train: a number of minutes, or until it is stopped."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy, QWidget

UNTIL_STOPPED = "until stopped"
LISTED = (1.0, 2.0, 5.0, 10.0, 20.0, 60.0)
SHORTEST, LONGEST = 0.5, 720.0


class LengthBox(QComboBox):
    """Minutes, chosen or typed, and what comes after all of them: until stopped.

    Signals: ``changed`` follows every choice.
    """

    changed = Signal()

    def __init__(self, minutes: float, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setEditable(True)
        self.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.setCompleter(None)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.addItems([*map(_in_words, LISTED), UNTIL_STOPPED])
        self._value: float | None = minutes
        self.setValue(minutes)
        self.activated.connect(self._take)
        edit = self.lineEdit()
        assert edit is not None
        edit.editingFinished.connect(self._take)

    def value(self) -> float | None:
        """Return the minutes, or None for until stopped; what is being typed counts."""
        return self._understood()

    def setValue(self, minutes: float | None) -> None:
        """Choose so many minutes, or None for until stopped."""
        self._value = minutes
        text = _in_words(minutes)
        self.setCurrentIndex(self.findText(text))
        self.setEditText(text)
        if (edit := self.lineEdit()) is not None:
            edit.setCursorPosition(0)

    def text(self) -> str:
        """Return what stands in the box."""
        return str(self.currentText())

    def _take(self) -> None:
        self.setValue(self._understood())
        self.changed.emit()

    def _understood(self) -> float | None:
        """Return what the text says, and where it says nothing, what was chosen before."""
        text = self.currentText().strip().casefold()
        if text == UNTIL_STOPPED:
            return None
        try:
            minutes = float(text.removesuffix("min").replace(",", "."))
        except ValueError:
            return self._value
        return min(max(minutes, SHORTEST), LONGEST) if minutes == minutes else self._value


def _in_words(minutes: float | None) -> str:
    return UNTIL_STOPPED if minutes is None else f"{minutes:g} min"
