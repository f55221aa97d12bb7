"""Segments and contours of DICOM as labels, written by us and by highdicom, laid on the scan they are of."""

import shutil
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid
from skimage.draw import polygon2mask

from napari_dycon.errors import DyconError
from napari_dycon.io.dicom_labels import fill
from napari_dycon.study.exchange import importing
from napari_dycon.study.exchange.exporting import ExportRequest, export_all
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation
from tests.dicom_series import COLUMNS, ROWS, SERIES, SLICES, write_series
from tests.enhanced_dicom import DEPTHS, frame, item, make_object, write_object

FORMS = ("dicom-seg", "rtstruct")
STRUCTURES = [Structure(value=2, name="left atrium"), Structure(value=5, name="scar")]


@pytest.fixture
def make_study(tmp_path):
    made = []

    def make(name, structures=STRUCTURES):
        made.append(Study.create(tmp_path / name, structures))
        return made[-1]

    yield make
    for study in made:
        study.close()


@pytest.fixture
def exported(make_study, tmp_path):
    """Write random labels of the small series in a format; return them and their folder."""

    def export(form):
        study = make_study(f"first-{form}")
        _, event = importing.add_scans(study, [write_series(tmp_path / "dicom")])
        mask = np.random.default_rng(3).choice(np.array([0, 2, 5], np.uint8), event.case.shape)
        mask[..., 4] = 0
        study.save_annotation(event.case.id, Annotation.full(mask), "complete")
        export_all(study, ExportRequest(tmp_path / form, form=form))
        return mask, tmp_path / form

    return export


def bring(study, *paths, labels):
    _, *events = importing.add_scans(study, paths, labels_dir=labels)
    return events


@pytest.mark.parametrize("form", FORMS)
def test_what_was_written_comes_back_on_its_series(exported, make_study, tmp_path, form):
    mask, folder = exported(form)
    study = make_study("second")
    (event,) = bring(study, tmp_path / "dicom", labels=folder)
    assert event.problem is None
    np.testing.assert_array_equal(study.annotation(event.case.id).labels, mask)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("together", [False, True])
def test_in_an_archive_it_is_labels_as_a_loose_file_is(exported, make_study, tmp_path, form, together):
    mask, folder = exported(form)
    if together:
        shutil.copytree(tmp_path / "dicom", tmp_path / "exam" / "dicom")
        shutil.copytree(folder, tmp_path / "exam" / "labels")
        folder = tmp_path / "exam"
    archive = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", folder))
    study = make_study("second")
    events = bring(study, archive if together else tmp_path / "dicom", labels=archive)
    (event,) = [event for event in events if event.case is not None]
    assert [event.problem for event in events if event.problem] == []
    np.testing.assert_array_equal(study.annotation(event.case.id).labels, mask)


def test_labels_in_a_damaged_archive_add_nothing(make_study, tmp_path):
    bad = tmp_path / "labels.zip"
    bad.write_bytes(b"PK, and no more")
    study = make_study("second")
    with pytest.raises(DyconError, match="is damaged or no ZIP"):
        bring(study, write_series(tmp_path / "dicom"), labels=bad)
    assert not study.cases


def references(dataset):
    """Identifier and frame of each image that something refers to, wherever it does."""
    found = [dataset] if "ReferencedFrameNumber" in dataset else []
    for element in dataset:
        if element.VR == "SQ":
            found += [inner for one in element.value for inner in references(one)]
    return found


@pytest.mark.parametrize("form", FORMS)
def test_labels_of_frames_refer_to_them_and_come_back(make_study, tmp_path, form):
    """Two echoes in one object: each its own scan, its labels on its own frames."""
    frames = [
        frame(depth, MREchoSequence=item(EffectiveEchoTime=20.0 * n)) for depth in DEPTHS for n in (1, 2)
    ]
    image = make_object(frames)
    folder = write_object(tmp_path / "dicom" / "IM1", image)
    study = make_study("first")
    _, _, second = importing.add_scans(study, [folder])
    assert second.case.name == "dicom Enhanced (echo 40 ms)"
    mask = np.random.default_rng(3).choice(np.array([0, 2, 5], np.uint8), second.case.shape)
    study.save_annotation(second.case.id, Annotation.full(mask), "complete")
    end = export_all(study, ExportRequest(tmp_path / form, cases=(second.case.id,), form=form))
    (written,) = (path for path, _ in end.masks)
    found = references(pydicom.dcmread(written))
    assert {one.ReferencedSOPInstanceUID for one in found} == {image.SOPInstanceUID}
    assert {int(one.ReferencedFrameNumber) for one in found} == set(range(2, 2 * len(DEPTHS) + 1, 2))
    again = make_study("second")
    _, *events = importing.add_scans(again, [folder], labels_dir=written.parent)
    assert [event.case.status for event in events] == ["unlabelled", "complete"]
    np.testing.assert_array_equal(again.annotation(events[1].case.id).labels, mask)


@pytest.mark.parametrize("form", FORMS)
def test_a_study_without_structures_takes_their_names(exported, make_study, tmp_path, form):
    mask, folder = exported(form)
    study = make_study("second", [])
    (event,) = bring(study, tmp_path / "dicom", labels=folder)
    names = {item.name: item.value for item in study.structures}
    assert set(names) == {"left atrium", "scar"}
    for value, name in ((2, "left atrium"), (5, "scar")):
        np.testing.assert_array_equal(study.annotation(event.case.id).labels == names[name], mask == value)


@pytest.mark.parametrize("form", FORMS)
def test_it_can_be_named_for_a_scan_that_lies_there_along_other_axes(
    exported, make_study, tmp_path, write_nifti, form
):
    mask, folder = exported(form)
    first = make_study("again")
    (event,) = bring(first, tmp_path / "dicom", labels=None)
    volume = first.volume(event.case.id)
    turned = np.ascontiguousarray(volume.array.transpose(2, 0, 1))
    scan = write_nifti(tmp_path / "turned.nii.gz", turned, volume.geometry.affine[:, [2, 0, 1, 3]])
    study = make_study("second")
    (event,) = bring(study, scan, labels=next(folder.glob("*.dcm")))
    assert event.problem is None
    np.testing.assert_array_equal(study.annotation(event.case.id).labels, mask.transpose(2, 0, 1))


@pytest.mark.parametrize("form", FORMS)
def test_beside_its_series_it_is_no_scan(exported, make_study, tmp_path, form):
    mask, folder = exported(form)
    next(folder.glob("*.dcm")).rename(tmp_path / "dicom" / "labels.dcm")
    study = make_study("second")
    (event,) = bring(study, tmp_path / "dicom", labels=tmp_path / "dicom")
    assert event.problem is None and len(study.cases) == 1
    np.testing.assert_array_equal(study.annotation(event.case.id).labels, mask)
    other = make_study("third")
    (event,) = bring(other, tmp_path / "dicom", labels=tmp_path / "dicom" / "labels.dcm")
    assert event.problem is None and other.cases[0].status == "complete"


def test_what_lies_beside_a_series_is_named_and_does_not_hinder_labels_that_are_named(
    exported, make_study, tmp_path
):
    written = {form: exported(form) for form in FORMS}
    mask, _ = written["rtstruct"]
    for form, (_, folder) in written.items():
        next(folder.glob("*.dcm")).rename(tmp_path / "dicom" / f"{form}.dcm")
    study = make_study("second")
    problems = [event.problem for event in bring(study, tmp_path / "dicom", labels=None)]
    segmentation, contours = (problem for problem in problems if problem is not None)
    assert len(problems) == 3 and len(study.cases) == 1
    assert "it is a segmentation" in segmentation and "contours become labels" in contours
    assert "as that of the labels" in segmentation and "as that of the labels" in contours
    (event,) = bring(study, tmp_path / "dicom", labels=tmp_path / "dicom" / "rtstruct.dcm")
    assert (event.outcome, event.problem) == ("labelled", None)
    np.testing.assert_array_equal(study.annotation(event.case.id).labels, mask)


@pytest.mark.parametrize("form", FORMS)
def test_another_grid_is_refused_and_the_scan_is_added_without_labels(exported, make_study, tmp_path, form):
    _, folder = exported(form)
    shifted = write_series(tmp_path / "moved", PixelSpacing=[0.8, 0.8])
    for path in shifted.iterdir():
        image = pydicom.dcmread(path)
        image.ImagePositionPatient = [float(value) + 0.9 for value in image.ImagePositionPatient]
        image.save_as(path)
    study = make_study("second")
    (event,) = bring(study, shifted, labels=folder)
    assert "it was made for another one. The scan was added without labels." in event.problem
    assert study.cases[0].status == "unlabelled"


@pytest.mark.parametrize("form", FORMS)
def test_one_that_refers_to_no_series_here_is_told(exported, make_study, tmp_path, form):
    _, folder = exported(form)
    other = write_series(tmp_path / "other", SeriesInstanceUID="1.2.8", FrameOfReferenceUID="1.2.9")
    study = make_study("second")
    added, left = bring(study, other, labels=folder)
    assert (added.problem, added.case.status) == (None, "unlabelled")
    assert left.outcome == "refused" and "refers to none of the series" in left.problem


def test_the_only_series_in_its_frame_of_reference_is_meant_where_none_is_named(
    exported, make_study, tmp_path
):
    mask, folder = exported("dicom-seg")
    path = next(folder.glob("*.dcm"))
    dataset = pydicom.dcmread(path)
    del dataset.ReferencedSeriesSequence
    dataset.save_as(path)
    study = make_study("second")
    (event,) = bring(study, tmp_path / "dicom", labels=folder)
    np.testing.assert_array_equal(study.annotation(event.case.id).labels, mask)


def test_of_several_none_is_taken(exported, make_study, tmp_path):
    _, folder = exported("dicom-seg")
    exported_too = next(folder.glob("*.dcm"))
    exported_too.with_name("second.dcm").write_bytes(exported_too.read_bytes())
    study = make_study("second")
    (event,) = bring(study, tmp_path / "dicom", labels=folder)
    assert "Several label files could belong" in event.problem
    assert study.cases[0].status == "unlabelled"


def by_highdicom(folder, frames, **changes):
    """A segmentation of another program, with segments that may overlap."""
    images = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]
    images.sort(key=lambda image: -image.InstanceNumber)
    segments = [
        highdicom.seg.SegmentDescription(
            number,
            name,
            codes.SCT.Tissue,
            codes.SCT.Tissue,
            "MANUAL",
            tracking_uid=generate_uid(),
            tracking_id=name,
        )
        for number, name in enumerate(("left atrium", "scar"), start=1)
    ]
    stated = {"segmentation_type": "BINARY", **changes}
    return highdicom.seg.Segmentation(
        images,
        frames,
        segment_descriptions=segments,
        series_instance_uid=generate_uid(),
        series_number=1,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="x",
        manufacturer_model_name="x",
        software_versions="x",
        device_serial_number="x",
        **stated,
    )


def two_segments(overlap):
    frames = np.zeros((SLICES, ROWS, COLUMNS, 2), np.uint8)
    frames[2:5, 1:4, 2:9, 0] = 1
    frames[4:7, 3 if overlap else 5 : 8, 2:9, 1] = 1
    return frames


@pytest.mark.filterwarnings("ignore")
def test_a_segmentation_of_another_program_is_read(make_study, tmp_path):
    folder, frames = write_series(tmp_path / "dicom"), two_segments(overlap=False)
    (tmp_path / "seg").mkdir()
    by_highdicom(folder, frames).save_as(tmp_path / "seg" / "a.dcm")
    study = make_study("study")
    (event,) = bring(study, folder, labels=tmp_path / "seg")
    assert event.problem is None
    labels = study.annotation(event.case.id).labels
    np.testing.assert_array_equal(labels, (2 * frames[..., 0] + 5 * frames[..., 1]).T)


@pytest.mark.filterwarnings("ignore")
def test_a_segment_inside_another_one_stays_and_is_told(make_study, tmp_path):
    folder, frames = write_series(tmp_path / "dicom"), two_segments(overlap=False)
    frames[..., 1] = 0
    frames[3, 2, 3:5, 1] = 1
    (tmp_path / "seg").mkdir()
    by_highdicom(folder, frames).save_as(tmp_path / "seg" / "a.dcm")
    study = make_study("study")
    (event,) = bring(study, folder, labels=tmp_path / "seg")
    assert event.problem is None and "'scar' lies inside 'left atrium'" in " ".join(event.notes)
    labels = study.annotation(event.case.id).labels
    np.testing.assert_array_equal(labels == 5, frames[..., 1].T)
    np.testing.assert_array_equal(labels > 0, frames[..., 0].T)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("overlap", "changes", "word"),
    [
        (True, {}, "'left atrium' and 'scar' overlap"),
        (False, {"segmentation_type": "FRACTIONAL"}, "probabilities"),
    ],
)
def test_what_one_label_map_cannot_hold_is_refused(make_study, tmp_path, overlap, changes, word):
    folder = write_series(tmp_path / "dicom")
    (tmp_path / "seg").mkdir()
    by_highdicom(folder, two_segments(overlap), **changes).save_as(tmp_path / "seg" / "a.dcm")
    study = make_study("study")
    (event,) = bring(study, folder, labels=tmp_path / "seg")
    assert word in event.problem and study.cases[0].status == "unlabelled"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_file_that_ends_too_soon_is_refused(exported, make_study, tmp_path, form, share):
    _, folder = exported(form)
    path = next(folder.glob("*.dcm"))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    study = make_study("second")
    event, *_ = bring(study, tmp_path / "dicom", labels=path)
    assert event.problem and study.cases[0].status == "unlabelled"


def test_holes_as_contours_of_their_own_points_and_open_lines(exported, make_study, tmp_path):
    _, folder = exported("rtstruct")
    path = next(folder.glob("*.dcm"))
    dataset = pydicom.dcmread(path)
    image = pydicom.dcmread(next(p for p in (tmp_path / "dicom").iterdir() if p.name == "000.dcm"))
    across = np.reshape(np.array(image.ImageOrientationPatient, float), (2, 3))

    def contour(kind, *corners):
        item = pydicom.Dataset()
        item.ContourGeometricType, item.NumberOfContourPoints = kind, len(corners)
        steps = np.array(corners) * np.array([0.7, 0.9])
        item.ContourData = [f"{v:.4f}" for v in (steps @ across + image.ImagePositionPatient).ravel()]
        return item

    def square(low, high):
        return (low, low), (high, low), (high, high), (low, high)

    first, second = dataset.ROIContourSequence
    first.ContourSequence = [
        contour("CLOSED_PLANAR", *square(0.5, 8.5)),
        contour("CLOSED_PLANAR", *square(2.5, 5.5)),
        contour("OPEN_PLANAR", *square(0.5, 9.5)),
    ]
    second.ContourSequence = [contour("POINT", (1.0, 1.0))]
    dataset.save_as(path)
    study = make_study("second")
    (event,) = bring(study, tmp_path / "dicom", labels=folder)
    assert event.problem is None
    expected = np.zeros((COLUMNS, ROWS), np.uint8)
    expected[1:9, 1:9] = 2
    expected[3:6, 3:6] = 0
    labels = study.annotation(event.case.id).labels
    np.testing.assert_array_equal(labels[..., 0], expected)
    assert not labels[..., 1:].any()
    assert image.SOPInstanceUID == f"{SERIES}.1"


@pytest.mark.parametrize("seed", range(10))
def test_polygons_are_filled_as_skimage_fills_them(seed):
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 12))
    radii = rng.uniform(3, 14, 12)
    polygon = np.stack([12 + radii * np.cos(angles), 9 + radii * np.sin(angles)], axis=1)
    np.testing.assert_array_equal(fill(polygon, (22, 19)), polygon2mask((22, 19), polygon))
