import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from napari_dycon.errors import StudyError
from napari_dycon.io.json_files import finite, parse_json, write_json, write_model
from napari_dycon.io.numbered import numbered_files

INFINITE = [math.nan, math.inf, -math.inf]
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


class Sheet(BaseModel):
    model_config = ConfigDict(extra="allow")
    size: float = Field(default=1.0)
    name: str = ""


@pytest.mark.parametrize("value", INFINITE)
def test_what_is_not_finite_never_reaches_a_file(tmp_path, value):
    path = tmp_path / "sheet.json"
    write_model(path, Sheet(size=2))
    before = path.read_bytes()
    for write in (
        lambda: write_model(path, Sheet.model_construct(size=value)),
        lambda: write_json(path, {"a": [{"b": value}]}),
    ):
        with pytest.raises(StudyError, match="was not written"):
            write()
        assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_text_that_no_file_can_hold_is_refused(tmp_path):
    with pytest.raises(StudyError, match="cannot be stored"):
        write_model(tmp_path / "sheet.json", Sheet(name="\ud800"))


def test_what_does_not_read_back_does_not_replace_the_file(tmp_path, monkeypatch):
    path = tmp_path / "sheet.json"
    write_model(path, Sheet(size=2))
    before = path.read_bytes()
    wrong = pytest.warns(UserWarning, match="Expected `float`")
    with wrong, pytest.raises(StudyError, match="could not be read again"):
        write_model(path, Sheet.model_construct(size="large"))
    read = type(path).read_bytes
    monkeypatch.setattr(type(path), "read_bytes", lambda self: read(self)[:-1])
    with pytest.raises(StudyError, match="does not read back"):
        write_model(path, Sheet(size=3))
    monkeypatch.undo()
    assert path.read_bytes() == before


@given(PLAIN)
def test_whatever_is_made_finite_can_be_written_and_reads_back_the_same(content):
    sound = finite([content])
    assert parse_json(json.dumps(sound, allow_nan=False).encode()) == sound


@pytest.mark.parametrize("text", ["[NaN, -Infinity, 1e999, 1]", "\ufeff[NaN, NaN, NaN, 1]"])
def test_numbers_that_are_none_are_read_as_nothing(text):
    assert parse_json(text.encode()) == [None, None, None, 1]


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 100_000, b"9" * 10_000])
def test_what_is_no_json_is_told(raw):
    with pytest.raises(ValueError, match="damaged or incomplete"):
        parse_json(raw)


STRAYS = [
    "._000002.json",
    "000002 (1).json",
    "000002.json.icloud",
    "000002-Anna.json",
    "2.json",
    "²²²²²².json",
    "0000002.json",
    "Thumbs.db",
    ".DS_Store",
    "desktop.ini",
    "-00002.json",
    "000002.JSON",
    "000002 2.json",
]


@pytest.mark.parametrize("stray", STRAYS)
def test_only_files_that_this_program_names_count(tmp_path, stray):
    (tmp_path / "000001.json").touch()
    (tmp_path / "1000000.json").touch()
    (tmp_path / stray).touch()
    (tmp_path / "000003.json").mkdir()
    assert list(numbered_files(tmp_path, ".json", 6)) == [1, 1000000]
    assert numbered_files(tmp_path / "away", ".json", 6) == {}
