import numpy as np
import pytest

from napari_dycon.errors import StudyError
from napari_dycon.study.exchange.importing import add_scans
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
