"""One annotation of several readers': what they agree on, and by rule what they do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from napari_dycon.study.truth.annotations import Annotation, Known

Rule = Literal["agreed", "majority", "staple"]
RULES: tuple[Rule, ...] = get_args(Rule)
_UNDECIDED = 255

_Votes = NDArray[np.uint8]
_Where = NDArray[np.bool_]


def consensus(annotations: Sequence[Annotation], rule: Rule) -> Annotation:
    """Make one annotation of several of the same scan.

    A voxel counts for those who know it. What they agree on is known as drawn, or as completed where it is
    background that nobody painted. What they differ on is known as interpolated where the rule decides it,
    and left unknown otherwise. Of a voxel that one reader alone knows, that one decides.

    Parameters
    ----------
    annotations
        Two or more, of one shape.
    rule
        Of what they differ on: ``"agreed"`` leaves it to a person; ``"majority"`` takes what more than half
        of those who know it say; ``"staple"`` weighs each reader by how often the others bear them out
        (Warfield, Zou & Wells, IEEE TMI 2004; for several labels Rohlfing, Russakoff & Maurer, IPMI 2003),
        over the box that holds all that anybody drew, where all know it, and leaves the rest.

    Raises
    ------
    ValueError
        If there are fewer than two, or of different shapes.
    """
    if len(annotations) < 2 or len({each.shape for each in annotations}) > 1:
        raise ValueError("a consensus needs two annotations or more of one shape")
    heard = np.stack([voice(each) for each in annotations])
    values = np.unique(np.concatenate([np.unique(each.labels) for each in annotations]))
    classes = np.stack([np.searchsorted(values, each.labels).astype(np.uint8) for each in annotations])
    differing = disagreement(annotations)
    agreed, most = heard.any(axis=0) & ~differing, _extremes(classes, heard)[1]
    decided, known = np.where(agreed, most, 0).astype(np.uint8), np.zeros(agreed.shape, np.uint8)
    known[agreed] = Known.DRAWN
    known[agreed & (values[decided] == 0) & _nobody_painted(annotations)] = Known.COMPLETED
    if rule != "agreed" and differing.any():
        settled = _DECIDERS[rule](classes, heard, differing)
        taken = differing & (settled != _UNDECIDED)
        decided[taken], known[taken] = settled[taken], Known.INTERPOLATED
    return Annotation(np.where(known > 0, values[decided], 0).astype(np.uint8), known)


def voice(annotation: Annotation) -> _Where:
    """Return ``(x, y, z)``: where a reader has said what is there."""
    return ~np.isin(annotation.known, (Known.UNKNOWN, Known.IGNORE))


def disagreement(annotations: Sequence[Annotation]) -> _Where:
    """Return ``(x, y, z)``: where readers who know a voxel say different things of it."""
    heard = np.stack([voice(each) for each in annotations])
    least, most = _extremes(np.stack([each.labels for each in annotations]), heard)
    return np.asarray(heard.any(axis=0) & (least != most))


def _extremes(classes: _Votes, heard: _Where) -> tuple[_Votes, _Votes]:
    """Least and greatest class by voxel among those who know it."""
    least = np.where(heard, classes, np.uint8(_UNDECIDED)).min(axis=0)
    return least, np.where(heard, classes, np.uint8(0)).max(axis=0)


def _nobody_painted(annotations: Sequence[Annotation]) -> _Where:
    silent = (Known.UNKNOWN, Known.IGNORE, Known.COMPLETED)
    return np.asarray(np.logical_and.reduce([np.isin(each.known, silent) for each in annotations]))


def _by_majority(classes: _Votes, heard: _Where, where: _Where) -> _Votes:
    votes, voices = classes[:, where], heard[:, where]
    winner = np.full(votes.shape[1], _UNDECIDED, np.uint8)
    for value in np.unique(votes[voices]):
        winner[2 * ((votes == value) & voices).sum(axis=0) > voices.sum(axis=0)] = value
    settled = np.full(where.shape, _UNDECIDED, np.uint8)
    settled[where] = winner
    return settled


def _by_staple(classes: _Votes, heard: _Where, where: _Where) -> _Votes:
    """Let ITK weigh the readers; it looks at each voxel by itself, so those that count are put in a row.

    How often each class is to be expected is taken from the majority, not from all votes as ITK does by
    default: one careless reader of a small structure makes that many times too often, and then the good
    readers lose.
    """
    judged = heard.all(axis=0) & _box(heard & (classes > 0))
    settled = np.full(where.shape, _UNDECIDED, np.uint8)
    if not (judged & where).any():
        return settled
    weigh = sitk.MultiLabelSTAPLEImageFilter()
    weigh.SetLabelForUndecidedPixels(_UNDECIDED)
    majority = _by_majority(classes, heard, judged)[judged]
    expected = np.bincount(majority[majority != _UNDECIDED], minlength=int(classes[:, judged].max()) + 1)
    weigh.SetPriorProbabilities((expected / max(1, expected.sum())).tolist())
    rows = [sitk.GetImageFromArray(votes[judged][None]) for votes in classes]
    settled[judged] = sitk.GetArrayFromImage(weigh.Execute(rows))[0]
    return settled


def _box(painted: _Where) -> _Where:
    """Where the box lies that holds all that is painted in any of the arrays."""
    box = np.zeros(painted.shape[1:], bool)
    places = np.argwhere(painted.any(axis=0))
    if len(places):
        box[tuple(slice(low, high + 1) for low, high in zip(places.min(0), places.max(0), strict=True))] = (
            True
        )
    return box


_DECIDERS: dict[Rule, Callable[[_Votes, _Where, _Where], _Votes]] = {
    "majority": _by_majority,
    "staple": _by_staple,
}
