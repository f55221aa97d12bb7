"""How masks leave the study, asked by a form of the real request."""

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QWidget

from napari_dycon.plugin.widgets.exportdialog import ExportDialog
from napari_dycon.study.exchange.exporting import ExportRequest
from napari_dycon.study.exchange.formats import formats


@pytest.fixture
def dialog(qtbot, theme):
    parent, told = QWidget(), []
    qtbot.addWidget(parent)
    dialog = ExportDialog(parent, theme, told.append)
    dialog.told = told
    dialog.show()
    qtbot.waitExposed(dialog)
    yield dialog


def press(dialog, text):
    button = next(button for button in dialog.buttons.buttons() if text in button.text())
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def test_the_form_offers_every_format_and_nothing_that_is_asked_elsewhere(dialog):
    rows = dialog.form.rows
    assert set(rows) == {"not_ready", "pseudonyms", "form"}
    box = rows["form"].native
    assert [box.itemText(place) for place in range(box.count())] == list(formats.names())
    assert box.currentText() == ExportRequest("out").form
    assert all(line.setting.tip for line in rows.values())


def test_what_was_set_is_told_and_is_a_request(dialog, tmp_path):
    pseudonyms = dialog.form.rows["pseudonyms"]
    QTest.keyClick(pseudonyms.native, Qt.Key.Key_Space)
    QTest.keyClick(dialog.form.rows["not_ready"].native, Qt.Key.Key_Space)
    assert pseudonyms.reset_button.isVisible()
    QTest.mouseClick(dialog.form.rows["not_ready"].reset_button, Qt.MouseButton.LeftButton)
    press(dialog, "Choose")
    assert dialog.told == [{"pseudonyms": True}]
    request = ExportRequest(tmp_path, **dialog.told[0])
    assert request.pseudonyms and not request.not_ready


def test_who_cancels_exports_nothing(dialog):
    press(dialog, "Cancel")
    assert dialog.told == []
