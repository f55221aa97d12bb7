import os

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, RLELossless, generate_uid

from napari_dycon.errors import VolumeError
from napari_dycon.io import dicom
from napari_dycon.io.dicom import convert_series, find_series, why_no_images
from napari_dycon.io.volumes import read_volume

COLUMNS, ROWS, SLICES = 12, 10, 9
SECRET = "DOE^JOHN"
GAP = 2.5


def directions(degrees=12.0):
    angle = np.radians(degrees)
    row = np.array([1.0, 0, 0])
    column = np.array([0, np.cos(angle), -np.sin(angle)])
    return row, column, np.cross(row, column)


def pixels(index):
    return np.random.default_rng(index).integers(0, 900, (ROWS, COLUMNS)).astype(np.uint16)


def dataset(index, series="1.2.3", **changes):
    """One slice of an oblique MR series, with a patient in it."""
    row, column, normal = directions()
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    image = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    image.SOPClassUID, image.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    image.PatientName = image.PatientID = image.InstitutionName = image.StudyDescription = SECRET
    image.SeriesInstanceUID, image.SeriesDescription, image.Modality = series, "T1 axial", "MR"
    image.FrameOfReferenceUID = "1.2.9"
    image.InstanceNumber = index + 1
    image.ImageOrientationPatient = [f"{value:.10f}" for value in (*row, *column)]
    position = np.array([-20.5, 13.25, 40]) + normal * GAP * index
    image.ImagePositionPatient = [f"{value:.8f}" for value in position]
    image.PixelSpacing = [0.9, 0.7]
    image.SliceThickness = 99
    image.Rows, image.Columns, image.SamplesPerPixel = ROWS, COLUMNS, 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 0
    image.PixelData = pixels(index).tobytes()
    for name, value in changes.items():
        if value is None:
            delattr(image, name)
        else:
            setattr(image, name, value)
    return image


def write(folder, images, prefix="slice"):
    folder.mkdir(exist_ok=True)
    for number, image in enumerate(images):
        image.save_as(folder / f"{prefix}{number:03d}.dcm", enforce_file_format=True)
    return folder


def series(slices=SLICES):
    return [dataset(index) for index in range(slices)]


def moved(image, offset):
    image.ImagePositionPatient = [
        f"{float(a) + b:.8f}" for a, b in zip(image.ImagePositionPatient, offset, strict=True)
    ]
    return image


def only(folder):
    (found,) = find_series(folder)
    return found


def expected_voxels(slices=SLICES):
    return np.stack([pixels(index).T for index in range(slices)], axis=-1)


def test_an_oblique_series_becomes_a_scan_at_its_place(tmp_path):
    found = only(write(tmp_path / "dicom", series()))
    assert (found.description, found.modality, found.problem) == ("T1 axial", "MR", None)
    assert found.shape == (COLUMNS, ROWS, SLICES)
    assert found.spacing == pytest.approx((0.7, 0.9, GAP))
    out = tmp_path / "scan.nii.gz"
    convert_series(found, out)
    volume = read_volume(out)
    assert np.array_equal(volume.array, expected_voxels())
    assert volume.array.dtype == np.int16
    for index in ((0, 0, 0), (11, 9, 8), (3, 7, 2)):
        row, column, normal = directions()
        lps = (
            np.array([-20.5, 13.25, 40])
            + index[0] * 0.7 * row
            + index[1] * 0.9 * column
            + index[2] * GAP * normal
        )
        ras = volume.geometry.affine @ (*index, 1)
        assert np.allclose(ras[:3], lps * (-1, -1, 1), atol=1e-4)


@pytest.mark.parametrize("name", ["T1post", "T1pre_reg", "FLAIR_reg", "T2_reg", "HippoCrop"])
def test_the_real_oblique_series_convert_as_itk_converts_them(tmp_path, brain_dicom, name):
    found = next(item for item in find_series(brain_dicom) if item.description == name)
    assert found.problem is None
    out = tmp_path / "scan.nii.gz"
    convert_series(found, out)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(found.files[0].parent)))
    theirs, ours = reader.Execute(), sitk.ReadImage(str(out))
    assert np.array_equal(sitk.GetArrayFromImage(ours), sitk.GetArrayFromImage(theirs))
    assert np.allclose(ours.GetOrigin(), theirs.GetOrigin(), atol=1e-4)
    assert np.allclose(ours.GetSpacing(), theirs.GetSpacing(), atol=1e-5)
    assert np.allclose(ours.GetDirection(), theirs.GetDirection(), atol=1e-6)


def test_all_five_real_series_are_found_in_one_folder(brain_dicom):
    found = find_series(brain_dicom)
    assert [len(item.files) for item in found] == [22, 40, 22, 22, 22]
    assert {item.problem for item in found} == {None}


def test_slices_are_ordered_by_position_not_by_number_or_name(tmp_path):
    images = series()
    order = np.random.default_rng(0).permutation(SLICES)
    for index, image in enumerate(images):
        image.InstanceNumber = int(order[index])
    folder = write(tmp_path / "dicom", [images[index] for index in np.roll(order, 3)])
    convert_series(only(folder), tmp_path / "scan.nii")
    assert np.array_equal(read_volume(tmp_path / "scan.nii").array, expected_voxels())


def test_nothing_of_the_patient_reaches_the_scan(tmp_path):
    found = only(write(tmp_path / "DOE_JOHN", series()))
    convert_series(found, tmp_path / "scan.nii")
    content = (tmp_path / "scan.nii").read_bytes()
    for secret in (b"DOE", b"JOHN", b"T1 axial", b"1.2.3"):
        assert secret not in content
    assert len(content) == 352 + expected_voxels().nbytes


def without(images, *missing):
    return [image for index, image in enumerate(images) if index not in missing]


def two_thicknesses():
    _, _, normal = directions()
    return [moved(image, normal * 2.5 * max(0, index - 5)) for index, image in enumerate(series())]


def tilted(degrees):
    _, column, _ = directions()
    shift = GAP * np.tan(np.radians(degrees))
    return [moved(image, column * shift * index) for index, image in enumerate(series())]


def two_phases():
    return series() + series()


def mixed_orientations():
    images = series()
    for image in images[5:]:
        image.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    return images


def other_matrix():
    smaller = dataset(4, Rows=8, PixelData=pixels(4)[:8].tobytes())
    return [*without(series(), 4), smaller]


FAULTS = {
    "missing slice": (lambda: without(series(), 3), r"5\.00 mm between slices 3 and 4"),
    "two thicknesses": (two_thicknesses, r"2\.50 mm apart, but 5\.00 mm between slices 6 and 7"),
    "gantry tilt of 1 degree": (lambda: tilted(1), r"gantry tilt of 1\.0 degrees"),
    "gantry tilt of 15 degrees": (lambda: tilted(15), r"gantry tilt of 15\.0 degrees"),
    "two phases": (two_phases, "9 slice positions hold more than one image"),
    "no position": (
        lambda: [dataset(i, ImagePositionPatient=None, ImageOrientationPatient=None) for i in range(5)],
        "5 of 5 images do not state position",
    ),
    "no pixel spacing": (lambda: [dataset(i, PixelSpacing=None) for i in range(5)], "pixel spacing"),
    "other matrix": (other_matrix, r"12 x 10 pixels \(8\) and 12 x 8 pixels \(1\)"),
    "other pixel spacing": (
        lambda: [dataset(i, PixelSpacing=[0.9, 0.7] if i < 5 else [0.8, 0.7]) for i in range(SLICES)],
        r"0\.9 x 0\.7 mm pixels \(5\) and 0\.8 x 0\.7 mm pixels \(4\)",
    ),
    "several orientations": (mixed_orientations, "several orientations"),
    "frames of reference": (
        lambda: [dataset(i, FrameOfReferenceUID=f"1.2.{i % 2}") for i in range(SLICES)],
        "several frames of reference",
    ),
    "all at one place": (
        lambda: [dataset(i, ImagePositionPatient=[0, 0, 0]) for i in range(5)],
        "hold more than one image",
    ),
    "too few": (lambda: series(2), r"only 2 image\(s\)"),
    "colour": (lambda: [dataset(i, SamplesPerPixel=3) for i in range(5)], "colour"),
    "multi-frame": (lambda: [dataset(0, NumberOfFrames=20)], "dcm2niix"),
    "impossible orientation": (
        lambda: [dataset(i, ImageOrientationPatient=[0, 0, 0, 0, 0, 0]) for i in range(5)],
        "impossible",
    ),
}


@pytest.mark.parametrize(("images", "sentence"), FAULTS.values(), ids=FAULTS)
def test_what_is_no_evenly_spaced_block_is_refused_with_the_place(tmp_path, images, sentence):
    found = only(write(tmp_path / "dicom", images()))
    assert found.problem is not None and found.problem.startswith("The series 'T1 axial' cannot be used: ")
    with pytest.raises(VolumeError, match=sentence):
        convert_series(found, tmp_path / "scan.nii.gz")
    assert not (tmp_path / "scan.nii.gz").exists()


def test_missing_slices_at_the_end_cannot_be_known_and_the_rest_is_used(tmp_path):
    assert only(write(tmp_path / "dicom", without(series(), 0, 8))).shape[2] == SLICES - 2


def test_two_series_in_one_folder_stay_apart(tmp_path):
    write(tmp_path / "dicom", series(), "a")
    write(tmp_path / "dicom", [dataset(i, "1.2.4", SeriesDescription="T2") for i in range(5)], "b")
    found = find_series(tmp_path / "dicom")
    assert [(item.description, len(item.files)) for item in found] == [("T1 axial", SLICES), ("T2", 5)]
    assert all(item.problem is None for item in found)


def test_a_localizer_with_the_same_number_is_left_out_with_a_note(tmp_path):
    localizer = dataset(
        0, ImageOrientationPatient=[0, 1, 0, 0, 0, -1], Rows=5, PixelData=bytes(2 * 5 * COLUMNS)
    )
    found = only(write(tmp_path / "dicom", [localizer, *series()]))
    assert found.problem is None and len(found.files) == SLICES
    assert found.notes == ("1 localizer images of another orientation were left out.",)


def test_copies_of_the_same_image_count_once(tmp_path):
    images = series()
    write(tmp_path / "dicom", images)
    write(tmp_path / "dicom", images[:4], "copy")
    assert len(only(tmp_path / "dicom").files) == SLICES


def test_tiny_differences_in_position_are_harmless(tmp_path):
    random = np.random.default_rng(0)
    images = [moved(image, random.normal(0, 0.002, 3)) for image in series()]
    assert only(write(tmp_path / "dicom", images)).problem is None


def test_each_slice_is_rescaled_by_its_own_factor(tmp_path):
    images = [dataset(i, RescaleSlope=0.5 + i / 8, RescaleIntercept=-3) for i in range(SLICES)]
    convert_series(only(write(tmp_path / "dicom", images)), tmp_path / "scan.nii")
    volume = read_volume(tmp_path / "scan.nii")
    assert volume.array.dtype == np.float32
    assert np.allclose(volume.array, expected_voxels() * (0.5 + np.arange(SLICES) / 8) - 3)


def test_hounsfield_units_stay_integers(tmp_path):
    images = [dataset(i, RescaleSlope=1, RescaleIntercept=-1024) for i in range(SLICES)]
    convert_series(only(write(tmp_path / "dicom", images)), tmp_path / "scan.nii")
    volume = read_volume(tmp_path / "scan.nii")
    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.array, expected_voxels().astype(int) - 1024)


@pytest.mark.parametrize("keep", [0, 100, 200, 500, -5])
def test_a_truncated_file_is_never_passed_over(tmp_path, keep):
    folder = write(tmp_path / "dicom", series())
    file = folder / "slice008.dcm"  # the last slice: its absence would leave no gap
    content = file.read_bytes()
    file.write_bytes(content[:keep])
    found = only(folder)
    with pytest.raises(VolumeError, match=r"slice008\.dcm"):
        convert_series(found, tmp_path / "scan.nii")
    assert not (tmp_path / "scan.nii").exists()


def test_junk_beside_the_series_is_passed_over(tmp_path):
    folder = write(tmp_path / "dicom", series())
    (folder / "notes.txt").write_text("a note")
    (folder / "README").write_text("another note" * 100)
    (folder / ".DS_Store").write_bytes(bytes(600))
    (folder / "DICOMDIR").write_bytes(b"x")
    (folder / "sub").mkdir()
    for file in list(folder.glob("slice*.dcm"))[:4]:
        file.rename(folder / "sub" / file.stem)
    assert len(only(folder).files) == SLICES
    assert find_series(tmp_path / "nothing") == []


def test_files_without_the_dicom_mark_are_read(tmp_path):
    folder = tmp_path / "dicom"
    folder.mkdir()
    for index, image in enumerate(series()):
        pydicom.dcmwrite(
            folder / f"{index}.dcm",
            pydicom.Dataset(image),
            implicit_vr=True,
            little_endian=True,
            enforce_file_format=False,
        )
    convert_series(only(folder), tmp_path / "scan.nii")
    assert np.array_equal(read_volume(tmp_path / "scan.nii").array, expected_voxels())


def test_compressed_images_are_decoded(tmp_path):
    images = series()
    for image in images:
        image.compress(RLELossless, generate_instance_uid=False)
    convert_series(only(write(tmp_path / "dicom", images)), tmp_path / "scan.nii")
    assert np.array_equal(read_volume(tmp_path / "scan.nii").array, expected_voxels())


@pytest.mark.parametrize("name", ["MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm"])
def test_images_in_jpeg_families_are_decoded(tmp_path, name):
    folder = tmp_path / "dicom"
    folder.mkdir()
    image = pydicom.dcmread(get_testdata_file(name))
    normal = np.cross(*np.array(image.ImageOrientationPatient, float).reshape(2, 3))
    for index in range(3):
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        moved(image, normal * 2 * bool(index))
        image.save_as(folder / f"{index}.dcm")
    convert_series(only(folder), tmp_path / "scan.nii")
    plain = pydicom.dcmread(get_testdata_file("MR_small.dcm")).pixel_array
    assert np.array_equal(read_volume(tmp_path / "scan.nii").array[..., 1], plain.T)


def test_odd_series_of_the_pydicom_samples(tmp_path):
    samples = get_testdata_file("DICOMDIR")
    if samples is None:
        pytest.skip("this pydicom came without its sample files")
    found = {item.description: item for item in find_series(pydicom.data.data_manager.Path(samples).parent)}
    assert found["SmartScore - Gated 0.5 sec"].problem is None
    assert "202.50 mm between slices 1 and 2" in found["Routine Brain"].problem
    assert "several orientations" in found["ANGIO Projected from   C"].problem


def test_a_series_that_changed_after_it_was_found_is_refused(tmp_path):
    folder = write(tmp_path / "dicom", series())
    found = only(folder)
    moved(dataset(4), (0, 0, 1)).save_as(folder / "slice004.dcm", enforce_file_format=True)
    with pytest.raises(VolumeError, match="changed on disk"):
        convert_series(found, tmp_path / "scan.nii")


def test_the_converted_scan_carries_both_forms_and_millimetres(tmp_path):
    convert_series(only(write(tmp_path / "dicom", series())), tmp_path / "scan.nii.gz")
    header = nib.load(tmp_path / "scan.nii.gz").header
    assert header.get_xyzt_units()[0] == "mm"
    assert np.allclose(header.get_qform(), header.get_sform(), atol=1e-5)
    assert read_volume(tmp_path / "scan.nii.gz").notes == ()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"RescaleSlope": "0"}, "RescaleSlope of 0"),
        ({"PixelSpacing": [-0.9, 0.7]}, "pixel spacing is impossible (pixels of -0.9 x 0.7 mm)"),
        ({"PixelSpacing": [0, 0.7]}, "pixel spacing is impossible (pixels of 0 x 0.7 mm)"),
        ({"ImageOrientationPatient": [2, 0, 0, 0, 2, 0]}, "is impossible (the direction of its rows has the"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0.5, 0]}, "its columns has the length 0.5 instead of 1"),
        (
            {"ImageOrientationPatient": [1, 0, 0, 0.5, 0.866, 0]},
            "orientation or pixel spacing is impossible (its rows and columns are 60.0 degrees apart",
        ),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}, "mosaics of many slices"),
        ({"Modality": "SEG"}, "a segmentation, not a scan"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "colours and not grey values"),
        ({"PhotometricInterpretation": "RGB"}, "colours and not grey values"),
        ({"PhotometricInterpretation": "YBR_FULL_422"}, "YBR_FULL_422"),
        ({"PhotometricInterpretation": ""}, "9 of 9 images do not state what their values mean"),
        ({"PhotometricInterpretation": None}, "do not state what their values mean"),
        ({"ModalityLUTSequence": [pydicom.Dataset()]}, "by a table"),
        ({"NumberOfFrames": 5}, "does not say of each image where it lies"),
    ],
)
def test_images_that_cannot_be_a_scan_are_refused_with_the_true_reason(tmp_path, changes, reason):
    images = [dataset(index, **changes) for index in range(SLICES)]
    assert reason in only(write(tmp_path / "dicom", images)).problem


def test_one_image_without_intensities_spoils_the_series(tmp_path):
    images = series()
    images[4].RescaleSlope = "0"
    assert "1 of 9 images" in only(write(tmp_path / "dicom", images)).problem


def test_two_patients_are_never_one_scan_and_are_not_named(tmp_path):
    images = series()
    images[5].PatientID = "MEIER^ANNA"
    problem = only(write(tmp_path / "dicom", images)).problem
    assert "several patients" in problem
    assert "MEIER" not in problem and "DOE" not in problem


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Modality": "CT"}, "images of MR (8) and CT (1)"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "P"]}, "images of the kind M (8) and the kind P (1)"),
        ({"RescaleSlope": None, "RescaleIntercept": None}, "1 of 9 images lack the RescaleSlope"),
        ({"RescaleSlope": "", "RescaleIntercept": ""}, "1 of 9 images lack the RescaleSlope"),
        ({"HighBit": 14}, "1 of 9 images store their values in other bits"),
    ],
)
def test_an_image_whose_values_mean_something_else_spoils_the_series(tmp_path, changes, reason):
    usual = {"ImageType": ["ORIGINAL", "PRIMARY", "M"], "RescaleSlope": 1, "RescaleIntercept": -1024}
    images = [dataset(index, **usual) for index in range(SLICES)]
    changed = {**usual, **changes}
    images[5] = dataset(5, **{name: value for name, value in changed.items() if value is not None})
    assert reason in only(write(tmp_path / "dicom", images)).problem


@pytest.mark.parametrize(
    "changes",
    [{"Modality": ""}, {"FrameOfReferenceUID": None}, {"FrameOfReferenceUID": ""}, {"ImageType": None}],
)
def test_an_image_that_does_not_state_what_the_others_do_is_no_other_kind(tmp_path, changes):
    images = [dataset(index, ImageType=["ORIGINAL", "PRIMARY", "M"]) for index in range(SLICES)]
    for name, value in changes.items():
        if value is None:
            delattr(images[2], name)
        else:
            setattr(images[2], name, value)
    found = only(write(tmp_path / "dicom", images))
    assert (found.problem, found.shape[2]) == (None, SLICES)


@pytest.mark.parametrize("missing", [None, "", " ", "\0"])
@pytest.mark.parametrize("index", [0, 4, SLICES - 1])
def test_an_image_that_states_no_patient_is_of_no_other_one(tmp_path, index, missing):
    images = series()
    images[index] = dataset(index, PatientID=missing)
    found = only(write(tmp_path / "dicom", images))
    assert found.problem is None and found.shape[2] == SLICES
    assert found.notes == ("1 of 9 images state no patient; they are taken as of the same.",)
    assert dicom.patient_id(found) == SECRET


def test_a_copy_without_its_patient_is_the_same_image(tmp_path):
    images = series()
    write(tmp_path / "dicom", images)
    for image in images[:6]:
        image.PatientID = ""
    found = only(write(tmp_path / "dicom", images[:6], "anonymous"))
    assert (found.problem, found.shape[2], found.notes) == (None, SLICES, ())


def test_two_names_are_two_patients_where_no_image_states_an_identifier(tmp_path):
    images = [dataset(i, PatientID="", PatientName="A" if i < 4 else "B") for i in range(SLICES)]
    assert "several patients" in only(write(tmp_path / "two", images)).problem
    images = [dataset(i, PatientID=None) for i in range(SLICES)]
    found = only(write(tmp_path / "one", images))
    assert (found.problem, found.notes, dicom.patient_id(found)) == (None, (), "")


def test_inverted_grey_values_stay_as_stored_and_that_is_said(tmp_path):
    images = [dataset(i, PhotometricInterpretation="MONOCHROME1") for i in range(SLICES)]
    found = only(write(tmp_path / "dicom", images))
    convert_series(found, tmp_path / "scan.nii")
    assert np.array_equal(read_volume(tmp_path / "scan.nii").array, expected_voxels())
    (note,) = found.notes
    assert "MONOCHROME1" in note and "negative" in note
    images[3].PhotometricInterpretation = "MONOCHROME2"
    assert "it mixes images in which white" in only(write(tmp_path / "mixed", images)).problem


@pytest.mark.parametrize("name", ["IM{:06d}", "{:04d}.IMA", "slice_{}", "1.2.3.{}"])
@pytest.mark.parametrize("content", [b"", b"garbage", bytes(200)])
def test_a_damaged_last_file_spoils_the_series_whatever_it_is_called(tmp_path, name, content):
    folder = tmp_path / "dicom"
    folder.mkdir()
    for index, image in enumerate(series()):
        image.save_as(folder / name.format(index), enforce_file_format=True)
    (folder / name.format(SLICES - 1)).write_bytes(content)
    (folder / "readme.txt").write_text("not an image")
    assert f"{name.format(SLICES - 1)} in the same folder cannot be read" in only(folder).problem


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("scans.zip", b"PK", "archives (scans.zip); unpack"),
        ("scan.hdr", bytes(348), "convert them to .nii.gz"),
        ("DICOMDIR", b"", "copy the whole disc"),
        ("brain.mgz", b"", "a format that is not read (brain.mgz); convert"),
        ("scan.nii.bz2", b"", "a format that is not read (scan.nii.bz2)"),
        ("STACK.TIF", b"", "a format that is not read (STACK.TIF)"),
        ("notes.txt", b"", ""),
    ],
)
def test_a_folder_without_scans_says_what_it_holds_instead(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    assert find_series(tmp_path) == []
    found = why_no_images(tmp_path)
    assert reason in found and bool(found) == bool(reason)


def test_dicom_objects_without_images_are_named(tmp_path):
    plan = dataset(0, Modality="RTSTRUCT", Rows=None, Columns=None, PixelData=None)
    plan.file_meta.MediaStorageSOPClassUID = plan.SOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    write(tmp_path / "dicom", [plan])
    assert "without images (RTSTRUCT)" in why_no_images(tmp_path / "dicom")


def test_a_decoder_that_crashes_takes_nothing_along(tmp_path, monkeypatch):
    found = only(write(tmp_path / "dicom", series()))

    def no_decoder(*_):
        raise dicom._NoDecoderError

    monkeypatch.setattr(dicom, "_pixels", no_decoder)
    convert_series(found, tmp_path / "scan.nii")
    assert np.array_equal(read_volume(tmp_path / "scan.nii").array, expected_voxels())
    (tmp_path / "sitecustomize.py").write_text("import ctypes; ctypes.string_at(0)")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    with pytest.raises(VolumeError, match="compression is not known or an image is damaged"):
        convert_series(found, tmp_path / "other.nii")
    assert not (tmp_path / "other.nii").exists()


@pytest.mark.parametrize("index", [4, SLICES - 1])
def test_a_slice_that_repeats_the_identifier_of_another_is_kept(tmp_path, index):
    images = series()
    images[index].SOPInstanceUID = images[0].SOPInstanceUID
    found = only(write(tmp_path / "dicom", images))
    assert (found.problem, found.shape[2]) == (None, SLICES)
    copies = write(tmp_path / "dicom", images, prefix="copy")
    assert only(copies).shape[2] == SLICES, "the same image twice is one image"


@pytest.mark.filterwarnings("ignore:Invalid value for VR DS")
@pytest.mark.parametrize("slope", ["1e300", "nan", "-1e-300"])
def test_an_intensity_scale_beyond_reason_is_refused(tmp_path, slope):
    images = [dataset(index, RescaleSlope=slope, RescaleIntercept="0") for index in range(SLICES)]
    assert "beyond reason" in only(write(tmp_path / "dicom", images)).problem


def test_an_empty_scale_is_none(tmp_path):
    images = [dataset(index, RescaleSlope="", RescaleIntercept="") for index in range(SLICES)]
    convert_series(only(write(tmp_path / "dicom", images)), tmp_path / "scan.nii")
    assert np.array_equal(read_volume(tmp_path / "scan.nii").array, expected_voxels())


@pytest.mark.filterwarnings("ignore:Invalid value for VR DS")
@pytest.mark.parametrize("intercept", ["1e300", "-1e300", "nan"])
def test_an_intercept_beyond_reason_is_refused(tmp_path, intercept):
    images = [dataset(index, RescaleSlope="1", RescaleIntercept=intercept) for index in range(SLICES)]
    assert "beyond reason" in only(write(tmp_path / "dicom", images)).problem


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Rows": 0}, "no rows or columns"),
        ({"step": 1e200}, "apart, which cannot"),
        ({"far": 1e9}, "kilometres"),
    ],
)
def test_a_grid_that_cannot_be_is_a_reason_and_no_crash(tmp_path, change, reason):
    images = series()
    for index, image in enumerate(images):
        if "Rows" in change:
            image.Rows = 0
        else:
            x, step = change.get("far", 0.0), change.get("step", GAP)
            image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
            image.ImagePositionPatient = [x, 0, step * index]
    assert reason in only(write(tmp_path / "dicom", images)).problem


def test_a_file_that_cannot_be_opened_says_nothing_of_its_neighbours(tmp_path, monkeypatch):
    folder = write(tmp_path / "dicom", series())
    (folder / "NOTES").write_text("locked")
    real = type(folder).open

    def failing(self, *options, **more):
        if self.name == "NOTES":
            raise OSError(5, "Input/output error")
        return real(self, *options, **more)

    monkeypatch.setattr(type(folder), "open", failing)
    assert (only(folder).problem, only(folder).shape[2]) == (None, SLICES)


def test_a_slice_that_was_damaged_since_the_search_is_a_sentence(tmp_path):
    found = only(write(tmp_path / "dicom", series()))
    found.files[3].write_bytes(b"no image any more")
    with pytest.raises(VolumeError):
        convert_series(found, tmp_path / "scan.nii")
    found.files[0].unlink()
    assert dicom.patient_id(found) == SECRET, "the other images state it"
    for file in found.files[1:]:
        file.unlink()
    assert dicom.patient_id(found) == ""
