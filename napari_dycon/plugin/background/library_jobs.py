"""Jobs about models that come into a study, stay on this computer, or go to others."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_dycon.engine.control import Control
from napari_dycon.engine.models.library import Kept, keep_model, open_model
from napari_dycon.engine.models.matching import Matching
from napari_dycon.errors import DyconError
from napari_dycon.learning.catalogue import method_titles
from napari_dycon.plugin.background.worker import EventSource
from napari_dycon.study.study import Study

if TYPE_CHECKING:
    from napari_dycon.engine.models.model import Model


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model of elsewhere and what it would be to the study.

    Attributes
    ----------
    origin
        Where it was looked for.
    name, facts
        What it is called, and how it does, in words.
    matching
        Its structures and those of the study, by name.
    remarks
        Sentences about images, voxels and scans.
    model
        The model.
    trouble
        Why it cannot be used; then there is nothing else.
    """

    origin: str
    name: str = ""
    facts: str = ""
    matching: Matching | None = None
    remarks: tuple[str, ...] = ()
    model: "Model | None" = None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class TakenOver:
    """A model is a run of the study, the active one."""

    run: str


@dataclass(frozen=True, slots=True)
class ModelExported:
    """A model is in a folder of its own."""

    folder: Path


def consider(study: Study, origin: str) -> EventSource[Candidate]:
    """Look what a model would be to a study; nothing is written."""

    def source(control: Control) -> Iterator[Candidate]:
        del control
        from napari_dycon.engine.models.adoption import consider_model

        try:
            found = consider_model(study, open_model(origin))
        except DyconError as error:
            yield Candidate(origin, trouble=str(error))
            return
        facts = _facts(found.model)
        yield Candidate(origin, found.model.name, facts, found.matching, found.remarks, found.model)

    return source


def take_over(
    study: Study, model: "Model", told: Mapping[str, str], add: Collection[str]
) -> EventSource[TakenOver]:
    """Make a model the active run of a study, whole or not at all."""

    def source(control: Control) -> Iterator[TakenOver]:
        del control
        from napari_dycon.engine.models.adoption import adopt_model

        yield TakenOver(adopt_model(study, model, told, add, activate=True).run)

    return source


def keep(study: Study, run: str, name: str, overwrite: bool) -> EventSource[Kept]:
    """Keep a copy of the model of a run on this computer."""

    def source(control: Control) -> Iterator[Kept]:
        del control
        from napari_dycon.engine.models.model import Model

        yield keep_model(Model.of_run(study.path, run), name, overwrite=overwrite)

    return source


def export(study: Study, run: str, folder: Path) -> EventSource[ModelExported]:
    """Write the model of a run as a MONAI bundle."""

    def source(control: Control) -> Iterator[ModelExported]:
        del control
        from napari_dycon.engine.models.monai_bundle import export_model

        export_model(study, folder, run)
        yield ModelExported(folder)

    return source


def _facts(model: "Model") -> str:
    description, quality = model.description, model.description.quality
    title = method_titles().get(description.method, description.method).partition(":")[0]
    steps = f"{title}, {description.iteration:,} step{'' if description.iteration == 1 else 's'}"
    if quality is None or not quality.dice:
        return f"{steps}; its quality was not measured."
    where = "on held-out labels there" if quality.held_out else "on labels that it learned from"
    return f"{steps}; Dice {quality.mean_dice:.2f} {where}."
