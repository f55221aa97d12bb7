"""Structures of a model are matched by name, or as somebody says."""

import pytest

from napari_dycon.engine.models.matching import Matching
from napari_dycon.errors import TrainingError

THEIRS, OURS = ("Left Atrium", "valve", "LV"), ("left atrium", "aorta")


def test_what_is_called_alike_is_the_same_in_upper_or_lower_case():
    assert Matching.by_name(THEIRS, OURS).pairs == {"Left Atrium": "left atrium"}


def test_what_is_told_comes_before_the_name():
    told = Matching.by_name(THEIRS, OURS, {"lv": "Left atrium", "valve": "aorta"})
    assert told.pairs == {"LV": "left atrium", "valve": "aorta"}
    assert not Matching.by_name(THEIRS, OURS, {"left atrium": ""}).known


def test_each_structure_is_told_about_once():
    sentences = tuple(Matching.by_name(THEIRS, OURS, add=["valve"]).sentences())
    assert sentences == (
        "The model knows left atrium, valve.",
        "valve is new in this study.",
        "It does not know aorta: that is learned from now on.",
        "It also knew LV; that is left behind.",
    )


def test_of_many_structures_only_the_first_are_told_by_name():
    names = [f"organ {number}" for number in range(10)]
    (sentence,) = Matching.by_name(names, names).sentences()
    assert sentence.endswith("organ 7 and 2 more.") and "organ 8" not in sentence


@pytest.mark.parametrize(
    ("told", "add", "words"),
    [
        ({"liver": "aorta"}, (), "called liver"),
        ({"LV": "liver"}, (), "called liver"),
        ({}, ["liver"], "called liver"),
        ({"LV": "aorta", "valve": "aorta"}, (), "valve and LV|LV and valve"),
        ({}, ["Left Atrium"], "has a structure called Left Atrium"),
        ({"valve": "aorta"}, ["valve"], "has a structure called valve"),
    ],
)
def test_what_cannot_be_is_a_sentence(told, add, words):
    with pytest.raises(TrainingError, match=words):
        Matching.by_name(THEIRS, OURS, told, add)
