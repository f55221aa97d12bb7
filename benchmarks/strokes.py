"""Measure how long a stroke takes from the mouse to the screen, on a scan of 512 x 512 x 300 voxels.

Real napari window, real mouse events, autosave on. A press or a movement of the mouse is one sample: from the
moment the event is given to the canvas until the canvas has drawn what it painted. A release is a sample
until the next frame has been drawn. The same strokes are made in plain napari, by turns with them: one scan
and one labels layer, on a canvas of the same size, and nothing of this plugin. So the ratio says what the
plugin adds, whatever the renderer costs. Run it on an otherwise idle machine:

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/strokes.py --part one
"""

from __future__ import annotations

import argparse
import cProfile
import json
import math
import pstats
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import napari
import nibabel as nib
import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QEventLoop, QPoint, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget
from responsiveness import wait

from napari_dycon.plugin.session import get_session
from napari_dycon.study.schema import Structure
from napari_dycon.study.study import Study

SHAPE, SPACING = (512, 512, 300), (0.7, 0.7, 1.0)
LEFT = Qt.MouseButton.LeftButton
MOVES, REACH = 12, 40
PAUSE_SECONDS, LONGEST_SECONDS, NOTHING_SECONDS = 0.3, 2.0, 0.2
BLOCK, SAVED_SECONDS = 5, 2.5


@dataclass(frozen=True)
class Part:
    """One way to paint.

    Attributes
    ----------
    window
        Size of napari's window in pixels.
    planes
        Whether the other planes are beside the one that is painted.
    """

    brush: int = 15
    dimensions: int = 2
    window: tuple[int, int] = (1500, 950)
    planes: bool = False


PARTS = {
    "one": Part(),
    "small": Part(window=(1000, 700)),
    "ball": Part(brush=40, dimensions=3),
    "three": Part(planes=True),
}


@dataclass
class Samples:
    """Milliseconds of each press, movement and release, and until the other planes followed a movement."""

    press: list[float] = field(default_factory=list)
    move: list[float] = field(default_factory=list)
    release: list[float] = field(default_factory=list)
    followed: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, dict[str, float]]:
        """Percentiles."""
        return {name: percentiles(values) for name, values in vars(self).items() if values}


def percentiles(values: list[float]) -> dict[str, float]:
    """Median, 95th percentile and maximum."""
    found = {"p50": np.percentile(values, 50), "p95": np.percentile(values, 95), "max": max(values)}
    return {name: round(float(value), 1) for name, value in found.items()} | {"samples": len(values)}


def make_study(folder: Path) -> None:
    """Make a study of one scan of smooth noise."""
    rng = np.random.default_rng(0)
    coarse = rng.normal(size=tuple(size // 8 + 1 for size in SHAPE)).astype(np.float32)
    scan = coarse.repeat(8, 0).repeat(8, 1).repeat(8, 2)[tuple(slice(size) for size in SHAPE)]
    path = folder / "scan.nii"
    nib.save(nib.Nifti1Image((300 * scan).astype(np.int16), np.diag([*SPACING, 1.0])), path)
    structures = [Structure(value=1, name="organ"), Structure(value=2, name="tumour")]
    with Study.create(folder / "study", structures) as study:
        study.add_scan(path)


class Painter:
    """Drags the pressed mouse over the first canvas.

    Parameters
    ----------
    layer
        What is painted on.
    canvases
        The one that is painted on, and those that show other planes of the same layer.
    """

    def __init__(self, layer: Labels, canvases: list[QWidget]) -> None:
        self.layer, self.canvas = layer, canvases[0]
        self.frames = [0] * len(canvases)
        self.edits, self.frames_at_edit = 0, list(self.frames)
        layer.events.labels_update.connect(self._edited)
        for index, canvas in enumerate(canvases):
            canvas.frameSwapped.connect(lambda index=index: self._drawn(index))

    def strokes(
        self, count: int, samples: Samples | None = None, first: int = 0, *, all_canvases: bool = False
    ) -> None:
        """Paint circles, of two structures by turns; a movement ends with the first canvas, or with all."""
        samples, centre = samples or Samples(), self.canvas.rect().center()
        moves = samples.followed if all_canvases else samples.move
        for number in range(first, first + count):
            self.layer.selected_label = 1 + number % 2
            start = centre + QPoint(-60 + 3 * (number % 40), -60 + 7 * (number % 17))
            QTest.mouseMove(self.canvas, start)
            settle(0.05)
            self._sample(samples.press, lambda start=start: QTest.mousePress(self.canvas, LEFT, pos=start))
            for step in range(1, MOVES + 1):
                angle = 2 * math.pi * step / MOVES
                place = start + QPoint(round(REACH * math.sin(angle)), round(REACH * (1 - math.cos(angle))))
                act = lambda place=place: QTest.mouseMove(self.canvas, place)  # noqa: E731
                self._sample(moves, act, all_canvases=all_canvases)
            self._release(samples.release, start)
            settle(PAUSE_SECONDS)

    def _edited(self, event: object = None) -> None:
        del event
        self.edits += 1
        self.frames_at_edit = list(self.frames)

    def _drawn(self, index: int) -> None:
        self.frames[index] += 1

    def _sample(self, into: list[float], act: Callable[[], None], *, all_canvases: bool = False) -> None:
        """Time an act until what it paints is drawn; one that paints nothing new is no sample."""
        before, started = self.edits, time.perf_counter()
        act()
        if until(lambda: self.edits > before, NOTHING_SECONDS):
            last = len(self.frames) if all_canvases else 1
            until(lambda: all(map(int.__gt__, self.frames[:last], self.frames_at_edit[:last])))
            into.append((time.perf_counter() - started) * 1000)

    def _release(self, into: list[float], place: QPoint) -> None:
        frames, started = self.frames[0], time.perf_counter()
        QTest.mouseRelease(self.canvas, LEFT, pos=place)
        self.canvas.update()
        until(lambda: self.frames[0] > frames)
        into.append((time.perf_counter() - started) * 1000)


def until(condition: Callable[[], bool], seconds: float = LONGEST_SECONDS) -> bool:
    """Process events as they come until a condition holds; return whether it does."""
    end, heart = time.perf_counter() + seconds, QTimer()
    heart.start(5)
    while not condition() and time.perf_counter() < end:
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
    return condition()


def settle(seconds: float) -> None:
    """Let the program do what it has to."""
    until(lambda: False, seconds)


def take_brush(viewer: napari.Viewer, layer: Labels, part: Part) -> None:
    """Take the brush in the hand, in the middle of the scan."""
    viewer.window.resize(*part.window)
    viewer.layers.selection.active = layer
    layer.n_edit_dimensions = part.dimensions
    layer.mode, layer.brush_size, layer.selected_label = "paint", part.brush, 1
    viewer.dims.set_current_step(0, SHAPE[2] // 2)
    settle(1.0)


def main_canvas(viewer: napari.Viewer) -> QWidget:
    """The widget that napari draws on."""
    return viewer.window._qt_window._qt_viewer.canvas.native


def slice_canvases(viewer: napari.Viewer, session: Any) -> list[QWidget]:
    """All canvases that show a slice of the annotation, the one that is painted on first."""
    panes = session._planes.panes.values() if session.planes_shown else ()
    return [main_canvas(viewer), *(pane.widget.canvas.native for pane in panes)]


def make_room(viewer: napari.Viewer, width: int, height: int) -> None:
    """Put empty widgets beside and below the canvas, so that it has just this size."""
    canvas, beside, below = main_canvas(viewer), QWidget(), QWidget()
    centre = viewer.window._qt_window.centralWidget().layout()
    centre.itemAt(0).widget().addWidget(below)
    centre.addWidget(beside)
    room = [0, 0]
    for _ in range(4):
        room = [max(0, room[0] + canvas.width() - width), max(0, room[1] + canvas.height() - height)]
        beside.setFixedWidth(room[0])
        below.setFixedHeight(room[1])
        settle(0.3)
    below.setVisible(room[1] > 0)
    settle(0.3)


def opened(folder: Path, part: Part) -> tuple[napari.Viewer, Painter, list[str]]:
    """A viewer with the dock open and autosave on, who paints there, and what is told about saving."""
    viewer = napari.Viewer()
    viewer.window.add_plugin_dock_widget("napari-dycon", "Study")
    session = get_session(viewer)
    session.open_study(folder / "study")
    wait(lambda: session.case_id is not None, 60, "the case did not open")
    if part.planes:
        session.toggle_planes()
        settle(2.0)
    layer, saves = viewer.layers["annotation"], []
    take_brush(viewer, layer, part)
    session.saved_changed.connect(lambda text, ok: saves.append(text))
    return viewer, Painter(layer, slice_canvases(viewer, session)), saves


def plain(folder: Path, part: Part, canvas: QWidget) -> tuple[napari.Viewer, Painter]:
    """Plain napari with a canvas of the same size, and who paints there."""
    scan = np.asanyarray(nib.load(folder / "scan.nii").dataobj).transpose(2, 1, 0)
    viewer = napari.Viewer()
    viewer.add_image(scan, scale=SPACING[::-1], contrast_limits=(-600, 900))
    layer = viewer.add_labels(np.zeros(scan.shape, np.uint8), scale=SPACING[::-1])
    take_brush(viewer, layer, part)
    make_room(viewer, canvas.width(), canvas.height())
    viewer.reset_view()
    settle(0.5)
    return viewer, Painter(layer, [main_canvas(viewer)])


def compare(folder: Path, part: Part, strokes: int, profile: bool) -> dict[str, Any]:
    """Paint with the plugin and without it by turns, so that both meet the same machine."""
    ours, painter, saves = opened(folder, part)
    theirs, other = plain(folder, part, painter.canvas)
    mine, alone, profiler = Samples(), Samples(), cProfile.Profile()
    for each in (painter, other):
        each.strokes(2)
    saves.clear()
    for start in range(0, strokes, BLOCK):
        settle(SAVED_SECONDS)
        if profile:
            profiler.enable()
        painter.strokes(BLOCK, mine, start)
        profiler.disable()
        settle(SAVED_SECONDS)
        other.strokes(BLOCK, alone, start)
    if len(painter.frames) > 1:
        painter.strokes(max(2, strokes // 4), mine, all_canvases=True)
    if profile:
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(60)
    found = {
        "with the plugin": mine.figures() | {"saves": sum(text.startswith("Saved") for text in saves)},
        "plain napari": alone.figures(),
        "ratio": ratios(mine, alone),
        "canvas": {
            name: [one.canvas.width(), one.canvas.height()]
            for name, one in (("plugin", painter), ("plain", other))
        },
    }
    for viewer in (ours, theirs):
        viewer.close()
    settle(0.5)
    return found


def ratios(mine: Samples, alone: Samples) -> dict[str, dict[str, float]]:
    """How much longer the plugin takes."""
    ours, theirs = mine.figures(), alone.figures()
    return {
        act: {q: round(ours[act][q] / theirs[act][q], 2) for q in ("p50", "p95", "max")} for act in theirs
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--strokes", type=int, default=20)
    parser.add_argument("--part", action="append", choices=[*PARTS], help="all by default")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        make_study(folder)
        for name in options.part or PARTS:
            result[name] = compare(folder, PARTS[name], options.strokes, options.profile)
            for row, acts in result[name].items():
                print(f"{name:6} {row:16}", json.dumps(acts), flush=True)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
