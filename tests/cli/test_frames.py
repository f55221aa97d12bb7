"""A 4D file on the command line: asked about, then taken apart."""

import json

import nibabel as nib
import numpy as np

from napari_dycon.cli import main


def test_what_the_volumes_are_is_said_by_an_option(tmp_path, capsys):
    voxels = np.random.default_rng(0).integers(0, 99, (6, 5, 4, 2)).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "cine.nii.gz")
    study, result = str(tmp_path / "study"), tmp_path / "cases.json"
    assert main(["new", study, "--structure", "1:organ"]) == 0
    command = ["import", study, str(tmp_path / "cine.nii.gz")]
    assert main(command) == 1
    assert "--frames cases" in capsys.readouterr().err
    assert main([*command, "--frames", "time"]) == 1
    assert "write cases or channels" in capsys.readouterr().err
    assert main([*command, "--frames", "cases", "--json", str(result)]) == 0
    names = [case["name"] for case in json.loads(result.read_text())["added"]]
    assert names == ["cine_t01", "cine_t02"]
    assert "Added 2 scans" in capsys.readouterr().out
