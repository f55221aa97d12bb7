"""``dycon export-model``, ``export-nnunet`` and ``import-model``: what goes to others and comes from them."""

from pathlib import Path
from typing import Annotated

import typer

from napari_dycon.cli.console import Screen, count, opened_study, require_writable_json, write_json
from napari_dycon.cli.options import Alike, JsonFile, Run, StudyFolder, parse_alike
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


def export_nnunet(
    study: StudyFolder,
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="Folder to make, such as Dataset101_Heart.", show_default=False),
    ],
    pseudonyms: Annotated[
        bool, typer.Option("--pseudonyms", help="Call cases by names that say nothing.")
    ] = False,
    json_file: JsonFile = None,
) -> None:
    """Write the labelled scans as a data set of nnU-Net v2, with splits by patient.

    Where nothing is known the labels say "ignore". Put splits_final.json into the folder of the preprocessed
    data set once nnUNetv2_plan_and_preprocess has made it.
    """
    from napari_dycon.study.exchange.nnunet import export_dataset

    screen = Screen()
    require_writable_json(json_file)
    with opened_study(study, read_only=not pseudonyms) as opened, screen.bar("Exporting") as bar:
        if pseudonyms:
            opened.keep_secret()
        names, events = {case.id: case.name for case in opened.cases}, []
        for event in export_dataset(opened, out, without_names=pseudonyms):
            bar.update(event.done / event.total, f"{event.done} of {event.total}")
            events.append(event)
    left_out = [event for event in events if event.problem]
    problems = [{"case": event.case, "problem": event.problem} for event in left_out]
    write_json(json_file, {"dataset": str(out), "cases": len(events) - len(left_out), "problems": problems})
    for event in left_out:
        screen.line(f"Not exported: {names[event.case]}: {event.problem}")
    screen.line(f"{count(len(events) - len(left_out), 'scan')} with labels are in {out}.")
    if left_out:
        raise typer.Exit(1)


def import_model(
    study: StudyFolder,
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="Another study, a run in one (STUDY/runs/ID), or a folder that export-model wrote.",
            exists=True,
            file_okay=False,
            show_default=False,
        ),
    ],
    structure: Alike = None,
    json_file: JsonFile = None,
) -> None:
    """Take over a model of another study: it becomes the active run here.

    It predicts at once, and train goes on from it. Structures are matched by name. Nothing in the folder is
    executed; only weights and JSON are read.
    """
    from napari_dycon.engine.models.adoption import adopt_model
    from napari_dycon.engine.models.model import read_model

    renamed = parse_alike(structure)
    require_writable_json(json_file)
    with opened_study(study, read_only=False) as opened:
        adopted = adopt_model(opened, read_model(model), renamed, activate=True)
    write_json(json_file, {"run": adopted.run, "notes": list(adopted.notes)})
    screen = Screen()
    for note in adopted.notes:
        screen.line(note)
    screen.line(f"It is run {adopted.run}, the active one. Go on with: dycon predict {study}, or train.")
