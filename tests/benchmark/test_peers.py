"""nnU-Net beside the benchmark: its data set, its masks and its rows, with a stand-in for its programs."""

import importlib.util
import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.benchmark.protocol import Protocol, split_scans
from napari_dycon.benchmark.rows import load_rows

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "peers.py"
AFFINE = np.diag([1.5, 1.5, 8.0, 1.0])


@pytest.fixture(scope="module")
def peers():
    spec = importlib.util.spec_from_file_location("peers", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["peers"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["peers"]


@pytest.fixture
def scans(tmp_path):
    """Five scans; the structures have the values 2 and 7, of which nnU-Net wants 1 and 2."""
    rng = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for number in range(5):
        label = np.zeros((12, 14, 6), np.uint8)
        label[2:6, 3:9, 1:4], label[7:10, 3 : 6 + number, 2:5] = 2, 7
        image = rng.normal(100, 5, label.shape).astype(np.float32) + 20 * label
        for folder, array in (("images", image), ("labels", label)):
            nib.save(nib.Nifti1Image(array, AFFINE), tmp_path / folder / f"heart_{number}.nii.gz")
    return tmp_path


class StandIn:
    """Answers for nnU-Net: the masks of the test scans are given, and every call is counted."""

    def __init__(self, truth: Path) -> None:
        self.truth = truth
        self.calls: list[str] = []

    def run(self, home, command, model=""):
        text = [str(part) for part in command]
        kind = next((kind for kind in ("train", "predict") if kind in text), "prepare")
        self.calls.append(kind)
        if kind == "train":
            self._report(text, model=str(home.folder), iterations=6, seconds=60.5, peak_memory_mb=100.0)
        if kind == "predict":
            self._predict(Path(text[4]), Path(text[5]))
            self._report(text, seconds=3.0)

    def _report(self, text, **content):
        Path(text[text.index("--report") + 1]).write_text(json.dumps(content))

    def _predict(self, scans, masks):
        masks.mkdir(parents=True, exist_ok=True)
        for scan in scans.iterdir():
            name = scan.name.removesuffix("_0000.nii.gz")
            truth = nib.load(self.truth / f"{name.split('_', 1)[1]}.nii.gz")
            theirs = np.array([0, 0, 1, 0, 0, 0, 0, 2], np.uint8)[np.asarray(truth.dataobj)]
            nib.save(nib.Nifti1Image(theirs, truth.affine), masks / f"{name}.nii.gz")


@pytest.fixture
def measure(peers, scans, monkeypatch):
    stand_in = StandIn(scans / "labels")
    monkeypatch.setattr(peers.Home, "run", lambda home, *a, **k: stand_in.run(home, *a, **k))
    monkeypatch.setattr(peers.Home, "program", lambda home, name: name)
    fixed = ["--images", scans / "images", "--labels", scans / "labels", "--labelled", 2, "--minutes", 1]
    fixed += ["--python", sys.executable, "--json", scans / "rows.json"]

    def call(*more):
        monkeypatch.setattr(sys, "argv", ["peers.py", *map(str, (*fixed, *more))])
        stand_in.calls.clear()
        peers.main()
        return list(load_rows(scans / "rows.json").values()), list(stand_in.calls)

    return call


def test_the_data_set_holds_the_labelled_scans_on_their_grid_with_values_without_a_gap(peers, scans, measure):
    measure()
    (folder,) = (scans / "rows.peers").glob(f"*/raw/{peers.DATA_SET}")
    assert sorted(path.name for path in (folder / "labelsTr").iterdir()) == [
        "0000_heart_0.nii.gz",
        "0001_heart_1.nii.gz",
    ]
    label = nib.load(folder / "labelsTr" / "0001_heart_1.nii.gz")
    truth = nib.load(scans / "labels" / "heart_1.nii.gz")
    image = nib.load(folder / "imagesTr" / "0001_heart_1_0000.nii.gz")
    assert np.array_equal(np.asarray(label.dataobj) == 1, np.asarray(truth.dataobj) == 2)
    assert np.array_equal(np.asarray(label.dataobj) == 2, np.asarray(truth.dataobj) == 7)
    assert np.array_equal(image.get_fdata(), nib.load(scans / "images" / "heart_1.nii.gz").get_fdata())
    for file in (label, image):
        assert np.allclose(file.affine, AFFINE) and np.allclose(file.get_qform(), AFFINE)
    assert [path.name for path in (folder / "imagesTs").iterdir()] == ["0000_heart_4_0000.nii.gz"]
    described = json.loads((folder / "dataset.json").read_text())
    assert described["labels"] == {"background": 0, "structure 2": 1, "structure 7": 2}


def test_a_row_stands_beside_those_of_the_benchmark_on_the_same_scans(scans, measure):
    (row,), calls = measure("--seeds", "3")
    assert calls == ["prepare", "train", "predict"]
    split = split_scans(Protocol(images=scans / "images", labels=scans / "labels", labelled=2, minutes=1))
    assert (row.method, row.seed, row.budget, row.device) == ("nnunetv2 3d_fullres", 3, "1 minutes", "cpu")
    assert row.data == split.fingerprint and row.labelled_scans == ("heart_0", "heart_1")
    assert (row.iterations, row.seconds) == (6, 60.5)
    assert row.mean_dice == 1 and {score.structure for score in row.cases} == {"structure 2", "structure 7"}


def test_what_was_completed_is_not_made_again(scans, measure):
    measure()
    rows, calls = measure()
    assert len(rows) == 1 and calls == []
    (scans / "rows.json").unlink()
    rows, calls = measure()
    assert len(rows) == 1 and calls == []
    rows, calls = measure("--no-mirroring")
    assert [row.variant for row in rows] == ["", "no-mirroring"] and calls == ["predict"]
    rows, calls = measure("--seeds", "0,1")
    assert len(rows) == 3 and calls == ["train", "predict"]


def test_patches_are_prepared_in_the_training_itself_unless_workers_are_asked_for(peers, tmp_path):
    home = peers.Home(Path(sys.executable), tmp_path, threads=2, workers=0)
    home.run([sys.executable, "-c", "import os; print(os.environ['nnUNet_n_proc_DA'])"])
    home.run([sys.executable, "-c", "import os; print(os.environ['nnUNet_n_proc_DA'])"], "a-model")
    assert (tmp_path / "log.txt").read_text().splitlines()[1::2] == ["2", "0"]


def test_a_program_that_fails_shows_the_end_of_what_it_said(peers, tmp_path):
    home = peers.Home(Path(sys.executable), tmp_path, threads=1, workers=0)
    with pytest.raises(SystemExit, match=r"no such plan(.|\n)*log\.txt"):
        home.run([sys.executable, "-c", "raise SystemExit('no such plan')"])
    with pytest.raises(SystemExit, match="pip install nnunetv2"):
        home.program("nnUNetv2_program_that_is_not_there")
