"""What leaves a study: masks on the grid of their scan, and a table of volumes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_dycon.io.atomic import make_folder, write_text_atomic
from napari_dycon.io.masks import write_mask
from napari_dycon.io.volumes import Volume

VOLUME_COLUMNS = (
    "case",
    "file",
    "name",
    "patient",
    "structure",
    "voxels",
    "volume_ml",
    "source",
    "known_percent",
    "cut_at_edge",
)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def export_mask(mask: NDArray[Any], source: Path | Volume, out: Path) -> None:
    """Write a mask as uint8 NIfTI on the grid of its scan, creating the folder of `out`.

    Errors are those of `napari_dycon.io.masks.write_mask`.
    """
    out = Path(out)
    make_folder(out.parent)
    write_mask(out, mask, source)


def volumes_csv(rows: Iterable[Mapping[str, object]], out: Path) -> None:
    """Write the table of volumes, one row a case and structure, with the columns of `VOLUME_COLUMNS`.

    Parameters
    ----------
    rows : iterable of mappings
        ``volume_ml`` in millilitres; ``source`` is annotation or prediction; ``known_percent`` from 0 to 100;
        ``cut_at_edge`` is yes where the structure touches the edge of the scan.
        Text that a spreadsheet would run as a formula is quoted with an apostrophe.
    out : Path
        The table, UTF-8.
    """
    out = Path(out)
    make_folder(out.parent)
    text = io.StringIO()
    writer = csv.DictWriter(text, VOLUME_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({column: _cell(row[column]) for column in VOLUME_COLUMNS} for row in rows)
    write_text_atomic(out, text.getvalue())


def _cell(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return value
