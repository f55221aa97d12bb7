import unicodedata

import pytest

from napari_dycon.study.store.naming import (
    case_id,
    file_stems,
    fold,
    patient_of,
    patient_pseudonym,
    pseudonyms,
)
from napari_dycon.study.store.schema import CaseRecord, is_safe_id

SECRET = b"of this study"


def record(identifier, name=None, source="file"):
    return CaseRecord(
        id=identifier,
        name=name or identifier,
        scan=f"{identifier}.nii.gz",
        source=source,
        shape=(1, 1, 1),
        spacing=(1, 1, 1),
        orientation="RAS",
        sha256="0",
        added="2026-01-01T00:00:00+00:00",
    )


def added(*names):
    """Records of scans that were added one after another."""
    cases = []
    for name in names:
        cases.append(record(case_id(name, cases), name))
    return cases


@pytest.mark.parametrize("name", ["LA_000", "a", "patient-7_day2"])
def test_a_plain_name_is_the_identifier(name):
    assert case_id(name, []) == name


@pytest.mark.parametrize(
    "name", ["A patient", "Müller 1950", "1.3.6.1.4.1", "con", "", "..", "a/b", "x" * 300, "扫描", "🫀", "-a"]
)
def test_an_invented_identifier_can_name_files(name):
    assert is_safe_id(case_id(name, []))


def test_an_invented_identifier_is_nobody_elses_name_or_identifier():
    names = ["A patient", "A.patient", "case-0001", "a PATIENT", "A_patient", "case-0002", "é", "e\u0301"]
    cases = added(*names)
    assert len({fold(case.id) for case in cases}) == len(names)
    for case in cases:
        assert all(fold(case.id) != fold(other.name) for other in cases if other is not case)


def test_an_invented_identifier_is_the_same_in_every_study():
    assert case_id("A patient", []) == case_id("A patient", added("b", "c"))


def test_a_secret_identifier_shows_nothing():
    found = case_id("Anna Meier", [], secret=SECRET)
    assert is_safe_id(found) and "anna" not in found.lower()
    assert found != case_id("Anna Meier", [], secret=b"of another")


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("Müller 1950", "Müller 1950"),
        ("1.3.6.1.4.1", "1.3.6.1.4.1"),
        ("anna/T1", "anna_T1"),
        ('a:b*c?"<>|', "a_b_c_____"),
        ("trailing. .", "trailing"),
        ("CON", "_CON"),
        ("nul.1", "_nul.1"),
        ("tab\tline\n", "tab_line_"),
    ],
)
def test_a_mask_is_called_like_its_scan_as_far_as_file_systems_allow(name, stem):
    (case,) = added(name)
    assert file_stems([case]) == {case.id: stem}


def test_long_names_are_cut_between_characters():
    (case,) = added("ü" * 300)
    (stem,) = file_stems([case]).values()
    assert len(stem.encode()) <= 200 and set(stem) == {"ü"}


def test_no_two_masks_have_one_name_on_any_file_system():
    cases = added("Scan", "scan", "a/b", "a:b", "é", "e\u0301", "case-0001", "A patient")
    stems = file_stems(cases)
    assert len({unicodedata.normalize("NFC", stem).casefold() for stem in stems.values()}) == len(cases)
    assert stems["case-0001"] == "case-0001"


def test_scans_from_dicom_are_called_by_their_identifier():
    assert file_stems([record("case-1a2b3c4d", "Anna Meier", "dicom")]) == {"case-1a2b3c4d": "case-1a2b3c4d"}


def test_pseudonyms_stay_and_say_nothing():
    cases = added("Anna", "Bert")
    found = pseudonyms(cases, SECRET)
    assert len(set(found.values())) == 2
    assert found["Anna"] == pseudonyms(cases[:1], SECRET)["Anna"]
    assert not any("anna" in name.lower() for name in found.values())
    assert patient_pseudonym("4711", SECRET) != patient_pseudonym("4711", b"of another")


@pytest.mark.parametrize(
    ("path", "patient"),
    [
        ("bids/sub-01/ses-1/anat/sub-01_ses-1_T1w", "sub-01"),
        ("sub-01_T1w", "sub-01"),
        ("sub-01/sub-02_T1w", ""),
        ("pineapplesub-01", ""),
        ("scan", ""),
    ],
)
def test_the_subject_of_a_bids_path(path, patient):
    assert patient_of(path) == patient
