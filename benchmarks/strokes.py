"""Measure how long a stroke takes from the mouse to the screen, on a scan of 512 x 512 x 300 voxels.

Real napari window, real mouse events, autosave on. Each movement of the pressed mouse is one sample: from the
moment the event is given to the canvas until every canvas that shows the slice has been drawn. The same
movements are then made in plain napari, with the same layers and nothing of this plugin: what the renderer
alone costs, in the same run on the same machine. Run it on an otherwise idle machine:

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/strokes.py --strokes 40
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
from pathlib import Path
from typing import Any

import napari
import nibabel as nib
import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget
from responsiveness import wait

from napari_dycon.plugin.session import get_session
from napari_dycon.study.schema import Structure
from napari_dycon.study.study import Study

SHAPE, SPACING = (512, 512, 300), (0.7, 0.7, 1.0)
LEFT = Qt.MouseButton.LeftButton
MOVES, BRUSH = 12, 15


def make_study(folder: Path) -> None:
    """Make a study of one scan of smooth noise."""
    rng = np.random.default_rng(0)
    coarse = rng.normal(size=tuple(size // 8 + 1 for size in SHAPE)).astype(np.float32)
    scan = coarse.repeat(8, 0).repeat(8, 1).repeat(8, 2)[tuple(slice(size) for size in SHAPE)]
    path = folder / "scan.nii"
    nib.save(nib.Nifti1Image((300 * scan).astype(np.int16), np.diag([*SPACING, 1.0])), path)
    with Study.create(folder / "study", [Structure(value=1, name="organ")]) as study:
        study.add_scan(path)


class Painter:
    """Drags the pressed mouse over the first canvas, and waits for all of them to be drawn."""

    def __init__(self, viewer: napari.Viewer, layer: napari.layers.Labels, canvases: list[QWidget]) -> None:
        self.viewer, self.layer, self.canvases = viewer, layer, canvases
        self.drawn = [0] * len(canvases)
        for index, canvas in enumerate(canvases):
            canvas.frameSwapped.connect(lambda index=index: self._swapped(index))

    def _swapped(self, index: int) -> None:
        self.drawn[index] += 1

    def strokes(self, count: int, between: Callable[[], None]) -> dict[str, list[float]]:
        """Return milliseconds of each press, movement and release."""
        samples: dict[str, list[float]] = {"press": [], "move": [], "release": []}
        centre = self.canvases[0].rect().center()
        for number in range(count):
            start = centre + QPoint(-60 + 3 * (number % 40), -60 + 7 * (number % 17))
            QTest.mouseMove(self.canvases[0], start)
            settle(0.05)
            samples["press"].append(self._timed("press", start))
            for step in range(1, MOVES + 1):
                angle = 2 * math.pi * step / MOVES
                place = start + QPoint(round(40 * math.sin(angle)), round(40 - 40 * math.cos(angle)))
                samples["move"].append(self._timed("move", place))
            samples["release"].append(self._timed("release", start))
            between()
        return samples

    def _timed(self, act: str, place: QPoint) -> float:
        before, started = list(self.drawn), time.perf_counter()
        if act == "move":
            QTest.mouseMove(self.canvases[0], place)
        else:
            press = QTest.mousePress if act == "press" else QTest.mouseRelease
            press(self.canvases[0], LEFT, Qt.KeyboardModifier.NoModifier, place)
        end = started + 2.0
        QApplication.processEvents()
        while act != "release" and time.perf_counter() < end:
            if all(now > then for now, then in zip(self.drawn, before, strict=True)):
                break
            QApplication.processEvents()
        return (time.perf_counter() - started) * 1000


def settle(seconds: float) -> None:
    """Let the program do what it has to."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        QApplication.processEvents()
        time.sleep(0.001)


def figures(samples: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Percentiles in milliseconds."""
    return {
        name: {
            "p50": round(float(np.percentile(values, 50)), 1),
            "p95": round(float(np.percentile(values, 95)), 1),
            "max": round(max(values), 1),
        }
        for name, values in samples.items()
    }


def ready(viewer: napari.Viewer, layer: napari.layers.Labels) -> None:
    """Take the brush in the hand, in the middle of the scan."""
    viewer.window.resize(1500, 950)
    viewer.layers.selection.active = layer
    layer.mode, layer.brush_size, layer.selected_label = "paint", BRUSH, 1
    viewer.dims.set_current_step(0, SHAPE[2] // 2)
    settle(2.0)


def main_canvas(viewer: napari.Viewer) -> QWidget:
    """The widget that napari draws on."""
    return viewer.window._qt_window._qt_viewer.canvas.native


def shown_canvases(viewer: napari.Viewer, session: Any) -> list[QWidget]:
    """All canvases that show the annotation, the one that is painted on first."""
    first = main_canvas(viewer)
    kind = type(first)
    others = [
        one for one in viewer.window._qt_window.findChildren(kind) if one is not first and one.isVisible()
    ]
    del session
    return [first, *others]


def with_plugin(folder: Path, strokes: int, planes: bool, profile: bool) -> dict[str, Any]:
    """Paint with the dock open and autosave on."""
    viewer = napari.Viewer()
    viewer.window.add_plugin_dock_widget("napari-dycon", "Study")
    session = get_session(viewer)
    session.open_study(folder / "study")
    wait(lambda: session.case_id is not None, 60, "the case did not open")
    if planes:
        session.toggle_planes()
        settle(3.0)
    ready(viewer, viewer.layers["annotation"])
    canvases = shown_canvases(viewer, session)
    painter = Painter(viewer, viewer.layers["annotation"], canvases)
    painter.strokes(2, lambda: settle(0.3))
    saves: list[str] = []
    session.saved_changed.connect(lambda text, ok: saves.append(text))
    profiler = cProfile.Profile()
    if profile:
        profiler.enable()
    samples = painter.strokes(strokes, lambda: settle(0.3))
    if profile:
        profiler.disable()
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(45)
    found = figures(samples) | {
        "canvases": len(canvases),
        "saves": sum(text.startswith("Saved") for text in saves),
    }
    viewer.close()
    settle(1.0)
    return found


def without_plugin(folder: Path, strokes: int, planes: int) -> dict[str, Any]:
    """Paint in plain napari on the same layers; where several planes are compared, that often at once."""
    scan = np.asanyarray(nib.load(folder / "scan.nii").dataobj).transpose(2, 1, 0)
    labels = np.zeros(scan.shape, np.uint8)
    viewers = [napari.Viewer() for _ in range(planes)]
    for index, viewer in enumerate(viewers):
        viewer.add_image(scan, scale=SPACING[::-1], contrast_limits=(-600, 900))
        viewer.add_image(np.zeros(scan.shape, np.float16), scale=SPACING[::-1], visible=False)
        viewer.add_labels(np.zeros(scan.shape, np.uint8), scale=SPACING[::-1], opacity=0.5)
        viewer.add_labels(labels, scale=SPACING[::-1])
        viewer.dims.order = [(0, 1, 2), (1, 0, 2), (2, 0, 1)][index]
    first = viewers[0]
    ready(first, first.layers[-1])
    canvases = [main_canvas(viewer) for viewer in viewers]
    painter = Painter(first, first.layers[-1], canvases)
    others = [viewer.layers[-1] for viewer in viewers[1:]]
    first.layers[-1].events.labels_update.connect(lambda event: [layer.refresh() for layer in others])
    painter.strokes(2, lambda: settle(0.3))
    found = figures(painter.strokes(strokes, lambda: settle(0.3))) | {"canvases": len(canvases)}
    for viewer in viewers:
        viewer.close()
    settle(1.0)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--strokes", type=int, default=40)
    parser.add_argument("--views", default="one,three")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        make_study(folder)
        for name in options.views.split(","):
            three = name == "three"
            ours = with_plugin(folder, options.strokes, three, options.profile)
            alone = without_plugin(folder, options.strokes, max(1, ours["canvases"]))
            ratio = {q: round(ours["move"][q] / alone["move"][q], 2) for q in ("p50", "p95", "max")}
            result[name] = {"with the plugin": ours, "renderer alone": alone, "ratio of movements": ratio}
            print(name, json.dumps(result[name], indent=1), flush=True)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
