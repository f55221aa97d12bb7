"""What slices are worth that a strategy asks for, without any training: errors mended by time of labelling.

A study with predictions of its active run is asked for places by every strategy and seed; the simulated
annotator of `dycon simulate` answers each from the label maps, on the study as it is. Prints by strategy
the wrong area that a slice shows, how much of it is mended, what that takes, and the area mended in a minute.
What a model would learn from it is not measured; that takes `dycon simulate`.

    python benchmarks/guidance.py STUDY LABELS --strategies ours,random_foreground --seeds 8
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_dycon.engine.control import Control
from napari_dycon.engine.steps import finish
from napari_dycon.guidance.annotator import Annotator, Costs, Habits
from napari_dycon.guidance.suggestions import ONLY_SLICES, Suggestion, Wanted, strategies
from napari_dycon.io.masks import read_mask
from napari_dycon.study.store.place_log import REGION
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Known, slice_of
from napari_dycon.study.truth.regions import connected_piece


@dataclass
class Worth:
    """One slice: areas in mm^2."""

    wrong: float
    mended: float
    seconds: float
    contour_mm: float
    expected_seconds: float = 0.0
    expected: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--strategies", default=",".join(strategies.names()))
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--rounds", default="1,5", help="as which round strategies are asked")
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--regions", action="store_true", help="ask for pieces to accept or reject, too")
    wanted = parser.parse_args()
    levels = ONLY_SLICES | {REGION} if wanted.regions else ONLY_SLICES
    print(f"{'strategy':20}round  cases  wrong  mended  contour mm  seconds  mended mm2 a minute (+- s.e.)")
    with Study.open(wanted.study, read_only=True) as study:
        for name in wanted.strategies.split(","):
            for number in map(int, wanted.rounds.split(",")):
                asked = [
                    _asked(study, name, Wanted(wanted.count, number, seed, levels=levels))
                    for seed in range(wanted.seeds)
                ]
                _report(name, number, study, wanted.labels, asked)


def _asked(study: Study, name: str, wanted: Wanted) -> tuple[Suggestion, ...]:
    return finish(strategies.get(name)(study, study.active_run, wanted, Control())).places


def _report(name: str, number: int, study: Study, labels: Path, asked: list[tuple[Suggestion, ...]]) -> None:
    batches = [list(_answered(study, labels, places)) for places in asked]
    every = [worth for batch in batches for worth in batch]
    rates = [60 * sum(w.mended for w in batch) / sum(w.seconds for w in batch) for batch in batches]
    cases = np.mean([len({place.case for place in places}) for places in asked])
    wrong, mended, contour, seconds = (
        float(np.mean([getattr(worth, field) for worth in every]))
        for field in ("wrong", "mended", "contour_mm", "seconds")
    )
    error = np.std(rates, ddof=1) / len(rates) ** 0.5 if len(rates) > 1 else float("nan")
    print(
        f"{name:20}{number:5}{cases:7.1f}{wrong:7.0f}{mended:8.0f}{contour:12.0f}{seconds:9.1f}"
        f"{np.mean(rates):12.0f} +- {error:.0f}",
        flush=True,
    )
    _compare(every)


def _compare(every: list[Worth]) -> None:
    """Print what was foretold of the places beside what came true, where anything was."""
    told = np.array([(w.expected_seconds, w.seconds, w.expected, w.wrong, w.mended) for w in every])
    told = told[told[:, 0] > 0]
    if len(told) > 2:
        means, related = told.mean(axis=0), np.corrcoef(told.T)
        print(
            f"{'':20}seconds foretold {means[0]:.1f}, taken {means[1]:.1f} (r {related[0, 1]:.2f}); "
            f"wrong mm2 foretold {means[2]:.0f}, found {means[3]:.0f} (r {related[2, 3]:.2f}), "
            f"mended {means[4]:.0f}",
            flush=True,
        )


def _answered(study: Study, labels: Path, places: tuple[Suggestion, ...]) -> Iterator[Worth]:
    for place in places:
        if place.level == REGION:
            yield _decided(study, labels, place)
            continue
        geometry = study.geometry(place.case)
        truth = read_mask(labels / study.scan_path(place.case).name, geometry)
        annotation, prediction = (
            study.annotation(place.case),
            study.predictions.mask(study.active_run, place.case),
        )
        plane = slice_of(place.axis, place.index)
        pixel = np.prod(geometry.spacing) / geometry.spacing[place.axis]
        free = annotation.known[plane] == Known.UNKNOWN
        before = free & (prediction[plane] != truth[plane])
        person = Annotator(truth, geometry.spacing, Habits(), Costs())
        answer = person.label(annotation, place.axis, place.index, prediction)
        after = free & (annotation.labels[plane] != truth[plane])
        wrong, left = float(before.sum() * pixel), float(after.sum() * pixel)
        told = place.seconds, place.gain * place.seconds
        yield Worth(wrong, wrong - left, answer.seconds, answer.contour_mm, *told)


def _decided(study: Study, labels: Path, place: Suggestion) -> Worth:
    """A piece that is rejected where most of it is wrong, else accepted."""
    geometry = study.geometry(place.case)
    truth = read_mask(labels / study.scan_path(place.case).name, geometry)
    prediction = study.predictions.mask(study.active_run, place.case)
    piece = connected_piece(prediction, place.voxel)
    right = truth[piece.box][piece.mask] == prediction[place.voxel]
    pixel = geometry.voxel_volume_mm3 / geometry.spacing[place.axis]
    wrong, rejected = float((~right).sum() * pixel), right.mean() < 0.5
    background = truth[piece.box][piece.mask] == 0
    mended = float((background.sum() - right.sum()) * pixel) if rejected else 0.0
    return Worth(wrong, mended, Costs().slice + Costs().click, 0.0, place.seconds, place.gain * place.seconds)


if __name__ == "__main__":
    main()
