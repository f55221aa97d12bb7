"""How generously was each atrium drawn? The distance from the drawn surface to where the blood pool ends.

For every scan at 0.625 mm, the mean brightness is taken in shells of 1 mm around the label. The blood pool
ends where it has fallen half-way from its level 3 to 6 mm inside to the lowest level up to 6 mm outside;
scans where that is nowhere within 3 mm inside and 5 mm outside are left out. A small distance means a
generous label. Prints one line a scan and the means of the groups asked for.

    python benchmarks/label_style.py --groups 0-3,4-63,64-79
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np
from common import DATA
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

SHELLS = np.arange(-8, 8.01, 0.5)
"""Distances in mm from the drawn surface, negative inside."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--groups", default="0-3,4-63,64-79", help="ranges of scan numbers")
    groups = parser.parse_args().groups.split(",")
    found = np.array(
        [_distance(path) for path in sorted((DATA / "left_atrium_0.625mm/images").glob("*.nii.gz"))]
    )
    for number, distance in enumerate(found):
        print(f"LA_{number:03d} {distance:5.2f} mm")
    for group in groups:
        low, high = (int(end) for end in group.split("-"))
        chosen = found[low : high + 1]
        chosen = chosen[np.isfinite(chosen)]
        error = chosen.std() / len(chosen) ** 0.5
        print(f"{group}: mean {chosen.mean():.2f} mm, standard error {error:.2f} mm")


def _distance(path: Path) -> float:
    """Return how far outside the label the blood pool ends, in mm; NaN where its edge is not seen."""
    image = nib.load(path)
    label = nib.load(DATA / "left_atrium_0.625mm/labels" / path.name)
    profile = _profile(
        np.asarray(image.dataobj, dtype=np.float64),
        np.asarray(label.dataobj) > 0,
        np.abs(np.diag(image.affine)[:3]),
    )
    within = profile[(SHELLS >= -6) & (SHELLS <= -3)].mean()
    half = (within + profile[(SHELLS >= 0) & (SHELLS <= 6)].min()) / 2
    falls = (profile[:-1] >= half) & (profile[1:] < half) & (SHELLS[1:] > -3) & (SHELLS[1:] < 5)
    if not falls.any():
        return float("nan")
    last = int(np.argmax(falls))
    share = (profile[last] - half) / (profile[last] - profile[last + 1])
    return float(SHELLS[last] + share * (SHELLS[last + 1] - SHELLS[last]))


def _profile(
    image: NDArray[np.float64], inside: NDArray[np.bool_], spacing: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean brightness in each shell."""
    outwards = distance_transform_edt(~inside, sampling=spacing)
    inwards = distance_transform_edt(inside, sampling=spacing)
    distance = np.where(inside, spacing[0] / 2 - inwards, outwards - spacing[0] / 2)
    return np.array([image[np.abs(distance - shell) < 0.5].mean() for shell in SHELLS])


if __name__ == "__main__":
    main()
