"""Checkpoints survive damage and never run what is in them."""

from __future__ import annotations

import json

import pytest
import torch

from napari_dycon.engine.checkpoints import Checkpoint, CheckpointFolder
from napari_dycon.errors import StudyError, TrainingError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "001-dycon").mkdir()
    return CheckpointFolder(tmp_path / "001-dycon" / "checkpoints")


def checkpoint(iteration, value=1.0):
    tensors = {"method.weight": torch.full((2, 3), value), "optimiser.0.step": torch.tensor(iteration)}
    return Checkpoint(iteration, tensors, {"seconds": 1.5, "best_dice": None})


def test_what_was_saved_comes_back(folder):
    folder.save(checkpoint(7))
    loaded = folder.load()
    assert loaded.iteration == 7
    assert loaded.state == {"seconds": 1.5, "best_dice": None}
    assert torch.equal(loaded.part("method")["weight"], torch.ones(2, 3))


def test_memory_order_does_not_matter(folder):
    weight = torch.randn(2, 3, 4, 4, 4).to(memory_format=torch.channels_last_3d)
    folder.save(Checkpoint(1, {"method.w": weight}))
    assert torch.equal(folder.load().part("method")["w"], weight)


def test_two_generations_are_kept(folder):
    for iteration in (1, 2, 3, 4):
        folder.save(checkpoint(iteration))
    assert folder.iterations == [4, 3]


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone", "text"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_older(folder, tmp_path, suffix, damage):
    folder.save(checkpoint(1, 1.0))
    folder.save(checkpoint(2, 2.0))
    path = tmp_path / "001-dycon" / "checkpoints" / f"00000002{suffix}"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    changed = {"flip": bytes(content), "cut": bytes(content[:40]), "empty": b"", "text": b"hello"}
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(changed[damage])
    loaded = folder.load()
    if suffix == ".json" and damage == "flip" and loaded.iteration == 2:
        return  # the flipped bit was in the state, which has no digest of its own
    assert loaded.iteration == 1
    assert float(loaded.part("method")["weight"][0, 0]) == 1.0


def test_all_damaged_is_said(folder, tmp_path):
    folder.save(checkpoint(1))
    (tmp_path / "001-dycon" / "checkpoints" / "00000001.safetensors").write_bytes(b"")
    with pytest.raises(TrainingError, match="001-dycon are damaged"):
        folder.load()


def test_none_is_said(folder):
    with pytest.raises(TrainingError, match="no checkpoint"):
        folder.load()


def test_a_newer_format_is_refused(folder, tmp_path):
    folder.save(checkpoint(1))
    path = tmp_path / "001-dycon" / "checkpoints" / "00000001.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(TrainingError, match="another version"):
        folder.load()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_model_that_is_not_finite_is_never_written(folder, value):
    folder.save(checkpoint(1))
    with pytest.raises(TrainingError, match="not numbers"):
        folder.save(checkpoint(2, value))
    assert folder.iterations == [1]


@pytest.mark.parametrize(
    "stray",
    ["._{}.json", "{} (1).json", "{}.json.icloud", "notes.json", "Thumbs.db", "9.json", "²²².json"],
)
def test_what_other_programs_leave_beside_checkpoints_stops_nothing(folder, stray, tmp_path):
    for iteration in (1, 2, 3, 4):
        folder.save(checkpoint(iteration))
        path = tmp_path / "001-dycon" / "checkpoints" / stray.format(f"{iteration:08d}")
        path.write_bytes(b"\0\5\x16\7")
    assert folder.iterations == [4, 3]
    assert folder.load().iteration == 4


def test_an_old_checkpoint_that_cannot_be_removed_stops_no_training(folder, monkeypatch):
    def refuse(path, missing_ok=False):
        raise PermissionError(13, "held open", str(path))

    folder.save(checkpoint(1))
    folder.save(checkpoint(2))
    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    folder.save(checkpoint(3))
    assert folder.load().iteration == 3


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_never_reaches_a_checkpoint(folder, value):
    folder.save(checkpoint(1))
    with pytest.raises(StudyError, match="no number"):
        folder.save(Checkpoint(2, {"w": torch.ones(1)}, {"best_dice": value}))
    assert folder.load().iteration == 1
