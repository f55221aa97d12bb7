"""A strip at the edge of a canvas with a mark for every slice, like the marks at a scroll bar."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QObject, QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QToolTip, QWidget

from napari_dycon.plugin.canvases.signposts import SliceSigns
from napari_dycon.plugin.layers.styles import SKETCH_COLOUR

WIDTH, EDGE, ABOVE, BELOW = 20, 3, 6, 44
"""Pixels of the strip and around it; below it napari has its scale bar."""
ARROW, BAR, PART = 7, 5, 2
"""Widths of the columns: arrows, what is labelled (thin where it is in part), what is unsure."""
GROUND, LABELLED, NOW = QColor(16, 17, 20, 185), QColor("#f4f5f8"), QColor("#ffffff")
LEAST = 0.2
"""Uncertainty below this share of the most is not drawn."""
FAINTEST = 0.3
"""Opacity of the mark of a slice on which readers hardly differ."""


@dataclass(frozen=True)
class RailLook:
    """The plane, the marks of its slices, the colour of what is unsure or disputed, the slice on screen."""

    plane: str
    signs: SliceSigns
    veil: str
    index: int

    def words(self, index: int) -> str:
        """Say what is known of a slice."""
        title = f"{self.plane.capitalize()} {index + 1} of {len(self.signs.labelled)}"
        now = ("on screen",) if index == self.index else ()
        return "\n".join((title, *now, *self.signs.words(index)))


class Rail(QWidget):
    """Lies over the right edge of a canvas, so that nothing moves for it.

    Parameters
    ----------
    canvas
        The widget to lie on.
    look_of
        Returns what to show, None for nothing; asked whenever the strip is drawn or used.
    chosen
        Called with the index of the slice that was clicked, or dragged to.
    """

    def __init__(
        self, canvas: QWidget, look_of: Callable[[], RailLook | None], chosen: Callable[[int], None]
    ) -> None:
        super().__init__(canvas)
        self._look_of, self._chosen = look_of, chosen
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setAttribute(Qt.WidgetAttribute.WA_AlwaysShowToolTips)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        canvas.installEventFilter(self)
        self._stand()
        self.renew()

    def renew(self) -> None:
        """Draw anew, or go where there is nothing to show."""
        shown = self._look_of() is not None
        if shown != self.isVisibleTo(self.parentWidget()):
            self.setVisible(shown)
            self.raise_()
        self.update()

    def place_of(self, index: int, count: int) -> QRectF:
        """Return where on the strip the mark of one of `count` slices lies."""
        first, last = (index * self.height() / count, (index + 1) * self.height() / count)
        return QRectF(0, first, self.width(), last - first)

    def index_at(self, height: float, count: int) -> int:
        """Return the slice whose mark lies at a height in pixels."""
        return min(max(int(height * count / max(self.height(), 1)), 0), count - 1)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay at the edge of the canvas."""
        if event.type() == QEvent.Type.Resize and watched is self.parent():
            self._stand()
        return False

    def event(self, event: QEvent) -> bool:
        """Say in words what the marks under the pointer mean."""
        look = self._look_of()
        if isinstance(event, QHelpEvent) and look is not None:
            index = self.index_at(event.pos().y(), len(look.signs.labelled))
            said = escape(look.words(index)).replace("\n", "<br>")
            QToolTip.showText(event.globalPos(), f"<qt>{said}</qt>", self)
            return True
        return bool(super().event(event))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go to the slice."""
        self._choose(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Follow a drag along the strip."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._choose(event)

    def _choose(self, event: QMouseEvent) -> None:
        look = self._look_of()
        if look is not None and event.buttons() & Qt.MouseButton.LeftButton:
            self._chosen(self.index_at(event.position().y(), len(look.signs.labelled)))
        event.accept()

    def _stand(self) -> None:
        canvas = self.parentWidget()
        height = max(canvas.height() - ABOVE - BELOW, 0)
        self.setGeometry(canvas.width() - WIDTH - EDGE, ABOVE, WIDTH, height)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the marks of all slices."""
        look = self._look_of()
        if look is None:
            return
        painter = QPainter(self)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(GROUND)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.drawRoundedRect(QRectF(self.rect()), 3, 3)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        self._draw_labels(painter, look.signs)
        if look.signs.apart is not None:
            self._draw_apart(painter, look.signs.apart, QColor(look.veil))
        elif look.signs.unsure is not None:
            self._draw_unsure(painter, look.signs, look.signs.unsure, QColor(look.veil))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw_now(painter, look)
        self._draw_suggested(painter, look.signs)
        painter.end()

    def _draw_labels(self, painter: QPainter, signs: SliceSigns) -> None:
        count = len(signs.labelled)
        for index in map(int, np.flatnonzero(signs.labelled)):
            width = BAR if signs.complete[index] else PART
            painter.fillRect(self._column(index, count, ARROW + 1, width), LABELLED)

    def _draw_unsure(
        self, painter: QPainter, signs: SliceSigns, unsure: NDArray[np.float32], colour: QColor
    ) -> None:
        count, left = len(unsure), ARROW + BAR + 2
        for index in map(int, np.flatnonzero((unsure >= LEAST) & ~signs.complete)):
            colour.setAlphaF(float(min(1.0, unsure[index])) ** 2)  # the few that matter stand out
            painter.fillRect(self._column(index, count, left, WIDTH - left - 1), colour)

    def _draw_apart(self, painter: QPainter, apart: NDArray[np.float32], colour: QColor) -> None:
        count, left = len(apart), ARROW + BAR + 2
        for index in map(int, np.flatnonzero(apart)):
            colour.setAlphaF(FAINTEST + (1 - FAINTEST) * float(apart[index]))  # no dispute is overlooked
            painter.fillRect(self._column(index, count, left, WIDTH - left - 1), colour)

    def _column(self, index: int, count: int, left: float, width: float) -> QRectF:
        place = self.place_of(index, count)
        gap = 1.0 if place.height() >= 4 else 0.0
        return QRectF(left, place.top(), width, max(1.0, place.height() - gap))

    def _draw_now(self, painter: QPainter, look: RailLook) -> None:
        place = self.place_of(look.index, len(look.signs.labelled))
        middle, height = place.center().y(), max(5.0, place.height() + 2)
        painter.setPen(QPen(NOW, 1.5))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(QRectF(1, middle - height / 2, WIDTH - 2, height))

    def _draw_suggested(self, painter: QPainter, signs: SliceSigns) -> None:
        painter.setPen(QPen(GROUND, 0.8))
        painter.setBrush(QColor(SKETCH_COLOUR))
        for index in signs.suggested:
            middle = self.place_of(index, len(signs.labelled)).center().y()
            corners = ((0, middle - 4.5), (ARROW, middle), (0, middle + 4.5))
            painter.drawPolygon(QPolygonF([QPointF(*corner) for corner in corners]))
