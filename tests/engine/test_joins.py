"""Labels that are made while a run is trained join it between two steps, and nothing else does."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_dycon.engine import joins, self_training, setup
from napari_dycon.engine.budget import PLATEAU, Budget
from napari_dycon.engine.bundle import UPDATE, Bundle
from napari_dycon.engine.control import Control
from napari_dycon.engine.events import (
    LabelsJoined,
    Note,
    RunStarted,
    ScanPreparation,
    StepFinished,
    Validated,
)
from napari_dycon.engine.holdout import HoldOut
from napari_dycon.engine.joining import Joining
from napari_dycon.engine.optimisation import Optimisation
from napari_dycon.engine.patches import PatchSampler, TrainingCase
from napari_dycon.engine.recorder import read_events
from napari_dycon.engine.runners import beside
from napari_dycon.engine.runners.here import Trainer
from napari_dycon.engine.runs import RunFolder
from napari_dycon.errors import TrainingError, VolumeError
from napari_dycon.io.atomic import write_bytes_atomic
from napari_dycon.learning.batch import IGNORE, UNKNOWN
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation, Known
from tests.engine.conftest import NODE, TINY, ball_case, numbers

LOW, MIDDLE = range(3), 9
"""Slices without the node, and one that cuts it."""


@pytest.fixture(autouse=True)
def _by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is new is offered by the tests, and looked for after every step."""
    monkeypatch.setattr(beside, "LOOK_SECONDS", 1000.0)
    monkeypatch.setattr(joins, "LOOK_SECONDS", 0.0)


@pytest.fixture
def targets(monkeypatch: pytest.MonkeyPatch) -> list[set[int]]:
    """What there is in the targets of every step."""
    seen: list[set[int]] = []
    step = Optimisation.step

    def spy(self, batch, iteration, progress):
        seen.append(set(batch.target.unique().tolist()))
        return step(self, batch, iteration, progress)

    monkeypatch.setattr(Optimisation, "step", spy)
    return seen


def complete(study: Study, index: int, slices: object) -> str:
    """Complete slices of a case; nothing else of it is known but what was before."""
    case = study.cases[index].id
    annotation, (_, truth) = study.annotation(case), ball_case(index)
    annotation.labels[:, :, slices] = truth[:, :, slices]
    annotation.known[:, :, slices] = Known.DRAWN
    study.save_annotation(case, annotation, "complete")
    return case


def offer(study: Study, *cases: str) -> list[Note]:
    joining = Joining(study, study.runs()[-1])
    return [note for case in cases for note in joining.offer(case)]


def train_on(
    study: Study,
    until: int,
    deeds: dict[int, Callable[[], object]],
    method: str | None = "dycon",
    **options: object,
) -> list:
    """Train without an end until a step is done; after some steps something is done."""
    control, events = Control(), []
    options = {"overrides": TINY, "threads": 1, "device": "cpu", "open_ended": True, **options}
    if not options.get("resume"):
        options.setdefault("iterations", 10)
    for event in Trainer(study, method, control=control, **options).run():
        events.append(event)
        if isinstance(event, StepFinished):
            deeds.get(event.iteration, lambda: None)()
            if event.iteration == until:
                control.stop()
    return [event for event in events if not isinstance(event, ScanPreparation)]


def joined(events: list) -> list[LabelsJoined]:
    return [event for event in events if isinstance(event, LabelsJoined)]


def config(study: Study):
    return RunFolder(study.run_dir(study.runs()[-1])).config()


def contents(study: Study):
    return Bundle(study.run_dir(study.runs()[-1])).contents()


@pytest.fixture
def sparse(make_study) -> Callable[..., Study]:
    """A study of which only slices without the node are labelled, of the first case."""

    def make(name: str = "study", cases: int = 3) -> Study:
        study = make_study(cases=cases, labelled=0, name=name)
        complete(study, 0, LOW)
        return study

    return make


def test_a_budget_without_an_end_rises_and_stays_below_it():
    ended, endless = Budget(iterations=10), Budget(iterations=10, open_ended=True)
    assert [endless.progress(n, 0.0) for n in range(8)] == [ended.progress(n, 0.0) for n in range(8)]
    assert endless.progress(10, 0.0) == endless.progress(10**9, 0.0) == PLATEAU < 1
    assert endless.share(25, 0.0) == 2.5
    assert endless.seconds_left(5, 0.0, 1.0) == math.inf
    assert Budget(open_ended=True).progress(5, 300.0) == 0.5, "ten minutes where nothing is said"
    for wrong in (
        {},
        {"minutes": 1, "iterations": 1, "open_ended": True},
        {"minutes": 0, "open_ended": True},
    ):
        with pytest.raises(TrainingError, match="minutes or as iterations"):
            Budget(**wrong)


def test_until_it_rests_such_a_run_is_bit_by_bit_one_with_a_budget(make_study, train):
    ended, endless = make_study(name="ended"), make_study(name="endless")
    expected = train(ended, iterations=10)
    events = train_on(endless, 14, {})
    start = next(event for event in events if isinstance(event, RunStarted))
    assert start.open_ended and start.slices == 2 * 18
    assert numbers(events)[:9] == numbers(expected)[:9]
    steps = [event for event in events if isinstance(event, StepFinished)]
    assert [event.progress for event in steps][7:] == [PLATEAU] * 7
    assert not any(math.isfinite(event.seconds_left) for event in steps)
    assert events[-1].reason == "stopped" and endless.active_run == start.run
    assert config(endless).open_ended and not config(ended).open_ended


def test_a_slice_that_joins_is_sampled_from_the_next_step_on_and_not_before(sparse, targets):
    study = sparse()
    events = train_on(study, 24, {4: lambda: offer(study, complete(study, 1, MIDDLE))}, "supervised")
    (join,) = joined(events)
    assert (join.iteration, join.cases, join.slices) == (4, (study.cases[1].id,), 1)
    assert join.text == "1 slice joined the training."
    assert events.index(join) < next(
        n for n, event in enumerate(events) if isinstance(event, StepFinished) and event.iteration == 5
    )
    before, after = set().union(*targets[:4]), set().union(*targets[4:])
    assert 2 not in before and {0, 1, 2} <= after
    assert [event.iteration for event in events if isinstance(event, StepFinished)] == list(range(1, 25))


def test_what_was_learned_from_since_when_is_in_the_folder_of_the_run(sparse):
    study, seen = sparse(), []
    case = study.cases[1].id

    def label() -> None:
        seen.append(contents(study))
        assert case not in config(study).trained_on
        offer(study, complete(study, 1, MIDDLE))

    train_on(study, 8, {4: label, 6: lambda: offer(study, complete(study, 1, [MIDDLE, MIDDLE + 1]))})
    now = contents(study)
    assert [(until.iteration, [one.case for one in until.cases]) for until in now.before] == [
        (4, [case]),
        (6, [case]),
    ]
    assert now.before[0].cases[0] == seen[0].cases[1] and "target" not in seen[0].cases[1].arrays
    assert now.cases[1].arrays["target"].sha256 != now.before[1].cases[0].arrays["target"].sha256
    assert now.cases[1].arrays["image"] == seen[0].cases[1].arrays["image"]
    assert (now.slices, now.cases[0]) == (5, seen[0].cases[0])
    assert case in config(study).trained_on
    folder = Path(study.run_dir(study.runs()[-1]))
    assert len(joined(read_events(folder))) == 2
    left = [path.name for path in (folder / "bundle").iterdir()]
    assert left == ["bundle.json"], "arrays and update.json go when the training ends"


def test_older_labels_take_no_room_once_newer_ones_are_learned_from(sparse):
    study, files = sparse(), []

    def look() -> None:
        bundle = Bundle(study.run_dir(study.runs()[-1]))
        files.append(sorted(path.name for path in bundle.path.glob(f"{study.cases[1].id}.target*")))

    deeds = {
        2: lambda: offer(study, complete(study, 1, MIDDLE)),
        4: lambda: (look(), offer(study, complete(study, 1, MIDDLE + 1))),
        6: look,
    }
    train_on(study, 6, deeds)
    assert files == [[f"{study.cases[1].id}.target.1.npy"], [f"{study.cases[1].id}.target.2.npy"]]


def test_a_run_with_a_budget_learns_from_what_there_was_when_it_began(sparse):
    plain, labelled = sparse("plain"), sparse("labelled")
    expected = train_on(plain, 8, {}, open_ended=False)
    events = train_on(
        labelled, 8, {3: lambda: offer(labelled, complete(labelled, 1, MIDDLE))}, open_ended=False
    )
    assert not joined(events) and numbers(events) == numbers(expected)


def test_what_is_written_where_nothing_is_known_cannot_influence_anything(make_study):
    """Garbage as the labels of unlabelled voxels, saved and offered: the same losses, bit by bit."""
    plain, spoilt = make_study(name="plain"), make_study(name="spoilt")

    def spoil() -> None:
        for record in spoilt.cases[2:]:
            labels = np.random.default_rng(1).integers(0, 8, record.shape).astype(np.uint8)
            spoilt.save_annotation(record.id, Annotation(labels, np.zeros_like(labels)), "autosave")
        assert offer(spoilt, *(record.id for record in spoilt.cases)) == []

    events = train_on(spoilt, 9, {3: spoil})
    assert not joined(events) and numbers(events) == numbers(train_on(plain, 9, {}))


@pytest.mark.parametrize("held", ["the case", "its patient"])
def test_what_is_held_out_stays_so_and_is_measured_on(make_study, monkeypatch, held):
    """Garbage as the labels of a held-out patient: the same losses, and another Dice."""
    losses, dice = [], []
    monkeypatch.setattr("napari_dycon.engine.assessment.LOOKING_SHARE", 100.0)
    for name in ("plain", "labelled"):
        study = make_study(labelled=2, name=name)
        first, later = study.cases[1].id, study.cases[3].id
        study.update(
            cases=tuple(
                case.model_copy(update={"patient": "p"}) if case.id in (first, later) else case
                for case in study.cases
            )
        )
        cases = (first, later) if held == "the case" else (first,)
        monkeypatch.setattr(setup, "choose_holdout", lambda *_, c=cases: HoldOut(cases=c, patients=("p",)))

        def label(study=study, later=later) -> None:
            labels = np.random.default_rng(1).choice([0, 3, 7], study.case(later).shape).astype(np.uint8)
            study.save_annotation(later, Annotation.full(labels), "complete")
            offer(study, later)

        events = train_on(study, 12, {4: label} if name == "labelled" else {})
        losses.append(numbers(events))
        dice.append([event.mean_dice for event in events if isinstance(event, Validated)])
        assert later not in config(study).trained_on
        if name == "labelled":
            (join,) = joined(events)
            assert join.held_out == join.cases == (later,)
            assert join.text == "18 slices joined what quality is measured on."
    assert losses[0] == losses[1] and dice[0][0] == dice[1][0] and dice[0][-1] != dice[1][-1]


@pytest.mark.parametrize("open_to", ["write", "read"])
def test_a_case_that_has_become_that_of_another_patient_waits_for_the_next_training(sparse, open_to):
    study = sparse()
    trained = Study.open(study.path) if open_to == "read" else study

    def move() -> None:
        case = complete(study, 1, MIDDLE)
        study.update(
            cases=tuple(
                one.model_copy(update={"patient": "somebody"}) if one.id == case else one
                for one in study.cases
            )
        )
        offer(trained, case)

    assert trained.read_only == (open_to == "read")
    assert not joined(train_on(trained, 6, {3: move}))
    trained.close()


def test_slices_of_another_scan_of_a_patient_are_held_out_with_those_of_the_first(make_study, monkeypatch):
    study = make_study(labelled=1)
    study.update(cases=tuple(case.model_copy(update={"patient": "p"}) for case in study.cases[:2]))
    first, other = study.cases[0].id, study.cases[1].id
    monkeypatch.setattr(setup, "choose_holdout", lambda *_: HoldOut(slices={first: (2, (8, 9))}))
    events = train_on(study, 6, {3: lambda: offer(study, complete(study, 1, range(18)))})
    assert joined(events) and config(study).holdout.slices == {first: (2, (8, 9)), other: (2, (8, 9))}


def test_a_run_that_labels_have_joined_goes_on_bit_by_bit(sparse, train):
    whole, parts = sparse("whole"), sparse("parts")

    def label(study: Study) -> dict[int, Callable[[], object]]:
        return {3: lambda: offer(study, complete(study, 1, [MIDDLE, MIDDLE + 1]))}

    expected = train_on(whole, 9, label(whole))
    first = train_on(parts, 5, label(parts))
    before = contents(parts).before
    second = train_on(parts, 9, {}, None, resume=True)
    assert joined(first) and numbers(first) + numbers(second) == numbers(expected)
    assert second[0].open_ended, "as it began"
    assert contents(parts).before == before, "nothing has changed since it was left"


def test_what_was_labelled_since_a_run_was_left_joins_when_it_goes_on_and_is_noted(sparse):
    study = sparse()
    train_on(study, 5, {})
    case = complete(study, 1, MIDDLE)
    events = train_on(study, 7, {}, None, resume=True)
    assert any("have changed since run" in note and note.endswith(f"{case}.") for note in events[0].notes)
    ((until),) = contents(study).before
    assert (until.iteration, until.cases[0].case) == (5, case)
    assert case in config(study).trained_on


def damage_hash(bundle: Bundle) -> None:
    path = next(bundle.path.glob("*.target.1.npy"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.unlink()  # a link into the cache
    path.write_bytes(content)


def write_other_classes(bundle: Bundle) -> None:
    (path,) = bundle.path.glob("*.target.1.npy")
    array = np.load(path)
    array[array < IGNORE] = 9
    path.unlink()
    np.save(path, array)
    change_update(bundle, lambda entry: entry.update(sha256=_sha256(path)))


def change_update(bundle: Bundle, change: Callable[[dict], object]) -> None:
    content = json.loads((bundle.path / UPDATE).read_text())
    change(content["cases"][0]["arrays"]["target"])
    write_bytes_atomic(bundle.path / UPDATE, json.dumps(content).encode())


def _sha256(path: Path) -> str:
    from napari_dycon.engine.arrays import file_sha256

    return file_sha256(path)


@pytest.mark.parametrize(
    "harm",
    [
        lambda bundle: (bundle.path / UPDATE).write_bytes(b"\x00{ this is no JSON"),
        lambda bundle: (bundle.path / UPDATE).write_text((bundle.path / UPDATE).read_text()[:90]),
        lambda bundle: next(bundle.path.glob("*.target.1.npy")).unlink(),
        damage_hash,
        write_other_classes,
        lambda bundle: change_update(bundle, lambda entry: entry.update(file="../../../study.json")),
        lambda bundle: change_update(bundle, lambda entry: entry.update(shape=[1, 2, 3])),
    ],
    ids=["no JSON", "torn", "no array", "another hash", "other classes", "outside", "another shape"],
)
def test_new_labels_that_cannot_be_read_are_a_note_and_the_next_ones_join(sparse, harm):
    study, plain = sparse("harmed"), sparse("plain")

    def label() -> None:
        offer(study, complete(study, 1, MIDDLE))
        harm(Bundle(study.run_dir(study.runs()[-1])))

    def again() -> None:
        (Bundle(study.run_dir(study.runs()[-1])).path / UPDATE).unlink()
        offer(study, complete(study, 1, [MIDDLE, MIDDLE + 1]))

    events = train_on(study, 9, {2: label, 6: again}, seed=5)
    notes = [event.text for event in events if isinstance(event, Note)]
    assert len([note for note in notes if note.startswith(joins.NOT_JOINED)]) == 1
    assert [join.iteration for join in joined(events)] == [6]
    assert numbers(events)[:6] == numbers(train_on(plain, 6, {}, seed=5)), "with the old labels"
    assert events[-1].iteration == 9


def test_on_a_full_disk_nothing_is_learned_that_is_not_put_down(sparse, monkeypatch):
    study, plain = sparse("full"), sparse("plain")
    write = RunFolder.write

    def full(self, *what) -> None:
        raise VolumeError("The disk is full.")

    def label() -> None:
        offer(study, complete(study, 1, MIDDLE))
        monkeypatch.setattr(RunFolder, "write", full)

    events = train_on(study, 7, {3: label})
    monkeypatch.setattr(RunFolder, "write", write)
    assert not joined(events) and any("disk is full" in e.text for e in events if isinstance(e, Note))
    assert numbers(events) == numbers(train_on(plain, 7, {}))
    assert study.cases[1].id not in config(study).trained_on and not contents(study).before


def test_where_everything_is_taken_back_the_training_goes_on_with_what_it_had(sparse):
    study = sparse()

    def take_back() -> None:
        case = study.cases[0]
        study.save_annotation(case.id, Annotation.empty(case.shape), "autosave")
        offer(study, case.id)

    events = train_on(study, 6, {3: take_back})
    assert any("nothing would be left" in event.text for event in events if isinstance(event, Note))
    assert events[-1].iteration == 6


def test_labels_that_are_taken_back_are_not_learned_from_any_more(sparse, targets):
    study = sparse()
    complete(study, 1, MIDDLE)

    def take_back() -> None:
        case = study.cases[1]
        study.save_annotation(case.id, Annotation.empty(case.shape), "autosave")
        offer(study, case.id)

    events = train_on(study, 20, {8: take_back}, "supervised")
    assert joined(events)[0].slices == -1 and "What changed in" in joined(events)[0].text
    assert 2 in set().union(*targets[:8]) and 2 not in set().union(*targets[8:])


def test_a_new_structure_is_said_to_wait_and_its_voxels_teach_nothing(sparse, targets):
    study, told = sparse(), []

    def label() -> None:
        study.update(structures=(*study.structures, Structure(value=9, name="clot")))
        case = complete(study, 1, MIDDLE)
        annotation = study.annotation(case)
        annotation.labels[annotation.labels == NODE] = 9
        study.save_annotation(case, annotation, "autosave")
        told.extend(offer(study, case))

    events = train_on(study, 20, {4: label}, "supervised")
    assert [note.text for note in told] == [
        "'clot' is new since this training began: it joins with the next one."
    ]
    assert joined(events) and 2 not in set().union(*targets)
    assert set().union(*targets) <= {0, 1, IGNORE, UNKNOWN}


def test_where_a_structure_is_gone_nothing_joins_any_more(sparse):
    study = sparse()

    def merge() -> None:
        study.merge_structures(NODE, 3)
        case = complete(study, 1, LOW)
        with pytest.raises(TrainingError, match="Structures were changed since this training began"):
            offer(study, case)

    assert not joined(train_on(study, 6, {3: merge}))


def test_what_the_model_made_of_a_scan_gives_way_to_the_person(sparse, monkeypatch):
    monkeypatch.setattr(self_training, "SHARE", 1000.0)
    study, seen = sparse(), []
    case = study.cases[1].id

    def own_labels() -> set[str]:
        whole = Path(study.run_dir(study.runs()[-1])) / self_training.FOLDER / self_training.WHOLE
        return set(whole.read_text().split())

    def label() -> None:
        seen.append(own_labels())
        offer(study, complete(study, 1, MIDDLE))

    overrides = {**TINY, "method_settings": {"self_training": 0.5}}
    events = train_on(study, 9, {6: label}, overrides=overrides)
    assert joined(events) and case in seen[0]
    assert own_labels() == seen[0] - {case}


def test_a_sampler_with_other_cases_is_the_one_that_would_have_been_made_of_them(make_study):
    random = np.random.default_rng(0)
    cases = [
        TrainingCase(random.normal(size=(1, 60, 60, 60)).astype(np.float16), target, True)
        for target in random.integers(0, 3, (4, 60, 60, 60)).astype(np.uint8)
    ]
    cases[1] = TrainingCase(cases[1].image, None, True)
    new = TrainingCase(cases[1].image, random.integers(0, 3, (60, 60, 60)).astype(np.uint8), False)
    study = make_study()
    train_on(study, 1, {})
    plan = RunFolder(study.run_dir("001-dycon")).plan()
    sampler = PatchSampler(cases, plan, 5)
    changed, made = sampler.with_cases({1: new}), PatchSampler([cases[0], new, *cases[2:]], plan, 5)
    for iteration in range(6):
        one, other, old = (s.batch(iteration) for s in (changed, made, sampler))
        assert (one.image == other.image).all() and (one.target == other.target).all()
        assert one.weak is not None and other.weak is not None and (one.weak == other.weak).all()
        assert (old.image == PatchSampler(cases, plan, 5).batch(iteration).image).all()
    with pytest.raises(ValueError, match="no case has a known voxel"):
        sampler.with_cases({n: TrainingCase(case.image, None, True) for n, case in enumerate(cases)})
