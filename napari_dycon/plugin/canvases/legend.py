"""The legend in the upper right corner of a canvas, as long as it stays away from the middle of the scan."""

from collections.abc import Sequence

from qtpy.QtCore import QLineF, QRectF, Qt
from qtpy.QtGui import QColor, QFontMetricsF, QLinearGradient, QPainter, QPen

from napari_dycon.plugin.layers.legend import Entry

SIGN, GAP, EDGE, ASIDE = 20.0, 7.0, 8.0, 28.0
"""In pixels; the strip of slices at the right edge of a canvas has room beside a legend."""
MOST = 1 / 3
"""Of the width and the height of a canvas, a legend takes no more."""
GROUND = QColor(0, 0, 0, 150)
HATCHES = 3


def legend_box(entries: Sequence[Entry], metrics: QFontMetricsF, width: float, height: float) -> QRectF:
    """Return where the legend goes on a canvas of that size; empty where it would come near the middle."""
    if not entries:
        return QRectF()
    words = max(metrics.horizontalAdvance(entry.text) for entry in entries)
    size = (SIGN + GAP + words + 2 * EDGE, len(entries) * (metrics.height() + 2) + EDGE)
    if size[0] + ASIDE > width * MOST or size[1] + EDGE > height * MOST:
        return QRectF()
    return QRectF(width - size[0] - ASIDE, EDGE, *size)


def draw_legend(painter: QPainter, entries: Sequence[Entry], width: float, height: float) -> None:
    """Draw the legend, if there is room for it."""
    box = legend_box(entries, QFontMetricsF(painter.font()), width, height)
    if box.isEmpty():
        return
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(GROUND)
    painter.drawRoundedRect(box, 4, 4)
    line = (box.height() - EDGE) / len(entries)
    for number, entry in enumerate(entries):
        top = box.top() + EDGE / 2 + number * line
        _draw_sign(painter, entry, QRectF(box.left() + EDGE, top + 3, SIGN, line - 6))
        painter.setPen(QColor("#f4f5f8"))
        words = QRectF(box.left() + EDGE + SIGN + GAP, top, box.width(), line)
        painter.drawText(words, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, entry.text)


def _draw_sign(painter: QPainter, entry: Entry, box: QRectF) -> None:
    colour, clear = QColor(entry.colour), QColor(entry.colour)
    clear.setAlphaF(0.0)
    painter.setPen(QPen(colour, 1.5))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    if entry.kind == "fill":
        colour.setAlphaF(0.55)
        painter.fillRect(box, colour)
    elif entry.kind == "heat":
        ramp = QLinearGradient(box.topLeft(), box.topRight())
        ramp.setColorAt(0, clear)
        ramp.setColorAt(1, colour)
        painter.fillRect(box, ramp)
    else:
        painter.drawRect(box)
        for number in range(HATCHES if entry.kind != "line" else 0):
            left = box.left() + number * box.width() / HATCHES
            rise = (box.bottom(), box.top()) if entry.kind == "rising" else (box.top(), box.bottom())
            painter.drawLine(QLineF(left, rise[0], left + box.width() / HATCHES, rise[1]))
