"""What a stroke costs after many: ``python benchmarks/strokes.py [STROKES]``.

Prints the median time of the first and of the last thousand strokes, asking after each what could be undone,
as the window does, and the ratio of both.
"""

import sys
import time

import numpy as np

from napari_dycon.io.geometry import Geometry
from napari_dycon.study.truth.annotations import Annotation
from napari_dycon.study.truth.editing import AnnotationEditor

SHAPE = (128, 128, 64)
SAMPLE = 1000


def main(strokes: int) -> None:
    """Paint single voxels and time each."""
    editor = AnnotationEditor(Annotation.empty(SHAPE), Geometry(SHAPE, np.eye(4)))
    seconds = []
    for number in range(strokes):
        place = tuple([int(index)] for index in np.unravel_index(number, SHAPE))
        editor.labels[place] = 1
        begun = time.perf_counter()
        editor.stroke(place)
        assert editor.undo_name == "Paint" and editor.redo_name is None
        seconds.append(time.perf_counter() - begun)
    first, last = (1e3 * float(np.median(part)) for part in (seconds[:SAMPLE], seconds[-SAMPLE:]))
    print(f"first: {first:.3f} ms, last of {strokes}: {last:.3f} ms, ratio {last / first:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
