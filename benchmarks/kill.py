"""Kill labelling and training sessions at random instants, and count what is lost.

    python benchmarks/kill.py --painting 250 --training 5 --apart 50

A labelling session is a process that does something every 100 ms through the same editor and autosaver as
the dock: strokes mostly, and between them accepted predictions, interpolation, clean-up, undo and redo, and
earlier versions restored. Each step is logged. Every second session is killed while its annotation is being
written, the others at any instant. After ``kill -9`` the study is opened again. Every step that was more
than five seconds old must be there, no voxel may hold what it never held, every kept version must be whole,
and nothing half-written may lie about. A training session is ``dycon train``; after ``kill -9`` it is
resumed and must go on from its last checkpoint. A training apart is the process that trains for a window: it
is killed again and again while its host has the study open and saves labels. The host must get a sentence
each time, the run must go on without a gap, and the labels must be those that were saved.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
from common import ATRIA, atrium_study
from painter import Done, Painter, Voxels, oldest_state, paint, read_log, states, voxels_of

from napari_dycon.engine.control import Control
from napari_dycon.engine.events import StepFinished
from napari_dycon.engine.request import Request
from napari_dycon.engine.runners.apart import train_apart
from napari_dycon.engine.runs import RunFolder
from napari_dycon.errors import TrainingError
from napari_dycon.study.store.lock import RunLock
from napari_dycon.study.study import Study

ALLOWED_LOSS_S = 5.0
SHORTEST_S, LONGEST_S = 1.0, 6.0
LEFTOVERS = (".dycon-tmp-*", "*.next.nii.gz")
Result = dict[str, object]


def kill_painting(template: Path, folder: Path, seed: int, seconds: float, in_save: bool) -> Result:
    """Kill one labelling session and look at what is on disk."""
    study, log = folder / "study", folder / "steps.txt"
    shutil.copytree(template, study, ignore=shutil.ignore_patterns(".study*"))
    session = multiprocessing.get_context("fork").Process(
        target=paint, args=(study, seed, ATRIA / "labels", log)
    )
    session.start()
    wait_for(log, session)
    time.sleep(seconds)
    caught = in_save and wait_for_save(study)
    session.kill()
    killed = time.time()
    session.join()
    return {"seconds": round(seconds, 2), "in_save": caught} | inspect(study, seed, log, killed, template)


def inspect(folder: Path, seed: int, log: Path, killed: float, template: Path) -> Result:
    """Open what a killed session left, and compare it with what the session did."""
    done, kinds = read_log(log)
    half = sum(1 for _ in leftovers(folder))
    with Study.open(folder) as study, Study.open(template, read_only=True) as before:
        case = study.cases[-1].id
        was = list(states(Replay(study, before, seed), done))
        lost, stray = compare(voxels_of(study.annotation(case)), was, done, killed)
        kept = [voxels_of(study.annotation_version(case, v.generation)) for v in study.versions(case)[1:]]
        stray += sum(oldest_state(version, was)[1] for version in kept)
        sound = not study.read_only and not study.notes and not list(leftovers(folder))
    for name in ("study.json", "study.json.bak"):
        json.loads((folder / name).read_bytes())
    return {
        "steps": len(done),
        "lost_s": round(lost, 2),
        "stray": stray,
        "versions": len(kept),
        "half_written": half,
        "sound": sound,
        "kinds": kinds,
    }


class Replay(Painter):
    """A painter that begins where the killed session began, and restores versions that it left."""

    def __init__(self, after: Study, before: Study, seed: int) -> None:
        super().__init__(before, seed, ATRIA / "labels")
        self.study = after


def compare(found: Voxels, was: list[Voxels], done: list[Done], killed: float) -> tuple[float, int]:
    """Age in seconds of the oldest step that is lost, and number of voxels that were never like that."""
    oldest, stray = oldest_state(found, was)
    lost = [entry.ended for entry in done[oldest:] if entry.ended is not None]
    return (killed - lost[0] if lost else 0.0), stray


def leftovers(folder: Path) -> Iterator[Path]:
    """Yield files of writes that did not end."""
    for pattern in LEFTOVERS:
        yield from folder.rglob(pattern)


def wait_for_save(folder: Path, seconds: float = 4.0) -> bool:
    """Wait until something is being written, and a little longer; return whether it was."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if any(leftovers(folder)):
            time.sleep(random.uniform(0, 0.03))
            return True
        time.sleep(0.001)
    return False


def kill_training(folder: Path, seconds: float) -> dict[str, int]:
    """Kill one training session and resume it; return how far it was and how far it then came."""
    atrium_study(folder / "study", cases=8, labelled=3).close()
    train = [sys.executable, "-m", "napari_dycon.cli", "train", str(folder / "study"), "--method", "dycon"]
    process = subprocess.Popen([*train, "--iterations", "5000"], stdout=subprocess.DEVNULL)
    runs = folder / "study" / "runs"
    while not any(runs.glob("*/checkpoints/*.safetensors")):
        if process.poll() is not None:
            raise RuntimeError("the training ended by itself")
        time.sleep(0.2)
    time.sleep(seconds)
    process.kill()
    process.wait()
    killed_at = steps(runs)[-1]
    resumed = subprocess.Popen([*train, "--iterations", "5000", "--resume"], stdout=subprocess.DEVNULL)
    end = time.time() + 180
    while (after := steps(runs))[-1] < killed_at + 5 and time.time() < end:
        if resumed.poll() is not None:
            raise RuntimeError("the resumed training ended by itself")
        time.sleep(0.5)
    resumed.kill()
    resumed.wait()
    return {"killed_at": killed_at, "reached": after[-1], "gapless": after == list(range(1, len(after) + 1))}


def kill_apart(folder: Path, kills: int, chance: random.Random) -> int:
    """Kill the trainer of an open study so many times; return how often something was not as it must be."""
    failures, seen = 0, Counter[str]()
    with atrium_study(folder / "study", cases=4, labelled=2) as study:
        request = Request(method="dycon", iterations=10**6, device="cpu", threads=1)
        truth = study.annotation(study.cases[-1].id)
        for number in range(kills):
            found = kill_once(study, request, chance.uniform(0.5, 30), number % 2 == 1)
            truth.labels[number % truth.shape[0]] = number % 2
            truth.known[number % truth.shape[0]] = 1
            study.save_annotation(study.cases[-1].id, truth, "autosave")
            whole = all(not RunLock.is_held(study.run_dir(run)) for run in study.runs())
            failures += not (found["sentence"].startswith("The training process was killed") and whole)
            if study.runs() and RunFolder(study.run_dir(study.runs()[-1])).checkpoints.iterations:
                request = request.model_copy(update={"resume": True, "run_id": study.runs()[-1]})
            seen.update({str(found["phase"]): 1, "from a checkpoint": bool(found["from"])})
            print("apart", json.dumps(found), flush=True)
        case, runs = study.cases[-1].id, folder / "study" / "runs"
        print("apart in all", dict(seen))
    with Study.open(folder / "study") as after:
        now = after.annotation(case)
        failures += not (np.array_equal(now.labels, truth.labels) and np.array_equal(now.known, truth.known))
        failures += bool(after.notes)
    done = steps(runs)
    return failures + (done != list(range(1, len(done) + 1)))


def kill_once(study: Study, request: Request, seconds: float, in_save: bool) -> Result:
    """Kill the trainer after so many seconds, or when it writes a checkpoint, and tell what the host saw."""
    control, sentence, events = Control(), "no sentence", []

    def kill() -> None:
        (trainer,) = psutil.Process().children()
        if in_save and study.runs():
            control.pause()  # saves
            wait_for_save(study.run_dir(study.runs()[-1]))
        trainer.kill()
        control.resume()

    killer = threading.Timer(seconds, kill)
    killer.start()
    try:
        for event in train_apart(study, request, control):
            events.append(event)
    except TrainingError as error:
        sentence = str(error)
    killer.join()
    last = next((e.iteration for e in reversed(events) if isinstance(e, StepFinished)), 0)
    first = next((e.iteration for e in events if isinstance(e, StepFinished)), 0)
    phase = type(events[-2]).__name__ if len(events) > 1 else "nothing yet"
    return {"phase": phase, "from": max(0, first - 1), "reached": last, "sentence": sentence}


def steps(runs: Path) -> list[int]:
    """Return the iterations in the event log, in order."""
    events = next(runs.glob("*/events.jsonl")).read_text().splitlines()
    return [event["iteration"] for event in map(parse, events) if event.get("event") == "StepFinished"]


def parse(line: str) -> dict[str, object]:
    """Read one event; a line that the kill cut short reads as an empty one."""
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return {}


def wait_for(log: Path, session: multiprocessing.Process) -> None:
    """Wait until the session has begun."""
    while not (log.exists() and log.stat().st_size):
        if session.exitcode is not None:
            raise RuntimeError("the session did not start")
        time.sleep(0.02)


def painting(kills: int, chance: random.Random) -> int:
    """Kill so many labelling sessions; return how many left what they must not leave."""
    failures, lost, counts = 0, [], Counter[str]()
    with tempfile.TemporaryDirectory() as home:
        template = Path(home) / "template"
        atrium_study(template, cases=2, labelled=1).close()
        for index in range(kills):
            with tempfile.TemporaryDirectory() as folder:
                seed, seconds = chance.randrange(1 << 30), chance.uniform(SHORTEST_S, LONGEST_S)
                found = kill_painting(template, Path(folder), seed, seconds, index % 2 == 1)
            failures += found["lost_s"] > ALLOWED_LOSS_S or found["stray"] != 0 or not found["sound"]
            lost.append(found["lost_s"])
            counts.update(found["kinds"])
            counts.update(kills=1, steps=found["steps"], in_save=found["in_save"], versions=found["versions"])
            counts.update(half_written=bool(found["half_written"]), stray=found["stray"])
            print("painting", json.dumps(found), flush=True)
    if lost:
        figures = {"p50": np.median(lost), "p95": np.percentile(lost, 95), "max": max(lost)}
        print("painting lost_s", {name: round(float(value), 2) for name, value in figures.items()})
        print("painting in all", dict(counts))
    return failures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--painting", type=int, default=250)
    parser.add_argument("--training", type=int, default=5)
    parser.add_argument("--apart", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    failures = painting(options.painting, chance)
    for _ in range(options.training):
        with tempfile.TemporaryDirectory() as folder:
            result = kill_training(Path(folder), chance.uniform(1, 40))
        failures += not (result["gapless"] and result["reached"] > result["killed_at"])
        print("training", json.dumps(result), flush=True)
    if options.apart:
        with tempfile.TemporaryDirectory() as folder:
            failures += kill_apart(Path(folder), options.apart, chance)
    print(f"{options.painting + options.training + options.apart} kills, {failures} failures")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
