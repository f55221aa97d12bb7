import json
import threading

import pytest

from napari_dycon.errors import VolumeError
from napari_dycon.study.exchange import importing
from napari_dycon.study.store import notebook as notebook_module
from napari_dycon.study.store.notebook import (
    BACKUP_FILE,
    DAMAGED_FILE,
    LONGEST_NOTE,
    NOTEBOOK_FILE,
    Notebook,
    Place,
    Tools,
)
from napari_dycon.study.study import Study

PLACE = Place(plane="coronal", voxel=(3, 4, 5), zoom=2.5, centre=(0.0, 10.5, 7.25))
TOOLS = Tools(mode="paint", brush_size=7, value=2)


def test_what_is_written_is_there_when_the_study_is_opened_again(study, make_scan):
    case = importing.add_scan(study, make_scan()).id
    study.notebook.write(case, note="motion at the apex", flagged=True, to_review=True)
    study.notebook.spend({case: 61.5})
    study.notebook.note_opening(case)
    study.notebook.leave(case, PLACE, TOOLS)
    study.close()
    with Study.open(study.path) as again:
        page = again.notebook.page(case)
        assert (page.note, page.flagged, page.to_review) == ("motion at the apex", True, True)
        assert page.seconds == 61.5
        assert page.place == PLACE
        assert again.notebook.last_case == case
        assert again.notebook.tools == TOOLS


def test_an_older_study_without_a_notebook_opens_and_gets_no_file_until_something_is_said(study, make_scan):
    case = importing.add_scan(study, make_scan()).id
    study.close()
    assert not (study.path / NOTEBOOK_FILE).exists()
    with Study.open(study.path) as again:
        assert again.notebook.page(case).note == ""
        assert again.notebook.last_case is None
        assert again.notebook.notes == ()
    assert not (study.path / NOTEBOOK_FILE).exists()


def test_study_json_is_not_written_for_a_note(study, make_scan):
    case = importing.add_scan(study, make_scan()).id
    before = (study.path / "study.json").read_bytes()
    study.notebook.write(case, note="x")
    study.notebook.save()
    assert (study.path / "study.json").read_bytes() == before


def test_nothing_is_written_where_nothing_changed(tmp_path):
    book = Notebook(tmp_path)
    book.write("a", note="x")
    book.save()
    written = (tmp_path / NOTEBOOK_FILE).stat().st_mtime_ns
    book.write("a", note="x")
    book.leave("a", None, None)
    assert not book.changed
    book.save()
    assert (tmp_path / NOTEBOOK_FILE).stat().st_mtime_ns == written


def test_a_damaged_notebook_gives_way_to_its_backup_and_is_kept(tmp_path):
    book = Notebook(tmp_path)
    for text in ("first", "second"):
        book.write("a", note=text)
        book.save()
    (tmp_path / NOTEBOOK_FILE).write_bytes(b'{"cases": {"a": {"no')
    again = Notebook(tmp_path)
    assert again.page("a").note == "first"
    assert BACKUP_FILE in again.notes[0]
    again.write("a", note="third")
    again.save()
    assert (tmp_path / DAMAGED_FILE).read_bytes().startswith(b'{"cases"')
    assert Notebook(tmp_path).page("a").note == "third"
    assert json.loads((tmp_path / BACKUP_FILE).read_text())["cases"]["a"]["note"] == "first"


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b'{"tools": 3}', b"[" * 100_000])
def test_a_notebook_that_cannot_be_read_never_keeps_the_study_closed(study, make_scan, content):
    case = importing.add_scan(study, make_scan()).id
    study.close()
    (study.path / NOTEBOOK_FILE).write_bytes(content)
    with Study.open(study.path) as again:
        assert "no labels" in again.notebook.notes[0]
        again.notebook.write(case, note="new")
    with Study.open(study.path) as once_more:
        assert once_more.notebook.page(case).note == "new"


def test_one_bad_page_costs_neither_the_others_nor_its_own_words(tmp_path):
    pages = {
        "a": {"note": "keep me", "flagged": True, "seconds": -4},
        "b": {"note": "fine", "seconds": 12},
        "c": "nonsense",
        "d": {"place": {"voxel": [0, 0, 0], "zoom": "NaN", "centre": [0, 0, 0]}, "note": "zoomed"},
    }
    (tmp_path / NOTEBOOK_FILE).write_text(json.dumps({"schema_version": 1, "cases": pages}))
    book = Notebook(tmp_path)
    assert [book.page(case).note for case in "abcd"] == ["keep me", "fine", "", "zoomed"]
    assert book.page("a").flagged
    assert book.page("b").seconds == 12


def test_a_notebook_of_a_newer_version_is_left_alone(tmp_path):
    content = json.dumps({"schema_version": 99, "cases": {"a": {"note": "from the future"}}})
    (tmp_path / NOTEBOOK_FILE).write_text(content)
    book = Notebook(tmp_path)
    assert "newer version" in book.notes[0]
    book.write("a", note="x")
    book.save()
    assert (tmp_path / NOTEBOOK_FILE).read_text() == content


def test_unknown_keys_of_a_page_are_kept(tmp_path):
    pages = {"a": {"note": "x", "reader": "B"}}
    (tmp_path / NOTEBOOK_FILE).write_text(json.dumps({"cases": pages}))
    book = Notebook(tmp_path)
    book.write("a", flagged=True)
    book.save()
    assert json.loads((tmp_path / NOTEBOOK_FILE).read_text())["cases"]["a"]["reader"] == "B"


def test_a_very_long_note_is_cut_and_not_refused(tmp_path):
    book = Notebook(tmp_path)
    assert len(book.write("a", note="x" * 10_000).note) == LONGEST_NOTE


def test_a_full_disk_leaves_the_notebook_as_it_was_and_loses_nothing_in_memory(tmp_path, monkeypatch):
    book = Notebook(tmp_path)
    book.write("a", note="first")
    book.save()

    def full(path, content):
        raise VolumeError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(notebook_module, "write_bytes_atomic", full)
        book.write("a", note="second")
        with pytest.raises(VolumeError):
            book.save()
    assert Notebook(tmp_path).page("a").note == "first"
    assert book.changed
    book.save()
    assert Notebook(tmp_path).page("a").note == "second"


def test_threads_may_write_and_save_at_the_same_time(tmp_path):
    book = Notebook(tmp_path)

    def work(number):
        for _ in range(20):
            book.spend({f"case-{number}": 1.0, "shared": 1.0})
            book.save()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = Notebook(tmp_path)
    assert again.page("shared").seconds == 80
    assert [again.page(f"case-{number}").seconds for number in range(4)] == [20] * 4


def test_a_study_that_is_only_read_keeps_its_notebook_as_it_is(study, make_scan):
    case = importing.add_scan(study, make_scan()).id
    study.notebook.write(case, note="mine")
    study.notebook.save()
    with Study.open(study.path) as reader:
        assert reader.read_only
        assert reader.notebook.page(case).note == "mine"
        reader.notebook.spend({case: 5.0})
    study.close()
    with Study.open(study.path) as again:
        assert again.notebook.page(case).seconds == 0
