"""Small icons drawn with the painter: nothing is ever fetched, and they follow the theme."""

from collections.abc import Callable

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPainterPath, QPen, QPixmap, QPolygonF

ICON = 16


def icon(name: str, colour: str) -> QIcon:
    """Return one of the drawn icons in ``colour``; drawn here, so nothing is ever fetched.

    It has that colour on a disabled button too: Qt would make it paler, which is brighter in a dark theme.
    """
    result = QIcon()
    for scale in (1, 2):
        pixmap = QPixmap(ICON * scale, ICON * scale)
        pixmap.fill(Qt.GlobalColor.transparent)
        pixmap.setDevicePixelRatio(scale)
        painter = QPainter(pixmap)
        draw_icon(painter, name, QColor(colour), QRectF(0, 0, ICON, ICON))
        painter.end()
        for mode in (QIcon.Mode.Normal, QIcon.Mode.Disabled):
            result.addPixmap(pixmap, mode)
    return result


def two_icons(name: str, off: str, on: str, disabled: str) -> QIcon:
    """Return an icon for a button that stays down: in the colour ``off``, and in ``on`` while it is down."""
    result, down, dead = icon(name, off), icon(name, on), icon(name, disabled)
    for size in down.availableSizes():
        result.addPixmap(down.pixmap(size), QIcon.Mode.Normal, QIcon.State.On)
        result.addPixmap(dead.pixmap(size), QIcon.Mode.Disabled, QIcon.State.Off)
    return result


def draw_icon(painter: QPainter, name: str, colour: QColor, box: QRectF) -> None:
    """Draw the icon ``name`` (see ``_DRAWINGS``) into ``box``, on a grid of 16 by 16."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate(box.topLeft())
    painter.scale(box.width() / ICON, box.height() / ICON)
    pen = QPen(colour, 1.6, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    _DRAWINGS[name](painter, colour)
    painter.restore()


def _lines(painter: QPainter, *points: tuple[float, float]) -> None:
    painter.drawPolyline(QPolygonF([QPointF(*point) for point in points]))


def _solid(painter: QPainter, colour: QColor, *points: tuple[float, float]) -> None:
    painter.setBrush(colour)
    painter.drawPolygon(QPolygonF([QPointF(*point) for point in points]))


def _complete(painter: QPainter, colour: QColor) -> None:
    painter.setBrush(colour)
    painter.drawEllipse(QPointF(8, 8), 5.2, 5.2)
    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceOver)
    painter.setPen(QPen(QColor("#16181d" if colour.lightnessF() > 0.5 else "#ffffff"), 1.6))
    _lines(painter, (5.4, 8.2), (7.2, 10.0), (10.6, 6.2))


def _partial(painter: QPainter, colour: QColor) -> None:
    painter.drawEllipse(QPointF(8, 8), 5.2, 5.2)
    painter.setBrush(colour)
    painter.drawPie(QRectF(2.8, 2.8, 10.4, 10.4), 90 * 16, -180 * 16)


def _unlabelled(painter: QPainter, colour: QColor) -> None:
    painter.drawEllipse(QPointF(8, 8), 5.2, 5.2)


def _review(painter: QPainter, colour: QColor) -> None:
    eye = QPainterPath(QPointF(1.8, 8))
    eye.quadTo(QPointF(8, 0.6), QPointF(14.2, 8))
    eye.quadTo(QPointF(8, 15.4), QPointF(1.8, 8))
    painter.drawPath(eye)
    painter.setBrush(colour)
    painter.drawEllipse(QPointF(8, 8), 1.7, 1.7)


def _flagged(painter: QPainter, colour: QColor) -> None:
    _lines(painter, (4.2, 14), (4.2, 2.4))
    _solid(painter, colour, (4.2, 2.8), (12.6, 5.6), (4.2, 8.6))


def _note(painter: QPainter, colour: QColor) -> None:
    _lines(painter, (3.4, 4.6), (12.6, 4.6))
    _lines(painter, (3.4, 8), (12.6, 8))
    _lines(painter, (3.4, 11.4), (9, 11.4))


def _pause(painter: QPainter, colour: QColor) -> None:
    painter.setBrush(colour)
    painter.drawRect(QRectF(4.2, 3.8, 1.8, 8.4))
    painter.drawRect(QRectF(10.0, 3.8, 1.8, 8.4))


def _play(painter: QPainter, colour: QColor) -> None:
    _solid(painter, colour, (5, 3.6), (12.2, 8), (5, 12.4))


def _stop(painter: QPainter, colour: QColor) -> None:
    painter.setBrush(colour)
    painter.drawRect(QRectF(4.2, 4.2, 7.6, 7.6))


def _tick(painter: QPainter, colour: QColor) -> None:
    _lines(painter, (3.4, 8.6), (6.6, 11.8), (12.8, 4.6))


def _cross(painter: QPainter, colour: QColor) -> None:
    _lines(painter, (4.2, 4.2), (11.8, 11.8))
    _lines(painter, (11.8, 4.2), (4.2, 11.8))


def _tick_box(painter: QPainter, colour: QColor) -> None:
    painter.drawRoundedRect(QRectF(2.6, 2.6, 10.8, 10.8), 2, 2)
    _lines(painter, (5, 8.2), (7.2, 10.4), (11, 5.8))


def _empty_box(painter: QPainter, colour: QColor) -> None:
    painter.drawRoundedRect(QRectF(2.6, 2.6, 10.8, 10.8), 2, 2)


def _plus(painter: QPainter, colour: QColor) -> None:
    _lines(painter, (8, 3.4), (8, 12.6))
    _lines(painter, (3.4, 8), (12.6, 8))


def _left(painter: QPainter, colour: QColor) -> None:
    _lines(painter, (9.8, 3.8), (5.6, 8), (9.8, 12.2))


def _right(painter: QPainter, colour: QColor) -> None:
    _lines(painter, (6.2, 3.8), (10.4, 8), (6.2, 12.2))


def _down(painter: QPainter, colour: QColor) -> None:
    _lines(painter, (4.6, 6.4), (8, 9.8), (11.4, 6.4))


def _folder(painter: QPainter, colour: QColor) -> None:
    _lines(painter, (2.4, 12.6), (2.4, 3.6), (6.4, 3.6), (7.8, 5.4), (13.6, 5.4), (13.6, 12.6), (2.4, 12.6))


def _export(painter: QPainter, colour: QColor) -> None:
    _lines(painter, (8, 9.8), (8, 2.6))
    _lines(painter, (5.2, 5.2), (8, 2.4), (10.8, 5.2))
    _lines(painter, (3, 9.6), (3, 13.2), (13, 13.2), (13, 9.6))


def _info(painter: QPainter, colour: QColor) -> None:
    painter.drawEllipse(QPointF(8, 8), 5.6, 5.6)
    _lines(painter, (8, 7.6), (8, 11))
    painter.drawPoint(QPointF(8, 5.2))


def _warning(painter: QPainter, colour: QColor) -> None:
    painter.drawPolygon(QPolygonF([QPointF(8, 2.6), QPointF(14, 13), QPointF(2, 13)]))
    _lines(painter, (8, 6.6), (8, 9.4))
    painter.drawPoint(QPointF(8, 11.2))


def _unusable(painter: QPainter, colour: QColor) -> None:
    painter.drawEllipse(QRectF(2.4, 2.4, 11.2, 11.2))
    _lines(painter, (5.8, 5.8), (10.2, 10.2))
    _lines(painter, (10.2, 5.8), (5.8, 10.2))


def _undo(painter: QPainter, colour: QColor) -> None:
    arc = QPainterPath(QPointF(3, 6.2))
    arc.lineTo(9.4, 6.2)
    arc.cubicTo(14.2, 6.2, 14.2, 13, 9.4, 13)
    arc.lineTo(6.4, 13)
    painter.drawPath(arc)
    _lines(painter, (6, 3), (2.8, 6.2), (6, 9.4))


def _redo(painter: QPainter, colour: QColor) -> None:
    painter.translate(ICON, 0)
    painter.scale(-1, 1)
    _undo(painter, colour)


def _brush(painter: QPainter, colour: QColor) -> None:
    _lines(painter, (13.4, 2.6), (7.6, 8.8))
    tip = QPainterPath(QPointF(7.4, 8.6))
    tip.cubicTo(3.6, 7.6, 4.8, 12, 2.4, 13)
    tip.cubicTo(6, 14.4, 9.4, 12.6, 7.4, 8.6)
    painter.setBrush(colour)
    painter.drawPath(tip)


def _range(painter: QPainter, colour: QColor) -> None:
    hill = QPainterPath(QPointF(2, 13.2))
    hill.cubicTo(6, 13.2, 5.4, 3.2, 8, 3.2)
    hill.cubicTo(10.6, 3.2, 10, 13.2, 14, 13.2)
    painter.drawPath(hill)
    painter.fillRect(QRectF(6.3, 6, 3.4, 7.2), colour)


def _interpolate(painter: QPainter, colour: QColor) -> None:
    _lines(painter, (2.6, 3.2), (13.4, 3.2))
    _lines(painter, (2.6, 12.8), (13.4, 12.8))
    pen = painter.pen()
    pen.setDashPattern([1.0, 1.6])
    pen.setWidthF(1.3)
    painter.setPen(pen)
    _lines(painter, (3.4, 6.4), (13, 6.4))
    _lines(painter, (3.4, 9.6), (13, 9.6))


def _clean(painter: QPainter, colour: QColor) -> None:
    for x, y, size in ((6.4, 9.4, 4.6), (12.2, 4.2, 2.6)):
        star = QPainterPath(QPointF(x, y - size))
        for dx, dy in ((size, 0), (0, size), (-size, 0), (0, -size)):
            star.quadTo(QPointF(x, y), QPointF(x + dx, y + dy))
        painter.drawPath(star)


def _region(painter: QPainter, colour: QColor) -> None:
    pen = painter.pen()
    pen.setDashPattern([1.4, 1.8])
    painter.setPen(pen)
    painter.drawRect(QRectF(2.8, 3.6, 10.4, 8.8))


def _known(painter: QPainter, colour: QColor) -> None:
    painter.drawRoundedRect(QRectF(2.6, 2.6, 10.8, 10.8), 1.6, 1.6)
    painter.fillRect(QRectF(3.2, 3.2, 4.8, 4.8), colour)
    painter.fillRect(QRectF(8, 8, 4.8, 4.8), colour)


def _window(painter: QPainter, colour: QColor) -> None:
    painter.drawEllipse(QRectF(2.5, 2.5, 11, 11))
    painter.setBrush(colour)
    painter.drawPie(QRectF(2.5, 2.5, 11, 11), 90 * 16, 180 * 16)


def _more(painter: QPainter, colour: QColor) -> None:
    painter.setBrush(colour)
    painter.setPen(Qt.PenStyle.NoPen)
    for x in (3.6, 8, 12.4):
        painter.drawEllipse(QPointF(x, 8), 1.3, 1.3)


_DRAWINGS: dict[str, Callable[[QPainter, QColor], None]] = {
    "complete": _complete,
    "partial": _partial,
    "unlabelled": _unlabelled,
    "review": _review,
    "flagged": _flagged,
    "note": _note,
    "pause": _pause,
    "play": _play,
    "stop": _stop,
    "tick": _tick,
    "cross": _cross,
    "tick box": _tick_box,
    "empty box": _empty_box,
    "plus": _plus,
    "left": _left,
    "right": _right,
    "down": _down,
    "folder": _folder,
    "export": _export,
    "info": _info,
    "warning": _warning,
    "unusable": _unusable,
    "undo": _undo,
    "redo": _redo,
    "brush": _brush,
    "range": _range,
    "interpolate": _interpolate,
    "clean": _clean,
    "region": _region,
    "known": _known,
    "window": _window,
    "more": _more,
}
