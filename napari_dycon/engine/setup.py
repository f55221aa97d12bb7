"""From a request to everything the training loop needs; all refusals happen here."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

import napari_dycon
from napari_dycon.engine.budget import Budget
from napari_dycon.engine.checkpoints import Checkpoint
from napari_dycon.engine.control import Control
from napari_dycon.engine.device import DeviceName, card_fault
from napari_dycon.engine.events import ScanPreparation
from napari_dycon.engine.fingerprint import fingerprint_study
from napari_dycon.engine.holdout import HoldOut, choose_holdout
from napari_dycon.engine.patches import PatchSampler, TrainingCase
from napari_dycon.engine.plan import Machine, Plan, change_plan, make_plan
from napari_dycon.engine.runs import RunConfig, RunFolder, build_method, latest_unfinished
from napari_dycon.engine.store import CaseStore, PreparedCase
from napari_dycon.engine.warmstart import adopt_plan, same_network, transfer_weights
from napari_dycon.errors import DyconError, TrainingError
from napari_dycon.learning.batch import IGNORE, UNKNOWN
from napari_dycon.learning.methods.base import Method, get_method
from napari_dycon.study.study import Study

MOST_REASONS = 8
DEFAULT_METHOD = "dycon"
NOTHING_TO_LEARN = "Nothing to learn from yet: no case has a label. Paint at least one structure in one case."


@dataclass(frozen=True)
class Request:
    """What was asked of the trainer; see :class:`napari_dycon.engine.trainer.Trainer`."""

    method: str | None
    minutes: float | None
    iterations: int | None
    seed: int | None
    device: str
    overrides: Mapping[str, Any]
    run_id: str | None
    resume: bool
    warm_start: bool
    holdout: bool


@dataclass
class Prepared:
    """A run ready to start or to go on."""

    folder: RunFolder
    config: RunConfig
    plan: Plan
    device: DeviceName
    budget: Budget
    method: Method
    cases: list[PreparedCase]
    checkpoint: Checkpoint | None = None
    notes: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def sampler(self) -> PatchSampler:
        """Patches of what training may see."""
        return make_sampler(self.cases, self.config.holdout, self.plan, self.config.seed, self.method)


Preparation = Generator[ScanPreparation, None, Prepared]


def prepare(study: Study, request: Request, control: Control) -> Preparation:
    """Check everything, prepare the scans and build or load the model.

    Yields
    ------
    ScanPreparation
        At once, and before each scan.

    Raises
    ------
    TrainingError
        When training cannot start; nothing was written to the study then but caches.
    Stopped
        When the control says so; checked before each scan is looked at or prepared.
    """
    yield ScanPreparation("", 0, len(study.cases))
    if study.read_only:
        raise TrainingError(
            "This study is open elsewhere and can only be read here; close it there to train."
        )
    machine = Machine.detect(request.device)
    begin = _resumed if request.resume else _started
    prepared = yield from begin(study, request, machine, control)
    return prepared


def make_sampler(
    cases: Sequence[PreparedCase], holdout: HoldOut, plan: Plan, seed: int, method: Method
) -> PatchSampler:
    """The patch sampler of a run; held-out voxels are unknown to it."""
    unlabelled = method.learns_from_unlabelled
    seen = [
        TrainingCase(
            image=case.image,
            target=holdout.training_target(case),
            unlabelled=unlabelled and not holdout.holds(case) and _has_unknown(case),
            weight=case.weight,
        )
        for case in cases
    ]
    return PatchSampler(seen, plan, seed)


def _started(study: Study, request: Request, machine: Machine, control: Control) -> Preparation:
    budget = Budget(request.minutes, request.iterations)
    name, seed = request.method or DEFAULT_METHOD, request.seed or 0
    networks = get_method(name).networks_at_once(request.overrides.get("method_settings") or {})
    notes, left_out = _device_notes(request), dict[str, str]()
    usable = _usable(study, notes, left_out)
    earlier = _earlier(study, request, notes)
    plan = make_plan(fingerprint_study(study, usable, control), machine, networks=networks)
    if earlier is not None:
        plan = adopt_plan(plan, earlier.plan())
    plan = change_plan(plan, request.overrides)
    cases = yield from _prepared(study, plan, usable, notes, left_out, control)
    method, before = _model(name, seed, plan, earlier, notes)
    seen = set(before.trained_on) if before else set()
    holdout = HoldOut()
    if request.holdout:
        holdout = choose_holdout(cases, seed, before.holdout if before else None, seen)
        if holdout.empty:
            notes.append("Too little is labelled to keep some aside, so the quality cannot be measured yet.")
    make_sampler(cases, holdout, plan, seed, method)
    config = RunConfig(
        method=name,
        seed=seed,
        minutes=request.minutes,
        iterations=request.iterations,
        continued_from=earlier.run if earlier is not None and before is not None else None,
        holdout=holdout,
        trained_on=tuple(sorted(seen | {c.case for c in cases if holdout.training_target(c) is not None})),
        version=napari_dycon.__version__,
    )
    folder = RunFolder(study, request.run_id or study.new_run(name))
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write(config, plan)
    notes += _remarks(cases, method, plan)
    return Prepared(folder, config, plan, machine.device, budget, method, cases, None, notes, left_out)


def _model(
    name: str, seed: int, plan: Plan, earlier: RunFolder | None, notes: list[str]
) -> tuple[Method, RunConfig | None]:
    """A method with fresh weights, or with those of an earlier run and how that was made."""
    torch.manual_seed(seed)
    method = build_method(name, plan)
    if earlier is None:
        return method, None
    earlier_plan, model = earlier.method()
    same_grid = (plan.spacing, plan.intensity) == (earlier_plan.spacing, earlier_plan.intensity)
    if not same_grid or not same_network(plan, earlier_plan):
        notes.append("The training starts anew, because the plan asks for another network or grid.")
        return method, None
    notes += [
        f"'{name}' was added: the model keeps what it knows and learns the new structure from now."
        for name in transfer_weights(method, plan, model, earlier_plan)
    ]
    return method, earlier.config()


def _resumed(study: Study, request: Request, machine: Machine, control: Control) -> Preparation:
    folder = RunFolder(study, request.run_id or latest_unfinished(study))
    config, plan = folder.config(), folder.plan()
    _check_agreement(request, folder.run, config, plan)
    if tuple(structure.value for structure in study.structures) != plan.structure_values:
        raise TrainingError(
            f"Structures were changed since run {folder.run} began, so it cannot go on; start a new "
            "training, which continues from the last model."
        )
    minutes, iterations = request.minutes, request.iterations
    if minutes is None and iterations is None:
        minutes, iterations = config.minutes, config.iterations
    notes, left_out = _device_notes(request), dict[str, str]()
    usable = _usable(study, notes, left_out)
    cases = yield from _prepared(study, plan, usable, notes, left_out, control)
    method = build_method(config.method, plan)
    checkpoint = folder.checkpoints.load() if folder.checkpoints.iterations else None
    if checkpoint is None:
        torch.manual_seed(config.seed)
        method = build_method(config.method, plan)
    elif not _fits(method, checkpoint):
        raise TrainingError(
            f"Run {folder.run} was made by another version and cannot go on; start a new training."
        )
    elif checkpoint.damaged:
        notes.append(
            f"The newest checkpoint is damaged; the training goes on from step {checkpoint.iteration}."
        )
    holdout = config.holdout.with_siblings(cases)
    if holdout != config.holdout:
        config = config.model_copy(update={"holdout": holdout})
    seen = {case.case for case in cases if holdout.training_target(case) is not None}
    if not seen <= set(config.trained_on):
        config = config.model_copy(update={"trained_on": tuple(sorted(seen | set(config.trained_on)))})
        folder.write(config, plan)
    budget = Budget(minutes, iterations)
    return Prepared(folder, config, plan, machine.device, budget, method, cases, checkpoint, notes, left_out)


def _check_agreement(request: Request, run: str, config: RunConfig, plan: Plan) -> None:
    """Refuse to go on with a run in another way than it began."""
    wishes = dict(request.overrides)
    if "patch_size" in wishes and all(np.asarray(wishes["patch_size"]) >= plan.patch_size):
        del wishes["patch_size"]  # memory ran out on the way, see Trainer
    differs = [
        f"{name} {was}, not {wish}"
        for name, wish, was in (
            ("method", request.method, config.method),
            ("seed", request.seed, config.seed),
        )
        if wish is not None and wish != was
    ]
    changed, now = change_plan(plan, wishes).model_dump(), plan.model_dump()
    differs += [f"{name} {now[name]}, not {changed[name]}" for name in changed if changed[name] != now[name]]
    if differs:
        raise TrainingError(
            f"Run {run} goes on as it began, with {' and with '.join(differs)}. Leave these settings out, or "
            "start a new training."
        )


def _fits(method: Method, checkpoint: Checkpoint) -> bool:
    own, saved = method.state_dict(), checkpoint.part("method")
    return own.keys() == saved.keys() and all(own[key].shape == saved[key].shape for key in own)


def _device_notes(request: Request) -> list[str]:
    if request.device != "auto" or not torch.cuda.is_available() or not card_fault():
        return []
    return [f"The graphics card is not used, because this PyTorch cannot work with it: {card_fault()}."]


def _usable(study: Study, notes: list[str], left_out: dict[str, str]) -> list[str]:
    """Cases without a fatal problem.

    Raises
    ------
    TrainingError
        When a problem concerns the whole study, or no usable case has a label.
    """
    for problem in study.preflight():
        if problem.fatal and problem.case is not None:
            left_out.setdefault(problem.case, problem.message)
        if problem.fatal and problem.case is None:
            raise TrainingError(_with_reasons(problem.message, left_out))
        notes.append(problem.message)
    if not study.cases:
        raise TrainingError("This study has no scans yet; add at least one scan.")
    usable = [record.id for record in study.cases if record.id not in left_out]
    if not any(record.known_fraction > 0 for record in study.cases if record.id in usable):
        raise TrainingError(_with_reasons(NOTHING_TO_LEARN, left_out))
    return usable


def _with_reasons(message: str, left_out: Mapping[str, str]) -> str:
    """What is missing, and of each scan that was left out why."""
    reasons = list(left_out.values())
    more = [f"So it is with {len(reasons) - MOST_REASONS} more."] if len(reasons) > MOST_REASONS else []
    return " ".join([message, *reasons[:MOST_REASONS], *more])


def _prepared(
    study: Study,
    plan: Plan,
    usable: Sequence[str],
    notes: list[str],
    left_out: dict[str, str],
    control: Control,
) -> Generator[ScanPreparation, None, list[PreparedCase]]:
    store, cases = CaseStore(study, plan), list[PreparedCase]()
    for done, case in enumerate(usable):
        yield ScanPreparation(case, done, len(usable))
        control.raise_if_stopped()
        try:
            cases.append(store.prepare(case))
        except (DyconError, MemoryError) as error:
            left_out[case] = str(error) or "There is not enough memory for it."
            notes.append(f"{case} was left out of the training: {left_out[case]}")
            continue
        notes.extend(cases[-1].notes)
    if not any(case.target is not None and bool((case.target < IGNORE).any()) for case in cases):
        raise TrainingError(_with_reasons(NOTHING_TO_LEARN, left_out))
    return cases


def _earlier(study: Study, request: Request, notes: list[str]) -> RunFolder | None:
    """The active run as a start, when it can be read."""
    run = study.active_run
    if not request.warm_start or run is None:
        return None
    folder = RunFolder(study, run)
    try:
        folder.method()
    except TrainingError as error:
        notes.append(f"The training starts anew, because the last model cannot be used: {error}")
        return None
    return folder


def _remarks(cases: Sequence[PreparedCase], method: Method, plan: Plan) -> list[str]:
    labelled = sum(case.target is not None for case in cases)
    notes = []
    if labelled == 1:
        notes.append(
            "Training from 1 labelled case: the quality on other cases cannot be estimated; "
            "3 or more are advised."
        )
    if method.learns_from_unlabelled and not any(_has_unknown(case) for case in cases):
        notes.append("There are no unlabelled scans: training goes without the unlabelled part.")
    names = dict(zip(plan.structure_values, plan.structure_names, strict=True))
    if single := ", ".join(names[value] for value in plan.single):
        notes.append(
            f"One piece in every labelled scan: {single}. Of what is predicted of it, only the largest piece "
            "is kept; a scan labelled with two pieces ends that."
        )
    return notes


def _has_unknown(case: PreparedCase) -> bool:
    return case.target is None or bool((case.target == UNKNOWN).any())
