"""What is drawn over a canvas: the name of the plane, letters for the directions, the cross-hair."""

from collections.abc import Callable
from dataclasses import dataclass

from qtpy.QtCore import QEvent, QObject, QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QWidget

from napari_dycon.plugin.canvases.legend import draw_legend
from napari_dycon.plugin.layers.legend import Entry
from napari_dycon.plugin.layers.styles import SKETCH_COLOUR

PLANE_COLOURS = {"axial": "#f0625d", "coronal": "#6ecb63", "sagittal": "#f2d45c", "3D": "#c4c8d4"}
"""One colour a plane, in its name and in the line that shows where it cuts the others."""
LETTER_COLOUR = "#f4f5f8"
SHADE = QColor(0, 0, 0, 170)
GAP, EDGE = 22, 6
LEAST_FRAME = 6.0
FRAME_COLOUR = SKETCH_COLOUR
RAIL_ROOM = 22
"""Pixels at the right edge that letters leave to the marks of the slices."""
HALO = tuple((across, down) for across in (-1, 0, 1) for down in (-1, 0, 1) if across or down)


@dataclass(frozen=True)
class CrossLine:
    """A line through the point that all planes share, ``at`` in pixels from the left or the top."""

    upright: bool
    at: float
    colour: str


@dataclass(frozen=True)
class Marks:
    """What to draw: a title and its colour, letters (left, right, top, bottom), lines, a note, a legend.

    And a frame around a place worth a look: left, top, right and bottom in pixels.
    """

    title: str = ""
    colour: str = LETTER_COLOUR
    letters: tuple[str, str, str, str] = ("", "", "", "")
    lines: tuple[CrossLine, ...] = ()
    in_use: bool = False
    note: str = ""
    frame: tuple[float, float, float, float] | None = None
    legend: tuple[Entry, ...] = ()


class CanvasMarks(QWidget):
    """Lies over a canvas, lets every mouse event through and draws `marks`.

    Parameters
    ----------
    canvas
        The widget to cover.
    marks_of
        Returns what to draw; asked whenever the widget is painted.
    """

    def __init__(self, canvas: QWidget, marks_of: Callable[[], Marks]) -> None:
        super().__init__(canvas)
        self._marks_of = marks_of
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        canvas.installEventFilter(self)
        self.resize(canvas.size())
        self.show()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay as large as the canvas."""
        if event.type() == QEvent.Type.Resize and watched is self.parent():
            self.resize(watched.size())
        return False

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw lines, letters and title."""
        marks = self._marks_of()
        painter = QPainter(self)
        for line in marks.lines:
            self._draw_line(painter, line, marks.lines)
        if marks.in_use:
            painter.setPen(QPen(QColor(marks.colour), 2))
            painter.drawRect(QRectF(self.rect()).adjusted(1, 1, -1, -1))
        if marks.frame is not None:
            self._draw_frame(painter, *marks.frame)
        self._draw_letters(painter, marks)
        painter.setFont(self.font())
        draw_legend(painter, marks.legend, self.width(), self.height())
        painter.end()

    def _draw_frame(self, painter: QPainter, left: float, top: float, right: float, bottom: float) -> None:
        """Draw a frame that is seen on black and on white, and around a single voxel too."""
        box = QRectF(QPointF(left, top), QPointF(right, bottom))
        wider, higher = (max(0.0, LEAST_FRAME - size) / 2 for size in (box.width(), box.height()))
        box.adjust(-wider, -higher, wider, higher)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for colour, width in ((SHADE, 4.0), (QColor(FRAME_COLOUR), 2.0)):
            painter.setPen(QPen(colour, width))
            painter.drawRoundedRect(box, 2, 2)

    def _draw_line(self, painter: QPainter, line: CrossLine, lines: tuple[CrossLine, ...]) -> None:
        """Leave a gap where the lines meet, so that the voxel in question can be seen."""
        painter.setPen(QPen(QColor(line.colour), 1))
        crossing = next((other.at for other in lines if other.upright != line.upright), None)
        end = self.height() if line.upright else self.width()
        parts = [(0.0, end)] if crossing is None else [(0.0, crossing - GAP), (crossing + GAP, end)]
        for first, last in parts:
            if last > first and line.upright:
                painter.drawLine(QPointF(line.at, first), QPointF(line.at, last))
            elif last > first:
                painter.drawLine(QPointF(first, line.at), QPointF(last, line.at))

    def _draw_letters(self, painter: QPainter, marks: Marks) -> None:
        font = QFont(self.font())
        font.setBold(True)
        painter.setFont(font)
        box = QRectF(self.rect()).adjusted(8, 6, -8 - RAIL_ROOM, -6)
        align = Qt.AlignmentFlag
        left, right, top, bottom = marks.letters
        metrics, middle = QFontMetricsF(font), (box.width() - QFontMetricsF(font).horizontalAdvance("M")) / 2
        below = metrics.height() if metrics.horizontalAdvance(marks.title) > middle - EDGE else 0
        above = metrics.height() if metrics.horizontalAdvance(marks.note) > middle - EDGE else 0
        for text, where, colour in (
            (left, align.AlignLeft | align.AlignVCenter, LETTER_COLOUR),
            (right, align.AlignRight | align.AlignVCenter, LETTER_COLOUR),
            (top, align.AlignHCenter | align.AlignTop, LETTER_COLOUR),
            (bottom, align.AlignHCenter | align.AlignBottom, LETTER_COLOUR),
            (marks.title, align.AlignLeft | align.AlignTop, marks.colour),
            (marks.note, align.AlignLeft | align.AlignBottom, LETTER_COLOUR),
        ):
            moved = box.adjusted(0, below, 0, -above) if where & align.AlignHCenter else box
            painter.setPen(SHADE)
            for across, down in HALO:
                painter.drawText(moved.translated(across, down), where, text)
            painter.setPen(QColor(colour))
            painter.drawText(moved, where, text)
