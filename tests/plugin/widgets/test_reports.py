"""The windows at the end of an import: everything noticed can be read, and a mask gets one scan at most."""

from pathlib import Path

import pytest
from qtpy.QtWidgets import QApplication

from napari_dycon.plugin.controllers.report import Report
from napari_dycon.plugin.widgets.reports import PairsDialog, ReportDialog

T1, T2, SEG, OTHER = (Path("/im", name) for name in ("a/T1.nii", "a/T2.nii", "a/seg.nii", "b/seg.nii"))


@pytest.fixture
def dock(make_dock):
    return make_dock()


def test_the_report_shows_every_row_and_copies_all_of_it(dock, session, qtbot):
    rows = tuple((f"scan{n}.nii", f"Sentence {n}.") for n in range(30))
    session.exchange.reported.emit(Report("Import", "2 scans were added.", rows))
    (dialog,) = dock.findChildren(ReportDialog)
    assert dialog.isVisible() and not dialog.isModal()
    assert [tuple(dialog.table.item(line, column).text() for column in (0, 1)) for line in range(30)] == list(
        rows
    )
    dialog.copy()
    text = QApplication.clipboard().text()
    assert text.startswith("2 scans were added.") and text.count("\n") == 30
    dialog.close()


@pytest.fixture
def asked(dock, session):
    session.exchange.pairs_found.emit({T1: [SEG, OTHER], T2: [SEG]})
    (dialog,) = dock.findChildren(PairsDialog)
    return dialog


def choose(dialog, scan, text):
    choice = dialog.choices[scan]
    choice.setCurrentIndex(choice.findText(text))


def test_no_mask_is_taken_unless_it_is_chosen(asked, session):
    assert asked.pairs == []
    asked.reject()
    assert session.asked == []


def test_scans_and_masks_of_one_name_are_told_apart_by_their_folders(asked):
    assert [asked.table.item(line, 0).text() for line in (0, 1)] == ["a/T1.nii", "a/T2.nii"]
    texts = [asked.choices[T1].itemText(index) for index in range(3)]
    assert texts == ["none of them", "a/seg.nii", "b/seg.nii"]


def test_one_mask_is_given_to_one_scan_only(asked, session):
    choose(asked, T1, "a/seg.nii")
    choose(asked, T2, "a/seg.nii")
    assert asked.pairs == [(T2, SEG)]
    choose(asked, T1, "b/seg.nii")
    asked.buttons.accepted.emit()
    assert session.asked == [("exchange.add_labels", [(T1, OTHER), (T2, SEG)])]
