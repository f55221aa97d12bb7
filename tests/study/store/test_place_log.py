"""The log of suggestions: a line each, none lost, none that is damaged counted."""

import pytest

from napari_dycon.errors import VolumeError
from napari_dycon.io import atomic
from napari_dycon.study.store.place_log import PLACES_FILE, PlaceEntry, add_place, read_places

BOX = ((2, 6), (7, 8), (3, 5))


def entry(case="a", index=7, **changes):
    said = {"when": "2026-01-02T03:04:05+00:00", "plane": "coronal", "axis": 1, "box": BOX, "structure": 1}
    return PlaceEntry(**{**said, "case": case, "index": index, "outcome": "done", **changes})


def test_what_was_added_is_read_back_in_order(tmp_path):
    entries = [entry(), entry("b", outcome="skipped"), entry(changed=0, changed_mm2=0.0, seconds=12.5)]
    for one in entries:
        add_place(tmp_path, one)
    log = read_places(tmp_path)
    assert list(log.entries) == entries and log.notes == ()
    assert log.entries[0].changed is None and log.entries[2].changed == 0


def test_a_study_without_a_log_has_an_empty_one(tmp_path):
    assert read_places(tmp_path).entries == () and read_places(tmp_path).notes == ()
    assert not (tmp_path / PLACES_FILE).exists()


@pytest.mark.parametrize("damage", [b'{"case": "a", "wh', b"\xff\x00\xfe", b"[1]", b'{"case": "a"}', b"{}"])
def test_damaged_lines_are_passed_over_told_and_kept(tmp_path, damage):
    add_place(tmp_path, entry())
    path = tmp_path / PLACES_FILE
    path.write_bytes(path.read_bytes() + damage)  # a crash in the middle of a line
    add_place(tmp_path, entry("b"))
    log = read_places(tmp_path)
    assert [one.case for one in log.entries] == ["a", "b"]
    assert len(log.notes) == 1 and "1 line of suggestions.jsonl" in log.notes[0]
    assert damage in path.read_bytes()


def test_keys_of_a_newer_version_are_kept(tmp_path):
    add_place(tmp_path, entry(mood="good"))
    assert read_places(tmp_path).entries[0].model_extra == {"mood": "good"}


def test_a_place_is_skipped_until_somebody_works_on_it(tmp_path):
    for one in (entry(outcome="skipped"), entry("b", outcome="skipped"), entry("b")):
        add_place(tmp_path, one)
    assert [one.case for one in read_places(tmp_path).skipped] == ["a"]
    add_place(tmp_path, entry(outcome="skipped", level="region"))
    assert len(read_places(tmp_path).skipped) == 2


def test_a_folder_in_the_way_is_put_aside_and_a_full_disk_is_told(tmp_path, monkeypatch):
    (tmp_path / PLACES_FILE).mkdir()
    add_place(tmp_path, entry())
    assert len(read_places(tmp_path).entries) == 1

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(VolumeError, match="full"):
        add_place(tmp_path, entry())


def test_a_file_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    add_place(tmp_path, entry())
    monkeypatch.setattr("napari_dycon.study.store.place_log.MAXIMUM_BYTES", 10)
    assert "too large" in read_places(tmp_path).notes[0]
