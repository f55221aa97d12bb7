"""Files of several volumes are one question in plain words; who closes it adds nothing."""

from pathlib import Path

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel

from napari_dycon.plugin.background.jobs import ScansListed
from napari_dycon.plugin.widgets.framesdialog import FramesDialog
from napari_dycon.study.exchange.listing import Listed


def listed(**volumes):
    found = (
        Listed(name, Path(f"/d/{name}.nii.gz"), name, "refused", volumes=n) for name, n in volumes.items()
    )
    return ScansListed((Path("/d"),), tuple(found))


@pytest.fixture
def ask(make_dock, session, rows):
    session.open_with(rows)
    dock = make_dock()

    def asked(**volumes):
        session.exchange.scans_listed.emit(listed(**volumes))
        return dock.findChildren(FramesDialog)[-1]

    return asked


def words(dialog):
    return dialog.findChildren(QLabel)[0].text(), [button.text() for button in dialog.answers.values()]


def test_one_file_is_named_with_what_would_come_of_it(ask, session):
    dialog = ask(heart=25)
    question, answers = words(dialog)
    assert question == "heart.nii.gz holds 25 volumes of one grid. What are they?"
    assert answers == ["Time points: 25 cases of one patient", "Several images of one case", "Leave it out"]
    assert dialog.answers["cases"].isChecked()
    assert not dialog.answers["channels"].isEnabled() and "Up to 16" in dialog.answers["channels"].toolTip()
    dialog.buttons.buttons()[0].click()
    name, told = session.asked[-1]
    assert (name, told.frames) == ("exchange.add_listed", "cases")
    assert [(one.verdict, one.wanted) for one in told.found] == [("new", True)]


def test_several_files_are_one_question_and_the_answer_is_for_all(ask, session):
    dialog = ask(a=3, b=2)
    question, answers = words(dialog)
    assert question == "a.nii.gz (3), b.nii.gz (2) hold several volumes each. What are they?"
    assert answers[0] == "Time points: 5 cases, each file a patient" and answers[2] == "Leave them out"
    dialog.answers["channels"].click()
    dialog.buttons.buttons()[0].click()
    assert session.asked[-1][1].frames == "channels"
    assert words(ask(a=2, b=2, c=2, d=2))[0].startswith(
        "a.nii.gz and 3 other files hold several volumes each."
    )


def test_who_closes_it_adds_nothing(ask, session, qtbot):
    dialog, before = ask(heart=4), list(session.asked)
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert session.asked == before and not dialog.isVisible()
