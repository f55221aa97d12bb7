"""What a folder of DICOM holds is shown before anything is added, and only what is ticked is."""

from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_dycon.plugin.background.jobs import ScansListed
from napari_dycon.plugin.widgets.seriesdialog import NAMES, SeriesDialog
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
    columns = range(NAMES)
    lines = range(dialog.table.rowCount())
    return [[dialog.table.item(line, column).text() for column in columns] for line in lines]


def line_of(dialog, name):
    return next(line for line, row in enumerate(texts(dialog)) if name in row[0])


def tick(dialog, name, state=Qt.CheckState.Checked):
    dialog.table.item(line_of(dialog, name), 0).setCheckState(state)


def test_what_is_new_is_ticked_and_what_plans_others_is_not(asked, session):
    assert {one.name for one in asked.ticked} == {"T1", "T2"}
    asked.buttons.accepted.emit()
    assert session.asked == [("exchange.add_chosen", (PLACE,), frozenset({"T1", "T2"}), {}, ("frames", None))]


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


def exam(number, *descriptions, **facts):
    names = {text: f"{text} of {number}" for text in descriptions}
    spacing = facts.pop("spacing", (1.0, 1.0, 5.0))
    return [
        listed(names[text], description=text, exam=number, spacing=spacing, shape=(9, 9, 9), **facts)
        for text in descriptions
    ]


@pytest.fixture
def ask(make_dock, session):
    def ask(*found, together=False):
        dock = make_dock()
        session.exchange.scans_listed.emit(ScansListed((PLACE,), found, together))
        (dialog,) = dock.findChildren(SeriesDialog)
        dialog.together.setChecked(True)
        return dialog

    return ask


def accept_of(dialog):
    return next(one for one in dialog.buttons.buttons() if one.property("role") == "primary")


def name(dialog, scan, text):
    dialog.names[line_of(dialog, scan)].setText(text)


def test_images_of_an_exam_are_proposed_by_what_their_series_are_called(ask, session):
    fine = exam(1, "T2 tse", spacing=(1.0, 1.0, 1.0))
    dialog = ask(*exam(1, "AX T1", "T2 FLAIR", "Crop"), *fine, *exam(2, "AX T1", "T2 tse"))
    fields = {one.name: field.text() for one, field in zip(dialog._found, dialog.names, strict=True)}
    assert fields["AX T1 of 1"] == "T1" and fields["T2 FLAIR of 1"] == "FLAIR" and fields["Crop of 1"] == ""
    assert dialog.drawn_on.currentText() == "T2", "in both exams, and the finest"
    assert accept_of(dialog).text() == "Add 3 cases"
    accept_of(dialog).click()
    _, _, keys, endings, _ = session.asked[-1]
    assert len(keys) == 6 and next(iter(endings)) == "T2"
    assert endings == {"T2": "T2 tse", "T1": "AX T1", "FLAIR": "T2 FLAIR"}


def test_what_cannot_be_images_of_one_case_is_said_before_it_is_tried(ask):
    dialog = ask(*exam(1, "AX T1", "SAG T1", "FLAIR"), *exam(2, "AX T1"))
    accept = accept_of(dialog)
    assert not accept.isEnabled() and "Two series of one exam are called T1" in dialog.trouble.text()
    name(dialog, "SAG T1 of 1", "T1 sag")
    assert accept.isEnabled() and dialog.trouble.isHidden()
    dialog.drawn_on.setCurrentText("FLAIR")
    assert "An exam has no FLAIR image" in dialog.trouble.text()
    for field in dialog.names:
        field.clear()
    assert "at least two images" in dialog.trouble.text()
    dialog.together.setChecked(False)
    assert accept.isEnabled() and accept.text() == "Add 4 scans" and dialog.endings == {}


def test_a_study_that_tells_its_images_itself_is_not_asked_nor_one_series_an_exam(ask):
    assert ask(*exam(1, "T1", "T2"), together=True).together.isHidden()


def test_a_series_alone_in_its_exam_is_a_scan(ask):
    assert ask(*exam(1, "T1"), *exam(2, "T2")).together.isHidden()
