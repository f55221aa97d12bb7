"""A hand with the mouse over the real window."""

from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

LEFT = Qt.MouseButton.LeftButton
NONE = Qt.KeyboardModifier.NoModifier


class Hand:
    """The mouse over the viewer's canvas with a brush in it, and the dock beside it."""

    def __init__(self, desk):
        self.desk, self.viewer, self.session = desk, desk.viewer, desk.session
        _, self.dock = desk.add_dock()
        self.viewer.window.resize(1200, 900)
        self.viewer.window.show()
        self.canvas = self.viewer.window._qt_window._qt_viewer.canvas.native
        desk.wait(lambda: self.canvas.width() > 100)
        desk.qtbot.wait(100)
        self.viewer.reset_view()
        self.viewer.layers["annotation"].mode = "paint"
        self.viewer.window._qt_window.activateWindow()

    @property
    def annotation(self):
        return self.session._desk.case.annotation

    def shown(self, array):
        return self.session._desk.case.display.apply(array)

    def at(self, row, column):
        """Where a voxel of the slice on screen is on the canvas."""
        camera, scale = self.viewer.scene.camera, self.viewer.layers["scan"].scale
        rows, columns = self.viewer.dims.order[-2:]
        x = (column * scale[columns] - camera.center[-1]) * camera.zoom + self.canvas.width() / 2
        y = (row * scale[rows] - camera.center[-2]) * camera.zoom + self.canvas.height() / 2
        return QPoint(round(x), round(y))

    def drag(self, start, end, keys=NONE):
        QTest.mouseMove(self.canvas, self.at(*start))
        QTest.mousePress(self.canvas, LEFT, keys, pos=self.at(*start))
        for share in (0.5, 1.0):
            where = [a + share * (b - a) for a, b in zip(start, end, strict=True)]
            QTest.mouseMove(self.canvas, self.at(*where))
            self.desk.qtbot.wait(20)
        QTest.mouseRelease(self.canvas, LEFT, keys, pos=self.at(*end))

    def rest(self):
        self.desk.wait(lambda: not (self.session.tools.growing or self.session._loads.busy))
