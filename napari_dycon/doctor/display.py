"""Whether a window can be shown here; asked in another process, since Qt ends its own when it cannot."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

PROBE_SECONDS = 60
HEADLESS_PLATFORMS = {"offscreen", "minimal", "minimalegl", "vnc"}
PROBE = """
import json
from qtpy import API_NAME, QT_VERSION
from qtpy.QtGui import QOffscreenSurface, QOpenGLContext
from qtpy.QtWidgets import QApplication
app = QApplication([])
screen = app.primaryScreen()
size = [screen.size().width(), screen.size().height()] if screen else None
context = QOpenGLContext()
surface = QOffscreenSurface()
surface.create()
opengl = context.create() and context.makeCurrent(surface)
version = context.format().version() if opengl else None
print(json.dumps({"platform": app.platformName(), "size": size, "qt": f"{API_NAME} {QT_VERSION}",
                  "opengl": ".".join(map(str, version)) if version else None}))
"""


@dataclass(frozen=True, slots=True)
class Display:
    """What a window would meet; ``problem`` is a sentence where no window can be shown."""

    qt: str | None = None
    size: tuple[int, int] | None = None
    opengl: str | None = None
    problem: str | None = None

    @property
    def usable(self) -> bool:
        """Whether napari can be shown."""
        return self.problem is None


def find_display() -> Display:
    """Look for a screen, a Qt binding and OpenGL."""
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        return Display(problem="There is no screen: neither DISPLAY nor WAYLAND_DISPLAY is set.")
    try:
        probe = subprocess.run(
            [sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=PROBE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return Display(problem=f"Qt did not answer within {PROBE_SECONDS} s; is the screen reachable?")
    if probe.returncode != 0:
        lines = probe.stderr.strip().splitlines() or [f"status {probe.returncode}"]
        return Display(problem=f"Qt cannot start: {_telling(lines)}")
    return _judge(json.loads(probe.stdout.strip().splitlines()[-1]))


def _judge(answer: dict[str, str | list[int] | None]) -> Display:
    size, opengl = answer["size"], answer["opengl"]
    found = Display(
        qt=str(answer["qt"]),
        size=(size[0], size[1]) if isinstance(size, list) else None,
        opengl=str(opengl) if opengl else None,
    )
    if answer["platform"] in HEADLESS_PLATFORMS or found.size is None:
        return Display(found.qt, None, found.opengl, f"Qt runs without a screen ({answer['platform']}).")
    if found.opengl is None:
        return Display(found.qt, found.size, None, "There is no OpenGL, which napari needs.")
    return found


def _telling(lines: list[str]) -> str:
    """The line of an error output that says most: the first of Qt's complaint or the last of a traceback."""
    for line in lines:
        if "could not" in line.lower() or "cannot" in line.lower():
            return line.strip()
    return lines[-1].strip()
