"""Slices of a case are found once, and again whenever anything about the case is another."""

import json
import os

import numpy as np
import pytest

from napari_dycon.engine.events import CasePredicted
from napari_dycon.guidance import candidates as module
from napari_dycon.guidance.candidates import candidates, note_candidates
from napari_dycon.guidance.predicted import Predicted
from napari_dycon.guidance.suggestions import suggest
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation
from tests.guidance.conftest import SHAPE, everywhere, prediction, save


@pytest.fixture
def reads(monkeypatch):
    """The ids of the cases whose maps were read."""
    seen, read = [], Predicted.read
    monkeypatch.setattr(
        module.Predicted, "read", lambda study, run, case: seen.append(case.id) or read(study, run, case)
    )
    return seen


def found(study, case="scan_2"):
    return candidates(study, study.active_run, study.case(case))


def test_what_was_found_is_the_same_when_it_is_read_back(study, reads):
    save(study, "scan_2", everywhere(0.8))
    first = found(study)
    assert first and found(study) == first
    assert reads == ["scan_2"]
    assert suggest(study, count=4) == suggest(study, count=4)
    assert reads.count("scan_2") == 1


def test_another_prediction_label_or_structure_is_looked_at_anew(study, reads):
    save(study, "scan_2", everywhere(0.8))
    first = found(study)
    save(study, "scan_2", everywhere(0.8) * (np.arange(SHAPE[0]) < 20)[:, None, None])
    second = found(study)
    assert second != first
    annotation = Annotation.empty(SHAPE)
    annotation.complete_slice(2, 11)
    study.save_annotation("scan_2", annotation, "complete")
    third = found(study)
    assert {c.suggestion.index for c in third if c.suggestion.axis == 2}.isdisjoint({10, 11, 12})
    study.change_structure(3, name="kidney")
    assert {c.suggestion.structure_name for c in found(study)} == {"kidney"}
    assert reads == ["scan_2"] * 4


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"stamp": 1}', b"\xff\xfe"])
def test_a_damaged_file_is_made_again(study, content):
    save(study, "scan_2", everywhere(0.8))
    first = found(study)
    path = study.predictions.path(study.active_run, "scan_2").with_name("scan_2.slices.json")
    stamp = json.loads(path.read_bytes())["stamp"]
    path.write_bytes(content.replace(b"1}", json.dumps(stamp).encode() + b', "slices": [[1]]}'))
    assert found(study) == first
    assert json.loads(path.read_bytes())["stamp"] == stamp


def test_in_a_study_that_is_only_looked_at_nothing_is_written(study):
    save(study, "scan_2", everywhere(0.8))
    path = study.predictions.path(study.active_run, "scan_2").with_name("scan_2.slices.json")
    with Study.open(study.path, read_only=True) as looked_at:
        assert candidates(looked_at, study.active_run, looked_at.case("scan_2"))
    assert not path.exists()


def test_a_scan_that_is_gone_is_not_suggested_from_what_was_kept(study):
    save(study, "scan_2", everywhere(0.8))
    assert found(study)
    os.remove(study.scan_path("scan_2"))
    assert "scan_2" not in {place.case for place in suggest(study, count=4)}


def test_slices_are_found_as_soon_as_a_case_is_predicted(study, reads):
    save(study, "scan_2", everywhere(0.8))
    event = CasePredicted("scan_2", 1, 1, {}, 0.5, False)
    assert list(note_candidates(study, study.active_run, iter([event]))) == [event]
    assert reads == ["scan_2"]
    found(study)
    assert reads == ["scan_2"]


def test_what_the_model_before_called_something_else_is_said_to_have_changed(study, reads):
    save(study, "scan_2", everywhere(0.8))
    assert not any("since the last model" in c.suggestion.reason for c in found(study))
    study.set_active_run(study.new_run("dycon"))
    mask = prediction()
    mask[12:28, 10:26, 6:11] = 0
    save(study, "scan_2", everywhere(0.8), mask)
    organ = [c.suggestion for c in found(study) if c.suggestion.structure == 3 and c.suggestion.axis == 2]
    changed = {place.index for place in organ if "changed since the last model" in place.reason}
    assert changed == {place.index for place in organ if 6 <= place.index < 11} != set()
    before = study.runs()[0]
    study.predictions.path(before, "scan_2").unlink()
    assert not any("since the last model" in c.suggestion.reason for c in found(study))
    assert len(reads) == 3
