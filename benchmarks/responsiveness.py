"""Measure how late the event loop runs while a model trains in the background.

The same session is probed training in the window's process and training in a process of its own, each time
after a rest on the same screen: what a training has predicted makes scrolling dearer, and the next one must
not be blamed for it. Real napari window, real scan, scrolling every 150 ms, a brush stroke every 230 ms, a
10 ms timer whose lateness is recorded, for the longest how much of it the GUI thread itself has used, and the
full garbage collections, which hold up all threads. Run it on an otherwise idle machine:

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/responsiveness.py --seconds 40
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import napari
import numpy as np
from common import atrium_study
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_dycon.plugin.controllers import training
from napari_dycon.plugin.manifest.launch import open_window
from napari_dycon.plugin.session import Session, get_session

PERIOD_MS = 10
PATIENCE = 300
"""Seconds for what a busy machine is slow at: loading PyTorch, the first steps, an end."""


class Probe:
    """Records by how many milliseconds a periodic timer of the GUI thread is late."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self.busy: list[float] = []
        self.collections: list[float] = []
        gc.callbacks.append(self.hear_collection)
        self.timer = QTimer()
        self.timer.setInterval(PERIOD_MS)
        self.timer.timeout.connect(self.tick)

    def hear_collection(self, phase: str, about: dict[str, int]) -> None:
        """Note how long each full garbage collection holds up every thread of the process."""
        if about["generation"] == 2:
            if phase == "start":
                self.collected = time.perf_counter()
            else:
                self.collections.append((time.perf_counter() - self.collected) * 1000)

    def tick(self) -> None:
        """Note the lateness of this tick."""
        now, used = time.perf_counter(), time.thread_time()
        self.late.append(max(0.0, (now - self.last) * 1000 - PERIOD_MS))
        self.busy.append((used - self.used) * 1000)
        self.last, self.used = now, used

    def run(self, viewer: napari.Viewer, seconds: float) -> dict[str, Any]:
        """Scroll and paint for so long; return the percentiles of lateness in milliseconds."""
        self.late, self.busy, self.collections = [], [], []
        self.last, self.used = time.perf_counter(), time.thread_time()
        self.timer.start()
        end, next_scroll, next_stroke, strokes = self.last + seconds, 0.0, 0.0, 0
        layer = viewer.layers["annotation"]
        while (now := time.perf_counter()) < end:
            if now >= next_scroll:
                next_scroll = now + 0.150
                steps = layer.data.shape[0]
                viewer.dims.set_current_step(0, int(now * 6) % steps)
            if now >= next_stroke:
                next_stroke = now + 0.230
                strokes += 1
                point = [viewer.dims.current_step[0], 20 + strokes % 30, 20 + strokes % 40]
                layer.paint(point, 1)
            QApplication.processEvents()
            time.sleep(0.0005)
        self.timer.stop()
        late, longest = np.asarray(self.late), int(np.argmax(self.late))
        found = {f"p{share}": float(np.percentile(late, share)) for share in (50, 95, 99)}
        return found | {
            "max": float(late[longest]),
            "max_busy": self.busy[longest],
            "collections": list(self.collections),
        }


def wait(condition, seconds: float, what: str) -> None:
    """Process events until the condition holds."""
    end = time.perf_counter() + seconds
    while not condition():
        if time.perf_counter() > end:
            raise TimeoutError(what)
        QApplication.processEvents()
        time.sleep(0.005)


def probe_training(session: Session, probe: Probe, viewer: napari.Viewer, seconds: float) -> dict[str, Any]:
    """Return the lateness while a training is under way, and the iterations that it makes in a second."""
    session.training.train("dycon", minutes=(seconds + PATIENCE) / 60)
    losses = lambda: session.tasks.curves.losses.values()  # noqa: E731
    wait(lambda: any(len(points[0]) > 10 for points in losses()), PATIENCE, "no training")
    steps = max(len(points[0]) for points in losses())
    found = probe.run(viewer, seconds)
    found["iterations_per_second"] = (max(len(points[0]) for points in losses()) - steps) / seconds
    session.tasks.stop()
    wait(lambda: not session.tasks.state.busy, PATIENCE, "the training did not end")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--order", nargs="+", choices=("here", "apart"), default=("here", "apart"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        atrium_study(Path(folder) / "atria").close()
        viewer, _ = open_window()
        session = get_session(viewer)
        session.open_study(Path(folder) / "atria")
        wait(lambda: session.study is not None, PATIENCE, "the study did not open")
        session.cases.open(session.study.cases[5].id)
        wait(lambda: "annotation" in viewer.layers, PATIENCE, "the case did not open")
        probe = Probe()
        probe.run(viewer, 5)
        result: dict[str, dict[str, Any]] = {}
        for where in options.order:
            training.prefers_own_process = lambda where=where: where == "apart"  # settings stay as they are
            rest = probe.run(viewer, options.seconds)
            found = probe_training(session, probe, viewer, options.seconds)
            result[where] = {"rest": rest, "training": found, "added_p95": found["p95"] - rest["p95"]}
            print(where, json.dumps(result[where]), flush=True)
        viewer.close()
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
