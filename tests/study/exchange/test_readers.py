import os

import numpy as np
import pytest

from napari_dycon.errors import StudyError
from napari_dycon.study.exchange import importing
from napari_dycon.study.exchange.readers import FIRST, Readings, make_consensus, open_reader, readers
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation, Known


def of_value(case, value, part=slice(2, 6)):
    labels = np.zeros(case.shape, np.uint8)
    labels[part, 2:6, 2:4] = value
    return Annotation.full(labels)


def readings(study, case_id):
    with Readings(study) as drawn:
        return drawn.of(case_id)


@pytest.fixture
def case(study, make_scan):
    return importing.add_scan(study, make_scan())


def test_a_further_reader_sees_the_scans_and_nobody_elses_labels(study, case, make_scan):
    study.save_annotation(case.id, of_value(case, 1), "complete")
    with open_reader(study, "Dr. Bö") as own:
        assert own.path.parent == study.path / "readers"
        assert own.reader == "Dr. Bö"
        (theirs,) = own.cases
        assert (theirs.id, theirs.status, theirs.volumes_ml) == (case.id, "unlabelled", {})
        assert not own.annotation(case.id).known.any()
        assert (own.volume(case.id).array == study.volume(case.id).array).all()
        assert not own.runs()
    later = importing.add_scan(study, make_scan("later"))
    study.add_structure("vein")
    with open_reader(study, "dr. bö") as own:
        assert [each.id for each in own.cases] == [case.id, later.id]
        assert [each.name for each in own.structures] == ["left atrium", "vein"]
    assert [reader.name for reader in readers(study)] == ["Dr. Bö"]


def test_scans_inside_the_study_are_found_from_the_readers_own_wherever_the_folder_goes(
    study, write_nifti, tmp_path
):
    scan = write_nifti(study.path / "images" / "a.nii.gz", np.ones((6, 5, 4), np.int16))
    record = importing.add_scan(study, scan)
    with open_reader(study, "B") as own:
        assert own.case(record.id).scan == "../../images/a.nii.gz"
        inside = own.path.relative_to(study.path)
    study.close()
    moved = study.path.rename(tmp_path / "elsewhere")
    with Study.open(moved / inside) as own:
        assert own.has_scan(record.id)
        assert own.scan_path(record.id) == moved / "images" / "a.nii.gz"


@pytest.mark.parametrize("text", ["../../../outside.nii.gz", "../../a/../../b.nii.gz", "../a.nii.gz"])
def test_a_readers_study_cannot_name_files_outside_the_study_around_it(study, case, text):
    with open_reader(study, "B") as own:
        own.replace_case(own.case(case.id).model_copy(update={"scan": text}))
        with pytest.raises(StudyError, match="not a safe path"):
            own.scan_path(case.id)


def test_two_people_draw_at_the_same_time(study, case):
    with open_reader(study, "B") as own:
        own.save_annotation(case.id, of_value(case, 1, slice(3, 7)), "complete")
        study.save_annotation(case.id, of_value(case, 1), "complete")
        with pytest.raises(StudyError, match="can only be read"):
            open_reader(study, "B")
    drawn = readings(study, case.id)
    assert list(drawn) == [FIRST, "B"]
    assert not (drawn["B"].labels == drawn[FIRST].labels).all()


def test_cleaning_up_after_a_crash_leaves_alone_what_a_reader_is_writing(study, case):
    with open_reader(study, "B") as own:
        half = own.path / "annotations" / ".dycon-tmp-half"
        half.parent.mkdir(exist_ok=True)
        half.write_bytes(b"x")
        study.close()
        (study.path / ".study.seen").unlink(missing_ok=True)
        with Study.open(study.path):
            assert half.exists()


def test_versions_say_who_drew(study, case):
    study.reader = "  A. B. "
    study.save_annotation(case.id, of_value(case, 1), "autosave")
    study.reader = "C"
    study.save_annotation(case.id, of_value(case, 1, slice(1, 3)), "complete")
    study.save_annotation(case.id, of_value(case, 1, slice(1, 4)), "import")
    newest, second, first = study.versions(case.id)
    assert (first.reader, first.readers) == ("A. B.", ("A. B.",))
    assert (second.reader, second.readers) == ("C", ("A. B.", "C"))
    assert (newest.reader, newest.readers) == ("", ("A. B.", "C"))
    assert list(readings(study, case.id)) == ["A. B. and C"]
    with pytest.raises(StudyError, match="no such reader"):
        study.reader = "x" * 65


def test_in_the_study_of_a_reader_every_version_is_theirs(study, case, make_labels):
    with open_reader(study, "B") as own:
        own.reader = "C"
        importing.add_labels(own, [(study.scan_path(case.id), make_labels())])
        list(importing.add_labels(own, [(study.scan_path(case.id), make_labels())]))
        assert own.versions(case.id)[0].reader == "B"


def test_structures_of_readers_are_matched_by_name(study, case):
    with open_reader(study, "B") as own:
        own.add_structure("vein", value=7)
        own.save_annotation(case.id, of_value(case, 7), "complete")
    study.set_structures((*study.structures, Structure(value=2, name="Vein")))
    assert set(np.unique(readings(study, case.id)["B"].labels)) == {0, 2}


def test_a_consensus_becomes_the_annotation_and_is_nobodys_reading(study, case, make_scan):
    importing.add_scan(study, make_scan("other"))
    study.reader = "A"
    study.save_annotation(case.id, of_value(case, 1), "complete")
    with open_reader(study, "B") as own:
        own.save_annotation(case.id, of_value(case, 1, slice(3, 7)), "complete")
    made, other = make_consensus(study)
    assert (made.readers, made.problem, made.decided) == (("A", "B"), "", 0.0)
    assert made.open == pytest.approx(2 * 4 * 2 / np.prod(case.shape))
    assert "fewer than two" in other.problem
    assert study.case(case.id).status == "partial"
    found = study.annotation(case.id)
    assert (found.labels[3:6, 2:6, 2:4] == 1).all()
    assert not found.known[2, 2:6, 2:4].any()
    found.labels[2, 2:6, 2:4] = 1
    found.known[2, 2:6, 2:4] = Known.DRAWN
    study.save_annotation(case.id, found, "complete")
    assert study.versions(case.id)[0].consensus == ("A", "B")
    drawn = readings(study, case.id)
    assert list(drawn) == ["A", "B"]
    assert (drawn["A"].labels == of_value(case, 1).labels).all()


def test_a_reader_has_no_further_readers(study, case):
    with open_reader(study, "B") as own, pytest.raises(StudyError, match="is the study of B"):
        open_reader(own, "C")
    with pytest.raises(StudyError, match="name or initials"):
        open_reader(study, "  ")


def test_scans_are_not_looked_for_in_the_studies_of_readers(study, case):
    with open_reader(study, "B") as own:
        own.save_annotation(case.id, of_value(case, 1), "complete")
    events = list(importing.add_scans(study, [study.path]))
    assert not [event for event in events if getattr(event, "case", None)], os.listdir(study.path)
