"""Menus of the tools: what the brush says, how slices are filled, how a structure is cleaned up."""

from qtpy.QtCore import Signal
from qtpy.QtGui import QAction, QActionGroup
from qtpy.QtWidgets import QMenu, QWidget

PAINTS = (
    ("structure", "The structure"),
    ("background", "Background, for certain"),
    ("ignore", "Do not care"),
    ("forget", "Forget"),
)
"""What the brush can say, and how it is called."""
CLEANUPS = (
    ("largest", "Keep the largest piece"),
    ("islands", "Remove islands below 0.1 ml"),
    ("holes", "Fill holes"),
    ("slice holes", "Fill holes in every slice"),
    ("smooth", "Smooth a little"),
    ("smooth more", "Smooth more"),
)


class PaintMenu(QMenu):
    """What the brush says; one of them is ticked."""

    paint_requested = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        group = QActionGroup(self)
        for key, text in PAINTS:
            action = self.addAction(text)
            action.setData(key)
            action.setCheckable(True)
            group.addAction(action)
        self.show_paint(PAINTS[0][0])
        self.triggered.connect(self._ask)

    def show_paint(self, how: str) -> None:
        """Tick one of ``PAINTS``."""
        for action in self.actions():
            action.setChecked(action.data() == how)

    def _ask(self, action: QAction) -> None:
        self.paint_requested.emit(action.data())


class InterpolateMenu(QMenu):
    """Fills slices between labelled ones: of the active structure, or of all of them."""

    interpolate_requested = Signal(bool)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._active = self.addAction("")
        self._active.setData(False)
        self.set_structure("")
        self.addAction("Between slices of all structures").setData(True)
        self.triggered.connect(self._ask)

    def set_structure(self, name: str) -> None:
        """Name the active structure."""
        self._active.setText(f"Between slices of {name}" if name else "Between slices")

    def _ask(self, action: QAction) -> None:
        self.interpolate_requested.emit(action.data())


class CleanupMenu(QMenu):
    """Cleans up the active structure."""

    cleanup_requested = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        for key, text in CLEANUPS:
            self.addAction(text).setData(key)
        self.triggered.connect(self._ask)

    def _ask(self, action: QAction) -> None:
        self.cleanup_requested.emit(action.data())
