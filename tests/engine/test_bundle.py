from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from napari_dycon.engine import bundle as bundles
from napari_dycon.engine.bundle import Bundle
from napari_dycon.engine.control import Control
from napari_dycon.engine.events import RunFinished, StepFinished
from napari_dycon.engine.request import Request
from napari_dycon.engine.runs import RunFolder
from napari_dycon.engine.setup import prepare
from napari_dycon.engine.start import make_start
from napari_dycon.engine.steps import finish
from napari_dycon.engine.trainer import train as train_bundle
from napari_dycon.errors import TrainingError
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation
from tests.engine.conftest import TINY, numbers


def wish(**changes: object) -> Request:
    return Request(**{"iterations": 4, "overrides": TINY, "threads": 1, "device": "cpu", **changes})


def prepared(study: Study, **changes: object) -> Bundle:
    return finish(prepare(study, wish(**changes), Control()))


def test_a_request_is_plain_json_both_ways():
    whole = Request(
        method="dycon",
        minutes=1.5,
        seed=3,
        overrides={"patch_size": [16, 16, 16], "method_settings": {"a": 1}},
    )
    assert Request.model_validate_json(whole.model_dump_json()) == whole
    assert Request.model_validate_json(wish().model_dump_json()).overrides["overlap"] == 0.25


def test_a_bundle_is_trained_without_the_study_and_gives_the_same_model(make_study, train, tmp_path):
    whole, parts = make_study(name="whole", labelled=3), make_study(name="parts", labelled=3)
    expected = train(whole, iterations=4)
    bundle = prepared(parts)
    assert parts.runs() == ["001-dycon"] and parts.active_run is None
    parts.close()
    away = tmp_path / "away" / "001-dycon"
    shutil.copytree(bundle.run.path, away)
    shutil.rmtree(parts.path)
    events = list(train_bundle(Bundle(away), Control()))
    assert numbers(events) == numbers(expected)
    assert isinstance(events[-1], RunFinished) and events[-1].reason == "budget"
    assert RunFolder(away).checkpoints.load().iteration == 4


def test_a_bundle_that_continues_an_earlier_model_takes_it_along(make_study, train, tmp_path):
    whole, parts = make_study(name="whole"), make_study(name="parts")
    for study in (whole, parts):
        train(study, iterations=3)
    expected = train(whole, iterations=3)
    bundle = prepared(parts, iterations=3)
    away = tmp_path / "away" / "002-dycon"
    shutil.copytree(bundle.run.path, away)
    assert numbers(list(train_bundle(Bundle(away), Control()))) == numbers(expected)


def test_prepared_arrays_take_no_room_of_their_own_and_go_when_the_training_ends(make_study):
    study = make_study()
    bundle = prepared(study)
    files = sorted(bundle.path.glob("*.npy"))
    assert [path.name for path in files if ".target." in path.name] and len(files) == 6
    assert all(path.stat().st_nlink == 2 for path in files)
    list(train_bundle(bundle, Control()))
    assert not list(bundle.path.glob("*.npy")) and len(list((study.path / "cache").glob("*.npy"))) == 6
    assert [case.case for case in bundle.contents().cases] == [case.id for case in study.cases]


def test_a_disk_without_hard_links_reads_the_cache(make_study, train, monkeypatch):
    whole, parts = make_study(name="whole"), make_study(name="parts")
    expected = train(whole, iterations=3)

    def link(source, target):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    bundle = prepared(parts, iterations=3)
    assert not list(bundle.path.glob("*.npy"))
    assert numbers(list(train_bundle(bundle, Control()))) == numbers(expected)


def test_labels_that_change_after_the_preparation_are_not_seen(make_study, train):
    whole, parts = make_study(name="whole"), make_study(name="parts")
    expected = train(whole, iterations=3)
    bundle = prepared(parts, iterations=3)
    record = parts.cases[0]
    parts.save_annotation(record.id, Annotation.full(np.zeros(record.shape, np.uint8)), "autosave")
    prepared(parts, iterations=3)  # renews the cache
    assert numbers(list(train_bundle(bundle, Control()))) == numbers(expected)


def test_arrays_of_which_the_cache_has_no_file_any_more_are_written_anew(make_study, train):
    whole, parts = make_study(name="whole"), make_study(name="parts")
    expected = train(whole, iterations=3)
    add = Bundle.add

    def late(self, case, files, *more):
        files["target"].unlink(missing_ok=True) if "target" in files else None
        return add(self, case, files, *more)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Bundle, "add", late)
        bundle = prepared(parts, iterations=3)
    assert numbers(list(train_bundle(bundle, Control()))) == numbers(expected)


@pytest.mark.parametrize("fault", ["gone", "cut", "flipped", "other"])
def test_a_damaged_array_is_not_trained_on(make_study, fault):
    bundle = prepared(make_study())
    path = next(bundle.path.glob("*.image.npy"))
    content = bytearray(path.read_bytes())
    path.unlink()
    if fault == "cut":
        path.write_bytes(content[:-5])
    elif fault == "flipped":
        content[-1] ^= 1
        path.write_bytes(content)
    elif fault == "other":
        np.save(path, np.zeros((3, 3, 3), np.float16))
    with pytest.raises(TrainingError, match="missing or damaged; remove the folder cache"):
        list(train_bundle(bundle, Control()))
    assert not (bundle.run.path / "events.jsonl").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 2}', None])
def test_a_damaged_bundle_is_told_in_a_sentence(make_study, content):
    bundle = prepared(make_study())
    file = bundle.path / "bundle.json"
    file.unlink() if content is None else file.write_text(content)
    with pytest.raises(TrainingError, match="prepared with is missing or damaged"):
        list(train_bundle(bundle, Control()))


@pytest.mark.parametrize(
    "name", ["../../../../evil.npy", "/etc/evil.npy", "a/../b.npy", "a\\b.npy", "evil.txt"]
)
def test_a_bundle_leads_nowhere_else(make_study, name):
    bundle = prepared(make_study())
    file = bundle.path / "bundle.json"
    content = json.loads(file.read_text())
    content["cases"][0]["arrays"]["image"]["file"] = name
    file.write_text(json.dumps(content))
    with pytest.raises(TrainingError, match="names a file outside"):
        make_start(bundle)


def test_what_does_not_fit_into_memory_is_mapped(make_study):
    bundle = prepared(make_study())
    whole, none = bundle.cases(2**30), bundle.cases(0)
    assert all(isinstance(case.image, np.memmap) for case in none)
    assert not any(isinstance(case.image, np.memmap) for case in whole)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(whole, none, strict=True))


KILLED = """
import os, signal, sys
from napari_dycon.engine.control import Control
from napari_dycon.engine.events import StepFinished
from napari_dycon.engine.bundle import Bundle
from napari_dycon.engine.trainer import train
from pathlib import Path

for event in train(Bundle(Path(sys.argv[1])), Control()):
    if isinstance(event, StepFinished) and event.iteration == 2:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_training_leaves_is_let_go_and_the_run_begins_anew_from_the_same_model(
    make_study, train
):
    whole, study = make_study(name="whole"), make_study()
    for one in (whole, study):
        train(one, iterations=3)
    expected = train(whole, iterations=5)
    bundle = prepared(study, iterations=5)
    command = [sys.executable, "-c", KILLED, str(bundle.run.path)]
    assert subprocess.run(command, check=False).returncode == -9
    assert list(bundle.path.glob("*.npy")) and bundle.start is not None
    bundles.drop_abandoned([bundle.run.path])
    assert not list(bundle.path.glob("*.npy")) and bundle.start is not None
    events = train(study, None, resume=True, run_id=bundle.run.run)
    assert numbers(events) == numbers(expected)
    assert [e.iteration for e in events if isinstance(e, StepFinished)] == [1, 2, 3, 4, 5]


def test_a_bundle_that_waits_for_its_training_is_not_let_go(make_study):
    study = make_study()
    bundle = prepared(study)
    prepared(study)
    assert list(bundle.path.glob("*.npy"))
