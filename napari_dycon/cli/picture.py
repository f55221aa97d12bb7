"""A picture of predictions: scan, contours of prediction and truth, entropy."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_dycon.io.atomic import atomic_path
from napari_dycon.io.geometry import Geometry, Reorientation
from napari_dycon.io.masks import read_mask
from napari_dycon.study.store.runs import ENTROPY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from napari_dycon.study.store.schema import Structure
    from napari_dycon.study.study import Study

INK, PAPER, QUIET = "#f2f2f2", "#16181c", "#9aa0a8"
COLUMNS = ("scan", "prediction (line) and truth (dotted)", "where the model is unsure")
LARGEST_PICTURED = 4


@dataclass(frozen=True)
class _View:
    """One axial slice, rows from anterior to posterior, columns from the patient's right to left."""

    title: str
    scan: NDArray[np.float64]
    prediction: NDArray[np.uint8]
    truth: NDArray[np.uint8] | None
    entropy: NDArray[np.float32]
    aspect: float


def draw_result(study: "Study", run: str, truth: Path, scores: Sequence[dict[str, Any]], out: Path) -> None:
    """Draw up to four unlabelled cases, from the best to the worst Dice.

    Parameters
    ----------
    study, run
        Whose predictions.
    truth : Path
        Folder of true label maps by case id or name; cases without one show the prediction alone.
    scores : sequence of dict
        ``case``, ``structure`` and ``dice``, for the captions.
    out : Path
        PNG file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    views = [_view(study, run, case, truth, scores) for case in _choose(study, run, scores)]
    if not views:
        return
    layout = ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.05)
    figure = Figure(figsize=(10.5, 3.3 * len(views) + 1.2), facecolor=PAPER, layout=layout)
    figure.suptitle(_heading(study), color=INK, fontsize=13)
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(views), 3, squeeze=False)
    for row, view in zip(axes, views, strict=True):
        _draw_row(row, view, study.structures)
    for axis, title in zip(axes[0], COLUMNS, strict=True):
        axis.set_title(title, color=INK, fontsize=11, pad=10)
    _legend(figure, axes, study.structures)
    with atomic_path(out) as part:
        figure.savefig(part, dpi=130, format="png", facecolor=PAPER)


def _heading(study: "Study") -> str:
    labelled = sum(case.status != "unlabelled" for case in study.cases)
    return f"{study.name}: unlabelled cases after training with {labelled} of {len(study.cases)} labelled"


def _choose(study: "Study", run: str, scores: Sequence[dict[str, Any]]) -> list[str]:
    """Unlabelled predicted cases, evenly from the best to the worst."""
    dice: dict[str, list[float]] = {}
    for score in scores:
        if score["dice"] is not None:
            dice.setdefault(str(score["case"]), []).append(float(score["dice"]))
    unlabelled = [
        c.id for c in study.cases if c.status == "unlabelled" and study.predictions.path(run, c.id).exists()
    ]
    ordered = sorted(unlabelled, key=lambda case: -float(np.mean(dice.get(case, [0.0]))))
    places = np.linspace(0, len(ordered) - 1, min(LARGEST_PICTURED, len(ordered))).round().astype(int)
    return [ordered[place] for place in places]


def _view(study: "Study", run: str, case: str, truth_folder: Path, scores: Sequence[dict[str, Any]]) -> _View:
    volume = study.volume(case)
    prediction, entropy = study.predictions.mask(run, case), study.predictions.map(run, case, ENTROPY)
    assert prediction is not None and entropy is not None
    truth = _truth(truth_folder, study, case, volume.geometry)
    turn = Reorientation.to(volume.geometry, "LPS")
    shown = turn.apply(prediction if truth is None else truth)
    place = int(np.argmax((shown > 0).sum(axis=(0, 1)) + 20 * (shown == shown.max()).any(axis=(0, 1))))

    def cut(array: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(turn.apply(array)[:, :, place].T)

    named = [s for s in scores if s["case"] == case and s["dice"] is not None]
    caption = "   ".join(f"{s['structure']} Dice {s['dice']:.2f}" for s in named)
    return _View(
        title=f"{case}\n{caption}" if caption else case,
        scan=cut(volume.array).astype(np.float64),
        prediction=cut(prediction),
        truth=None if truth is None else cut(truth),
        entropy=cut(entropy),
        aspect=turn.spacing[1] / turn.spacing[0],
    )


def _truth(folder: Path, study: "Study", case: str, geometry: Geometry) -> NDArray[np.uint8] | None:
    names = {case} | {entry.name for entry in study.cases if entry.id == case}
    for name in sorted(names):
        for suffix in (".nii.gz", ".nii"):
            path = folder / f"{name}{suffix}"
            if path.exists():
                return read_mask(path, geometry)
    return None


def _draw_row(row: "Sequence[Axes]", view: _View, structures: "Sequence[Structure]") -> None:
    low, high = np.percentile(view.scan, (1, 99.5))
    for axis in row:
        axis.imshow(view.scan, cmap="gray", vmin=low, vmax=high, aspect=view.aspect, interpolation="bilinear")
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_facecolor("black")
        for edge in axis.spines.values():
            edge.set_visible(False)
    row[0].set_xlabel(view.title, color=QUIET, fontsize=9, loc="left")
    for structure in structures:
        _contour(row[1], view.prediction == structure.value, structure.color, "solid", 1.6)
        if view.truth is not None:
            _contour(row[1], view.truth == structure.value, INK, "dotted", 1.1)
    visible = np.clip(1.5 * view.entropy, 0, 0.9)
    row[2].imshow(
        view.entropy,
        cmap="inferno",
        vmin=0,
        vmax=1,
        alpha=visible,
        aspect=view.aspect,
        interpolation="nearest",
    )


def _contour(axis: "Axes", inside: NDArray[np.bool_], color: str, style: str, width: float) -> None:
    if inside.any() and not inside.all():
        axis.contour(
            inside.astype(float), levels=[0.5], colors=[color], linestyles=[style], linewidths=[width]
        )


def _legend(figure: Any, axes: Any, structures: "Sequence[Structure]") -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=structure.color, label=structure.name) for structure in structures]
    lines.append(Line2D([], [], color=INK, linestyle="dotted", label="truth"))
    figure.legend(
        handles=lines, loc="outside lower left", ncols=len(lines), frameon=False, labelcolor=INK, fontsize=9
    )
    scale = ScalarMappable(Normalize(0, 1), "inferno")
    bar = figure.colorbar(scale, ax=axes[-1, 2], orientation="horizontal", shrink=0.6, aspect=30, pad=0.02)
    bar.set_ticks([0, 1], labels=["sure", "unsure"], color=INK, fontsize=9)
    bar.outline.set_visible(False)
