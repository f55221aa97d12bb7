"""What becomes of suggested places is written into the study, and counted against the prediction."""

from dataclasses import replace

import pytest

from napari_dycon.errors import VolumeError
from napari_dycon.plugin.background import jobs, place_jobs
from napari_dycon.plugin.controllers.timesheet import TimeSheet
from napari_dycon.study.store.place_log import PLACES_FILE, add_place, read_places

CASE = "beta"
PIXEL_MM2 = 0.7 * 0.7
SLICE, INSIDE = 16 * 14, 8 * 8
"""Voxels of the suggested slice, and of the prediction on it."""


class Desk:
    """The session with its first place on the predicted case ``beta``."""

    def __init__(self, opened):
        self.opened, self.session = opened, opened.session

    @property
    def here(self):
        return self.session.suggestions.here

    @property
    def case(self):
        return self.session._desk.case

    def log(self):
        record = self.session.suggestions.record
        self.opened.wait(lambda: not record._queue.busy)
        return read_places(self.opened.study.path).entries

    def go(self):
        self.session.suggestions.step()
        self.opened.wait(lambda: self.here is not None and self.session.cases.case_id == CASE)
        self.opened.rest()

    def correct(self, source=(3, 7, 2), value=3):
        """Paint one voxel of the slice."""
        display = self.case.display
        where = [0, 0, 0]
        for axis, index in enumerate(source):
            shown, place = display.to_display(axis, index)
            where[shown] = place
        self.opened.paint(tuple(where), value, size=1)


@pytest.fixture
def desk(opened, engine):
    study = opened.study
    study.set_active_run(study.new_run("dycon"))
    for case in study.cases:
        engine.predict(study, study.active_run, case.id)
    opened.rest()
    engine.suggestion = lambda case: place(case, study.active_run)
    opened.session.suggestions.look()
    opened.rest()
    return Desk(opened)


def place(case, run):
    from tests.plugin.conftest import Engine

    found = Engine.suggestion(case)
    return type(found)(**{**found.to_dict(), "box": found.box, "strategy": "ours", "run": run})


def test_a_corrected_place_is_put_down_with_what_was_changed_and_how_long_it_took(desk, monkeypatch):
    seconds = iter([100.0, 112.5])
    monkeypatch.setattr(TimeSheet, "seconds", property(lambda sheet: next(seconds, 200.0)))
    desk.go()
    assert desk.log() == ()
    desk.session.regions.decide("accept", "slice")
    desk.correct()
    desk.session.suggestions.finish()
    (entry,) = desk.log()
    assert (entry.case, entry.level, entry.plane, entry.axis, entry.index) == (CASE, "slice", "coronal", 1, 7)
    assert (entry.outcome, entry.kind, entry.strategy, entry.run) == ("done", "chosen", "ours", "001-dycon")
    assert (entry.looked, entry.accepted, entry.changed, entry.covered) == (SLICE, SLICE - 1, 1, INSIDE)
    assert entry.changed_mm2 == pytest.approx(PIXEL_MM2, abs=0.01)
    assert entry.changed_mm3 == pytest.approx(0.7**3, abs=0.01)
    assert entry.seconds == 12.5 and entry.when


def test_a_slice_that_is_completed_as_empty_has_all_of_the_prediction_changed(desk):
    desk.go()
    desk.session.labels.toggle_slice_complete()
    assert desk.log() == ()  # the person may go on correcting
    desk.opened.open("gamma")
    (entry,) = desk.log()
    assert (entry.outcome, entry.changed, entry.looked) == ("done", INSIDE, SLICE)


def test_a_place_that_was_worked_on_and_left_without_a_word_is_put_down_as_corrected(desk):
    desk.go()
    desk.correct()
    desk.opened.open("gamma")
    (entry,) = desk.log()
    assert (entry.outcome, entry.changed, entry.looked) == ("corrected", 1, 1)


def test_a_place_that_a_person_found_alone_counts_without_time_and_work_elsewhere_does_not(desk):
    desk.opened.open(CASE)
    desk.session.views.show_plane("coronal")
    desk.opened.viewer.dims.set_current_step(1, desk.case.display.to_display(1, 3)[1])
    desk.correct((3, 3, 2))
    desk.opened.open("gamma")
    assert desk.log() == ()
    desk.opened.open(CASE)
    desk.session.views.show_plane("coronal")
    desk.opened.viewer.dims.set_current_step(1, desk.case.display.to_display(1, 7)[1])
    desk.correct()
    desk.opened.open("gamma")
    (entry,) = desk.log()
    assert entry.outcome == "corrected" and entry.seconds is None


def test_one_paints_with_the_structure_that_a_place_is_about_and_the_tool_stays_in_the_hand(desk):
    layer = desk.opened.layer("annotation")
    desk.session.structures.select(3)
    layer.mode = "pan_zoom"
    desk.go()
    assert desk.session.structures.active_value == layer.selected_label == 1
    assert layer.mode == "pan_zoom"


def test_looking_only_is_no_work(desk):
    desk.go()
    desk.opened.open("gamma")
    assert desk.log() == ()


def test_what_was_skipped_stays_skipped_over_a_restart_and_is_not_searched_again(desk):
    desk.go()
    desk.session.suggestions.skip()
    (entry,) = desk.log()
    assert (entry.outcome, entry.changed, entry.changed_mm2) == ("skipped", None, None)
    path = desk.opened.study.path
    desk.session.close()
    desk.session.open_study(path)
    desk.opened.rest()
    assert [one.index for one in read_places(path).skipped] == [7]


def test_what_waits_is_written_when_the_study_is_closed(desk):
    desk.go()
    desk.correct()
    path = desk.opened.study.path
    desk.session.close()
    (entry,) = read_places(path).entries
    assert entry.outcome == "corrected"


def test_a_disk_that_is_full_costs_no_line(desk, monkeypatch, notes):
    def full(folder, entry):
        raise VolumeError("The disk is full.")

    desk.go()
    monkeypatch.setattr(place_jobs, "add_place", full)
    desk.correct()
    desk.session.suggestions.finish()
    desk.opened.wait(lambda: any("What became of suggestions is not saved" in text for _, text in notes))
    monkeypatch.setattr(place_jobs, "add_place", add_place)
    desk.opened.wait(lambda: not desk.session.suggestions.record._queue.busy)
    desk.session.suggestions.record.close()
    assert [one.outcome for one in read_places(desk.opened.study.path).entries] == ["done"]


def test_a_study_that_is_only_looked_at_gets_no_log(desk, make_session, qtbot):
    other = make_session()
    other.open_study(desk.opened.study.path)
    qtbot.waitUntil(lambda: other.cases.case_id is not None and not other._chores.busy, timeout=15000)
    assert other.study.read_only
    other.suggestions.step()
    qtbot.waitUntil(lambda: other.suggestions.here is not None and not other._loads.busy, timeout=15000)
    other.suggestions.skip()
    other.close()
    assert not (desk.opened.study.path / PLACES_FILE).exists()


def test_a_whole_case_is_counted_in_the_background(desk):
    one = desk.session.suggestions.places[0]
    whole = type(one)(**{**one.to_dict(), "box": ((0, 16), (0, 18), (0, 14)), "level": "case"})
    desk.session.suggestions._show([whole])
    desk.go()
    desk.session.suggestions.record.find(whole)
    desk.log()
    desk.session.regions.decide("accept", "case")
    desk.opened.rest()
    desk.correct((3, 3, 2))
    desk.session.suggestions.finish()
    (entry,) = desk.log()
    assert (entry.level, entry.outcome, entry.changed_mm2) == ("case", "done", None)
    assert (entry.looked, entry.changed) == (16 * 18 * 14, 1)


def test_what_suggestions_brought_is_told_once_enough_was_done(desk, notes):
    verdict, path = desk.session.suggestions.verdict, desk.opened.study.path
    desk.go()
    assert verdict.line == ""
    desk.correct()
    desk.session.suggestions.finish()
    desk.opened.wait(lambda: "1 of 8 chosen and 0 of 4 random" in verdict.line)
    (first,) = desk.log()
    for number in range(7):
        add_place(path, first.model_copy(update={"case": f"c{number}", "changed_mm2": 6.0}))
    for number in range(4):
        add_place(path, first.model_copy(update={"case": f"r{number}", "kind": "random"}))
    with (path / PLACES_FILE).open("ab") as file:
        file.write(b"{damaged")
    verdict.look()
    desk.opened.wait(lambda: verdict.line.startswith("Suggested places: 5.3 mm² mended a slice"))
    assert "difference" in verdict.details and "unread cases" in verdict.details
    assert sum("1 line of suggestions.jsonl" in text for _, text in notes) == 1
    verdict.look()
    desk.opened.wait(lambda: not verdict._queue.busy)
    assert sum("1 line of suggestions.jsonl" in text for _, text in notes) == 1
    desk.session.close()
    assert verdict.line == ""


def complete(desk, index):
    """Open the case by its row, and declare a coronal slice complete."""
    desk.opened.open(CASE)
    desk.opened.rest()
    display = desk.case.display
    desk.opened.viewer.dims.order = (1, 0, 2)
    desk.opened.viewer.dims.set_current_step(*display.to_display(1, index))
    desk.session.labels.toggle_slice_complete()


def test_a_place_that_is_completed_on_another_way_is_ticked_off(desk):
    suggestions = desk.session.suggestions
    complete(desk, 7)
    assert suggestions.index == -1 and not suggestions.waiting
    assert [suggestions.state_of(place) for place in suggestions.places] == ["done"]
    suggestions.take(jobs.SuggestionsReady(tuple(suggestions.places)))
    assert suggestions.waiting
    desk.opened.open("alpha").open(CASE)
    assert not suggestions.waiting


@pytest.mark.parametrize(("kind", "waits"), [("first", False), ("chosen", True)])
def test_a_slice_beside_a_complete_one_is_no_first_slice_any_more(desk, kind, waits):
    suggestions = desk.session.suggestions
    (one,) = suggestions.places
    suggestions._show([replace(one, kind=kind)])
    complete(desk, 6)
    assert bool(suggestions.waiting) == waits


PIECE = ((2, 10), (3, 12), (1, 9))


@pytest.mark.parametrize("what", ["accept", "reject"])
def test_a_region_is_decided_with_one_key_wherever_the_pointer_is(desk, what, notes):
    one = desk.session.suggestions.places[0]
    region = {**one.to_dict(), "box": PIECE, "level": "region", "voxel": (5, 7, 4)}
    desk.session.suggestions._show([type(one)(**region)])
    desk.go()
    assert desk.session._presenter.slices.current_slice() == (1, 7)
    assert desk.session.suggestions.piece == (5, 7, 4)
    desk.session.suggestions.finish()
    assert "not decided yet" in notes[-1][1]
    desk.session.actions.perform(f"{what}_piece")
    desk.opened.rest()
    suggestions = desk.session.suggestions
    desk.opened.wait(lambda: suggestions.state_of(suggestions.places[0]) == "done")
    assert suggestions.piece is None and not suggestions.waiting
    labels, known = desk.case.annotation.labels[5, 7, 4], desk.case.annotation.known[5, 7, 4]
    assert (labels, known) == ((1, 2) if what == "accept" else (0, 1))
    desk.session.suggestions.finish()
    (entry,) = desk.log()
    assert (entry.level, entry.outcome, entry.changed_mm2) == ("region", "done", None)
    assert entry.changed == (0 if what == "accept" else 8 * 9 * 8) and entry.looked == 8 * 9 * 8
