"""The layers of ours in the viewer, each in its role: made, re-used from case to case, kept in place."""

import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels, Layer
from qtpy.compat import isalive

from napari_dycon.plugin.layers import styles
from napari_dycon.plugin.layers.anchor import Anchor
from napari_dycon.plugin.layers.brush import Brush, BrushedLabels
from napari_dycon.plugin.layers.derived import Derived
from napari_dycon.plugin.layers.layer_list import LayerRows
from napari_dycon.plugin.layers.napari_private import forget_strokes, main_window
from napari_dycon.plugin.layers.orientation import AXIS_LABELS, UNITS, DisplayView

if TYPE_CHECKING:
    from napari.components import ViewerModel

HELD = ("brush_size", "n_edit_dimensions", "contiguous", "preserve_labels")
"""What the hand keeps when the layer it paints on is made again."""


class Stage:
    """Puts arrays into the viewer.

    Removing a layer in mid-session can crash OpenGL and a swap of ``data`` keeps the undo history of the
    array before; so layers stay, their data are swapped and the history is emptied. Layers that the user
    deleted are made again; layers of others are never touched.

    Parameters
    ----------
    viewer
        The napari viewer or viewer model; only weakly referenced.
    brushes
        What painting does, on the roles that are painted on.

    Attributes
    ----------
    display
        How the case that is shown is turned; None before the first.
    """

    def __init__(self, viewer: "ViewerModel", brushes: Mapping[str, Brush]) -> None:
        self._viewer = weakref.ref(viewer)
        self._brushes = brushes
        self._layers: dict[str, Layer] = {}
        self._anchors: dict[str, Anchor] = {}
        self._rows = LayerRows(viewer)
        self.display: DisplayView | None = None

    @property
    def viewer(self) -> "ViewerModel":
        """The viewer, which must not have been closed."""
        viewer = self._viewer()
        assert viewer is not None, "the viewer has been closed"
        return viewer

    @property
    def there(self) -> bool:
        """Whether the viewer has not been closed."""
        return self._viewer() is not None

    @property
    def on_screen(self) -> bool:
        """Whether the viewer is there, and its window if it ever had one."""
        viewer = self._viewer()
        window = main_window(viewer)
        return viewer is not None and (window is None or (isalive(window) and window.isVisible()))

    def layer(self, role: str) -> Layer | None:
        """Return our layer for ``role`` if it is in the viewer."""
        layer = self._layers.get(role)
        viewer = self._viewer()
        return layer if layer is not None and viewer is not None and layer in viewer.layers else None

    def all(self) -> dict[str, Layer]:
        """Return our layers that are in the viewer, by role."""
        found = ((role, self.layer(role)) for role in self._layers)
        return {role: layer for role, layer in found if layer is not None}

    def role_made_for(self, layer: Layer) -> str | None:
        """Return the role for which a layer was made, in the viewer or not; None for layers of others."""
        return next((role for role, ours in self._layers.items() if ours is layer), None)

    def put(self, role: str, data: np.ndarray, **made_with: object) -> Layer:
        """Show an array ``(x, y, z)`` in source order in ``role``, and return its layer."""
        assert self.display is not None
        return self.lay(role, self.display.apply(data), **made_with)

    def prepare(self, role: str) -> bool:
        """Make the layer of ``role`` before its first use, unseen; return whether that was to be done.

        In a window this takes a tenth of a second, and with a bare viewer model there is nothing to gain.
        """
        viewer = self.viewer
        if self.display is None or self.layer(role) is not None or main_window(viewer) is None:
            return False
        active = viewer.layers.selection.active
        layer = self.put(role, self.blank())
        layer.visible = False
        viewer.layers.selection.active = active
        self.list_layer(layer, False)
        return True

    def derive(
        self, role: str, rule: Callable[..., np.ndarray], kind: type[np.generic], *sources: np.ndarray
    ) -> Layer:
        """Show what a rule makes of arrays ``(x, y, z)`` in source order, see `Derived`."""
        assert self.display is not None
        return self.lay(role, Derived(rule, kind, *map(self.display.apply, sources)))

    def lay(self, role: str, shown: "np.ndarray | Derived", **made_with: object) -> Layer:
        """Show an array in the order of the display in ``role``, and return its layer."""
        assert self.display is not None
        layer = self.layer(role)
        if layer is None:
            layer = self._add(role, shown, **made_with)
        elif _is_same(layer.data, shown):
            return layer  # shown already: a swap would cost the undo history
        else:
            layer.data = shown
            layer.scale = self.display.scale
        if isinstance(layer, Labels):
            forget_strokes(layer)
        return layer

    def blank(self, kind: type[np.integer] = np.uint8) -> np.ndarray:
        """Return an empty array for `put`, which takes no memory."""
        assert self.display is not None
        return np.broadcast_to(kind(0), self.display.geometry.shape)

    def list_layer(self, layer: Layer, listed: bool) -> None:
        """Show or hide the row of ``layer`` in napari's list; the annotation takes over from a hidden one."""
        self._rows.list_layer(layer, listed)
        selection, annotation = self.viewer.layers.selection, self.layer(styles.ANNOTATION)
        if not listed and layer in selection and annotation is not None:
            selection.active = annotation

    def describe(self, path: str, case_id: str) -> None:
        """Write into each layer what it shows of which case."""
        for role, layer in self.all().items():
            layer.metadata["dycon"] = {"path": path, "case": case_id, "role": role}

    def _add(self, role: str, data: "np.ndarray | Derived", **made_with: object) -> Layer:
        assert self.display is not None
        common = {
            "name": role,
            "scale": self.display.scale,
            "units": UNITS,
            "axis_labels": AXIS_LABELS,
        }
        layer = styles.make_layer(role, data, **common, **made_with)
        if isinstance(layer, BrushedLabels):
            layer.brush, former = self._brushes[role], self._layers.get(role)
            for name in HELD if former is not None else ():
                setattr(layer, name, getattr(former, name))
        viewer = self.viewer
        above = [viewer.layers.index(other) for other in self._above(role)]
        viewer.layers.insert(min(above, default=len(viewer.layers)), layer)
        self._layers[role] = layer
        self._anchors[role] = Anchor(layer, self._voxel_size)
        return layer

    def _voxel_size(self) -> np.ndarray:
        assert self.display is not None
        return np.asarray(self.display.scale)

    def _above(self, role: str) -> list[Layer]:
        level = styles.level_of(role)
        return [layer for other, layer in self.all().items() if styles.level_of(other) > level]


def _is_same(first: object, second: object) -> bool:
    """Return whether two arrays are views of the same voxels."""
    if not (isinstance(first, np.ndarray) and isinstance(second, np.ndarray)):
        return False
    return first.shape == second.shape and np.may_share_memory(first, second)
