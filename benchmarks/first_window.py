"""Measure how long it takes until a study is on screen, and how long the window stands still meanwhile.

``dycon launch STUDY`` is started as a person starts it, a few times. The clock runs from the start of the
command until a frame was drawn with the scan in it. From the first turn of the event loop on, a 10 ms timer
of the GUI thread notes how late it is; before that there is nothing to click. Processor seconds are those of
the GUI thread, which other programs do not lengthen much. The first start after an installation takes longer:
Python and numba compile. Run it on an otherwise idle machine:

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/first_window.py
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

PERIOD_S = 0.010
AFTER_S = 3.0
"""So long the window is watched after the scan was drawn: what comes late may stand in the way, too."""
PATIENCE_S = 300.0
TOLD, BEGAN = "FIRST_WINDOW_TOLD", "FIRST_WINDOW_BEGAN"
"""In the environment: where the process of the window writes what it found, and when all began."""


class Watch:
    """Notes how far the process of the window has come, in seconds since the clock began."""

    def __init__(self) -> None:
        self._began = float(os.environ[BEGAN])
        self._late: list[tuple[float, float, float]] = []
        self.marks: dict[str, float] = {}
        self._listens = False

    def mark(self, name: str) -> None:
        """Note the time, and the processor time of the GUI thread."""
        if name not in self.marks:
            self.marks[name] = time.time() - self._began
            self.marks[f"{name}_processor"] = time.thread_time()

    def begin(self) -> None:
        """Watch from now on; called when the window is there, just before its event loop."""
        from qtpy.QtCore import QTimer

        self.mark("loop")
        self._last, self._used = time.perf_counter(), time.thread_time()
        self._timer = QTimer()
        self._timer.setInterval(round(1000 * PERIOD_S))
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def _tick(self) -> None:
        now, used, since = time.perf_counter(), time.thread_time(), time.time() - self._began
        self._late.append((now - self._last - PERIOD_S, used - self._used, since))
        self._last, self._used = now, used
        if not self._listens:
            self._listen()
        if since > min(self.marks.get("scan", PATIENCE_S) + AFTER_S, PATIENCE_S):
            self._tell()

    def _listen(self) -> None:
        """Wait for the next frame once the scan is shown."""
        import napari

        viewer = napari.current_viewer()
        if viewer is not None and "scan" in viewer.layers and viewer.layers["scan"].visible:
            canvas = viewer.window._qt_window._qt_viewer.canvas._scene_canvas
            canvas.events.draw.connect(lambda event: self.mark("scan"), position="last")
            canvas.update()
            self._listens = True

    def _tell(self) -> None:
        from qtpy.QtWidgets import QApplication

        freeze = dict(zip(("freeze", "freeze_processor", "freeze_at"), max(self._late), strict=True))
        Path(os.environ[TOLD]).write_text(json.dumps(self.marks | freeze))
        QApplication.instance().quit()


def main(arguments: list[str]) -> None:
    """Do what the launcher does, in whose place ``dycon`` calls this, and watch it."""
    watch = Watch()
    watch.mark("python")
    import napari

    watch.mark("napari")
    from napari_dycon.plugin.manifest.launch import main as launch

    run = napari.run

    def watched() -> None:
        watch.begin()
        run()

    napari.run = watched
    launch(arguments)


def start(study: Path, told: Path) -> dict[str, float]:
    """Run ``dycon launch`` on a study, with the watch in the process of its window."""
    import subprocess

    code = "from napari_dycon.cli import looking, main; looking.LAUNCHER = 'first_window'; main()"
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = {TOLD: str(told), BEGAN: str(time.time()), "PYTHONPATH": paths}
    command = [sys.executable, "-c", code, "launch", str(study)]
    subprocess.run(command, check=True, env=os.environ | environment)
    found: dict[str, float] = json.loads(told.read_text())
    return found


def measure() -> None:
    """Read the options, start the window several times, print what was found."""
    from common import atrium_study

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        atrium_study(Path(folder) / "atria").close()
        for number in range(options.starts):
            rows.append(start(Path(folder) / "atria", Path(folder) / f"{number}.json"))
            print(json.dumps({name: round(value, 2) for name, value in rows[-1].items()}), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    measure()
