"""Left atrium in late-gadolinium MR: the line of UA-MT (Yu et al., MICCAI 2019)."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from napari_dycon.benchmark.preparation import box_of, crop, cube, widen, z_score
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
from napari_dycon.benchmark.sources import read_h5, read_pair
from napari_dycon.io.volumes import walk

VOXEL_MM = 0.625
PATCH = (112, 112, 80)
MARGIN = 15
"""Voxels around the truth in the plane; the script draws 10 to 19 of them for each side."""


def find(data: Path) -> Mapping[str, Read]:
    """``ID/mri_norm2.h5`` as UA-MT gives it away, else ``ID/lgemri.nrrd`` and ``laendo.nrrd``."""
    found: dict[str, Read] = {}
    for path in walk(data):
        if path.name == "mri_norm2.h5":
            found[path.parent.name] = partial(read_h5, path, VOXEL_MM)
        elif path.name == "lgemri.nrrd" and (path.parent / "laendo.nrrd").exists():
            found.setdefault(path.parent.name, partial(read, path, path.parent / "laendo.nrrd"))
    return found


def read(image: Path, label: Path) -> Scan:
    """Scale by all voxels, then cut out the truth and what lies around it, the whole height of it."""
    scan = replace(read_pair(image, label), affine=cube(VOXEL_MM))
    scan = replace(scan, image=z_score(scan.image))
    x, y, _ = widen(box_of(scan.label > 0), scan.label.shape, (MARGIN, MARGIN, 0), PATCH)
    return crop(scan, (x, y, slice(0, scan.label.shape[2])))


DIFFERENCES = """
* The scans are cropped around the truth, those of the test set and unlabelled ones too, which makes
  the task easier than it is.
* The scripts draw the margin of the crop anew for each scan, 10 to 19 voxels a side; here it is 15,
  unless UA-MT's own files are given.
* UA-MT takes the last checkpoint after 6,000 steps; BCP, CML and AD-MT 15,000 steps, and of all
  checkpoints the one that is best on the test set. Here it is the last one.
* UA-MT divides the step size by 10 every 2,500 steps, others let it fall; here it falls.
* BCP, CML, AD-MT and DyCON keep the largest piece of a prediction, as it is done here; UA-MT does
  not.
* The papers measure distances in voxels and count a miss as 0; here they are in mm, and misses are
  counted apart.
* DyCON's code for this data set was never released, and the rows of UA-MT and AC-MT in its table do
  not agree with other sources.
"""

recipes.add(
    "la",
    Recipe(
        title="the 2018 Left Atrium Segmentation Challenge",
        layout="folders like 06SR5RBREL16DQ6M8LWS with lgemri.nrrd and laendo.nrrd, or with mri_norm2.h5",
        find=find,
        splits={"ua-mt": Split(lists_of("la")["train"], lists_of("la")["test"])},
        labelled=8,
        iterations=6000,
        overrides={
            **OF_THE_SCRIPTS,
            "intensity": AS_IT_IS,
            "spacing": (VOXEL_MM,) * 3,
            "patch_size": PATCH,
            "overlap": 0.84,
            "single": (1,),
        },
        voxel_mm=VOXEL_MM,
        published=(
            *figures(
                "DyCON paper",
                4,
                {
                    "UPC": "86.36/76.24/13.83/3.64",
                    "ua_mt": "88.34/76.11/10.01/4.43",
                    "DTC": "81.25/74.26/14.90/3.99",
                    "MCF": "86.52/77.43/9.12/2.40",
                    "bcp": "88.02/78.72/7.90/2.15",
                    "CML": "87.63/-/8.92/2.23",
                    "AC-MT": "89.12/80.46/11.05/2.19",
                    "DyCON, 3D U-Net": "90.96/83.54/5.39/1.91",
                    "DyCON, V-Net": "91.18/84.16/5.16/1.39",
                },
            ),
            *figures("AD-MT's logs, best checkpoint", 4, {"ad_mt": "89.63/81.28/6.56/1.75"}),
            *figures(
                "MPCL's runs of official code", 4, {"supervised": "44.98/-/-/-", "ua_mt": "81.55/-/-/-"}
            ),
            *figures(
                "DyCON paper",
                8,
                {
                    "UPC": "89.65/81.36/6.71/2.15",
                    "ua_mt": "90.16/82.18/6.50/1.98",
                    "DTC": "87.51/78.17/8.23/2.36",
                    "MCF": "88.71/80.41/6.32/1.90",
                    "bcp": "89.62/81.31/6.81/1.76",
                    "CML": "90.36/-/6.06/1.68",
                    "AC-MT": "90.31/82.43/6.21/1.76",
                    "DyCON, 3D U-Net": "92.77/86.21/4.20/1.23",
                    "DyCON, V-Net": "91.58/84.40/5.02/1.52",
                },
            ),
            *figures("AD-MT's logs, best checkpoint", 8, {"ad_mt": "90.58/82.86/6.46/1.58"}),
            *figures(
                "MPCL's runs of official code", 8, {"supervised": "78.88/-/-/-", "ua_mt": "86.08/-/-/-"}
            ),
            *figures("DTC's page", 8, {"ua_mt": "84.25/-/-/-", "DTC": "87.51/-/-/-"}),
            *figures("its paper", 8, {"dual_network": "89.95/-/-/-"}),
            *figures("DTC's page", 16, {"ua_mt": "88.88/-/-/-", "DTC": "89.42/-/-/-"}),
        ),
        differences=sentences(DIFFERENCES),
    ),
)
