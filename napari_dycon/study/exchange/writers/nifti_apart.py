"""Masks as NIfTI, one file a structure: 1 inside, 0 outside."""

from __future__ import annotations

from napari_dycon.study.exchange.formats import Format, formats
from napari_dycon.study.exchange.writers.nifti import write

formats.add("nifti-per-structure", Format(".nii.gz", write, apart=True))
