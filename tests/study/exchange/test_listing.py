import numpy as np
import pytest

from napari_dycon.study.exchange.importing import add_scans
from napari_dycon.study.exchange.listing import list_scans, verdict_in_words
from tests.dicom_series import CANARIES, COLUMNS, ROWS, SLICES, write_series
from tests.enhanced_dicom import DEPTHS, frame, item, make_object, write_object


@pytest.fixture
def mixed(tmp_path, make_scan):
    """Two exams of one patient, a localizer, a series that cannot be used, a file, and labels."""
    folder = tmp_path / "mixed"
    write_series(folder / "first")
    later = {"StudyInstanceUID": "1.2.8", "SeriesInstanceUID": "1.2.8.1", "StudyDate": "20200721"}
    write_series(folder / "later", **later)
    write_series(folder / "plan", SeriesInstanceUID="1.2.9", SeriesDescription="3-plane localizer")
    write_series(folder / "flat", SeriesInstanceUID="1.2.10", SeriesDescription="flat", PixelSpacing=[0, 1])
    make_scan("anna", folder="mixed")
    return folder


def by_name(found):
    return {one.name: one for one in found}


def test_everything_is_listed_with_its_verdict_and_nothing_is_added(study, mixed):
    before = sorted(path for path in study.path.rglob("*") if path.is_file())
    found = by_name(list_scans(study, [mixed]))
    assert {name: (one.verdict, one.wanted) for name, one in found.items()} == {
        "anna": ("new", True),
        "first": ("new", True),
        "later": ("new", True),
        "plan": ("new", False),
        "flat": ("refused", False),
    }
    assert "pixel spacing is impossible" in verdict_in_words(found["flat"])
    assert found["first"].shape == (COLUMNS, ROWS, SLICES) and found["first"].description == "T1 axial"
    assert (found["first"].day, found["later"].day) == (0, 182)
    assert found["first"].patient == found["later"].patient != ""
    assert sorted(path for path in study.path.rglob("*") if path.is_file()) == before


def test_what_is_in_the_study_is_known(study, mixed):
    list(add_scans(study, [mixed / "first", mixed / "anna.nii.gz"]))
    found = by_name(list_scans(study, [mixed]))
    assert [found[name].verdict for name in ("first", "anna", "later")] == ["already there"] * 2 + ["new"]


def test_only_what_is_chosen_is_imported(study, mixed):
    chosen = {one.key for one in list_scans(study, [mixed]) if one.name in ("later", "anna")}
    _, *events = add_scans(study, [mixed], only=chosen)
    assert sorted(event.case.name for event in events) == ["anna", "later"]
    assert len(study.cases) == 2


def test_volumes_of_one_object_are_chosen_one_by_one(study, tmp_path):
    frames = [
        frame(depth, MREchoSequence=item(EffectiveEchoTime=20.0 * n)) for depth in DEPTHS for n in (1, 2)
    ]
    folder = write_object(tmp_path / "dicom" / "IM1", make_object(frames))
    _, second = list_scans(study, [folder])
    _, event = add_scans(study, [folder], only={second.key})
    assert "40 ms" in event.case.name
    assert [one.verdict for one in list_scans(study, [folder])] == ["new", "already there"]


def test_pictures_are_small_and_of_the_true_shape(study, mixed):
    found = by_name(list_scans(study, [mixed], pictures=True))
    picture = found["first"].picture
    assert picture.dtype == np.uint8 and max(picture.shape) == 96
    assert picture.shape[0] / picture.shape[1] == pytest.approx(ROWS * 0.9 / (COLUMNS * 0.7), rel=0.05)
    assert found["flat"].picture is None and found["anna"].picture is None


def test_nothing_that_is_shown_names_the_patient_or_the_date(study, mixed):
    found = list(list_scans(study, [mixed]))
    shown = " ".join(
        f"{one.name} {one.description} {one.patient} {one.day} {verdict_in_words(one)}" for one in found
    )
    canaries = [value for name, value in CANARIES.items() if name not in ("PatientSex",)]
    assert not [value for value in canaries if value in shown]
