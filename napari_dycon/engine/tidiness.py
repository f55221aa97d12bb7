"""What is taken away from a predicted mask, because no label ever looked like it."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_dycon.engine.anatomy import largest_piece, numbered_pieces, pieces
from napari_dycon.engine.plan import Plan

REACH = 0.25
"""A piece reaches as far as its structure is so probable; of a small lesion only the middle is sure."""


def tidy(mask: NDArray[np.uint8], plan: Plan, voxel: float, reach: NDArray[np.uint8] | None = None) -> None:
    """Take away, in place, far pieces of what is always one piece, and specks of what comes in several.

    Parameters
    ----------
    mask
        (x, y, z) values of structures.
    voxel
        Volume of a voxel in mm³.
    reach
        As the mask, with values wherever a structure's probability is above `REACH`; pieces are measured by
        it. By default the mask itself.
    """
    _keep_clusters(mask, plan.joint)
    _keep_largest_pieces(mask, plan.single)
    _drop_specks(mask, mask if reach is None else reach, plan.specks, voxel)


def _keep_clusters(mask: NDArray[np.uint8], groups: Sequence[Sequence[int]]) -> None:
    """Take away, in place, what does not hang together with most of its group of structures."""
    for group in groups:
        box = ndimage.find_objects((mask > 0).astype(np.uint8))
        if not box:
            return
        clusters, members = pieces(mask[box[0]]), np.isin(mask[box[0]], group)
        shares = np.bincount(clusters[members])
        if len(shares):
            mask[box[0]][members & (clusters != shares.argmax())] = 0


def _keep_largest_pieces(mask: NDArray[np.uint8], values: Sequence[int]) -> None:
    """Take away, in place, what does not hang together with the largest piece of its structure."""
    boxes = ndimage.find_objects(mask)
    for value in values:
        box = boxes[value - 1] if value <= len(boxes) else None
        if box is not None:
            inside = mask[box] == value
            mask[box][inside & ~largest_piece(inside)] = 0


def _drop_specks(
    mask: NDArray[np.uint8], reach: NDArray[np.uint8], least: Mapping[int, float], voxel: float
) -> None:
    """Take away, in place, pieces of a structure of less than a volume; a voxel has `voxel` mm³."""
    box = ndimage.find_objects(((mask > 0) | (reach > 0)).astype(np.uint8)) if least else []
    for value, volume in least.items() if box else ():
        own = mask[box[0]] == value
        numbers, sizes = numbered_pieces(own | (reach[box[0]] == value))
        mask[box[0]][own & (np.append(0, sizes)[numbers] * voxel < volume)] = 0
