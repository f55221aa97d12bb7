"""Several readers of a study in the window: signed versions, a blind second reader, agreement, consensus."""

from threading import Event

import numpy as np
import pytest

from napari_dycon.plugin.controllers.question import CANCEL
from napari_dycon.plugin.keys import preferences
from napari_dycon.study.exchange.readers import make_consensus, open_reader
from napari_dycon.study.truth.annotations import Annotation


@pytest.fixture
def readers(opened, monkeypatch):
    """The readers of the session, whose name is kept in a list instead of the preferences."""
    kept = [""]
    monkeypatch.setattr("napari_dycon.plugin.controllers.readers.preferred_reader", lambda: kept[0])
    monkeypatch.setattr(
        "napari_dycon.plugin.controllers.readers.prefer_reader", lambda name: kept.append(name)
    )
    return opened.session.exchange.readers


def block(study, case_id, start):
    labels = np.zeros(study.case(case_id).shape, np.uint8)
    labels[start : start + 4, 4:8, 2:6] = 1
    return Annotation.full(labels)


def other_reader(study, case_id):
    with open_reader(study, "BK") as own:
        own.save_annotation(case_id, block(study, case_id, 5), "complete")
        return own.path


def test_what_is_drawn_is_kept_with_the_name_of_who_draws(opened, readers, notes):
    readers.call(" AB ")
    study = opened.session.study
    case = opened.session.cases.case_id
    study.save_annotation(case, block(study, case, 4), "complete")
    assert study.versions(case)[0].reader == readers.name == "AB"
    readers.call("x" * 65)
    assert "no such reader" in notes[-1][1]
    assert readers.name == "AB"


def test_the_name_is_known_from_the_start_of_a_study(opened, readers, monkeypatch, study_path):
    monkeypatch.setattr("napari_dycon.plugin.controllers.readers.preferred_reader", lambda: "AB")
    opened.session.close()
    opened.session.open_study(study_path)
    assert opened.session.study.reader == "AB"


def test_a_second_reader_gets_a_study_without_labels_which_is_opened(opened, readers, notes):
    case = opened.session.cases.case_id
    outer = opened.session.study
    outer.save_annotation(case, block(outer, case, 4), "complete")
    readers.invite("BK", opened.session.open_study)
    study = opened.session.study
    assert study.path == outer.path / "readers" / "BK"
    assert {each.status for each in study.cases} == {"unlabelled"}
    readers.call("CD")
    assert "study of BK" in notes[-1][1]
    assert study.reader == "BK"


def test_agreement_is_told_in_a_table_and_a_study_of_one_reader_says_so(opened, readers, notes):
    found = []
    readers.compared.connect(found.append)
    readers.compare()
    assert "Nobody else reads this study yet" in notes[-1][1]
    study, case = opened.session.study, opened.session.cases.case_id
    other_reader(study, case)
    readers.compare()
    opened.wait(lambda: "No case was drawn by two readers" in notes[-1][1])
    study.save_annotation(case, block(study, case, 4), "complete")
    readers.compare()
    opened.wait(lambda: bool(found))
    rows = found[0].rows
    assert [row[:4] for row in rows] == [
        (study.case(case).name, "atrium", "first reader / BK", "0.750"),
        (study.case(case).name, "valve", "first reader / BK", "1.000"),
    ]
    assert len(found[0].columns) == len(rows[0])
    readers.compared.disconnect(found.append)


def test_a_consensus_is_asked_for_shown_in_the_open_case_and_kept_as_a_version(opened, readers, notes):
    study, case = opened.session.study, opened.session.cases.case_id
    study.save_annotation(case, block(study, case, 4), "complete")
    other_reader(study, case)
    readers.decide()
    opened.session.dialogue.answer(CANCEL)
    assert len(study.versions(case)) == 1
    opened.rest()
    readers.decide()
    opened.session.dialogue.answer("agreed")
    opened.wait(lambda: bool(notes) and "1 case holds the consensus" in notes[-1][1])
    assert "left open" in notes[-1][1]
    assert study.versions(case)[0].consensus == ("first reader", "BK")
    opened.wait(lambda: opened.session.cases.case_id == case and opened.layer("annotation").data.any())
    shown = opened.layer("annotation").data
    assert np.count_nonzero(shown == 1) == 3 * 4 * 4


def test_a_consensus_tells_how_far_it_is_and_stops_between_two_cases(opened, readers, notes, monkeypatch):
    study = opened.session.study
    for case in study.cases:
        study.save_annotation(case.id, block(study, case.id, 4), "complete")
        other_reader(study, case.id)
    fractions = []

    def follow(state):
        fractions.append(state.fraction)
        if state.fraction and state.phase == "running":
            opened.session.tasks.stop()

    opened.session.tasks.changed.connect(follow)
    make, going = make_consensus, Event()

    def one_by_one(*args):
        for event in make(*args):
            yield event
            going.wait(10)  # the second case is under way when it is stopped

    monkeypatch.setattr("napari_dycon.plugin.controllers.readers.make_consensus", one_by_one)
    opened.rest()
    readers.decide()
    opened.session.dialogue.answer("majority")
    opened.wait(lambda: opened.session.tasks.state.phase == "stopping")
    going.set()
    opened.wait(lambda: not opened.session.tasks.state.busy)
    assert any(fraction == pytest.approx(1 / 3) for fraction in fractions if fraction)
    assert "2 cases hold the consensus" in notes[-1][1] and "stopped" in notes[-1][1]
    assert [bool(study.versions(case.id)[0].consensus) for case in study.cases] == [True, True, False]
    opened.session.tasks.changed.disconnect(follow)


def test_preferences_keep_the_name_only_where_napari_knows_the_plugin(monkeypatch):
    def unknown(plugin):
        raise KeyError(plugin)

    monkeypatch.setattr(preferences, "get_plugin_settings", unknown)
    preferences.prefer_reader("AB")
    assert preferences.preferred_reader() == ""
