"""From a request to a bundle that can be trained without the study; all refusals happen here."""

import contextlib
from collections.abc import Generator, Mapping, Sequence

import numpy as np
import torch

import napari_dycon
from napari_dycon.engine.budget import Budget
from napari_dycon.engine.bundle import Bundle, BundledCase, Contents, Until, drop_abandoned
from napari_dycon.engine.control import Control
from napari_dycon.engine.device import card_fault, configure_threads
from napari_dycon.engine.events import ScanPreparation
from napari_dycon.engine.fingerprint import fingerprint_study
from napari_dycon.engine.holdout import HoldOut, choose_holdout, has_known
from napari_dycon.engine.plan import Machine, Plan, change_plan, make_plan
from napari_dycon.engine.prepared import PreparedCase
from napari_dycon.engine.recorder import reached_its_end
from napari_dycon.engine.request import Request
from napari_dycon.engine.runners.elsewhere.away import read_away, refuse_away
from napari_dycon.engine.runs import RunConfig, RunFolder, build_method, with_new_labels
from napari_dycon.engine.start import has_unknown
from napari_dycon.engine.store import CaseStore, slices_complete
from napari_dycon.engine.warmstart import adopt_plan, new_structures, same_network
from napari_dycon.errors import DyconError, TrainingError
from napari_dycon.learning.methods.base import get_method
from napari_dycon.study.store.structures import read_notes
from napari_dycon.study.store.studyfile import read_record
from napari_dycon.study.study import Study

MOST_REASONS = 8
DEFAULT_METHOD = "dycon"
NOTHING_TO_LEARN = "Nothing to learn from yet: no case has a label. Paint at least one structure in one case."

Preparation = Generator[ScanPreparation, None, Bundle]


def prepare(study: Study, request: Request, control: Control, machine: Machine | None = None) -> Preparation:
    """Check everything, prepare the scans and register the run.

    The study may be open only to read: whoever holds it can go on labelling. What is prepared is the state of
    its annotations at the moment in which each is read.

    Parameters
    ----------
    study, request, control
        What is to be trained, how, and the brake.
    machine
        What the plan must fit into; this computer by default.

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
    configure_threads(request.threads)
    machine = machine or Machine.detect(request.device)
    drop_abandoned(map(study.run_dir, study.runs()))
    begin = _resume if request.resume else _start_anew
    return (yield from begin(study, request, machine, control))


def latest_unfinished(study: Study) -> str:
    """The newest run that has a checkpoint, or is away, and has not used its whole budget.

    Raises
    ------
    TrainingError
        When there is none.
    """
    for run in reversed(study.runs()):
        folder = RunFolder(study.run_dir(run))
        begun = folder.checkpoints.iterations or read_away(folder.path) is not None
        if begun and not reached_its_end(folder.path):
            return run
    raise TrainingError(
        "There is no unfinished training in this study to go on with. Start a new one: it continues from the "
        "last model."
    )


def _start_anew(study: Study, request: Request, machine: Machine, control: Control) -> Preparation:
    Budget(request.minutes, request.iterations, request.open_ended)
    name, seed = request.method or DEFAULT_METHOD, request.seed or 0
    networks = get_method(name).networks_at_once(request.overrides.get("method_settings") or {})
    notes, left_out = _device_notes(request), dict[str, str]()
    usable = _usable(study, notes, left_out)
    earlier = _earlier(study, request, notes)
    plan = make_plan(fingerprint_study(study, usable, control), machine, networks=networks)
    if earlier is not None:
        plan = adopt_plan(plan, earlier.plan())
    plan = change_plan(plan, request.overrides)
    store = CaseStore(study, plan, in_memory=False)
    cases = yield from _prepare_cases(study, store, usable, notes, left_out, control)
    build_method(name, plan)
    before = _config_to_continue(plan, earlier, notes)
    if request.begin_with and before is None:
        raise TrainingError(
            "The training cannot begin with that model, because the settings ask for another network or grid."
        )
    seen = set(before.trained_on) if before else set()
    holdout = HoldOut()
    if request.holdout:
        holdout = choose_holdout(cases, seed, before.holdout if before else None, seen)
        if holdout.empty:
            notes.append("Too little is labelled to keep some aside, so the quality cannot be measured yet.")
    config = RunConfig(
        method=name,
        seed=seed,
        minutes=request.minutes,
        iterations=request.iterations,
        open_ended=request.open_ended,
        overrides=request.overrides,
        continued_from=earlier.run if earlier is not None and before is not None else None,
        holdout=holdout,
        trained_on=tuple(sorted(seen | {c.case for c in cases if holdout.training_target(c) is not None})),
        version=napari_dycon.__version__,
    )
    notes += _remarks(cases, get_method(name).learns_from_unlabelled, plan)
    for case in cases:
        case.let_go()
    bundle = Bundle(study.run_dir(request.run_id or study.new_run(name)))
    with bundle.run.fill():
        bundle.run.write(config, plan)
        bundle.clear()
        if earlier is not None and before is not None:
            bundle.begin_with(earlier)
        contents = Contents(
            request=request,
            device=machine.device,
            minutes=request.minutes,
            iterations=request.iterations,
            open_ended=request.open_ended,
            cases=_bundle_cases(study, bundle, store, cases),
            notes=tuple(notes),
            left_out=left_out,
        )
        bundle.write(contents)
    return bundle


def _config_to_continue(plan: Plan, earlier: RunFolder | None, notes: list[str]) -> RunConfig | None:
    """How the earlier run was made that the new one continues, where it can."""
    if earlier is None:
        return None
    earlier_plan = earlier.plan()
    same_grid = (plan.spacing, plan.intensities) == (earlier_plan.spacing, earlier_plan.intensities)
    if not same_grid or not same_network(plan, earlier_plan):
        notes.append("The training starts anew, because the plan asks for another network or grid.")
        return None
    notes += [
        f"'{name}' was added: the model keeps what it knows and learns the new structure from now."
        for name in new_structures(plan, earlier_plan)
    ]
    return earlier.config()


def _resume(study: Study, request: Request, machine: Machine, control: Control) -> Preparation:
    bundle = Bundle(study.run_dir(request.run_id or latest_unfinished(study)))
    folder = bundle.run
    refuse_away(folder.path)
    config, plan = folder.config(), folder.plan()
    _check_agreement(request, folder.run, config, plan)
    if tuple(structure.value for structure in study.structures) != plan.structure_values:
        raise TrainingError(
            f"Structures were changed since run {folder.run} began, so it cannot go on; start a new "
            "training, which continues from the last model."
        )
    budget = _budget_to_go_on(request, config)
    notes, left_out = _device_notes(request), dict[str, str]()
    with folder.lock():
        usable = _usable(study, notes, left_out)
        store = CaseStore(study, plan, in_memory=False)
        cases = yield from _prepare_cases(study, store, usable, notes, left_out, control)
        folder.write(with_new_labels(config, cases), plan)
        left = _contents_left(bundle)
        bundle.clear()
        new = _bundle_cases(study, bundle, store, cases)
        before = _labels_before(folder, left, new)
        if left is not None and len(before) > len(left.before):
            others = ", ".join(case.case for case in before[-1].cases)
            notes.append(f"Labels have changed since run {folder.run} was left, and join now: {others}.")
        contents = Contents(
            request=request,
            device=machine.device,
            minutes=budget.minutes,
            iterations=budget.iterations,
            open_ended=budget.open_ended,
            cases=new,
            before=before,
            notes=tuple(notes),
            left_out=left_out,
        )
        bundle.write(contents)
    return bundle


def _budget_to_go_on(request: Request, config: RunConfig) -> Budget:
    """That of the request, or of the run where it says nothing; a run without an end may be given one."""
    given = request.minutes is not None or request.iterations is not None
    if not given:
        return Budget(config.minutes, config.iterations, config.open_ended or request.open_ended)
    return Budget(request.minutes, request.iterations, request.open_ended)


def _contents_left(bundle: Bundle) -> Contents | None:
    """What the run was trained on when it was left, where that can be read."""
    with contextlib.suppress(TrainingError):
        return bundle.contents()
    return None


def _labels_before(folder: RunFolder, left: Contents | None, new: Sequence[BundledCase]) -> tuple[Until, ...]:
    """What was learned from earlier, with cases whose labels have changed since the run was left."""
    if left is None:
        return ()
    now = {case.case: case for case in new}
    others = tuple(
        case for case in left.cases if case.case not in now or not case.same_labels(now[case.case])
    )
    iteration = max(folder.checkpoints.iterations, default=0)
    return (*left.before, Until(iteration=iteration, cases=others)) if others else left.before


def _bundle_cases(
    study: Study, bundle: Bundle, store: CaseStore, cases: Sequence[PreparedCase]
) -> tuple[BundledCase, ...]:
    return tuple(
        bundle.add(case, store.files(case.case), slices_complete(study, case.case)) for case in cases
    )


def _check_agreement(request: Request, run: str, config: RunConfig, plan: Plan) -> None:
    """Refuse to go on with a run in another way than it began."""
    wishes = dict(request.overrides)
    if "patch_size" in wishes and all(np.asarray(wishes["patch_size"]) >= plan.patch_size):
        del wishes["patch_size"]  # memory ran out on the way, see the loop
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


def _prepare_cases(
    study: Study,
    store: CaseStore,
    usable: Sequence[str],
    notes: list[str],
    left_out: dict[str, str],
    control: Control,
) -> Generator[ScanPreparation, None, list[PreparedCase]]:
    _check_structures(study)
    cases = list[PreparedCase]()
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
        cases[-1].let_go()
    _check_structures(study)
    if not any(case.target is not None and has_known(case.target) for case in cases):
        raise TrainingError(_with_reasons(NOTHING_TO_LEARN, left_out))
    return cases


def _check_structures(study: Study) -> None:
    """Refuse annotations of which some have the structures of before a change and some those of after it."""
    if not study.read_only:
        return
    now = {structure.value for structure in read_record(study.path)[0].structures}
    if now != {structure.value for structure in study.structures} or any(
        not note.done for note in read_notes(study.path)
    ):
        raise TrainingError(
            "The structures of this study are being changed by the program that has it open; train when that "
            "is done."
        )


def _earlier(study: Study, request: Request, notes: list[str]) -> RunFolder | None:
    """The active run as a start, when it can be read, or the one that was asked for.

    Raises
    ------
    TrainingError
        When the latter cannot.
    """
    run = request.begin_with or study.active_run
    if not (request.warm_start or request.begin_with) or run is None:
        return None
    folder = RunFolder(study.run_dir(run))
    try:
        folder.method()
    except TrainingError as error:
        if request.begin_with:
            raise
        notes.append(f"The training starts anew, because the last model cannot be used: {error}")
        return None
    return folder


def _remarks(cases: Sequence[PreparedCase], unlabelled: bool, plan: Plan) -> list[str]:
    labelled = sum(case.target is not None for case in cases)
    notes = []
    if labelled == 1:
        notes.append(
            "Training from 1 labelled case: the quality on other cases cannot be estimated; "
            "3 or more are advised."
        )
    if unlabelled and not any(has_unknown(case) for case in cases):
        notes.append("There are no unlabelled scans: training goes without the unlabelled part.")
    names = dict(zip(plan.structure_values, plan.structure_names, strict=True))
    if single := ", ".join(names[value] for value in plan.single):
        notes.append(
            f"One piece in every labelled scan: {single}. Of what is predicted of it, only the largest piece "
            "is kept; a scan labelled with two pieces ends that."
        )
    notes += [
        f"Of what is predicted of '{names[value]}', pieces below {volume:.3g} mm³ are not kept: the smallest "
        "labelled one is four times as large."
        for value, volume in plan.specks.items()
    ]
    notes += [
        f"One piece together in every labelled scan: {', '.join(names[value] for value in group)}. Of what "
        "is predicted of them, only the largest such piece is kept; a scan labelled with two ends that."
        for group in plan.joint
    ]
    return notes
