"""One strategy with one seed: rounds of labelling and training in a study of its own."""

import shutil
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from napari_dycon.benchmark.events import ScanTested
from napari_dycon.benchmark.protocol import Pair
from napari_dycon.benchmark.rows import mean_of
from napari_dycon.benchmark.scoring import score_scan, structures_of
from napari_dycon.benchmark.simulation.events import RoundAnswered, SimulationEvent
from napari_dycon.benchmark.simulation.protocol import Protocol
from napari_dycon.benchmark.simulation.rows import Row
from napari_dycon.benchmark.training import following
from napari_dycon.engine.control import Control
from napari_dycon.engine.events import Event, RunStarted
from napari_dycon.engine.inference import Predictor, predict
from napari_dycon.engine.runners.here import Trainer
from napari_dycon.guidance.annotator import Annotator, Answer
from napari_dycon.guidance.suggestions import ONLY_SLICES, suggesting
from napari_dycon.io.json_files import write_model
from napari_dycon.io.masks import read_mask
from napari_dycon.io.volumes import read_volume
from napari_dycon.study.exchange import importing
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation

START = "even"
"""The strategy of the first slices, before there is a model."""
NOT_COPIED = (".study.*", "cache", "*.lock")

Steps = Generator[SimulationEvent, None, bool]
"""Ends with whether it is done; not when it was stopped."""


@dataclass(frozen=True)
class Setting:
    """What all lanes of a simulation share."""

    protocol: Protocol
    train: Sequence[Pair]
    test: Sequence[Pair]
    same: dict[str, Any]
    control: Control
    threads: int | None


@dataclass(frozen=True, slots=True)
class Place:
    """A slice of a case."""

    case: str
    axis: int
    index: int


class Progress(BaseModel):
    """How far a lane is; ``progress.json``.

    Attributes
    ----------
    scans
        Name of the scan of each case.
    round
        The one at hand.
    predicted, places, answered, run, trained
        What is done of it: the predictions that guide it, what was asked for, whether that is labelled, which
        run trains, and whether it has ended.
    slices, effort_seconds, contour_mm, clicks, seconds, iterations
        From the start until now, see `Row`.
    """

    model_config = ConfigDict(extra="forbid")

    scans: dict[str, str]
    round: int = 0
    predicted: bool = False
    places: tuple[Place, ...] | None = None
    answered: bool = False
    run: str | None = None
    trained: bool = False
    slices: int = 0
    effort_seconds: float = 0.0
    contour_mm: float = 0.0
    clicks: int = 0
    seconds: float = 0.0
    iterations: int = 0
    rows: tuple[Row, ...] = ()

    def count(self, answers: Sequence[Answer]) -> None:
        """Add the work on some slices."""
        self.slices += len(answers)
        self.effort_seconds += sum(answer.seconds for answer in answers)
        self.contour_mm += sum(answer.contour_mm for answer in answers)
        self.clicks += sum(answer.clicks for answer in answers)

    def next_round(self) -> None:
        """Begin the next round."""
        self.round += 1
        self.predicted, self.places, self.answered, self.run, self.trained = False, None, False, None, False


class Lane:
    """The rounds of one strategy with one seed, in a folder of its own; goes on where it was interrupted."""

    def __init__(self, folder: Path, strategy: str, seed: int, setting: Setting) -> None:
        self.folder = folder
        self.strategy = strategy
        self.seed = seed
        self._setting = setting
        self._truth = {pair.name: pair.truth for pair in setting.train}

    @property
    def begun(self) -> bool:
        """Whether its folder is there, whole."""
        return self._file.exists()

    @property
    def rows(self) -> tuple[Row, ...]:
        """Of the rounds that are done."""
        return self._progress().rows

    def begin(self) -> None:
        """Make a study of all scans, with nothing labelled."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        structures = structures_of((*self._setting.train, *self._setting.test))
        with Study.create(self.folder / "study", structures, name="simulation") as study:
            scans = {importing.add_scan(study, pair.image).id: pair.name for pair in self._setting.train}
        write_model(self._file, Progress(scans=scans))

    def begin_from(self, start: "Lane") -> None:
        """Take over the study and the model of the start."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(
            start.folder,
            self.folder,
            ignore=shutil.ignore_patterns(*NOT_COPIED, self._file.name),
        )
        progress = start._progress()
        progress.rows = tuple(row.model_copy(update={"strategy": self.strategy}) for row in progress.rows)
        write_model(self._file, progress)

    def follow(self, last: int) -> Steps:
        """Go on to the end of a round."""
        progress = self._progress()
        if progress.round > last:
            return True
        with Study.open(self.folder / "study", read_only=False) as study:
            while progress.round <= last:
                for step in (self._predict, self._ask, self._train, self._test):
                    done = yield from step(study, progress)
                    if not done:
                        return False
                    write_model(self._file, progress)
            return True

    def look_ahead(self) -> Steps:
        """Make the predictions that guide the next round already."""
        progress = self._progress()
        if progress.predicted:
            return True
        with Study.open(self.folder / "study", read_only=False) as study:
            done = yield from self._predict(study, progress)
        write_model(self._file, progress)
        return done

    @property
    def _file(self) -> Path:
        return self.folder / "progress.json"

    def _progress(self) -> Progress:
        return Progress.model_validate_json(self._file.read_bytes())

    def _predict(self, study: Study, progress: Progress) -> Steps:
        """Predict what can be asked for, with the last model."""
        run = study.active_run
        if progress.predicted or progress.places is not None or run is None:
            return True
        cases = [case.id for case in study.cases if case.status != "complete"]
        setting = self._setting
        yield from predict(
            study,
            run,
            cases,
            device=setting.protocol.device,
            control=setting.control,
            probabilities=True,
            threads=setting.threads,
        )
        progress.predicted = not setting.control.stopped
        return progress.predicted

    def _ask(self, study: Study, progress: Progress) -> Steps:
        """Have slices suggested and labelled; what is counted is written before labels are."""
        if progress.places is None:
            strategy = self.strategy if progress.round else START
            count, control = self._setting.protocol.per_round, self._setting.control
            found = yield from suggesting(study, None, count, control, strategy, self.seed, ONLY_SLICES)
            if control.stopped:
                return False
            progress.places = tuple(Place(place.case, place.axis, place.index) for place in found.places)
            labelled, answers = self._answer(study, progress)
            progress.count(answers)
            write_model(self._file, progress)
        elif not progress.answered:
            labelled, _ = self._answer(study, progress)
        else:
            return True
        for case, annotation in labelled.items():
            study.save_annotation(case, annotation, "complete", run=study.active_run)
        progress.answered = True
        yield RoundAnswered(
            self.strategy, self.seed, progress.round, progress.slices, progress.effort_seconds
        )
        return True

    def _answer(self, study: Study, progress: Progress) -> tuple[dict[str, Annotation], list[Answer]]:
        """Label the slices that were asked for, in memory; those that are complete stay."""
        labelled, answers = dict[str, Annotation](), list[Answer]()
        protocol, run = self._setting.protocol, study.active_run
        unready = study.predictions.unready(run) if run is not None else set()
        for place in progress.places or ():
            geometry = study.geometry(place.case)
            annotation = labelled.setdefault(place.case, study.annotation(place.case))
            if annotation.slice_is_complete(place.axis, place.index):
                continue
            truth = read_mask(self._truth[progress.scans[place.case]], geometry)
            usable = run is not None and place.case not in unready
            shown = study.predictions.mask(run, place.case) if run is not None and usable else None
            person = Annotator(truth, geometry.spacing, protocol.habits, protocol.costs)
            answers.append(person.label(annotation, place.axis, place.index, shown))
        return labelled, answers

    def _train(self, study: Study, progress: Progress) -> Steps:
        if progress.trained:
            return True
        protocol = self._setting.protocol
        trainer = Trainer(
            study,
            protocol.method,
            iterations=protocol.iterations if progress.round else protocol.first_iterations,
            seed=self.seed,
            device=protocol.device,
            overrides=protocol.overrides,
            run_id=progress.run,
            resume=progress.run is not None,
            control=self._setting.control,
            threads=self._setting.threads,
            holdout=False,
        )

        def note(event: Event) -> None:
            if isinstance(event, RunStarted):
                progress.run = event.run
                write_model(self._file, progress)

        end = yield from following(trainer, note)
        if end is None:
            return False
        progress.seconds += end.seconds
        progress.iterations += end.iteration
        progress.trained = True
        return True

    def _test(self, study: Study, progress: Progress) -> Steps:
        """Test the model, and close the round with a row."""
        run = progress.run
        assert run is not None
        predictor = Predictor.load(study, run, device=self._setting.protocol.device)
        dice = dict[str, float | None]()
        for pair in self._setting.test:
            if self._setting.control.stopped:
                return False
            volume = read_volume(pair.image)
            found = predictor.volume(volume, probabilities=False).mask
            scores = score_scan(pair, found, volume.geometry, study.structures)
            dice[pair.name] = mean_of(score.dice for score in scores)
            yield ScanTested(pair.name, len(dice), len(self._setting.test), dice[pair.name])
        progress.rows = (*progress.rows, self._row(progress, dice))
        progress.next_round()
        return True

    def _row(self, progress: Progress, dice: dict[str, float | None]) -> Row:
        return Row(
            strategy=self.strategy,
            seed=self.seed,
            round=progress.round,
            slices=progress.slices,
            effort_seconds=round(progress.effort_seconds, 1),
            contour_mm=round(progress.contour_mm, 1),
            clicks=progress.clicks,
            seconds=round(progress.seconds, 2),
            iterations=progress.iterations,
            mean_dice=mean_of(dice.values()),
            worst_dice=min((value for value in dice.values() if value is not None), default=None),
            dice=dice,
            setting=self._setting.same,
        )
