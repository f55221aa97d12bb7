"""A mouse and a keyboard for viewer models: events go to the callbacks to which a canvas hands them."""

from types import SimpleNamespace

import numpy as np
from napari.utils.interactions import (
    mouse_move_callbacks,
    mouse_press_callbacks,
    mouse_release_callbacks,
)


class Mouse:
    """Drags over the canvas of a viewer model; places are ``(z, y, x)`` in voxels of the case."""

    def __init__(self, viewer):
        self.viewer = viewer
        self.event = SimpleNamespace(
            type="mouse_press", button=1, buttons=[1], is_dragging=False, modifiers=(), handled=False
        )

    def press(self, voxel, button=1):
        self.event = SimpleNamespace(**{**vars(self.event), "button": button, "handled": False})
        self._tell("mouse_press", voxel, mouse_press_callbacks)
        self.event.is_dragging = True

    def move(self, voxel):
        self._tell("mouse_move", voxel, mouse_move_callbacks)

    def release(self, voxel):
        self._tell("mouse_release", voxel, mouse_release_callbacks)
        self.event.is_dragging = False

    def drag(self, *voxels):
        self.press(voxels[0])
        for voxel in voxels[1:]:
            self.move(voxel)
        self.release(voxels[-1])

    def _tell(self, kind, voxel, callbacks):
        dims, event = self.viewer.dims, self.event
        event.type = kind
        event.position = tuple(np.asarray(voxel) * self.viewer.layers["scan"].scale)
        event.pos = np.array([event.position[axis] for axis in dims.displayed[-2:]]) * 5
        event.dims_displayed, event.dims_point = list(dims.displayed), list(dims.point)
        event.view_direction = event.up_direction = None
        event.camera_zoom = 1.0
        callbacks(self.viewer, event)
        active = self.viewer.layers.selection.active
        if active is not None:
            callbacks(active, event)
