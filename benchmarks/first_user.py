"""A first user at a real napari window labels six slices of a scan, trains, corrects, restores a version.

None of the 24 atrium scans comes with labels. Mouse and keys are events on the real widgets; every step
leaves a picture.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/first_user.py docs/images
"""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
from common import ATRIA
from driving import LEFT, PATIENCE, User, at_the_screen, brush_strokes
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_dycon.benchmark.protocol import spread_slices
from napari_dycon.io.volumes import read_geometry
from napari_dycon.plugin.layers.orientation import DisplayView
from napari_dycon.study.store.schema import Structure

FIRST, SECOND, SLICES = "LA_000", "LA_010", 6


def whole_job(user: User, folder: Path, minutes: float) -> None:
    """Label, train, correct, go back, export."""
    begin(user, folder)
    label(user)
    train(user, minutes)
    correct(user)
    go_back(user)
    finish(user, folder)


def begin(user: User, folder: Path) -> None:
    """Make a study of scans without any label."""
    user.session.new_study(folder / "Atria", [Structure(value=1, name="left atrium", color="#e8743b")])
    user.session.exchange.add_scans(sorted((ATRIA / "images").glob("*.nii.gz"))[:24])
    user.wait_until(lambda: len(user.session.cases.list.rows()) == 24, 60, "the scans were not imported")
    user.wait_until_idle(60)


def label(user: User) -> None:
    """Paint and complete six slices of the first scan, and fill those in between."""
    user.open_case(FIRST)
    truth, shown = truth_of(FIRST)
    view = DisplayView(read_geometry(ATRIA / "images" / f"{FIRST}.nii.gz"))
    axis, indices = spread_slices(truth, view.geometry, SLICES)
    for count, index in enumerate(sorted(view.to_display(axis, index)[1] for index in indices)):
        scroll_to(user, index)
        for stroke in brush_strokes(shown[index]):
            user.paint(stroke, size=3)
        press(user, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
        assert user.session.labels.slice_state[0], f"slice {index} is not complete"
        if count == SLICES // 2:
            user.picture("1-paint")
    between = user.dock.tools.interpolate_menu
    user.choose(between, between.actions()[0].text())
    user.wait_until(lambda: user.session.dialogue.question is not None, 30, "nothing was proposed")
    scroll_to(user, index - 3)
    user.picture("2-between")
    before = known(user)
    user.click(user.dock.tools.strip.buttons["fill"])
    user.wait_until(lambda: known(user) > before, 30, "nothing was filled")
    user.click(user.dock.tools.known_button)
    user.picture("3-known")
    user.click(user.dock.tools.known_button)


def train(user: User, minutes: float) -> None:
    """Train on the one scan that is partly labelled, and on 23 that are not."""
    user.dock.training.minutes.setValue(minutes)
    user.click(user.dock.training.train_button)
    user.wait_until(
        lambda: user.session.tasks.state.kind == "predicting",
        minutes * 60 + PATIENCE,
        "the training did not end",
    )
    user.wait_until_idle(PATIENCE)
    user.open_case(SECOND)
    user.picture("4-prediction")


def correct(user: User) -> None:
    """Accept the middle slice of another scan as predicted, and paint and complete the next ones."""
    _, shown = truth_of(SECOND)
    middle = int(np.argmax(shown.sum(axis=(1, 2))))
    scroll_to(user, middle)
    user.click(user.dock.review.accept.button)
    user.session.save_now()
    for index in (middle + 3, middle + 6):
        scroll_to(user, index)
        for stroke in brush_strokes(shown[index]):
            user.paint(stroke, size=3)
        press(user, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
        user.wait(6.0)
    scroll_to(user, middle + 3)
    user.picture("5-correct")


def go_back(user: User) -> None:
    """Look at the first version, make it the annotation again, and undo that."""
    layer = user.viewer.layers["annotation"]
    newest = np.array(layer.data)
    user.choose(user.dock.tools.more_menu, "Versions…")
    panel = user.dock.shelf.versions
    user.wait_until(lambda: panel.isVisible() and panel.table.rowCount() > 1, 30, "no versions")
    oldest = panel.table.item(panel.table.rowCount() - 1, 0)
    QTest.mouseClick(panel.table.viewport(), LEFT, pos=panel.table.visualItemRect(oldest).center())
    user.wait_until(lambda: not layer.visible, 30, "the version was not shown")
    seen = np.array(user.viewer.layers["older version"].data)
    user.picture("6-version")
    user.click(panel.restore_button)
    user.wait_until(
        lambda: user.session.labels.undo_name.startswith("Restore"), 30, "the version is not back"
    )
    assert np.array_equal(layer.data, seen), "something else was restored"
    user.picture("7-restored")
    if panel.isVisible():
        user.click(panel.close_button)
    user.click(user.dock.tools.undo_button)
    user.wait_until(lambda: np.array_equal(layer.data, newest), 30, "the undo did not bring it back")
    user.picture("8-undone")


def finish(user: User, folder: Path) -> None:
    """Export, and compare the masks of scans that nobody touched with the truth, for information."""
    user.session.exchange.export(folder / "export")
    user.wait_until_idle(60)
    dice = []
    for path in sorted((folder / "export").rglob("*.nii.gz")):
        name = path.name.removesuffix(".nii.gz")
        if name not in (FIRST, SECOND):
            mask, truth = np.asarray(nib.load(path).dataobj) > 0, truth_of(name)[0] > 0
            dice.append(2 * (mask & truth).sum() / (mask.sum() + truth.sum()))
    print(json.dumps({"masks": len(dice), "mean_dice_untouched": round(float(np.mean(dice)), 3)}))


def truth_of(name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a label map in source order and as it is shown."""
    truth = np.asarray(nib.load(ATRIA / "labels" / f"{name}.nii.gz").dataobj)
    return truth, DisplayView(read_geometry(ATRIA / "images" / f"{name}.nii.gz")).apply(truth)


def scroll_to(user: User, index: int) -> None:
    """Go to an axial slice with the arrow keys."""
    for _ in range(200):
        step = index - user.viewer.dims.current_step[0]
        if step == 0:
            return
        press(user, Qt.Key.Key_Right if step > 0 else Qt.Key.Key_Left)
    raise TimeoutError(f"slice {index} cannot be reached")


def press(user: User, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    """Press a key over the canvas."""
    QTest.keyClick(user.viewer.window._qt_window._qt_viewer.canvas.native, key, modifier)
    user.wait(0.03)


def known(user: User) -> float:
    """Return the known share of the open case, as the list shows it."""
    row = next(row for row in user.session.cases.list.rows() if row.id == user.session.cases.case_id)
    return row.known_fraction


if __name__ == "__main__":
    at_the_screen(__doc__, "first", (1360, 860), whole_job)
