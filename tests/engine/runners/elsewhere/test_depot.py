"""What the machine that trains takes, and what it refuses."""

from __future__ import annotations

import hashlib
import io
import json
from contextlib import suppress
from shutil import rmtree as remove_tree

import pytest

from napari_dycon.engine.runners.elsewhere.depot import Depot, GoneError
from napari_dycon.engine.runners.elsewhere.wire import Line, LineDropError, answer
from napari_dycon.errors import TrainingError

TOKEN, RUN = "0" * 24, "001-dycon"


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def depot(tmp_path):
    return Depot(str(tmp_path / "scratch"))


def test_a_file_that_came_halfway_goes_on_there(depot):
    content = b"0123456789"
    assert depot.missing({sha(content): 10}) == {sha(content): 0}
    depot.put(sha(content), 10, 0, content[:4])
    assert depot.missing({sha(content): 10}) == {sha(content): 4}
    depot.put(sha(content), 10, 4, content[4:])
    assert depot.missing({sha(content): 10}) == {}


def test_what_came_of_a_run_that_is_given_up_is_removed(depot):
    depot.assemble(TOKEN, RUN, {f"bundle/{sha(b'one')}.npy": sha(b"one"), "config.json": sha(b"two")})
    depot.put(sha(b"one"), 3, 0, b"o")
    depot.put(sha(b"two"), 3, 0, b"two")
    depot.drop(TOKEN, keep=False)
    assert [path for path in depot.folder.rglob("*") if path.is_file()] == []


def test_a_word_of_who_works_there_that_comes_while_a_run_is_removed_leaves_nothing(depot, monkeypatch):
    depot.put(sha(b"two"), 3, 0, b"two")
    depot.assemble(TOKEN, RUN, {"config.json": sha(b"two")})
    (home,) = depot.homes()

    def remove(path, ignore_errors):
        remove_tree(path / RUN, ignore_errors=True)
        for file in path.iterdir():
            file.unlink() if file.is_file() else remove_tree(file)
        with suppress(OSError):
            (home / "over").write_text("true")
        with suppress(OSError):
            path.rmdir()

    monkeypatch.setattr("napari_dycon.engine.runners.elsewhere.depot.shutil.rmtree", remove)
    depot.drop(TOKEN, keep=False)
    assert depot.homes() == []


def test_what_arrives_damaged_does_not_count(depot):
    with pytest.raises(TrainingError, match="arrived damaged"):
        depot.put(sha(b"good"), 4, 0, b"evil")
    assert depot.missing({sha(b"good"): 4}) == {sha(b"good"): 0}


def test_a_run_is_put_together_once_everything_is_there(depot):
    depot.put(sha(b"one"), 3, 0, b"one")
    files = {"config.json": sha(b"one"), f"bundle/{sha(b'two')}.npy": sha(b"two")}
    assert depot.assemble(TOKEN, RUN, files) == [sha(b"two")]
    assert not (depot.folder / "runs" / TOKEN / RUN / "config.json").exists()
    depot.put(sha(b"two"), 3, 0, b"two")
    assert depot.assemble(TOKEN, RUN, files) == []
    assert (depot.folder / "runs" / TOKEN / RUN / "config.json").read_bytes() == b"one"
    depot.drop(TOKEN, keep=False)
    assert [path for path in depot.folder.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "path",
    [
        "../x.json",
        "/etc/passwd",
        "bundle/../../x.npy",
        "bundle/start/x.py",
        "x.py",
        "checkpoints/1.json",
        "a\\b",
    ],
)
def test_a_file_that_no_run_has_is_refused(depot, path):
    depot.put(sha(b"one"), 3, 0, b"one")
    with pytest.raises(TrainingError, match="no name that this program gives"):
        depot.assemble(TOKEN, RUN, {path: sha(b"one")})


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("news", {"token": "../../etc", "offset": 0}),
        ("drop", {"token": "..", "keep": False}),
        ("files", {"token": TOKEN, "run": "../../x"}),
        ("get", {"token": TOKEN, "run": RUN, "path": "../feed.jsonl", "offset": 0, "size": 9}),
        ("missing", {"sizes": {"../x": 1}}),
    ],
)
def test_names_that_lead_elsewhere_are_refused(depot, verb, arguments):
    with pytest.raises(TrainingError, match=r"no name that this|no file that comes back"):
        getattr(depot, verb)(**arguments)


def test_nothing_is_left_of_an_unknown_training(depot):
    with pytest.raises(GoneError):
        depot.news(TOKEN, 0)


def asked(depot, *questions: bytes) -> list[bytes]:
    told = io.BytesIO()
    answer(io.BytesIO(b"".join(questions)), told, lambda scratch: depot)
    return told.getvalue().splitlines()


@pytest.mark.parametrize("verb", ["_make_folders", "folder", "__init__", "start", 7])
def test_only_the_verbs_can_be_asked(depot, verb):
    question = json.dumps({"verb": verb, "arguments": {}}).encode() + b"\n"
    (_, reply) = asked(depot, question)
    assert "nothing that can be asked" in json.loads(reply)["error"]


def test_a_fault_there_is_an_answer_and_the_line_stays(depot):
    wrong = json.dumps({"verb": "news", "arguments": {"offset": "x"}}).encode() + b"\n"
    right = json.dumps({"verb": "greet", "arguments": {}}).encode() + b"\n"
    (_, first, second) = asked(depot, wrong, right)
    assert "TypeError" in json.loads(first)["error"] and json.loads(second)["found"]["version"]


@pytest.mark.parametrize("reply", [b"", b"no json\n", b"[1]\n", b'{"bytes": 9}\nshort', b'{"bytes": -1}\n'])
def test_an_answer_that_is_cut_short_is_a_dropped_line(reply):
    line = Line(io.BytesIO(), io.BytesIO(reply))
    with pytest.raises(LineDropError):
        line.greet()


def test_what_a_shell_says_first_is_passed_over_but_not_without_end():
    line = Line(io.BytesIO(), io.BytesIO(b"Welcome\nto this\ndycon-line-1\n"))
    line.open()
    with pytest.raises(LineDropError):
        Line(io.BytesIO(), io.BytesIO(b"noise\n" * 20000)).open()
