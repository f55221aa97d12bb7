"""The page that says where to train, in the dock."""

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_dycon.engine.runners.elsewhere.machines import make_machine
from napari_dycon.plugin.background.machine_jobs import MachineChecked
from napari_dycon.plugin.controllers.expert import TOGETHER, Refusal
from napari_dycon.plugin.widgets.places import INDENT

GPU, WARD = make_machine(name="gpu", destination="me@gpu"), make_machine(name="ward", destination="ward")


@pytest.fixture
def page(make_dock, session):
    places = session.training.places
    places.machines, places.machine = (GPU, WARD), GPU
    places.said = {"ward": MachineChecked("ward", "ward asks for a password.", usable=False)}
    dock = make_dock()
    dock.ask("places")
    dock.training.places_requested.emit()
    return dock.expert.places.page


def test_places_are_listed_with_what_is_known_of_them(page):
    assert [line.choice.text() for line in page.rows] == ["This computer", "gpu", "ward"]
    assert [line.choice.isChecked() for line in page.rows] == [False, True, False]
    assert [line.text.property("role") for line in page.rows] == ["muted", "muted", "bad"]
    assert page.rows[1].text.text() == "me@gpu" and "password" in page.rows[2].text.text()
    assert page.rows[0].text.contentsMargins().left() == INDENT


def test_the_chosen_machine_stands_beside_train(page):
    dock_button = page.parent().parent().training.place_button
    assert dock_button.text().strip() == "gpu" and "Now: gpu." in dock_button.toolTip()


def test_a_choice_and_a_new_machine_are_told_to_the_session(page, session):
    page.rows[2].choice.click()
    assert ("places.choose", "ward") in session.asked
    assert page.box.isHidden()
    page.add_button.click()
    assert ("places.begin", "") in session.asked and not page.box.isHidden()
    field = page.form.rows["destination"].native
    field.setFocus()
    QTest.keyClicks(field, "me@gpu")
    QTest.keyClick(field, Qt.Key.Key_Return)
    assert ("places.change", "destination", "me@gpu") in session.asked
    page.keep_button.click()
    assert session.asked[-1] == ("places.keep",)


def test_what_is_refused_stands_above_the_form(page, session):
    session.training.places.refused = {TOGETHER: Refusal(None, "Write a host.")}
    session.training.places.changed.emit()
    assert page.form.together.text() == "Write a host."


def test_escape_leaves_the_form_then_the_page(page):
    page.add_button.click()
    QTest.keyClick(page, Qt.Key.Key_Escape)
    assert page.box.isHidden()
