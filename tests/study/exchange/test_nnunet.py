import json

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.errors import StudyError
from napari_dycon.study.exchange import importing
from napari_dycon.study.exchange.nnunet import export_dataset
from napari_dycon.study.truth.annotations import Annotation, Known


@pytest.fixture
def labelled(study, make_scan):
    """Seven scans of four patients, six of them with labels; of the first only a slice is known."""
    study.add_structure("vein", value=7)
    for number in range(7):
        case = importing.add_scan(study, make_scan(f"s{number}"))
        study.replace_case(study.case(case.id).model_copy(update={"patient": f"p{number // 2}"}))
        labels = np.zeros(case.shape, np.uint8)
        labels[2:5, 2:5, 1:3], labels[6:8, 2:5, 1:3] = 1, 7
        annotation = Annotation.full(labels)
        if number == 0:
            annotation.known[:, :, 2:] = Known.UNKNOWN
            annotation.known[0] = Known.IGNORE
        if number < 6:
            study.save_annotation(case.id, annotation, "complete")
    return study


def test_images_and_labels_lie_on_one_grid_and_what_nobody_said_is_ignored(labelled, tmp_path):
    out = tmp_path / "Dataset101_Heart"
    events = list(export_dataset(labelled, out))
    assert [event.problem for event in events] == [""] * 6
    assert (events[-1].done, events[-1].total) == (6, 6)
    assert sorted(path.name for path in (out / "labelsTr").iterdir()) == [f"s{n}.nii.gz" for n in range(6)]
    image, mask = nib.load(out / "imagesTr" / "s0_0000.nii.gz"), nib.load(out / "labelsTr" / "s0.nii.gz")
    assert (image.affine == mask.affine).all() and image.shape == mask.shape
    assert (np.asarray(image.dataobj) == labelled.volume("s0").array).all()
    found, truth = np.asarray(mask.dataobj), labelled.annotation("s0")
    silent = np.isin(truth.known, (Known.UNKNOWN, Known.IGNORE))
    assert (found[silent] == 3).all()
    assert (found[~silent] == np.select([truth.labels == 1, truth.labels == 7], [1, 2], 0)[~silent]).all()
    described = json.loads((out / "dataset.json").read_text())
    assert described["labels"] == {"background": 0, "left atrium": 1, "vein": 2, "ignore": 3}
    assert (described["channel_names"], described["numTraining"]) == ({"0": "image"}, 6)


def test_no_patient_stands_on_both_sides_of_a_split(labelled, tmp_path):
    out = tmp_path / "Dataset101_Heart"
    list(export_dataset(labelled, out))
    splits = json.loads((out / "splits_final.json").read_text())
    assert len(splits) == 3
    assert sorted(name for split in splits for name in split["val"]) == [f"s{number}" for number in range(6)]
    patient = {case.id: case.patient for case in labelled.cases}
    for split in splits:
        sides = [{patient[name] for name in split[side]} for side in ("train", "val")]
        assert not sides[0] & sides[1] and all(sides)


def test_a_case_that_cannot_be_written_is_named_and_nothing_of_it_stays(labelled, tmp_path):
    labelled.scan_path("s1").unlink()
    out = tmp_path / "Dataset101_Heart"
    problems = {event.case: event.problem for event in export_dataset(labelled, out) if event.problem}
    assert list(problems) == ["s1"]
    assert not list(out.rglob("s1*"))
    assert json.loads((out / "dataset.json").read_text())["numTraining"] == 5


def test_names_can_be_left_out(labelled, tmp_path):
    out = tmp_path / "Dataset101_Heart"
    list(export_dataset(labelled, out, without_names=True))
    assert all(path.name.startswith("case-") for path in (out / "labelsTr").iterdir())
    assert "s1" not in (out / "splits_final.json").read_text()


def test_an_export_that_is_given_up_leaves_nothing(labelled, tmp_path):
    events = export_dataset(labelled, tmp_path / "out" / "Dataset101_Heart")
    next(events)
    events.close()
    assert not list((tmp_path / "out").iterdir())


def test_a_folder_that_cannot_be_is_refused(labelled, study, tmp_path):
    with pytest.raises(StudyError, match="called like Dataset101_Heart, not heart"):
        list(export_dataset(labelled, tmp_path / "heart"))
    (tmp_path / "Dataset101_Heart").mkdir()
    with pytest.raises(StudyError, match="is there already"):
        list(export_dataset(labelled, tmp_path / "Dataset101_Heart"))


def test_a_study_without_labels_makes_no_data_set(study, make_scan, tmp_path):
    importing.add_scan(study, make_scan())
    with pytest.raises(StudyError, match="no case has labels"):
        list(export_dataset(study, tmp_path / "Dataset101_Heart"))
    assert not (tmp_path / "Dataset101_Heart").exists()
