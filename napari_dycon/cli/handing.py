"""``dycon export-model``: what others can use without this program."""

from pathlib import Path
from typing import Annotated

import typer

from napari_dycon.cli.console import Screen, opened_study, require_writable_json, write_json
from napari_dycon.cli.options import JsonFile, Run, StudyFolder
from napari_dycon.cli.studying import choose_run


def export_model(
    study: StudyFolder,
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="Folder for the model; it is made.", show_default=False)
    ],
    run: Run = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a model that is there already.")
    ] = False,
    json_file: JsonFile = None,
) -> None:
    """Write a trained model as a MONAI bundle, which segments scans without this program.

    With it come a model card (README.md), the hashes of all files, and what another study needs to begin its
    training with this model. No case and no patient is named in it.
    """
    from napari_dycon.engine.models.monai_bundle import export_model as write

    require_writable_json(json_file)
    with opened_study(study, read_only=True) as opened:
        chosen = choose_run(opened, run)
        files = write(opened, out, chosen, overwrite=overwrite)
    write_json(json_file, {"run": chosen, "files": [str(path) for path in files]})
    Screen().line(
        f"The model of run {chosen} is in {out}, {len(files)} files. Fill in data and licence in "
        f"{out / 'README.md'}."
    )
