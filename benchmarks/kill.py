"""Kill painting and training sessions at random instants, and count what is lost.

    python benchmarks/kill.py --painting 20 --training 5

A painting session is a process that paints one stroke every 100 ms through the same editor and autosaver as
the dock, and logs each. After ``kill -9`` the study is opened again: every stroke that was more than five
seconds old must be there. A training session is ``dycon train``; after ``kill -9`` it is resumed and must go
on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import atrium_study

from napari_dycon.study.study import Study

ALLOWED_LOSS_S = 5.0
PAINTER = """
import sys, time
from napari_dycon.study.autosave import Autosaver
from napari_dycon.study.editing import AnnotationEditor
from napari_dycon.study.study import Study

study = Study.open(sys.argv[1])
case = study.cases[-1]
editor = AnnotationEditor(study.annotation(case.id), study.volume(case.id).geometry)
saver = Autosaver(study, on_saved=print, on_error=print)
for stroke in range(100_000):
    x, y = 5 + stroke % 60, 5 + stroke // 60
    editor.labels[x, y, 10] = 1
    editor.stroke(([x], [y], [10]))
    saver.touch(case.id, editor)
    with open(sys.argv[2], "a") as log:
        log.write(f"{time.time()} {x} {y}\\n")
    time.sleep(0.1)
"""


def kill_painting(folder: Path, seconds: float) -> dict[str, float]:
    """Kill one painting session; return its length and the age of the oldest lost stroke, in seconds."""
    atrium_study(folder / "study", cases=2, labelled=1).close()
    log = folder / "strokes.txt"
    process = subprocess.Popen(
        [sys.executable, "-c", PAINTER, str(folder / "study"), str(log)], stdout=subprocess.DEVNULL
    )
    wait_for(log, process)
    time.sleep(seconds)
    killed = time.time()
    process.kill()
    process.wait()
    strokes = [line.split() for line in log.read_text().splitlines() if line.count(" ") == 2]
    with Study.open(folder / "study") as study:
        annotation = study.annotation(study.cases[-1].id)
    drawn = (annotation.labels > 0) & (annotation.known > 0)
    lost = [killed - float(when) for when, x, y in strokes if not drawn[int(x), int(y), 10]]
    stray = int(np.count_nonzero(annotation.labels)) - sum(
        bool(drawn[int(x), int(y), 10]) for _, x, y in strokes
    )
    return {"seconds": seconds, "strokes": len(strokes), "lost_s": max(lost, default=0.0), "stray": stray}


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


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until the painter has begun."""
    while not path.exists():
        if process.poll() is not None:
            raise RuntimeError("the painter did not start")
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--painting", type=int, default=20)
    parser.add_argument("--training", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    failures = 0
    for _ in range(options.painting):
        with tempfile.TemporaryDirectory() as folder:
            result = kill_painting(Path(folder), chance.uniform(1, 15))
        failures += result["lost_s"] > ALLOWED_LOSS_S or result["stray"] != 0
        print("painting", json.dumps(result), flush=True)
    for _ in range(options.training):
        with tempfile.TemporaryDirectory() as folder:
            result = kill_training(Path(folder), chance.uniform(1, 40))
        failures += not (result["gapless"] and result["reached"] > result["killed_at"])
        print("training", json.dumps(result), flush=True)
    print(f"{options.painting + options.training} kills, {failures} failures")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
