"""Ablations: every variant fits its method and changes what it says."""

import json

import pytest

from napari_dycon.benchmark import variants
from napari_dycon.benchmark.rows import row_key
from napari_dycon.benchmark.variants import VARIANTS, Contender, contenders
from napari_dycon.errors import DyconError
from napari_dycon.learning.methods.base import get_method


def _settings(contender):
    return get_method(contender.method).Settings(**contender.settings).model_dump()


@pytest.mark.parametrize("method", VARIANTS)
def test_all_variants_fit_their_method_and_differ(method):
    chosen = contenders([method], ["all"])
    assert len({contender.name for contender in chosen}) == len(chosen)
    effective = [json.dumps(_settings(contender), sort_keys=True) for contender in chosen]
    assert len(set(effective)) == len(effective)


@pytest.mark.parametrize("method", VARIANTS)
def test_a_variant_means_the_same_in_every_table(method):
    seen = {}
    for table in VARIANTS[method].values():
        for name, settings in table.items():
            assert seen.setdefault(name, settings) == settings, name


def test_the_tables_of_the_paper_build_up_its_terms_without_our_additions():
    for table in ("uncl", "fecl"):
        for contender in contenders(["dycon"], [table]):
            settings = _settings(contender)
            assert settings["pseudo_weight"] == settings["copy_paste"] == 0
    last = _settings(contenders(["dycon"], ["fecl"])[-1])
    whole = _settings(Contender("dycon"))
    assert {name for name in whole if whole[name] != last[name]} == {
        "pseudo_weight",
        "copy_paste",
        "uncl_weight",
        "fecl_weight",
    }


def test_each_part_is_left_out_alone():
    first, *others = contenders(["dycon"], ["parts"])
    assert first == Contender("dycon")
    assert all(len(contender.settings) == 1 for contender in others)


def test_methods_without_variants_take_part_as_they_are():
    chosen = contenders(["supervised", "dycon"], ["with-fecl", "uncl"])
    assert chosen[0] == Contender("supervised")
    assert [contender.variant for contender in chosen[1:3]] == ["with-fecl", "no-uncl"]
    assert contenders(["supervised", "dycon"]) == (Contender("supervised"), Contender("dycon"))


@pytest.mark.parametrize(
    ("methods", "wanted", "named"),
    [
        (["dycon"], ["ucnl"], "'ucnl'.*uncl"),
        (["dycon"], [""], "no variant ''"),
        (["supervised"], ["uncl"], "Only dycon"),
        (["dycom"], [], "'dycom'"),
        ([], [], "at least one"),
    ],
)
def test_what_is_not_there_is_named_with_what_there_is(methods, wanted, named):
    with pytest.raises(DyconError, match=named):
        contenders(methods, wanted)


@pytest.mark.parametrize(("settings", "named"), [({"tau": 0.3}, "tau"), ({"beta_last": 0.0}, "beta_last")])
def test_a_variant_that_does_not_fit_its_method_is_refused(monkeypatch, settings, named):
    monkeypatch.setattr(variants, "VARIANTS", {"dycon": {"odd": {"wrong": settings}}})
    with pytest.raises(DyconError, match=f"dycon wrong.*{named}"):
        contenders(["dycon"], ["odd"])


def test_a_row_is_another_one_when_its_variant_is_defined_anew():
    same = ("dycon", 0, 4, None, "10 iterations", {}, "data", "cpu")
    keys = {row_key(*same), row_key(*same, "v", {"start": 0.0}), row_key(*same, "v", {"start": 0.1})}
    assert len(keys) == 3
    assert row_key(*same) == row_key(*same, "", {})
