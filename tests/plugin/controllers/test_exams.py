"""Labels of another exam of the patient in the window: shown first, taken over as one change, or left."""

from dataclasses import replace

import numpy as np
import pytest

from napari_dycon.errors import VolumeError
from napari_dycon.io.registration import RegistrationStep
from napari_dycon.plugin import actions
from napari_dycon.plugin.background import exam_jobs
from napari_dycon.plugin.controllers.question import CANCEL
from napari_dycon.study.exchange.carrying import CarriedOver
from napari_dycon.study.truth.annotations import Annotation, Known
from napari_dycon.study.truth.carrying import Carried


class Fit:
    """What a registration is asked for here."""

    before, after = 0.1, 0.4


class Registering:
    """Carries a block over without looking at any scan."""

    def __init__(self):
        self.asked, self.problem = [], ""

    def __call__(self, study, earlier, later, stop):
        self.asked.append((earlier, later))
        yield RegistrationStep(1, 2)
        if self.problem:
            raise VolumeError(self.problem)
        labels = np.zeros(study.case(later).shape, np.uint8)
        labels[3:9, 4:9, 2:5] = 1
        yield CarriedOver(earlier, later, Carried(labels, labels > 0, "Labels of alpha"), Fit())


@pytest.fixture
def registering(monkeypatch):
    fake = Registering()
    monkeypatch.setattr(exam_jobs, "carry_over", fake)
    return fake


def make_exams(study, *names):
    """Let cases be of one patient."""
    for name in names:
        study.replace_case(study.case(name).model_copy(update={"patient": "anna"}))


def label(study, case_id):
    labels = np.zeros(study.case(case_id).shape, np.uint8)
    labels[3:9, 4:9, 2:5] = 1
    study.save_annotation(case_id, Annotation.full(labels), "complete")


@pytest.fixture
def exams(opened, registering):
    """Alpha, which is labelled, and gamma, which is open, are exams of one patient."""
    make_exams(opened.study, "alpha", "gamma")
    label(opened.study, "alpha")
    opened.open("gamma")
    opened.rest()
    return opened.session.exchange.exams


def test_labels_are_shown_and_asked_about_before_they_count(opened, exams, registering):
    exams.carry()
    opened.wait(lambda: opened.session.dialogue.question is not None)
    question = opened.session.dialogue.question
    assert registering.asked == [("alpha", "gamma")]
    assert question.text == "Take over the labels of alpha? Similarity 0.10 before, 0.40 after."
    assert opened.layer("preview").visible
    assert not opened.layer("annotation").data.any()
    opened.session.dialogue.answer(CANCEL)
    assert not opened.layer("preview").visible
    assert not opened.layer("annotation").data.any()


def test_what_is_taken_over_is_one_change_and_spares_what_was_painted(opened, exams):
    case = opened.session._desk.case
    exams.carry()
    opened.wait(lambda: opened.session.dialogue.question is not None)
    opened.paint((6, 12, 10), value=3)
    painted = case.annotation.labels == 3
    opened.session.dialogue.answer("fill")
    opened.wait(lambda: np.any(case.annotation.known == Known.INTERPOLATED))
    assert (case.annotation.labels[painted] == 3).all() and painted.any()
    assert opened.session.labels.undo_name == "Labels of alpha"
    opened.rest()
    opened.session.labels.undo()
    assert not np.any(case.annotation.known == Known.INTERPOLATED)


def test_who_opened_another_case_meanwhile_sees_it_on_coming_back(opened, exams, notes):
    exams.carry()
    opened.session.cases.open("beta")
    opened.wait(lambda: any("ready: open it" in text for _, text in notes))
    opened.wait(lambda: opened.session.cases.case_id == "beta")
    assert opened.session.dialogue.question is None
    opened.open("gamma")
    opened.wait(lambda: opened.session.dialogue.question is not None)
    assert "alpha" in opened.session.dialogue.question.text


def test_scans_that_do_not_fit_are_told_and_change_nothing(opened, exams, registering, notes):
    registering.problem = "The two scans could not be brought onto each other."
    exams.carry()
    opened.wait(lambda: notes[-1:] == [("error", registering.problem)])
    assert opened.session.dialogue.question is None


def test_of_several_exams_one_is_chosen(opened, exams, registering):
    make_exams(opened.study, "beta")
    label(opened.study, "beta")
    exams.carry()
    question = opened.session.dialogue.question
    assert question.answers == (("alpha", "alpha"), ("beta", "beta"), (CANCEL, "Cancel"))
    opened.session.dialogue.answer("beta")
    opened.wait(lambda: registering.asked == [("beta", "gamma")])
    opened.rest()


def test_it_is_possible_where_the_patient_has_another_labelled_case(opened, registering, notes):
    carry = actions.BY_ID["carry_over"]
    make_exams(opened.study, "alpha", "gamma")
    assert carry.why_not(opened.session.actions.situation()) == actions.NO_EXAM
    opened.session.exchange.exams.carry()
    assert notes[-1][1] == actions.NO_EXAM
    label(opened.study, "gamma")
    assert carry.why_not(opened.session.actions.situation()) == ""
    busy = replace(opened.session.actions.situation(), task="carrying")
    assert carry.why_not(busy) == actions.BUSY["carrying"]
