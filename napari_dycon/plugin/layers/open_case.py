"""One case as it is shown and painted on."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from napari_dycon.io.volumes import Volume
from napari_dycon.plugin.layers.grey_windows import Window, windows_of
from napari_dycon.plugin.layers.orientation import DisplayView
from napari_dycon.study.truth.annotations import Annotation, Known
from napari_dycon.study.truth.editing import AnnotationEditor
from napari_dycon.study.truth.regions import Selection

SHADES = 255
"""The entropy of a case that is open is counted from 0 to this, as it is in its file."""


@dataclass(frozen=True, eq=False)
class Picture:
    """An image of a case as it is seen, on the grid of the scan.

    Attributes
    ----------
    channel
        Which image it is; empty for the scan of a study with one image a case.
    volume
        The image, sampled on the grid of the scan.
    contrast, intensity_range
        Limits of the grey scale and of its slider, in units of the image.
    windows
        The grey-scale windows that suit it, first the automatic one.
    """

    channel: str
    volume: Volume
    contrast: tuple[float, float]
    intensity_range: tuple[float, float]
    windows: tuple[Window, ...] = ()

    @classmethod
    def of(cls, channel: str, volume: Volume) -> "Picture":
        """Look at every voxel of an image, so not for the GUI thread."""
        contrast, full = contrast_limits(volume.array), intensity_range(volume.array)
        return cls(channel, volume, contrast, full, windows_of(volume.array, contrast, full))


@dataclass
class OpenCase:
    """A case read from disk; arrays ``(x, y, z)`` in source order.

    Attributes
    ----------
    editor
        Holds the annotation, which is shown in place: painting edits its labels.
    prediction, entropy
        uint8 mask, and uint8 map where `SHADES` is an entropy of 1; None before there is one.
    picture
        The image that is seen: the scan, or another one of the case.
    images
        The channels of its images, first that of the scan; none where it has nothing but the scan.
    open_prediction
        What is left of the prediction to decide about; the prediction itself before anything is decided.
    decisions
        Where predictions were accepted or rejected since this one came.
    """

    case_id: str
    volume: Volume
    editor: AnnotationEditor
    prediction: np.ndarray | None
    entropy: np.ndarray | None
    picture: Picture
    images: tuple[str, ...] = ()
    open_prediction: np.ndarray | None = None
    decisions: list[Selection] = field(default_factory=list)

    @property
    def annotation(self) -> Annotation:
        """What is known about the scan."""
        return self.editor.annotation

    def take_prediction(self, prediction: np.ndarray | None, entropy: np.ndarray | None) -> None:
        """Take over another prediction, about which nothing has been decided yet."""
        self.prediction, self.entropy, self.open_prediction, self.decisions = prediction, entropy, None, []

    def look_at_decisions(self) -> None:
        """Leave out of the open prediction what is decided, and put back what no longer is.

        Looks at every voxel of the decisions, so not for the GUI thread.
        """
        prediction = self.prediction
        if prediction is None:
            return
        left = prediction.copy(order="K")
        for where in self.decisions:
            decided = self.annotation.known[where.box] != Known.UNKNOWN
            np.copyto(left[where.box], 0, where=decided if where.mask is None else decided & where.mask)
        self.open_prediction = left

    @cached_property
    def display(self) -> DisplayView:
        """How the case is turned for the viewer."""
        return DisplayView(self.volume.geometry)


def contrast_limits(values: np.ndarray, samples: int = 200_000) -> tuple[float, float]:
    """Return the 1st and 99th percentile of an evenly spread part of ``values``.

    Parameters
    ----------
    values
        Intensities of any shape; values that are not finite are left out.
    samples
        About how many voxels are looked at.
    """
    step = max(1, round((values.size / samples) ** (1 / values.ndim)))
    sample = np.asarray(values[(slice(None, None, step),) * values.ndim], dtype=np.float64)
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(sample, (1, 99)))
    if not high > low:
        low, high = float(sample.min()), float(sample.max())
    return (low, high) if high > low else (low, low + 1.0)


def intensity_range(values: np.ndarray) -> tuple[float, float]:
    """Return the smallest and largest finite value, widened to at least one unit."""
    if np.issubdtype(values.dtype, np.floating):
        low, high = float(np.fmin.reduce(values, axis=None)), float(np.fmax.reduce(values, axis=None))
        if not (np.isfinite(low) and np.isfinite(high)):
            finite = values[np.isfinite(values)]
            low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    else:
        low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low, low + 1.0)
