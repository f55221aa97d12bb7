"""The background jobs of a session, each a function of the control that returns a generator of events.

The engine is imported inside the generators, that is in the background thread: torch takes seconds to
load, and napari must not wait for it.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from napari_dycon.engine.comparison import train_with_control
from napari_dycon.engine.control import Control
from napari_dycon.engine.events import Event, Note, ScanPreparation
from napari_dycon.engine.processor import available_cores, likely_device
from napari_dycon.engine.request import Request
from napari_dycon.engine.runners.apart import train_apart
from napari_dycon.engine.runners.elsewhere.away import read_away
from napari_dycon.engine.runners.elsewhere.machines import NamedMachine
from napari_dycon.errors import StudyError
from napari_dycon.guidance.suggestions import CaseLooked, Suggestion
from napari_dycon.io.regridding import on_the_grid_of
from napari_dycon.learning.catalogue import method_titles
from napari_dycon.plugin.background.curves import Curves
from napari_dycon.plugin.background.warm_up import warm_up
from napari_dycon.plugin.background.worker import E, EventSource
from napari_dycon.plugin.layers.open_case import SHADES, OpenCase, Picture
from napari_dycon.study.exchange.channels import Endings, proposed_endings
from napari_dycon.study.exchange.exporting import CaseExported, Exported, ExportRequest, export
from napari_dycon.study.exchange.frames import Volumes
from napari_dycon.study.exchange.importing import (
    CollectingScans,
    ImportEvent,
    add_labels,
    add_scans,
    explain_labels,
)
from napari_dycon.study.exchange.label_values import Foreign, Key
from napari_dycon.study.exchange.listing import Listed, list_scans
from napari_dycon.study.exchange.searching import SearchEnded, Sought, find_again
from napari_dycon.study.store.lock import RunLock
from napari_dycon.study.store.runs import ENTROPY
from napari_dycon.study.study import Study
from napari_dycon.study.truth.editing import AnnotationEditor
from napari_dycon.study.truth.pieces import sources


@dataclass(frozen=True, slots=True)
class PredictionLoaded:
    """The latest prediction of a case; uint8 ``(x, y, z)`` in source order, or None.

    The entropy is 0 to `SHADES`, for 0 to 1.
    """

    case_id: str
    prediction: np.ndarray | None
    entropy: np.ndarray | None


@dataclass(frozen=True, slots=True)
class MapsLoaded:
    """The maps beside the latest prediction of a case, without the entropy; 0 to `SHADES`, for 0 to 1."""

    case_id: str
    maps: dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Edited:
    """The annotation of a case was changed in the background."""

    case_id: str


@dataclass(frozen=True, slots=True)
class Searching:
    """The search for places to look at has begun."""


@dataclass(frozen=True, slots=True)
class SuggestionsReady:
    """Where to look next, best first."""

    suggestions: tuple[Suggestion, ...]


@dataclass(frozen=True, slots=True)
class EngineReady:
    """What this installation can train with: ``(name, title)`` of each method and the device in use."""

    methods: tuple[tuple[str, str], ...]
    device: str


@dataclass(frozen=True, slots=True)
class RunRead:
    """The newest run as its record tells it.

    ``interrupted`` runs ended without saying so, in a crash, and can go on from a checkpoint; one that is
    ``away`` goes on there.
    """

    run: str
    curves: Curves
    interrupted: bool
    away: NamedMachine | None = None


@dataclass(frozen=True, slots=True)
class ControlFinished:
    """A run and its supervised control were compared; what the unlabelled scans brought, in words."""

    text: str


@dataclass(frozen=True, slots=True)
class ReportWritten:
    """The files of the methods sheet."""

    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class StudyMade:
    """A study made in the background, open."""

    study: Study


def training(
    study: Study,
    method: str,
    minutes: float | None,
    device: str,
    save_first: Callable[[], bool],
    resume: str | None = None,
    *,
    apart: bool = False,
    twin: bool = False,
    overrides: Mapping[str, Any] | None = None,
    machine: NamedMachine | None = None,
) -> EventSource[Event | ControlFinished]:
    """Train for ``minutes`` once everything painted is on disk, or bring the run ``resume`` to its end.

    Where neither is given, the training goes on until it is stopped and learns from what is saved meanwhile.
    With ``apart`` in a process of its own, which may end as it likes; with ``twin`` a supervised control as
    well, unless a run is resumed. ``overrides`` are fields of the plan that were set by hand. With a
    ``machine`` it is trained there, on the device that its own settings say.
    """

    def source(control: Control) -> Iterator[Event | ControlFinished]:
        save(save_first)
        yield ScanPreparation("", 0, len(study.cases))
        request = Request(
            method=method,
            minutes=minutes,
            open_ended=minutes is None and resume is None,
            device=device if machine is None else "auto",
            run_id=resume,
            resume=resume is not None,
            threads=spare_threads() if machine is None else None,
            overrides=dict(overrides or {}),
        )
        train = train_apart if apart else _train_here
        if machine is not None:
            train = partial(_train_elsewhere, machine)
        if not twin or resume is not None:
            yield from train(study, request, control)
            return
        comparison = yield from train_with_control(train, study, request, control)
        if comparison is not None:
            yield ControlFinished(comparison.text)

    return source


def _train_here(study: Study, request: Request, control: Control) -> Iterator[Event]:
    from napari_dycon.engine.runners.here import train_here

    return train_here(study, request, control)


def _train_elsewhere(
    machine: NamedMachine, study: Study, request: Request, control: Control
) -> Iterator[Event]:
    from napari_dycon.engine.runners.elsewhere.follow import train_elsewhere

    return train_elsewhere(study, request, control, machine)


def prediction(
    study: Study, run: str, case_ids: Sequence[str], device: str
) -> EventSource[Event | Searching | CaseLooked | SuggestionsReady]:
    """Predict ``case_ids`` in the given order with ``run``, then look for places worth annotating.

    A model that is not ready predicts nothing, and says so.
    """

    def source(control: Control) -> Iterator[Event | Searching | CaseLooked | SuggestionsReady]:
        from napari_dycon.engine.inference import predict
        from napari_dycon.guidance.candidates import note_candidates

        events = predict(
            study,
            run,
            list(case_ids),
            device=device,
            control=control,
            threads=spare_threads(),
            only_when_ready=True,
        )
        yield from note_candidates(study, run, events)
        if not control.stopped:
            yield from suggestions(study)(control)

    return source


def case_prediction(study: Study, run: str, case_id: str, device: str) -> EventSource[Event]:
    """Predict one case with ``run``, and no more."""

    def source(control: Control) -> Iterator[Event]:
        from napari_dycon.engine.inference import predict

        threads = spare_threads()
        yield from predict(
            study, run, [case_id], device=device, control=control, threads=threads, only_when_ready=True
        )

    return source


def suggestions(study: Study) -> EventSource[Searching | CaseLooked | Note | SuggestionsReady]:
    """Look for the places that are worth annotating next."""

    def source(control: Control) -> Iterator[Searching | CaseLooked | Note | SuggestionsReady]:
        from napari_dycon.guidance.suggestions import suggesting

        yield Searching()
        found = yield from suggesting(study, study.active_run, control=control)
        for case, reason in found.left_out.items():
            yield Note("warning", f"No suggestions for {case}: {reason}")
        if not control.stopped:
            yield SuggestionsReady(found.places)

    return source


@dataclass(frozen=True)
class ScansListed:
    """What an import of files and folders would find.

    Attributes
    ----------
    paths
        Where it was looked for.
    found
        Each scan.
    together
        Whether the study tells by itself which series are images of one case.
    labels
        Where the labels of the scans are, if anywhere.
    frames
        What the volumes of 4D files are, once a person has said so.
    """

    paths: tuple[Path, ...]
    found: tuple[Listed, ...]

    together: bool = False
    labels: Path | None = None
    frames: Volumes | None = None

    @property
    def volumes(self) -> dict[str, int]:
        """How many volumes each 4D file holds, by its name."""
        return {one.path.name: one.volumes for one in self.found if one.volumes}

    def with_volumes(self, frames: Volumes) -> "ScansListed":
        """Return what would be found now that a person has said what the volumes of 4D files are."""
        found = (_with_volumes(one, frames) if one.volumes else one for one in self.found)
        return replace(self, found=tuple(found), frames=frames)

    @property
    def has_choice(self) -> bool:
        """Whether there are series of DICOM among several scans, and no labels that say which are wanted."""
        return self.labels is None and len(self.found) > 1 and any(one.is_dicom for one in self.found)

    @property
    def endings(self) -> dict[str, str]:
        """What files of images of one case may end in, by channel; nothing where that is told already."""
        files = (
            one.path for one in self.found if not (one.is_dicom or one.volumes or one.verdict == "refused")
        )
        return {} if self.together else proposed_endings(files)


def _with_volumes(one: Listed, frames: Volumes) -> Listed:
    if frames == "out":
        return replace(one, verdict="refused", reason="left out")
    return replace(one, verdict="new", reason="", wanted=True)


def look_at_scans(
    study: Study, paths: Sequence[Path], labels: Path | None = None
) -> EventSource[CollectingScans | ScansListed]:
    """List the scans of files and folders with a picture of each series; nothing is added."""

    def source(control: Control) -> Iterator[CollectingScans | ScansListed]:
        yield CollectingScans()
        listed, found = list_scans(study, paths, labels, pictures=True), []
        while not control.stopped and (one := next(listed, None)) is not None:
            found.append(one)
        listed.close()
        if not control.stopped:
            yield ScansListed(tuple(paths), tuple(found), bool(study.record.endings), labels)

    return source


def import_scans(
    study: Study,
    paths: Sequence[Path],
    labels: Path | None,
    save_first: Callable[[], bool],
    only: Collection[str] | None = None,
    endings: Endings | None = None,
    frames: Volumes | None = None,
) -> EventSource[CollectingScans | ImportEvent]:
    """Add scans to the study, one event a file; what is painted already is saved before, and stays."""

    def source(control: Control) -> Iterator[CollectingScans | ImportEvent]:
        save(save_first)
        events = add_scans(study, list(paths), labels, endings, only, frames=frames)
        while not control.stopped and (event := next(events, None)) is not None:
            yield event

    return source


def find_scans(
    study: Study, folder: Path, save_first: Callable[[], bool]
) -> EventSource[Sought | SearchEnded]:
    """Look in ``folder`` for scans that are not where they were, one event a file."""

    def source(control: Control) -> Iterator[Sought | SearchEnded]:
        save(save_first)
        events = find_again(study, folder)
        while not control.stopped and (event := next(events, None)) is not None:
            yield event

    return source


def make_demo(folder: Path) -> EventSource[StudyMade]:
    """Make the phantom study in ``folder``."""

    def source(control: Control) -> Iterator[StudyMade]:
        del control
        from napari_dycon.study.exchange.phantom import make_phantom_study

        yield StudyMade(make_phantom_study(folder))

    return source


def pair_labels(
    study: Study, pairs: Sequence[tuple[Path, Path]], save_first: Callable[[], bool]
) -> EventSource[ImportEvent]:
    """Take over label maps that the person paired with scans, one event a scan."""

    def source(control: Control) -> Iterator[ImportEvent]:
        save(save_first)
        for event in add_labels(study, pairs):
            yield event
            if control.stopped:
                return

    return source


def explain_values(
    study: Study,
    foreign: Sequence[tuple[str, Foreign]],
    meant: Mapping[Key, int | str],
    save_first: Callable[[], bool],
) -> EventSource[ImportEvent]:
    """Take over labels whose values a person has explained, one event a case."""

    def source(control: Control) -> Iterator[ImportEvent]:
        save(save_first)
        for event in explain_labels(study, foreign, meant):
            yield event
            if control.stopped:
                return

    return source


def export_masks(
    study: Study, request: ExportRequest, save_first: Callable[[], bool]
) -> EventSource[CaseExported | Exported]:
    """Export masks and volumes, one event a case."""

    def source(control: Control) -> Iterator[CaseExported | Exported]:
        save(save_first)
        yield from export(study, request, stopped=lambda: control.stopped)

    return source


def write_report(study: Study, folder: Path, save_first: Callable[[], bool]) -> EventSource[ReportWritten]:
    """Write the methods sheet of the study."""

    def source(control: Control) -> Iterator[ReportWritten]:
        del control
        save(save_first)
        from napari_dycon.report.collecting import collect
        from napari_dycon.report.writing import write_sheet

        yield ReportWritten(write_sheet(collect(study), folder))

    return source


def load_case(study: Study, case_id: str, save_first: Callable[[], bool]) -> EventSource[OpenCase]:
    """Read scan, annotation, prediction and entropy of a case."""

    def source(control: Control) -> Iterator[OpenCase]:
        del control
        save(save_first)
        volume = study.volume(case_id)
        latest = _read_prediction(study, case_id)
        warm_up()
        scan, *further = study.record.channels or ("",)
        there = [channel for channel in further if channel in study.case(case_id).images]
        yield OpenCase(
            case_id=case_id,
            volume=volume,
            editor=AnnotationEditor(study.annotation(case_id).in_file_order(), volume.geometry),
            prediction=latest.prediction,
            entropy=latest.entropy,
            picture=Picture.of(scan, volume),
            images=(scan, *there) if there else (),
        )

    return source


@dataclass(frozen=True, eq=False)
class PictureLoaded:
    """Another image of a case was read."""

    case_id: str
    picture: Picture


def load_picture(study: Study, case_id: str, channel: str) -> EventSource[PictureLoaded]:
    """Read an image of a case, on the grid of its scan."""

    def source(control: Control) -> Iterator[PictureLoaded]:
        del control
        further = channel in study.record.channels[1:]
        volume = study.volume(case_id, channel if further else "")
        if further:
            grid = study.geometry(case_id)
            volume = replace(volume, array=on_the_grid_of(grid, volume), geometry=grid)
        yield PictureLoaded(case_id, Picture.of(channel, volume))

    return source


def warm() -> EventSource[object]:
    """Let the first case be drawn, and the first piece grow, without a wait."""

    def source(control: Control) -> Iterator[object]:
        del control
        sources.names()
        warm_up()
        yield from ()

    return source


def edit(case_id: str, action: Callable[[], object], touch: Callable[[], None]) -> EventSource[Edited]:
    """Do something to an annotation that looks at every voxel, and have it saved whatever is open then."""

    def source(control: Control) -> Iterator[Edited]:
        del control
        action()
        touch()
        yield Edited(case_id)

    return source


def save(save_first: Callable[[], bool]) -> None:
    """Put everything painted on disk.

    Raises
    ------
    StudyError
        If that is not possible.
    """
    if not (save_first() or save_first()):
        raise StudyError(
            "What you painted cannot be saved at the moment, so nothing was done; see the header."
        )


def while_there(study: Study, case_id: str, source: EventSource[E]) -> EventSource[E]:
    """Return a job about a case that ends without a word where the case was removed meanwhile."""

    def events(control: Control) -> Iterator[E]:
        try:
            yield from source(control)
        except StudyError:
            if any(record.id == case_id for record in study.cases):
                raise

    return events


def load_prediction(study: Study, case_id: str) -> EventSource[PredictionLoaded]:
    """Read the latest prediction of a case."""

    def source(control: Control) -> Iterator[PredictionLoaded]:
        del control
        yield _read_prediction(study, case_id)

    return while_there(study, case_id, source)


def load_maps(study: Study, case_id: str) -> EventSource[MapsLoaded]:
    """Read the maps beside the latest prediction of a case, but for the entropy."""

    def source(control: Control) -> Iterator[MapsLoaded]:
        run = _run_shown(study, case_id)
        names = set() if run is None else {*study.predictions.map_names(run, case_id)} - {ENTROPY}
        maps = {}
        for name in sorted(names):
            values = None if run is None or control.stopped else study.predictions.map(run, case_id, name)
            if values is not None:
                maps[name] = as_shades(values)
        yield MapsLoaded(case_id, maps)

    return while_there(study, case_id, source)


def engine_facts(wish: str) -> EventSource[EngineReady]:
    """Tell which methods and which device there are, without loading PyTorch: most who look do not train."""

    def source(control: Control) -> Iterator[EngineReady]:
        del control
        yield EngineReady(tuple(method_titles().items()), likely_device(wish))

    return source


def read_run(study: Study) -> EventSource[RunRead]:
    """Read the newest run back from its record."""

    def source(control: Control) -> Iterator[RunRead]:
        del control
        for run in study.runs()[-1:]:
            folder = study.run_dir(run)
            curves = Curves.from_events(folder / "events.jsonl")
            checkpoints = folder / "checkpoints"
            saved = checkpoints.is_dir() and any(checkpoints.iterdir())
            away, free = read_away(folder), not RunLock.is_held(folder)
            machine = away.machine if away is not None and away.begun and free else None
            interrupted = machine is not None or (saved and not curves.finished and free)
            yield RunRead(run, curves, interrupted, machine)

    return source


def _read_prediction(study: Study, case_id: str) -> PredictionLoaded:
    run = _run_shown(study, case_id)
    if run is None:
        return PredictionLoaded(case_id, None, None)
    entropy = study.predictions.map(run, case_id, ENTROPY)
    shades = None if entropy is None else as_shades(entropy)
    return PredictionLoaded(case_id, study.predictions.mask(run, case_id), shades)


def _run_shown(study: Study, case_id: str) -> str | None:
    """Return the run whose prediction of a case is shown, or None where there is nothing to show yet."""
    run = study.active_run
    if run is None or not study.predictions.summary(run).get(case_id, {}).get("ready", True):
        return None
    return run


def as_shades(values: np.ndarray) -> np.ndarray:
    """Return a map from 0 to 1 in the 255 steps it is kept with on disk: a quarter of the memory."""
    return np.rint(values * np.float32(SHADES)).astype(np.uint8)


def spare_threads() -> int:
    """Return how many threads torch may use while a person works: all cores but one."""
    return max(1, available_cores() - 1)
