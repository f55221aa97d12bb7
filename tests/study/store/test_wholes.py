"""Structures that count as one more: set, kept, and refused where they cannot be."""

import json

import pytest

from napari_dycon.errors import StudyError
from napari_dycon.study.store.schema import Structure, Whole
from napari_dycon.study.store.wholes import add_wholes, parse_wholes, remove_wholes
from napari_dycon.study.study import Study

BRAIN = [
    Structure(value=1, name="oedema"),
    Structure(value=2, name="necrosis"),
    Structure(value=4, name="enhancing"),
]


@pytest.fixture
def study(tmp_path):
    with Study.create(tmp_path / "brain", BRAIN) as made:
        yield made


def _content(study):
    return json.loads((study.path / "study.json").read_text())


def test_wholes_may_lie_in_each_other_and_are_kept(study):
    add_wholes(study, parse_wholes(["whole tumour: 1,2,4", "core:enhancing,2"], study.structures))
    path = study.path
    study.close()
    with Study.open(path) as again:
        assert again.record.wholes == (
            Whole(name="whole tumour", parts=(1, 2, 4)),
            Whole(name="core", parts=(2, 4)),
        )


def test_only_a_study_with_wholes_asks_for_a_program_that_knows_them(study):
    assert _content(study)["schema_version"] == 1
    add_wholes(study, [Whole(name="core", parts=(2, 4))])
    assert _content(study)["schema_version"] == 3
    remove_wholes(study, ["core"])
    assert _content(study)["schema_version"] == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("core", "says no whole"),
        ("core:2", "at least two parts"),
        ("core:2,9", "'9' is no structure of this study; it has 1 oedema, 2 necrosis, 4 enhancing"),
        ("oedema:2,4", "is the name of a structure"),
        ("again:1,2", "count as one already, under the name “old”"),
    ],
)
def test_what_cannot_count_as_one_is_refused_in_a_sentence(study, text, said):
    add_wholes(study, [Whole(name="old", parts=(1, 2))])
    before = _content(study)
    with pytest.raises(StudyError, match=said):
        add_wholes(study, parse_wholes([text], study.structures))
    assert _content(study) == before


def test_a_structure_cannot_be_called_like_a_whole(study):
    add_wholes(study, [Whole(name="core", parts=(2, 4))])
    with pytest.raises(StudyError, match="name"):
        study.add_structure("core")


def test_a_whole_goes_when_a_single_part_is_left(study):
    add_wholes(study, [Whole(name="core", parts=(2, 4)), Whole(name="all", parts=(1, 2, 4))])
    study.remove_structure(4)
    assert study.record.wholes == (Whole(name="all", parts=(1, 2)),)


def test_a_whole_that_a_damaged_study_cannot_have_is_left_out(study):
    add_wholes(study, [Whole(name="core", parts=(2, 4))])
    path, content = study.path, _content(study)
    study.close()
    content["wholes"] += [{"name": "odd", "parts": [2, 77]}, {"name": "odder"}]
    (path / "study.json").write_text(json.dumps(content))
    (path / "study.json.bak").unlink(missing_ok=True)
    with Study.open(path) as again:
        assert [whole.name for whole in again.record.wholes] == ["core"]
        assert any("A whole in study.json" in note for note in again.notes)
