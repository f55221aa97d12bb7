"""A question with its answers on one line, however narrow the dock is."""

from collections.abc import Iterable, Sequence

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from napari_dycon.plugin.controllers.question import Question
from napari_dycon.plugin.widgets.action_menu import Choice, ChoiceMenu
from napari_dycon.plugin.widgets.icons import icon
from napari_dycon.plugin.widgets.parts import ElidedLabel, menu_button, push_button, row, set_role, set_tip
from napari_dycon.plugin.widgets.theme import Theme

CONFIRM = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
GAP = 5
SHORT = 0.4
"""Share of the width up to which a question stays on one line."""
SHORT_BESIDE_WAYS = 0.33
"""Share of the width that is left to the question at least, beside a choice of ways."""
SLACK = 1.15
"""How much wider than half a text its two lines are."""


class QuestionStrip(QWidget):
    """A sentence with its answers as buttons, in the place of the tools.

    The sentence comes first: it gets one line or two, and answers for which there is no room then go into a
    menu; the last, "cancel", becomes a cross before that, and the way in use shows its arrow alone.
    """

    answered = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.text = ElidedLabel()
        self.text.setWordWrap(True)
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        self.buttons: dict[str, QPushButton] = {}
        self.menu = ChoiceMenu(self)
        self.menu.chosen.connect(lambda answer: self.answered.emit(answer))
        self.more = menu_button("More", "Other answers", self.menu)
        self.way_menu = ChoiceMenu(self)
        self.way_menu.chosen.connect(lambda way: self.answered.emit(way))
        self.way = menu_button("", "What it is made from", self.way_menu)
        self.way.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
        self._cancel = self._primary = self._way = ""
        self._row = row(self.text, self.way, self.more, spacing=GAP)
        self._row.setStretch(0, 1)
        self.setLayout(self._row)

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self.way.setIcon(icon("down", theme.text))

    def ask(self, question: Question) -> None:
        """Show ``question``."""
        for button in self.buttons.values():
            button.hide()
            button.deleteLater()
        self.text.show_text(question.text)
        self.buttons = {key: self._button(key, text) for key, text in question.answers}
        first, last = self.buttons[question.answers[0][0]], self.buttons[question.answers[-1][0]]
        if first is not last:
            first.setProperty("role", "primary")
            first.setToolTip("Enter")
        last.setToolTip("Esc")
        self._cancel, self._primary = last.text(), question.answers[0][0]
        self._offer_ways(question)
        for button in (self.way, *list(self.buttons.values())[:-1], self.more, last):
            self._row.removeWidget(button)
            self._row.addWidget(button)
        self._fit()
        self._hear_keys(True)

    def _offer_ways(self, question: Question) -> None:
        self.way.setVisible(bool(question.ways))
        self._way = dict(question.ways).get(question.way, "")
        set_tip(self.way, f"What it is made from: {self._way}")
        ways = [Choice(key, name, ticked=key == question.way) for key, name in question.ways]
        self.way_menu.set_choices(ways)

    def rest(self) -> None:
        """Take no answers by key until the next question."""
        self._hear_keys(False)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let Enter and Esc answer the question wherever the focus is in the window, but in a text."""
        if event.type() != QEvent.Type.KeyPress or not isinstance(watched, QWidget):
            return False
        typing = isinstance(watched, QLineEdit | QAbstractSpinBox | QAbstractButton)
        if typing or watched.window() is not self.window():
            return False
        answer = {Qt.Key.Key_Escape: "cancel"} | dict.fromkeys(CONFIRM, self._primary)
        if event.key() not in answer:
            return False
        self.answered.emit(answer[event.key()])
        return True

    def _hear_keys(self, hear: bool) -> None:
        app = QApplication.instance()
        app.removeEventFilter(self)
        if hear:
            app.installEventFilter(self)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show as many answers as there is room for."""
        super().resizeEvent(event)
        self._fit()

    def _button(self, key: str, text: str) -> QPushButton:
        button = push_button(text, "", self._answer)
        button.setProperty("answer", key)
        button.setParent(self)
        return button

    def _fit(self) -> None:
        if not self.buttons:
            return
        *answers, cancel = self.buttons.values()
        cancel.setText(self._cancel)
        self.way.setText(self._way)
        set_role(self.text, "")
        full = self.text.fontMetrics().horizontalAdvance(self.text.text()) + GAP
        way = [self.way] if self.way_menu.isEnabled() else []
        if full + _width([*way, *self.buttons.values()]) <= self.width():
            self._show_only([*answers, cancel], answers)
            return
        short = full <= SHORT * self.width()
        set_role(self.text, "" if short else "small")
        least = (SHORT_BESIDE_WAYS if way else SHORT) * self.width()
        room = self.width() - (full if short else max(least, SLACK * full / 2))
        every, shorter = len(answers), range(len(answers), 0, -1)
        forms = ((every, self._cancel, self._way), (every, "×", self._way), *((n, "×", "") for n in shorter))
        for count, word, name in forms:
            cancel.setText(word)
            self.way.setText(name)
            shown = [*way, *answers[:count], *([self.more] if count < len(answers) else []), cancel]
            if _width(shown) <= room:
                break
        self._show_only(shown, answers)

    def _show_only(self, shown: Sequence[QPushButton], answers: Sequence[QPushButton]) -> None:
        for button in (*answers, self.more):
            button.setVisible(button in shown)
        rest = [button for button in answers if button not in shown]
        self.menu.set_choices([Choice(button.property("answer"), button.text()) for button in rest])
        shown[-1].show()

    def _answer(self) -> None:
        self.answered.emit(self.sender().property("answer"))


def _width(buttons: Iterable[QPushButton]) -> int:
    return sum(button.sizeHint().width() + GAP for button in buttons)
