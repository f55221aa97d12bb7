"""The page of expert settings, with the real widgets that magicgui makes for the real plan."""

import pytest
from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox, LineEdit, SpinBox
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_dycon.engine.plan import Plan
from napari_dycon.learning.methods.base import methods
from napari_dycon.plugin.controllers.expert import METHOD, PLAN, TOGETHER, Refusal, Section
from napari_dycon.plugin.controllers.setting import parts_of, settings_of
from napari_dycon.plugin.widgets.expert import ExpertPage

MODELS = {METHOD: methods.get("dycon").Settings, PLAN: Plan, **parts_of(Plan)}
LAST = {PLAN: {"spacing": [1.25, 1.25, 2.5], "precision": "32-true"}}


@pytest.fixture
def page(qtbot, theme):
    page = ExpertPage()
    qtbot.addWidget(page)
    page.set_theme(theme)
    page.set_sections(
        [
            Section(key, key or "Plan", model, settings_of(model), LAST.get(key, {}))
            for key, model in MODELS.items()
        ],
        "DyCON",
    )
    page.show_values({}, {}, "")
    page.resize(380, 700)
    page.show()
    qtbot.waitExposed(page)
    page.activateWindow()
    for panel in page.panels.values():
        assert not panel.form.isVisible(), "nobody is met by forty fields"
        QTest.mouseClick(panel.head, Qt.MouseButton.LeftButton)
        assert panel.form.isVisible()
    return page


def line(page, key, name):
    return page.panels[key].form.rows[name]


def type_into(field, text):
    field.setFocus()
    field.selectAll()
    QTest.keyClicks(field, text)
    QTest.keyClick(field, Qt.Key.Key_Return)


def test_magicgui_makes_a_widget_with_limits_label_and_tip_of_every_setting(page):
    for key, panel in page.panels.items():
        assert set(panel.form.rows) == {setting.name for setting in settings_of(MODELS[key])}
        for made in panel.form.rows.values():
            assert made.native.accessibleName().startswith(made.setting.label)
            assert (
                f"--override {'' if key in (PLAN, METHOD) else key + '.'}{made.setting.name}="
                in made.native.toolTip()
            )
            assert made.setting.tip[:20] in made.label.toolTip()
    for name, kind in (("overlap", FloatSpinBox), ("averaged", CheckBox), ("optimiser", ComboBox)):
        assert isinstance(line(page, PLAN, name).field, kind)
    assert isinstance(line(page, METHOD, "anchors").field, SpinBox)
    assert line(page, METHOD, "anchors").field.min == 1
    assert (line(page, PLAN, "overlap").field.min, line(page, PLAN, "overlap").field.max) == (0, 1)
    assert line(page, PLAN, "spacing").label.text() == "Spacing (mm)"


def test_what_the_plan_decides_says_so_and_what_it_was(page):
    spacing, precision = line(page, PLAN, "spacing"), line(page, PLAN, "precision")
    assert isinstance(spacing.field, LineEdit) and isinstance(precision.field, ComboBox)
    assert (spacing.native.text(), spacing.native.placeholderText()) == ("", "automatic (1.25, 1.25, 2.5)")
    assert precision.native.currentText() == "automatic (32-true)"
    assert line(page, PLAN, "patch_size").native.placeholderText() == "automatic"
    assert line(page, PLAN, "learning_rate").native.text() == "0.001"


def test_what_a_person_gives_is_told_once_it_is_given(qtbot, page):
    told = []
    page.change_requested.connect(lambda *change: told.append(change))
    type_into(line(page, PLAN, "learning_rate").native, "3e-4")
    type_into(line(page, PLAN, "spacing").native, "1, 1, 2")
    type_into(line(page, "augmentation", "noise_p").native, "0.25")
    type_into(line(page, METHOD, "anchors").native, "12")
    QTest.keyClick(line(page, PLAN, "averaged").native, Qt.Key.Key_Space)
    QTest.keyClick(line(page, PLAN, "precision").native, Qt.Key.Key_Down)
    line(page, PLAN, "gradient_clip").native.setFocus()
    line(page, PLAN, "weight_decay").native.setFocus()
    assert told == [
        (PLAN, "learning_rate", "3e-4"),
        (PLAN, "spacing", "1, 1, 2"),
        ("augmentation", "noise_p", 0.25),
        (METHOD, "anchors", 12),
        (PLAN, "averaged", False),
        (PLAN, "precision", "32-true"),
    ]


def test_what_is_set_stands_out_and_can_be_reset(qtbot, page):
    rate, other = line(page, PLAN, "learning_rate"), line(page, PLAN, "weight_decay")
    page.show_values({PLAN: {"learning_rate": 3e-4, "averaged": False}}, {}, "")
    assert rate.native.text() == "0.0003"
    assert not line(page, PLAN, "averaged").field.value
    assert rate.label.property("role") == "changed" != other.label.property("role")
    assert rate.reset_button.isVisible() and not other.reset_button.isVisible()
    assert "0.001" in rate.reset_button.toolTip()
    assert "2 set" in page.panels[PLAN].head.text()
    with qtbot.waitSignal(page.reset_requested) as asked:
        QTest.mouseClick(rate.reset_button, Qt.MouseButton.LeftButton)
    assert asked.args == [PLAN, "learning_rate"]
    with qtbot.waitSignal(page.reset_all_requested):
        QTest.mouseClick(page.reset_button, Qt.MouseButton.LeftButton)
    page.show_values({}, {}, "")
    assert rate.native.text() == "0.001"
    assert line(page, PLAN, "averaged").field.value
    assert not page.reset_button.isEnabled()


def test_a_refused_value_stays_in_sight_with_the_reason(page):
    rate, panel = line(page, PLAN, "learning_rate"), page.panels[PLAN]
    wrong, apart = Refusal("-1", "Must be above 0."), Refusal(None, "No.")
    page.show_values({}, {PLAN: {"learning_rate": wrong}, METHOD: {TOGETHER: apart}}, "")
    assert (rate.native.text(), rate.refusal.text()) == ("-1", "Must be above 0.")
    assert rate.refusal.isVisible()
    assert "1 refused" in panel.head.text()
    assert page.panels[METHOD].form.together.text() == "No."
    QTest.mouseClick(panel.head, Qt.MouseButton.LeftButton)
    assert not panel.form.isVisible()
    page.open_touched()
    assert panel.form.isVisible()


def test_what_was_set_last_time_is_offered_if_anything_was(qtbot, page):
    assert not page.repeat_button.isEnabled()
    page.show_values({}, {}, "002-dycon")
    assert "002-dycon" in page.repeat_button.toolTip()
    with qtbot.waitSignal(page.repeat_requested):
        QTest.mouseClick(page.repeat_button, Qt.MouseButton.LeftButton)


def test_the_search_shows_what_it_finds_and_escape_empties_it_then_leaves(qtbot, page):
    QTest.mouseClick(page.panels[PLAN].head, Qt.MouseButton.LeftButton)
    QTest.keyClicks(page.search, "learning rate")
    assert line(page, PLAN, "learning_rate").isVisible()
    assert not line(page, PLAN, "weight_decay").isVisible()
    assert not page.panels["network"].isVisible()
    with qtbot.assertNotEmitted(page.closed):
        QTest.keyClick(page.search, Qt.Key.Key_Escape)
    assert page.search.text() == ""
    assert page.panels["network"].isVisible()
    assert not page.panels[PLAN].form.isVisible(), "folded as before"
    with qtbot.waitSignal(page.closed):
        QTest.keyClick(page.search, Qt.Key.Key_Escape)


@pytest.mark.parametrize(("key", "name"), [(PLAN, "overlap"), (METHOD, "anchors"), (PLAN, "precision")])
def test_the_wheel_scrolls_past_a_field_and_does_not_change_it(page, key, name):
    field, told = line(page, key, name).native, []
    page.change_requested.connect(lambda *change: told.append(change))
    page.search.setFocus()
    middle = QPointF(field.rect().center())
    nothing, phase = Qt.MouseButton.NoButton, Qt.ScrollPhase.NoScrollPhase
    plain, place = Qt.KeyboardModifier.NoModifier, QPointF(field.mapToGlobal(middle.toPoint()))
    for turn in (120, -120):
        QApplication.sendEvent(
            field, QWheelEvent(middle, place, QPoint(), QPoint(0, turn), nothing, plain, phase, False)
        )
    assert told == []
