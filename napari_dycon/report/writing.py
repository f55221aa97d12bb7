"""The page on disk."""

from pathlib import Path

from napari_dycon.errors import StudyError
from napari_dycon.io.atomic import atomic_path, make_folder, write_text_atomic
from napari_dycon.report.page import to_html
from napari_dycon.report.pdf import write_pdf
from napari_dycon.report.sheet import Sheet

STEM = "methods-sheet"
SUFFIXES = (".html", ".pdf")


def write_sheet(sheet: Sheet, out: Path) -> tuple[Path, ...]:
    """Write the page; one of an earlier time is replaced.

    Parameters
    ----------
    sheet
        What stands on it.
    out
        A folder, made where it does not exist, for ``methods-sheet.html`` and ``methods-sheet.pdf``; or a
        file that ends with either.

    Returns
    -------
    tuple of Path
        What was written.

    Raises
    ------
    StudyError
        If `out` is a file of another kind.
    VolumeError
        If the disk is full or write-protected.
    """
    paths = (
        (out,) if out.suffix.lower() in SUFFIXES else tuple(out / f"{STEM}{suffix}" for suffix in SUFFIXES)
    )
    if out.is_file() and out not in paths:
        raise StudyError(f"{out} is a file; choose a folder, or a name that ends with .html or .pdf.")
    make_folder(paths[0].parent)
    for path in paths:
        if path.suffix.lower() == ".html":
            write_text_atomic(path, to_html(sheet))
        else:
            with atomic_path(path) as temporary:
                write_pdf(sheet, temporary)
    return paths
