"""What the model before said of a case, asked for in the background while the study changes."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.engine.control import Control
from napari_dycon.errors import StudyError
from napari_dycon.plugin.background.jobs import load_maps, load_prediction
from napari_dycon.plugin.background.model_jobs import Before, NothingBefore, read_before
from napari_dycon.plugin.background.version_jobs import version_list
from napari_dycon.study.exchange import importing
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study

SHAPE = (6, 5, 4)


@pytest.fixture
def study(tmp_path):
    scan = nib.Nifti1Image(np.arange(120, dtype=np.int16).reshape(SHAPE), np.eye(4))
    nib.save(scan, tmp_path / "scan.nii.gz")
    with Study.create(tmp_path / "study", [Structure(value=1, name="organ")]) as made:
        case = importing.add_scan(made, tmp_path / "scan.nii.gz").id
        for voxels in (3, 5):
            run = made.new_run("dycon")
            mask = np.zeros(SHAPE, np.uint8)
            mask.flat[:voxels] = 1
            made.predictions.save(run, case, mask, np.zeros(SHAPE, np.float32))
            made.predictions.save_summary(run, {case: {"ready": True, "mean_entropy": 0.25}})
            made.set_active_run(run)
        yield made


def told(study, case):
    return list(read_before(study, case)(Control()))


def test_the_model_before_is_compared(study):
    (found,) = told(study, study.cases[0].id)
    assert isinstance(found, Before)
    assert (found.run, found.changed) == ("001-dycon", 2)
    assert int(found.prediction.sum()) == 3


def test_of_the_first_model_nothing_was_before(study):
    case = study.cases[0].id
    study.set_active_run("001-dycon")
    assert told(study, case) == [NothingBefore(case)]


def test_a_case_that_is_removed_meanwhile_is_no_fault(study, monkeypatch):
    case, real = study.cases[0].id, study.predictions.mask

    def late(run, asked):
        study.remove_case(asked)
        return real(run, asked)

    monkeypatch.setattr(study.predictions, "mask", late)
    assert told(study, case) == []


def test_maps_and_predictions_of_a_removed_case_are_asked_for_in_vain(study, monkeypatch):
    case = study.cases[0].id
    monkeypatch.setattr("napari_dycon.plugin.background.jobs._run_shown", lambda study, case_id: "002-dycon")
    jobs = [load_maps(study, case), load_prediction(study, case), version_list(study, case)]
    assert all(list(job(Control())) for job in jobs)
    study.remove_case(case)
    assert [list(job(Control())) for job in jobs] == [[], [], []]


def test_what_cannot_be_read_of_a_case_that_is_there_is_said(study, monkeypatch):
    def damaged(run, case):
        raise StudyError("it is damaged")

    monkeypatch.setattr(study.predictions, "mask", damaged)
    with pytest.raises(StudyError, match="damaged"):
        told(study, study.cases[0].id)
