import numpy as np
import pytest

from napari_dycon.errors import StudyError
from napari_dycon.study.exchange.importing import add_scans, explain_labels
from napari_dycon.study.exchange.label_values import parse_values
from napari_dycon.study.store.schema import Structure

STRUCTURES = (Structure(value=1, name="liver"), Structure(value=2, name="Spleen"))


def test_values_mean_the_structure_that_is_named():
    assert parse_values(["3:liver", " 7 : spleen", "9:background"], STRUCTURES) == {3: 1, 7: 2, 9: 0}


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["liver"], "does not say what"),
        (["0:liver"], "does not say what"),
        (["300:liver"], "does not say what"),
        (["3:"], "does not say what"),
        (["3:kidney"], 'it has: liver, Spleen.*--structure "3:kidney"'),
        (["3:liver", "3:spleen"], "two things about the value 3"),
    ],
)
def test_what_means_nothing_is_refused(texts, sentence):
    with pytest.raises(StudyError, match=sentence):
        parse_values(texts, STRUCTURES)


def test_labels_are_taken_over_as_a_person_says(study, make_scan, make_labels, tmp_path):
    make_scan("anna")
    make_labels("anna", values=(3, 1, 4))
    _, event = add_scans(study, [tmp_path / "images"], tmp_path / "labels", values={3: 1, 1: 0, 4: 1})
    assert event.problem is None
    labels = study.annotation(event.case.id).labels
    assert np.flatnonzero(labels.any((0, 1))).tolist() == [0, 2] and set(np.unique(labels)) == {0, 1}


def test_a_value_of_which_nothing_is_said_is_still_refused(study, make_scan, make_labels, tmp_path):
    make_scan("anna")
    make_labels("anna", values=(3, 5))
    _, event = add_scans(study, [tmp_path / "images"], tmp_path / "labels", values={3: 1})
    assert "5 (16 voxels)" in event.problem and '--map "5:NAME"' in event.problem


def test_what_no_structure_has_is_told_with_the_event_and_taken_over_once_it_is_explained(
    study, make_scan, make_labels, tmp_path
):
    make_scan("anna")
    labels = make_labels("anna", values=(3, 1, 4))
    _, event = add_scans(study, [tmp_path / "images"], tmp_path / "labels")
    assert event.case.status == "unlabelled" and event.foreign.labels == labels
    assert event.foreign.keys == {3: ("", 3), 4: ("", 4)} and event.foreign.names == {}
    meant = {("", 3): "Aorta", ("", 4): "left atrium"}
    (taken,) = explain_labels(study, [(event.case.id, event.foreign)], meant)
    assert taken.outcome == "labelled" and {one.name: one.value for one in study.structures} == {
        "left atrium": 1,
        "Aorta": 3,
    }
    found = study.annotation(event.case.id).labels
    assert [int(np.unique(plane).max()) for plane in np.moveaxis(found, 2, 0)[:3]] == [3, 1, 1]
    (again,) = explain_labels(study, [(event.case.id, event.foreign)], meant)
    assert again.outcome == "already there" and "has labels already" in again.problem


def test_a_new_structure_never_gets_a_value_that_was_given_up(study, make_scan, make_labels, tmp_path):
    study.add_structure("vein", value=3)
    study.remove_structure(3)
    make_scan("anna")
    make_labels("anna", values=(3, 1, 1))
    _, event = add_scans(study, [tmp_path / "images"], tmp_path / "labels")
    (taken,) = explain_labels(study, [(event.case.id, event.foreign)], {("", 3): "aorta"})
    assert taken.outcome == "labelled" and study.structures[-1].value not in (1, 3)
