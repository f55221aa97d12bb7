import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from napari_dycon.errors import StudyError
from napari_dycon.study.exchange.phantom import ACQUISITIONS, make_phantom_study, phantom_case

SMALL = (40, 36, 24)


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    with make_phantom_study(tmp_path_factory.mktemp("phantoms") / "study", size=SMALL) as study:
        yield study


@pytest.fixture(scope="module")
def patients():
    return [phantom_case(index) for index in range(4)]


def test_the_same_arguments_give_the_same_patient_and_others_another():
    first, again = phantom_case(1, seed=7, size=SMALL), phantom_case(1, seed=7, size=SMALL)
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert not np.array_equal(first[0], phantom_case(1, seed=8, size=SMALL)[0])


def test_three_of_twelve_are_labelled_and_one_of_these_only_in_six_slices(phantoms):
    statuses = [case.status for case in phantoms.cases]
    assert statuses == ["complete"] * 2 + ["partial"] + ["unlabelled"] * 9
    sparse = phantoms.annotation(phantoms.cases[2].id)
    assert len(sparse.complete_slices(2)) == 6
    assert sparse.known_fraction == pytest.approx(6 / SMALL[2])
    truth = np.asarray(nib.load(phantoms.path / "truth" / "patient-03.nii.gz").dataobj)
    np.testing.assert_array_equal(sparse.labels[sparse.known > 0], truth[sparse.known > 0])
    assert not [problem for problem in phantoms.preflight() if problem.fatal]


def test_scanners_differ_as_they_do_in_a_hospital(phantoms):
    geometries = [phantoms.geometry(case.id) for case in phantoms.cases]
    assert [round(g.tilt_degrees) for g in geometries if g.tilt_degrees > 1] == [12]
    assert {g.orientation for g in geometries} == {"RAS", "LPS", "PSR"}
    assert len({tuple(round(s, 3) for s in g.spacing) for g in geometries}) >= 8
    scan = nib.load(phantoms.scan_path("patient-04"))
    assert (int(scan.header["qform_code"]), int(scan.header["sform_code"])) == (1, 1)
    np.testing.assert_allclose(scan.get_qform(), scan.get_sform(), atol=1e-4)
    assert all(1.0 <= a.spacing[0] <= 1.6 and a.spacing[2] <= 2.5 for a in ACQUISITIONS)


@pytest.mark.parametrize("index", range(6))
def test_the_anatomy_lies_the_same_way_in_every_patient_however_it_was_stored(index):
    _, labels, affine = phantom_case(index, size=SMALL)
    organ, nodule = (
        nib.affines.apply_affine(affine, np.argwhere(labels == value)).mean(axis=0) for value in (1, 2)
    )
    assert organ[0] - nodule[0] > 5
    assert nodule[1] > organ[1]


def test_structures_are_whole_vary_in_size_and_do_not_touch_the_border(patients):
    volumes = []
    for _, labels, affine in patients:
        for value in (1, 2):
            parts, _ = ndimage.label(labels == value)
            assert np.bincount(parts.ravel())[1:].max() > 0.95 * (labels == value).sum()
        assert (labels[1:-1, 1:-1, 1:-1] > 0).sum() == (labels > 0).sum()
        voxel_ml = abs(np.linalg.det(affine)) / 1000
        volumes.append([(labels == value).sum() * voxel_ml for value in (1, 2)])
    organ, nodule = np.array(volumes).T
    assert organ.max() > 1.3 * organ.min()
    assert 10 < organ.min() < organ.max() < 60
    assert 0.5 < nodule.min() < nodule.max() < 7


def test_a_threshold_is_not_enough_to_find_the_organ(patients):
    for image, labels, _ in patients:
        levels = np.percentile(image, np.linspace(70, 99, 30))
        organ = labels == 1
        best = max(2 * ((image > t) & organ).sum() / ((image > t).sum() + organ.sum()) for t in levels)
        assert 0.5 < best < 0.95


def test_air_holds_noise_and_bodies_vary_in_brightness(patients):
    brightness = []
    for image, labels, _ in patients:
        corner, organ = image[:4, :4, :4].astype(float), image[labels == 1].astype(float)
        assert 0 < corner.mean() < 0.2 * organ.mean()
        assert corner.std() > 0
        brightness.append(organ.mean())
    assert max(brightness) > 1.15 * min(brightness)


def test_a_phantom_study_is_not_made_over_another(phantoms):
    with pytest.raises(StudyError, match="holds a study already"):
        make_phantom_study(phantoms.path)
    with pytest.raises(StudyError, match="4 of 3 phantoms"):
        make_phantom_study(phantoms.path / "x", cases=3, labelled=4)
