"""Decode DICOM images with GDCM, in a process of its own: ``python -m napari_dycon.io.gdcm OUT.npy``.

Takes a JSON list of files on standard input and writes rescaled pixels as float64 (images, rows, columns).
"""

import json
import sys

import numpy as np
import SimpleITK as sitk


def main() -> None:
    """Read the names of the files, and write what they show."""
    images = [
        sitk.GetArrayFromImage(sitk.ReadImage(name, sitk.sitkFloat64))[0] for name in json.load(sys.stdin)
    ]
    np.save(sys.argv[1], np.stack(images))


if __name__ == "__main__":
    main()
