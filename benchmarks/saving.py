"""Measure what a save costs beside the painting, on a scan of 512 x 512 x 300 voxels.

Processor time of the saving thread: the first save after a case was opened, one after a stroke, and one after
a 3D brush. Prints milliseconds.

    python benchmarks/saving.py
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np

from napari_dycon.study.exchange.importing import add_scan
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.editing import AnnotationEditor

SHAPE = (512, 512, 300)
CENTRE = tuple(size // 2 for size in SHAPE)


def make_study(home: Path) -> Study:
    """Return a study of one scan of noise."""
    voxels = np.random.default_rng(0).integers(0, 900, SHAPE, dtype=np.int16)
    nib.save(nib.Nifti1Image(voxels, np.diag([0.7, 0.7, 1.0, 1.0])), home / "scan.nii.gz")
    study = Study.create(home / "study", [Structure(value=1, name="organ")])
    add_scan(study, home / "scan.nii.gz")
    return study


def paint(editor: AnnotationEditor, radius: int, depth: int) -> None:
    """Paint a disc of so many slices, or a ball."""
    axes = np.ogrid[tuple(slice(-radius, radius + 1) for _ in range(3))]
    inside = np.nonzero((sum(axis**2 for axis in axes) <= radius**2) & (abs(axes[2]) <= depth))
    indices = [axis + middle - radius for axis, middle in zip(inside, CENTRE, strict=True)]
    value = 1 + editor.labels[tuple(axis[0] for axis in indices)]
    editor.labels[tuple(indices)] = value
    editor.stroke(indices)


def main() -> None:
    with tempfile.TemporaryDirectory() as home, make_study(Path(home)) as study:
        case = study.cases[0].id
        editor = AnnotationEditor(study.annotation(case).in_file_order(), study.geometry(case))
        for what, radius, depth in (("first", 40, 0), ("stroke", 40, 0), ("ball", 20, 20)):
            paint(editor, radius, depth)
            started, work = time.perf_counter(), time.thread_time()
            taken = editor.take()
            assert taken is not None
            study.save_annotation(case, *taken)
            print(
                f"{what:8} {1000 * (time.thread_time() - work):6.0f} of the processor, "
                f"{1000 * (time.perf_counter() - started):6.0f} in all"
            )


if __name__ == "__main__":
    main()
