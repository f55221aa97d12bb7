"""``dycon export-model``, ``export-nnunet``, ``import-model`` and ``models``: what goes and what comes."""

from pathlib import Path
from typing import Annotated

import typer

from napari_dycon.cli.console import Screen, count, opened_study, require_writable_json, write_json
from napari_dycon.cli.options import MODEL_MEANT, Alike, JsonFile, Run, StudyFolder, parse_alike
from napari_dycon.cli.studying import choose_run
from napari_dycon.errors import DyconError


def export_model(
    study: StudyFolder,
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="Folder for the model; it is made.", show_default=False)
    ],
    run: Run = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a model that is there already.")
    ] = False,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Write the network as ONNX, too; needs napari-dycon[onnx].")
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
        files = write(opened, out, chosen, overwrite=overwrite, onnx=onnx)
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
        str,
        typer.Argument(metavar="MODEL", help=f"What to take over: {MODEL_MEANT}.", show_default=False),
    ],
    structure: Alike = None,
    add: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Structure of the model that comes into the study as a new one; may be repeated.",
        ),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Take over a model of another study: it becomes the active run here.

    It predicts at once, and train goes on from it. Structures are matched by name. Nothing in the folder is
    executed; only weights and JSON are read.
    """
    from napari_dycon.engine.models.adoption import adopt_model
    from napari_dycon.engine.models.library import open_model

    renamed = parse_alike(structure)
    require_writable_json(json_file)
    with opened_study(study, read_only=False) as opened:
        adopted = adopt_model(opened, open_model(model), renamed, add or (), activate=True)
    write_json(json_file, {"run": adopted.run, "notes": list(adopted.notes)})
    screen = Screen()
    for note in adopted.notes:
        screen.line(note)
    screen.line(f"It is run {adopted.run}, the active one. Go on with: dycon predict {study}, or train.")


def models(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="What the model is called.", show_default=False)
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Keep a copy of this model: a study (its active run), STUDY/runs/ID, or an exported folder.",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a model that is kept under that name.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Keep the model no longer.")] = False,
    json_file: JsonFile = None,
) -> None:
    """List the models that are kept on this computer, keep a further one, or remove one.

    Any study can begin with them: dycon train STUDY --from NAME, or in the window. A copy has weights,
    settings and quality, and names no case and no patient.
    """
    from napari_dycon.engine.models import library

    if (keep is not None or remove) and name is None:
        raise DyconError("Say which model: dycon models NAME.")
    if keep is not None and remove:
        raise DyconError("--keep and --remove exclude each other.")
    screen = Screen()
    require_writable_json(json_file)
    if remove:
        library.forget_model(name or "")
        screen.line(f"{name} is removed.")
    elif keep is not None:
        kept = library.keep_model(library.open_model(keep), name or "", overwrite=overwrite)
        screen.line(f"{kept.name} is kept. Begin with it: dycon train STUDY --from {kept.name!r}")
    else:
        _list_models(screen, name)
    rows = [kept.model_dump(mode="json", exclude={"format"}) for kept in library.kept_models()]
    write_json(json_file, {"models": rows})


def _list_models(screen: Screen, name: str | None) -> None:
    """All that are kept, or the one of a name."""
    from napari_dycon.engine.models import library

    found = library.kept_models() if name is None else (library.require_kept(name),)
    rows = [("name", "structures", "Dice", "kept", "from")]
    rows += [(kept.name, ", ".join(kept.structures), kept.quality, kept.day, kept.source) for kept in found]
    if found:
        screen.table(rows)
    else:
        screen.line("No model is kept yet. Keep one with: dycon models NAME --keep STUDY")
