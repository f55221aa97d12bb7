"""The list of cases as one works through it: on and back, marked, removed and put back, left and resumed."""

from operator import attrgetter

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_dycon.study.study import Study


def errors(notes):
    return [text for level, text in notes if level == "error"]


def go(opened, intention, case):
    intention()
    opened.wait(lambda: opened.session.cases.case_id == case)


def test_the_next_case_is_saved_before_and_follows_the_list_as_it_is_shown(opened):
    session = opened.session
    session.cases.list.set_order(["gamma", "alpha", "beta"])
    opened.paint((4, 10, 8), value=3)
    go(opened, session.cases.open_next, "beta")
    assert (opened.study.annotation("alpha").labels == 3).any(), "what was painted is on disk"
    go(opened, session.cases.open_next, "gamma")
    go(opened, session.cases.open_next, "alpha")


def test_complete_cases_are_passed_over_unless_they_are_to_be_reviewed(opened):
    session = opened.session
    opened.open("beta")
    session.labels.complete_case()
    opened.wait(lambda: opened.study.case("beta").status == "complete")
    opened.open("alpha")
    go(opened, session.cases.open_next, "gamma")
    session.cases.list.review(["beta"], True)
    opened.open("alpha")
    go(opened, session.cases.open_next, "beta")


def test_one_can_go_back_over_the_cases_that_were_open(opened):
    session = opened.session
    for case in ("gamma", "beta"):
        opened.open(case)
    go(opened, session.cases.open_previous, "gamma")
    go(opened, session.cases.open_previous, "alpha")
    session.cases.open_previous()
    assert session.cases.case_id == "alpha"


def test_notes_and_marks_are_on_disk_and_in_the_rows(opened, study_path):
    session = opened.session
    session.cases.list.set_note("beta", "  motion\nat the apex ")
    session.cases.list.flag(["alpha", "beta"], True)
    session.cases.list.review(["beta"], True)
    rows = {row.id: row for row in session.cases.list.rows()}
    assert rows["beta"].note == "motion at the apex"
    assert (rows["alpha"].flagged, rows["alpha"].to_review) == (True, False)
    opened.wait(lambda: not session.study.notebook.changed)
    with Study.open(study_path, read_only=True) as reader:
        assert reader.notebook.page("beta").to_review
    session.cases.list.flag(["alpha"], False)
    assert not {row.id: row for row in session.cases.list.rows()}["alpha"].flagged


def test_time_at_work_is_counted_for_the_open_case(opened):
    session = opened.session
    opened.qtbot.wait(60)
    opened.viewer.dims.set_current_step(0, 3)
    opened.open("beta")
    seconds = {row.id: row.seconds for row in session.cases.list.rows()}
    assert seconds["alpha"] > 0
    assert seconds["gamma"] == 0


def test_a_case_opened_again_is_shown_as_it_was_left(opened):
    session, viewer = opened.session, opened.viewer
    session.views.show_plane("coronal")
    viewer.dims.set_point(1, 7.0)
    viewer.scene.camera.zoom = 9.5
    viewer.scene.camera.center = (0, 11.0, 4.0)
    here = session._presenter.slices.current_slice()
    opened.open("beta")
    assert session._presenter.slices.plane_on_screen()[0] == "coronal"
    session.views.show_plane("axial")
    opened.open("alpha")
    assert session._presenter.slices.current_slice() == here
    assert viewer.scene.camera.zoom == 9.5
    assert tuple(viewer.scene.camera.center)[1:] == (11.0, 4.0)


def test_the_brush_stays_in_the_hand_from_case_to_case(opened):
    layer = opened.layer("annotation")
    layer.mode, layer.brush_size = "paint", 5
    for case in ("beta", "gamma", "alpha"):
        opened.open(case)
        assert (str(opened.layer("annotation").mode), opened.layer("annotation").brush_size) == ("paint", 5)


def test_a_study_opened_again_goes_on_where_it_was_left(opened, make_session, study_path, qtbot):
    session, viewer = opened.session, opened.viewer
    opened.open("gamma")
    session.structures.select(3)
    session.views.show_plane("sagittal")
    viewer.dims.set_point(2, 4.0)
    viewer.scene.camera.zoom = 6.25
    layer = opened.layer("annotation")
    layer.mode, layer.brush_size = "erase", 17
    here = session._presenter.slices.current_slice()
    session.close()
    other = ViewerModel()
    again = make_session(other)
    again.open_study(study_path)
    qtbot.waitUntil(lambda: again.cases.case_id is not None, timeout=15_000)
    assert again.cases.case_id == "gamma"
    assert again._presenter.slices.current_slice() == here
    assert again._presenter.slices.plane_on_screen()[0] == "sagittal"
    assert other.scene.camera.zoom == 6.25
    assert (str(other.layers["annotation"].mode), other.layers["annotation"].brush_size) == ("erase", 17)
    assert again.structures.active_value == 3


def test_a_view_in_3d_is_come_back_to(opened):
    viewer = opened.viewer
    viewer.dims.ndisplay = 3
    viewer.scene.camera.angles = (10.0, 20.0, 30.0)
    opened.open("beta")
    viewer.dims.ndisplay = 2
    opened.open("alpha")
    assert viewer.dims.ndisplay == 3
    assert tuple(viewer.scene.camera.angles) == (10.0, 20.0, 30.0)


def test_a_removed_case_goes_and_the_next_one_is_shown_and_it_can_be_put_back(opened):
    session = opened.session
    opened.paint((4, 10, 8), value=3)
    painted = opened.layer("annotation").data.copy()
    session.cases.list.set_note("alpha", "keep")
    session.cases.remove(["alpha"])
    opened.wait(lambda: session.cases.case_id == "beta")
    assert [row.id for row in session.cases.list.rows()] == ["beta", "gamma"]
    (item,) = session.cases.list.removed_cases()
    assert item.name == "alpha"
    session.cases.restore(item.folder)
    opened.wait(lambda: session.cases.case_id == "alpha")
    assert np.array_equal(opened.layer("annotation").data, painted)
    assert {row.id: row.note for row in session.cases.list.rows()}["alpha"] == "keep"


def test_removing_another_case_leaves_the_open_one_on_screen(opened):
    opened.session.cases.remove(["gamma"])
    opened.wait(lambda: len(opened.session.cases.list.rows()) == 2)
    opened.rest()
    assert opened.session.cases.case_id == "alpha"
    assert opened.layer("annotation").editable


def test_when_the_last_case_is_removed_nothing_can_be_painted(opened):
    opened.session.cases.remove(["alpha", "beta", "gamma"])
    opened.wait(lambda: opened.session.cases.case_id is None)
    assert not opened.layer("annotation").visible
    assert not opened.layer("annotation").editable
    assert len(opened.session.cases.list.removed_cases()) == 3


def test_whose_cases_are_is_on_disk_and_told_with_what_it_was(opened, notes, study_path):
    cases = opened.session.cases.list
    cases.set_patient(["alpha", "beta"], "P1")
    assert "2 cases are now of patient P1; they were patients of their own." in notes[-1][1]
    assert [row.patient for row in cases.rows()] == ["P1", "P1", ""]
    with Study.open(study_path, read_only=True) as reader:
        assert [case.patient for case in reader.cases] == ["P1", "P1", "gamma"]
    cases.set_patient(["alpha"], "")
    assert "alpha is now a patient of its own; it was of patient P1." in notes[-1][1]
    cases.set_patient(["alpha"], "")
    assert "Nothing was changed" in notes[-1][1]
    assert cases.patients() == {"alpha": "alpha", "beta": "P1", "gamma": "gamma"}


def test_a_removal_that_fails_says_so_and_shows_the_case_again(opened, notes, monkeypatch):
    monkeypatch.setattr(
        "napari_dycon.study.store.removing._copy", lambda *_: (_ for _ in ()).throw(OSError(28, "Full"))
    )
    opened.paint((4, 10, 8), value=3)
    opened.session.cases.remove(["alpha"])
    opened.wait(lambda: bool(errors(notes)))
    opened.rest()
    assert "was not removed" in errors(notes)[0]
    assert opened.session.cases.case_id == "alpha"
    assert opened.layer("annotation").visible
    assert opened.layer("annotation").editable


def test_no_case_is_removed_while_the_model_learns(opened, engine, notes):
    engine.step_seconds = 0.2
    opened.session.training.train("dycon", 1)
    opened.session.cases.remove(["beta"])
    assert "under way" in errors(notes)[0]
    assert len(opened.session.cases.list.rows()) == 3
    opened.session.tasks.stop()
    opened.rest()


@pytest.mark.parametrize(
    ("intention", "arguments"),
    [("list.set_note", ("beta", "x")), ("list.flag", (["beta"], True)), ("remove", (["beta"],))],
)
def test_who_only_looks_changes_nothing(opened, make_session, study_path, notes, intention, arguments):
    other = make_session()
    other.open_study(study_path)
    opened.wait(lambda: other.cases.case_id is not None)
    attrgetter(intention)(other.cases)(*arguments)
    assert "only look" in errors(notes)[-1]
    assert len(other.cases.list.rows()) == 3
    assert not other.cases.list.rows()[1].note
    assert other.cases.list.removed_cases() == []
