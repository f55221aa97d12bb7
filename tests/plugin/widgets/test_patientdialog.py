"""Whose scans the chosen cases are is chosen among the patients of the study, or typed."""

import pytest
from qtpy.QtCore import Qt

from napari_dycon.plugin.widgets.patientdialog import PatientDialog

PATIENTS = {"a": "a", "b": "P2", "c": "P2", "d": "d", "e": "P1"}


@pytest.fixture
def ask(qtbot, make_dock, session, rows):
    session.open_with(rows)
    dock, told = make_dock(), []

    def asked(*cases):
        dialog = PatientDialog(dock, {case: f"Case {case}" for case in cases}, PATIENTS, told.append)
        dialog.open()
        return dialog, told

    return asked


def offered(dialog):
    return [dialog.field.itemText(index) for index in range(dialog.field.count())]


def test_patients_of_the_study_are_offered_those_of_several_cases_first(ask):
    dialog, _ = ask("a")
    assert offered(dialog) == ["P2", "d", "P1"]
    assert dialog.field.currentText() == "" and dialog.field.lineEdit().placeholderText() == "its own"
    assert ask("b", "c")[0].field.currentText() == "P2"
    assert ask("b", "e")[0].field.currentText() == ""


def test_a_new_pseudonym_is_told_and_one_that_cannot_be_is_not(ask, qtbot):
    dialog, told = ask("a", "b")
    dialog.field.setCurrentText("x" * 5000)
    accept = dialog.buttons.buttons()[0]
    assert not accept.isEnabled() and "no such patient" in dialog.trouble.text()
    dialog.field.setCurrentText(" P9 ")
    assert accept.isEnabled()
    accept.click()
    assert told == ["P9"]
    dialog, _ = ask("a")
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert told == ["P9"]


def test_the_menu_of_the_row_asks_and_tells_the_session(make_dock, session, rows):
    session.open_with(rows)
    dock = make_dock()
    dock.cases.view.selectRow(0)
    chosen = [row.id for row in dock.cases.menu._selected()]
    dock.cases.menu.perform("set_patient")
    dialog = dock.findChildren(PatientDialog)[-1]
    dialog.field.setCurrentText("P1")
    dialog.buttons.buttons()[0].click()
    assert session.asked[-1] == ("cases.list.set_patient", chosen, "P1")
