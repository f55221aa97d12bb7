"""Whole tumour in FLAIR of BraTS 2019, as SSL4MIS (Luo et al.) prepares and splits it."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from napari_dycon.benchmark.preparation import box_of, crop, cube, z_score
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
from napari_dycon.benchmark.sources import files_by, read_h5, read_pair

SIDE_MM = 1.0
BRIGHTEST = 99.9
"""Percentile of the brain and its surroundings above which values are cut."""
LISTS = lists_of("brats19")


def find(data: Path) -> Mapping[str, Read]:
    """``ID/ID_flair.nii.gz`` with ``ID_seg.nii.gz`` below HGG and LGG, or SSL4MIS's ``ID.h5``."""
    found: dict[str, Read] = {
        name: partial(read_h5, path, SIDE_MM) for name, path in files_by(data, ".h5").items()
    }
    for ending in (".nii.gz", ".nii"):
        labels = files_by(data, f"_seg{ending}")
        for name, path in files_by(data, f"_flair{ending}").items():
            if name in labels:
                found.setdefault(name, partial(read, path, labels[name]))
    return found


def read(image: Path, label: Path) -> Scan:
    """Cut out the brain, cut the brightest values, and scale by what is not 0."""
    scan = replace(read_pair(image, label), affine=cube(SIDE_MM))
    scan = crop(scan, box_of(scan.image != 0))
    values = np.minimum(scan.image, np.percentile(scan.image, BRIGHTEST)).astype(np.float32)
    return replace(scan, image=z_score(values, values > 0))


DIFFERENCES = """
* 250 scans train, 25 validate and 60 test. DyCON's script chooses its checkpoint and measures on the
  same 25 (split validation) and never reads the 60; here the last checkpoint is measured, on the 60
  unless the other split is asked for.
* SSL4MIS trains 30,000 steps with 2 and 2 patches, DyCON's script 20,000 with 4 and 4, as it is done
  here.
* SSL4MIS tests windows 64 voxels apart, DyCON's script 16 and 4; here they overlap by half.
* DyCON's script keeps the largest piece of a prediction, SSL4MIS and this do not.
* DyCON's step size stays the same, that of SSL4MIS falls, as it does here.
* Distances are in voxels of 1 mm in the papers, a miss counts as 0; here misses are counted apart.
"""

recipes.add(
    "brats19",
    Recipe(
        title="BraTS 2019",
        layout="folders HGG and LGG with files like BraTS19_2013_0_1_flair.nii.gz and _seg.nii.gz, or "
        "prepared files like BraTS19_2013_0_1.h5",
        find=find,
        splits={
            "test": Split(LISTS["labelled"], LISTS["test"], others=True, aside=LISTS["validation"]),
            "validation": Split(LISTS["labelled"], LISTS["validation"], others=True, aside=LISTS["test"]),
        },
        labelled=25,
        iterations=20000,
        overrides={
            **OF_THE_SCRIPTS,
            "intensity": AS_IT_IS,
            "spacing": (SIDE_MM,) * 3,
            "patch_size": (96, 96, 96),
            "batch_labelled": 4,
            "batch_unlabelled": 4,
            "gradient_clip": 1.0,
            "overlap": 0.5,
            "single": (),
        },
        voxel_mm=SIDE_MM,
        published=(
            *figures(
                "DyCON paper",
                25,
                {
                    "mean_teacher": "81.70/70.82/22.29/7.36",
                    "URPC": "74.59/63.11/13.88/3.72",
                    "ua_mt": "82.82/72.77/11.29/2.30",
                    "DTC": "81.57/71.63/15.73/2.56",
                    "MCF": "83.67/72.15/12.58/3.28",
                    "bcp": "83.42/73.31/10.11/1.89",
                    "AC-MT": "83.77/73.96/11.35/1.93",
                    "CML": "85.26/-/9.08/1.83",
                    "DyCON": "87.05/77.73/7.41/1.14",
                },
            ),
            *figures(
                "MPCL's runs of official code", 25, {"supervised": "76.94/-/-/-", "ua_mt": "80.84/-/-/-"}
            ),
            *figures("a public log of DyCON's own script, with its leak", 25, {"DyCON": "83.43/-/-/-"}),
            *figures(
                "DyCON paper",
                50,
                {
                    "mean_teacher": "83.04/72.10/9.85/2.32",
                    "URPC": "82.93/72.57/5.93/3.19",
                    "ua_mt": "83.61/73.98/11.44/2.26",
                    "DTC": "83.43/73.56/14.77/2.34",
                    "MCF": "84.85/73.61/11.24/2.29",
                    "bcp": "82.71/72.72/9.99/1.86",
                    "AC-MT": "84.63/74.39/9.50/2.11",
                    "CML": "86.63/-/7.83/1.45",
                    "DyCON": "88.75/80.52/6.33/0.93",
                },
            ),
            *figures("DyCON paper", 250, {"supervised": "88.23/78.81/7.21/1.53"}),
        ),
        differences=sentences(DIFFERENCES),
    ),
)
