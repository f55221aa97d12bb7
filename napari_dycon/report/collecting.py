"""What a study has to say about itself, from its files; of what is not recorded, that is said."""

import json
import platform
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from statistics import fmean, median

from napari_dycon import __version__
from napari_dycon.engine.agreement import compare as compare_readers
from napari_dycon.engine.comparison import read_comparison
from napari_dycon.engine.plan import Plan
from napari_dycon.engine.readiness import Quality, read_quality
from napari_dycon.engine.runs import RunConfig, RunFolder
from napari_dycon.errors import DyconError
from napari_dycon.guidance.brought import Arm, area, compare
from napari_dycon.guidance.quality import ENOUGH, LEAVE_DICE, USUAL_SHARE, Checks, check_all
from napari_dycon.guidance.stopping import stopping
from napari_dycon.learning.catalogue import method_titles
from napari_dycon.report.sheet import Section, Sheet, Table
from napari_dycon.study.exchange.readers import Readings, readers
from napari_dycon.study.store.files import now
from napari_dycon.study.store.place_log import SKIPPED, read_places
from napari_dycon.study.store.schema import CaseRecord
from napari_dycon.study.study import Study

MOST_RUNS = 6
PACKAGES = ("torch", "monai", "lightning-fabric", "numpy", "scipy", "nibabel", "napari")
REFERENCES = (
    "Method: M. Assefa et al., DyCON: Dynamic Uncertainty-aware Consistency and Contrastive Learning for "
    "Semi-supervised Medical Image Segmentation, CVPR 2025 (what differs: docs/explanation/differences.md). "
    "Expected Dice: B. Borges, B. Pacheco, D. Silva, Soft Dice Confidence, arXiv:2402.10665. Ranges: split "
    "conformal prediction, J. Lei et al., JASA 2018. Temperature: C. Guo et al., ICML 2017."
)


@dataclass(frozen=True)
class _Run:
    """What a run's folder says; parts that cannot be read are None."""

    id: str
    config: RunConfig | None
    plan: Plan | None
    quality: Quality | None
    device: str
    end: Mapping[str, object]

    @property
    def method(self) -> str:
        return "?" if self.config is None else self.config.method

    @property
    def iterations(self) -> str:
        return str(self.end.get("iteration", "–"))

    @property
    def minutes(self) -> str:
        seconds = self.end.get("seconds")
        return f"{seconds / 60:.1f}" if isinstance(seconds, int | float) else "–"

    @property
    def dice(self) -> float | None:
        found = self.end.get("final_dice")
        return found if isinstance(found, float) else None


def collect(study: Study) -> Sheet:
    """Put the page together."""
    runs = [_read(study, run) for run in study.runs()[-MOST_RUNS:]]
    active = next((run for run in runs if run.id == study.active_run), None)
    if active is None and study.active_run is not None:
        active = _read(study, study.active_run)
    checks = check_all(study, study.active_run)
    sections = (
        Section("In short", tuple(_in_short(study, active))),
        _labels(study),
        _held_out(runs, active),
        _expected_section(study, active, checks),
        _control(study, runs),
        _suggestions(study, checks),
        _settings(active),
        _versions(active),
    )
    name = study.record.name
    made = now().replace("T", " ").split("+")[0]
    subtitle = f"Made by napari-dycon {__version__} on {made} UTC from what the study folder records."
    return Sheet(f"Methods sheet: {name}", subtitle, sections)


# ---- in short --------------------------------------------------------------------------------


def _in_short(study: Study, run: _Run | None) -> Iterator[str]:
    cases, names = study.cases, [structure.name for structure in study.structures]
    patients = len({case.patient for case in cases})
    counts = {status: sum(case.status == status for case in cases) for status in STATUSES}
    yield (
        f"{_count(len(cases), 'scan')} of {_count(patients, 'patient')}{_grid(cases)}. Segmented: "
        f"{', '.join(names)}. Of the scans {counts['complete']} are labelled completely, "
        f"{counts['partial']} in part, {counts['unlabelled']} not at all."
    )
    if run is None:
        yield "No model has been trained yet."
    elif run.config is not None and run.plan is not None:
        yield _training_words(study, run, run.config, run.plan)


STATUSES = ("complete", "partial", "unlabelled")


def _grid(cases: Sequence[CaseRecord]) -> str:
    if not cases:
        return ""
    shapes = " x ".join(f"{median(case.shape[axis] for case in cases):.0f}" for axis in range(3))
    spacings = " x ".join(f"{median(case.spacing[axis] for case in cases):.3g}" for axis in range(3))
    return f" (median {shapes} voxels of {spacings} mm)"


def _training_words(study: Study, run: _Run, config: RunConfig, plan: Plan) -> str:
    learned = len(set(config.trained_on))
    others = len(study.cases) - learned
    title = method_titles().get(config.method, config.method)
    unlabelled = (
        f" and, without labels, from up to {_count(others, 'other scan')}" if _uses_others(plan) else ""
    )
    start = f", continuing from run {config.continued_from}" if config.continued_from else ""
    views = len(plan.views)
    mean = f", the mean over {views} mirrored views" if views > 1 else ""
    return (
        f"The present model (run {run.id}; {title}) learned from labels of {_count(learned, 'scan')}"
        f"{unlabelled}, in {run.iterations} iterations and {run.minutes} min on {run.device}{start}. "
        f"Network: {plan.network.kind} with {'/'.join(map(str, plan.network.widths))} channels at "
        f"{_sizes(plan.spacing)} mm, patches of {_sizes(plan.patch_size)} voxels. Predictions are made with "
        f"overlapping windows{mean}{_pieces(plan)}."
    )


def _uses_others(plan: Plan) -> bool:
    return plan.batch_unlabelled > 0


def _pieces(plan: Plan) -> str:
    names = dict(zip(plan.structure_values, plan.structure_names, strict=True))
    kept = [names[value] for value in plan.single if value in names]
    return f"; of {', '.join(kept)} the largest piece is kept" if kept else ""


# ---- labels ----------------------------------------------------------------------------------


def _labels(study: Study) -> Section:
    labelled = [case for case in study.cases if case.known_fraction > 0]
    shares, reasons, unread = _known_shares(study, labelled)
    sentences = []
    if shares:
        told = ", ".join(f"{_percent(share)} {how}" for how, share in shares.items() if share > 0)
        sentences.append(f"Of the labelled voxels, {told}.")
    imported = reasons.count("import")
    if imported:
        sentences.append(f"The labels of {_count(imported, 'scan')} were imported from files.")
    seconds = [study.notebook.page(case.id).seconds for case in study.cases]
    worked = [second for second in seconds if second > 0]
    if worked:
        sentences.append(
            f"Time in the window: {sum(worked) / 3600:.1f} h over {_count(len(worked), 'scan')}, median "
            f"{median(worked) / 60:.1f} min (the clock stops a minute after the last move)."
        )
    if unread:
        sentences.append(f"Annotations of {_count(unread, 'scan')} cannot be read and are not counted here.")
    sentences += _by_whom(study, labelled)
    tables = (_structures(study), *_agreement(study))
    return Section("Labels: what, how, and by whom", tuple(sentences), tables)


def _by_whom(study: Study, labelled: Sequence[CaseRecord]) -> Iterator[str]:
    """Who drew the labels that count, and of how many scans they are a consensus."""
    drew, several = Counter[str](), Counter[tuple[str, ...]]()
    for case in labelled:
        with suppress(DyconError):
            for version in study.versions(case.id)[:1]:
                drew.update(version.consensus or version.readers or ("nobody who gave a name",))
                several.update([version.consensus] if version.consensus else [])
    if set(drew) <= {"nobody who gave a name"}:
        yield "Nobody who drew gave a name, so the study does not record who it was."
    else:
        told = (f"{_count(number, 'scan')} by {name}" for name, number in drew.most_common())
        yield f"Drawn or corrected: {', '.join(told)}."
    for names, number in several.most_common():
        yield f"Of {_count(number, 'scan')} the labels are, or began as, the consensus of {', '.join(names)}."


def _agreement(study: Study) -> Iterator[Table]:
    """How far readers agree on what two of them drew; nothing where no scan has two readers."""
    scores: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    if readers(study):
        with Readings(study) as readings:
            for case in study.cases:
                with suppress(DyconError):  # damaged labels, which the sentences above count
                    for row in compare_readers(study, case.id, readings.of(case.id)):
                        scores[row.structure, row.first, row.second].append(row.dice)
    rows = [
        (structure, f"{first} and {second}", str(len(dice)), f"{median(dice):.3f}", f"{min(dice):.3f}")
        for (structure, first, second), dice in scores.items()
    ]
    if rows:
        yield Table.of(("structure", "readers", "scans of both", "median Dice", "lowest"), rows)


def _known_shares(study: Study, cases: Sequence[CaseRecord]) -> tuple[dict[str, float], list[str], int]:
    """Shares of the labelled voxels by how they are known, reasons of first versions, cases unread."""
    sums = dict.fromkeys(HOW.values(), 0.0)
    reasons, unread = [], 0
    for case in cases:
        try:
            summary, versions = study.annotation_summary(case.id), study.versions(case.id)
        except DyconError:
            unread += 1
            continue
        voxels = float(case.shape[0] * case.shape[1] * case.shape[2])
        for name, words in HOW.items():
            sums[words] += voxels * getattr(summary, name)
        reasons.append(versions[-1].reason if versions else "")
    total = sum(sums.values())
    return ({words: value / total for words, value in sums.items()} if total else {}), reasons, unread


HOW = {
    "person": "were drawn, imported or declared background by a person",
    "accepted": "accepted from a prediction",
    "interpolated": "interpolated between drawn slices",
    "ignored": "marked as not to be learned from",
}


def _structures(study: Study) -> Table:
    run, rows = study.active_run, []
    summary = study.predictions.summary(run) if run else {}
    for structure in study.structures:
        drawn = [case for case in study.cases if case.label_voxels.get(structure.value, 0)]
        whole = [case.volumes_ml.get(structure.name, 0.0) for case in drawn if case.status == "complete"]
        found = [row.get("volumes_ml", {}).get(structure.name) for row in summary.values()]
        there = [volume for volume in found if volume]
        cells = (f"{len(drawn)}", _middle(whole), f"{len(there)}", _middle(there))
        rows.append((structure.name, str(structure.value), *cells))
    head = ("structure", "value", "scans with it drawn", "median ml, complete", "predicted in", "median ml")
    return Table.of(head, rows)


# ---- quality ---------------------------------------------------------------------------------


def _held_out(runs: Sequence[_Run], active: _Run | None) -> Section:
    if not runs:
        return Section("Held-out quality", ("Nothing has been trained yet.",))
    sentences = []
    quality = None if active is None else active.quality
    if quality is not None and quality.held_out and quality.dice:
        each = ", ".join(f"{name} {dice:.3f}" for name, dice in (quality.dice | quality.wholes).items())
        sentences.append(f"Dice of the present model on {quality.where}: {each}.")
    elif active is not None:
        sentences.append("No labels were held out from the present model, so its quality is not measured.")
    slices = active is not None and active.config is not None and bool(active.config.holdout.slices)
    if slices:
        sentences.append(
            "Held-out slices are of scans that training saw otherwise: new scans do less well. Only held-out "
            "patients, from eight complete scans on, show what new scans would."
        )
    rows = [
        (
            run.id,
            "–" if run.config is None else (run.config.continued_from or "–"),
            run.iterations,
            run.minutes,
            run.device,
            "–" if run.config is None else str(len(run.config.trained_on)),
            "nothing" if run.config is None else run.config.holdout.where or "nothing",
            "–" if run.dice is None else f"{run.dice:.3f}",
        )
        for run in runs
    ]
    head = ("run", "from", "iterations", "min", "device", "scans learned", "held out", "Dice there")
    return Section("Held-out quality, by run", tuple(sentences), (Table.of(head, rows),))


def _expected_section(study: Study, run: _Run | None, checks: Checks) -> Section:
    title = "Expected quality of what nobody has read"
    if run is None:
        return Section(title, ("Nothing has been predicted yet.",))
    summary = study.predictions.summary(run.id)
    unread = [
        summary[case.id].get("expected_dice", {})
        for case in study.cases
        if case.status != "complete" and case.id in summary
    ]
    rows = [_outlook_row(structure.name, unread, checks) for structure in study.structures]
    patients = max((checks.patients(structure.name) for structure in study.structures), default=0)
    leave = sum(checks.may_leave(row) for row in unread)
    basis = (
        "Each complete case that the model had not learned from, drawn without accepting, checks what the "
        f"model expects of itself: {_count(patients, 'patient')} so far. The mean offset of n patients "
        "counts n/(n+4); ranges are by split conformal prediction and hold for cases like the checked ones."
    )
    verdict = f"{patients} of {ENOUGH} checked: what is expected is a guess until then."
    if patients >= ENOUGH:
        verdict = (
            f"{leave} of {_count(len(unread), 'unread case')} may be left: their 90 % range lies above a "
            f"Dice of {LEAVE_DICE:g} in every structure."
        )
    sentences = (basis, verdict)
    head = (
        "structure",
        "patients checked",
        "Dice reached there, mean",
        "unread cases",
        "Dice expected, mean",
        f"{100 * USUAL_SHARE:.0f} % range, mean",
    )
    return Section(title, sentences, (Table.of(head, rows),))


def _outlook_row(
    structure: str, unread: Sequence[Mapping[str, float | None]], checks: Checks
) -> tuple[str, ...]:
    expected = [value for row in unread if (value := row.get(structure)) is not None]
    outlooks = [checks.outlook(structure, value) for value in expected]
    ranges = [outlook.ranges[USUAL_SHARE] for outlook in outlooks if USUAL_SHARE in outlook.ranges]
    reached = [check.dice for check in checks.of(structure)]
    return (
        structure,
        str(checks.patients(structure)),
        f"{fmean(reached):.3f}" if reached else "–",
        str(len(expected)),
        f"{fmean(outlook.dice for outlook in outlooks):.3f}" if outlooks else "–",
        f"{fmean(low for low, _ in ranges):.2f} to {fmean(high for _, high in ranges):.2f}"
        if ranges
        else "–",
    )


def _control(study: Study, runs: Sequence[_Run]) -> Section:
    found = [read_comparison(study.run_dir(run.id)) for run in runs]
    told = [comparison for comparison in found if comparison is not None]
    if told:
        return Section("Control: what the unlabelled scans brought", tuple(c.text for c in told[-2:]))
    text = (
        "No supervised control was trained, so it is not known what the unlabelled scans brought "
        "(tick Control before Train, or dycon train --control)."
    )
    return Section("Control: what the unlabelled scans brought", (text,))


def _suggestions(study: Study, checks: Checks) -> Section:
    log = read_places(study.path)
    title = "What suggestions brought"
    if not log.entries:
        return Section(title, ("No suggested place has been done or skipped yet.", *log.notes))
    brought, signs = compare(log.entries), stopping(study, log.entries, checks)
    outcomes = [entry.outcome for entry in log.entries]
    skipped = outcomes.count(SKIPPED)
    visits = (
        f"Of the visits to suggested places, {len(outcomes) - skipped} led to work there, {skipped} were "
        "skipped. A share of the places is suggested by chance, to tell what choosing brings."
    )
    sentences = [
        visits,
        *filter(None, (brought.sentence, brought.details)),
        f"{signs.sentence or 'It is not known that labelling may stop:'} {signs.details}.",
        *log.notes,
    ]
    rows = [_arm_row("chosen", brought.chosen), _arm_row("random", brought.random)]
    head = ("places", "slices", "mm² mended, mean", "95 % interval", "s a slice", "mm² a minute")
    return Section(title, tuple(sentences), (Table.of(head, rows),))


def _arm_row(kind: str, arm: Arm) -> tuple[str, ...]:
    if not arm.places:
        return kind, "0", *("–",) * 4
    return (
        kind,
        str(arm.places),
        area(arm.mended_mm2),
        f"{area(arm.low)} to {area(arm.high)}",
        "–" if arm.seconds is None else f"{arm.seconds:.0f}",
        "–" if arm.mended_mm2_a_minute is None else area(arm.mended_mm2_a_minute),
    )


# ---- settings and versions -------------------------------------------------------------------


def _settings(run: _Run | None) -> Section:
    if run is None or run.plan is None or run.config is None:
        return Section("Settings", ("There is no readable plan.",))
    plan, config = run.plan, run.config
    budget = f"{config.minutes:g} min" if config.minutes else f"{config.iterations} iterations"
    budget = "until stopped" if config.open_ended else budget
    temperature = run.quality.temperature if run.quality else None
    rows = [
        ("budget, seed", f"{budget}, {config.seed}"),
        ("batch", f"{plan.batch_labelled} labelled, {plan.batch_unlabelled} unlabelled patches"),
        ("optimiser", f"{plan.optimiser}, rate {plan.learning_rate:g}, weight decay {plan.weight_decay:g}"),
        ("precision", plan.precision),
        ("foreground patches", _percent(plan.foreground_share)),
        ("intensities", _fields(plan.intensity.model_dump())),
        *((f"intensities, {c.name}", _fields(c.intensity.model_dump())) for c in plan.further),
        ("temperature", "1 (none fitted)" if temperature is None else f"{temperature:.2f}"),
        ("method settings", _fields(plan.method_settings) or "as by default"),
    ]
    return Section("Settings of the present model", (), (Table.of(("setting", "value"), rows),))


def _versions(run: _Run | None) -> Section:
    trained = (
        "" if run is None or run.config is None else f" The model was trained with {run.config.version}."
    )
    found = ", ".join(f"{name} {version}" for name in PACKAGES if (version := _version(name)))
    system = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    return Section(
        "Versions and references", (f"napari-dycon {__version__}, {system}; {found}.{trained}", REFERENCES)
    )


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


# ---- reading and words -----------------------------------------------------------------------


def _read(study: Study, run: str) -> _Run:
    folder = RunFolder(study.run_dir(run))
    config = plan = quality = None
    with suppress(DyconError):  # the page says "?" of what cannot be read
        config, plan = folder.config(), folder.plan()
        quality = next(
            (q for i in folder.checkpoints.iterations[:1] if (q := read_quality(folder.path, i))), None
        )
    device, end = "?", dict[str, object]()
    for event in _events(folder):
        if event.get("event") == "RunStarted":
            device = str(event.get("device", "?"))
        elif event.get("event") == "RunFinished":
            end = event
    return _Run(run, config, plan, quality, device, end)


def _events(folder: RunFolder) -> Iterator[dict[str, object]]:
    """First and last events of a run; steps are passed over, and lines that cannot be read."""
    path = folder.path / "events.jsonl"
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if '"RunStarted"' in line or '"RunFinished"' in line:
                try:
                    event = json.loads(line)
                except ValueError:
                    continue
                if isinstance(event, dict):
                    yield event


def _count(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number} {noun}s"


def _percent(share: float) -> str:
    return "<1 %" if 0 < share < 0.01 else f"{100 * share:.0f} %"


def _sizes(values: Sequence[float]) -> str:
    return " x ".join(f"{value:.3g}" for value in values)


def _middle(values: Sequence[float]) -> str:
    return f"{median(values):.3g}" if values else "–"


def _fields(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in values.items())


def _plain(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
