"""Merging and removing structures: asked first, done in every case, nothing else lost."""

from operator import attrgetter

import numpy as np
import pytest

from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Known

ATRIUM, VALVE = 1, 3


def errors(notes):
    return [text for level, text in notes if level == "error"]


def ask(opened, intention, *arguments):
    attrgetter(intention)(opened.session)(*arguments)
    opened.wait(lambda: opened.session.dialogue.question is not None)
    opened.rest()
    return opened.session.dialogue.question


def answer(opened, key):
    opened.session.dialogue.answer(key)
    opened.rest()
    opened.wait(lambda: opened.session.cases.case_id is not None)


@pytest.fixture
def painted(opened):
    """Two cases with both structures, the second open; its strokes are not saved yet."""
    opened.paint((4, 10, 8), value=ATRIUM)
    opened.paint((2, 10, 8), value=VALVE)
    opened.open("beta")
    opened.paint((5, 5, 5), value=ATRIUM)
    opened.paint((7, 5, 5), value=VALVE)
    return opened


def test_a_merge_asks_first_and_tells_how_many_cases_it_is_about(painted):
    question = ask(painted, "structures.merge", VALVE, ATRIUM)
    assert question.text == "Merge “valve” into “atrium” in 2 cases?"
    answer(painted, "cancel")
    assert len(painted.study.structures) == 2
    assert (painted.layer("annotation").data == VALVE).any()


def test_a_merge_reaches_every_case_and_the_one_on_screen_with_its_last_strokes(painted):
    painted.session.structures.select(VALVE)
    before = painted.layer("annotation").data.copy()
    ask(painted, "structures.merge", VALVE, ATRIUM)
    answer(painted, "change")
    assert painted.session.cases.case_id == "beta"
    shown = painted.layer("annotation").data
    assert np.array_equal(shown == ATRIUM, before > 0)
    assert painted.layer("annotation").editable
    assert painted.session.structures.active_value == ATRIUM
    assert painted.layer("annotation").selected_label == ATRIUM
    for case in ("alpha", "beta"):
        saved = painted.study.annotation(case)
        assert set(np.unique(saved.labels)) == {0, ATRIUM}
        assert (saved.labels == ATRIUM).sum() == (saved.known == Known.DRAWN).sum()


def test_a_stroke_after_a_merge_is_kept_and_brings_nothing_back(painted):
    ask(painted, "structures.merge", VALVE, ATRIUM)
    answer(painted, "change")
    painted.layer("annotation").undo()
    painted.paint((9, 5, 5), value=ATRIUM)
    painted.session.save_now()
    path = painted.study.path
    painted.session.close()
    with Study.open(path) as again:
        saved = again.annotation("beta")
        assert set(np.unique(saved.labels)) == {0, ATRIUM}
        assert len(np.unique(np.nonzero(saved.labels)[2])) >= 3
        assert [structure.name for structure in again.structures] == ["atrium"]


@pytest.mark.parametrize(("background", "known"), [(False, Known.UNKNOWN), (True, Known.DRAWN)])
def test_a_removed_structure_becomes_what_was_asked_for(painted, background, known):
    display = painted.session._desk.case.display
    valve = display.apply(painted.session._desk.case.annotation.labels) == VALVE
    question = ask(painted, "structures.remove", VALVE, background)
    assert question.text == "Remove “valve” from 2 cases?"
    answer(painted, "change")
    saved = painted.study.annotation("beta")
    assert (display.apply(saved.known)[valve] == known).all()
    assert not display.apply(saved.labels)[valve].any()
    assert (saved.labels == ATRIUM).any()
    assert [structure.value for structure in painted.session.structures.all] == [ATRIUM]


def test_a_structure_that_nobody_painted_is_removed_after_a_plain_question(opened):
    opened.session.structures.add("vein")
    question = ask(opened, "structures.remove", opened.session.structures.active_value)
    assert question.text == "Remove “vein”?"
    assert [text for _, text in question.answers] == ["Remove", "Cancel"]
    answer(opened, "change")
    assert [structure.name for structure in opened.session.structures.all] == ["atrium", "valve"]
    assert opened.session.structures.active_value == ATRIUM


def test_a_new_structure_does_not_get_the_value_of_one_that_is_gone(painted):
    ask(painted, "structures.remove", ATRIUM)
    answer(painted, "change")
    painted.session.structures.add("vein")
    assert painted.session.structures.active_value == 2
    ask(painted, "structures.remove", 2)
    answer(painted, "change")
    painted.session.structures.add("aorta")
    assert painted.session.structures.active_value == 4


def test_the_last_structure_stays(painted, notes):
    ask(painted, "structures.merge", VALVE, ATRIUM)
    answer(painted, "change")
    painted.session.structures.remove(ATRIUM)
    assert "only structure" in errors(notes)[-1]


def test_no_structure_is_merged_while_training(painted, engine, notes):
    painted.rest()
    engine.step_seconds = 0.1
    painted.session.training.train("dycon", 1)
    painted.session.structures.merge(VALVE, ATRIUM)
    assert "Training is under way" in errors(notes)[-1]
    painted.rest()
    ask(painted, "structures.merge", VALVE, ATRIUM)
    painted.session.training.train("dycon", 1)
    painted.session.dialogue.answer("change")
    assert "Training is under way" in errors(notes)[-1]
    assert painted.session.cases.case_id == "beta"
    painted.rest()
    assert len(painted.session.structures.all) == 2


def test_a_case_opened_meanwhile_shows_what_came_of_it(painted):
    ask(painted, "structures.merge", VALVE, ATRIUM)
    painted.session.dialogue.answer("change")
    painted.session.cases.open("alpha")
    painted.rest()
    painted.wait(lambda: painted.session.cases.case_id == "alpha")
    assert set(np.unique(painted.layer("annotation").data)) == {0, ATRIUM}


def test_where_nothing_can_be_saved_nothing_is_merged_and_the_strokes_stay(painted, notes, monkeypatch):
    ask(painted, "structures.merge", VALVE, ATRIUM)
    painted.paint((9, 5, 5), value=VALVE)
    monkeypatch.setattr(painted.session._desk.saving, "flush", lambda: False)
    before = painted.layer("annotation").data.copy()
    answer(painted, "change")
    assert "cannot be saved" in errors(notes)[-1]
    assert len(painted.session.structures.all) == 2
    assert np.array_equal(painted.layer("annotation").data, before)
    assert painted.layer("annotation").editable
    monkeypatch.undo()
    painted.session.save_now()
    assert (painted.study.annotation("beta").labels == VALVE).sum() == (before == VALVE).sum()


def test_a_damaged_annotation_stops_a_merge_with_a_sentence(painted, notes):
    painted.session.save_now()
    path = painted.study.path / "annotations" / "alpha.known.nii.gz"
    ask(painted, "structures.merge", VALVE, ATRIUM)
    path.write_bytes(b"damaged")
    answer(painted, "change")
    assert "alpha" in errors(notes)[-1]
    assert len(painted.session.structures.all) == 2
    assert (painted.layer("annotation").data == VALVE).any()


def test_a_prediction_of_before_speaks_of_the_structures_of_today(painted):
    painted.session.training.train("dycon", 1)
    painted.wait(lambda: painted.session.cases.has_prediction)
    painted.rest()
    predicted = painted.layer("prediction").data == ATRIUM
    ask(painted, "structures.merge", ATRIUM, VALVE)
    answer(painted, "change")
    assert predicted.any()
    assert np.array_equal(painted.layer("prediction").data == VALVE, predicted)
    painted.session.regions.decide("accept", "case")
    painted.rest()
    assert set(np.unique(painted.layer("annotation").data)) == {0, VALVE}


def test_structures_of_a_study_that_is_only_looked_at_stay(painted, make_session, notes):
    other = make_session()
    other.open_study(painted.study.path)
    other.structures.merge(VALVE, ATRIUM)
    assert "only look" in errors(notes)[-1]
    assert other.dialogue.question is None


@pytest.mark.parametrize("name", ["y" * 201, "a\nb", "\u200b"])
def test_a_name_that_cannot_be_is_one_sentence_in_the_window(opened, notes, name):
    before = [structure.name for structure in opened.session.structures.all]
    opened.session.structures.add(name)
    assert "There can be no such structure" in errors(notes)[-1]
    assert "validation" not in errors(notes)[-1]
    assert [structure.name for structure in opened.session.structures.all] == before


def said(notes):
    return [text for _, text in notes]


def test_a_stroke_goes_around_a_locked_structure_and_that_is_told(opened, notes):
    layer, structures = opened.layer("annotation"), opened.session.structures
    opened.paint((4, 10, 8), value=ATRIUM)
    before = layer.data == ATRIUM
    structures.change([ATRIUM], "locked", True)
    structures.select(VALVE)
    layer.brush_size = 9
    with layer.block_history():
        layer.paint((4, 10, 8), VALVE)
        layer.paint((4, 10, 8), 0)
        layer.paint((4, 10, 8), VALVE)
    layer.brush.tell_stopped()
    assert (layer.data[before] == ATRIUM).all() and (layer.data == VALVE).any()
    assert said(notes)[-1] == "“atrium” is locked and stayed as it was."
    layer.fill((4, 10, 8), VALVE)
    assert (layer.data[before] == ATRIUM).all()
    structures.change([ATRIUM], "locked", False)
    with layer.block_history():
        layer.paint((4, 10, 8), VALVE)
    assert (layer.data[before] == VALVE).all()


def test_what_another_program_writes_over_a_locked_structure_is_put_back(opened):
    layer = opened.layer("annotation")
    opened.paint((4, 10, 8), value=ATRIUM)
    before = layer.data == ATRIUM
    opened.session.structures.change([ATRIUM], "locked", True)
    layer.data_setitem(np.nonzero(before), VALVE)
    assert (layer.data[before] == ATRIUM).all()
    layer.data = np.zeros_like(layer.data)
    opened.session.cases._desk.case.editor.reconcile()  # as it is before each save
    assert (layer.data[before] == ATRIUM).all()


def test_a_locked_structure_is_neither_merged_nor_removed_nor_asked_about(painted, notes):
    painted.session.structures.change([VALVE], "locked", True)
    painted.session.structures.merge(VALVE, ATRIUM)
    painted.session.structures.remove(VALVE)
    assert painted.session.dialogue.question is None
    assert errors(notes)[-2:] == ["“valve” is locked, and this would change it: unlock it first."] * 2
    assert [one.locked for one in Study.open(painted.study.path, read_only=True).structures] == [False, True]


def test_a_hidden_structure_is_not_seen_until_it_is_painted_with(opened, notes):
    structures = opened.session.structures
    structures.change([ATRIUM], "hidden", True)
    for role in ("annotation", "prediction"):
        colours = opened.layer(role).colormap
        assert colours.map(np.uint8(ATRIUM))[3] == 0 and colours.map(np.uint8(VALVE))[3] == 1
    structures.select(ATRIUM)
    opened.paint((4, 10, 8), value=ATRIUM)
    assert not structures.active.hidden
    assert opened.layer("annotation").colormap.map(np.uint8(ATRIUM))[3] == 1
    assert "“atrium” was hidden, and is shown again." in said(notes)


def test_structures_are_listed_and_stepped_through_by_group(opened, notes):
    structures = opened.session.structures
    structures.add("vein")
    structures.change([ATRIUM], "group", "heart")
    assert [one.name for one in structures.all] == ["valve", "vein", "atrium"]
    structures.select(ATRIUM)
    structures.step(1)
    assert structures.active.name == "valve"
    structures.change([ATRIUM], "group", "x" * 50)
    assert "its group has a name of up to 40 letters" in errors(notes)[-1]
