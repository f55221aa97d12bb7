"""Readers of what the recipes find in a download."""

from pathlib import Path
from typing import Any

import numpy as np

from napari_dycon.benchmark.preparation import cube
from napari_dycon.benchmark.recipe import Scan
from napari_dycon.errors import DyconError, VolumeError
from napari_dycon.io.masks import read_mask
from napari_dycon.io.volumes import read_volume, walk


def files_by(data: Path, ending: str) -> dict[str, Path]:
    """Files below a folder with an ending, by what stands before it in their names."""
    return {
        path.name.removesuffix(ending): path
        for path in walk(data)
        if path.name.endswith(ending) and not path.name.startswith(".")
    }


def read_pair(image: Path, label: Path) -> Scan:
    """Read a scan and the label map that lies on its grid; all that is labelled is 1."""
    volume = read_volume(image)
    mask = read_mask(label, volume.geometry)
    return Scan(
        np.asarray(volume.array, np.float32), (mask > 0).astype(np.uint8), np.array(volume.geometry.affine)
    )


def read_h5(path: Path, side: float) -> Scan:
    """Read what the scripts of these papers prepare: ``image`` and ``label``, (x, y, z), in one HDF5 file.

    Raises
    ------
    DyconError
        When h5py is not installed.
    VolumeError
        When the file is damaged or holds something else.
    """
    h5py = _h5py()
    try:
        with h5py.File(path, "r") as file:
            image, label = np.asarray(file["image"], np.float32), np.asarray(file["label"])
    except (OSError, KeyError) as error:
        raise VolumeError(f"{path} is no HDF5 file with an image and a label: {error}") from error
    if image.ndim != 3 or image.shape != label.shape:
        raise VolumeError(f"{path}: image {image.shape} and label {label.shape} are not two equal volumes.")
    return Scan(image, (label > 0).astype(np.uint8), cube(side))


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise DyconError(
            "Files of the type .h5 are read by h5py, which is not installed: pip install "
            "'napari-dycon[recipes]'; or give the folder of the original scans."
        ) from error
    return h5py
