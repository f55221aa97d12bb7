"""A model of elsewhere becomes a run of a study: it predicts there, and training goes on from it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

from napari_dycon.engine.checkpoints import Checkpoint
from napari_dycon.engine.events import RunFinished
from napari_dycon.engine.models.model import Model, digests
from napari_dycon.engine.plan import Plan
from napari_dycon.engine.recorder import Recorder
from napari_dycon.engine.runs import RunConfig, RunFolder, build_method
from napari_dycon.engine.warmstart import transfer_weights
from napari_dycon.errors import TrainingError
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


def adopt_model(study: Study, model: Model, renamed: Mapping[str, str] | None = None) -> Adopted:
    """Make a run of a model, with the structures that both know by name; it is not made the active one.

    The study may be open elsewhere.

    Parameters
    ----------
    renamed
        Names of structures of the study, by what the model calls them; the others must be called alike.

    Raises
    ------
    TrainingError
        When there is no structure that both know, or the model cannot be built here.
    VolumeError
        When the study's folder cannot be written.
    """
    theirs = model.description.plan
    known = _match(theirs, study.structures, renamed or {})
    if not known:
        there, here = (", ".join(names) for names in (theirs.structure_names, _names(study)))
        raise TrainingError(
            f"{model.name} knows {there}; this study has {here or 'no structures'}. Give a structure the "
            'same name, or tell which one it is: --structure "its name=name here".'
        )
    plan = _plan_here(theirs, known)
    method = build_method(model.description.method, plan)
    transfer_weights(method, plan, model.method(), _with_values(theirs, known))
    own = digests(study.record)
    seen = tuple(sorted(case for case in own if own[case] in model.description.learned_from))
    run = RunFolder(study.run_dir(study.new_run(model.description.method)))
    with run.lock(), torch.no_grad():
        run.write(_config(model, seen), plan)
        iteration = model.description.iteration
        tensors = {f"method.{name}": tensor for name, tensor in method.state_dict().items()}
        run.checkpoints.save(Checkpoint(iteration, tensors))
        text = f"Taken over from {model.name}."
        Recorder(run.path).record(RunFinished(run.run, iteration, "budget", 0.0, None, None, text))
    return Adopted(run.run, tuple(_notes(study, model, known, seen)))


def _match(
    theirs: Plan, structures: tuple[Structure, ...], renamed: Mapping[str, str]
) -> dict[int, Structure]:
    """Structures of the study by the value that the model gives them, in the order of the study."""
    calls = {fold(there): fold(here) for there, here in renamed.items()}
    own, foreign = {fold(entry.name) for entry in structures}, {fold(name) for name in theirs.structure_names}
    strange = (calls.keys() - foreign) | (set(calls.values()) - own)
    if strange:
        raise TrainingError(f"Neither the model nor the study has a structure called {sorted(strange)[0]}.")
    named = {
        calls.get(fold(name), fold(name)): value
        for value, name in zip(theirs.structure_values, theirs.structure_names, strict=True)
    }
    return {named[fold(entry.name)]: entry for entry in structures if fold(entry.name) in named}


def _plan_here(theirs: Plan, known: Mapping[int, Structure]) -> Plan:
    """The model's plan with nothing but structures of the study, under their values here."""
    values = {there: entry.value for there, entry in known.items()}
    groups = (tuple(values[value] for value in group if value in values) for group in theirs.joint)
    return theirs.model_copy(
        update={
            "structure_values": tuple(values.values()),
            "structure_names": tuple(entry.name for entry in known.values()),
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


def _notes(
    study: Study, model: Model, known: Mapping[int, Structure], seen: tuple[str, ...]
) -> Iterator[str]:
    plan = model.description.plan
    names = [entry.name for entry in known.values()]
    yield f"The model {model.name} knows {', '.join(names)}."
    if new := [entry.name for entry in study.structures if entry.name not in names]:
        yield f"It does not know {', '.join(new)}: that is learned from now on."
    named = zip(plan.structure_values, plan.structure_names, strict=True)
    if left := [name for value, name in named if value not in known]:
        yield f"It also knew {', '.join(left)}, which this study does not have; that is left behind."
    yield from _image_notes(study, model)
    yield from _spacing_notes(study, plan)
    if seen:
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
        yield f"It does not look at {', '.join(unseen)}; train with --fresh for a model that does."


def _spacing_notes(study: Study, plan: Plan) -> Iterator[str]:
    """Say where scans have quite other voxels, along the axes from fine to coarse."""
    if not study.cases:
        return
    middle = sorted(sorted(case.spacing) for case in study.cases)[len(study.cases) // 2]
    ratios = [own / model for own, model in zip(middle, sorted(plan.spacing), strict=True)]
    if any(ratio > SAME_SPACING or ratio < 1 / SAME_SPACING for ratio in ratios):
        yield (
            f"It works with voxels of {_times(plan.spacing)} mm; scans here have {_times(middle)} mm. They "
            "are resampled for it; train with --fresh for a model of their own size."
        )


def _names(study: Study) -> list[str]:
    return [entry.name for entry in study.structures]


def _times(sides: "tuple[float, ...] | list[float]") -> str:
    return " x ".join(f"{side:.3g}" for side in sides)
