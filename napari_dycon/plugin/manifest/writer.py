"""Writes a labels layer of ours as NIfTI, exactly on the grid of the scan it belongs to."""

from functools import partial
from pathlib import Path

import numpy as np

from napari_dycon.errors import GridMismatchError, VolumeError
from napari_dycon.io.masks import write_mask
from napari_dycon.io.volumes import read_geometry
from napari_dycon.plugin.background.foreground import done_alive
from napari_dycon.plugin.layers.orientation import DisplayView


def write_labels(path: str, data: np.ndarray, meta: dict[str, object]) -> list[str]:
    """Write one labels layer to ``path`` (.nii.gz or .nii).

    Parameters
    ----------
    path
        The file to write.
    data
        Label values, ``(z, y, x)`` as displayed.
    meta
        The layer's settings; ``metadata["dycon"]["path"]`` names the scan.

    Raises
    ------
    VolumeError
        When the layer does not belong to a scan opened by DyCON, the scan is gone, or the labels do not
        lie on its grid; nothing is written then.
    """
    done_alive(f"Saving {Path(path).name}", partial(_write, Path(path), data, meta))
    return [path]


def _write(path: Path, data: np.ndarray, meta: dict[str, object]) -> None:
    source, display = _scan_of(data, meta)
    write_mask(path, display.invert(data), source)


def _scan_of(data: np.ndarray, meta: dict[str, object]) -> tuple[Path, DisplayView]:
    name = str(meta.get("name", "This layer"))
    metadata = meta.get("metadata")
    ours = metadata.get("dycon") if isinstance(metadata, dict) else None
    if not isinstance(ours, dict) or "path" not in ours:
        raise VolumeError(
            f"{name} does not belong to a scan that was opened with DyCON, so its place in the patient is "
            "unknown; paint on the annotation of a study instead, or save it another way."
        )
    source = Path(ours["path"])
    if not source.is_file():
        raise VolumeError(f"The scan of {name} is no longer at {source}; put it back, then save again.")
    display = DisplayView(read_geometry(source))
    expected = tuple(display.shape)
    if data.shape != expected:
        raise GridMismatchError(
            f"{name} has {data.shape} voxels but its scan has {expected}; it was not saved."
        )
    return source, display
