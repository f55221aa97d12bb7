"""Where readers differ, over the scan: hatched for two of them, for more the share that differs from most."""

from collections.abc import Sequence

import numpy as np

from napari_dycon.plugin.layers import styles
from napari_dycon.plugin.layers.legend import Entry
from napari_dycon.plugin.layers.open_case import SHADES
from napari_dycon.plugin.layers.outlines import MISSED
from napari_dycon.plugin.layers.stage import Stage
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.truth.disagreement import Disagreement

LONGEST_NAME = 14
"""Letters of a reader's name in the legend."""
ROLES = (styles.DISPUTES, styles.DISPUTE_SHARE)


def draw_disagreement(found: Disagreement) -> np.ndarray:
    """Return what is shown of a disagreement, for every voxel ``(x, y, z)`` in source order.

    Of two readers it is the structure of the first, or, counted from `MISSED`, that of the second where the
    first says background; of more it is the share that differs from most, `SHADES` being 1. Makes an array of
    the size of the scan, so not for the GUI thread.
    """
    apart = found.dissenters
    if len(found.readers) > 2:
        shown = np.zeros(found.shape, np.uint8, order="F")
        shown[found.box] = np.round(apart * (SHADES / len(found.readers)))
        return shown
    first, second = found.labels
    hatched = np.zeros(found.shape, np.uint16, order="F")
    there = np.where(first > 0, first, second + np.uint16(MISSED))
    hatched[found.box] = np.where(apart > 0, there, np.uint16(0))
    return hatched


class Disputes:
    """Shows where the readers of the case on the stage differ.

    Parameters
    ----------
    stage
        Has the layers.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._found: Disagreement | None = None
        self._structures: tuple[Structure, ...] = ()

    @property
    def colour(self) -> str:
        """The colour of the share of readers, which is neither that of a structure nor of uncertainty."""
        return styles.share_colour(self._structures)

    def show(self, found: Disagreement | None, drawing: np.ndarray | None = None) -> None:
        """Show what `draw_disagreement` made of a disagreement; None takes it away."""
        self._found = found
        wanted = None if found is None else ROLES[len(found.readers) > 2]
        for role in ROLES:
            if role == wanted and drawing is not None:
                self._put(role, drawing)
            else:
                self._take_away(role)

    def said_of(self, voxel: tuple[int, ...]) -> str:
        """Return who says what of a voxel ``(z, y, x)`` in the order of the display, where they differ."""
        display = self._stage.display
        if display is None or self._found is None:
            return ""
        at = dict(display.to_source(axis, index) for axis, index in enumerate(voxel))
        said = self._found.said_at((at[0], at[1], at[2]))
        names = {structure.value: structure.name for structure in self._structures}
        pairs = zip(self._found.readers, said, strict=False)
        return ", ".join(f"{reader}: {names.get(value, 'background')}" for reader, value in pairs)

    def legend(self) -> tuple[Entry, ...]:
        """Return what is seen of it, in words."""
        if self._found is None:
            return ()
        if len(self._found.readers) > 2:
            return (Entry("heat", "readers differ", self.colour),)
        first, second = (_short(reader) for reader in self._found.readers)
        return Entry("rising", f"{first} only"), Entry("falling", f"{second} only")

    def show_structures(self, structures: Sequence[Structure]) -> None:
        """Go with the colours of ``structures``."""
        self._structures = tuple(structures)
        self._colour()

    def _put(self, role: str, drawing: np.ndarray) -> None:
        active = self._stage.viewer.layers.selection.active
        layer = self._stage.put(role, drawing)
        layer.visible, layer.editable = True, False
        if role == styles.DISPUTE_SHARE:
            layer.contrast_limits = (0, SHADES / 2)  # of one structure, more readers cannot differ from most
        self._colour()
        self._stage.list_layer(layer, True)
        self._stage.viewer.layers.selection.active = active

    def _take_away(self, role: str) -> None:
        layer = self._stage.layer(role)
        if layer is not None and self._stage.display is not None:
            self._stage.put(role, self._stage.blank(layer.data.dtype.type))
            layer.visible = False
            self._stage.list_layer(layer, False)

    def _colour(self) -> None:
        hatched, share = (self._stage.layer(role) for role in ROLES)
        if hatched is not None:
            hatched.colormap = styles.difference_colours(self._structures)
        if share is not None:
            share.colormap = styles.entropy_colours(self.colour)


def _short(reader: str) -> str:
    return reader if len(reader) <= LONGEST_NAME else f"{reader[: LONGEST_NAME - 1]}…"
