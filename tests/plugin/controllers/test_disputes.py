"""Where the readers of a case differ is seen: on the scan, in legend and status line, beside the slices."""

import numpy as np
import pytest

from napari_dycon.study.exchange.readers import open_reader
from napari_dycon.study.truth.annotations import Annotation


def annotation(study, case, start, value=1):
    labels = np.zeros(study.case(case).shape, np.uint8)
    labels[start : start + 4, 4:8, 2:6] = value
    return Annotation.full(labels)


def drawn_by(study, name, case, start, value=1):
    if name == "AB":
        study.reader = "AB"
        study.save_annotation(case, annotation(study, case, start, value), "complete")
        return
    with open_reader(study, name) as own:
        own.save_annotation(case, annotation(study, case, start, value), "complete")


@pytest.fixture
def disputed(opened):
    """Two readers of alpha, who are a slice of 16 voxels apart on either side."""
    opened.rest()
    drawn_by(opened.study, "AB", "alpha", 4)
    drawn_by(opened.study, "BK", "alpha", 5)
    return opened


def toggle(opened):
    opened.session.actions.ask("readers_apart")
    at_rest(opened)


def at_rest(opened):
    one = opened.session
    opened.wait(lambda: not (one.exchange.readers.disputes.busy or one.signs.busy))


def seen(opened, role="readers apart"):
    return role in opened.viewer.layers and opened.layer(role).visible


def legend(opened):
    return [(entry.kind, entry.text) for entry in opened.session._presenter.legend()]


def test_two_readers_are_hatched_both_ways_and_gone_when_asked_again(disputed, notes):
    toggle(disputed)
    layer = disputed.layer("readers apart")
    data = np.asarray(layer.data)
    assert seen(disputed) and layer.hatched
    assert np.count_nonzero(data == 1) == np.count_nonzero(data == 256 + 1) == 16
    assert layer.colormap.map(1).tolist() == layer.colormap.map(257).tolist()
    assert disputed.viewer.layers.selection.active is disputed.layer("annotation")
    assert legend(disputed)[-2:] == [("rising", "AB only"), ("falling", "BK only")]
    assert "AB and BK differ on 0.08 ml of what both know, most on axial slice" in notes[-1][1]
    assert disputed.session.actions.situation().apart
    toggle(disputed)
    assert not seen(disputed) and not np.asarray(layer.data).any()
    assert legend(disputed) == []
    assert not disputed.session.actions.situation().apart


def test_the_status_line_says_who_says_what_where_they_differ(disputed):
    toggle(disputed)
    annotation = disputed.layer("annotation")
    voxels = {
        value: np.argwhere(np.asarray(disputed.layer("readers apart").data) == value)[0] for value in (1, 257)
    }
    assert "AB: atrium, BK: background" in annotation.get_status(voxels[1])["value"]
    assert "AB: background, BK: atrium" in annotation.get_status(voxels[257])["value"]
    assert "AB" not in annotation.get_status((0, 0, 0))["value"]


def test_of_three_readers_the_share_is_shown_that_differs_from_most(disputed):
    drawn_by(disputed.study, "CD", "alpha", 4, value=3)
    toggle(disputed)
    shares = np.asarray(disputed.layer("readers who differ").data)
    assert not seen(disputed)
    assert seen(disputed, "readers who differ")
    assert sorted(np.unique(shares).tolist()) == [0, 85, 170]
    assert legend(disputed)[-1] == ("heat", "readers differ")
    place = np.argwhere(shares == 170)[0]
    assert "AB: atrium, BK: background, CD: valve" in disputed.layer("annotation").get_status(place)["value"]


def test_half_of_the_readers_is_shown_at_full_strength(disputed):
    drawn_by(disputed.study, "CD", "alpha", 4)
    drawn_by(disputed.study, "EF", "alpha", 5)
    toggle(disputed)
    layer = disputed.layer("readers who differ")
    assert np.asarray(layer.data).max() == round(255 / 2)
    assert layer.contrast_limits == [0, 127.5]


def test_slices_on_which_readers_differ_have_marks(disputed):
    toggle(disputed)
    signs = disputed.session.signs._signposts.slices
    assert (
        np.flatnonzero(signs[0].apart).tolist()
        == np.flatnonzero(np.asarray(disputed.layer("readers apart").data).any(axis=(1, 2))).tolist()
    )
    assert "here readers differ the most" in signs[2].words(int(np.argmax(signs[2].apart)))
    toggle(disputed)
    assert all(each.apart is None for each in disputed.session.signs._signposts.slices.values())


def test_it_follows_from_case_to_case_and_what_is_painted(disputed):
    drawn_by(disputed.study, "AB", "beta", 6)
    drawn_by(disputed.study, "BK", "beta", 6)
    drawn_by(disputed.study, "AB", "gamma", 6)
    toggle(disputed)
    disputed.open("gamma")
    at_rest(disputed)
    assert not seen(disputed), "one reader alone does not differ"
    disputed.open("beta")
    at_rest(disputed)
    assert seen(disputed) and not np.asarray(disputed.layer("readers apart").data).any()
    disputed.paint((2, 2, 2), 3, 1)
    disputed.wait(lambda: bool(np.asarray(disputed.layer("readers apart").data).any()))
    assert np.asarray(disputed.layer("readers apart").data)[2, 2, 2] == 3


def test_hatches_of_readers_and_of_the_model_are_not_seen_together(disputed, engine):
    (disputed.study.path / "runs" / "001-dycon").mkdir(parents=True)
    disputed.study.set_active_run("001-dycon")
    engine.predict(disputed.study, "001-dycon", "alpha")
    disputed.open("beta").open("alpha").rest()
    views = disputed.session.views
    views.toggle_differences()
    toggle(disputed)
    assert seen(disputed) and not views.overlay.differences
    views.toggle_differences()
    assert not seen(disputed) and views.overlay.differences


def test_who_reads_alone_is_told_so(opened, notes):
    toggle(opened)
    assert "Nobody has drawn this case" in notes[-1][1]
    drawn_by(opened.study, "AB", "alpha", 4)
    toggle(opened)
    assert "Only one reader has drawn this case" in notes[-1][1]
    drawn_by(opened.study, "BK", "alpha", 4)
    toggle(opened)
    assert "AB and BK say the same of every voxel" in notes[-1][1]
    toggle(opened)
    opened.session.exchange.readers.invite("BK", opened.session.open_study)
    opened.wait(lambda: opened.session.cases.case_id is not None)
    toggle(opened)
    assert "the study of BK" in notes[-1][1]
