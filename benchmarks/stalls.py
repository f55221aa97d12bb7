"""List where the window stands still: a large study and a large scan, used as a person uses them.

A 10 ms timer of the GUI thread notes by how much it is late and how much processor time the GUI thread itself
has used since its last tick; while it is late, a second thread looks where the GUI thread is. On a machine
that does other work as well, the processor time says whose fault a stall is.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/stalls.py --cases 1000 --more 200
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import napari
import nibabel as nib
import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_dycon.plugin.session import Session, get_session
from napari_dycon.study.exchange import importing
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study

PERIOD_S = 0.010
STALL_S = 0.100
SAMPLE_S = 0.004
LARGE = (512, 512, 300)


@dataclass
class Stall:
    """A time in which the GUI thread took no event."""

    step: str
    seconds: float
    busy: float
    where: str


@dataclass
class Probe:
    """Notes the stalls of the GUI thread, which must make it."""

    step: str = "start"
    stalls: list[Stall] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start the timer and the thread that looks at the GUI thread."""
        self._places: Counter[str] = Counter()
        self._last, self._cpu = time.perf_counter(), time.thread_time()
        self._gui = threading.get_ident()
        self._timer = QTimer()
        self._timer.setInterval(round(1000 * PERIOD_S))
        self._timer.timeout.connect(self._tick)
        self._timer.start()
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Note nothing more."""
        self._timer.stop()
        self._done.set()
        self._watcher.join()

    def _tick(self) -> None:
        now, cpu = time.perf_counter(), time.thread_time()
        late, busy = now - self._last - PERIOD_S, cpu - self._cpu
        self._last, self._cpu = now, cpu
        places, self._places = self._places, Counter()
        if late > STALL_S:
            where = " | ".join(f"{n}x {place}" for place, n in places.most_common(3))
            self.stalls.append(Stall(self.step, late, busy, where))

    def _watch(self) -> None:
        while not self._done.wait(SAMPLE_S):
            if time.perf_counter() - self._last > 3 * PERIOD_S:
                self._places[place_of(sys._current_frames()[self._gui])] += 1


def place_of(frame: FrameType | None) -> str:
    """Return the innermost function and the innermost two of ours, as ``file:line function``."""
    names: list[str] = []
    while frame is not None:
        code, path = frame.f_code, Path(frame.f_code.co_filename)
        ours = "napari_dycon" in path.parts
        if not names or (ours and len(names) < 4):
            names.append(f"{path.name}:{frame.f_lineno} {code.co_name}")
        frame = frame.f_back
    return " < ".join(names)


class Person:
    """Uses a session and lets the event loop run meanwhile."""

    def __init__(self, session: Session, probe: Probe) -> None:
        self.session, self.probe = session, probe

    @contextmanager
    def doing(self, step: str) -> Iterator[None]:
        """Name what is done, and let what follows from it come to an end."""
        self.wait(0.3)
        self.probe.step = step
        yield
        self.until(self._quiet)
        self.wait(0.7)
        self.probe.step = "rest"

    def wait(self, seconds: float) -> None:
        """Let the event loop run."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            QApplication.processEvents()
            time.sleep(0.001)

    def until(self, condition: Callable[[], bool], seconds: float = 600) -> None:
        """Let the event loop run until ``condition`` holds."""
        end = time.perf_counter() + seconds
        while not condition():
            if time.perf_counter() > end:
                raise TimeoutError(self.probe.step)
            self.wait(0.02)

    def open(self, case: str) -> None:
        """Open a case and wait for it."""
        self.session.cases.open(case)
        self.until(lambda: self.session.cases.case_id == case)

    def _quiet(self) -> bool:
        session = self.session
        return not (session.tasks.state.busy or session._loads.busy or session._chores.busy)


def write_scan(path: Path, shape: tuple[int, int, int], seed: int) -> None:
    """Write a scan of noise."""
    values = np.random.default_rng(seed).integers(-1000, 1000, shape, dtype=np.int16)
    nib.save(nib.Nifti1Image(values, np.diag([-1.0, -1.0, 2.0, 1.0])), path)


def make_study(folder: Path, cases: int, more: int) -> Study:
    """Make a study of many tiny scans and a few large ones, with predictions, and further scans beside it."""
    structures = [Structure(value=1, name="one", color="#e6550d"), Structure(value=2, name="two")]
    study = Study.create(folder / "study", structures)
    for name, count in (("scans", cases), ("more", more)):
        (folder / name).mkdir()
        for number in range(count):
            write_scan(folder / name / f"{name}-{number:04d}.nii.gz", (12, 12, 8), number + 7919 * len(name))
    for number in range(2):
        write_scan(folder / "scans" / f"large-{number}.nii", LARGE, number)
    list(importing.add_scans(study, [folder / "scans"]))
    run = study.new_run("dycon")
    for case in study.cases:
        if case.id.startswith("large"):
            predict(study, run, case.id)
    study.set_active_run(run)
    return study


def predict(study: Study, run: str, case: str) -> None:
    """Write a prediction such as a model would."""
    shape = study.case(case).shape
    mask = np.zeros(shape, np.uint8)
    mask[tuple(slice(size // 4, size // 2) for size in shape)] = 1
    entropy = np.where(mask, np.float32(0.4), np.float32(0.05))
    study.predictions.save(run, case, mask, entropy)
    row = {"volumes_ml": {"one": 1.0}, "mean_entropy": 0.3, "empty": False, "ready": True}
    study.predictions.save_summary(run, {case: row})


def use(person: Person, folder: Path, viewer: napari.Viewer) -> None:
    """Do what a person does in the window, step by step."""
    from qtpy.QtCore import Qt

    session = person.session
    with person.doing("open the study"):
        session.open_study(folder / "study")
        person.until(lambda: session.cases.case_id is not None)
    dock = next(iter(viewer.window.dock_widgets.values()))
    cases = dock.cases
    with person.doing("sort"):
        cases.view.sortByColumn(1, Qt.SortOrder.DescendingOrder)
        person.wait(0.2)
        cases.view.sortByColumn(1, Qt.SortOrder.AscendingOrder)
    with person.doing("filter"):
        for text in ("s", "sc", "scans-01", ""):
            cases.filter.search.setText(text)
            person.wait(0.4)
    with person.doing("flag, note"):
        session.cases.list.flag([session.cases.case_id], True)
        person.wait(0.3)
        session.cases.list.set_note(session.cases.case_id, "a note")
    with person.doing("open small cases"):
        for number in (10, 20, 30):
            person.open(f"scans-{number:04d}")
    with person.doing("import"):
        session.exchange.add_scans([folder / "more"])
    with person.doing("open a large case"):
        person.open("large-0")
    layer = viewer.layers["annotation"]
    with person.doing("paint"):
        layer.brush_size = 40
        for step in range(10):
            layer.paint([viewer.dims.current_step[0], 100 + 10 * step, 200], 1)
            person.wait(0.1)
    with person.doing("undo, redo"):
        session.labels.undo()
        person.wait(0.5)
        session.labels.redo()
    with person.doing("scroll"):
        for step in range(20):
            viewer.dims.set_current_step(0, 100 + step)
            person.wait(0.05)
    with person.doing("complete slice"):
        session.labels.toggle_slice_complete()
    with person.doing("a prediction appears"):
        run = session.study.active_run
        thread = threading.Thread(target=predict, args=(session.study, run, "large-0"))
        thread.start()
        person.until(lambda: not thread.is_alive())
        session.training.show_predicted(case_predicted("large-0"))
    with person.doing("accept the slice"):
        viewer.dims.set_current_step(0, 100)
        person.wait(0.5)
        session.regions.decide("accept", "slice")
    with person.doing("accept the case"):
        session.regions.decide("accept", "case")
    with person.doing("undo the case"):
        session.labels.undo()
    with person.doing("interpolate"):
        for place in (120, 130):
            viewer.dims.set_current_step(0, place)
            person.wait(0.2)
            layer.paint([place, 250, 250], 1)
            person.wait(0.2)
        session.labels.propose_between()
        person.until(lambda: session.dialogue.question is not None, 60)
        session.dialogue.answer("fill")
    with person.doing("known map on"):
        session.views.toggle_known_map()
    with person.doing("known map off"):
        session.views.toggle_known_map()
    with person.doing("next large case and back"):
        person.open("large-1")
        person.open("large-0")
    with person.doing("planes on"):
        session.views.toggle_planes()
        person.wait(2)
    with person.doing("case change with planes"):
        person.open("large-1")
        person.wait(2)
    with person.doing("planes off"):
        session.views.toggle_planes()
    with person.doing("prediction events"):
        study, ids = session.study, [case.id for case in session.study.cases[:200]]
        thread = threading.Thread(target=lambda: [predict(study, study.active_run, case) for case in ids])
        thread.start()
        while thread.is_alive():
            person.wait(0.1)
            session.training.show_predicted(case_predicted(ids[0]))
    with person.doing("export"):
        session.exchange.export(folder / "out")
    with person.doing("save a layer"):
        from napari_dycon.plugin.manifest.writer import write_labels

        data, meta, _ = viewer.layers["annotation"].as_layer_data_tuple()
        write_labels(str(folder / "saved.nii.gz"), data, meta)
    with person.doing("close the study"):
        session.close()


def case_predicted(case: str) -> object:
    """Return the event that a prediction sends."""
    from napari_dycon.engine.events import CasePredicted

    return CasePredicted(case, 1, 1, {"one": 1.0}, 0.3, False)


def main() -> None:
    """Read the options, drive a session, print what stood still."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--more", type=int, default=200)
    parser.add_argument("--folder", type=Path, help="keep the study here, to use it again")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if not (folder / "study").exists():
            folder.mkdir(exist_ok=True, parents=True)
            make_study(folder, options.cases, options.more).close()
        begun = time.perf_counter()
        viewer = napari.Viewer()
        viewer.window.add_plugin_dock_widget("napari-dycon", "Study")
        print(f"window after {time.perf_counter() - begun:.1f} s")
        probe = Probe()
        use(Person(get_session(viewer), probe), folder, viewer)
        probe.close()
        viewer.close()
    for stall in sorted(probe.stalls, key=lambda stall: -stall.busy):
        print(f"{1000 * stall.seconds:6.0f} ms, busy {1000 * stall.busy:6.0f} ms  {stall.step}")
        print(f"{'':10}{stall.where}")
    if options.json:
        options.json.write_text(json.dumps([vars(stall) for stall in probe.stalls], indent=2))


if __name__ == "__main__":
    main()
