import numpy as np
import pytest

from napari_dycon.plugin.widgets.curves import CurvesView, thin_out


@pytest.fixture
def view(qtbot, theme):
    view = CurvesView()
    qtbot.addWidget(view)
    view.set_theme(theme)
    view.resize(360, 130)
    view.show()
    return view


def drawn(view, name):
    return view._curves[name].getData()


def test_curves_appear_with_their_names_and_last_values(view):
    height = view.sizeHint().height()
    view.set_curves(
        {"supervised": ([1, 2, 3], [0.9, 0.7, 0.5]), "fecl": ([1, 2, 3], [0.3, 0.2, 0.1])}, ([2], [0.81])
    )
    view.draw()
    assert view.legend.names == ["labelled", "FeCL"]
    assert view.loss_value.text() == "0.600"
    assert view.dice_value.text() == "0.81"
    assert np.array_equal(drawn(view, "fecl")[1], [0.3, 0.2, 0.1])
    assert view.sizeHint().height() == height


def test_a_thousand_updates_are_drawn_a_few_times(qtbot, view, monkeypatch):
    drawings = []
    draw = view._draw_dice
    monkeypatch.setattr(view, "_draw_dice", lambda dice: (drawings.append(1), draw(dice)))
    for step in range(1000):
        view.set_curves({"supervised": (list(range(step)), [0.1] * step)}, ([], []))
    qtbot.wait(600)
    assert 1 <= len(drawings) <= 3
    assert drawn(view, "supervised")[0].size > 100


def test_a_new_run_takes_the_old_curves_away(view):
    view.set_curves({"supervised": ([1], [1.0]), "fecl": ([1], [1.0])}, ([1], [0.5]))
    view.draw()
    view.set_curves({"supervised": ([1], [2.0])}, ([], []))
    view.draw()
    assert set(view._curves) == {"supervised"}
    assert view.dice_value.text() == ""


def test_nothing_yet_shows_a_hint(view):
    view.draw()
    assert view.hint.isVisible()
    view.set_curves({"supervised": ([1], [1.0])}, ([], []))
    view.draw()
    assert not view.hint.isVisible()


def test_thinning_keeps_the_mean_and_leaves_out_what_is_not_finite():
    x = np.arange(10_000)
    y = np.where(x % 7 == 0, np.nan, 3.0)
    few_x, few_y = thin_out(x, y, 100)
    assert few_x.size == few_y.size == 100
    assert np.allclose(few_y, 3.0)
    assert np.all(np.diff(few_x) > 0)


def test_a_curve_that_has_one_iteration_more_than_values_is_drawn():
    assert thin_out([1, 2, 3], [0.5, 0.4])[0].tolist() == [1, 2]


def test_four_curves_differ_by_more_than_their_hue(qtbot, theme):
    view = CurvesView()
    qtbot.addWidget(view)
    view.set_curves({name: ([1, 2], [0.5, 0.4]) for name in ("a", "b", "c", "d")}, ((), ()))
    view.set_theme(theme)
    styles = {curve.opts["pen"].style() for curve in view._curves.values()}
    assert len(styles) == 4
