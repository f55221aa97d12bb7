"""``dycon benchmark --recipe``: the benchmarks of papers, from their data as it is downloaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_dycon.cli.console import INTERRUPTED, Bar, Screen
from napari_dycon.cli.following import finish_showing
from napari_dycon.cli.options import folder
from napari_dycon.errors import DyconError

if TYPE_CHECKING:
    from napari_dycon.benchmark import Protocol
    from napari_dycon.benchmark.preparation import Prepared
    from napari_dycon.engine.control import Control

RecipeName = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="NAME",
        help="Repeat the benchmark of a paper: la, pancreas, brats19 or isles22; needs --data.",
        show_default=False,
    ),
]
Data = Annotated[Path | None, folder("The data set of the recipe, as it was downloaded.")]
SplitName = Annotated[
    str | None,
    typer.Option(
        "--split", metavar="NAME", help="Another published split of the recipe; a wrong name lists all."
    ),
]
OwnPlan = Annotated[
    bool,
    typer.Option(
        "--own-plan", help="Take data and split of the recipe, but plan as for any study, and train as long."
    ),
]


@dataclass(frozen=True)
class Wish:
    """Which recipe is asked for, and how."""

    name: str
    data: Path
    split: str | None
    own_plan: bool

    @classmethod
    def of(cls, name: str, data: Path | None, split: str | None, own_plan: bool, folders: bool) -> "Wish":
        """Refuse what does not go together; `folders` says whether scans were named beside the recipe."""
        if folders:
            raise DyconError("A recipe finds its scans in --data; leave out --images, --labels and the like.")
        if data is None:
            raise DyconError(f"Say where the data of the recipe is: --recipe {name} --data FOLDER.")
        return cls(name, data, split, own_plan)

    def protocol(
        self,
        asked: dict[str, Any],
        work: Path,
        json_file: Path | None,
        screen: Screen,
        bar: Bar,
        control: "Control",
    ) -> "Protocol":
        """Prepare the data and return what to compare on it, with what was asked for beside the recipe."""
        from napari_dycon.benchmark import Protocol
        from napari_dycon.benchmark.preparation import prepare
        from napari_dycon.benchmark.recipe import facts_of, plan_of, recipes
        from napari_dycon.benchmark.rows import describe

        recipe = recipes.get(self.name)
        split_name, split = recipe.split(self.split)
        steps = prepare(self.name, recipe, split, self.data, work, control)
        prepared: Prepared | None = finish_showing(steps, bar)
        if prepared is None:
            screen.line("Stopped.")
            raise typer.Exit(INTERRUPTED)
        for note in prepared.notes:
            screen.line(note)
        labelled = asked["labelled"] or recipe.labelled
        if not asked["labelled_scans"] and len(prepared.train) < labelled:
            raise DyconError(
                f"Only {len(prepared.train)} scans of the recipe can be trained on; lower --labelled."
            )
        without_budget = asked["minutes"] is None and asked["iterations"] is None
        asked |= {
            "labelled": labelled,
            "labelled_scans": asked["labelled_scans"] or prepared.train[:labelled],
            "iterations": recipe.iterations if without_budget else asked["iterations"],
            "overrides": plan_of(recipe.overrides, asked["overrides"], self.own_plan),
        }
        full = f"{self.name} {split_name}"
        describe(json_file, full, facts_of(recipe, labelled, prepared.notes))
        return Protocol(**prepared.places.model_dump(), **asked, recipe=full)

    def show(self, labelled: int, screen: Screen) -> None:
        """Show what others have published for so many labelled scans, and what differs."""
        from napari_dycon.benchmark.recipe import published_table, recipes

        recipe = recipes.get(self.name)
        if table := published_table(recipe, labelled):
            screen.line("")
            screen.table(table)
        screen.line("")
        for sentence in recipe.differences:
            screen.line(f"* {sentence}")
