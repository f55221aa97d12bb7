"""``python -m napari_dycon.plugin.manifest.launch [STUDY]``: napari with the dock, on a study if named."""

import gc
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_dycon.engine.loading import load_torch_before_qt

if TYPE_CHECKING:
    import napari

PLUGIN = "napari-dycon"
ROOMY = (1400, 880)


def main(arguments: list[str]) -> int:
    """Show napari until it is closed.

    Parameters
    ----------
    arguments : list of str
        At most one: the folder of a study, or of scans to begin one with.
    """
    viewer, dock = open_window()
    import napari

    _enlarge(viewer)
    if arguments:
        dock.begin_with([Path(arguments[0])])
    _quit_when_told_to_end()
    napari.run()
    return 0


def open_window() -> "tuple[napari.Viewer, Any]":
    """Show napari with the dock, without its event loop."""
    with _without_collections():
        load_torch_before_qt()
        import napari

        viewer = napari.Viewer()
        _, dock = viewer.window.add_plugin_dock_widget(PLUGIN)
    return viewer, dock


@contextmanager
def _without_collections() -> Iterator[None]:
    """Start sooner: all that is loaded stays, and to go through it again and again takes time, also later."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _quit_when_told_to_end() -> None:
    """Let the system's request to end (at shutdown, or by ``kill``) save everything, as closing does."""
    from qtpy.QtGui import QGuiApplication

    signal.signal(signal.SIGTERM, lambda *_: QGuiApplication.quit())


def _enlarge(viewer: "napari.Viewer") -> None:
    """Give the dock the room it is drawn for, where the screen has it."""
    from qtpy.QtCore import QSize
    from qtpy.QtGui import QGuiApplication

    room = QGuiApplication.primaryScreen().availableSize().boundedTo(QSize(*ROOMY))
    *_, width, height = viewer.window.geometry()
    viewer.window.resize(max(width, room.width()), max(height, room.height()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
