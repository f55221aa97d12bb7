"""The suggestions as cards: where to look next, why, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QHelpEvent, QImage, QMouseEvent, QPainter, QPainterPath, QPixmap, QResizeEvent
from qtpy.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_dycon.plugin.widgets.icons import draw_icon, icon
from napari_dycon.plugin.widgets.parts import (
    ElidedLabel,
    Painted,
    allow,
    as_tooltip,
    plain_label,
    push_button,
    row,
)
from napari_dycon.plugin.widgets.theme import Theme

PICTURE = 76
"""Side of a picture in pixels."""
NONE_YET = "Nothing is suggested yet. Train first, or add scans."
GO_FIRST = "Go to a place first."
SIGNS = {"done": "tick", "skipped": "cross"}


@dataclass(frozen=True)
class Card:
    """What a card says.

    Attributes
    ----------
    where
        Plane and slice.
    case, structure, colour
        Names of case and structure, and the structure's colour.
    reason
        Why it is worth a look, in full.
    time
        About how long it takes, in words; empty where that is not known.
    decides
        Whether it is a piece to be accepted or rejected.
    state
        waiting, done or skipped.
    picture
        uint8 ``(row, column, rgb)``; None until there is one.
    """

    where: str
    case: str
    structure: str
    colour: str
    reason: str
    state: str = "waiting"
    time: str = ""
    decides: bool = False
    picture: NDArray[np.uint8] | None = None


class Picture(Painted):
    """A picture of a place, or an empty frame until there is one."""

    def __init__(self) -> None:
        super().__init__()
        self._pixmap: QPixmap | None = None
        self.setFixedSize(PICTURE, PICTURE)

    @property
    def empty(self) -> bool:
        """Whether there is no picture yet."""
        return self._pixmap is None

    def set_picture(self, picture: NDArray[np.uint8] | None) -> None:
        """Show a picture, uint8 ``(row, column, rgb)``."""
        if picture is None:
            self._pixmap = None
        else:
            rgb = np.ascontiguousarray(picture)
            height, width, _ = rgb.shape
            image = QImage(rgb.data, width, height, 3 * width, QImage.Format.Format_RGB888)
            self._pixmap = QPixmap.fromImage(image.copy())
        self.update()

    def draw(self, painter: QPainter, theme: Theme) -> None:
        """Draw the picture with round corners."""
        box = QRectF(self.rect())
        edge = QPainterPath()
        edge.addRoundedRect(box, 4, 4)
        painter.setClipPath(edge)
        painter.fillRect(box, QColor(theme.field))
        if self._pixmap is not None:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawPixmap(box, self._pixmap, QRectF(self._pixmap.rect()))


class QueueLine(Painted):
    """One field for each place: which one is on screen, which are done (a tick) or skipped (a cross)."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._cards: tuple[Card, ...] = ()
        self._here = -1
        self.setFixedHeight(12)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def set_cards(self, cards: Sequence[Card], here: int) -> None:
        """Show these, of which the person is at ``here`` (-1: at none)."""
        self._cards, self._here = tuple(cards), here
        self.update()

    def field(self, place: int) -> QRectF:
        """Return where a field is drawn."""
        width = (self.width() + 3) / max(len(self._cards), 1)
        return QRectF(place * width, 0, width - 3, self.height())

    def place_at(self, left: float) -> int | None:
        """Return the place whose field lies at ``left`` pixels."""
        found = int(left * len(self._cards) / max(self.width() + 3, 1))
        return found if 0 <= found < len(self._cards) else None

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Ask for the place that was clicked."""
        place = self.place_at(event.position().x())
        if place is not None:
            self.chosen.emit(place)

    def event(self, event: object) -> bool:
        """Say which place is under the pointer."""
        if isinstance(event, QHelpEvent):
            place = self.place_at(event.pos().x())
            card = None if place is None else self._cards[place]
            state = "" if card is None or card.state == "waiting" else f" ({card.state})"
            said = "" if card is None else f"{card.case}, {card.where}{state}\n{card.reason}"
            self.setToolTip(as_tooltip(said))
        return bool(super().event(event))

    def draw(self, painter: QPainter, theme: Theme) -> None:
        """Draw the fields."""
        painter.setPen(Qt.PenStyle.NoPen)
        for place, card in enumerate(self._cards):
            box = self.field(place)
            here = place == self._here
            painter.setBrush(QColor(theme.accent if here else theme.control))
            painter.drawRoundedRect(box.adjusted(0, 0 if here else 2, 0, 0 if here else -2), 3, 3)
            if card.state in SIGNS:
                colour = theme.on_accent if here else theme.good if card.state == "done" else theme.muted
                sign = QRectF(0, 0, 10, 10)
                sign.moveCenter(box.center())
                draw_icon(painter, SIGNS[card.state], QColor(colour), sign)
                painter.setPen(Qt.PenStyle.NoPen)


class WholeText(QLabel):
    """Plain text in as many lines as it needs, which nothing beside it may cut."""

    def __init__(self) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setProperty("role", "muted")
        self.setWordWrap(True)
        self.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)

    def show_text(self, text: str) -> None:
        """Show ``text``."""
        self.setText(text)
        self._claim_height()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Take the height that the new width asks for."""
        super().resizeEvent(event)
        self._claim_height()

    def _claim_height(self) -> None:
        self.setMinimumHeight(max(0, self.heightForWidth(self.width())))


class Swatch(Painted):
    """A dot in the colour of a structure."""

    def __init__(self) -> None:
        super().__init__()
        self._colour = QColor()
        self.setFixedSize(10, 10)

    def set_colour(self, colour: str) -> None:
        """Show ``colour``."""
        self._colour = QColor(colour)
        self.update()

    def draw(self, painter: QPainter, theme: Theme) -> None:
        """Draw the dot."""
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._colour)
        painter.drawEllipse(QRectF(1, 1, 8, 8))


class CardsPanel(QWidget):
    """The card of the place on screen, and the way to the others; ``begun`` when the first card is shown."""

    next_requested = Signal()
    previous_requested = Signal()
    skip_requested = Signal()
    finish_requested = Signal()
    accept_requested = Signal()
    reject_requested = Signal()
    place_requested = Signal(int)
    begun = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._theme: Theme | None = None
        self.picture, self.swatch, self.queue = Picture(), Swatch(), QueueLine()
        self.queue.chosen.connect(self.place_requested)
        self.where, self.case = plain_label("", "title"), ElidedLabel("muted")
        self.structure, self.time = ElidedLabel(), plain_label("", "muted")
        self.reason = WholeText()
        self.position = plain_label("", "muted")
        self.next_button = push_button(
            "Next place to look", "Go to the next place where your time is worth most", self.next_requested
        )
        self.next_button.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
        self.previous_button = push_button("", "Back to the place before", self.previous_requested)
        self.previous_button.setFixedWidth(30)
        self.skip_button = push_button(
            "Skip", "Leave this place out and go on; it is not suggested again", self.skip_requested
        )
        self.finish_button = push_button(
            "Done",
            "The slice is completed, corrected or accepted: tick the place off and go on",
            self.finish_requested,
        )
        self.reject_button = push_button(
            "Reject", "The piece is no part of the structure: it is background there", self.reject_requested
        )
        self.accept_button = push_button(
            "Accept", "The piece is right: take it over as your annotation", self.accept_requested
        )
        self._lay_out()
        self.set_cards((), -1)

    def _lay_out(self) -> None:
        words = QVBoxLayout()
        words.setSpacing(2)
        title = row(self.where, self.case, spacing=8)
        title.setStretch(1, 1)
        about = row(self.swatch, self.structure, self.time, spacing=5)
        about.setStretch(1, 1)
        words.addLayout(title)
        words.addLayout(about)
        words.addWidget(self.reason, 1)
        self.card = QWidget()
        card = row(self.picture, spacing=9)
        card.setAlignment(self.picture, Qt.AlignmentFlag.AlignTop)
        card.addLayout(words, 1)
        self.card.setLayout(card)
        line = row(self.queue, self.position, spacing=8)
        line.setStretch(0, 1)
        deciding = (self.reject_button, self.accept_button)
        buttons = row(self.previous_button, self.next_button, self.skip_button, *deciding, self.finish_button)
        buttons.setStretch(1, 1)
        self.next_button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 3, 0, 3)
        layout.setSpacing(4)
        layout.addLayout(line)
        layout.addWidget(self.card)
        layout.addLayout(buttons)

    def set_cards(self, cards: Sequence[Card], here: int) -> None:
        """Show the card at ``here`` (from 0; -1 for none yet) and how far the others are."""
        self.queue.set_cards(cards, here)
        self.queue.setVisible(bool(cards))
        self.position.setText(self._tell_position(cards, here))
        self.position.setVisible(bool(cards))
        begun = here >= 0 and self.card.isHidden()
        self.card.setVisible(here >= 0)
        decides = here >= 0 and cards[here].decides and cards[here].state == "waiting"
        for button in (self.skip_button, self.finish_button):
            button.setVisible(here >= 0 and not (decides and button is self.finish_button))
            allow(button, "" if here >= 0 else GO_FIRST)
        for button in (self.reject_button, self.accept_button):
            button.setVisible(decides)
        self.next_button.setText("" if decides else "Next" if here >= 0 else "Next place to look")
        if here >= 0:
            self._show(cards[here])
        allow(self.next_button, "" if cards else NONE_YET)
        allow(self.previous_button, "" if here > 0 else "This is the first place.")
        self._draw_icons()
        if begun:
            self.begun.emit()

    def _tell_position(self, cards: Sequence[Card], here: int) -> str:
        if here >= 0:
            return f"{here + 1} of {len(cards)}"
        return f"{len(cards)} places" if len(cards) > 1 else f"{len(cards)} place"

    def _show(self, card: Card) -> None:
        self.where.setText(card.where)
        self.case.show_text(card.case)
        self.structure.show_text(card.structure)
        self.time.setText(card.time)
        self.swatch.set_colour(card.colour)
        state = {"done": "Done. ", "skipped": "Skipped. "}.get(card.state, "")
        self.reason.show_text(state + card.reason[:1].upper() + card.reason[1:])
        self.picture.set_picture(card.picture)

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self._theme = theme
        for part in (self.picture, self.swatch, self.queue):
            part.set_theme(theme)
        self._draw_icons()

    def _draw_icons(self) -> None:
        if self._theme is None:
            return
        for button, name in (
            (self.next_button, "right"),
            (self.previous_button, "left"),
            (self.finish_button, "tick"),
            (self.accept_button, "tick"),
            (self.reject_button, "cross"),
        ):
            button.setIcon(icon(name, self._theme.text if button.isEnabled() else self._theme.muted))
        for button in (self.skip_button, self.finish_button, self.accept_button, self.reject_button):
            button.setIconSize(QSize(14, 14))
