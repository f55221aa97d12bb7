"""A person who never saw the program: from a folder of scans to masks, with every click on a widget counted.

The folder of real scans is chosen as it is. Two structures are painted with three planes open from the
start; each stroke must be on disk in the structure, slice and case it was meant for, each next place must be
on screen in every plane, and masks must come out in the end. Ends with status 1 where that is not so, or
where the first stroke takes more than eight clicks.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/first_session.py pictures --scans cardiac
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import napari
import nibabel as nib
import numpy as np
from common import ATRIA, DATA
from driving import LEFT, User, brush_strokes
from numpy.typing import NDArray
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QWidget

from napari_dycon.io.volumes import read_geometry
from napari_dycon.plugin.layers.orientation import DisplayView
from napari_dycon.plugin.widgets import doors
from napari_dycon.plugin.widgets.dialogs import StructuresDialog
from napari_dycon.study.study import Study

MOST_CLICKS, CASES, PLACES, BRUSH_DICE = 8, 6, 5, 0.6
SOURCES = {
    "cardiac": (DATA / "cardiac_cine", {1: "right ventricle", 3: "left ventricle"}),
    "atrium": (ATRIA, {1: "atrium, left", 2: "atrium, right"}),
}


class Newcomer(User):
    """Someone whose clicks are counted, and whose strokes are compared with what is on disk."""

    clicks = first_stroke = 0

    def click(self, widget: QWidget) -> None:
        """Press a button, and count."""
        self.clicks += 1
        super().click(widget)

    def choose_structure(self, number: int) -> None:
        """Click a structure in its list."""
        chips = self.dock.structures.chips
        QTest.mouseClick(chips.viewport(), LEFT, pos=chips.visualItemRect(chips.item(number)).center())
        self.clicks += 1
        self.wait(0.2)

    def drag(self, index: int, points: list[tuple[float, float]]) -> None:
        """Drag over the axial plane, through voxels given as (row, column)."""
        view, layer = self.session.views._planes.slices[0], self.viewer.layers["annotation"]
        canvas = view.marks.parentWidget()
        pixels = [view.on_screen(np.array([index, *point]) * layer.scale) for point in points]
        places = [QPoint(*(round(pixel) for pixel in place)) for place in pixels]
        QTest.mouseMove(canvas, places[0])
        QTest.mousePress(canvas, LEFT, pos=places[0])
        for place in places[1:]:
            QTest.mouseMove(canvas, place)
            self.wait(0.02)
        QTest.mouseRelease(canvas, LEFT, pos=places[-1])
        self.clicks += 1
        self.wait(0.05)

    def press(self, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        """Press a key over the canvas."""
        QTest.keyClick(self.viewer.window._qt_window._qt_viewer.canvas.native, key, modifier)
        self.wait(0.05)

    def scroll_to(self, index: int) -> None:
        """Go to an axial slice with the arrow keys."""
        for _ in range(200):
            step = index - self.viewer.dims.current_step[0]
            if step == 0:
                return
            self.press(Qt.Key.Key_Right if step > 0 else Qt.Key.Key_Left)
        raise TimeoutError(f"slice {index} cannot be reached")


def begin(user: Newcomer, scans: Path, names: list[str]) -> None:
    """Choose the scans' own folder, name two structures, open the planes, take the brush, paint."""
    doors.ask_folder = lambda *_: scans
    user.picture("1-empty")
    user.click(user.dock.empty.open_button)
    user.clicks += 1  # the button of the file dialog
    dialog = user.dock.findChild(StructuresDialog)
    QTest.keyClicks(dialog._fields[0], names[0])
    user.click(dialog.another)
    QTest.keyClicks(dialog._fields[1], names[1])
    dialog.grab().save(str(user.pictures / f"{user.prefix}-2-names.png"))
    QTest.keyClick(dialog._fields[1], Qt.Key.Key_Return)
    user.wait_until(lambda: user.session.cases.case_id is not None, 60, "no case was opened")
    user.wait_until_idle(60)
    user.click(user.dock.header.planes_button)
    user.wait(2.0)
    user.click(user.dock.tools.paint_button)


def paint(user: Newcomer, truth: NDArray[np.uint8], values: list[int]) -> set[int]:
    """Paint both structures in three slices and complete them; return the slices."""
    sizes = np.min([(truth == value).sum(axis=(1, 2)) for value in values], axis=0)
    slices = sorted(int(index) for index in np.argsort(sizes)[-3:])
    for count, index in enumerate(slices):
        user.scroll_to(index)
        for number, value in enumerate(values):
            if count or number:
                user.choose_structure(number)
            for stroke in brush_strokes(truth[index] == value)[::2]:
                user.drag(index, stroke)
                user.first_stroke = user.first_stroke or user.clicks
        user.press(Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
        if not count:
            user.picture("3-painted")
    return set(slices)


def on_disk(study: Path, case: str, view: DisplayView) -> NDArray[np.uint8]:
    """Return the labels of a case as another program would read them, as they are shown."""
    with Study.open(study, read_only=True) as opened:
        return view.apply(opened.annotation(case).labels)


def faults_of_strokes(
    labels: NDArray[np.uint8], truth: NDArray[np.uint8], values: list[int], slices: set[int]
) -> list[str]:
    """Compare what is on disk with what was meant; a round brush does not follow an outline exactly."""
    found = {int(index) for index in np.flatnonzero(labels.any(axis=(1, 2)))}
    faults = (
        [f"strokes are in the slices {sorted(found)}, meant for {sorted(slices)}"] if found != slices else []
    )
    for number, value in enumerate(values, start=1):
        for index in slices:
            one, other = labels[index] == number, truth[index] == value
            dice = 2 * (one & other).sum() / max(one.sum() + other.sum(), 1)
            if dice < BRUSH_DICE:
                faults.append(f"structure {number} in slice {index} is not where it was painted: {dice:.2f}")
    return faults


def faults_of_places(user: Newcomer) -> list[str]:
    """Go to places with the planes open; each plane must cut through the middle of the place."""
    faults = []
    for count in range(min(PLACES, len(user.session.suggestions.places))):
        user.click(user.dock.cards.next_button)
        place = user.session.suggestions.places[user.session.suggestions.index]
        user.wait_until(
            lambda place=place: user.session.cases.case_id == place.case, 30, "the case did not open"
        )
        user.wait(0.8)
        display, middle = user.session._desk.case.display, np.zeros(3)
        for axis, (first, last) in enumerate(place.box):
            shown, index = display.to_display(
                axis, place.index if axis == place.axis else (first + last) // 2
            )
            middle[shown] = index
        scale = np.array(user.viewer.layers["annotation"].scale)
        for view in (user.session.views._planes.slices[0], *user.session.views._planes.panes.values()):
            if abs(view.position - middle[view.axis] * scale[view.axis]) > scale[view.axis] / 2:
                faults.append(
                    f"place {count + 1} in {place.case}: the {view.plane} plane shows another slice"
                )
        if user.session._presenter.slices.current_slice() != (place.axis, place.index):
            faults.append(f"place {count + 1} in {place.case}: the viewer shows another slice")
        if not count:
            user.picture("6-place")
    return faults


def whole_session(user: Newcomer, folder: Path, source: str, minutes: float) -> list[str]:
    """Do all of it; return what went wrong, in sentences."""
    origin, named = SOURCES[source]
    scans, values = folder / source, list(named)
    scans.mkdir()
    for path in sorted((origin / "images").glob("*.nii.gz"))[:CASES]:
        shutil.copy(path, scans)
    begin(user, scans, list(named.values()))
    case, study = user.session.cases.case_id, user.session.study.path
    name = user.session.study.case(case).name
    view = DisplayView(read_geometry(scans / f"{name}.nii.gz"))
    truth = view.apply(np.asarray(nib.load(origin / "labels" / f"{name}.nii.gz").dataobj).astype(np.uint8))
    if source == "atrium":
        truth = np.where(np.arange(truth.shape[2]) > truth.shape[2] // 2, 2, 1).astype(np.uint8) * (truth > 0)
    slices = paint(user, truth, values)
    faults = [] if user.first_stroke <= MOST_CLICKS else [f"the first stroke took {user.first_stroke} clicks"]
    user.click(user.dock.cases.line.next)
    user.wait_until(lambda: user.session.cases.case_id not in (None, case), 30, "the next case did not open")
    second = user.session.cases.case_id
    user.session.save_now()
    faults += faults_of_strokes(on_disk(study, case, view), truth, values, slices)
    with Study.open(study, read_only=True) as opened:
        untouched = [one.id for one in opened.cases if one.id != case and one.label_voxels]
    faults += [f"strokes are in {other}, where nobody painted" for other in untouched]
    user.dock.training.minutes.setValue(minutes)
    user.click(user.dock.training.train_button)
    user.wait(20)
    user.picture("4-training")
    user.wait_until(
        lambda: user.session.tasks.state.kind != "training", minutes * 60 + 180, "the training did not end"
    )
    user.wait(1)
    user.wait_until_idle(240)
    user.open_case(second)
    user.picture("5-prediction")
    faults += faults_of_places(user)
    user.dock.parent().resize(420, user.dock.height())
    user.viewer.window._qt_window.resizeDocks([user.dock.parent()], [420], Qt.Orientation.Horizontal)
    user.picture("7-wide")
    doors.ask_folder = lambda *_: folder / "masks"
    user.click(user.dock.header.export_button)
    user.wait_until_idle(60)
    user.picture("8-exported")
    exported = sorted(path.name for path in (folder / "masks").rglob("*.nii.gz"))
    if not any(file.startswith(name) for file in exported):
        faults.append(f"the painted case was not exported, only {exported}")
    print(f"{user.first_stroke} clicks to the first stroke, {user.clicks} in all; {len(exported)} masks")
    return faults


def main() -> int:
    """Read the arguments, do the session in a window of its own; return the status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--scans", choices=SOURCES, default="cardiac")
    parser.add_argument("--minutes", type=float, default=1.0)
    options = parser.parse_args()
    options.pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        viewer = napari.Viewer()
        _, dock = viewer.window.add_plugin_dock_widget("napari-dycon", "Study")
        user = Newcomer(viewer, dock, options.pictures, f"session-{options.scans}")
        viewer.window._qt_window.resize(1400, 880)
        user.wait(0.5)
        faults = whole_session(user, Path(folder), options.scans, options.minutes)
        viewer.close()
    for fault in faults:
        print(f"wrong: {fault}")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
