"""A model to start from is chosen, its structures are matched, and only then anything is asked for."""

import pytest

from napari_dycon.engine.models.library import Kept
from napari_dycon.engine.models.matching import Matching
from napari_dycon.plugin.background.library_jobs import Candidate
from napari_dycon.plugin.widgets import modelbench, modeldialog
from napari_dycon.plugin.widgets.modeldialog import BEHIND, CHOOSE, NEW, READING, SAY_ONE, ModelDialog

KEPT = Kept(
    name="Heart",
    structures=("left atrium", "LV"),
    dice=0.84,
    held_out=True,
    source="last/001-dycon",
    day="2026-11-29",
    method="dycon",
)
REMARK = "It works with voxels of 3 x 3 x 3 mm; scans here have 1 x 1 x 1 mm."


def candidate(*theirs, ours=("Left atrium", "aorta")):
    matching = Matching.by_name(theirs, ours)
    return Candidate("there", "last/001-dycon", "DyCON, 30 steps.", matching, (REMARK,), object())


@pytest.fixture
def asked(make_dock, session, rows):
    session.open_with(rows)
    dock = make_dock()
    dock.ask("start_from")
    (dialog,) = dock.findChildren(ModelDialog)
    session.asked.clear()
    return dialog


def show(session, kept=(KEPT,), found=None, sought=""):
    library = session.training.models.library
    library.kept, library.candidate, library.sought = kept, found, sought
    library.changed.emit()


def choose(dialog, name, text):
    choice = dialog.choices[name]
    choice.setCurrentIndex(choice.findText(text))


def primary(dialog):
    return next(one for one in dialog.buttons.buttons() if one.property("role") == "primary")


def test_without_a_model_it_says_where_they_come_from(asked, session):
    show(session, kept=())
    assert asked.table.isHidden() and not asked.hint.isHidden()
    assert asked.facts.text() == CHOOSE and not primary(asked).isEnabled()


def test_one_that_is_kept_is_looked_at_when_it_is_selected(asked, session):
    show(session)
    texts = [asked.table.item(0, column).text() for column in range(asked.table.columnCount())]
    assert texts == ["Heart", "left atrium, LV", "0.84", "2026-11-29", "last/001-dycon"]
    asked.table.selectRow(0)
    assert session.asked == [("library.consider", str(KEPT.path))]
    show(session, sought=str(KEPT.path))
    assert asked.facts.text() == READING and asked.table.selectedItems()


def test_the_folder_of_any_other_one_can_be_chosen(asked, session, tmp_path, monkeypatch):
    monkeypatch.setattr(modeldialog, "ask_folder", lambda *_: tmp_path)
    asked.elsewhere.click()
    assert session.asked == [("library.consider", str(tmp_path))]


def test_what_comes_of_it_is_told_and_asked_for(asked, session):
    show(session, found=candidate("left atrium", "LV", "valve"))
    assert {name: choice.currentText() for name, choice in asked.choices.items()} == {
        "left atrium": "Left atrium",
        "LV": BEHIND,
        "valve": BEHIND,
    }
    assert "does not know aorta" in asked.sentences.text() and REMARK in asked.sentences.text()
    choose(asked, "LV", "aorta")
    choose(asked, "valve", NEW)
    assert "knows Left atrium, aorta, valve" in asked.sentences.text()
    assert "does not know" not in asked.sentences.text()
    asked.buttons.accepted.emit()
    told = {"left atrium": "Left atrium", "LV": "aorta"}
    assert session.asked[-1] == ("library.take", told, ("valve",))


def test_all_that_is_new_can_come_into_the_study_at_once(asked, session):
    show(session, found=candidate("left atrium", "LV", "valve", "RV"))
    choose(asked, "RV", "aorta")
    asked.add_all.click()
    assert asked.added == ("LV", "valve")
    assert asked.told == {"left atrium": "Left atrium", "RV": "aorta"}


def test_a_structure_of_the_study_is_one_of_the_model_alone(asked, session):
    show(session, found=candidate("left atrium", "LV"))
    choose(asked, "LV", "Left atrium")
    assert asked.choices["left atrium"].currentText() == BEHIND
    assert asked.told == {"left atrium": "", "LV": "Left atrium"}


def test_a_study_without_structures_gets_those_of_the_model(asked, session):
    show(session, found=candidate("LV", ours=()))
    assert asked.added == ("LV",) and primary(asked).isEnabled()


def test_a_model_that_knows_nothing_of_the_study_cannot_be_started_from(asked, session):
    show(session, found=candidate("LV"))
    assert not primary(asked).isEnabled() and SAY_ONE in asked.sentences.text()
    choose(asked, "LV", "aorta")
    assert primary(asked).isEnabled()


def test_what_cannot_be_used_is_a_sentence(asked, session):
    show(session, found=Candidate("there", trouble="The weights are damaged."))
    assert asked.facts.text() == "The weights are damaged." and not primary(asked).isEnabled()
    assert asked.sentences.text() == "" and asked.lines.isHidden()


def test_cancel_asks_for_nothing(asked, session):
    show(session, found=candidate("left atrium"))
    asked.reject()
    assert session.asked == [("library.leave",)]


def test_the_model_of_the_study_can_be_kept_and_exported(make_dock, session, rows, monkeypatch, tmp_path):
    session.open_with(rows)
    session.study.active_run = "001-dycon"
    dock = make_dock()
    monkeypatch.setattr(modelbench, "ask_name", lambda *_: "Heart")
    monkeypatch.setattr(modelbench, "ask_folder", lambda *_: tmp_path)
    dock.ask("keep_model")
    dock.ask("export_model")
    assert session.asked[-2:] == [("library.keep", "Heart"), ("library.export", tmp_path)]


def test_the_button_says_from_what_train_goes_on(make_dock, session, rows):
    session.open_with(rows)
    dock = make_dock()
    assert "begins a new model" in dock.training.models.toolTip()
    session.study.active_run = "003-dycon"
    session.training.models.changed.emit()
    assert "goes on from 003-dycon" in dock.training.models.toolTip()
