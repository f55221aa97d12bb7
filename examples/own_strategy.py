"""A strategy of suggestions of your own in one file, asked on a study.

    python examples/own_strategy.py STUDY

It goes to the largest slice: in each case that is not complete, the one that crosses most of a predicted
structure. Put into ``napari_dycon/guidance/strategies``, or named under the entry point group
``napari_dycon.strategies`` of a package, the first part of this file is asked with ``dycon suggest --strategy
largest``, and ``dycon simulate --strategies ours,largest`` compares it with ours.
"""

from __future__ import annotations

import argparse
from collections.abc import Generator, Iterator
from pathlib import Path

from napari_dycon.engine.control import Control
from napari_dycon.guidance.predicted import Predicted, answer, looking
from napari_dycon.guidance.slices import Spot
from napari_dycon.guidance.suggestions import CaseLooked, Suggestions, Wanted, strategies, suggest
from napari_dycon.study.study import Study


@strategies("largest")
def largest(
    study: Study, run: str | None, wanted: Wanted, control: Control
) -> Generator[CaseLooked, None, Suggestions]:
    """Choose of each case the slice with the largest part of it inside of a structure, the largest first."""
    found, left_out = yield from looking(study, run, control, _largest_slice)
    chosen = sorted(found, key=lambda spot: -spot.score)[: wanted.count]
    return answer(study, run, chosen, left_out, wanted.count, "most of a structure is on this slice")


def _largest_slice(predicted: Predicted) -> Iterator[Spot]:
    spots = [
        spot for spot in predicted.score_slices((predicted.mask > 0).astype("float32")) if spot.score > 0
    ]
    if spots:
        yield max(spots, key=lambda spot: spot.score)


def sentences(folder: Path, count: int = 8) -> list[str]:
    """Say where the largest slices of a study are, guided by its active run."""
    with Study.open(folder, read_only=True) as study:
        places = suggest(study, count=count, strategy="largest")
    return [f"{at.case}, {at.plane} slice {at.index}, {at.structure_name}: {at.reason}" for at in places]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("study", type=Path)
    print(*sentences(parser.parse_args().study), sep="\n")
