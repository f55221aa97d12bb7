"""A model of elsewhere is looked at, taken over whole or not at all, and one of this study is kept."""

import pytest
import torch

from napari_dycon.engine.models.library import keep_model, kept_models
from napari_dycon.engine.models.model import Model
from napari_dycon.errors import TrainingError
from napari_dycon.plugin.background import library_jobs
from napari_dycon.plugin.background.library_jobs import TakenOver
from napari_dycon.plugin.controllers.library import NO_MODEL, REPLACE
from tests.engine.models.test_library import model

RUN = "001-dycon"


@pytest.fixture
def library(opened):
    opened.rest()
    return opened.session.training.models.library


@pytest.fixture
def heart():
    return keep_model(model("Atrium", "LV"), "Heart")


def consider(opened, library, origin):
    library.consider(origin)
    opened.wait(lambda: library.candidate is not None)
    return library.candidate


def test_a_model_is_looked_at_and_nothing_is_written(opened, library, heart):
    found = consider(opened, library, "heart")
    assert found.name == "Heart" and found.facts == "DyCON, 9 steps; Dice 0.80 on held-out labels there."
    assert found.matching.pairs == {"Atrium": "atrium"}
    library.leave()
    assert library.candidate is None and not opened.study.runs()


def test_what_is_no_model_is_a_sentence(opened, library, tmp_path):
    assert "holds no model" in consider(opened, library, str(tmp_path)).trouble


def test_a_model_that_was_taken_over_predicts_and_its_structures_are_there(
    opened, library, heart, engine, notes, monkeypatch
):
    def take_over(study, found, told, add):
        def source(control):
            (study.path / "runs" / RUN).mkdir(parents=True)
            for name in add:
                study.add_structure(name)
            study.set_active_run(RUN)
            yield TakenOver(RUN)

        return source

    monkeypatch.setattr(library_jobs, "take_over", take_over)
    consider(opened, library, "Heart")
    edited = []
    opened.session.structures.edited.connect(lambda: edited.append(opened.session.structures.all))
    library.take({"Atrium": "atrium"}, ["LV"])
    assert opened.session.tasks.state.kind == "adopting"
    opened.wait(lambda: len(engine.predicted) == 3)
    opened.rest()
    assert [structure.name for structure in edited[-1]] == ["atrium", "valve", "LV"]
    assert [row.run for row in opened.session.training.models.rows] == [RUN]
    assert any("Train goes on from it" in text for _, text in notes)


def test_a_model_that_cannot_be_taken_over_is_a_sentence_and_nothing_follows(
    opened, library, heart, engine, notes, monkeypatch
):
    def fail(*_, **__):
        raise TrainingError("The weights of Heart do not fit its plan.")

    monkeypatch.setattr("napari_dycon.engine.models.adoption.adopt_model", fail)
    consider(opened, library, "Heart")
    library.take({}, ["LV"])
    opened.rest()
    assert "do not fit its plan" in notes[-1][1]
    assert not engine.predicted and not opened.session.training.models.rows


def test_a_model_is_kept_and_one_of_that_name_replaced_on_a_word(opened, library, heart, notes, monkeypatch):
    library.keep("Heart")
    assert notes[-1] == ("error", NO_MODEL)
    (opened.study.path / "runs" / RUN).mkdir(parents=True)
    opened.study.set_active_run(RUN)
    other = model("atrium").description
    monkeypatch.setattr(
        Model, "of_run", lambda path, run: Model(f"{path.name}/{run}", other, {"weight": torch.zeros(1)})
    )
    library.keep("Heart")
    dialogue = opened.session.dialogue
    assert "from last/001-dycon. Replace it?" in dialogue.question.text
    dialogue.answer(REPLACE)
    opened.wait(lambda: [kept.source for kept in library.kept] == [f"study/{RUN}"])
    library.forget("Heart")
    assert library.kept == kept_models() == ()


def test_a_model_is_exported_into_an_empty_folder_alone(opened, library, notes, tmp_path):
    (opened.study.path / "runs" / RUN).mkdir(parents=True)
    opened.study.set_active_run(RUN)
    library.export(tmp_path)
    assert "is not empty" in notes[-1][1] and not opened.session.tasks.state.busy


def test_where_a_model_comes_from_is_told_in_the_list(opened, library):
    folder = opened.study.path / "runs" / RUN
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"foreign": true, "continued_from": "last/004-dycon"}')
    opened.study.set_active_run(RUN)
    library.taken.emit()
    opened.rest()
    (row,) = opened.session.training.models.rows
    assert row.text.startswith(f"{RUN} from last/004-dycon, ")
