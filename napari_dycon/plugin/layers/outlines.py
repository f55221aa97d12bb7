"""Lines between the voxels of a slice: around each structure, and across what is hatched."""

import numpy as np

MISSED = 256
"""Labels from here on are hatched the other way; see `hatches`."""
HATCH_STEP = 3
"""Every so many voxels there is a line of a hatch."""


def outlines(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lines along the edges of voxels where two labels meet.

    Parameters
    ----------
    labels
        Whole numbers ``(rows, columns)``, 0 for nothing.

    Returns
    -------
    ends
        float32 ``(n, 2, 2)``: the two ends of each line as ``(x, y)``, where the voxel in row r and column c
        reaches from c to c + 1 and from r to r + 1. Edges in one line, of one label, are one line.
    values
        The label that each line belongs to, ``(n,)``; the higher one where two structures meet.
    """
    part = _box(labels)
    if part is None:
        return np.empty((0, 2, 2), np.float32), np.empty(0, labels.dtype)
    inside = np.pad(labels[part], 1)
    level, first, last, level_values = _runs(inside)
    across, top, bottom, upright_values = _runs(inside.T)
    ends = np.empty((len(level) + len(across), 2, 2), np.float32)
    ends[: len(level)] = np.stack([first, level, last, level], axis=1).reshape(-1, 2, 2)
    ends[len(level) :] = np.stack([across, top, across, bottom], axis=1).reshape(-1, 2, 2)
    return ends + _corner(part), np.concatenate([level_values, upright_values])


def hatches(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return slanting lines across everything that has a label, as `outlines` does.

    They rise to the right; those across labels from `MISSED` on fall.
    """
    part = _box(labels)
    if part is None:
        return np.empty((0, 2, 2), np.float32), np.empty(0, labels.dtype)
    inside = labels[part]
    row, column = np.nonzero(inside)
    values = inside[row, column]
    falls = values >= MISSED
    there = np.where(falls, row - column, row + column) % HATCH_STEP == 0
    row, column, values, falls = row[there], column[there], values[there], falls[there]
    ends = np.stack([column, row + ~falls, column + 1, row + falls], axis=1).reshape(-1, 2, 2)
    return ends.astype(np.float32) + _corner(part), values


def _box(labels: np.ndarray) -> tuple[slice, slice] | None:
    """Return the box around everything that has a label."""
    rows = np.flatnonzero(labels.any(axis=1))
    if rows.size == 0:
        return None
    columns = np.flatnonzero(labels[rows[0] : rows[-1] + 1].any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _corner(part: tuple[slice, slice]) -> np.ndarray:
    return np.array([part[1].start, part[0].start], np.float32)


def _runs(framed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return row, begin, end and label of the lines between rows of labels that have a frame of zeros."""
    above, below = framed[:-1], framed[1:]
    edges = np.maximum(above, below)
    edges[above == below] = 0
    flat, width = edges.ravel(), edges.shape[1]
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    begins = changes[flat[changes] != 0]
    ends = changes[flat[changes - 1] != 0]
    return begins // width, begins % width - 1, (ends - 1) % width, flat[begins]
