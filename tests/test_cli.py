"""The command line as a user meets it: real commands on real scans, and every mistake in one line."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.cli import looking, main
from napari_dycon.errors import DyconError
from napari_dycon.study.exchange import importing, phantom
from napari_dycon.study.study import Study

SMALL = ["--override", "patch_size=[32,32,32]", "--override", 'network={"widths":[8,16],"strides":[[2,2,2]]}']
COMMANDS = (
    "new",
    "structures",
    "import",
    "train",
    "predict",
    "suggest",
    "evaluate",
    "export",
    "export-model",
    "benchmark",
    "demo",
    "launch",
    "doctor",
    "export-nnunet",
    "reader",
    "agreement",
    "consensus",
)


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


def start(*arguments: object) -> subprocess.Popen[str]:
    """A command as a process of its own."""
    command = [sys.executable, "-m", "napari_dycon.cli", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def succeed(*arguments: object) -> str:
    done = dycon(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def fail(*arguments: object) -> str:
    """Run a command that must fail in the promised way, and return its one line."""
    done = dycon(*arguments)
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert lines[0].startswith("Error: ")
    return lines[0]


@pytest.fixture(scope="module")
def study(tmp_path_factory, atria) -> Path:
    """Four atria, two of them labelled, imported by the commands themselves."""
    folder = tmp_path_factory.mktemp("cli")
    images, labels = folder / "images", folder / "labels"
    for source, target, numbers in ((atria[0], images, range(4)), (atria[1], labels, range(2))):
        target.mkdir()
        for number in numbers:
            name = f"LA_{number:03d}.nii.gz"
            (target / name).write_bytes((source / name).read_bytes())
    path = folder / "heart"
    succeed("new", path, "--structure", "1:left atrium")
    text = succeed("import", path, images, "--labels", labels, "--json", folder / "import.json")
    assert "Added 4 scans, 2 labelled" in text
    return path


@pytest.fixture(scope="module")
def trained(study) -> Path:
    result = study.parent / "train.json"
    text = succeed("train", study, "--iterations", 6, "--device", "cpu", *SMALL, "--json", result)
    run = json.loads(result.read_text())["run"]
    assert run["reason"] == "budget" and run["iteration"] == 6
    assert "Run 001-dycon" in text
    assert (study / "runs" / "001-dycon" / "events.jsonl").read_text().count("StepFinished") == 6
    succeed("predict", study, "--device", "cpu", "--json", study.parent / "predict.json")
    return study


def test_help_names_every_command_and_does_not_load_torch():
    text = succeed("--help")
    assert all(f" {name} " in text for name in COMMANDS)
    assert succeed() == text
    code = (
        "import sys; from napari_dycon.cli import main; main(['--help']); "
        "sys.exit(any(m in sys.modules for m in ('torch', 'monai', 'napari', 'SimpleITK')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name):
    assert "Usage: dycon" in succeed(name, "--help")


def test_import_reports_what_was_added(study):
    added = json.loads((study.parent / "import.json").read_text())["added"]
    assert [entry["status"] for entry in added] == ["complete", "complete", "unlabelled", "unlabelled"]


def test_a_list_says_what_an_import_would_do_and_adds_nothing(study, tmp_path):
    images = tmp_path / "new"
    images.mkdir()
    (images / "letter.nii.gz").write_text("Dear colleague")
    before = (study / "study.json").read_bytes()
    text = succeed(
        "import", study, study.parent / "images", images, "--list", "--json", tmp_path / "list.json"
    )
    assert "0 scans can be added, 4 already there, 1 refused. Nothing was added." in text
    assert "Refused: " in text and (study / "study.json").read_bytes() == before
    rows = {row["name"]: row["verdict"] for row in json.loads((tmp_path / "list.json").read_text())["scans"]}
    assert rows["letter"] == "refused" and rows["LA_000"] == "already there"


def test_values_of_labels_mean_what_is_said(study, tmp_path):
    names = ("LA_000.nii.gz",)
    for name in names:
        scan = nib.load(study.parent / "labels" / name)
        values = np.asarray(scan.dataobj).astype(np.uint8) * 3
        (tmp_path / "labels").mkdir()
        nib.save(nib.Nifti1Image(values, scan.affine, scan.header), tmp_path / "labels" / name)
    other = tmp_path / "other"
    succeed("new", other, "--structure", "1:left atrium")
    paths = (other, study.parent / "images" / names[0], "--labels", tmp_path / "labels")
    assert "no structure 'liver'" in fail("import", *paths, "--map", "3:liver")
    assert "1 labelled" in succeed("import", *paths, "--map", "3:left atrium")


def test_predictions_lie_on_the_scans(trained):
    summary = json.loads((trained.parent / "predict.json").read_text())
    assert sorted(summary["cases"]) == [f"LA_{number:03d}" for number in range(4)]
    scan = nib.load(trained.parent / "images" / "LA_003.nii.gz")
    mask = nib.load(trained / "predictions" / "001-dycon" / "LA_003.nii.gz")
    assert mask.shape == scan.shape
    np.testing.assert_array_equal(mask.affine, scan.affine)


def test_suggestions_point_into_scans_that_are_not_finished(trained, tmp_path):
    text = succeed("suggest", trained, "--count", 4, "--json", tmp_path / "s.json")
    places = json.loads((tmp_path / "s.json").read_text())["suggestions"]
    assert 1 <= len(places) <= 4
    assert {place["case"] for place in places} <= {"LA_002", "LA_003"}
    for place in places:
        assert {"case", "plane", "axis", "index", "box", "structure", "score", "reason"} <= place.keys()
        assert place["reason"] in text


def test_evaluation_scores_every_case_with_a_reference(trained, atria, tmp_path):
    references = tmp_path / "references"
    references.mkdir()
    for number in (2, 3):
        name = f"LA_{number:03d}.nii.gz"
        (references / name).write_bytes((atria[1] / name).read_bytes())
    text = succeed("evaluate", trained, "--reference", references, "--json", tmp_path / "e.json")
    scores = json.loads((tmp_path / "e.json").read_text())["cases"]
    assert {score["case"] for score in scores} == {"LA_002", "LA_003"}
    assert all(score["structure"] == "left atrium" and 0 <= score["dice"] <= 1 for score in scores)
    assert "left atrium" in text


def test_what_was_left_out_is_listed_with_its_reason_and_the_rest_is_done(trained, tmp_path):
    study = tmp_path / "copy"
    shutil.copytree(trained, study)
    record = json.loads((study / "study.json").read_text())
    gone = next(case for case in record["cases"] if case["id"] == "LA_001")
    gone["scan"] = str(tmp_path / "LA_001.nii.gz")
    (study / "study.json").write_text(json.dumps(record))
    result = tmp_path / "result.json"
    for command in (("train", study, "--iterations", 1, "--device", "cpu", *SMALL), ("predict", study)):
        text = succeed(*command, "--json", result)
        (problem,) = json.loads(result.read_text())["problems"]
        assert problem["case"] == "LA_001" and "put it back" in problem["problem"]
        assert problem["problem"] in text
    assert set(json.loads(result.read_text())["cases"]) == {"LA_000", "LA_002", "LA_003"}
    succeed("suggest", study, "--json", result)
    assert "problems" in json.loads(result.read_text())


def test_export_prefers_the_persons_labels(trained, atria, tmp_path):
    succeed("export", trained, tmp_path / "out")
    written = sorted(path.name for path in (tmp_path / "out").glob("*.nii.gz"))
    assert written == [f"LA_{number:03d}.nii.gz" for number in range(4)]
    exported = np.asarray(nib.load(tmp_path / "out" / "LA_000.nii.gz").dataobj)
    np.testing.assert_array_equal(exported, np.asarray(nib.load(atria[1] / "LA_000.nii.gz").dataobj))
    assert (tmp_path / "out" / "volumes.csv").read_text().count("left atrium") == 4


def test_a_model_that_is_not_ready_is_said_to_be_and_is_no_guide(trained, tmp_path):
    result = tmp_path / "e.json"
    text = succeed("export", trained, tmp_path / "out", "--json", result)
    assert "2 masks come from a model that was not ready yet" in text
    assert json.loads(result.read_text())["not_ready"] == ["LA_002", "LA_003"]
    text = succeed("export", trained, tmp_path / "ready", "--ready-only")
    assert "The predictions of 2 cases were left out: the model was not ready yet." in text
    written = sorted(path.name for path in (tmp_path / "ready").glob("*.nii.gz"))
    assert written == ["LA_000.nii.gz", "LA_001.nii.gz"]
    text = succeed("suggest", trained, "--json", result)
    assert "was not ready yet" in text
    found = json.loads(result.read_text())
    assert not found["ready"] and all("middle" in place["reason"] for place in found["suggestions"])


def test_a_report_is_one_page_of_html_and_pdf(trained, tmp_path):
    text = succeed("report", trained, tmp_path / "sheet", "--json", tmp_path / "sheet.json")
    page, pdf = tmp_path / "sheet" / "methods-sheet.html", tmp_path / "sheet" / "methods-sheet.pdf"
    assert str(page) in text and pdf.read_bytes().startswith(b"%PDF")
    sections = {
        one["title"]: one for one in json.loads((tmp_path / "sheet.json").read_text())["sheet"]["sections"]
    }
    assert "learned from labels of" in sections["In short"]["sentences"][1]
    assert sections["Held-out quality, by run"]["tables"][0]["rows"][1][2] == "6"
    assert all(title in page.read_text(encoding="utf-8") for title in ("In short", "left atrium"))


def test_a_control_is_trained_and_the_better_of_the_two_is_used(study, tmp_path):
    result = tmp_path / "control.json"
    text = succeed(
        *("train", study, "--iterations", 3, "--device", "cpu", "--control", *SMALL, "--json", result)
    )
    content = json.loads(result.read_text())
    assert content["control"]["text"] in text
    record = json.loads((study / "study.json").read_text())
    assert record["active_run"] == content["control"]["better"]
    assert content["control"]["control_run"].endswith("-supervised")


def test_a_study_that_is_open_in_a_window_is_trained_beside_it(study, tmp_path):
    result = tmp_path / "result.json"
    with Study.open(study, read_only=False) as window:
        before, labels = window.active_run, window.annotation("LA_000")
        command = (
            "train",
            study,
            "--iterations",
            3,
            "--device",
            "cpu",
            "--control",
            *SMALL,
            "--json",
            result,
        )
        text = succeed(*command)
        better = json.loads(result.read_text())["control"]["better"]
        assert "The program that has this study open takes run" in text
        window.save_annotation("LA_000", labels, "autosave")  # it can go on
        assert window.active_run == before
        assert window.adopt_runs() == window.active_run == better


@pytest.mark.skipif(os.name == "nt", reason="a console event cannot be sent to one process on Windows")
def test_ctrl_c_saves_and_resume_goes_on(study):
    before = set(study.glob("runs/*"))
    process = start("train", study, "--iterations", 4000, "--device", "cpu", "--fresh", *SMALL)
    run = wait_for_step(study, process, 3, before)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err == ""
    assert "--resume" in out
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    last = max(event["iteration"] for event in events if event["event"] == "StepFinished")
    assert events[-1]["event"] == "RunFinished" and events[-1]["reason"] == "stopped"
    assert any(run.glob(f"checkpoints/*{last}.safetensors"))

    resumed = start("train", study, "--resume", "--device", "cpu")
    assert wait_for_step(study, resumed, last + 1, before) == run
    resumed.send_signal(signal.SIGINT)
    _, err = resumed.communicate(timeout=60)
    assert resumed.returncode == 130, err
    lines = (run / "events.jsonl").read_text().splitlines()
    steps = [json.loads(line)["iteration"] for line in lines if '"StepFinished"' in line]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) > last


@pytest.mark.skipif(os.name == "nt", reason="a console event cannot be sent to one process on Windows")
def test_until_stopped_learns_from_what_is_labelled_meanwhile_and_ctrl_c_saves_it(study, tmp_path):
    study = shutil.copytree(study.parent, tmp_path / "copy") / study.name
    before = set(study.glob("runs/*"))
    with Study.open(study) as window:
        process = start("train", study, "--until-stopped", "--device", "cpu", "--fresh", *SMALL)
        run = wait_for_step(study, process, 3, before)
        annotation = window.annotation("LA_002")
        annotation.complete_slice(2, window.case("LA_002").shape[2] // 2)
        window.save_annotation("LA_002", annotation, "complete")
        wait_for(run, process, '"LabelsJoined"')
        wait_for(run, process, '"StepFinished"')
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert err == "" and "1 slice joined the training." in out and "--resume" in out
        assert window.adopt_runs() == run.name
    config = json.loads((run / "config.json").read_text())
    assert config["open_ended"] and "LA_002" in config["trained_on"]
    assert any(run.glob("checkpoints/*.safetensors"))


def wait_for(run: Path, process: subprocess.Popen[str], event: str) -> None:
    """Wait until a run records one more event of a kind."""
    before, end = (run / "events.jsonl").read_text().count(event), time.monotonic() + 120
    while (run / "events.jsonl").read_text().count(event) == before:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, f"no {event} within 120 s"
        time.sleep(0.1)


def wait_for_step(study: Path, process: subprocess.Popen[str], iteration: int, before: set[Path]) -> Path:
    """Wait until a new run has recorded a step; return its folder."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        for run in set(study.glob("runs/*-dycon")) - before:
            events = run / "events.jsonl"
            if events.exists() and f'"StepFinished", "iteration": {iteration},' in events.read_text():
                return run
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    raise AssertionError("no training step within 120 s")


@pytest.fixture
def empty(tmp_path) -> Path:
    succeed("new", tmp_path / "empty", "--structure", "1:organ")
    return tmp_path / "empty"


def test_mistakes_in_making_a_study(empty, tmp_path):
    assert "holds a study already" in fail("new", empty, "--structure", "1:organ")
    assert "'organ' is not a structure" in fail("new", tmp_path / "a", "--structure", "organ")
    assert "'0:organ'" in fail("new", tmp_path / "b", "--structure", "0:organ")
    assert "1" in fail("new", tmp_path / "c", "--structure", "1:organ", "--structure", "1:other")
    assert "--structure" in fail("new", tmp_path / "d")
    assert "up to 200 letters" in fail("new", tmp_path / "e", "--structure", f"1:{'y' * 201}")
    assert "needs a name" in fail("new", tmp_path / "f", "--structure", "1:   ")
    assert "#e6550d" in fail("new", tmp_path / "g", "--structure", "1:organ:#red")


@pytest.mark.parametrize("command", ["suggest", "export", "evaluate", "import", "predict", "train"])
def test_every_command_says_what_was_wrong_with_the_study(empty, tmp_path, command):
    (empty / "study.json").write_bytes(b"damaged")
    (empty / "notebook.json").write_bytes(b"damaged")
    more = {"export": ["out"], "evaluate": ["--reference", tmp_path], "import": [tmp_path]}.get(command, [])
    said = dycon(command, empty, *more).stderr
    assert "Note: study.json could not be read" in said
    assert "Note: notebook.json is damaged" in said


def test_mistakes_in_importing(empty, tmp_path):
    assert "There is no file or folder" in fail("import", empty, tmp_path / "nowhere")
    text = tmp_path / "letter.nii.gz"
    text.write_text("Dear colleague")
    assert "letter.nii.gz" in fail("import", empty, text)
    assert str(tmp_path) in fail("import", tmp_path, text)


def test_a_study_without_labels_runs_or_scans_says_what_to_do(empty, tmp_path):
    assert "no study" in fail("train", tmp_path / "nowhere").lower()
    assert "scan" in fail("train", empty, "--iterations", 1)
    assert "train first" in fail("predict", empty)
    assert "There is no run" in fail("predict", empty, "--run", "007-dycon")
    assert "nowhere" in fail("evaluate", empty, "--reference", tmp_path / "nowhere")


def test_wrong_options_are_one_line_too(study, tmp_path):
    assert "sideways" in fail("train", study, "--sideways")
    assert "--minutes or as --iterations" in fail("train", study, "--minutes", 1, "--iterations", 1)
    assert "magic" in fail("train", study, "--method", "magic", "--iterations", 1)
    assert "warp" in fail("train", study, "--device", "warp", "--iterations", 1)
    assert "--control" in fail("train", study, "--control", "--method", "supervised")
    assert "--until-stopped" in fail("train", study, "--control", "--until-stopped")
    assert "--until-stopped" in fail("train", study, "--minutes", 1, "--until-stopped")
    assert "folder" in fail("suggest", study, "--json", tmp_path)
    assert "brain" in fail("predict", study, "--case", "brain", "--run", "001-dycon")
    assert "local:4" in fail("predict", study, "--scheduler", "mars:4")


def test_launching_without_a_screen_is_explained(study, monkeypatch):
    monkeypatch.setenv("DISPLAY", "")
    monkeypatch.setenv("WAYLAND_DISPLAY", "")
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    assert "napari cannot be shown" in fail("launch", study)


def test_launch_leads_on_from_whatever_folder_is_named(study, tmp_path, monkeypatch):
    shown, scans = [], tmp_path / "scans"
    monkeypatch.setattr(looking, "open_napari", shown.append)
    monkeypatch.setattr("napari_dycon.doctor.display.find_display", lambda: SimpleNamespace(usable=True))
    scans.mkdir()
    (scans / "a.nii.gz").write_bytes(b"")
    places = [study, study / "study.json", study / "annotations", scans, scans / "a.nii.gz"]
    for place in places:
        succeed("launch", place)
    assert shown == places
    assert "nothing at" in fail("launch", tmp_path / "nowhere")
    (scans / "study.json").write_text("{")
    fail("launch", scans)
    assert len(shown) == len(places)


def test_where_napari_cannot_be_loaded_the_doctor_is_named(monkeypatch):
    monkeypatch.setattr(looking, "LAUNCHER", "napari_dycon.nowhere")
    with pytest.raises(DyconError, match=r"napari cannot start: .*nowhere.* dycon doctor"):
        looking.open_napari(None)


def test_the_demo_does_the_whole_job_without_a_screen(tmp_path, monkeypatch):
    small = partial(phantom.make_phantom_study, cases=5, size=(44, 40, 24))
    monkeypatch.setattr(phantom, "make_phantom_study", small)
    succeed("demo", tmp_path / "demo", "--headless", "--minutes", 0.05, "--device", "cpu")
    out = tmp_path / "demo" / "export"
    scans = sorted(path.name for path in (tmp_path / "demo" / "scans").iterdir())
    assert len(scans) == 5
    assert sorted(path.name for path in out.glob("*.nii.gz")) == scans
    assert len(list((out / "entropy").iterdir())) == 5
    assert len((out / "volumes.csv").read_text().splitlines()) == 1 + 10
    assert json.loads((out / "suggestions.json").read_text())
    assert (tmp_path / "demo" / "demo.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    assert "holds other files" in fail("demo", tmp_path / "other", "--headless")


def test_doctor_ends_well_and_writes_its_findings(tmp_path):
    text = succeed("doctor", "--json", tmp_path / "d.json")
    findings = json.loads((tmp_path / "d.json").read_text())["findings"]
    assert all(finding["topic"] in text for finding in findings)


def test_a_fault_of_the_program_leaves_a_report_and_one_line(monkeypatch, capsys, tmp_path):
    def broken(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("nobody expected this")

    monkeypatch.setattr(Study, "open", broken)
    assert main(["suggest", str(tmp_path)]) == 1
    line = capsys.readouterr().err.strip()
    assert "\n" not in line and "ZeroDivisionError" in line
    report = Path(line.rpartition(" ")[2].rstrip("."))
    assert "nobody expected this" in report.read_text()
    report.unlink()


def test_ctrl_c_ends_a_command_with_a_word(empty, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(importing, "add_scans", interrupted)
    (tmp_path / "scan.nii").write_bytes(b"x")
    done = dycon("import", empty, tmp_path / "scan.nii")
    assert done.returncode == 130
    assert done.stderr.strip() == "Stopped. What was finished before is kept."
