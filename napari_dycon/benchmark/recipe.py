"""What a recipe is: how a paper measured, as data; and the register of all recipes."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from napari_dycon.benchmark.recipes import GROUP
from napari_dycon.errors import DyconError
from napari_dycon.register import Register

Triple = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Scan:
    """A scan with its label map, on the way from a download to what is trained on.

    Attributes
    ----------
    image : float32, (x, y, z)
    label : uint8, (x, y, z)
    affine : (4, 4), voxels to RAS mm
    """

    image: NDArray[np.float32]
    label: NDArray[np.uint8]
    affine: NDArray[np.float64]


Read = Callable[[], Scan]


class Published(BaseModel):
    """A line of a published table.

    Attributes
    ----------
    method
        As it is called here, where it is; else the paper's name.
    dice, jaccard
        In percent.
    hd95, asd
        In voxels, as the papers measure; None where they leave it out.
    source
        Who says so.
    """

    model_config = ConfigDict(frozen=True)

    method: str
    labelled: int
    dice: float
    jaccard: float | None
    hd95: float | None
    asd: float | None
    source: str


@dataclass(frozen=True)
class Split:
    """Names of the scans to train on, the first of which are labelled, and of those to test on.

    Attributes
    ----------
    train
        In the order of the published list; the rest of what is there follows when ``others`` is set.
    aside
        Neither trained nor tested on.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    others: bool = False
    aside: tuple[str, ...] = ()

    def of(self, found: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Which of the scans that are there are trained on, labelled ones first, and which are tested on."""
        there = sorted(found)
        rest = [name for name in there if name not in {*self.train, *self.test, *self.aside}]
        train = (*self.train, *(rest if self.others else ()))
        return tuple(n for n in train if n in there), tuple(n for n in self.test if n in there)


THOUSANDTHS = 1000
LARGEST = 32.0
AS_IT_IS: Mapping[str, Any] = {
    "kind": "ct",
    "low": -LARGEST * THOUSANDTHS,
    "high": LARGEST * THOUSANDTHS,
    "mean": 0.0,
    "std": float(THOUSANDTHS),
}
"""For scans that are kept as whole thousandths of what a network shall see; this window gives that back."""


@dataclass(frozen=True)
class Recipe:
    """How a line of papers measures on one data set.

    Attributes
    ----------
    title
        For people.
    layout
        What is looked for below the folder that was downloaded, in words.
    find
        All scans below a folder by name, each with a function that reads and prepares it as published.
    splits
        By name; the first one is taken unless another one is asked for.
    labelled
        How many scans are labelled unless another number is asked for.
    iterations
        Length of the published training.
    overrides
        The published plan, see :class:`napari_dycon.engine.plan.Plan`.
    published
        Figures to hold one's own against.
    differences
        Where papers differ from each other, and this from them; sentences.
    voxel_mm
        Side of a voxel, to put published distances into millimetres; None where scans differ.
    withdrawn
        Names in a split that a download of today may lack.
    parts
        Prepared values are kept as whole numbers of so many parts of one.
    """

    title: str
    layout: str
    find: Callable[[Path], Mapping[str, Read]]
    splits: Mapping[str, Split]
    labelled: int
    iterations: int
    overrides: Mapping[str, Any]
    published: tuple[Published, ...] = ()
    differences: tuple[str, ...] = ()
    voxel_mm: float | None = None
    withdrawn: frozenset[str] = frozenset()
    parts: int = THOUSANDTHS

    def split(self, name: str | None) -> tuple[str, Split]:
        """Name and lists of a split; the first one without a name.

        Raises
        ------
        DyconError
            When there is none of this name.
        """
        name = name or next(iter(self.splits))
        if name not in self.splits:
            raise DyconError(f"There is no split {name!r} of this recipe; choose {', '.join(self.splits)}.")
        return name, self.splits[name]


recipes: Register[Recipe] = Register("recipe", "napari_dycon.benchmark.recipes", GROUP, DyconError)


def figures(source: str, labelled: int, by_method: Mapping[str, str]) -> tuple[Published, ...]:
    """Turn ``{"ua_mt": "90.16/82.18/6.50/1.98"}`` (Dice, Jaccard, HD95, ASD) into lines of a table."""
    return tuple(_line(source, labelled, method, text) for method, text in by_method.items())


def _line(source: str, labelled: int, method: str, text: str) -> Published:
    dice, jaccard, hd95, asd = (None if part == "-" else float(part) for part in text.split("/"))
    assert dice is not None
    return Published(
        method=method, labelled=labelled, dice=dice, jaccard=jaccard, hd95=hd95, asd=asd, source=source
    )


def sentences(text: str) -> tuple[str, ...]:
    """Turn paragraphs that begin with a star into one line each."""
    return tuple(" ".join(part.split()) for part in text.split("\n* ") if part.strip())


@cache
def lists_of(name: str) -> Mapping[str, tuple[str, ...]]:
    """Published lists of scans, from a file beside the recipes."""
    file = resources.files("napari_dycon.benchmark.recipes") / "lists" / f"{name}.json"
    return {key: tuple(names) for key, names in json.loads(file.read_text(encoding="utf-8")).items()}


OF_THE_SCRIPTS: Mapping[str, Any] = {
    "network": {"kind": "vnet", "widths": (16, 32, 64, 128, 256), "strides": ((2, 2, 2),) * 4},
    "optimiser": "sgd",
    "learning_rate": 0.01,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "batch_labelled": 2,
    "batch_unlabelled": 2,
    "foreground_share": 0.0,
    "fitted_head": False,
    "averaged": False,
    "precision": "32-true",
    "joint": (),
    "specks": {},
    "augmentation": {
        **dict.fromkeys(("rotation_p", "scale_p", "elastic_p", "contrast_p", "gamma_p", "noise_p"), 0.0),
        **dict.fromkeys(("blur_p", "low_resolution_p", "bias_p", "cutout_p"), 0.0),
        "strong": 1.0,
    },
}
"""What the scripts of these papers have in common: random crops and mirroring, SGD, no help of ours."""


def facts_of(recipe: Recipe, labelled: int, notes: Sequence[str]) -> dict[str, Any]:
    """What to keep beside rows: where the data is from, what others have published, and what differs."""
    lines = [line.model_dump() for line in recipe.published if line.labelled == labelled]
    about = {"title": recipe.title, "voxel_mm": recipe.voxel_mm, "notes": list(notes)}
    return {**about, "published": lines, "differences": list(recipe.differences)}


def plan_of(recipe_plan: Mapping[str, Any], wishes: Mapping[str, Any], own: bool) -> dict[str, Any]:
    """Changes of the plan: the published ones unless the program's own plan is wanted, then the wishes."""
    merged = {} if own else dict(recipe_plan)
    for name, value in wishes.items():
        inner = merged.get(name)
        both = isinstance(inner, Mapping) and isinstance(value, Mapping)
        merged[name] = {**inner, **value} if both and isinstance(inner, Mapping) else value
    return merged


def published_table(recipe: Recipe, labelled: int) -> list[tuple[str, ...]]:
    """Published lines of so many labelled scans below a header; empty where there is none."""
    lines = [line for line in recipe.published if line.labelled == labelled]
    if not lines:
        return []
    unit = "voxels" if recipe.voxel_mm is None else "mm"
    header = ("published", "Dice %", "Jaccard %", f"HD95 {unit}", f"ASD {unit}", "source")
    return [header, *(_row(line, recipe.voxel_mm or 1.0) for line in lines)]


def _row(line: Published, side: float) -> tuple[str, ...]:
    figures: Sequence[float | None] = (
        line.dice,
        line.jaccard,
        *(None if value is None else value * side for value in (line.hd95, line.asd)),
    )
    return (line.method, *("-" if value is None else f"{value:.2f}" for value in figures), line.source)
