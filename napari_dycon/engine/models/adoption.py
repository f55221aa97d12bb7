"""A model of elsewhere becomes a run of a study: it predicts there, and training goes on from it."""

import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from napari_dycon.engine.checkpoints import Checkpoint
from napari_dycon.engine.events import RunFinished
from napari_dycon.engine.models.matching import Matching
from napari_dycon.engine.models.model import Model, digests
from napari_dycon.engine.plan import Plan
from napari_dycon.engine.recorder import Recorder
from napari_dycon.engine.runners.elsewhere.away import read_away
from napari_dycon.engine.runs import RunConfig, RunFolder, build_method
from napari_dycon.engine.warmstart import transfer_weights
from napari_dycon.errors import TrainingError
from napari_dycon.study.store.folder import further_structures
from napari_dycon.study.store.naming import fold
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study

SAME_SPACING = 1.25
"""Voxels of a study that are no more than so many times larger or smaller than the model's are like them."""


@dataclass(frozen=True)
class Adopted:
    """A run that was made of a model.

    Attributes
    ----------
    run
        Its id.
    notes
        Sentences about what the model knows of this study, and what it does not.
    """

    run: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Prospect:
    """What a model of elsewhere would be to a study.

    Attributes
    ----------
    model
        The model.
    matching
        Its structures and those of the study, by name.
    remarks
        Sentences about images, voxels and scans.
    """

    model: Model
    matching: Matching
    remarks: tuple[str, ...]


def consider_model(study: Study, model: Model) -> Prospect:
    """Say what a model would be to a study; nothing is written."""
    matching = Matching.by_name(model.description.plan.structure_names, _names(study))
    return Prospect(model, matching, tuple(_remarks(study, model)))


def adopt_model(
    study: Study,
    model: Model,
    renamed: Mapping[str, str] | None = None,
    add: Collection[str] = (),
    *,
    activate: bool = False,
) -> Adopted:
    """Make a run of a model, with the structures that both know; where that fails, nothing stays of it.

    The study may be open elsewhere, unless structures are added or the run is made the active one.

    Parameters
    ----------
    renamed
        Names of structures of the study by what the model calls them, empty for one that is left behind; the
        others must be called alike.
    add
        Names in the model of structures that come into the study as new ones.
    activate
        Make it the run whose predictions are shown, and from which training goes on.

    Raises
    ------
    TrainingError
        When there is no structure that both know, or the model cannot be built here.
    StudyError, VolumeError
        When the study cannot be changed or its folder not be written.
    """
    theirs = model.description.plan
    matching = Matching.by_name(theirs.structure_names, _names(study), renamed, add)
    new = further_structures(study.record, matching.added)
    known = _by_value(theirs, matching, (*study.structures, *new))
    if not known:
        there, here = (", ".join(names) for names in (theirs.structure_names, _names(study)))
        raise TrainingError(
            f"{model.name} knows {there}; this study has {here or 'no structures'}. Give a structure the "
            'same name, or tell which one it is: --structure "its name=name here".'
        )
    plan = _plan_here(theirs, known)
    method = build_method(model.description.method, plan)
    transfer_weights(method, plan, model.method(), _with_values(theirs, known))
    run = RunFolder(study.run_dir(study.new_run(model.description.method)))
    with run.fill(), torch.no_grad():
        run.write(_config(model, _seen(study, model)), plan)
        iteration = model.description.iteration
        tensors = {f"method.{name}": tensor for name, tensor in method.state_dict().items()}
        run.checkpoints.save(Checkpoint(iteration, tensors))
        text = f"Taken over from {model.name}."
        Recorder(run.path).record(RunFinished(run.run, iteration, "budget", 0.0, None, None, text))
        if new:
            study.set_structures((*study.structures, *new))
        if activate:
            study.set_active_run(run.run)
    return Adopted(run.run, (*matching.sentences(), *_remarks(study, model)))


@contextmanager
def lend_model(study: Study, model: Model, renamed: Mapping[str, str] | None = None) -> Iterator[Adopted]:
    """A run of a model for a training to begin with; it goes again where no model has come of that."""
    adopted = adopt_model(study, model, renamed)
    try:
        yield adopted
    finally:
        if not any(_goes_on_from(RunFolder(study.run_dir(run)), adopted.run) for run in study.runs()):
            shutil.rmtree(study.run_dir(adopted.run), ignore_errors=True)


def _goes_on_from(run: RunFolder, start: str) -> bool:
    """Whether a run began with another one, and has a model of its own or will have."""
    try:
        began = run.config().continued_from == start
    except TrainingError:
        return False
    return began and bool(run.checkpoints.iterations or read_away(run.path))


def _by_value(theirs: Plan, matching: Matching, structures: tuple[Structure, ...]) -> dict[int, Structure]:
    """Structures of the study by the value that the model gives them, in the order of the study."""
    values = dict(zip(theirs.structure_names, theirs.structure_values, strict=True))
    called = {here: values[there] for there, here in matching.known.items()}
    return {called[entry.name]: entry for entry in structures if entry.name in called}


def _plan_here(theirs: Plan, known: Mapping[int, Structure]) -> Plan:
    """The model's plan with nothing but structures of the study, under their values here."""
    values = {there: entry.value for there, entry in known.items()}
    groups = (tuple(values[value] for value in group if value in values) for group in theirs.joint)
    return theirs.model_copy(
        update={
            "structure_values": tuple(values.values()),
            "structure_names": tuple(entry.name for entry in known.values()),
            "wholes": {
                name: tuple(values[value] for value in parts)
                for name, parts in theirs.wholes.items()
                if values.keys() >= set(parts)
            },
            "network": theirs.network.model_copy(update={"classes": 1 + len(known)}),
            "single": tuple(values[value] for value in theirs.single if value in values),
            "joint": tuple(group for group in groups if len(group) > 1),
            "specks": {values[v]: volume for v, volume in theirs.specks.items() if v in values},
        }
    )


def _with_values(theirs: Plan, known: Mapping[int, Structure]) -> Plan:
    """The model's plan as it is, under the values of the study; below 0 is what the study does not have."""
    values = tuple(known[v].value if v in known else -v for v in theirs.structure_values)
    return theirs.model_copy(update={"structure_values": values})


def _config(model: Model, seen: tuple[str, ...]) -> RunConfig:
    return RunConfig(
        method=model.description.method,
        iterations=max(1, model.description.iteration),
        continued_from=model.name,
        foreign=True,
        trained_on=seen,
        version=model.description.version,
    )


def _seen(study: Study, model: Model) -> tuple[str, ...]:
    """Cases whose labels the model has learned from already."""
    own = digests(study.record)
    return tuple(sorted(case for case in own if own[case] in model.description.learned_from))


def _remarks(study: Study, model: Model) -> Iterator[str]:
    yield from _image_notes(study, model)
    yield from _spacing_notes(study, model.description.plan)
    if seen := _seen(study, model):
        scans = "1 scan of this study" if len(seen) == 1 else f"{len(seen)} scans of this study"
        yield f"It has learned from labels of {scans} before, so quality is not measured there."


def _image_notes(study: Study, model: Model) -> Iterator[str]:
    scan, *further = model.description.images
    own = [*study.record.channels] or [""]
    if scan and own[0] and fold(scan) != fold(own[0]):
        yield f"It was trained on {scan} as the scan; here the scan is {own[0]}."
    if lacking := [name for name in further if name not in own[1:]]:
        yield f"It also looks at {', '.join(lacking)}, which this study does not have: that is blank to it."
    if unseen := [name for name in own[1:] if name not in further]:
        yield f"It does not look at {', '.join(unseen)}; only a model that begins anew does."


def _spacing_notes(study: Study, plan: Plan) -> Iterator[str]:
    """Say where scans have quite other voxels, along the axes from fine to coarse."""
    if not study.cases:
        return
    middle = sorted(sorted(case.spacing) for case in study.cases)[len(study.cases) // 2]
    ratios = [own / model for own, model in zip(middle, sorted(plan.spacing), strict=True)]
    if any(ratio > SAME_SPACING or ratio < 1 / SAME_SPACING for ratio in ratios):
        yield (
            f"It works with voxels of {_times(plan.spacing)} mm; scans here have {_times(middle)} mm. They "
            "are resampled for it; only a model that begins anew works with their own."
        )


def _names(study: Study) -> list[str]:
    return [entry.name for entry in study.structures]


def _times(sides: "tuple[float, ...] | list[float]") -> str:
    return " x ".join(f"{side:.3g}" for side in sides)
