"""Several readers on the command line."""

import json

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.cli import main
from napari_dycon.study.study import Study

SHAPE = (12, 10, 8)


def save(path, voxels):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, np.diag([1.0, 1.0, 2.0, 1.0])), path)


@pytest.fixture
def folders(tmp_path):
    """Two scans, and labels of three readers: C drew the first scan alone."""
    rng = np.random.default_rng(0)
    for number in (1, 2):
        save(tmp_path / "images" / f"s{number}.nii.gz", rng.integers(0, 99, SHAPE).astype(np.int16))
        for reader, start in (("a", 2), ("b", 3), ("c", 2)):
            labels = np.zeros(SHAPE, np.uint8)
            labels[start : start + 5, 2:6, 2:5] = 1
            if reader != "c" or number == 1:
                save(tmp_path / reader / f"s{number}.nii.gz", labels)
    return tmp_path


@pytest.fixture
def study(folders, capsys):
    path = folders / "study"
    assert main(["new", str(path), "--structure", "1:organ"]) == 0
    assert main(["import", str(path), str(folders / "images"), "--labels", str(folders / "a")]) == 0
    for reader in ("b", "c"):
        said = ["reader", str(path), "--name", reader.upper(), "--labels", str(folders / reader)]
        assert main(said) == 0
    assert "C has labels of 1 of 2 scans. Draw with: dycon launch" in capsys.readouterr().out
    return path


def test_readers_are_compared_and_their_consensus_is_taken(study, folders, capsys):
    result = folders / "agreement.json"
    assert main(["agreement", str(study), "--json", str(result)]) == 0
    assert "first reader / B" in capsys.readouterr().out
    rows = json.loads(result.read_text())["rows"]
    assert {(row["case"], row["first"], row["second"]) for row in rows} == {
        ("s1", "first reader", "B"),
        ("s1", "first reader", "C"),
        ("s1", "B", "C"),
        ("s2", "first reader", "B"),
    }
    assert {row["dice"] for row in rows} == {1.0, 0.8}
    assert main(["consensus", str(study), "--json", str(result)]) == 0
    assert "2 cases hold the consensus of their readers now." in capsys.readouterr().out
    cases = {row["case"]: row for row in json.loads(result.read_text())["cases"]}
    assert cases["s1"]["readers"] == ["first reader", "B", "C"]
    assert (cases["s1"]["open"], cases["s2"]["decided"]) == (0, 0)
    with Study.open(study, read_only=True) as opened:
        assert opened.case("s1").volumes_ml == {"organ": pytest.approx(5 * 4 * 3 * 0.002)}
        assert opened.case("s2").status == "partial"


def test_what_cannot_be_is_said_in_a_line(study, capsys):
    for arguments, text in (
        (["consensus", str(study), "--rule", "dice"], "no rule 'dice'; there are agreed, majority, staple"),
        (["reader", str(study), "--name", " "], "needs a name or initials"),
        (["reader", str(study / "readers" / "B"), "--name", "D"], "is the study of B"),
        (["agreement", str(study / "readers" / "B")], "No case was drawn by two readers"),
        (["consensus", str(study / "readers" / "B")], "no case was drawn by two readers"),
    ):
        assert main(arguments) == 1
        assert text in capsys.readouterr().err
