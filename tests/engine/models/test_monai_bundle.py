"""A model that leaves the house runs with MONAI alone and says what it is."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from napari_dycon.cli import main
from napari_dycon.engine.inference import predict
from napari_dycon.engine.models import monai_bundle
from napari_dycon.engine.models.model import read_model
from napari_dycon.engine.models.monai_bundle import export_model
from napari_dycon.errors import TrainingError
from tests.engine.conftest import TINY

ALONE = """
import runpy, sys
for name in ("napari_dycon", "scipy", "pydantic", "safetensors", "SimpleITK", "napari"):
    sys.modules[name] = None
script, sys.argv = sys.argv[1], sys.argv[1:]
runpy.run_path(script, run_name="__main__")
"""


def segment(bundle: Path, out: Path, scans: list[Path]) -> subprocess.CompletedProcess[str]:
    script = [str(bundle / "scripts" / "predict.py"), "--device", "cpu", "--out", str(out)]
    command = [sys.executable, "-W", "ignore", "-c", ALONE, *script, *map(str, scans)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=out.parent)


@pytest.mark.parametrize("method", ["supervised", "cps"])
def test_masks_are_those_of_the_program_without_it(make_study, train, tmp_path, method):
    study = make_study(cases=3)
    train(study, method, iterations=20)
    list(predict(study, study.active_run, device="cpu", threads=1))
    bundle, out = tmp_path / "model", tmp_path / "masks"
    export_model(study, bundle)
    scans = [study.scan_path(case.id) for case in study.cases]
    done = segment(bundle, out, scans)
    assert done.returncode == 0, done.stderr
    masks = [study.predictions.mask(study.active_run, case.id) for case in study.cases]
    assert all(mask.any() for mask in masks)
    for scan, mask in zip(scans, masks, strict=True):
        written = nib.load(out / scan.name)
        np.testing.assert_array_equal(np.asarray(written.dataobj), mask)
        np.testing.assert_array_equal(written.affine, nib.load(scan).affine)


@pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:DeprecationWarning")
def test_monai_finds_all_parts_in_the_configuration(make_study, train, tmp_path, monkeypatch):
    from monai.bundle import ConfigParser

    study = make_study(cases=2)
    train(study, iterations=2)
    export_model(study, tmp_path / "model")
    monkeypatch.syspath_prepend(tmp_path / "model")
    monkeypatch.chdir(tmp_path / "model")
    parser = ConfigParser()
    parser.read_config("configs/inference.json")
    parser.read_meta("configs/metadata.json")
    found = {name: parser.get_parsed_content(name) for name in ("network_def", "inferer", "postprocessing")}
    assert found["postprocessing"].values == [3, 7]
    data = parser.get_parsed_content("_meta_::network_data_format")
    side = data["inputs"]["image"]["spatial_shape"]
    scores = found["network_def"][0](torch.zeros(1, 1, *side))
    assert scores.shape == (1, data["outputs"]["pred"]["num_channels"], *side)
    assert torch.jit.load("models/model.ts")(torch.zeros(1, 1, *side)).shape == scores.shape
    monkeypatch.delitem(sys.modules, "scripts", raising=False)
    monkeypatch.delitem(sys.modules, "scripts.recipe", raising=False)


@pytest.mark.parametrize(
    "network",
    [
        {"kind": "vnet", "widths": (8, 16), "strides": ((2, 2, 2),)},
        {"kind": "segresnet", "widths": (8, 16), "strides": ((2, 2, 2),)},
    ],
    ids=lambda network: network["kind"],
)
def test_other_networks_leave_as_well(make_study, train, tmp_path, network):
    study = make_study(cases=2)
    train(study, "supervised", iterations=2, overrides={**TINY, "network": {**network, "projection": 16}})
    export_model(study, tmp_path / "model")
    plan = json.loads((tmp_path / "model" / "configs" / "dycon.json").read_text())["plan"]
    assert plan["network"]["kind"] == network["kind"]
    assert torch.export.load(tmp_path / "model" / "models" / "model.pt2")


def test_every_file_has_its_hash_and_none_names_a_case(make_study, train, tmp_path):
    study = make_study(cases=3)
    train(study, iterations=2)
    files = export_model(study, tmp_path / "model")
    assert {path for path in (tmp_path / "model").rglob("*") if path.is_file()} == set(files)
    sums = dict(
        reversed(line.split("  ")) for line in (tmp_path / "model" / "SHA256SUMS").read_text().splitlines()
    )
    assert len(sums) == len(files) - 1
    for name, digest in sums.items():
        content = (tmp_path / "model" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest
        for case in study.cases:
            assert case.id.encode() not in content
            assert str(study.path).encode() not in content


def test_the_card_tells_data_labels_quality_and_limits(make_study, train, tmp_path):
    study = make_study(cases=4, labelled=3)
    train(study, iterations=20)
    export_model(study, tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    for words in (
        "| 3 | organ |",
        "4 scans of 4 patients; labels of 3 scans",
        "| drawn or declared complete by a person, or imported | 100.0% |",
        "labels that training never saw",
        "Licence: *to be stated",
        "learned from labels of 3 scans: it may fail on others",
        "20 steps, 1 scans without labels",
    ):
        assert words in card
    assert "| organ | 0." in card.partition("## Quality")[2]


def test_what_is_there_is_not_replaced_unless_asked_for(make_study, train, tmp_path, capsys):
    study = make_study(cases=2)
    train(study, iterations=2)
    study.close()
    out = tmp_path / "model"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    assert main(["export-model", str(study.path), str(out)]) == 1
    assert "holds something else" in capsys.readouterr().err
    (out / "mine.txt").unlink()
    assert main(["export-model", str(study.path), str(out), "--json", str(tmp_path / "done.json")]) == 0
    assert str(out / "README.md") in json.loads((tmp_path / "done.json").read_text())["files"]
    assert main(["export-model", str(study.path), str(out)]) == 1
    assert "add --overwrite" in capsys.readouterr().err
    assert main(["export-model", str(study.path), str(out), "--overwrite"]) == 0
    assert not list(tmp_path.glob(".dycon-tmp-*"))


def test_a_study_without_a_model_says_so(make_study, tmp_path):
    with pytest.raises(TrainingError, match="no trained model yet"):
        export_model(make_study(cases=1), tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_what_onnx_takes_is_said_before_anything_is_written(make_study, tmp_path, monkeypatch):
    monkeypatch.setattr(monai_bundle, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(TrainingError, match=r"takes onnxscript, .*napari-dycon\[onnx\]"):
        export_model(make_study(cases=1), tmp_path / "model", onnx=True)
    assert not (tmp_path / "model").exists()


def test_onnx_gives_the_scores_of_the_network(make_study, train, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    study = make_study(cases=1)
    train(study, "supervised", iterations=2)
    export_model(study, tmp_path / "model", onnx=True)
    path = tmp_path / "model" / "models" / "model.onnx"
    assert "models/model.onnx" in (tmp_path / "model" / "SHA256SUMS").read_text()
    network = read_model(study.path).method().deciders()[0].eval()
    window = torch.randn(1, 1, *TINY["patch_size"])
    with torch.no_grad():
        expected = network(window).logits.numpy()
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"image": window.numpy()})[0], expected, atol=1e-4)
