"""What a value of a mask means is chosen in a list, or named."""

from pathlib import Path

import pytest
from qtpy.QtCore import Qt

from napari_dycon.plugin.widgets.valuesdialog import BACKGROUND, NEW, ValuesDialog
from napari_dycon.study.exchange.label_values import Foreign

FOREIGN = [
    ("a", Foreign(Path("/m/a.nii"), {3: 1500, 4: 2}, {})),
    ("b", Foreign(Path("/m/b.nii"), {3: 500}, {})),
    ("c", Foreign(Path("/m/c.seg.nrrd"), {1: 9}, {1: "Spleen"})),
]


@pytest.fixture
def asked(make_dock, session, rows):
    session.open_with(rows)
    dock = make_dock()
    session.exchange.values_found.emit(FOREIGN)
    (dialog,) = dock.findChildren(ValuesDialog)
    return dialog


def text(dialog, column):
    return [dialog.table.item(line, column).text() for line in range(dialog.table.rowCount())]


def choose(dialog, line, name):
    dialog.choices[line].setCurrentText(name)


def test_a_value_is_one_line_however_many_masks_hold_it(asked):
    assert text(asked, 0) == ["value 3", "value 4", "Spleen"]
    assert text(asked, 1) == ["2 masks, 2\u2009000 voxels", "a.nii, 2 voxels", "c.seg.nrrd, 9 voxels"]
    assert [choice.currentText() for choice in asked.choices] == [BACKGROUND] * 3
    assert asked.meant == {("", 3): 0, ("", 4): 0, ("Spleen", 0): 0}


def test_a_value_is_a_structure_or_a_new_one_by_its_name(asked, session):
    choose(asked, 0, "Appendage")
    choose(asked, 1, NEW)
    assert not asked.names[1].isHidden() and asked.names[0].isHidden()
    accept = asked.buttons.buttons()[0]
    assert not accept.isEnabled() and accept.toolTip() == "Name each new structure."
    asked.names[1].setText("appendage")
    assert "“appendage” already" in accept.toolTip()
    asked.names[1].setText(" Vein ")
    choose(asked, 2, NEW)
    assert asked.names[2].text() == "Spleen" and accept.isEnabled()
    accept.click()
    meant = {("", 3): 2, ("", 4): "Vein", ("Spleen", 0): "Spleen"}
    assert session.asked[-1] == ("exchange.explain_labels", FOREIGN, meant)


def test_who_closes_it_is_told_that_the_labels_are_left(asked, session, qtbot):
    qtbot.keyClick(asked, Qt.Key.Key_Escape)
    assert session.asked[-1] == ("exchange.leave_labels", 3)
