"""Models that are kept on this computer for any study."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from napari_dycon.cli import main
from napari_dycon.engine.models import library
from napari_dycon.engine.models.library import forget_model, keep_model, kept_models, open_model
from napari_dycon.engine.models.model import Description, Model
from napari_dycon.engine.plan import Machine, make_plan
from napari_dycon.engine.readiness import Quality
from napari_dycon.errors import TrainingError, VolumeError
from tests.engine.test_plan import study_of

MACHINE = Machine(device="cpu", memory=16 * 2**30, cores=4)


def model(*names: str, held_out: bool = True) -> Model:
    plan = make_plan(study_of((40, 40, 40), names=names), MACHINE)
    found = dict.fromkeys(names, 0.8)
    quality = Quality(iteration=9, dice=found, guess=found, where="2 held-out cases", held_out=held_out)
    description = Description(method="dycon", iteration=9, plan=plan, quality=quality)
    return Model("last/001-dycon", description, {"weight": torch.ones(3)})


@pytest.fixture
def exported(tmp_path) -> Path:
    model("atrium").save(tmp_path / "exported")
    return tmp_path / "exported"


def test_what_is_kept_is_told_and_can_be_read():
    keep_model(model("atrium", "valve"), "Heart (1.25 mm)")
    (kept,) = kept_models()
    assert (kept.name, kept.structures, kept.source) == (
        "Heart (1.25 mm)",
        ("atrium", "valve"),
        "last/001-dycon",
    )
    assert kept.quality == "0.80"
    again = open_model("heart (1.25 MM)")
    assert again.name == "Heart (1.25 mm)" and torch.equal(again.weights["weight"], torch.ones(3))


def test_quality_on_what_was_learned_from_is_told_as_such():
    assert keep_model(model("atrium", held_out=False), "a").quality == "0.80 on what it learned from"


def test_a_name_is_given_once_unless_it_is_to_be_replaced():
    keep_model(model("atrium"), "Heart")
    with pytest.raises(TrainingError, match="called Heart is kept already"):
        keep_model(model("liver"), "heart")
    keep_model(model("liver"), "heart", overwrite=True)
    assert [kept.structures for kept in kept_models()] == [("liver",)]
    forget_model("HEART")
    assert not kept_models()


@pytest.mark.parametrize("name", ["", " ", "../x", "a/b", "x" * 61, "a\nb"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(TrainingError, match="cannot be called"):
        keep_model(model("atrium"), name)
    assert not kept_models()


def test_of_a_copy_that_fails_nothing_stays(monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(library, "write_model", fail)
    with pytest.raises(VolumeError, match="disk is full"):
        keep_model(model("atrium"), "Heart")
    assert not list(library.library_folder().iterdir())


@pytest.mark.parametrize("content", ["{", '{"name": "Another"}', '{"name": "../x", "structures": []}'])
def test_what_cannot_be_read_is_not_listed_and_can_be_replaced(content):
    kept = keep_model(model("atrium"), "Heart")
    (kept.path / library.FILE).write_text(content)
    assert not kept_models()
    keep_model(model("atrium"), "Heart")
    assert [one.name for one in kept_models()] == ["Heart"]


def test_the_command(exported, tmp_path, capsys):
    assert main(["models"]) == 0
    assert "No model is kept yet" in capsys.readouterr().out
    assert main(["models", "--keep", str(exported)]) == 1
    assert main(["models", "Heart", "--keep", str(exported), "--json", str(tmp_path / "a.json")]) == 0
    assert [row["name"] for row in json.loads((tmp_path / "a.json").read_text())["models"]] == ["Heart"]
    assert main(["models"]) == 0
    assert "Heart" in capsys.readouterr().out
    assert main(["models", "Heart", "--remove"]) == 0
    assert main(["models", "Heart"]) == 1
    assert "No model called Heart" in capsys.readouterr().err


def test_what_is_neither_a_folder_nor_kept_is_a_sentence():
    keep_model(model("atrium"), "Heart")
    with pytest.raises(TrainingError, match=r"no folder lungs.*Kept are: Heart"):
        open_model("lungs")
