"""What a person reads of a setting and types for it, on the real plan and the real methods."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, PositiveInt, model_validator

from napari_dycon.engine.plan import Plan
from napari_dycon.hints import NOT_BY_HAND, Hint
from napari_dycon.learning.methods.base import methods
from napari_dycon.plugin.controllers.setting import parts_of, settings_of, spoken, why_not_together

MODELS = [Plan, *parts_of(Plan).values(), *(methods.get(name).Settings for name in methods.names())]


class Sample(BaseModel):
    """Settings of all kinds.

    Parameters
    ----------
    share, rate
        Between 0 and 1;
        and any above 0.
    spacing
        Three sizes.
    """

    share: Annotated[float, Field(ge=0, lt=1)] = 0.25
    rate: Annotated[float, Field(gt=0)] = 3e-5
    count: PositiveInt = 2
    plain: bool = True
    form: Literal["round", "square"] = "round"
    cap: Annotated[float, Field(ge=0)] | None = 0.5
    spacing: Annotated[tuple[float, float, float], Hint(unit="mm", planned=True)]
    strides: tuple[tuple[PositiveInt, PositiveInt, PositiveInt], ...] = ((2, 2, 2),)
    chosen: Annotated[str, Hint(choices=lambda: ("a", "b"), planned=True)] = "a"
    inner: Annotated[int, NOT_BY_HAND] = 0


SAMPLE = {setting.name: setting for setting in settings_of(Sample)}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_setting_of_plan_and_methods_is_explained_and_reads_what_it_shows(model):
    assert settings_of(model)
    for setting in settings_of(model):
        assert setting.tip, f"{model.__name__}.{setting.name} has no word in the docstring"
        if not setting.planned:
            assert setting.read(spoken(setting.default)) == pytest.approx(setting.default)


def test_what_a_person_must_not_set_is_no_setting():
    names = {setting.name for setting in settings_of(Plan)}
    assert not names & {"structure_values", "structure_names", "single", "joint", "method_settings"}
    assert set(parts_of(Plan)) == {"network", "intensity", "augmentation"}
    assert "inner" not in SAMPLE


def test_kinds_limits_units_and_words_come_from_the_model():
    kinds = {name: setting.kind for name, setting in SAMPLE.items()}
    assert kinds == {
        "share": "number",
        "rate": "text",
        "count": "whole",
        "plain": "switch",
        "form": "choice",
        "cap": "text",
        "spacing": "text",
        "strides": "text",
        "chosen": "choice",
    }
    assert SAMPLE["share"].limits == (0, 1)
    assert SAMPLE["count"].limits == (1, None)
    assert SAMPLE["spacing"].unit == "mm" and SAMPLE["spacing"].planned
    assert SAMPLE["chosen"].choices == ("a", "b") and SAMPLE["chosen"].planned
    assert SAMPLE["rate"].tip == "Between 0 and 1; and any above 0."
    augmentation = {one.name: one.label for one in settings_of(parts_of(Plan)["augmentation"])}
    assert augmentation["noise_p"] == "Noise probability"
    dycon = {one.name: one.label for one in settings_of(methods.get("dycon").Settings)}
    assert dycon["fecl_weight"] == "FeCL weight"
    assert "momentum" in dycon, "what every method has, too"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("rate", " 3e-4 ", 3e-4),
        ("cap", "none", None),
        ("cap", "0.1", 0.1),
        ("spacing", "1.2, 1.2 2.5", (1.2, 1.2, 2.5)),
        ("spacing", "(1×1×2)", (1.0, 1.0, 2.0)),
        ("strides", "2×2×2, 1x2x2", ((2, 2, 2), (1, 2, 2))),
        ("strides", "", ()),
        ("count", 3, 3),
        ("plain", "no", False),
    ],
)
def test_a_text_is_read_as_it_is_meant(name, text, value):
    assert SAMPLE[name].read(text) == value


@pytest.mark.parametrize(
    ("name", "given", "sentence"),
    [
        ("rate", "0", "Rate must be greater than 0."),
        ("rate", "fast", "Rate must be a number."),
        ("share", 1.0, "Share must be less than 1."),
        ("count", 0, "Count must be greater than 0."),
        ("count", "1.5", "Count must be a whole number."),
        ("form", "oval", "Form must be 'round' or 'square'."),
        ("spacing", "1, 2", "Spacing needs 3 values, with commas between them."),
        ("spacing", "1, 2, 3, 4", "Spacing needs 3 values, with commas between them."),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(name, given, sentence):
    with pytest.raises(ValueError, match="^" + sentence.replace(".", r"\.") + "$"):
        SAMPLE[name].read(given)


def test_values_that_do_not_go_together_are_told_by_their_names():
    class Pair(BaseModel):
        first_share: float = 0.0
        last_share: float = 0.0

        @model_validator(mode="after")
        def _rises(self):
            if self.first_share > self.last_share:
                raise ValueError("first_share must not be above last_share")
            return self

    assert why_not_together(Pair, {"last_share": 1.0}) == ""
    assert why_not_together(Pair, {"first_share": 1.0}) == "“First share” must not be above “Last share”."
    assert why_not_together(Plan, {"learning_rate": 1.0}) == "", "the plan decides the rest"
