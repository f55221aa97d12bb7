"""What there is to say of every slice of the open case, found out in the background."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_dycon.engine.control import Control
from napari_dycon.plugin.background.worker import EventSource
from napari_dycon.plugin.layers.open_case import OpenCase
from napari_dycon.study.truth.annotations import Known

Unsure = tuple[NDArray[np.float32], ...]


@dataclass(frozen=True, slots=True)
class SlicesLooked:
    """Of every slice by display axis: whether anything is known, and all, and how unsure the model is.

    ``unsure`` is the mean entropy divided by that of the most unsure slice, and of ``entropy``.
    """

    case: OpenCase
    labelled: tuple[NDArray[np.bool_], ...]
    complete: tuple[NDArray[np.bool_], ...]
    unsure: Unsure | None
    entropy: NDArray[np.uint8] | None


def look_at_slices(case: OpenCase, before: SlicesLooked | None = None) -> EventSource[SlicesLooked]:
    """Look at the known map of a case, and at its entropy unless that is the one looked at before."""

    def source(control: Control) -> Iterator[SlicesLooked]:
        del control
        known, entropy = case.display.apply(case.annotation.known), case.entropy
        if before is not None and before.case is case and before.entropy is entropy:
            unsure = before.unsure
        else:
            unsure = None if entropy is None else _shares(case.display.apply(entropy))
        labelled = tuple(_over_slices(known, axis, np.maximum) != Known.UNKNOWN for axis in range(3))
        complete = tuple(_over_slices(known, axis, np.minimum) != Known.UNKNOWN for axis in range(3))
        yield SlicesLooked(case, labelled, complete, unsure, entropy)

    return source


def _over_slices(values: NDArray[np.uint8], axis: int, least_or_most: np.ufunc) -> NDArray[np.uint8]:
    """Return the least or the most over every slice along an axis."""
    return np.asarray(least_or_most.reduce(values, axis=_others(axis)))


def _shares(entropy: NDArray[np.uint8]) -> Unsure:
    means = (entropy.mean(axis=_others(axis), dtype=np.float32) for axis in range(3))
    return tuple(mean / max(float(mean.max(initial=0)), 1e-6) for mean in means)


def _others(axis: int) -> tuple[int, ...]:
    return tuple(other for other in range(3) if other != axis)
