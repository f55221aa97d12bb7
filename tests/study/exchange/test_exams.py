"""DICOM series of one exam as images of one case."""

import numpy as np
import pytest
import SimpleITK as sitk

from napari_dycon.errors import StudyError
from napari_dycon.io.dicom_identity import find_identity, identity_path
from napari_dycon.study.exchange.channels import channel_of_series, endings_of, parse_channels, proposed_name
from napari_dycon.study.exchange.importing import add_scans
from napari_dycon.study.exchange.listing import list_scans
from tests.dicom_series import write_series

ENDINGS = {"T1": "*t1*", "FLAIR": "*flair*"}


def series(folder, number, description, **changes):
    """A series that differs from others in its voxels too."""
    return write_series(
        folder,
        SeriesInstanceUID=f"1.2.5.{number}",
        SeriesDescription=description,
        RescaleSlope=number,
        **changes,
    )


@pytest.fixture
def exam(tmp_path):
    for number, name in enumerate(("T1 gd", "AX FLAIR", "DWI"), start=1):
        series(tmp_path / "anna" / name, number, name)
    return tmp_path / "anna"


def run(study, *paths, endings=ENDINGS, **options):
    _, *events = add_scans(study, paths, endings=endings, **options)
    return events


def test_real_series_become_images_of_a_case_as_itk_reads_them(study, brain_dicom):
    endings = parse_channels("*t1post*:T1 post,FLAIR:*flair*")
    case = next(event.case for event in run(study, brain_dicom, endings=endings) if event.case.images)
    assert case.name == "brain_dicom" and list(case.images) == ["FLAIR"] and len(study.cases) == 4
    reader = sitk.ImageSeriesReader()
    (folder,) = brain_dicom.glob("*FLAIR*")
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    expected = sitk.GetArrayFromImage(reader.Execute()).T
    np.testing.assert_array_equal(study.volume(case.id, "FLAIR").array, expected)


def test_what_no_pattern_is_about_is_a_scan_of_its_own(study, exam):
    events = run(study, exam)
    assert {event.case.name: list(event.case.images) for event in events} == {"anna": ["FLAIR"], "DWI": []}
    assert not [event.problem for event in events if event.problem]


def test_whose_each_image_is_is_kept_beside_it_and_goes_with_its_case(study, exam):
    case = next(event.case for event in run(study, exam) if event.case.images)
    image = study.scan_path(case.id, "FLAIR")
    assert find_identity(image).series == "1.2.5.2" and "FLAIR" not in image.name
    kept = study.remove_case(case.id)
    assert not identity_path(image).exists()
    study.restore_case(kept.folder)
    assert find_identity(image).series == "1.2.5.2"


def test_the_same_exam_brings_nothing_new(study, exam):
    run(study, exam)
    before = sorted(path.name for path in (study.path / "scans").iterdir())
    assert {event.outcome for event in run(study, exam)} == {"already there"}
    assert sorted(path.name for path in (study.path / "scans").iterdir()) == before
    assert run(study, study.path / "scans")[0].case is None


def test_an_image_may_come_later(study, exam):
    run(study, exam / "T1 gd", endings=ENDINGS)
    run(study, exam / "DWI", endings={"T1": "*t1*", "FLAIR": "*flair*"})
    joined = next(event for event in run(study, exam) if event.case.images)
    assert joined.outcome == "joined" and list(joined.case.images) == ["FLAIR"]


@pytest.mark.parametrize(
    "changes", [{"StudyInstanceUID": "1.2.6"}, {"PatientID": "another"}], ids=["exam", "patient"]
)
def test_series_of_another_exam_or_patient_are_never_joined(study, tmp_path, changes):
    series(tmp_path / "in" / "t1", 1, "T1")
    series(tmp_path / "in" / "flair", 2, "FLAIR", **changes)
    added, refused = sorted(run(study, tmp_path / "in"), key=lambda event: event.case is None)
    assert not added.case.images and "no series T1 (*t1*) in its exam" in refused.problem


def test_a_series_in_another_frame_of_reference_is_not_joined(study, tmp_path):
    series(tmp_path / "in" / "t1", 1, "T1")
    series(tmp_path / "in" / "flair", 2, "FLAIR", FrameOfReferenceUID="1.2.99")
    added, refused = sorted(run(study, tmp_path / "in"), key=lambda event: event.case is None)
    assert not added.case.images and "another frame of reference" in refused.problem


def test_of_two_series_that_could_be_one_image_the_second_is_refused(study, exam):
    series(exam / "T1 pre", 7, "T1 pre")
    events = run(study, exam)
    (problem,) = (event.problem for event in events if event.problem)
    assert "T1 gd" in problem and "T1 pre" in problem and "narrower" in problem


def test_exams_in_one_folder_keep_names_of_their_own(study, tmp_path):
    for number in (1, 3):
        own = {"StudyInstanceUID": f"1.2.7.{number}"}
        series(tmp_path / "in" / f"t1 {number}", number, "T1", **own)
        series(tmp_path / "in" / f"flair {number}", number + 1, "FLAIR", **own)
    assert sorted(event.case.name for event in run(study, tmp_path / "in")) == ["t1 1", "t1 3"]
    assert all(list(case.images) == ["FLAIR"] for case in study.cases)


def test_a_list_names_all_images_and_what_is_chosen_has_them(study, exam):
    found = {one.name: one for one in list_scans(study, [exam], endings=ENDINGS)}
    assert found["anna"].description == "T1 gd + AX FLAIR"
    (event,) = run(study, exam, only={found["anna"].key, *found["anna"].images})
    assert list(event.case.images) == ["FLAIR"]


def test_a_series_that_is_not_chosen_is_no_image_of_the_case(study, exam):
    found = {one.description: one for one in list_scans(study, [exam])}
    assert len({one.exam for one in found.values()}) == 1 and found["T1 gd"].exam > 0
    endings = endings_of([("T1 gd", "T1"), ("AX FLAIR", "FLAIR")], "T1")
    (event,) = run(study, exam, endings=endings, only={found["T1 gd"].key})
    assert event.problem is None and event.case.images == {}


def test_a_series_that_is_called_exactly_so_comes_before_those_that_are_called_like_it():
    endings = endings_of([("T1", "plain"), ("AX T1", "axial"), ("T2*", "star"), ("MPRAGE", "plain")], "plain")
    assert endings == {"plain": "T1|MPRAGE", "axial": "AX T1", "star": "T2*"}
    told = {text: channel_of_series(text, endings) for text in ("T1", "AX T1", "t2*", "MPRAGE", "SAG T1")}
    assert told == {"T1": "plain", "AX T1": "axial", "t2*": "star", "MPRAGE": "plain", "SAG T1": "plain"}


@pytest.mark.parametrize(
    ("description", "name"),
    [
        ("AX T1 FS GD", "T1 post"),
        ("T1post", "T1 post"),
        ("t1_mprage_sag", "T1"),
        ("T2_FLAIR_reg", "FLAIR"),
        ("ep2d_diff_ADC", "ADC"),
        ("t2_tse_tra", "T2"),
        ("CT WB 5.0", "CT"),
        ("HippoCrop", ""),
    ],
)
def test_what_an_image_is_called_is_proposed_by_its_description(description, name):
    assert proposed_name(description) == name


@pytest.mark.parametrize(
    ("ending", "description", "told"),
    [
        ("*t1*gd*", "AX T1 FS GD", True),
        ("*t1*gd*", "AX T1", False),
        ("t?", "T2", True),
        ("*(a)*", "T1 (a) [b]", True),
        ("flair", "AX FLAIR", True),
        ("flair", "FLAIR AX", False),
    ],
)
def test_descriptions_are_compared_with_patterns_and_endings(ending, description, told):
    assert (channel_of_series(description, {"x": ending}) == "x") is told


def test_a_pattern_may_stand_on_either_side_and_alone():
    assert parse_channels("T1 post:*t1*gd*, *flair*") == {"T1 post": "*t1*gd*", "flair": "*flair*"}
    with pytest.raises(StudyError, match="--channels"):
        parse_channels("*,*t1*")
