"""Whose the cases are is said in one write, and taken back by saying that each has its own."""

from threading import Thread

import pytest

from napari_dycon.errors import StudyError
from napari_dycon.study.exchange.importing import add_scan
from napari_dycon.study.store.patients import set_patient
from napari_dycon.study.study import Study


@pytest.fixture
def three(study, make_scan):
    for name in ("a", "b", "c"):
        add_scan(study, make_scan(name))
    return study


def whose(study):
    return [case.patient for case in study.cases]


def test_cases_become_scans_of_one_patient_on_disk_and_are_their_own_again(three):
    revision = three.record.revision
    assert set_patient(three, ["a", "b"], " P1 ") == {"a": "a", "b": "b"}
    assert whose(three) == ["P1", "P1", "c"] and three.record.revision == revision + 1
    with Study.open(three.path, read_only=True) as again:
        assert whose(again) == ["P1", "P1", "c"]
    assert set_patient(three, ["c", "a"], "p1") == {"c": "c"}, "the same, whatever the case of its letters"
    assert set_patient(three, ["a", "b"], "") == {"a": "P1", "b": "P1"}
    assert whose(three) == ["a", "b", "P1"]


def test_a_case_is_alone_though_others_are_said_to_be_of_its_patient(three):
    set_patient(three, ["b", "c"], "a")
    assert whose(three) == ["a", "a", "a"]
    set_patient(three, ["a"], "")
    assert whose(three) == ["a-2", "a", "a"]


def test_what_cannot_be_a_patient_changes_nothing(three):
    for cases, patient in ((["a"], "two\nlines"), (["a"], "x" * 5000), (["a", "nobody"], "P1")):
        with pytest.raises(StudyError):
            set_patient(three, cases, patient)
    assert whose(three) == ["a", "b", "c"]


def test_two_writers_do_not_lose_each_others_change(three, monkeypatch):
    update, others = three.update, []

    def update_late(**changes):
        if not others:
            others.append(Thread(target=set_patient, args=(three, ["c"], "P2")))
            others[0].start()
            others[0].join(0.2)
        update(**changes)

    monkeypatch.setattr(three, "update", update_late)
    set_patient(three, ["a", "b"], "P1")
    others[0].join()
    assert whose(three) == ["P1", "P1", "P2"]
