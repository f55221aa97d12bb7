"""Items 53, 55 and 57 of docs/explanation/faults.md: a program crashed, told to end, without its layers."""

import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from napari_dycon.study.study import Study

pytestmark = [pytest.mark.gui, pytest.mark.skipif(sys.platform == "win32", reason="forks and signals")]

PROGRAM = """
import ctypes, json, os, signal, sys, time, traceback
import napari
from qtpy.QtCore import QTimer
from napari_dycon.plugin.background import jobs
from napari_dycon.plugin.manifest import launch
from napari_dycon.plugin.session import get_session


def training(study, method, minutes, device, save_first, *more, **named):
    def source(control):
        save_first()
        while not control.stopped:
            yield "step"
            time.sleep(0.02)
    return source


def crashing(study, run, cases, device):
    return lambda control: iter([ctypes.string_at(0)])


def delete_layers(viewer):
    for index in range(len(viewer.layers)):
        yield
        del viewer.layers[index]
        for step in (3, 9, 4):
            viewer.dims.set_current_step(0, step)
            yield
        viewer.dims.ndisplay = 3
        yield
        viewer.dims.ndisplay = 2
        get_session(viewer).cases.open("patient-03")
        while "annotation" not in viewer.layers or len(viewer.layers) < 4:
            yield


def story(name, viewer, session):
    while session.cases.case_id != "patient-03":
        yield
    if name == "delete":
        yield from delete_layers(viewer)
    session.training.train("dycon", 5)
    while not session.tasks.state.busy:
        yield
    viewer.layers["annotation"].paint((5, 12, 12), 1)
    if name == "segfault":
        while not session.labels.saved[0].startswith("Saved"):
            yield
        session._chores.put("crash", crashing(None, None, None, None), print)
    elif name == "interrupt":
        os.kill(os.getpid(), signal.SIGINT)
    elif name == "terminate":
        os.kill(os.getpid(), signal.SIGTERM)
    elif name == "delete":
        viewer.close()
    while True:
        yield


def go_on(told):
    try:
        next(told)
    except Exception:
        traceback.print_exc()
        os._exit(70)  # or the program would wait for ever


def main(name, folder):
    jobs.training = training
    viewer = napari.Viewer()
    session = get_session(viewer)
    session.open_study(folder)
    session.cases.open("patient-03")
    told = story(name, viewer, session)
    timer = QTimer()
    timer.timeout.connect(lambda: go_on(told))
    timer.start(20)
    launch._quit_when_told_to_end()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
    try:
        napari.run(force=True)
    except KeyboardInterrupt:
        session.close()


for name, folder in json.loads(sys.argv[1]).items():
    child = os.fork()
    if not child:
        main(name, folder)
        sys.exit(0)
    print(name, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def ends(phantom_folder, tmp_path_factory):
    """Four programs, one after the other, each with a study of its own: folder and exit code."""
    home = tmp_path_factory.mktemp("programs")
    folders = {}
    for name in ("segfault", "terminate", "interrupt", "delete"):
        ignored = shutil.ignore_patterns(".study*")
        folders[name] = str(shutil.copytree(phantom_folder, home / name, ignore=ignored))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(folders)],
        capture_output=True, text=True, timeout=500, check=False, env=os.environ,
    )  # fmt: skip
    codes = dict(line.split() for line in done.stdout.splitlines() if len(line.split()) == 2)
    assert codes.keys() == folders.keys(), done.stderr[-3000:]
    return {name: (folder, int(codes[name])) for name, folder in folders.items()}


def saved(folder):
    """Whether the stroke is on disk, and nothing odd is said about the study."""
    with Study.open(folder, read_only=False) as study:
        assert study.notes == ()
        return bool(np.count_nonzero(study.annotation("patient-03").labels))


def test_53_after_a_crash_of_the_interpreter_everything_saved_is_there(ends):
    folder, code = ends["segfault"]
    assert code == -signal.SIGSEGV
    assert saved(folder)


def test_55_the_systems_request_to_end_saves_the_last_stroke(ends):
    folder, code = ends["terminate"]
    assert code == 0
    assert saved(folder)


def test_55_ctrl_c_saves_the_last_stroke(ends):
    folder, code = ends["interrupt"]
    assert code >= 0
    assert saved(folder)


def test_57_any_layer_may_be_deleted_and_the_program_lives(ends):
    folder, code = ends["delete"]
    assert code == 0
    assert saved(folder)
