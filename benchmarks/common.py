"""What the benchmark scripts share: where the real scans are, and a study made of them."""

from __future__ import annotations

import os
from pathlib import Path

from napari_dycon.study.exchange import importing
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("NAPARI_DYCON_DATA", REPOSITORY.parent / "shared" / "data"))
ATRIA = DATA / "left_atrium_1.25mm"


def atrium_study(folder: Path, cases: int = 24, labelled: int = 3) -> Study:
    """Make a study of the first atrium scans, of which the first few are fully labelled."""
    study = Study.create(folder, [Structure(value=1, name="left atrium", color="#e6550d")])
    for index, scan in enumerate(sorted((ATRIA / "images").glob("*.nii.gz"))[:cases]):
        importing.add_scan(study, scan, labels=ATRIA / "labels" / scan.name if index < labelled else None)
    return study
