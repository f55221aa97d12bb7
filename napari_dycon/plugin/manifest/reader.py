"""Opens a medical volume in napari as the person would hold it: in millimetres, anterior or superior up."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from napari_dycon.io.volumes import VOLUME_SUFFIXES, Volume, read_volume, stem
from napari_dycon.plugin.layers.orientation import AXIS_LABELS, UNITS, DisplayView

LabelOrImage = tuple[np.ndarray, dict[str, object], str]
PathOrPaths = str | Sequence[str]


def get_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[LabelOrImage]] | None:
    """Return the reader for ``path`` if every file of it is named like a volume, else None.

    Looks at names only and never raises; problems with the content are told by the reader itself.
    """
    names = [str(name).lower() for name in _as_list(path)]
    return read_layers if names and all(name.endswith(VOLUME_SUFFIXES) for name in names) else None


def read_layers(path: PathOrPaths) -> list[LabelOrImage]:
    """Read one layer per file.

    Raises
    ------
    VolumeError
        When a file is damaged or no three-dimensional volume.
    """
    return [_layer(read_volume(Path(name))) for name in _as_list(path)]


def _layer(volume: Volume) -> LabelOrImage:
    display = DisplayView(volume.geometry)
    kind, array = ("labels", volume.array.astype(np.uint8)) if _is_mask(volume) else ("image", volume.array)
    settings: dict[str, object] = {
        "name": stem(volume.path),
        "scale": display.scale,
        "units": UNITS,
        "axis_labels": AXIS_LABELS,
        "metadata": {"dycon": {"path": str(volume.path), "orientation": volume.geometry.orientation}},
    }
    return display.apply(array), settings, kind


def _is_mask(volume: Volume) -> bool:
    """Whether a volume holds few whole numbers from 0 on, and mostly background, as a mask does."""
    array = volume.array
    if not np.issubdtype(array.dtype, np.integer) or array.min() != 0 or array.max() > 255:
        return False
    counts = np.bincount(array.ravel().astype(np.uint8), minlength=256)
    return bool(np.count_nonzero(counts) <= _MOST_STRUCTURES and counts[0] * 2 > array.size)


_MOST_STRUCTURES = 32


def _as_list(path: PathOrPaths) -> list[str]:
    return [path] if isinstance(path, str | Path) else list(path)
