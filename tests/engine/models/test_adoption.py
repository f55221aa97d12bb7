"""A model of another study predicts here, and training goes on from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_dycon.cli import main
from napari_dycon.engine.bundle import Bundle
from napari_dycon.engine.checkpoints import CheckpointFolder
from napari_dycon.engine.control import Control
from napari_dycon.engine.inference import predict
from napari_dycon.engine.models.adoption import adopt_model, lend_model
from napari_dycon.engine.models.model import read_model
from napari_dycon.engine.models.monai_bundle import export_model
from napari_dycon.engine.readiness import latest_quality
from napari_dycon.engine.recorder import reached_its_end
from napari_dycon.engine.request import Request
from napari_dycon.engine.runners.elsewhere.disguise import Disguise
from napari_dycon.engine.runners.elsewhere.parcel import pack
from napari_dycon.engine.runs import RunFolder
from napari_dycon.engine.setup import prepare
from napari_dycon.engine.trainer import train as follow_run
from napari_dycon.errors import TrainingError, VolumeError
from napari_dycon.study.exchange import importing
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation
from tests.engine.conftest import (
    NODE,
    ORGAN,
    TINY,
    ball_case,
    numbers,
    save_scan,
    studies_in,
    train_to_the_end,
)


@pytest.fixture(scope="module")
def last_year(tmp_path_factory) -> Iterator[Study]:
    """A study with a model, for all tests; none changes it."""
    with studies_in(tmp_path_factory.mktemp("last year")) as make:
        study = make(cases=3, name="last")
        train_to_the_end(study, "supervised", iterations=40)
        list(predict(study, study.active_run, device="cpu", threads=1))
        yield study


@pytest.fixture
def make_other(tmp_path):
    """A study of other scans, or of the same, with structures of its own."""
    made: list[Study] = []

    def make(values: dict[str, int], scans: tuple[int, ...] = (7, 8), labelled: int = 1) -> Study:
        names = [Structure(value=value, name=name) for name, value in values.items()]
        study = Study.create(tmp_path / "this", names)
        made.append(study)
        for number in scans:
            image, labels = ball_case(number)
            record = importing.add_scan(study, save_scan(tmp_path / f"this-{number}.nii.gz", image))
            if len(study.cases) <= labelled:
                here = np.zeros_like(labels)
                for theirs, name in ((ORGAN, "organ"), (NODE, "node")):
                    here[labels == theirs] = values.get(name, 0)
                study.save_annotation(record.id, Annotation.full(here), "import")
        return study

    yield make
    for study in made:
        study.close()


def to_its_result(steps):
    """Iterate a generator and return what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.mark.parametrize("through", ["study", "run", "bundle"])
def test_it_predicts_here_what_it_would_there_under_the_values_of_this_study(
    last_year, make_other, tmp_path, through
):
    path = {"study": last_year.path, "run": last_year.run_dir(last_year.active_run), "bundle": tmp_path / "m"}
    if through == "bundle":
        export_model(last_year, tmp_path / "m")
    study = make_other({"Node": 1, "organ": 2}, scans=(0, 1))
    adopted = adopt_model(study, read_model(path[through]))
    list(predict(study, adopted.run, device="cpu", threads=1))
    for here, there in zip(study.cases, last_year.cases, strict=False):
        mask = last_year.predictions.mask(last_year.active_run, there.id)
        assert (mask == NODE).any()
        expected = np.select([mask == NODE, mask == ORGAN], [1, 2], 0)
        np.testing.assert_array_equal(study.predictions.mask(adopted.run, here.id), expected)


def test_a_training_begins_with_it(last_year, make_other, train):
    study = make_other({"node": 1, "organ": 2})
    adopted = adopt_model(study, read_model(last_year.path))
    warm = train(study, "supervised", iterations=2, begin_with=adopted.run)
    cold = train(study, "supervised", iterations=2, warm_start=False)
    first, anew = (next(e.losses for e in events if hasattr(e, "losses")) for events in (warm, cold))
    assert first["supervised"] < 0.8 * anew["supervised"]
    assert RunFolder(study.run_dir(warm[0].run)).config().continued_from == adopted.run


def test_what_is_sent_to_another_machine_begins_with_it_and_does_not_name_where_it_comes_from(
    last_year, make_other, tmp_path
):
    study = make_other({"node": 1, "organ": 2})
    begin_with = adopt_model(study, read_model(last_year.path)).run
    wish = Request(method="supervised", iterations=2, begin_with=begin_with, overrides=TINY, device="cpu")
    here = to_its_result(prepare(study, wish, Control()))
    there = Bundle(tmp_path / "there" / "runs" / here.run.run)
    for path, item in pack(here, Disguise(here.contents(), here.run.config())).items():
        target = there.run.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(item.read(0, item.size))
        assert target.suffix != ".json" or f"{last_year.path.name}/" not in target.read_text()
    assert numbers(follow_run(there, Control())) == numbers(follow_run(here, Control()))
    assert there.run.checkpoints.load().iteration == 2


def test_a_training_learns_what_the_model_does_not_know(last_year, make_other, train):
    study = make_other({"organ": 1, "vessel": 4})
    adopted = adopt_model(study, read_model(last_year.path))
    assert any("does not know vessel" in note for note in adopted.notes)
    assert any("also knew node" in note for note in adopted.notes)
    started = train(study, "supervised", iterations=2, begin_with=adopted.run)[0]
    assert any("'vessel' was added" in note for note in started.notes)
    assert RunFolder(study.run_dir(started.run)).plan().structure_values == (1, 4)


def test_a_plan_that_the_model_does_not_fit_is_refused_and_not_trained_anew(last_year, make_other, train):
    study = make_other({"organ": 1})
    run = adopt_model(study, read_model(last_year.path)).run
    with pytest.raises(TrainingError, match="cannot begin with that model"):
        train(study, "supervised", begin_with=run, overrides={**TINY, "spacing": (2, 2, 2)})


def test_quality_is_measured_on_what_is_new_to_it_and_not_on_its_own_scans(last_year, make_other):
    study = make_other({"organ": 1, "node": 2}, scans=(0, 7), labelled=2)
    adopted = adopt_model(study, read_model(last_year.path))
    same, other = (case.id for case in study.cases)
    assert RunFolder(study.run_dir(adopted.run)).config().trained_on == (same,)
    assert any("learned from labels of 1 scan of this study" in note for note in adopted.notes)
    list(predict(study, adopted.run, [other], device="cpu", threads=1))
    quality = latest_quality(study.run_dir(adopted.run))
    assert (quality.held_out, quality.where) == (True, "1 held-out cases")


def test_it_is_no_run_that_was_cut_off(last_year, make_other):
    study = make_other({"organ": 1})
    run = adopt_model(study, read_model(last_year.path)).run
    assert reached_its_end(study.run_dir(run))
    assert study.active_run is None


def test_structures_with_another_name_are_told(last_year, make_other):
    study = make_other({"atrium": 1})
    with pytest.raises(TrainingError, match=r"knows organ, node; this study has atrium.*--structure"):
        adopt_model(study, read_model(last_year.path))
    with pytest.raises(TrainingError, match="called liver"):
        adopt_model(study, read_model(last_year.path), {"liver": "atrium"})
    assert not study.runs()
    adopted = adopt_model(study, read_model(last_year.path), {"organ": "atrium"})
    assert RunFolder(study.run_dir(adopted.run)).plan().structure_names == ("atrium",)


def test_another_spacing_and_other_images_are_told(last_year, make_other, tmp_path):
    export_model(last_year, tmp_path / "m")
    path = tmp_path / "m" / "configs" / "dycon.json"
    content = json.loads(path.read_text())
    content["plan"]["spacing"] = [3.0, 3.0, 3.0]
    content["images"] = ["T1", "FLAIR"]
    path.write_text(json.dumps(content))
    notes = " ".join(adopt_model(make_other({"organ": 1}), read_model(tmp_path / "m")).notes)
    assert "voxels of 3 x 3 x 3 mm; scans here have 1.2 x 1.2 x 2 mm" in notes
    assert "looks at FLAIR, which this study does not have" in notes


@pytest.mark.parametrize("file", ["models/model.safetensors", "configs/dycon.json"])
def test_a_damaged_model_is_refused(last_year, tmp_path, file):
    export_model(last_year, tmp_path / "m")
    path = tmp_path / "m" / file
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(TrainingError, match="damaged"):
        read_model(tmp_path / "m")


def test_nothing_in_a_bundle_is_executed(last_year, make_other, tmp_path):
    export_model(last_year, tmp_path / "m")
    for path in [*(tmp_path / "m" / "scripts").iterdir(), *(tmp_path / "m" / "models").glob("*.[pt]*")]:
        path.write_text("raise SystemExit('executed')")
    (tmp_path / "m" / "configs" / "inference.json").write_text('{"run": "$1/0"}')
    assert adopt_model(make_other({"organ": 1}), read_model(tmp_path / "m")).run == "001-supervised"


def test_any_other_folder_is_no_model(tmp_path):
    with pytest.raises(TrainingError, match="holds no model"):
        read_model(tmp_path)


def test_the_commands(last_year, make_other, tmp_path, capsys):
    study = make_other({"organ": 1})
    study.close()
    last: Path = last_year.path
    assert main(["import-model", str(study.path), str(last), "--json", str(tmp_path / "a.json")]) == 0
    assert json.loads((tmp_path / "a.json").read_text())["run"] == "001-supervised"
    train = ["train", str(study.path), "--method", "supervised", "--iterations", "2", "--device", "cpu"]
    assert main([*train, "--from", str(last), "--fresh"]) == 1
    assert "leave out" in capsys.readouterr().err
    assert main([*train, "--from", str(last)]) == 0
    assert "also knew node" in capsys.readouterr().out
    with Study.open(study.path, read_only=True) as opened:
        assert opened.active_run == "003-supervised"
        assert RunFolder(opened.run_dir("003-supervised")).config().continued_from == "002-supervised"


def test_a_structure_that_only_the_model_knows_comes_into_the_study(last_year, make_other):
    study = make_other({"vessel": 1})
    adopted = adopt_model(study, read_model(last_year.path), {"organ": ""}, ["node"], activate=True)
    assert [(entry.value, entry.name) for entry in study.structures] == [(1, "vessel"), (2, "node")]
    assert RunFolder(study.run_dir(study.active_run)).plan().structure_values == (2,)
    assert study.structures[0].color != study.structures[1].color
    assert adopted.notes[:2] == ("The model knows node.", "node is new in this study.")


@pytest.mark.parametrize("when", ["write", "activate"])
def test_of_a_model_that_cannot_be_taken_over_nothing_stays(last_year, make_other, monkeypatch, when):
    study = make_other({"organ": 1})

    def fail(*_):
        raise VolumeError("The disk is full.")

    where = (CheckpointFolder, "save") if when == "write" else (Study, "set_active_run")
    monkeypatch.setattr(*where, fail)
    with pytest.raises(VolumeError):
        adopt_model(study, read_model(last_year.path), activate=True)
    assert not study.runs() and study.active_run is None


def test_of_a_training_that_does_not_begin_with_it_nothing_stays(last_year, make_other, train):
    study = make_other({"organ": 1}, labelled=0)
    with (
        pytest.raises(TrainingError, match="Nothing to learn"),
        lend_model(study, read_model(last_year.path)) as adopted,
    ):
        train(study, "supervised", begin_with=adopted.run)
    assert not study.runs()


def test_of_a_run_that_cannot_be_prepared_nothing_stays(make_study, train, monkeypatch):
    study = make_study(cases=1)

    def fail(*_):
        raise VolumeError("The disk is full.")

    monkeypatch.setattr(Bundle, "write", fail)
    with pytest.raises(VolumeError):
        train(study, "supervised")
    assert not study.runs()
