import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import RLELossless

from napari_dycon.errors import VolumeError
from napari_dycon.io.dicom import convert_series, find_series
from napari_dycon.io.dicom_identity import read_identity
from napari_dycon.io.geometry import LPS_TO_RAS
from napari_dycon.io.volumes import read_volume
from tests.dicom_series import COLUMNS, GAP, ROWS
from tests.enhanced_dicom import DEPTHS, frame, item, make_object, pixels, write_object

ORDER = np.argsort(DEPTHS)


def stack(**groups):
    return [frame(depth, **groups) for depth in DEPTHS]


def corners(affine, shape):
    """The eight corners of a grid in mm, in an order that is not that of its axes."""
    ends = np.stack(np.meshgrid(*([0, size - 1] for size in shape), indexing="ij"), -1).reshape(-1, 3)
    found = (affine @ np.c_[ends, np.ones(8)].T)[:3].T.round(3)
    return found[np.lexsort(found.T)]


def converted(tmp_path, image):
    (found,) = find_series(write_object(tmp_path / "dicom" / "IM1", image))
    convert_series(found, tmp_path / "scan.nii.gz")
    return found, read_volume(tmp_path / "scan.nii.gz")


def test_frames_become_a_scan_where_itk_and_highdicom_see_it(tmp_path):
    """The frames lie in no order in space, which ITK takes as given: it is asked about ordered ones."""
    found, volume = converted(tmp_path, make_object(stack()))
    assert found.problem is None and found.shape == (COLUMNS, ROWS, len(DEPTHS)) and found.part == ""
    np.testing.assert_array_equal(volume.array, pixels(len(DEPTHS))[ORDER].T)
    ordered = make_object([frame(depth) for depth in range(len(DEPTHS))])
    write_object(tmp_path / "ordered" / "IM1", ordered)
    image = sitk.ReadImage(str(tmp_path / "ordered" / "IM1"))
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    lps[:3, 3] = image.GetOrigin()
    np.testing.assert_allclose(volume.geometry.affine, LPS_TO_RAS @ lps, atol=1e-4)
    seen = highdicom.imread(tmp_path / "dicom" / "IM1").get_volume_geometry()
    np.testing.assert_allclose(
        corners(seen.affine, seen.spatial_shape), corners(lps, volume.geometry.shape), atol=1e-3
    )


def test_what_holds_for_all_frames_is_taken_from_the_shared_groups(tmp_path):
    frames = stack()
    orientation = frames[0].PlaneOrientationSequence
    for one in frames:
        del one.PlaneOrientationSequence
    image = make_object(frames)
    image.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence = orientation
    found, volume = converted(tmp_path, image)
    assert found.spacing == pytest.approx((0.7, 0.9, GAP), abs=1e-6)
    np.testing.assert_array_equal(volume.array, pixels(len(DEPTHS))[ORDER].T)


def test_each_frame_is_rescaled_by_its_own_factor(tmp_path):
    frames = [
        frame(
            depth,
            PixelValueTransformationSequence=item(
                RescaleSlope=depth + 1, RescaleIntercept=-1024, RescaleType="HU"
            ),
        )
        for depth in DEPTHS
    ]
    _, volume = converted(tmp_path, make_object(frames, "CT"))
    factors = np.arange(1, len(DEPTHS) + 1)
    np.testing.assert_array_equal(volume.array, pixels(len(DEPTHS))[ORDER].T * factors - 1024.0)


VOLUMES = {
    "echoes": (lambda n: {"MREchoSequence": item(EffectiveEchoTime=20.0 * n)}, ["echo 20 ms", "echo 40 ms"]),
    "b values": (
        lambda n: {"MRDiffusionSequence": item(DiffusionBValue=1000.0 * (n - 1))},
        ["b 0", "b 1000"],
    ),
    "cardiac phases": (
        lambda n: {"CardiacSynchronizationSequence": item(NominalCardiacTriggerDelayTime=50.0 * n)},
        ["50 ms", "100 ms"],
    ),
    "time points": (
        lambda n: {"FrameContentSequence": item(StackID="1", TemporalPositionIndex=n)},
        ["time 1", "time 2"],
    ),
    "components": (
        lambda n: {
            "MRImageFrameTypeSequence": item(ComplexImageComponent="MAGNITUDE" if n == 1 else "PHASE")
        },
        ["MAGNITUDE", "PHASE"],
    ),
}


@pytest.mark.parametrize(("groups", "parts"), VOLUMES.values(), ids=VOLUMES)
def test_several_volumes_of_one_place_are_told_apart(tmp_path, groups, parts):
    frames = [frame(depth, **groups(n)) for depth in DEPTHS for n in (1, 2)]
    found = find_series(write_object(tmp_path / "dicom" / "IM1", make_object(frames)))
    assert sorted(one.part for one in found) == sorted(parts)
    assert len({one.key for one in found}) == 2 and not any(one.problem for one in found)
    for number, part in enumerate(parts):
        (series,) = (one for one in found if one.part == part)
        convert_series(series, tmp_path / "scan.nii")
        expected = pixels(len(frames))[number::2][ORDER].T
        np.testing.assert_array_equal(read_volume(tmp_path / "scan.nii").array, expected)


def test_a_dimension_that_only_its_object_knows_tells_volumes_apart(tmp_path):
    frames = [
        frame(depth, FrameContentSequence=item(DimensionIndexValues=[round(depth) + 1, n]))
        for depth in DEPTHS
        for n in (1, 2, 3)
    ]
    dimensions = [
        item(DimensionIndexPointer=0x00200032)[0],
        item(DimensionIndexPointer=0x00189089, DimensionDescriptionLabel="Gradient")[0],
    ]
    image = make_object(frames, DimensionIndexSequence=dimensions)
    found = find_series(write_object(tmp_path / "dicom" / "IM1", image))
    assert [one.title for one in found] == [f"Enhanced (Gradient {n})" for n in (1, 2, 3)]


def test_stacks_of_other_orientation_are_scans_of_their_own(tmp_path):
    frames = [*stack(stack="axial"), *stack(stack="tilted", turn=40.0)]
    found = find_series(write_object(tmp_path / "dicom" / "IM1", make_object(frames)))
    assert [(one.part, one.problem) for one in found] == [("stack axial", None), ("stack tilted", None)]


def test_what_is_another_in_each_frame_tells_no_volumes_apart(tmp_path):
    frames = [
        frame(depth, CardiacSynchronizationSequence=item(NominalCardiacTriggerDelayTime=700.0 + n))
        for n, depth in enumerate(DEPTHS)
    ]
    found, _ = converted(tmp_path, make_object(frames))
    assert found.part == "" and len(found.images) == len(DEPTHS)


def test_frames_at_one_place_that_nothing_tells_apart_are_refused(tmp_path):
    image = make_object([*stack(), *stack()])
    (found,) = find_series(write_object(tmp_path / "dicom" / "IM1", image))
    assert found.problem is not None and "hold more than one image" in found.problem


def test_frames_without_a_place_are_refused(tmp_path):
    frames = stack()
    del frames[2].PlanePositionSequence
    (found,) = find_series(write_object(tmp_path / "dicom" / "IM1", make_object(frames)))
    assert found.problem is not None and "1 of 6 images do not state position" in found.problem


def test_an_object_of_which_frames_are_not_described_is_damaged(tmp_path):
    image = make_object(stack(), NumberOfFrames=len(DEPTHS) + 1)
    folder = write_object(tmp_path / "dicom" / "IM1", image)
    assert find_series(folder) == []


def test_objects_of_one_frame_each_are_one_scan(tmp_path):
    for number, depth in enumerate(DEPTHS):
        image = make_object([frame(depth)], SOPInstanceUID=f"1.2.3.{number}")
        write_object(tmp_path / "dicom" / f"IM{number}", image)
    (found,) = find_series(tmp_path / "dicom")
    assert found.problem is None and len(found.files) == len(DEPTHS)


def test_objects_of_one_place_in_one_series_are_told_apart_by_their_file(tmp_path):
    for number in (1, 2):
        image = make_object(stack(), SOPInstanceUID=f"1.2.3.{number}")
        write_object(tmp_path / "dicom" / f"IM{number}", image)
    assert [one.part for one in find_series(tmp_path / "dicom")] == ["file 1", "file 2"]


def test_compressed_frames_are_decoded(tmp_path):
    image = make_object(stack())
    image.compress(RLELossless)
    _, volume = converted(tmp_path, image)
    np.testing.assert_array_equal(volume.array, pixels(len(DEPTHS))[ORDER].T)


def test_a_compression_without_decoder_is_a_sentence(tmp_path):
    image = make_object(stack())
    image.compress(RLELossless)
    image.file_meta.TransferSyntaxUID = pydicom.uid.MPEG2MPML
    (found,) = find_series(write_object(tmp_path / "dicom" / "IM1", image))
    with pytest.raises(VolumeError, match="no decoder for its compression"):
        convert_series(found, tmp_path / "scan.nii")


def test_the_identity_names_the_frame_of_each_slice(tmp_path):
    found, volume = converted(tmp_path, make_object(stack()))
    identity = read_identity(found)
    assert [one.frame for one in identity.slices] == (ORDER + 1).tolist()
    assert identity.geometry.matches(volume.geometry)
    assert identity.patient_and_study["PatientID"] == "CANARY-4711"
