"""Labels of one exam on the scan of another one, on the command line."""

import json

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.cli import main
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Known
from tests.two_exams import dice, earlier, later


def save(path, voxels, geometry):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, geometry.affine), path)


@pytest.fixture(scope="module")
def exams():
    return earlier(), later()


@pytest.fixture
def study(tmp_path, exams, capsys):
    """One patient with two exams, the first of them labelled, and another patient."""
    (before, labels), (after, _) = exams
    for name, volume in (("sub-1/t0", before), ("sub-1/t1", after), ("sub-2/other", after)):
        array = volume.array + (100 if "2" in name else 0)
        save(tmp_path / "images" / f"{name}.nii.gz", array, volume.geometry)
    save(tmp_path / "labels" / "sub-1" / "t0.nii.gz", labels, before.geometry)
    path = tmp_path / "study"
    assert main(["new", str(path), "--structure", "1:organ"]) == 0
    command = ["import", str(path), str(tmp_path / "images"), "--labels", str(tmp_path / "labels")]
    assert main(command) == 0
    capsys.readouterr()
    return path


def test_labels_come_and_how_well_the_scans_fit_is_told(study, exams, tmp_path, capsys):
    truth = exams[1][1]
    with Study.open(study) as opened:
        drawn = opened.annotation("t1")
        drawn.labels[:, :, 0], drawn.known[:, :, 0] = 1, Known.DRAWN
        opened.save_annotation("t1", drawn, "autosave")
    result = tmp_path / "carried.json"
    assert main(["carry", str(study), "--from", "t0", "--to", "t1", "--json", str(result)]) == 0
    said = json.loads(result.read_text())
    assert said["similarity_after"] > 2 * said["similarity_before"] > 0
    assert said["voxels"] > 0
    assert "similarity" in capsys.readouterr().out
    with Study.open(study, read_only=True) as opened:
        now = opened.annotation("t1")
        latest, *_ = opened.versions("t1")
    assert (now.known[:, :, 0] == Known.DRAWN).all() and (now.labels[:, :, 0] == 1).all()
    assert set(np.unique(now.known[:, :, 1:])) <= {Known.UNKNOWN, Known.INTERPOLATED}
    assert dice(now.labels[:, :, 1:] > 0, truth[:, :, 1:] > 0) > 0.85
    assert (latest.reason, latest.names) == ("carry", ("Labels of t0",))


@pytest.mark.parametrize(
    ("source", "target", "sentence"),
    [
        ("t0", "other", "different patients"),
        ("t0", "t0", "one and the same case"),
        ("t1", "t0", "No structure is labelled"),
        ("t0", "t9", "no case 't9'"),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(study, source, target, sentence, capsys):
    assert main(["carry", str(study), "--from", source, "--to", target]) == 1
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1
    with Study.open(study, read_only=True) as opened:
        assert [case.status for case in opened.cases] == ["complete", "unlabelled", "unlabelled"]
