"""Live curves of a training: the terms of the loss, and Dice on held-out labels."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, QTimer
from qtpy.QtGui import QColor, QFont, QPainter, QPen
from qtpy.QtWidgets import QSizePolicy, QStackedLayout, QVBoxLayout, QWidget

from napari_dycon.plugin.widgets.parts import Painted, plain_label, row
from napari_dycon.plugin.widgets.theme import Theme

Series = tuple[Sequence[float], Sequence[float]]
INTERVAL_MS = 250
POINTS = 160
PLOT_HEIGHT = 72
STROKE = 20
DASHES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine, Qt.PenStyle.DashDotLine)
"""Curves differ by more than their hue, which not everybody sees."""
WORDS = {
    "supervised": "labelled",
    "uncl": "UnCL",
    "fecl": "FeCL",
    "pseudo": "pseudo-labels",
    "mixed": "mixtures",
}


def thin_out(
    x: Sequence[float], y: Sequence[float], points: int = POINTS
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return at most ``points`` means of successive blocks of a curve, without values that are not finite."""
    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    count = min(xs.size, ys.size)
    xs, ys = xs[:count], ys[:count]
    finite = np.isfinite(ys)
    xs, ys = xs[finite], ys[finite]
    if xs.size <= points:
        return xs, ys
    starts = np.linspace(0, xs.size, points, endpoint=False).astype(int)
    sizes = np.diff(np.append(starts, xs.size))
    return np.add.reduceat(xs, starts) / sizes, np.add.reduceat(ys, starts) / sizes


class SmallPlot(pg.PlotWidget):
    """A plot without mouse, menu or frame."""

    def __init__(self) -> None:
        super().__init__(background=None)
        item = self.getPlotItem()
        item.setMenuEnabled(False)
        item.setMouseEnabled(x=False, y=False)
        item.hideButtons()
        item.setContentsMargins(0, 2, 4, 0)
        item.getAxis("left").setWidth(30)
        item.getAxis("bottom").setHeight(15)
        for name in ("left", "bottom"):
            item.getAxis(name).setStyle(
                tickLength=0, tickTextOffset=3, maxTickLevel=0, autoExpandTextSpace=False
            )
            item.getAxis(name).enableAutoSIPrefix(False)
        item.showGrid(x=False, y=True, alpha=0.16)
        self.setFixedHeight(PLOT_HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setFrameShape(self.Shape.NoFrame)

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self.setBackground(theme.background)
        font = QFont(self.font())
        font.setPointSizeF(7.0)
        for name in ("left", "bottom"):
            axis = self.getPlotItem().getAxis(name)
            axis.setPen(pg.mkPen(theme.line))
            axis.setTextPen(pg.mkPen(theme.muted))
            axis.setTickFont(font)


class Legend(Painted):
    """Names of the curves with their colours, in one line."""

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[tuple[str, QPen]] = []
        self.setFixedHeight(15)

    @property
    def names(self) -> list[str]:
        """The names shown."""
        return [name for name, _ in self._entries]

    def set_entries(self, entries: list[tuple[str, QPen]]) -> None:
        """Show ``entries``: name and pen."""
        if entries != self._entries:
            self._entries = entries
            self.update()

    def draw(self, painter: QPainter, theme: Theme) -> None:
        """Draw a short stroke and the name for each curve."""
        font = QFont(self.font())
        font.setPointSizeF(8.0)
        painter.setFont(font)
        left = 2.0
        for name, pen in self._entries:
            painter.setPen(pen)
            painter.drawLine(QPointF(left, self.height() / 2), QPointF(left + STROKE, self.height() / 2))
            painter.setPen(QColor(theme.muted))
            width = painter.fontMetrics().horizontalAdvance(name)
            painter.drawText(
                QRectF(left + STROKE + 4, 0, width + 2, self.height()), Qt.AlignmentFlag.AlignVCenter, name
            )
            left += STROKE + width + 14


class CurvesView(QWidget):
    """Two small plots side by side; drawn at most four times a second, whatever comes in."""

    def __init__(self) -> None:
        super().__init__()
        self.loss_plot, self.dice_plot = SmallPlot(), SmallPlot()
        self.loss_value, self.dice_value = plain_label(), plain_label()
        self.legend = Legend()
        self._curves: dict[str, pg.PlotDataItem] = {}
        self._dice = self.dice_plot.plot(antialias=True)
        self._theme = Theme.of_name("dark")
        self._losses: Mapping[str, Series] = {}
        self._dice_series: Series = ((), ())
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(INTERVAL_MS)
        self._timer.timeout.connect(self.draw)
        self.dice_plot.setYRange(-0.1, 1.1, padding=0)
        self.dice_plot.getPlotItem().getAxis("left").setTicks([[(0, "0"), (0.5, ".5"), (1, "1")]])
        self.dice_plot.setToolTip("Dice on labelled voxels that were held out from training. 1 is perfect.")
        self.loss_plot.setToolTip("Terms of the loss by iteration. They should fall, then level off.")
        self._lay_out()

    def _lay_out(self) -> None:
        plots = row(spacing=16)
        for name, value, plot in (
            ("Loss", self.loss_value, self.loss_plot),
            ("Held-out Dice", self.dice_value, self.dice_plot),
        ):
            column = QVBoxLayout()
            column.setSpacing(0)
            column.addLayout(row(plain_label(name, "muted"), 1, value))
            column.addWidget(plot)
            plots.addLayout(column, 1)
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        layout.addLayout(plots)
        layout.addWidget(self.legend)
        self.hint = plain_label("The curves of the training appear here.", "muted")
        self.hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.pages = QStackedLayout(self)
        self.pages.addWidget(self.hint)
        self.pages.addWidget(page)

    def minimumSizeHint(self) -> QSize:
        """Return a size that leaves the width to the dock."""
        return QSize(200, super().minimumSizeHint().height())

    def set_curves(self, losses: Mapping[str, Series], dice: Series) -> None:
        """Show losses by name and mean Dice, each as (iterations, values); many calls become one drawing."""
        self._losses, self._dice_series = losses, dice
        if not self._timer.isActive():
            self._timer.start()

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self._theme = theme
        for part in (self.loss_plot, self.dice_plot, self.legend):
            part.set_theme(theme)
        self.draw()

    def draw(self) -> None:
        """Draw the curves as they are now."""
        losses = self._losses
        self.pages.setCurrentIndex(int(bool(losses) or len(self._dice_series[0]) > 0))
        for name in self._curves.keys() - losses.keys():
            self.loss_plot.removeItem(self._curves.pop(name))
        entries, latest = [], {}
        for place, (name, (x, y)) in enumerate(losses.items()):
            colour = self._theme.curves[place % len(self._theme.curves)]
            if name not in self._curves:
                self._curves[name] = self.loss_plot.plot(antialias=True)
            pen = pg.mkPen(colour, width=1.5, style=DASHES[place % len(DASHES)])
            self._curves[name].setPen(pen)
            points = thin_out(x, y)
            self._curves[name].setData(*points)
            latest[name] = points[1][-1] if points[1].size else 0.0
            entries.append((WORDS.get(name, name.replace("_", " ")), QPen(pen)))
        self.legend.set_entries(entries)
        self._draw_dice(self._dice_series)
        self.loss_value.setText(f"{sum(latest.values()):.3f}" if latest else "")

    def _draw_dice(self, dice: Series) -> None:
        x, y = thin_out(*dice)
        self._dice.setPen(pg.mkPen(self._theme.good, width=1.6))
        self._dice.setSymbol("o" if x.size <= 12 else None)
        self._dice.setSymbolSize(4)
        self._dice.setSymbolBrush(self._theme.good)
        self._dice.setSymbolPen(None)
        self._dice.setData(x, y)
        self.dice_plot.getPlotItem().getAxis("bottom").setStyle(showValues=bool(x.size))
        self.dice_value.setText(f"{y[-1]:.2f}" if y.size else "")
