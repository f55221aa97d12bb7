"""What a folder of DICOM holds is shown before anything is added, and only what is ticked is."""

from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_dycon.plugin.background.jobs import ScansListed
from napari_dycon.plugin.widgets.seriesdialog import SeriesDialog
from napari_dycon.study.exchange.listing import Listed

PLACE = Path("/disc")
GREY = np.zeros((90, 60), np.uint8)


def listed(name, verdict="new", wanted=True, **facts):
    return Listed(name, PLACE / name, name, verdict, wanted=wanted, is_dicom=True, **facts)


FOUND = (
    listed("broken", "refused", False, reason="The series 'x' cannot be used: its slices are uneven."),
    listed("T1", patient="patient-1", day=0, shape=(3, 4, 5), spacing=(1.0, 1.0, 2.0), picture=GREY),
    listed("plan", wanted=False),
    listed("T2", patient="patient-1", day=30, description="axial T2"),
    listed("known", "already there", False),
)


@pytest.fixture
def asked(make_dock, session):
    dock = make_dock()
    session.exchange.scans_listed.emit(ScansListed((PLACE,), FOUND))
    (dialog,) = dock.findChildren(SeriesDialog)
    return dialog


def texts(dialog):
    columns = range(dialog.table.columnCount())
    lines = range(dialog.table.rowCount())
    return [[dialog.table.item(line, column).text() for column in columns] for line in lines]


def line_of(dialog, name):
    return next(line for line, row in enumerate(texts(dialog)) if name in row[0])


def tick(dialog, name, state=Qt.CheckState.Checked):
    dialog.table.item(line_of(dialog, name), 0).setCheckState(state)


def test_what_is_new_is_ticked_and_what_plans_others_is_not(asked, session):
    assert {one.name for one in asked.ticked} == {"T1", "T2"}
    asked.buttons.accepted.emit()
    assert session.asked == [("exchange.add_chosen", (PLACE,), frozenset({"T1", "T2"}))]


def test_each_line_says_what_it_is_and_the_last_ones_why_not(asked):
    rows = texts(asked)
    assert [row[0] for row in rows] == ["T1", "axial T2\nT2", "plan", "known", "broken"]
    assert rows[0][1:] == ["patient-1\nfirst exam", "3 x 4 x 5\n1 x 1 x 2", ""]
    assert rows[1][1] == "patient-1\n30 days later"
    assert [row[3] for row in rows[2:]] == [
        "looks like a localizer",
        "already there",
        "its slices are uneven.",
    ]


def test_what_cannot_be_added_gets_no_tick(asked):
    for name in ("broken", "known"):
        assert not asked.table.item(line_of(asked, name), 0).flags() & Qt.ItemFlag.ItemIsUserCheckable
    asked.tick(True)
    assert {one.name for one in asked.ticked} == {"T1", "T2", "plan"}


def test_the_button_counts_and_needs_one(asked, session):
    button = next(one for one in asked.buttons.buttons() if one.property("role") == "primary")
    assert button.text() == "Add 2 scans"
    tick(asked, "T1", Qt.CheckState.Unchecked)
    assert button.text() == "Add 1 scan"
    asked.tick(False)
    assert not button.isEnabled()
    asked.reject()
    assert session.asked == []
