"""``dycon report``."""

from pathlib import Path
from typing import Annotated

import typer

from napari_dycon.cli.console import Screen, opened_study, require_writable_json, write_json
from napari_dycon.cli.options import JsonFile, StudyFolder


def report(
    study: StudyFolder,
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="Folder for methods-sheet.html and .pdf, or a file that ends with .html or .pdf.",
            show_default=False,
        ),
    ],
    json_file: JsonFile = None,
) -> None:
    """Write one page about a study: labels, held-out and expected quality, control, settings, versions.

    It is meant for the methods section of a paper. What the study does not record is said to be so. It needs
    no screen, and changes nothing in the study.
    """
    from napari_dycon.report.collecting import collect
    from napari_dycon.report.writing import write_sheet

    require_writable_json(json_file)
    with opened_study(study, read_only=True) as opened:
        sheet = collect(opened)
    paths = write_sheet(sheet, out)
    write_json(json_file, {"files": [str(path) for path in paths], "sheet": sheet.to_dict()})
    Screen().line(f"Wrote {' and '.join(str(path) for path in paths)}.")
