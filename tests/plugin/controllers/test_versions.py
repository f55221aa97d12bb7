"""Older versions: listed, looked at without danger, made the annotation again and taken back."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from napari_dycon.plugin.background.version_rows import in_words, moment, version_row
from napari_dycon.study.store.versions import Version
from napari_dycon.study.truth.annotations import Known
from tests.plugin.controllers.test_structures import answer, ask, errors

ATRIUM, VALVE = 1, 3


@pytest.fixture
def worked(opened):
    """A case with three versions: two strokes apart from each other, then all complete."""
    opened.paint((4, 10, 8), value=ATRIUM)
    opened.session.save_now()
    opened.session.labels.complete_case()
    opened.rest()
    opened.session.save_now()
    opened.paint((6, 12, 12), value=VALVE)
    return opened


def versions_of(opened):
    opened.session.versions.show()
    opened.wait(lambda: opened.session.versions.shown is not None)
    opened.rest()
    return opened.session.versions.shown.rows


def look(opened, row):
    opened.session.versions.look_at(row.generation)
    opened.wait(lambda: not opened.layer("annotation").visible)
    opened.rest()
    return opened.layer("older version")


def restore(opened, row):
    opened.session.versions.restore(row.generation)
    opened.wait(lambda: opened.session.versions.shown is None)
    opened.rest()


def test_versions_are_listed_newest_first_with_the_last_stroke_in_the_first(worked):
    rows = versions_of(worked)
    assert [row.what for row in rows] == ["Painting", "Case complete", "Painting"]
    assert [row.known == 1 for row in rows] == [True, True, False]
    assert 0 < rows[-1].known < 0.1
    assert "by you" in rows[0].tip


def test_an_older_version_is_shown_and_cannot_be_painted(worked):
    rows = versions_of(worked)
    mine = worked.layer("annotation").data.copy()
    layer = look(worked, rows[-1])
    assert np.array_equal(layer.data, np.where(mine == ATRIUM, mine, 0))
    assert not layer.editable
    assert not worked.layer("annotation").visible
    assert not worked.layer("annotation").editable
    worked.session.versions.close()
    assert not layer.visible
    assert worked.layer("annotation").visible
    assert worked.layer("annotation").editable
    assert np.array_equal(worked.layer("annotation").data, mine)


def test_the_brush_is_in_the_hand_again_after_a_look(worked):
    worked.layer("annotation").mode = "paint"
    rows = versions_of(worked)
    look(worked, rows[-1])
    look(worked, rows[-2])
    assert worked.layer("annotation").mode == "pan_zoom"
    worked.session.versions.look_at(rows[0].generation)
    assert worked.layer("annotation").mode == "paint"


def test_nothing_is_changed_behind_an_older_version(worked, notes):
    rows = versions_of(worked)
    look(worked, rows[-1])
    before = worked.session._desk.case.annotation.copy()
    worked.session.labels.toggle_slice_complete()
    worked.session.labels.complete_case()
    worked.session.regions.decide("accept", "slice")
    worked.rest()
    assert len([text for text in errors(notes) if "older version" in text]) == 3
    assert np.array_equal(worked.session._desk.case.annotation.known, before.known)
    assert np.array_equal(worked.session._desk.case.annotation.labels, before.labels)


def test_a_restored_version_is_one_edit_that_can_be_undone(worked):
    rows = versions_of(worked)
    look(worked, rows[-1])
    editor = worked.session._desk.case.editor
    before = editor.annotation.copy()
    restore(worked, rows[-1])
    shown = worked.layer("annotation").data
    assert not (shown == VALVE).any()
    assert (shown == ATRIUM).any()
    assert editor.undo_names[0] == f"Restore the version of {rows[-1].when}"
    worked.session.save_now()
    saved = worked.study.annotation("alpha")
    assert np.array_equal(saved.known == Known.DRAWN, saved.labels > 0)
    assert worked.study.versions("alpha")[0].reason == "restore"
    editor.undo()
    assert np.array_equal(editor.annotation.labels, before.labels)
    assert np.array_equal(editor.annotation.known, before.known)


def test_restoring_what_is_there_already_changes_nothing(worked, notes):
    rows = versions_of(worked)
    restore(worked, rows[0])
    assert not worked.session._desk.case.editor.undo_names[0].startswith("Restore")


def test_painting_goes_on_while_only_the_list_is_open(worked):
    versions_of(worked)
    worked.paint((2, 5, 5), value=VALVE)
    worked.session.labels.complete_case()
    worked.rest()
    worked.session.save_now()
    worked.wait(lambda: len(worked.session.versions.shown.rows) > 3)
    assert worked.session.versions.shown.chosen == worked.session.versions.shown.rows[0].generation


def test_a_damaged_version_gives_one_sentence_and_the_others_stay_usable(worked, notes):
    rows = versions_of(worked)
    folder = worked.study.path / "history" / "alpha"
    (folder / f"{rows[-1].generation:06d}.nii.gz").write_bytes(b"damaged")
    worked.session.versions.look_at(rows[-1].generation)
    worked.wait(lambda: rows[-1].generation in worked.session.versions.shown.damaged)
    assert len(errors(notes)) == 1
    assert "damaged" in errors(notes)[0]
    assert worked.session.versions.shown.chosen == rows[0].generation
    assert worked.layer("annotation").visible
    look(worked, rows[1])
    restore(worked, rows[1])
    assert not (worked.layer("annotation").data == VALVE).any()


def test_a_damaged_version_cannot_be_restored_and_nothing_is_lost(worked, notes):
    rows = versions_of(worked)
    look(worked, rows[-1])
    before = worked.layer("annotation").data.copy()
    folder = worked.study.path / "history" / "alpha"
    (folder / f"{rows[-1].generation:06d}.known.nii.gz").unlink()
    worked.session.versions.restore(rows[-1].generation)
    worked.wait(lambda: bool(errors(notes)))
    assert np.array_equal(worked.layer("annotation").data, before)


def test_a_damaged_record_is_left_out(worked):
    count = len(versions_of(worked))
    worked.session.versions.close()
    (worked.study.path / "history" / "alpha" / "000001.json").write_text(json.dumps({"what": 1}))
    assert len(versions_of(worked)) == count - 1


def test_another_case_puts_the_versions_away(worked):
    rows = versions_of(worked)
    look(worked, rows[-1])
    worked.open("beta")
    assert worked.session.versions.shown is None
    assert worked.layer("annotation").visible
    assert worked.layer("annotation").editable
    assert not worked.layer("older version").visible
    assert all(layer.data.shape == worked.layer("scan").data.shape for layer in worked.viewer.layers)


def test_versions_of_a_case_that_is_not_open(worked):
    worked.open("beta")
    worked.session.versions.show("alpha")
    worked.wait(lambda: worked.session.versions.shown is not None)
    assert worked.session.cases.case_id == "alpha"
    assert worked.session.versions.shown.case_name == "alpha"


def test_a_case_without_labels_has_no_versions(opened, notes):
    heard = []
    opened.session.dialogue.message.connect(lambda level, text: heard.append(text))
    opened.session.versions.show()
    opened.wait(lambda: bool(heard))
    assert "no versions yet" in heard[0]
    assert opened.session.versions.shown is None


def test_a_version_with_a_structure_that_is_gone_is_shown_and_restored_without_it(worked):
    worked.session.save_now()
    worked.session.labels.complete_case()
    worked.rest()
    ask(worked, "structures.remove", VALVE, True)
    answer(worked, "change")
    rows = versions_of(worked)
    older = next(row for row in rows[1:] if row.known == 1)
    layer = look(worked, older)
    assert set(np.unique(layer.data)) == {0, ATRIUM}
    restore(worked, rows[-1])
    assert set(np.unique(worked.layer("annotation").data)) == {0, ATRIUM}


def test_a_study_that_is_only_looked_at_shows_its_versions_and_restores_none(worked, make_session, notes):
    worked.session.save_now()
    other = make_session()
    other.open_study(worked.study.path)
    other.cases.open("alpha")
    worked.wait(lambda: other.cases.case_id == "alpha")
    other.versions.show()
    worked.wait(lambda: other.versions.shown is not None)
    other.versions.look_at(other.versions.shown.rows[-1].generation)
    worked.wait(lambda: other._presenter.layer("older version") is not None)
    other.versions.restore(other.versions.shown.rows[-1].generation)
    assert "only look" in errors(notes)[-1]
    other.versions.close()
    assert not other._presenter.annotation.editable


def test_removing_the_case_puts_its_versions_away(worked):
    rows = versions_of(worked)
    look(worked, rows[-1])
    worked.session.cases.remove(["alpha"])
    worked.wait(lambda: worked.session.cases.case_id == "beta")
    assert worked.session.versions.shown is None
    assert worked.layer("annotation").editable


# ---- the words of the list --------------------------------------------------------------------------------


NOW = datetime(2025, 3, 12, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("saved", "shown"),
    [
        ("2025-03-12T14:03:22+00:00", "14:03:22"),
        ("2025-03-11T23:59:00+00:00", "yesterday 23:59"),
        ("2025-02-01T08:05:00+00:00", "1 Feb 08:05"),
        ("2024-12-31T08:05:00+00:00", "2024-12-31 08:05"),
    ],
)
def test_a_moment_is_told_as_shortly_as_it_can_be(saved, shown):
    assert moment(datetime.fromisoformat(saved), NOW) == shown


def version(**fields):
    facts = {"generation": 3, "reason": "autosave", "saved": "2025-03-12T14:03:22+00:00"}
    facts |= {"labels": "", "known": "", "known_fraction": 0.25, "label_voxels": {}}
    return Version(**(facts | fields))


def test_a_version_is_told_by_what_was_done_last():
    assert in_words(version()) == "Painting"
    assert in_words(version(reason="import")) == "Imported labels"
    assert in_words(version(names=("Slice complete", "Fill holes"))) == "Fill holes and 1 more"
    accepted = version(reason="accept", names=("Accept prediction",), run="002-dycon")
    assert in_words(accepted) == "Accept prediction, 002-dycon"


def test_the_tip_of_a_version_holds_all_there_is_to_say():
    row = version_row(version(names=("A", "B"), known_voxels={0: 6, 1: 2}), (2, 2, 2), NOW)
    assert row.tip.splitlines() == ["12 March 2025, 14:03:22", "B", "A", "25 % known: 25 % by you"]
