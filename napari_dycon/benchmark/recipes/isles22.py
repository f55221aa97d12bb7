"""Stroke lesions in diffusion MR of ISLES 2022, as DyCON splits it."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from napari_dycon.benchmark.preparation import z_score
from napari_dycon.benchmark.recipe import (
    AS_IT_IS,
    OF_THE_SCRIPTS,
    Read,
    Recipe,
    Scan,
    Split,
    figures,
    lists_of,
    recipes,
    sentences,
)
from napari_dycon.benchmark.sources import files_by, read_pair

LISTS = lists_of("isles22")
SCAN, LESIONS = "_ses-0001_dwi.nii.gz", "_ses-0001_msk.nii.gz"


def find(data: Path) -> Mapping[str, Read]:
    """``sub-strokecase0001/ses-0001/dwi/…_dwi.nii.gz`` and ``derivatives/…_msk.nii.gz``."""
    scans, lesions = files_by(data, SCAN), files_by(data, LESIONS)
    return {name: partial(read, scans[name], lesions[name]) for name in scans.keys() & lesions.keys()}


def read(image: Path, label: Path) -> Scan:
    """Scale by what is not 0."""
    scan = read_pair(image, label)
    return replace(scan, image=z_score(scan.image, scan.image != 0))


DIFFERENCES = """
* Neither preprocessing nor patch are published, nor a script. Here the diffusion image is scaled by
  what is not 0, at the spacing that the plan takes, in patches of 96 x 96 x 64 voxels with the
  settings of DyCON's script for BraTS 2019. ADC and FLAIR are not used, as in the paper.
* The paper says 200 scans to train and 50 to test, the author three times 200, 25 and 25. The split
  test is the first of those three, the split paper takes its 25 to validate as tests too.
* Which scans are labelled is not published; here they are the first ones by name.
* The papers measure distances in voxels and count a miss as 0, which with lesions are many; here they
  are in mm, and misses are counted apart.
"""

recipes.add(
    "isles22",
    Recipe(
        title="ISLES 2022",
        layout="folders like sub-strokecase0001/ses-0001/dwi and derivatives/sub-strokecase0001/ses-0001",
        find=find,
        splits={
            "test": Split((), LISTS["test"], others=True, aside=LISTS["validation"]),
            "paper": Split((), (*LISTS["validation"], *LISTS["test"]), others=True),
        },
        labelled=20,
        iterations=20000,
        overrides={
            **OF_THE_SCRIPTS,
            "intensity": AS_IT_IS,
            "batch_labelled": 4,
            "batch_unlabelled": 4,
            "patch_size": (96, 96, 64),
            "gradient_clip": 1.0,
            "overlap": 0.5,
            "single": (),
        },
        published=(
            *figures(
                "DyCON paper",
                10,
                {
                    "mean_teacher": "29.22/20.41/20.18/8.55",
                    "ua_mt": "49.20/37.21/38.20/9.64",
                    "MCF": "39.79/29.83/40.67/10.65",
                    "CML": "46.39/35.16/37.76/4.62",
                    "DTC": "46.55/34.80/37.33/8.18",
                    "AC-MT": "48.64/36.53/39.71/7.13",
                    "MagicNet": "51.42/38.18/37.20/5.60",
                    "GALoss": "53.29/40.17/31.72/4.53",
                    "bcp": "53.53/41.12/37.06/6.91",
                    "DyCON": "61.48/48.80/17.61/0.75",
                },
            ),
            *figures(
                "DyCON paper",
                20,
                {
                    "mean_teacher": "36.43/24.01/21.80/7.22",
                    "MCF": "42.96/32.51/42.82/10.86",
                    "CML": "50.88/38.45/36.16/4.94",
                    "DTC": "45.19/32.80/36.24/5.10",
                    "AC-MT": "49.47/37.02/39.67/11.10",
                    "MagicNet": "58.84/44.42/29.18/3.64",
                    "GALoss": "60.13/47.27/24.11/3.17",
                    "bcp": "57.97/44.32/30.09/4.58",
                    "DyCON": "65.71/51.09/13.35/0.71",
                },
            ),
            *figures(
                "DyCON paper",
                40,
                {
                    "mean_teacher": "37.70/26.33/19.00/6.45",
                    "ua_mt": "58.00/44.96/28.99/3.13",
                    "MCF": "40.36/31.31/41.10/13.03",
                    "CML": "54.31/41.77/30.75/1.35",
                    "DTC": "40.23/29.35/41.47/13.13",
                    "AC-MT": "54.91/41.55/32.27/2.36",
                    "bcp": "60.35/46.41/29.63/3.64",
                    "DyCON": "69.11/54.74/10.58/0.52",
                },
            ),
        ),
        differences=sentences(DIFFERENCES),
    ),
)
