import gzip
import shutil

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.errors import GridMismatchError, StudyError, VolumeError
from napari_dycon.study.exchange import importing
from napari_dycon.study.exchange.importing import CollectingScans, ImportEvent, add_labels
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation


def run(study, *paths, labels_dir=None):
    """One event a file, after the word that the search has begun."""
    first, *events = importing.add_scans(study, paths, labels_dir=labels_dir)
    assert isinstance(first, CollectingScans)
    return events


def test_real_scans_are_added_from_a_folder_and_only_those_with_labels_become_labelled(
    study, atria, tmp_path
):
    images, labels = atria
    for folder, source, numbers in (("images", images, range(5)), ("masks", labels, (1, 3))):
        (tmp_path / folder).mkdir()
        for number in numbers:
            shutil.copy(source / f"LA_{number:03d}.nii.gz", tmp_path / folder)
    events = run(study, tmp_path / "images", labels_dir=tmp_path / "masks")
    assert [event.problem for event in events] == [None] * 5
    assert [(event.done, event.total) for event in events] == [(n, 5) for n in range(1, 6)]
    assert [case.id for case in study.cases] == [f"LA_{n:03d}" for n in range(5)]
    assert [case.status for case in study.cases] == [
        "unlabelled",
        "complete",
        "unlabelled",
        "complete",
        "unlabelled",
    ]


def test_dicom_series_are_converted_once_into_the_study(study, brain_dicom):
    events = run(study, brain_dicom / "11-T1post-18670")
    assert [event.problem for event in events] == [None]
    case = events[0].case
    assert case.scan == f"scans/{case.id}.nii.gz"
    assert case.shape == (280, 320, 22)
    (again,) = run(study, brain_dicom / "11-T1post-18670")
    assert (again.outcome, again.problem, again.case.id) == ("already there", None, case.id)
    kept = {path.name for path in (study.path / "scans").iterdir()}
    assert kept == {f"{case.id}.nii.gz", f"{case.id}.dicom.json"}


def test_dicom_beside_other_scans_is_not_left_out(study, make_scan, brain_dicom, tmp_path):
    make_scan("a", folder="mixed")
    shutil.copytree(brain_dicom / "11_HCropVolume", tmp_path / "mixed" / "brain")
    events = run(study, tmp_path / "mixed")
    assert [(event.case.name, event.problem) for event in events] == [("a", None), ("brain", None)]


def test_a_single_dicom_file_stands_for_its_series(study, brain_dicom):
    (event,) = run(study, next((brain_dicom / "11_HCropVolume").glob("*.dcm")))
    assert event.problem is None
    assert event.case.shape[2] == 40


@pytest.mark.parametrize("name", ["a", "a_seg", "a_label", "a-labels", "A_MASK", "a.seg"])
def test_labels_are_matched_by_file_name(study, make_scan, make_labels, tmp_path, name):
    make_scan("a")
    make_labels(name)
    make_labels("unrelated")
    event, unrelated = run(study, tmp_path / "images", labels_dir=tmp_path / "labels")
    assert (event.problem, event.case.status) == (None, "complete")
    assert unrelated.case is None and "unrelated" in unrelated.problem


def test_channel_numbers_of_nnunet_are_looked_through(study, make_scan, make_labels, tmp_path):
    make_scan("heart_01_0000", folder="imagesTr")
    make_labels("heart_01", folder="labelsTr")
    (event,) = run(study, tmp_path)
    assert (event.problem, event.case.id, event.case.status) == (None, "heart_01_0000", "complete")


def test_labels_beside_the_scans_are_not_taken_for_scans(study, make_scan, make_labels, tmp_path):
    make_scan("a", folder="both")
    make_scan("b", folder="both")
    make_labels("a_seg", folder="both")
    events = run(study, tmp_path / "both")
    assert [(event.case.id, event.case.status) for event in events] == [
        ("a", "complete"),
        ("b", "unlabelled"),
    ]


def test_ambiguous_labels_are_not_guessed(study, make_scan, make_labels, tmp_path):
    make_scan("a")
    make_labels("a", folder="labels/x")
    make_labels("a", folder="labels/y")
    (event,) = run(study, tmp_path / "images", labels_dir=tmp_path / "labels")
    assert event.case.status == "unlabelled"
    assert "Several label files could belong to a" in event.problem
    assert all(str(tmp_path / "labels" / name / "a.nii.gz") in event.problem for name in "xy")


def test_files_that_cannot_be_used_are_skipped_with_a_sentence_and_the_rest_goes_on(
    study, make_scan, tmp_path
):
    make_scan("a")
    broken = make_scan("b")
    broken.write_bytes(broken.read_bytes()[:200])
    (broken.parent / "c.nii").write_text("no scan")
    make_scan("d")
    events = run(study, broken.parent, tmp_path / "gone.nii.gz", tmp_path / "notes.pdf")
    assert [event.case.id if event.case else None for event in events] == ["a", None, None, "d", None, None]
    for event in events:
        if event.case is None:
            assert event.path.name in event.problem
            assert "\n" not in event.problem
            assert "Traceback" not in event.problem


def test_a_folder_without_scans_is_told(study, tmp_path):
    (tmp_path / "empty").mkdir()
    (event,) = run(study, tmp_path / "empty")
    assert "holds no scans" in event.problem
    alone = tmp_path / "empty" / "notes.dcm"
    alone.touch()
    (event,) = run(study, alone)
    assert "notes.dcm" in event.problem


def test_the_same_image_is_not_added_twice(study, make_scan, tmp_path):
    scan = make_scan("a")
    importing.add_scan(study, scan)
    copy = tmp_path / "copy.nii.gz"
    shutil.copy(scan, copy)
    with pytest.raises(StudyError, match="same image as case a"):
        importing.add_scan(study, copy)
    assert len(study.cases) == 1


def test_labels_can_follow_later_but_do_not_replace_annotations(study, make_scan, make_labels):
    scan, labels = make_scan(), make_labels()
    importing.add_scan(study, scan)
    assert importing.add_scan(study, scan, labels).status == "complete"
    with pytest.raises(StudyError, match="same image"):
        importing.add_scan(study, scan, labels)


def test_scans_that_differ_in_their_suffix_alone_are_told_apart_by_it(study, make_scan, tmp_path):
    make_scan("p")
    make_scan("other").rename(tmp_path / "images" / "other")
    (tmp_path / "images" / "p.nii").write_bytes(gzip.decompress((tmp_path / "images" / "other").read_bytes()))
    (tmp_path / "images" / "other").unlink()
    run(study, tmp_path / "images")
    assert {case.name for case in study.cases} == {"p.nii", "p.nii.gz"}
    assert len({case.id for case in study.cases}) == 2


def test_different_scans_of_one_name_get_different_ids(study, make_scan, write_nifti, tmp_path):
    importing.add_scan(study, make_scan("a"))
    other = write_nifti(tmp_path / "day2" / "a.nii.gz", np.arange(960, dtype=np.int16).reshape(12, 10, 8))
    second = importing.add_scan(study, other)
    assert second.id.startswith("day2_a-")
    assert [case.name for case in study.cases] == ["a", "day2/a"]


def test_an_annotation_left_by_a_crash_is_not_given_to_a_new_scan(study, make_scan, make_labels):
    stray = study.path / "annotations" / "a.nii.gz"
    stray.parent.mkdir()
    make_labels().replace(stray)
    assert study.annotation(importing.add_scan(study, make_scan("a")).id).known_fraction == 0
    assert len(list((study.path / "history" / "strays").iterdir())) == 1


def test_a_label_value_without_a_structure_is_refused_by_name_and_count(
    study, make_scan, make_labels, tmp_path
):
    scan, labels = make_scan(), make_labels(values=(1, 2, 30))
    with pytest.raises(StudyError, match=r"2 \(16 voxels\), 30 \(16 voxels\); add a structure.*2:NAME"):
        importing.add_scan(study, scan, labels)
    assert study.cases == ()
    (event,) = run(study, scan, labels_dir=labels.parent)
    assert event.case.status == "unlabelled"
    assert "add a structure" in event.problem
    study.add_structure("ventricle", value=2)
    study.add_structure("scar", value=30)
    assert importing.add_scan(study, scan, labels).label_voxels == {1: 16, 2: 16, 30: 16}


def test_a_study_without_structures_takes_them_from_the_first_labels(tmp_path, make_scan, make_labels):
    with Study.create(tmp_path / "new", []) as study:
        importing.add_scan(study, make_scan(), make_labels(values=(2, 5)))
        assert [(s.value, s.name) for s in study.structures] == [(2, "structure 2"), (5, "structure 5")]
        assert len({s.color for s in study.structures}) == 2


@pytest.mark.parametrize(
    ("voxels", "shift", "error", "message"),
    [
        (np.zeros((12, 10, 9), np.uint8), 0, GridMismatchError, "made for another scan"),
        (np.zeros((12, 10, 8), np.uint8), 5, GridMismatchError, "5.00 mm"),
        (np.full((12, 10, 8), 0.5, np.float32), 0, VolumeError, "fractional"),
        (np.full((12, 10, 8), np.nan, np.float32), 0, VolumeError, "NaN"),
        (np.full((12, 10, 8), -1, np.int16), 0, VolumeError, "-1"),
    ],
)
def test_labels_that_do_not_fit_are_refused_and_the_scan_is_added_without(
    study, make_scan, write_nifti, tmp_path, voxels, shift, error, message
):
    affine = np.diag([-1.0, -1.0, 2.0, 1.0])
    affine[0, 3] = shift
    scan, labels = make_scan(), write_nifti(tmp_path / "labels" / "scan.nii.gz", voxels, affine)
    with pytest.raises(error, match=message):
        importing.add_scan(study, scan, labels)
    assert study.cases == ()
    (event,) = run(study, scan, labels_dir=labels.parent)
    assert event.problem.endswith("The scan was added without labels.")
    assert study.annotation(event.case.id).known_fraction == 0


def test_scans_inside_the_study_itself_are_not_imported_again(study, make_scan, make_labels, tmp_path):
    importing.add_scan(study, make_scan("a"), make_labels("a"))
    make_scan("b", folder="study_next_door")
    events = run(study, tmp_path)
    assert [event.case.id for event in events if event.outcome == "added"] == ["b"]
    assert not any(event.path.is_relative_to(study.path) for event in events)


def test_an_import_can_be_ended_at_any_scan(study, make_scan, tmp_path):
    for name in "abc":
        make_scan(name)
    for event in importing.add_scans(study, [tmp_path / "images"]):
        if isinstance(event, ImportEvent) and event.done == 2:
            break
    assert [case.id for case in study.cases] == ["a", "b"]


def test_a_missing_label_folder_is_told_at_once(study, make_scan, tmp_path):
    with pytest.raises(StudyError, match="is not a folder"):
        run(study, make_scan(), labels_dir=tmp_path / "nowhere")


def test_invalid_voxels_are_counted_and_noted(study, write_nifti, tmp_path):
    voxels = np.arange(960, dtype=np.float32).reshape(12, 10, 8)
    voxels[0, 0, :3] = [np.nan, np.inf, -np.inf]
    case = importing.add_scan(study, write_nifti(tmp_path / "nan.nii.gz", voxels))
    assert case.intensity.invalid == 3
    assert case.intensity.maximum == 959
    assert "3 voxels are invalid" in " ".join(case.notes)


def test_labels_of_other_formats_and_of_named_structures_are_read(tmp_path, make_scan):
    import SimpleITK as sitk

    scan = make_scan()
    image = sitk.ReadImage(str(scan))
    mask = sitk.Cast(image > 400, sitk.sitkUInt8)
    sitk.WriteImage(mask, str(tmp_path / "scan.nrrd"))
    with Study.create(tmp_path / "new", [Structure(value=1, name="bright")]) as study:
        importing.add_scan(study, scan, tmp_path / "scan.nrrd")
        expected = Annotation.full((np.asarray(nib.load(scan).dataobj) > 400).astype(np.uint8))
        np.testing.assert_array_equal(study.annotation("scan").labels, expected.labels)


def test_a_label_map_goes_to_the_patient_whose_folder_it_lies_in(study, make_scan, make_labels, tmp_path):
    make_scan("T1", folder="images/anna")
    make_scan("T1", folder="images/bert", shape=(12, 10, 8))
    scan = tmp_path / "images" / "bert" / "T1.nii.gz"
    voxels = np.asarray(nib.load(scan).dataobj) + 1
    nib.save(nib.Nifti1Image(voxels.astype(np.int16), nib.load(scan).affine), scan)
    make_labels("T1", folder="labels/anna")
    events = run(study, tmp_path / "images", labels_dir=tmp_path / "labels")
    found = {event.case.name: (event.case.status, event.problem) for event in events}
    assert found == {"anna/T1": ("complete", None), "bert/T1": ("unlabelled", None)}


@pytest.mark.parametrize("folder", ["images/bert", "images"])
def test_labels_of_another_patients_folder_are_not_taken(study, make_scan, make_labels, tmp_path, folder):
    make_scan("T1", folder="images/bert")
    make_labels("T1", folder="labels/anna")
    (scan,) = run(study, tmp_path / folder, labels_dir=tmp_path / "labels")
    assert scan.case.status == "unlabelled"
    assert f"{tmp_path / 'labels' / 'anna' / 'T1.nii.gz'} has the name of" in scan.problem


def test_one_label_map_that_two_scans_could_have_goes_to_neither(study, make_scan, make_labels, tmp_path):
    for number, folder in enumerate(("anna", "bert")):
        make_scan(f"T{number}", folder=f"images/{folder}").rename(tmp_path / "images" / folder / "T1.nii.gz")
    make_labels("T1")
    events = run(study, tmp_path / "images", labels_dir=tmp_path / "labels")
    assert [event.case.status for event in events] == ["unlabelled"] * 2
    for event in events:
        assert all(
            str(tmp_path / "images" / name / "T1.nii.gz") in event.problem for name in ("anna", "bert")
        )


@pytest.mark.parametrize(
    "name", ["a_seg", "a_dseg", "label_a", "mask_a", "a-lesion", "a_pred", "seg", "contours", "a"]
)
def test_a_mask_among_scans_becomes_no_scan(study, make_scan, make_labels, tmp_path, name):
    make_scan("b_t1", folder="both")
    make_labels(name, folder="both")
    events = run(study, tmp_path / "both")
    assert [case.name for case in study.cases] == ["b_t1"]
    (refused,) = [event for event in events if event.case is None]
    assert "looks like a label map" in refused.problem and "--labels" in refused.problem


def test_a_scan_that_is_called_like_a_mask_is_added_with_a_note(study, make_scan, tmp_path):
    make_scan("roi_01")
    (event,) = run(study, tmp_path / "images")
    assert event.case.name == "roi_01"
    assert "called like a label map" in event.notes[0]


def test_a_file_that_is_named_is_a_scan_whatever_it_looks_like(study, make_labels):
    (event,) = run(study, make_labels("two_values"))
    assert event.case.name == "two_values"


@pytest.mark.parametrize("compression", [1, 9, None])
def test_the_same_image_in_other_bytes_is_found_again(study, make_scan, make_labels, tmp_path, compression):
    scan = make_scan("p")
    importing.add_scan(study, scan, make_labels("p"))
    raw = gzip.decompress(scan.read_bytes())
    scan.unlink()
    again = tmp_path / "elsewhere" / ("p.nii" if compression is None else "p.nii.gz")
    again.parent.mkdir()
    again.write_bytes(raw if compression is None else gzip.compress(raw, compression))
    (event,) = run(study, again.parent)
    assert (event.outcome, event.problem, event.case.status) == ("found again", None, "complete")
    assert len(study.cases) == 1
    assert study.volume("p").notes == ()


def test_a_study_from_another_system_finds_its_scans_again(study, make_scan, make_labels):
    scan = make_scan("p")
    case = importing.add_scan(study, scan, make_labels("p"))
    study.replace_case(case.model_copy(update={"scan": "D:\\Studies\\im\\p.nii.gz"}))
    (event,) = run(study, scan.parent)
    assert (event.outcome, event.case.status) == ("found again", "complete")
    assert study.scan_path("p") == scan


def test_an_image_that_is_there_is_no_problem(study, make_scan, tmp_path):
    make_scan("a")
    run(study, tmp_path / "images")
    (event,) = run(study, tmp_path / "images")
    assert (event.outcome, event.problem, event.case.id) == ("already there", None, "a")


def segmentation(path, names, affine=None):
    """A ``.seg.nrrd`` as 3D Slicer writes it: block ``v`` of value ``v`` in slice ``v``, with its name."""
    voxels = np.zeros((12, 10, 8), np.uint8)
    for value in names:
        voxels[2:6, 2:6, value] = value
    lines = ["NRRD0004", "type: unsigned char", "dimension: 3", "space: right-anterior-superior"]
    lines += ["sizes: 12 10 8", "space directions: (-1,0,0) (0,-1,0) (0,0,2)", "kinds: domain domain domain"]
    lines += ["encoding: raw", "space origin: (0,0,0)"]
    for number, (value, name) in enumerate(names.items()):
        lines += [f"Segment{number}_Name:={name}", f"Segment{number}_LabelValue:={value}"]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes("\n".join(lines).encode() + b"\n\n" + voxels.tobytes(order="F"))
    return path


def test_segments_are_taken_over_by_name_not_by_value(tmp_path, make_scan):
    labels = segmentation(tmp_path / "p.seg.nrrd", {1: "Tumour", 2: "liver"})
    structures = [Structure(value=1, name="liver"), Structure(value=2, name="tumour")]
    with Study.create(tmp_path / "new", structures) as study:
        importing.add_scan(study, make_scan("p"), labels)
        found = study.annotation("p").labels
        assert (found[3, 3, 1], found[3, 3, 2]) == (2, 1)


def test_a_segment_whose_name_no_structure_has_is_refused(tmp_path, make_scan):
    labels = segmentation(tmp_path / "p.seg.nrrd", {1: "spleen"})
    with (
        Study.create(tmp_path / "new", [Structure(value=1, name="liver")]) as study,
        pytest.raises(StudyError, match=r"1 \(spleen, 16 voxels\)"),
    ):
        importing.add_scan(study, make_scan("p"), labels)


def test_segments_of_one_name_are_one_structure(tmp_path, make_scan):
    """As MITK names the instances of a lesion."""
    labels = segmentation(tmp_path / "p.seg.nrrd", {1: "lesion", 2: "liver", 3: "Lesion"})
    for number, structures in enumerate(
        ([Structure(value=5, name="lesion"), Structure(value=1, name="liver")], [])
    ):
        with Study.create(tmp_path / f"new{number}", structures) as study:
            importing.add_scan(study, make_scan("p"), labels)
            found = study.annotation("p").labels
            assert found[3, 3, 1] == found[3, 3, 3] != found[3, 3, 2]
            assert len(study.structures) == 2


@pytest.mark.parametrize("structures", [["liver", "tumour"], []])
def test_a_value_that_a_naming_file_does_not_name_means_nothing(tmp_path, make_scan, structures):
    labels = segmentation(tmp_path / "p.seg.nrrd", {1: "liver", 2: ""})
    own = [Structure(value=value, name=name) for value, name in enumerate(structures, start=1)]
    with (
        Study.create(tmp_path / "new", own) as study,
        pytest.raises(StudyError, match=r"2 \(16 voxels\); the file names its other values but not 2"),
    ):
        importing.add_scan(study, make_scan("p"), labels)


def test_the_advice_for_a_foreign_name_does_not_take_the_value_of_a_structure(tmp_path, make_scan):
    labels = segmentation(tmp_path / "p.seg.nrrd", {1: "Leber"})
    with (
        Study.create(tmp_path / "new", [Structure(value=1, name="liver")]) as study,
        pytest.raises(StudyError, match=r'as the structure is called \(liver\).*--structure "2:Leber"'),
    ):
        importing.add_scan(study, make_scan("p"), labels)


def test_a_study_without_structures_takes_their_names_from_the_segments(tmp_path, make_scan):
    labels = segmentation(tmp_path / "p.seg.nrrd", {1: "tumour", 3: "liver"})
    with Study.create(tmp_path / "new", []) as study:
        importing.add_scan(study, make_scan("p"), labels)
        assert [(s.value, s.name) for s in study.structures] == [(1, "tumour"), (3, "liver")]


def test_nothing_of_a_patient_is_in_the_names_that_the_program_makes(study, brain_dicom, tmp_path):
    folder = tmp_path / "Meier_Anna_1950"
    shutil.copytree(brain_dicom / "11_HCropVolume", folder)
    (event,) = run(study, folder)
    assert event.case.name == "Meier_Anna_1950"
    written = [path.name for path in study.path.rglob("*")]
    assert not any("meier" in name.lower() or "crop" in name.lower() for name in written)
    assert event.case.patient.startswith("patient-")


def test_series_of_one_patient_share_a_pseudonym_that_another_study_does_not(study, brain_dicom, tmp_path):
    for name in ("11-T1post-18670", "11_HCropVolume"):
        run(study, brain_dicom / name)
    first, second = study.cases
    with Study.create(tmp_path / "other", []) as other:
        (event,) = run(other, brain_dicom / "11_HCropVolume")
        assert event.case.patient != second.patient
    patients = {case.id: case.patient for case in (first, second)}
    assert all(patient.startswith("patient-") for patient in patients.values())


def test_subjects_are_read_from_bids_names(study, make_scan, tmp_path):
    make_scan("sub-07_T1w", folder="bids/sub-07/anat")
    make_scan("sub-07_T2w", folder="bids/sub-07/anat")
    make_scan("other", folder="bids/misc")
    run(study, tmp_path / "bids")
    assert {case.name: case.patient for case in study.cases} == {
        "other": "other",
        "sub-07_T1w": "sub-07",
        "sub-07_T2w": "sub-07",
    }


def test_a_fault_in_one_file_does_not_end_the_import(study, make_scan, tmp_path, monkeypatch):
    from napari_dycon.study.exchange import importing

    for name in "abc":
        make_scan(name)
    real = importing.read_volume

    def faulty(path):
        if path.name.startswith("b"):
            raise ZeroDivisionError("of its own")
        return real(path)

    monkeypatch.setattr(importing, "read_volume", faulty)
    events = run(study, tmp_path / "images")
    assert [event.case is not None for event in events] == [True, False, True]
    assert "b.nii.gz could not be read" in events[1].problem


def outcomes(events):
    return {event.path.name: (event.outcome, event.case and event.case.status) for event in events}


@pytest.mark.parametrize("named", [["anna/T1", "bert/T1_seg"], ["anna", "bert"]])
def test_a_mask_in_the_folder_of_another_patient_is_not_taken(study, make_scan, make_labels, tmp_path, named):
    make_scan("T1", "images/anna")
    make_labels("T1_seg", "images/bert")
    paths = [tmp_path / "images" / (name if "/" not in name else f"{name}.nii.gz") for name in named]
    found = outcomes(run(study, *paths))
    assert found == {"T1.nii.gz": ("added", "unlabelled"), "T1_seg.nii.gz": ("refused", None)}


def test_files_named_together_are_paired_as_in_their_folder(study, make_scan, make_labels):
    scan, mask = make_scan("p"), make_labels("p_seg", "images")
    (event,) = run(study, scan, mask)
    assert event.case.status == "complete"


def test_a_prediction_beside_its_scan_is_offered_and_not_taken_for_a_persons_work(
    study, make_scan, make_labels, tmp_path
):
    scan, mask = make_scan("p"), make_labels("p_pred", "images")
    events = run(study, tmp_path / "images")
    assert outcomes(events) == {"p.nii.gz": ("added", "unlabelled"), "p_pred.nii.gz": ("refused", None)}
    assert events[1].pairs == ((scan, mask),)
    assert str(mask) in events[1].problem and str(scan) in events[1].problem


def test_scans_that_a_mask_beside_them_may_belong_to_are_told(study, make_scan, make_labels, tmp_path):
    scans = [make_scan(f"BraTS_001_{kind}") for kind in ("flair", "t1")]
    mask = make_labels("BraTS_001_seg", "images")
    make_scan("BraTS_002_t1")
    *added, refused = run(study, tmp_path / "images")
    assert [event.case.status for event in added] == ["unlabelled"] * 3
    assert set(refused.pairs) == {(scan, mask) for scan in scans}


def test_a_label_map_can_be_named_for_one_scan(study, make_scan, make_labels, tmp_path):
    scan, mask = make_scan("p"), make_labels("whatever")
    (event,) = run(study, scan, labels_dir=mask)
    assert event.case.status == "complete"
    make_scan("q")
    with pytest.raises(StudyError, match="there are 2 scans; name the one"):
        run(study, tmp_path / "images", labels_dir=mask)


def test_labels_are_given_to_scans_as_a_person_pairs_them(study, make_scan, make_labels):
    first, second = make_scan("a"), make_scan("b")
    run(study, first)
    pairs = [(first, make_labels("x")), (second, make_labels("y"))]
    assert [event.outcome for event in add_labels(study, pairs)] == ["labelled", "added"]
    assert [case.status for case in study.cases] == ["complete", "complete"]


def test_a_label_map_that_is_named_alone_is_added_with_a_word(study, make_labels):
    (event,) = run(study, make_labels("p_seg"))
    assert "looks like a label map" in " ".join(event.notes)


@pytest.mark.parametrize("entities", ["desc-manual", "space-T1w_desc-brain", "label-lesion"])
def test_bids_derivatives_find_their_scans(study, make_scan, make_labels, tmp_path, entities):
    make_scan("sub-01_T1w", "bids/sub-01/anat")
    make_scan("sub-02_T1w", "bids/sub-02/anat")
    make_labels(f"sub-02_{entities}_dseg", "masks/sub-02/anat")
    found = outcomes(run(study, tmp_path / "bids", labels_dir=tmp_path / "masks"))
    assert found == {"sub-01_T1w.nii.gz": ("added", "unlabelled"), "sub-02_T1w.nii.gz": ("added", "complete")}
    assert [case.patient for case in study.cases] == ["sub-01", "sub-02"]


def test_a_scan_is_found_again_where_another_lies_in_its_place(study, make_scan, make_labels, tmp_path):
    scan = make_scan("a")
    importing.add_scan(study, scan, make_labels("a"))
    moved = tmp_path / "elsewhere" / "a.nii.gz"
    moved.parent.mkdir()
    scan.replace(moved)
    make_scan("b").replace(scan)
    (event,) = run(study, moved)
    assert (event.outcome, event.case.status) == ("found again", "complete")
    assert study.scan_path(event.case.id) == moved


def test_the_same_image_along_other_axes_takes_no_annotation_over(study, make_scan, make_labels, tmp_path):
    scan = make_scan("a")
    importing.add_scan(study, scan, make_labels("a"))
    turned = tmp_path / "turned.nii.gz"
    nib.save(nib.as_closest_canonical(nib.load(scan)), turned)
    (event,) = run(study, turned)
    assert event.outcome == "already there"
    scan.unlink()
    (event,) = run(study, turned)
    assert event.case is None and "along other axes" in event.problem
    assert len(study.cases) == 1


@pytest.fixture
def study_among_scans(make_scan, make_labels, tmp_path):
    """A study made in the folder of its scans, which are a level below, too, and once more in ``scans``."""
    make_scan("a", folder="data")
    make_scan("b", folder="data/ward")
    make_scan("c", folder="data/scans")
    with Study.create(tmp_path / "data", [Structure(value=1, name="liver", color="#aa0000")]) as study:
        yield study


@pytest.mark.parametrize("named", ["data", "data/../data", "."])
def test_scans_beside_the_study_file_are_found(study_among_scans, tmp_path, named):
    study = study_among_scans
    assert sorted(event.case.name for event in run(study, tmp_path / named)) == ["a", "b", "c"]
    study.save_annotation("a", Annotation.full(np.ones(study.case("a").shape, np.uint8)), "paint")
    mask = np.zeros(study.case("a").shape, np.uint8)
    run_id = study.new_run("dycon")
    study.predictions.save(run_id, "a", mask, mask.astype(np.float32))
    again = run(study, tmp_path / named)
    assert sorted(event.path.name for event in again) == ["a.nii.gz", "b.nii.gz", "c.nii.gz"]
    assert {event.outcome for event in again} == {"already there"}


def test_what_a_study_keeps_is_not_imported_into_another(study, study_among_scans, tmp_path):
    run(study_among_scans, tmp_path / "data")
    full = Annotation.full(np.ones(study_among_scans.case("a").shape, np.uint8))
    study_among_scans.save_annotation("a", full, "paint")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "masks").symlink_to(tmp_path / "data" / "annotations")
    events = run(study, tmp_path / "data", tmp_path / "linked")
    assert sorted(event.path.name for event in events if event.outcome == "added") == [
        f"{name}.nii.gz" for name in "abc"
    ]
    assert [event.outcome for event in events if event.outcome != "added"] == ["refused"]


def test_what_was_converted_from_dicom_is_not_found_as_a_scan_of_its_own(brain_dicom, tmp_path):
    shutil.copytree(brain_dicom / "11_HCropVolume", tmp_path / "data" / "brain")
    with Study.create(tmp_path / "data", []) as study:
        (first,) = run(study, tmp_path / "data")
        (again,) = run(study, tmp_path / "data")
    assert (first.outcome, again.outcome) == ("added", "already there")


def test_what_lies_among_scans_and_is_none_is_told(study, make_scan, tmp_path):
    make_scan("a", folder="mixed")
    (tmp_path / "mixed" / "more.zip").write_bytes(b"PK")
    (tmp_path / "mixed" / "old.img").write_bytes(bytes(100))
    scan, rest = run(study, tmp_path / "mixed")
    assert (scan.case.name, rest.case) == ("a", None)
    assert "archives (more.zip)" in rest.problem and "two-file NIfTI (old.img)" in rest.problem


def test_dicom_is_added_beside_scans_whose_paths_are_another_systems(study, make_scan, brain_dicom):
    case = importing.add_scan(study, make_scan("p"))
    study.replace_case(case.model_copy(update={"scan": "D:\\Studies\\p.nii.gz"}))
    (event,) = run(study, brain_dicom / "11_HCropVolume")
    assert (event.outcome, event.problem) == ("added", None)
    (again,) = run(study, brain_dicom / "11_HCropVolume")
    assert again.outcome == "already there"
    kept = sorted(path.name for path in (study.path / "scans").iterdir())
    assert kept == [f"{event.case.id}.dicom.json", f"{event.case.id}.nii.gz"]


def test_folders_of_sequences_are_persons(study, write_nifti, tmp_path):
    paths = ["anna/T1", "anna/T2", "anna/flair", "bert/T1", "bert/T2", "scan_7"]
    for number, path in enumerate(paths):
        write_nifti(
            tmp_path / "im" / f"{path}.nii.gz", np.arange(960, dtype=np.int16).reshape(12, 10, 8) + number
        )
    run(study, tmp_path / "im")
    patients = {case.name: case.patient for case in study.cases}
    anna = {patients[name] for name in ("anna/T1", "anna/T2", "flair")}
    bert = {patients[name] for name in ("bert/T1", "bert/T2")}
    assert len(anna) == len(bert) == 1 and anna != bert
    assert not any("anna" in patient for patient in anna)
    assert patients["scan_7"] == "scan_7"


def test_folders_of_one_sequence_each_are_no_persons(study, write_nifti, tmp_path):
    for number, path in enumerate(["T1/1", "T1/2", "T2/1", "T2/2"]):
        write_nifti(
            tmp_path / "im" / f"{path}.nii.gz", np.arange(960, dtype=np.int16).reshape(12, 10, 8) + number
        )
    run(study, tmp_path / "im")
    assert len({case.patient for case in study.cases}) == 4


@pytest.mark.parametrize("file", ["p.seg.nrrd", "p.nrrd", "P_LABEL.NRRD"])
def test_names_of_segments_count_whatever_the_file_is_called(tmp_path, make_scan, file):
    labels = segmentation(tmp_path / file, {1: "tumour", 2: "liver"})
    structures = [Structure(value=1, name="liver"), Structure(value=2, name="tumour")]
    with Study.create(tmp_path / "new", structures) as study:
        importing.add_scan(study, make_scan("p"), labels)
        found = study.annotation("p").labels
        assert (found[3, 3, 1], found[3, 3, 2]) == (2, 1)


@pytest.mark.parametrize("changes", [{"Rows": 0}, {"ImagePositionPatient": [0, 0, 1e200]}])
def test_one_impossible_series_does_not_end_the_import(study, make_scan, brain_dicom, tmp_path, changes):
    import pydicom

    folder = tmp_path / "mixed"
    shutil.copytree(brain_dicom / "11_HCropVolume", folder / "good")
    shutil.copytree(brain_dicom / "11_HCropVolume", folder / "bad")
    for number, path in enumerate(sorted((folder / "bad").iterdir())):
        image = pydicom.dcmread(path)
        image.SeriesInstanceUID, image.SOPInstanceUID = "1.2.3", f"1.2.3.{number}"
        for name, value in changes.items():
            value = [0, 0, number * 1e200] if isinstance(value, list) else value
            setattr(image, name, value)
        image.save_as(path)
    events = run(study, folder)
    assert [case.name for case in study.cases] == ["good"]
    (refused,) = [event for event in events if event.case is None]
    assert "cannot be used" in refused.problem
