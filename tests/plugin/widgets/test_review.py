import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor

from napari_dycon.plugin.layers.styles import VEILS, entropy_colours, veil_colour
from napari_dycon.plugin.widgets.review import ReviewPanel
from napari_dycon.study.store.schema import DEFAULT_COLORS, Structure


@pytest.fixture
def panel(qtbot, theme):
    panel = ReviewPanel()
    qtbot.addWidget(panel)
    panel.set_theme(theme)
    panel.set_blocked("", "", "")
    panel.resize(360, 160)
    panel.show()
    qtbot.waitExposed(panel)
    return panel


@pytest.mark.parametrize("what", ["accept", "reject"])
def test_the_buttons_decide_about_the_slice_and_their_menus_about_the_rest(qtbot, panel, what):
    split = getattr(panel, what)
    with qtbot.waitSignal(split.menu.asked) as asked:
        qtbot.mouseClick(split.button, Qt.MouseButton.LeftButton)
    assert asked.args == [f"{what}_slice"]
    offered = {action.data() for action in split.menu.actions()}
    assert {f"{what}_{part}" for part in ("slice", "click", "region", "case")} <= offered
    with qtbot.waitSignal(split.menu.asked) as asked:
        split.menu.entry(f"{what}_case").trigger()
    assert asked.args == [f"{what}_case"]


def test_switches_ask_for_the_overlays(qtbot, panel):
    with qtbot.waitSignal(panel.prediction_shown_requested) as asked:
        qtbot.mouseClick(panel.prediction, Qt.MouseButton.LeftButton)
    assert asked.args == [True]
    with qtbot.waitSignal(panel.uncertainty_shown_requested):
        qtbot.mouseClick(panel.uncertainty, Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(panel.opacity_requested) as asked:
        panel.opacity.setValue(35)
    assert asked.args == [0.35]


def test_showing_the_overlay_state_asks_for_nothing(qtbot, panel):
    with (
        qtbot.assertNotEmitted(panel.prediction_shown_requested),
        qtbot.assertNotEmitted(panel.opacity_requested),
    ):
        panel.set_overlay(True, True, 0.4)
    assert panel.prediction.isChecked()
    assert panel.opacity.value() == 40


def test_predict_offers_this_case_and_all(qtbot, panel):
    this, everything, _models, _keep = panel.predict_button.menu().actions()
    for entry, name in ((this, "predict_case"), (everything, "predict")):
        with qtbot.waitSignal(panel.predict_menu.asked) as asked:
            entry.trigger()
        assert asked.args == [name]


def test_any_model_can_be_asked_for(qtbot, panel):
    assert not panel.models.isEnabled()
    panel.set_models([("002-dycon", "the last", True), ("001-dycon", "the one before", False)])
    last, before = panel.models.actions()
    assert (last.isChecked(), before.isChecked()) == (True, False)
    with qtbot.waitSignal(panel.model_requested) as asked:
        before.trigger()
    assert asked.args == ["001-dycon"]


@pytest.mark.parametrize(
    "colours", [DEFAULT_COLORS, ["#2ad0ee"], ["#29d4ed", "#ff50ee"], ["#29d4ed", "#ff4df0", "#ffee44"]]
)
def test_uncertainty_keeps_away_from_the_colours_of_structures(colours):
    structures = [Structure(value=n, name=f"s{n}", color=colour) for n, colour in enumerate(colours, 1)]
    veil = veil_colour(structures)
    for colour in colours:
        assert np.linalg.norm(np.subtract(QColor(colour).getRgb(), QColor(veil).getRgb())) > 75


def test_where_all_colours_for_uncertainty_are_taken_one_is_used_all_the_same():
    structures = [Structure(value=n, name=f"s{n}", color=colour) for n, colour in enumerate(VEILS, 1)]
    assert veil_colour(structures) in VEILS
    assert veil_colour([]) == VEILS[0]


def test_legend_has_the_colour_of_the_layer(panel):
    red, green, blue, alpha = entropy_colours().colors[-1]
    panel.legend.set_colour(QColor.fromRgbF(red, green, blue).name())
    image = panel.legend.grab().toImage()
    ratio = image.width() / panel.legend.width()
    seen = {
        tuple(image.pixelColor(round(x * ratio), image.height() // 2).getRgb()[:3])
        for x in range(panel.legend.width())
    }
    wanted = tuple(round(255 * part) for part in (red, green, blue))
    assert alpha == 1
    assert min(sum(abs(a - b) for a, b in zip(colour, wanted, strict=True)) for colour in seen) < 30


def test_blocked_overlays_and_acceptance_say_why(panel):
    panel.set_blocked("No prediction yet.", "Read only.", "Train first.")
    assert not panel.uncertainty.isEnabled()
    assert "No prediction yet." in panel.uncertainty.toolTip()
    assert "Read only." in panel.accept.button.toolTip()
    assert "Train first." in panel.predict_button.toolTip()


def test_one_line_tells_what_suggestions_brought_and_its_tooltip_the_rest(panel):
    assert panel.brought.isHidden()
    panel.set_brought("Suggested places: 6.1 mm² mended a slice, random ones 2.4.", "9 chosen <places>")
    assert panel.brought.isVisible() and "random ones 2.4" in panel.brought.toolTip()
    assert "9 chosen &lt;places&gt;" in panel.brought.toolTip()
    panel.set_brought("", "")
    assert panel.brought.isHidden()
