"""The benchmark on small scans of different sizes with two structures, through the command itself."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.benchmark import Benchmark
from napari_dycon.benchmark.protocol import Protocol, split_scans, spread_slices
from napari_dycon.benchmark.recipe import Split, figures, recipes
from napari_dycon.cli import main
from napari_dycon.engine.control import Control
from napari_dycon.engine.events import RunFinished, RunStarted, StepFinished
from napari_dycon.errors import DyconError, VolumeError
from napari_dycon.io.volumes import read_geometry
from tests.benchmark.recipes import downloads

SMALL = ["--override", "patch_size=[32,32,32]", "--override", 'network={"widths":[8,16],"strides":[[2,2,2]]}']
ROW_KEYS = {
    "method",
    "seed",
    "labelled",
    "slices",
    "iterations",
    "seconds",
    "iterations_per_second",
    "peak_memory_mb",
    "mean_dice",
    "mean_jaccard",
    "mean_hd95_mm",
    "mean_asd_mm",
    "missed",
    "cases",
}


def write_scan(folder: Path, name: str, number: int, *, with_label: bool = True) -> None:
    """A bright ellipsoid in two halves, 35 x 50 x 35 voxels give or take a few."""
    rng = np.random.default_rng(number)
    shape = (35 + number % 3, 50 - number % 4, 35 + number % 2)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")).astype(float)
    centre = np.array(shape) / 2 + rng.uniform(-2, 2, 3)
    radius = ((grid - centre[:, None, None, None]) / np.array([9.0, 15.0, 8.0])[:, None, None, None]) ** 2
    label = (radius.sum(axis=0) < 1).astype(np.uint8)
    label[(label > 0) & (grid[1] > centre[1])] = 2
    image = rng.normal(100, 12, shape) + 60 * (label == 1) + 100 * (label == 2)
    for sub, array in (("images", image.astype(np.int16)), ("labels", label)):
        if sub == "images" or with_label:
            (folder / sub).mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(array, np.eye(4)), folder / sub / f"{name}.nii.gz")


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("organ")
    for number in range(6):
        write_scan(folder, f"organ_{number:03d}", number)
    return folder


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small scans gain nothing from more, and a busy machine loses much."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@dataclass
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def dycon(*arguments: object) -> Done:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main([str(argument) for argument in arguments])
    return Done(status, out.getvalue(), err.getvalue())


def benchmark(scans: Path, out: Path, *more: object) -> Done:
    return dycon(
        *("benchmark", "--images", scans / "images", "--labels", scans / "labels", "--json", out),
        *("--labelled", 2, "--iterations", 4, "--device", "cpu", *SMALL, *more),
    )


def test_two_structures_of_odd_sizes_run_unchanged_and_finished_rows_are_kept(scans, tmp_path):
    out = tmp_path / "result.json"
    first = benchmark(scans, out, "--methods", "supervised", "--seeds", "0")
    assert first.returncode == 0, first.stderr
    content = out.read_bytes()
    row = json.loads(content)["rows"][0]
    assert row.keys() >= ROW_KEYS
    assert (row["method"], row["seed"], row["labelled"], row["slices"]) == ("supervised", 0, 2, None)
    assert row["iterations"] == 4
    assert {(case["case"], case["structure"]) for case in row["cases"]} == {
        ("organ_005", "structure 1"),
        ("organ_005", "structure 2"),
    }
    assert 0 <= row["mean_dice"] <= 1
    assert row["seconds"] > 0 and row["peak_memory_mb"] > 50
    assert "supervised" in first.stdout and "Dice" in first.stdout
    assert not (tmp_path / "result.work").exists()

    again = benchmark(scans, out, "--methods", "supervised", "--seeds", "0")
    assert again.returncode == 0, again.stderr
    assert out.read_bytes() == content
    assert "(kept)" in again.stdout

    more = benchmark(scans, out, "--methods", "supervised,dycon", "--seeds", "0", "--slices", "3")
    assert more.returncode == 0, more.stderr
    rows = json.loads(out.read_text())["rows"]
    assert rows[0] == row
    assert [(r["method"], r["slices"]) for r in rows] == [
        ("supervised", None),
        ("supervised", 3),
        ("dycon", 3),
    ]


def test_labels_of_unlabelled_scans_are_not_even_opened(scans, tmp_path):
    folder = tmp_path / "copy"
    for number in range(6):
        write_scan(folder, f"organ_{number:03d}", number)
    for number in (2, 3, 4):
        (folder / "labels" / f"organ_{number:03d}.nii.gz").write_bytes(b"not a label map at all")
    clean, garbage = tmp_path / "clean.json", tmp_path / "garbage.json"
    for source, out in ((scans, clean), (folder, garbage)):
        done = benchmark(source, out, "--methods", "dycon")
        assert done.returncode == 0, done.stderr
    first, second = (json.loads(out.read_text())["rows"][0] for out in (clean, garbage))
    assert first["cases"] == second["cases"]


def test_an_unknown_method_and_an_unknown_setting_are_named(scans, tmp_path):
    out = tmp_path / "result.json"
    wrong = benchmark(scans, out, "--methods", "magic")
    assert wrong.returncode == 1
    assert len(wrong.stderr.splitlines()) == 1 and "magic" in wrong.stderr
    wrong = benchmark(scans, out, "--methods", "dycon", "--override", "no_such_thing=3")
    assert wrong.returncode == 1
    assert len(wrong.stderr.splitlines()) == 1 and "no_such_thing" in wrong.stderr


def protocol(folder: Path, **changes) -> Protocol:
    values = {"images": folder / "images", "labels": folder / "labels", "labelled": 2, "iterations": 10}
    return Protocol(**(values | changes))


def test_an_interrupted_row_goes_on_where_it_was(scans, tmp_path):
    overrides = {"patch_size": [32, 32, 32], "network": {"widths": [8, 16], "strides": [[2, 2, 2]]}}
    wanted = protocol(scans, methods=("supervised",), device="cpu", iterations=6, overrides=overrides)
    brake, out = Control(), tmp_path / "result.json"
    for event in Benchmark(wanted, tmp_path / "work", out, control=brake).run():
        if isinstance(event, StepFinished) and event.iteration == 3:
            brake.stop()
        if isinstance(event, RunFinished):
            first = event
    assert (first.reason, first.iteration) == ("stopped", 3)
    assert not out.exists()
    events = list(Benchmark(wanted, tmp_path / "work", out).run())
    started = next(event for event in events if isinstance(event, RunStarted))
    assert started.run == first.run
    assert [event.iteration for event in events if isinstance(event, StepFinished)] == [4, 5, 6]
    assert json.loads(out.read_text())["rows"][0]["iterations"] == 6


def test_variants_are_rows_of_their_own_beside_those_of_the_method_as_it_is(scans, tmp_path):
    out = tmp_path / "result.json"
    assert benchmark(scans, out, "--methods", "dycon").returncode == 0
    content = json.loads(out.read_text())
    assert content["rows"][0].pop("variant") == ""
    assert content["rows"][0].pop("variant_settings") == {}
    assert content["rows"][0].pop("test_seconds") > 0
    out.write_text(json.dumps(content))  # as a version without variants wrote it

    wanted = ("--methods", "supervised,dycon", "--variants", "with-fecl,without-late-start")
    first = benchmark(scans, out, *wanted)
    assert first.returncode == 0, first.stderr
    rows = json.loads(out.read_text())["rows"]
    assert [(row["method"], row["variant"], row["variant_settings"]) for row in rows] == [
        ("dycon", "", {}),
        ("supervised", "", {}),
        ("dycon", "with-fecl", {"fecl_weight": 0.1}),
        ("dycon", "without-late-start", {"start": 0.0}),
    ]
    assert all(row["overrides"] == rows[0]["overrides"] for row in rows)
    assert len({row["mean_dice"] for row in rows if row["method"] == "dycon"}) > 1
    assert "dycon with-fecl" in first.stdout and "(kept)" not in first.stdout

    content = out.read_bytes()
    for again in (wanted, ("--methods", "dycon")):
        kept = benchmark(scans, out, *again)
        assert kept.returncode == 0, kept.stderr
        assert kept.stdout.count("(kept)") == (3 if again == wanted else 1)
        assert out.read_bytes() == content


def test_a_variant_that_is_not_there_is_named_before_any_work(scans, tmp_path):
    wrong = benchmark(scans, tmp_path / "result.json", "--variants", "without-everything")
    assert wrong.returncode == 1
    assert len(wrong.stderr.splitlines()) == 1 and "without-everything" in wrong.stderr
    assert not (tmp_path / "result.work").exists()


def test_settings_asked_for_by_hand_hold_in_every_variant(scans, tmp_path):
    overrides = {"patch_size": [32, 32, 32], "network": {"widths": [8, 16], "strides": [[2, 2, 2]]}}
    overrides["method_settings"] = {"gamma": 1.0, "pseudo_weight": 0.3}
    wanted = protocol(scans, methods=("dycon",), variants=("without-pseudo-labels",), iterations=1)
    wanted = wanted.model_copy(update={"overrides": overrides, "device": "cpu"})
    events = list(Benchmark(wanted, tmp_path / "work").run())
    plan = next(event for event in events if isinstance(event, RunStarted)).plan
    assert plan["method_settings"] == {"gamma": 1.0, "pseudo_weight": 0.0}
    assert plan["patch_size"] == [32, 32, 32]


def test_the_last_fifth_is_tested_on_and_never_trained_on(scans):
    split = split_scans(protocol(scans))
    assert [pair.name for pair in split.labelled] == ["organ_000", "organ_001"]
    assert [pair.name for pair in split.unlabelled] == ["organ_002", "organ_003", "organ_004"]
    assert [pair.name for pair in split.test] == ["organ_005"]


@pytest.mark.parametrize(
    ("names", "tested"),
    [
        (["patient001_ED", "patient001_ES", "patient002_ED", "patient002_ES", "x3"], ["x3"]),
        (["a0", "a1", "patient001_ED", "patient002_ED", "patient002_ES"], ["patient002_ED", "patient002_ES"]),
        (
            ["LA_001_post", "LA_001_pre", "LA_002_pre", "LA_003_post", "LA_003_pre"],
            ["LA_003_post", "LA_003_pre"],
        ),
        (["sub-01_T1w", "sub-02_T1w", "sub-02_T2w"], ["sub-02_T1w", "sub-02_T2w"]),
        (["sub-01_T1w", "sub-01_T2w"], ["sub-01_T2w"]),
        (["LA_001", "LA_002", "LA_003"], ["LA_003"]),
    ],
)
def test_two_scans_of_a_patient_are_never_trained_and_tested_on(tmp_path, names, tested):
    for number, name in enumerate(names):
        write_scan(tmp_path, name, number)
    split = split_scans(protocol(tmp_path, labelled=1))
    assert [pair.name for pair in split.test] == tested
    trained = {pair.name for pair in (*split.labelled, *split.unlabelled)}
    assert trained == set(names) - set(tested)


def test_a_test_set_of_its_own_leaves_all_scans_for_training(scans, tmp_path):
    write_scan(tmp_path, "other_0000", 9, with_label=False)
    write_scan(tmp_path, "other", 9)
    (tmp_path / "images" / "other.nii.gz").unlink()
    split = split_scans(protocol(scans, test_images=tmp_path / "images", test_labels=tmp_path / "labels"))
    assert len(split.labelled) + len(split.unlabelled) == 6
    assert [(pair.name, pair.truth.name) for pair in split.test] == [("other", "other.nii.gz")]
    assert split.fingerprint != split_scans(protocol(scans)).fingerprint


def test_a_labelled_scan_without_label_map_is_named(tmp_path):
    for number in range(5):
        write_scan(tmp_path, f"organ_{number}", number, with_label=number != 1)
    with pytest.raises(VolumeError, match=r"organ_1\.nii\.gz has no label map"):
        split_scans(protocol(tmp_path))


def test_more_labelled_scans_than_there_are_is_an_error(scans):
    with pytest.raises(VolumeError, match="Only 5 scans"):
        split_scans(protocol(scans, labelled=6))


def test_scans_to_label_can_be_named_instead_of_the_first_ones(scans, tmp_path):
    out = tmp_path / "result.json"
    done = benchmark(scans, out, "--methods", "supervised", "--labelled-scans", "organ_003,organ_001")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(out.read_text())["rows"]
    assert (row["labelled"], row["labelled_scans"]) == (2, ["organ_001", "organ_003"])
    chosen = split_scans(protocol(scans, labelled_scans=("organ_003", "organ_001")))
    assert [pair.name for pair in chosen.unlabelled] == ["organ_000", "organ_002", "organ_004"]
    assert row["data"] == chosen.fingerprint != split_scans(protocol(scans)).fingerprint


def test_a_scan_to_label_that_is_not_trained_on_is_named(scans):
    for name in ("organ_077", "organ_005"):
        with pytest.raises(VolumeError, match=name):
            split_scans(protocol(scans, labelled_scans=("organ_001", name)))


def test_the_budget_is_either_time_or_steps():
    with pytest.raises(DyconError, match="either"):
        _ = Protocol(images=Path(), labels=Path(), minutes=1, iterations=1).budget


def test_slices_are_spread_over_the_structure_and_a_little_beyond(atria):
    label = atria[1] / "LA_000.nii.gz"
    mask = np.asarray(nib.load(label).dataobj).astype(np.uint8)
    axis, indices = spread_slices(mask, read_geometry(label), 6)
    assert axis == 2
    assert len(indices) == 6
    gaps = np.diff(indices)
    assert gaps.max() - gaps.min() <= 1
    painted = np.flatnonzero(mask.any(axis=(0, 1)))
    assert sum(painted[0] <= index <= painted[-1] for index in indices) >= 4


@pytest.fixture
def tiny_recipe(monkeypatch, tmp_path):
    """A recipe on a stand-in for the atria, with a plan that trains in a moment."""
    for seed, name in enumerate("ABCDE"):
        downloads.atrium(tmp_path / "data", name, seed)
    small = {
        "overlap": 0.0,
        "patch_size": (16, 16, 16),
        "network": {"widths": (8, 16), "strides": ((2, 2, 2),)},
    }
    recipe = replace(
        recipes.get("la"),
        splits={"small": Split(("B", "A", "D", "C"), ("E",))},
        labelled=2,
        iterations=2,
        overrides={**recipes.get("la").overrides, **small},
        published=figures("somebody", 2, {"ua_mt": "90/82/6.4/2"}),
    )
    monkeypatch.setattr(recipes, "_found", {"tiny": recipe})
    return tmp_path / "data"


def test_a_recipe_is_one_command_and_published_figures_stand_beside(tiny_recipe, tmp_path):
    out = tmp_path / "result.json"
    asked = ("benchmark", "--recipe", "tiny", "--data", tiny_recipe, "--methods", "supervised")
    done = dycon(*asked, "--device", "cpu", "--json", out)
    assert done.returncode == 0, done.stderr
    assert "ua_mt      90.00   82.00      4.00     1.25    somebody" in done.stdout
    assert "* The scans are cropped around the truth" in done.stdout
    content = json.loads(out.read_text())
    (row,) = content["rows"]
    assert (row["recipe"], row["labelled"], row["labelled_scans"]) == ("tiny small", 2, ["A", "B"])
    assert (row["iterations"], row["overrides"]["optimiser"]) == (2, "sgd")
    assert {case["case"] for case in row["cases"]} == {"E"}
    facts = content["recipes"]["tiny small"]
    assert facts["published"][0]["hd95"] == 6.4
    assert not (tmp_path / "result.work").exists()
    again = dycon(*asked, "--device", "cpu", "--json", out)
    assert "(kept)" in again.stdout
    assert json.loads(out.read_text()) == content


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--recipe", "la"], "Say where the data of the recipe is: --recipe la --data FOLDER"),
        (["--recipe", "tiny", "--data", "HERE", "--images", "HERE"], "leave out --images"),
        (["--recipe", "tiny", "--data", "HERE", "--split", "odd"], "There is no split 'odd'"),
        (["--recipe", "tiny", "--data", "HERE", "--labelled", "5"], "Only 4 scans of the recipe"),
        (["--recipe", "mars", "--data", "HERE"], "There is no recipe 'mars'; choose one of tiny"),
        (["--own-plan"], "belong to --recipe NAME"),
        ([], "--images DIR --labels DIR, or --recipe NAME"),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_explained(tiny_recipe, arguments, sentence):
    done = dycon("benchmark", *(str(tiny_recipe) if part == "HERE" else part for part in arguments))
    assert done.returncode == 1
    assert sentence in done.stderr
