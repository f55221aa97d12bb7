"""Do the whole job in a real napari window on 24 atrium scans, and take a picture of every step.

Buttons, table rows and the brush are used with mouse events on the real widgets. The pictures of the
documentation are made by

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/walkthrough.py docs/images
"""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
from common import ATRIA
from driving import PATIENCE, User, at_the_screen, brush_strokes

from napari_dycon.io.volumes import read_geometry
from napari_dycon.plugin.layers.orientation import DisplayView
from napari_dycon.study.store.schema import Structure


def whole_job(user: User, folder: Path, minutes: float) -> None:
    """Import, train, look, correct, accept, train on, export."""
    session, dock = user.session, user.dock
    user.wait(2)
    user.picture("1-start")

    labels = folder / "masks"
    labels.mkdir()
    scans = sorted((ATRIA / "images").glob("*.nii.gz"))[:24]
    for scan in scans[:3]:
        (labels / scan.name).write_bytes((ATRIA / "labels" / scan.name).read_bytes())
    session.new_study(folder / "Left atria", [Structure(value=1, name="left atrium", color="#e8743b")])
    session.exchange.add_scans(scans, labels)
    user.wait_until(lambda: len(session.cases.list.rows()) == 24, 60, "the scans were not imported")
    user.wait_until_idle(60)
    user.open_case("LA_001")
    user.picture("2-cases")

    dock.training.minutes.setValue(minutes)
    user.click(dock.training.train_button)
    user.wait_until(lambda: session.tasks.state.kind == "training", 30, "the training did not start")
    user.open_case("LA_010")
    user.wait_until(
        lambda: dock.training.curves.legend.names and (session.tasks.state.fraction or 0) > 0.6,
        minutes * 60 + PATIENCE,
        "the training is too slow",
    )
    user.picture("3-train")
    user.wait_until(
        lambda: session.tasks.state.kind == "predicting", minutes * 60 + PATIENCE, "no prediction began"
    )
    user.wait_until_idle(PATIENCE)

    user.picture("4-look")
    user.click(dock.review.uncertainty)
    user.picture("5-prediction")
    user.click(dock.cards.next_button)
    user.wait(1)
    user.picture("6-next")

    correct(user, "LA_010")
    user.picture("7-correct")
    user.choose(dock.review.accept.menu, "Accept the whole case")
    user.picture("8-accepted")

    dock.training.minutes.setValue(max(0.5, minutes / 4))
    user.click(dock.training.train_button)
    user.wait_until(
        lambda: session.tasks.state.kind == "predicting", minutes * 60 + PATIENCE, "training on did not end"
    )
    user.wait_until_idle(PATIENCE)
    user.picture("9-trained-on")

    session.exchange.export(folder / "export")
    user.wait_until_idle(60)
    user.picture("10-exported")
    check_export(folder / "export", scans)


def correct(user: User, name: str) -> None:
    """Paint the atrium into the middle slice of a case with the brush and complete the slice."""
    user.open_case(name)
    truth = np.asarray(nib.load(ATRIA / "labels" / f"{name}.nii.gz").dataobj)
    layer = user.viewer.layers["annotation"]
    shown = DisplayView(read_geometry(ATRIA / "images" / f"{name}.nii.gz")).apply(truth)
    index = int(np.argmax(shown.sum(axis=(1, 2))))
    user.viewer.dims.order = (0, 1, 2)
    user.go_to_slice(index)
    for stroke in brush_strokes(shown[index]):
        user.paint(stroke, size=3)
    assert layer.data[index].any(), "the brush left nothing"
    user.click(user.dock.structures.slice_button)


def check_export(folder: Path, scans: list[Path]) -> None:
    """Compare every exported mask with its scan and, for information, with the truth."""
    dice = []
    for scan in scans:
        exported = nib.load(next(folder.rglob(scan.name)))
        source = nib.load(scan)
        assert np.array_equal(exported.affine, source.affine) and exported.shape == source.shape
        mask = np.asarray(exported.dataobj) > 0
        truth = np.asarray(nib.load(ATRIA / "labels" / scan.name).dataobj) > 0
        dice.append(2 * (mask & truth).sum() / (mask.sum() + truth.sum()))
    print(json.dumps({"exported": len(dice), "mean_dice_unlabelled": round(float(np.mean(dice[3:])), 3)}))


if __name__ == "__main__":
    at_the_screen(__doc__, "walkthrough", (1280, 800), whole_job)
