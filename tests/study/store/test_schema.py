import pytest
from pydantic import ValidationError

from napari_dycon.study.store.schema import DEFAULT_COLORS, Structure, StudyRecord, is_safe_id


@pytest.mark.parametrize("name", ["LA_000", "patient-01", "7", "A" * 64])
def test_a_plain_file_stem_names_the_case(name):
    assert is_safe_id(name)


@pytest.mark.parametrize(
    "name",
    ["", "..", "a/b", "a\\b", "Müller", "x y", "scan.1", "-rf", "CON", "lpt1", "A" * 65, "a\0b", ".hidden"],
)
def test_a_stem_that_cannot_name_files_does_not(name):
    assert not is_safe_id(name)


def test_default_colours_are_distinct():
    assert len(set(DEFAULT_COLORS)) == len(DEFAULT_COLORS)


@pytest.mark.parametrize("fields", [{"value": 0}, {"value": 256}, {"name": ""}, {"color": "red"}])
def test_an_impossible_structure_is_refused(fields):
    with pytest.raises(ValidationError):
        Structure(**{"value": 1, "name": "atrium", "color": "#e6550d", **fields})


def test_two_structures_cannot_share_a_label_value():
    with pytest.raises(ValidationError, match="structure values must be unique"):
        StudyRecord(name="x", structures=(Structure(value=1, name="a"), Structure(value=1, name="b")))
