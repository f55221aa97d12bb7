"""Storage, items 73 and 76 to 81 of docs/explanation/faults.md: what is found when files are read."""

import errno
import json
import shutil
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch

from napari_dycon.engine.checkpoints import Checkpoint, CheckpointFolder
from napari_dycon.engine.events import RunFinished, StepFinished
from napari_dycon.engine.runners.here import Trainer
from napari_dycon.errors import DyconError, StudyError, TrainingError
from napari_dycon.study.exchange import importing
from napari_dycon.study.store.autosave import Autosaver
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation
from napari_dycon.study.truth.editing import AnnotationEditor

TINY = {
    "patch_size": (8, 8, 8),
    "network": {"widths": (4, 8), "strides": ((2, 2, 2),), "projection": 8},
    "overlap": 0.25,
}


@pytest.fixture
def several(study, add_scan, paint):
    """A study with three labelled scans and one that is not."""
    for name in ("lung", "liver", "spine"):
        case = importing.add_scan(study, add_scan(name)).id
        if name != "spine":
            labels = np.zeros(study.cases[0].shape, np.uint8)
            labels[3:8, 3:8, 2:6] = 1
            study.save_annotation(case, Annotation.full(labels), "import")
    torch.set_num_threads(1)
    return study


def train(study, **options):
    return Trainer(study, "supervised", iterations=2, overrides=TINY, device="cpu", holdout=False, **options)


def test_73_a_scan_that_cannot_be_read_is_named_and_the_others_are_trained_on(several, faults):
    scan = several.scan_path("lung")
    faults.arm(scan, errno.EIO, -1, reading=True)
    events = list(train(several).run())
    faults.disarm()
    assert isinstance(events[-1], RunFinished)
    assert events[-1].reason == "budget"
    started = next(event for event in events if hasattr(event, "notes"))
    told = [*started.notes, *(event.text for event in events if hasattr(event, "text"))]
    assert any("lung" in text and "left out" in text for text in told), told


def test_73_without_any_readable_label_training_says_which_scan_and_why(study, faults):
    study.save_annotation("heart", Annotation.full(study.annotation("heart").labels), "import")
    faults.arm(study.scan_path("heart"), errno.EIO, -1, reading=True)
    with pytest.raises(DyconError, match="heart"):
        list(train(study).run())


def test_73_a_scan_that_goes_away_in_mid_training_does_not_end_it(several):
    events = train(several).run()
    for event in events:
        if isinstance(event, StepFinished) and event.iteration == 1:
            for case in several.cases:
                several.scan_path(case.id).unlink()
            break
    assert [event.reason for event in events if isinstance(event, RunFinished)] == ["budget"]


HOLD = """
import sys
from napari_dycon.study.study import Study
study = Study.open(sys.argv[1], read_only=False)
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def holder(study):
    """Another program that has the study open."""
    study.close()
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(study.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout.readline() == "held\n"
    yield other
    other.kill()
    other.communicate()


def test_76_the_second_program_can_only_look_and_is_told_who_works_there(study, holder, paint):
    with Study.open(study.path) as second:
        assert second.read_only
        assert socket.gethostname() in second.notes[-1]
        assert f"process {holder.pid}" in second.notes[-1]
        with pytest.raises(StudyError, match="Nothing was changed"):
            second.save_annotation("heart", paint(5), "autosave")


@pytest.mark.skipif(sys.platform == "win32", reason="has no kill -9")
def test_76_the_lock_of_a_program_that_was_killed_is_free(study, holder, paint, columns):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with Study.open(study.path, read_only=False) as after:
        after.save_annotation("heart", paint(0, 1), "autosave")
    assert columns() == [0, 1]


def test_76_a_note_of_another_computer_that_crashed_holds_nobody_off(study):
    study.close()
    note = {"user": "anna", "host": "ward-3", "process": 1, "since": "2020-01-01T00:00:00+00:00"}
    (study.path / ".study.holder.json").write_text(json.dumps(note))
    (study.path / ".study.lock").write_text("")
    with Study.open(study.path) as after:
        assert not after.read_only


def cut_off(study, paint, monkeypatch):
    """Save up to the instant before the new files take the place of the old ones."""
    with monkeypatch.context() as patch:
        patch.setattr("napari_dycon.study.store.annotation_store._rename", lambda waiting, final: None)
        study.save_annotation("heart", paint(0, 1), "autosave")
    waiting = sorted((study.path / "annotations").glob("*.next.nii.gz"))
    assert len(waiting) == 2
    return waiting


@pytest.mark.parametrize("both", [True, False])
def test_77_a_save_that_counts_is_brought_to_its_end(study, paint, columns, monkeypatch, both):
    waiting = cut_off(study, paint, monkeypatch)
    if not both:
        waiting[0].replace(study.path / "annotations" / "heart.known.nii.gz")
    assert columns() == [0, 1]
    study.close()
    with Study.open(study.path, read_only=False):
        assert columns() == [0, 1]
    assert not list(study.path.rglob("*.next.nii.gz"))


def test_77_a_save_that_does_not_count_yet_leaves_the_one_before(study, paint, columns, monkeypatch):
    record = (study.path / "annotations" / "heart.json").read_bytes()
    cut_off(study, paint, monkeypatch)
    (study.path / "annotations" / "heart.json").write_bytes(record)
    assert columns() == [0]
    study.close()
    with Study.open(study.path, read_only=False):
        assert columns() == [0]
    assert not list(study.path.rglob("*.next.nii.gz"))


@pytest.mark.parametrize("damage", [b"", b"not gzip", None], ids=["empty", "text", "cut"])
@pytest.mark.parametrize("name", ["heart.nii.gz", "heart.known.nii.gz", "heart.json"])
def test_77_damage_is_told_with_what_to_do_and_no_version_is_lost(study, paint, columns, name, damage):
    study.save_annotation("heart", paint(0, 1), "accept")
    file = study.path / "annotations" / name
    file.write_bytes(file.read_bytes()[:-20] if damage is None else damage)
    study.close()
    with Study.open(study.path, read_only=False) as after:
        if name == "heart.json":
            assert "labels are used as they are" in after.notes[0]
            assert columns() == [0, 1]
            after.save_annotation("heart", paint(0, 1, 2), "accept")
            after.save_annotation("heart", paint(0, 1, 2, 3), "accept")
            assert len(list((study.path / "history" / "strays").iterdir())) == 1
        else:
            with pytest.raises(StudyError, match=r"heart is damaged.*Restore an earlier version"):
                after.annotation("heart")
        first = after.annotation_version("heart", 1)
    assert np.flatnonzero(first.labels.any(axis=(1, 2))).tolist() == [0]


def test_77_a_study_with_one_damaged_annotation_opens_and_the_version_before_can_be_restored(
    study, paint, columns
):
    study.save_annotation("heart", paint(0, 1), "accept")
    (study.path / "annotations" / "heart.nii.gz").write_bytes(b"")
    study.close()
    with Study.open(study.path, read_only=False) as after:
        after.restore_version("heart", 1)
    assert columns() == [0]


def test_78_what_is_painted_during_training_waits_for_the_next_round(several, tmp_path):
    first = several.annotation("lung").labels.copy()
    events = train(several).run()
    seen = []
    for event in events:
        if isinstance(event, StepFinished) and event.iteration == 1:
            seen.append(
                {path.name: path.read_bytes() for path in (several.path / "cache").glob("lung.target*.npy")}
            )
            other = Annotation.full(np.roll(first, 2, axis=0))
            several.save_annotation("lung", other, "autosave")
        if isinstance(event, RunFinished):
            seen.append(
                {path.name: path.read_bytes() for path in (several.path / "cache").glob("lung.target*.npy")}
            )
    list(train(several, warm_start=False).run())
    seen.append({path.name: path.read_bytes() for path in (several.path / "cache").glob("lung.target*.npy")})
    assert seen[0] == seen[1], "the round that runs goes on with what it began with"
    assert seen[1].keys() != seen[2].keys(), "the name tells which labels were learned from"
    assert np.load(tmp_path / "study" / "cache" / next(iter(seen[2]))).any()


@pytest.fixture
def editor(study):
    return AnnotationEditor(study.annotation("heart"), study.geometry("heart"))


def draw(editor, x):
    editor.labels[x, 2:7, 3] = 1
    editor.stroke(([x] * 5, range(2, 7), [3] * 5))


def test_79_a_thousand_steps_are_undone_and_done_again_across_saves(study, editor, columns):
    saver = Autosaver(study, lambda case: None, lambda case, text: None)
    rng = np.random.default_rng(0)
    states = [(editor.labels.copy(), editor.known.copy())]
    for _ in range(1000):
        where = tuple(rng.integers(0, size, 6) for size in editor.labels.shape)
        editor.labels[where] = rng.integers(0, 2)
        editor.stroke(where)
        states.append((editor.labels.copy(), editor.known.copy()))
    saver.touch("heart", editor)
    assert saver.flush()
    for expected in reversed(states[:-1]):
        if not (np.array_equal(editor.labels, expected[0]) and np.array_equal(editor.known, expected[1])):
            editor.undo()
        np.testing.assert_array_equal(editor.labels, expected[0])
        np.testing.assert_array_equal(editor.known, expected[1])
    saver.touch("heart", editor)
    assert saver.flush()
    assert columns() == [0], "what was undone after it was saved is undone on disk"
    while editor.redo() is not None:
        pass
    np.testing.assert_array_equal(editor.labels, states[-1][0])
    np.testing.assert_array_equal(editor.known, states[-1][1])
    assert saver.close()


def test_79_undo_after_a_version_was_restored_and_after_a_save(study, editor, columns):
    from napari_dycon.study.truth.edits import difference
    from napari_dycon.study.truth.regions import everything

    saver = Autosaver(study, lambda case: None, lambda case, text: None)
    draw(editor, 1)
    saver.touch("heart", editor)
    saver.flush()
    old = study.annotation_version("heart", 1)
    editor.apply(difference(editor.annotation, old, everything(editor.labels.shape), "Restore", "restore"))
    draw(editor, 2)
    editor.undo()
    editor.undo()
    saver.touch("heart", editor)
    assert saver.close()
    assert columns() == [0, 1]


@pytest.fixture
def checkpoints(study):
    (study.path / "runs" / "001-dycon").mkdir(parents=True)
    folder = CheckpointFolder(study.path / "runs" / "001-dycon" / "checkpoints")
    for step in (1, 2):
        folder.save(Checkpoint(step, {"w": torch.full((500,), float(step))}, {}))
    return folder


DAMAGE = {
    "cut": lambda content: content[: len(content) // 2],
    "bit": lambda content: content[:900] + bytes([content[900] ^ 1]) + content[901:],
    "zeros": lambda content: bytes(len(content)),
    "text": lambda content: b"hello",
    "empty": lambda content: b"",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_80_a_damaged_checkpoint_is_passed_over_for_the_one_before(study, checkpoints, damage):
    newest = max((study.path / "runs" / "001-dycon" / "checkpoints").glob("*.safetensors"))
    newest.write_bytes(damage(newest.read_bytes()))
    found = checkpoints.load()
    assert found.iteration == 1
    assert found.damaged == (2,)
    assert set(found.tensors["w"].tolist()) == {1.0}


def test_80_when_all_are_damaged_that_is_said(study, checkpoints):
    for path in (study.path / "runs" / "001-dycon" / "checkpoints").glob("*"):
        path.write_bytes(b"")
    with pytest.raises(TrainingError, match=r"All checkpoints of run 001-dycon are damaged; train again"):
        checkpoints.load()


def test_81_what_another_version_wrote_into_the_study_file_stays(study):
    study.close()
    content = json.loads((study.path / "study.json").read_text())
    content["reading_room"], content["cases"][0]["scanner"] = "B12", {"field": 3}
    (study.path / "study.json").write_text(json.dumps(content))
    with Study.open(study.path, read_only=False) as after:
        after.add_structure("ventricle")
    after = json.loads((study.path / "study.json").read_text())
    assert (after["reading_room"], after["cases"][0]["scanner"]) == ("B12", {"field": 3})


def test_81_a_newer_study_is_left_alone_in_words(study):
    study.close()
    content = json.loads((study.path / "study.json").read_text()) | {"schema_version": 99}
    (study.path / "study.json").write_text(json.dumps(content))
    before = {path: path.read_bytes() for path in study.path.rglob("*") if path.is_file()}
    with pytest.raises(StudyError, match=r"newer version.*update napari-dycon.*Nothing was changed"):
        Study.open(study.path)
    assert {path: path.read_bytes() for path in study.path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("cut", [0.0, 0.3, 0.99])
def test_81_a_study_file_cut_short_is_replaced_by_its_backup(study, columns, cut):
    study.close()
    main = study.path / "study.json"
    content = main.read_bytes()
    main.write_bytes(content[: int(cut * len(content))])
    with Study.open(study.path, read_only=False) as after:
        assert "backup" in after.notes[0]
        assert [case.id for case in after.cases] == ["heart"]
    assert main.read_bytes() == content
    assert columns() == [0]


def test_81_a_name_of_ten_million_letters_is_refused_or_kept_but_hangs_nothing(study, columns):
    study.close()
    content = json.loads((study.path / "study.json").read_text()) | {"name": "x" * 10_000_000}
    (study.path / "study.json").write_text(json.dumps(content))
    with Study.open(study.path, read_only=False) as after:
        assert len(after.name) in (len("study"), 10_000_000)
        after.add_structure("ventricle")
    assert columns() == [0]


def test_28_a_scan_that_was_replaced_is_told_and_never_overwritten(study, add_scan, paint, columns):
    """Of part A, as it concerns what is on disk."""
    scan = study.scan_path("heart")
    shutil.copy(add_scan("another one"), scan)
    before = scan.read_bytes()
    assert any("changed" in note for note in study.volume("heart").notes)
    study.save_annotation("heart", paint(0, 1), "autosave")
    assert columns() == [0, 1]
    assert scan.read_bytes() == before


def test_67_clock_jumps_make_no_lock_stale_and_lose_no_autosave(study, editor, columns, monkeypatch):
    """The wall clock goes an hour back and a day on; nothing that saves looks at it."""
    import time

    real, saved = time.time, []
    saver = Autosaver(study, saved.append, lambda case, text: None)
    for x, jump in ((1, -3600), (2, 86400), (3, -86400)):
        monkeypatch.setattr(time, "time", lambda jump=jump: real() + jump)
        draw(editor, x)
        saver.touch("heart", editor)
        assert saver.flush()
        with Study.open(study.path) as second:
            assert second.read_only, "a lock does not get old"
    assert columns() == [0, 1, 2, 3]
    assert saver.close()
