import nibabel as nib
import numpy as np
import pytest

from napari_dycon.engine.agreement import agreement
from napari_dycon.study.exchange import importing
from napari_dycon.study.exchange.readers import open_reader
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation, Known

SHAPE = (20, 20, 10)


@pytest.fixture
def case(tmp_path):
    """A case of 1 x 1 x 2 mm that two readers drew: cubes of 8 x 8 x 4 voxels, one shifted by 2."""
    scan = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros(SHAPE, np.int16), np.diag([1.0, 1.0, 2.0, 1.0])), scan)
    with Study.create(tmp_path / "study", [Structure(value=3, name="organ")]) as study:
        case = importing.add_scan(study, scan).id
        study.reader = "A"
        study.save_annotation(case, cube(4), "complete")
        with open_reader(study, "B") as own:
            own.save_annotation(case, cube(6), "complete")
            yield study, own, case


def cube(start):
    labels = np.zeros(SHAPE, np.uint8)
    labels[start : start + 8, 4:12, 2:6] = 3
    return Annotation.full(labels)


def test_two_readers_are_compared_by_overlap_distance_kappa_and_volume(case):
    study, _, case_id = case
    ((found,),) = agreement(study, [case_id])
    assert (found.first, found.second, found.structure, found.share) == ("A", "B", "organ", 1.0)
    assert found.dice == pytest.approx(0.75)
    assert found.jaccard == pytest.approx(0.6)
    assert found.hd95_mm == pytest.approx(2.0)
    assert found.first_ml == found.second_ml == pytest.approx(8 * 8 * 4 * 0.002)
    assert found.kappa == pytest.approx((0.6 - 0.68) / 0.32)  # in the box of 10 x 8 x 4: 0.8 each


def test_only_what_both_know_is_compared(case):
    study, own, case_id = case
    theirs = cube(6)
    theirs.known[:6] = Known.UNKNOWN
    own.save_annotation(case_id, theirs, "complete")
    ((found,),) = agreement(study, [case_id])
    assert found.share == pytest.approx(0.7)
    assert found.dice == pytest.approx(2 * 6 / (6 + 8))
    assert found.hd95_mm is None


def test_a_case_that_one_reader_drew_has_none(case):
    study, own, case_id = case
    own.save_annotation(case_id, Annotation.empty(SHAPE), "clear")
    assert list(agreement(study)) == [[]]
