"""The arguments and options that commands share, each with its help."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_dycon.errors import DyconError


def _prepare_json(path: Path | None) -> Path | None:
    if path is not None:
        if path.is_dir():
            raise typer.BadParameter(f"{path} is a folder; name a file.")
        path.parent.mkdir(parents=True, exist_ok=True)
    return path


def folder(help_text: str) -> Any:
    """Option that takes a folder that is there."""
    return typer.Option(exists=True, file_okay=False, metavar="DIR", help=help_text, show_default=False)


JsonFile = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", callback=_prepare_json, help="Write the result as JSON."),
]
Wholes = Annotated[
    list[str] | None,
    typer.Option(
        "--whole",
        metavar="NAME:PARTS",
        help='Structures that together count as one more, such as "whole tumour:1,2".',
    ),
]
StudyFolder = Annotated[Path, typer.Argument(metavar="STUDY", help="The study folder.", show_default=False)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Devices = Annotated[
    int, typer.Option(min=1, help="Train on so many devices of this machine together, see dycon doctor.")
]
Nodes = Annotated[
    int, typer.Option(min=1, help="And on so many machines, each with this command; torchrun does it too.")
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="WHERE",
        help="Share the cases out among Dask workers: local:4, tcp://host:8786, slurm:8, or a .yaml or .json "
        "file that says where.",
        show_default=False,
    ),
]
Run = Annotated[str | None, typer.Option(metavar="ID", help="Which model; the active run by default.")]
Cases = Annotated[list[str] | None, typer.Option(metavar="ID", help="Only this case; may be repeated.")]
Method = Annotated[
    str | None,
    typer.Option(
        help="Learning method: dycon, mean_teacher, supervised or another; a wrong name lists all.",
        show_default="dycon",
    ),
]
LARGEST_SEED = 2**31 - 1
Seed = Annotated[
    int | None,
    typer.Option(min=0, max=LARGEST_SEED, help="Start of all random numbers.", show_default="0"),
]
Minutes = Annotated[float | None, typer.Option(min=0.01, help="How long to train.", show_default=False)]
Iterations = Annotated[
    int | None, typer.Option(min=1, help="How many steps to train, instead of minutes.", show_default=False)
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--override",
        "--overrides",
        metavar="NAME=VALUE",
        help="Change a setting of plan or method; may be repeated.",
    ),
]
Alike = Annotated[
    list[str] | None,
    typer.Option(
        "--structure",
        metavar="ITS NAME=NAME HERE",
        help="Which structure of the study one of the model is; not needed where they are called alike.",
    ),
]
MODEL_MEANT = "another study, STUDY/runs/ID, a folder of export-model, or a name from dycon models"
Reference = Annotated[Path, folder("True label maps with the file names of the scans.")]
Images = Annotated[Path, folder("Scans.")]
Labels = Annotated[Path, folder("Label maps with the file names of the scans.")]
SomeImages = Annotated[Path | None, folder("Scans.")]
SomeLabels = Annotated[Path | None, folder("Label maps with the file names of the scans.")]
TestImages = Annotated[Path | None, folder("Scans to test on; otherwise the last fifth of --images.")]
TestLabels = Annotated[Path | None, folder("Label maps of the test scans.")]
Labelled = Annotated[
    int | None,
    typer.Option(
        min=1, help="The first so many scans are labelled.", show_default="4, or what the recipe says"
    ),
]
LabelledScans = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES", help="Label these scans, with commas, instead of the first ones.", show_default=False
    ),
]
Slices = Annotated[
    int | None, typer.Option(min=1, help="Label only so many slices of each of them.", show_default=False)
]
Methods = Annotated[str, typer.Option(help="Methods to compare, with commas.")]
Seeds = Annotated[str, typer.Option(help="Random seeds, with commas.")]
Work = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Keep studies and runs here; an interrupted row goes on.", file_okay=False
    ),
]


def parse_overrides(settings: list[str] | None, plan_fields: Collection[str]) -> dict[str, Any]:
    """Turn ``NAME=VALUE`` texts into changes of a plan.

    Values are JSON where they can be, else text. A dot reaches inside (``augmentation.noise_p=0``); a name
    that is no field of the plan is a setting of the method.
    """
    overrides: dict[str, Any] = {}
    for setting in settings or []:
        name, equals, text = setting.partition("=")
        if not (name and equals):
            raise DyconError(f"'{setting}' is not a setting; write --override NAME=VALUE.")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        outer, _, inner = name.rpartition(".")
        if not outer and name not in plan_fields:
            outer, inner = "method_settings", name
        if outer:
            overrides.setdefault(outer, {})[inner] = value
        else:
            overrides[name] = value
    return overrides


def parse_alike(texts: list[str] | None) -> dict[str, str]:
    """Turn ``LA=left atrium`` texts into names in the study by names in a model."""
    pairs = [text.partition("=") for text in texts or []]
    for there, equals, here in pairs:
        if not (there.strip() and equals and here.strip()):
            raise DyconError(f"'{there}{equals}{here}' is no pair; write --structure \"its name=name here\".")
    return {there.strip(): here.strip() for there, _, here in pairs}


def parse_seeds(text: str) -> tuple[int, ...]:
    """Turn ``0,1,2`` into numbers."""
    try:
        seeds = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise DyconError(f"'{text}' is not a list of seeds; write for example --seeds 0,1,2.") from error
    if not all(0 <= seed <= LARGEST_SEED for seed in seeds):
        raise DyconError(f"A seed is a whole number from 0 to {LARGEST_SEED}.")
    return seeds
