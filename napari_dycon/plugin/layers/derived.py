"""Arrays that are computed from others where somebody looks at them: a slice costs a slice."""

from collections.abc import Callable
from typing import Any

import numpy as np

from napari_dycon.plugin.layers.outlines import MISSED
from napari_dycon.study.truth.annotations import Known


class Derived:
    """What a rule makes of arrays of one shape, voxel by voxel; follows them when they change.

    Parameters
    ----------
    rule
        Takes the same part of every array and returns that part of the result.
    kind
        Kind of the numbers that it returns.
    sources
        The arrays.
    """

    def __init__(self, rule: Callable[..., np.ndarray], kind: type[np.generic], *sources: np.ndarray) -> None:
        self._rule, self._sources = rule, sources
        self.shape, self.ndim, self.size = sources[0].shape, sources[0].ndim, sources[0].size
        self.dtype = np.dtype(kind)

    def __getitem__(self, where: Any) -> np.ndarray:
        return self._rule(*(source[where] for source in self._sources)).astype(self.dtype, copy=False)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        del copy
        return self[...].astype(self.dtype if dtype is None else dtype, copy=False)


def one_slice(values: np.ndarray, here: np.ndarray) -> np.ndarray:
    """Return ``values`` on the one slice that is ``here``, and 0 elsewhere."""
    return np.where(here, values, values.dtype.type(0))


def open_only(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return ``values`` where nobody has said anything yet, and 0 elsewhere."""
    return np.where(known == Known.UNKNOWN, values, values.dtype.type(0))


def differences(prediction: np.ndarray, labels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return where a prediction is not what a person says: the predicted structure, or one that it misses.

    The latter are counted from `MISSED`. Nothing differs where nobody has said anything, or does not care.
    """
    told = (known != Known.UNKNOWN) & (known != Known.IGNORE) & (prediction != labels)
    there = np.where(prediction > 0, prediction, labels.astype(np.uint16) + np.uint16(MISSED))
    return np.where(told, there, np.uint16(0))
