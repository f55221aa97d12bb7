"""Expert settings in the real window: from the button beside Train to the folder of a run, and back."""

import json

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_dycon.plugin.controllers.expert import METHOD, PLAN

pytestmark = pytest.mark.gui


def type_into(field, text):
    field.setFocus()
    field.selectAll()
    QTest.keyClicks(field, text)
    QTest.keyClick(field, Qt.Key.Key_Return)


def test_what_is_set_trains_is_kept_with_the_run_and_can_be_set_again(desk, notes, study_path):
    dock = desk.add_dock()[1]
    desk.viewer.window.show()
    desk.wait(lambda: bool(desk.session.training.methods))
    page, left = dock.expert.page, Qt.MouseButton.LeftButton
    assert dock.pages.currentWidget() is not page
    QTest.mouseClick(dock.training.settings_button, left)
    assert dock.pages.currentWidget() is page
    desk.wait(lambda: bool(page.panels), seconds=120)
    for key in (PLAN, METHOD):
        QTest.mouseClick(page.panels[key].head, left)
    plan, of_method = page.panels[PLAN].form.rows, page.panels[METHOD].form.rows
    type_into(plan["learning_rate"].native, "-1")
    assert plan["learning_rate"].refusal.text() == "Learning rate must be greater than 0."
    dock.training.train()
    assert desk.session.tasks.state.kind == "idle"
    assert "Learning rate must be greater than 0." in notes[-1][1]
    type_into(plan["learning_rate"].native, "0.002")
    assert plan["learning_rate"].refusal.isHidden()
    type_into(of_method["start"].native, "0.5")
    QTest.mouseClick(page.close_button, left)
    assert dock.training.settings_button.text().strip() == "2 set"
    QTest.mouseClick(dock.training.train_button, left)
    desk.wait(lambda: any(study_path.glob("runs/*/plan.json")), seconds=180)
    desk.session.tasks.stop()
    desk.wait(lambda: not desk.session.tasks.state.busy, seconds=180)
    run = study_path / "runs" / desk.session.study.runs()[-1]
    told = {"learning_rate": 0.002, "method_settings": {"start": 0.5}}
    assert json.loads((run / "config.json").read_text())["overrides"] == told
    assert json.loads((run / "plan.json").read_text())["learning_rate"] == 0.002
    QTest.mouseClick(dock.training.settings_button, left)
    desk.wait(lambda: bool(page.panels), seconds=120)
    QTest.mouseClick(page.reset_button, left)
    assert desk.session.expert.overrides("dycon") == {}
    QTest.mouseClick(page.repeat_button, left)
    assert desk.session.expert.overrides("dycon") == told
    spacing = page.panels[PLAN].form.rows["spacing"].native.placeholderText()
    assert spacing.startswith("automatic (") and spacing.count(",") == 2
