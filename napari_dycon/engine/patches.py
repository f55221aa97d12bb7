"""Patches for training: a labelled stream and an unlabelled one.

A batch is a pure function of seed and iteration; that is all there is to resuming exactly.
"""

import copy
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from napari_dycon.engine.anatomy import numbered_pieces
from napari_dycon.engine.arrays import let_go
from napari_dycon.engine.augmentation import identity_warp, perturb, random_warp, sample_patch
from napari_dycon.engine.plan import Plan
from napari_dycon.learning.batch import IGNORE, UNKNOWN, Batch

REMEMBERED_VOXELS = 20_000
"""Of each structure of a case at most this many voxels are remembered as possible patch centres."""

ROOM = 2
"""Where a patch has hardly more than one place along an axis, it may hang over the scan by one voxel."""
FEW = 4
"""A scan of fewer voxels than this along an axis is never left out in part."""
RARE = 64
ANYWHERE = -1
Voxels = NDArray[np.int64]


@dataclass(frozen=True)
class TrainingCase:
    """One case as training may see it.

    Attributes
    ----------
    image : float16 (channel, x, y, z)
    target : uint8 (x, y, z), 255 where nothing may be learned; None for an unlabelled case
    unlabelled : whether unlabelled patches may be taken from it
    weight : importance of each voxel of the target, (x, y, z); None for 1
    own : the same scan as the model has labelled it by itself, where it has
    """

    image: NDArray[np.float16]
    target: NDArray[np.uint8] | None
    unlabelled: bool
    weight: NDArray[np.float16] | None = None
    own: "TrainingCase | None" = None


class PatchSampler:
    """Draws batches.

    The labelled stream takes cases with known voxels only; a share of its patches is centred on a known
    voxel of a structure drawn at random, so that a tiny structure is seen as often as a large one, and of a
    piece of it drawn by its diameter, so that a small lesion is not lost beside a large one. The others are
    centred on any known voxel where the scan shows something. The last quarter, at least one, is of cases
    that the model labelled by itself, where there are some: a method that pastes patches shows those only as
    part of a mixture with a person's. The unlabelled stream never looks at labels, except to prefer voxels of
    partly labelled cases that are still unknown.

    Parameters
    ----------
    cases, plan, seed
        What batches follow from.
    makes
        Whether a patch is made here, by its number in the batch; where not, it is 0 everywhere, as others
        make it. All are made here by default.

    Raises
    ------
    ValueError
        When no case has a known voxel.
    """

    def __init__(
        self,
        cases: Sequence[TrainingCase],
        plan: Plan,
        seed: int,
        makes: Callable[[int], bool] | None = None,
    ) -> None:
        self._plan = plan
        self._seed = seed
        self._makes = makes
        self._arrange([_Source.of(case, (seed, 11, index)) for index, case in enumerate(cases)])

    def with_cases(self, cases: Mapping[int, TrainingCase]) -> "PatchSampler":
        """Return the sampler that has these cases in the places given; the others are not looked at again.

        Raises
        ------
        ValueError
            When no case has a known voxel then.
        """
        new = {index: _Source.of(case, (self._seed, 11, index)) for index, case in cases.items()}
        sampler = copy.copy(self)
        sampler._arrange([new.get(index, source) for index, source in enumerate(self._sources)])
        return sampler

    def _arrange(self, sources: "Sequence[_Source]") -> None:
        self._sources = sources
        self._labelled = [entry for source in sources for entry in source.entries()]
        self._own = [entry for source in sources if source.own for entry in source.own.entries()]
        self._unlabelled = [(source.case, source.unknown) for source in sources if source.case.unlabelled]
        if not self._labelled:
            raise ValueError("no case has a known voxel")
        self._structures = sorted({c for *_, known in self._labelled for c in known if c > 0})

    @property
    def learns_from_unlabelled(self) -> bool:
        """Whether batches hold unlabelled patches."""
        return bool(self._unlabelled) and self._plan.batch_unlabelled > 0

    @property
    def planned(self) -> tuple[int, int]:
        """Labelled and unlabelled patches of a whole batch."""
        plan = self._plan
        return plan.batch_labelled, plan.batch_unlabelled if self.learns_from_unlabelled else 0

    def batch(self, iteration: int, patches: tuple[int, int] | None = None) -> Batch:
        """Make the batch of an iteration, on request with only the first so many patches of each stream."""
        labelled, unlabelled = patches or self.planned
        first_own = labelled - max(1, labelled // 4) if self._own and labelled > 1 else labelled
        images, targets, weights = zip(
            *(
                self._labelled_patch(
                    self._labelled if number < first_own else self._own,
                    np.random.default_rng((self._seed, iteration, 0, number)),
                )
                if self._is_made(number)
                else self._blank()
                for number in range(labelled)
            ),
            strict=True,
        )
        weak, strong, inside = self._unlabelled_patches(iteration, unlabelled, labelled)
        return Batch(
            image=torch.stack(images),
            target=torch.stack(targets).long(),
            weight=_stack_weights(weights) if self._makes is None else self._weights_of_a_share(weights),
            weak=weak,
            strong=strong,
            inside=inside,
        )

    def batches(
        self, start: int, ahead: int = 0, patches: Callable[[int], tuple[int, int] | None] = lambda _: None
    ) -> Iterator[Batch]:
        """All batches from an iteration on; `ahead` of them are made in background threads.

        `patches` says of an iteration how many patches of each stream are worth making.
        """
        if not ahead:
            iteration = start
            while True:
                yield self.batch(iteration, patches(iteration))
                iteration += 1
        with ThreadPoolExecutor(ahead, thread_name_prefix="patches") as pool:
            waiting: deque[Future[Batch]] = deque()
            iteration = start
            try:
                while True:
                    while len(waiting) < 2 * ahead:
                        waiting.append(pool.submit(self.batch, iteration, patches(iteration)))
                        iteration += 1
                    yield waiting.popleft().result()
            finally:
                for batch in waiting:
                    batch.cancel()

    def _is_made(self, number: int) -> bool:
        return self._makes is None or self._makes(number)

    def _blank(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Image, target and weight of a patch that others make."""
        size = self._plan.patch_size
        channels = len(self._sources[0].case.image)
        return torch.zeros(channels, *size), torch.zeros(size, dtype=torch.uint8), torch.zeros(size)

    def _weights_of_a_share(self, weights: Sequence[torch.Tensor | None]) -> torch.Tensor | None:
        """Weights of the patches made here, wherever a case has some: all processes need them then."""
        sources = [entry[0] for entry in (*self._labelled, *self._own)]
        if all(case.weight is None for case in sources):
            return None
        ones = torch.ones(self._plan.patch_size)
        return torch.stack([ones if weight is None else weight for weight in weights])

    def _labelled_patch(
        self, source: Sequence["_Labelled"], random: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        plan = self._plan
        case, target, voxel = self._labelled_centre(source, random)
        centre = _place(voxel, target.shape, plan.patch_size, random)
        warp = random_warp(plan.augmentation, plan.spacing, random)
        image, labels, weight = sample_patch(case.image, target, centre, plan.patch_size, warp, case.weight)
        if bool((labels >= IGNORE).all()):
            centre = _place(voxel, target.shape, plan.patch_size, None)
            image, labels, weight = sample_patch(
                case.image, target, centre, plan.patch_size, identity_warp(), case.weight
            )
        let_go(case.image, target, case.weight)
        return perturb(image, plan.augmentation, random), labels, weight

    def _labelled_centre(
        self, source: Sequence["_Labelled"], random: np.random.Generator
    ) -> tuple[TrainingCase, NDArray[np.uint8], NDArray[np.int64]]:
        wanted = None
        if self._structures and random.random() < self._plan.foreground_share:
            wanted = self._structures[int(random.integers(len(self._structures)))]
        able = [entry for entry in source if wanted is None or wanted in entry[2]]
        if not able:
            able, wanted = list(source), None
        case, target, known = able[int(random.integers(len(able)))]
        flat = known[ANYWHERE if wanted is None else wanted].draw(random)
        return case, target, np.array(np.unravel_index(flat, target.shape))

    def _unlabelled_patches(
        self, iteration: int, count: int, before: int
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
        if not count:
            return None, None, None
        plan, weak, strong, inside = self._plan, [], [], []
        for slot in range(count):
            if not self._is_made(before + slot):
                image, nothing, _ = self._blank()
                weak.append(image)
                strong.append(image)
                inside.append(nothing.bool())
                continue
            random = np.random.default_rng((self._seed, iteration, 1, slot))
            case, voxels = self._unlabelled[int(random.integers(len(self._unlabelled)))]
            shape = case.image.shape[1:]
            flat = int(random.integers(math.prod(shape)) if voxels is None else random.choice(voxels))
            centre = _place(np.array(np.unravel_index(flat, shape)), shape, plan.patch_size, random)
            warp = random_warp(plan.augmentation, plan.spacing, random)
            patch, blank, _ = sample_patch(case.image, None, centre, plan.patch_size, warp)
            let_go(case.image)
            weak.append(patch)
            inside.append(blank == UNKNOWN)
            strong.append(perturb(patch, plan.augmentation, random, plan.augmentation.strong))
        return torch.stack(weak), torch.stack(strong), torch.stack(inside)


def _stack_weights(weights: Sequence[torch.Tensor | None]) -> torch.Tensor | None:
    """Weights of a batch; None where they are 1 everywhere."""
    lesser = next((weight for weight in weights if weight is not None and bool((weight != 1).any())), None)
    if lesser is None:
        return None
    return torch.stack([torch.ones_like(lesser) if weight is None else weight for weight in weights])


@dataclass(frozen=True)
class _Centres:
    """Voxels that a patch may be centred on, by flat index, and the share of patches up to each."""

    voxels: Voxels
    up_to: NDArray[np.float64]

    @classmethod
    def alike(cls, voxels: Voxels) -> "_Centres":
        return cls(voxels, np.arange(1, len(voxels) + 1) / len(voxels))

    def draw(self, random: np.random.Generator) -> int:
        place = int(np.searchsorted(self.up_to, random.random(), side="right"))
        return int(self.voxels[min(place, len(self.voxels) - 1)])


@dataclass(frozen=True)
class _Source:
    """A case, its known voxels by class and its unknown ones; what is drawn of them depends on it alone."""

    case: TrainingCase
    known: dict[int, _Centres]
    unknown: Voxels | None
    own: "_Source | None"

    @classmethod
    def of(cls, case: TrainingCase, seed: tuple[int, ...]) -> "_Source":
        random = np.random.default_rng(seed)
        known = {} if case.target is None else _centres(case.image, case.target, random)
        unknown = _unknown(case.target, random) if case.unlabelled else None
        let_go(case.image, case.target)
        return cls(case, known, unknown, None if case.own is None else cls.of(case.own, (*seed, 1)))

    def entries(self) -> "Iterator[_Labelled]":
        """Yield the case where it has known voxels."""
        if self.case.target is not None and self.known:
            yield self.case, self.case.target, self.known


_Labelled = tuple[TrainingCase, NDArray[np.uint8], dict[int, _Centres]]
"""A case with known voxels, its target, and where its patches may be centred by class."""


def _centres(
    image: NDArray[np.float16], target: NDArray[np.uint8], random: np.random.Generator
) -> dict[int, _Centres]:
    """Known voxels by class; under `ANYWHERE` a sample of all known voxels."""
    known = target < IGNORE
    shown = known & (image > image.min(axis=(1, 2, 3), keepdims=True)).any(axis=0)
    everywhere = _sample(shown if shown.any() else known, random)
    if not len(everywhere):
        return {}
    found = {ANYWHERE: _Centres.alike(everywhere)}
    for value, box in enumerate(ndimage.find_objects(np.where(known, target, np.uint8(0))), start=1):
        if box is not None:
            found[value] = _by_piece(target[box] == value, box, target.shape, random)
    return found


def _by_piece(
    inside: NDArray[np.bool_], box: tuple[slice, ...], shape: Sequence[int], random: np.random.Generator
) -> _Centres:
    """Voxels of a structure, each piece drawn by its diameter."""
    pieces, sizes = numbered_pieces(inside)
    flat = np.flatnonzero(inside)
    owner = pieces.ravel()[flat] - 1
    chance = np.cumsum(np.cbrt(sizes)[owner] / sizes[owner])
    if len(flat) > REMEMBERED_VOXELS:
        shares = (np.arange(REMEMBERED_VOXELS) + random.random(REMEMBERED_VOXELS)) / REMEMBERED_VOXELS
        flat = flat[np.searchsorted(chance, shares * chance[-1]).clip(max=len(flat) - 1)]
        chance = np.arange(1, REMEMBERED_VOXELS + 1, dtype=np.float64)
    places = np.unravel_index(flat, inside.shape)
    start = [part.start for part in box]
    voxels = np.ravel_multi_index([place + s for place, s in zip(places, start, strict=True)], shape)
    return _Centres(voxels, chance / chance[-1])


def _unknown(target: NDArray[np.uint8] | None, random: np.random.Generator) -> Voxels | None:
    if target is None:
        return None
    voxels = _sample(target == UNKNOWN, random)
    return voxels if len(voxels) else None


def _sample(mask: NDArray[np.bool_], random: np.random.Generator) -> Voxels:
    """Some voxels of a mask by flat index, each as likely; without a list of all where they are many."""
    flat = mask.ravel()
    count = int(np.count_nonzero(flat))
    if count <= max(REMEMBERED_VOXELS, flat.size // RARE):
        found = np.flatnonzero(flat)
    else:
        tries = 2 * REMEMBERED_VOXELS * flat.size // count
        tried = np.unique(random.integers(flat.size, size=tries))
        found = tried[flat[tried]]
    if len(found) <= REMEMBERED_VOXELS:
        return found
    return np.sort(random.choice(found, REMEMBERED_VOXELS, replace=False))


def _place(
    voxel: NDArray[np.int64],
    shape: Sequence[int],
    size: Sequence[int],
    random: np.random.Generator | None,
) -> list[float]:
    """Centre of a patch near a voxel: jittered, and inside the scan where the scan is large enough.

    The patch's voxels coincide with the scan's, so that a plain crop is not interpolated.
    """
    centre = []
    for v, n, p in zip(voxel.tolist(), shape, size, strict=True):
        if random is not None and n - p < ROOM:
            centre.append(_anywhere(n, p, random) + (p - 1) / 2)
            continue
        moved = v if random is None else v + random.uniform(-0.25, 0.25) * p
        start = min(max(round(moved - p / 2 + 0.5), 0), n - p) if n >= p else -((p - n) // 2)
        centre.append(start + (p - 1) / 2)
    return centre


def _anywhere(side: int, patch: int, random: np.random.Generator) -> int:
    """Start of a patch along an axis that shows all of the scan, or all but one slice.

    Always in the same place, a scan would teach which of its slices are labelled: the network tells slices
    by their distance from the border, and an up-sampling by two tells odd from even ones.
    """
    first, last = sorted((0, side - patch))
    over = side >= FEW and abs(side - patch) < ROOM
    return int(random.integers(first - over, last + over + 1))
