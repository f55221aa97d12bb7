"""What one scan, one record or one write can do to the study file: nothing to the rest of it."""

import json
import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_dycon.errors import StudyError
from napari_dycon.study.exchange import importing
from napari_dycon.study.store.scans import intensity_facts
from napari_dycon.study.store.schema import CaseRecord, IntensityFacts, Structure, StudyRecord, new_structure
from napari_dycon.study.store.studyfile import StudyFile
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation

LARGEST = sys.float_info.max
CASE = {
    "id": "a", "name": "A", "scan": "/x/a.nii", "shape": [2, 3, 4], "spacing": [1, 1, 1],
    "orientation": "RAS", "sha256": "0", "added": "",
}  # fmt: skip


def content(study):
    return json.loads((study.path / "study.json").read_text())


def put(study, found):
    (study.path / "study.json").write_text(json.dumps(found))


# ---- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("f8", -LARGEST), ("f8", LARGEST), ("f8", 1e160), ("f8", -1e200), ("f4", 3.4e38), ("i2", -32768)],
)
def test_absurd_values_are_summarised_without_overflow(dtype, value):
    array = np.full((4, 4, 4), 100, dtype)
    array[0] = value
    facts = intensity_facts(array)
    assert all(map(math.isfinite, (facts.minimum, facts.maximum, facts.mean, facts.std)))
    assert facts.mean == pytest.approx(np.float64(value) / 4 + 75, rel=1e-6)
    assert facts.std > 0


@given(st.lists(st.floats(), min_size=1, max_size=20))
def test_facts_of_any_values_survive_the_study_file(values):
    facts = intensity_facts(np.array(values))
    case = CaseRecord.model_validate({**CASE, "intensity": facts})
    assert CaseRecord.model_validate_json(case.model_dump_json()) == case


def test_a_scan_with_a_background_of_minus_the_largest_number_closes_no_study(study, write_nifti, tmp_path):
    voxels = np.full((6, 6, 6), 100.0)
    voxels[:2] = -LARGEST
    importing.add_scan(study, write_nifti(tmp_path / "a.nii.gz", voxels))
    study.close()
    with Study.open(study.path) as again:
        assert again.oddities == ()
        assert again.cases[0].intensity.minimum == -LARGEST


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("field", ["minimum", "maximum", "mean", "std"])
def test_the_schema_refuses_what_is_not_finite(field, value):
    with pytest.raises(ValueError, match="finite"):
        IntensityFacts(**{**dict.fromkeys(("minimum", "maximum", "mean", "std"), 0.0), field: value})


# ---- records ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [("intensity", {"minimum": None, "maximum": 1, "mean": 1, "std": None}), ("known_fraction", None),
     ("volumes_ml", {"left atrium": None}), ("notes", 3), ("status", "half"), ("label_voxels", {"x": 1}),
     ("shape", "3x3"), ("spacing", [1, None, 1]), ("sha256", None), ("name", 7), ("orientation", None)],
)  # fmt: skip
@pytest.mark.parametrize("backup", [True, False])
def test_a_record_with_one_bad_entry_keeps_its_case_and_its_labels(study, make_scan, field, value, backup):
    for name in "abc":
        case = importing.add_scan(study, make_scan(name))
        study.save_annotation(case.id, Annotation.full(np.ones(case.shape, np.uint8)), "complete")
    study.close()
    found = content(study)
    found["cases"][1][field] = value
    put(study, found)
    if not backup:
        (study.path / "study.json.bak").unlink()
    with Study.open(study.path, read_only=False) as again:
        assert [case.id for case in again.cases] == ["a", "b", "c"]
        assert field in again.oddities[0] and "case b" in again.oddities[0]
        assert again.case("b").shape == again.case("a").shape
        assert again.case("b").status == "complete"
        assert again.annotation("b").labels.all()
    assert Study.open(study.path, read_only=True).oddities == ()
    assert content(study)["cases"][1][field] != value


@pytest.mark.parametrize(
    "raw", [None, 3, "text", [], {}, {"id": "../x"}, {**CASE, "id": None}, {**CASE, "shape": [0, 1, 1]},
            {**CASE, "id": "A"}, {**CASE, "scan": None}],
)  # fmt: skip
def test_a_record_that_cannot_be_read_is_set_aside_and_the_rest_opens(study, make_scan, raw):
    importing.add_scan(study, make_scan("a"))
    study.close()
    found = content(study)
    found["cases"] = [*found["cases"], raw, {**CASE, "id": "c"}]
    put(study, found)
    with Study.open(study.path, read_only=False) as again:
        assert [case.id for case in again.cases] == ["a", "c"]
        assert len(again.oddities) == 1 and "set aside" in again.oddities[0]
        assert "validation error" not in again.oddities[0]
        again.add_structure("vein")
    after = content(study)
    assert after["set_aside"] == [raw]
    assert json.loads((study.path / "study.json.damaged").read_text()) == found
    with Study.open(study.path) as third:
        assert third.oddities == () and len(third.cases) == 2


@pytest.mark.parametrize(
    ("raw", "name"),
    [({"value": 2, "name": "y" * 201}, "structure 2"), ({"value": 2, "name": ""}, "structure 2"),
     ({"value": 2, "name": "left atrium"}, "structure 2"),
     ({"value": 2, "name": "vein", "color": "red"}, "vein"),
     ({"value": 300, "name": "vein"}, None), ({"value": 1, "name": "vein"}, None), (None, None)],
)  # fmt: skip
def test_a_bad_structure_closes_no_study(study, raw, name):
    study.close()
    found = content(study)
    found["structures"].append(raw)
    put(study, found)
    with Study.open(study.path) as again:
        assert [s.name for s in again.structures] == ["left atrium", *([] if name is None else [name])]


def test_other_bad_entries_are_left_out(study):
    study.close()
    put(study, {**content(study), "active_run": "../x", "retired": 3, "name": None, "revision": "x"})
    with Study.open(study.path) as again:
        assert again.active_run is None and again.name == "study"
        assert len(again.oddities) == 4


# ---- the backup ---------------------------------------------------------------------------------


def test_the_backup_is_always_a_sound_and_older_state(study, make_scan):
    folder, before = study.path, content(study)
    for step in range(12):
        if step % 3 == 0:
            importing.add_scan(study, make_scan(f"scan-{step}"))
        elif step % 3 == 1:
            study.add_structure(f"structure {step}")
        else:
            study.change_structure(1, name=f"atrium {step}")
        backup = json.loads((folder / "study.json.bak").read_text())
        StudyRecord.model_validate(backup)
        assert backup == before
        before = content(study)


def test_what_was_found_bad_never_becomes_the_backup(study):
    study.add_structure("vein")
    sound = (study.path / "study.json.bak").read_bytes()
    (study.path / "study.json").write_bytes(b"overwritten by another program")
    study.add_structure("aorta")
    assert (study.path / "study.json.bak").read_bytes() == sound
    assert (study.path / "study.json.damaged").read_bytes() == b"overwritten by another program"
    assert len(content(study)["structures"]) == 3


@pytest.mark.parametrize("damage", [b"", b"\0" * 4000, b"{"])
def test_with_the_journal_the_backup_is_as_new_as_the_file_was(study, make_scan, damage):
    cases = [importing.add_scan(study, make_scan(name)) for name in "abc"]
    study.add_structure("vein")
    study.remove_case("b")
    study.save_annotation("c", Annotation.full(np.ones(cases[0].shape, np.uint8)), "complete")
    study.close()
    (study.path / "study.json").write_bytes(damage)
    with Study.open(study.path) as again:
        assert "backup" in again.oddities[0]
        assert again.record == study.record


def test_an_old_study_file_that_is_put_back_stays_what_it_is(study):
    old = (study.path / "study.json").read_bytes()
    study.add_structure("vein")
    study.close()
    (study.path / "study.json").write_bytes(old)
    with Study.open(study.path) as again:
        assert [structure.name for structure in again.structures] == ["left atrium"]


# ---- many cases ---------------------------------------------------------------------------------


def test_adding_many_cases_writes_little_more_than_they_are(study, monkeypatch):
    written, replace = [], StudyFile._replace
    monkeypatch.setattr(
        StudyFile, "_replace", lambda file, record: written.append(len(record.cases)) or replace(file, record)
    )
    for number in range(600):
        study.replace_case(CaseRecord.model_validate({**CASE, "id": f"case-{number:04d}"}))
    assert sum(written) < 12 * 600  # whole writes for each would be 180,300 records
    crashed = StudyFile(study.path).read().record
    assert crashed.cases == study.cases
    study.close()
    assert len(content(study)["cases"]) == 600


def test_a_torn_line_of_the_journal_costs_that_line(study):
    for number in range(40):
        study.replace_case(CaseRecord.model_validate({**CASE, "id": f"case-{number:04d}"}))
    path = study.path / "study.journal.jsonl"
    assert path.read_bytes().rstrip().splitlines()[-1].startswith(b'{"case"')
    path.write_bytes(path.read_bytes()[:-20])
    study.replace_case(CaseRecord.model_validate({**CASE, "id": "later"}))
    found = [case.id for case in StudyFile(study.path).read().record.cases]
    assert found[-1] == "later" and len(found) >= 40


def test_opening_a_closed_study_reads_no_annotation_and_one_record(study, make_scan, monkeypatch):
    from napari_dycon.study.store import annotation_store, studyfile

    for name in "abc":
        case = importing.add_scan(study, make_scan(name))
        study.save_annotation(case.id, Annotation.full(np.ones(case.shape, np.uint8)), "complete")
    study.close()
    read, opened = [], annotation_store.AnnotationStore.version
    monkeypatch.setattr(
        annotation_store.AnnotationStore, "version", lambda *args: read.append(args) or opened(*args)
    )
    strictly = studyfile._strictly
    monkeypatch.setattr(studyfile, "_strictly", lambda *args: read.append("record") or strictly(*args))
    Study.open(study.path, read_only=False).close()
    assert read == ["record"]
    (study.path / "annotations" / "b.json").touch()
    (study.path / "annotations" / "b.json").write_text("{}")
    with Study.open(study.path, read_only=False) as again:
        assert "b was damaged" in again.oddities[0]


# ---- structures ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"),
    [("y" * 201, "up to 200 letters; this one has 201"), ("", "needs a name"), ("  \t", "needs a name"),
     ("\u200b", "needs a name"), ("a\nb", "line breaks"), ("a\0", "cannot be shown"),
     ("a\ud800", "cannot be shown")],
)  # fmt: skip
def test_a_name_that_cannot_be_is_refused_with_a_sentence(study, name, said):
    for change in (
        lambda: study.add_structure(name),
        lambda: study.change_structure(1, name=name),
        lambda: new_structure(1, name),
    ):
        with pytest.raises(StudyError, match=said) as refused:
            change()
        assert "validation" not in str(refused.value)
    assert [structure.name for structure in study.structures] == ["left atrium"]


@pytest.mark.parametrize("name", ["y" * 200, "心房", "Vorhof, links (Ä)", "a/b\\c:d"])
def test_a_name_that_can_be_comes_back(study, name):
    study.add_structure(f" {name} ")
    study.close()
    with Study.open(study.path) as again:
        assert again.structures[1].name == name


@pytest.mark.parametrize("how", ["remove", "merge"])
def test_a_value_that_was_given_up_is_never_given_again(study, how):
    study.add_structure("spleen")
    study.remove_structure(2) if how == "remove" else study.merge_structures(2, into=1)
    with pytest.raises(StudyError, match=r"value 2 was that of “spleen”, which is gone.*next free one is 3"):
        study.add_structure("kidney", value=2)
    assert study.add_structure("kidney").value == 3
    study.remove_structure(3)
    study.close()
    (study.path / "history" / "structures.json").unlink()
    with Study.open(study.path, read_only=False) as again:
        assert again.add_structure("vein").value == 4


def test_values_given_up_in_an_older_version_count_too(study):
    study.add_structure("spleen")
    study.remove_structure(2)
    study.close()
    found = content(study)
    del found["retired"]
    put(study, found)
    with Study.open(study.path, read_only=False) as again:
        assert again.add_structure("kidney").value == 3
    assert content(study)["retired"] == {"2": "spleen"}


def test_when_all_values_were_given_that_is_said(study):
    for value in range(2, 256):
        study.set_structures((*study.structures, Structure(value=value, name=f"s{value}")))
    study.set_structures(study.structures[:1])
    with pytest.raises(StudyError, match="All 255 label values"):
        study.add_structure("one more")
