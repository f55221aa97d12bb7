"""Two scans of one body brought onto each other: shifted and turned, then scaled and sheared, then bent.

What is maximised is the mutual information of both images (Mattes et al., IEEE TMI 22 (2003) 120), from
coarse to fine, so that their contrasts may differ. How well they lie on each other is told by the entropy
correlation coefficient ``2 I / (H1 + H2)`` where both have voxels (Maes et al., IEEE TMI 16 (1997) 187): 0
for images that say nothing about each other, 1 where one follows from the other. A step that does not raise
it is not taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TypeAlias

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from napari_dycon.errors import VolumeError
from napari_dycon.io.geometry import LPS_TO_RAS, Geometry
from napari_dycon.io.volumes import Volume

LEVELS_MM = (8.0, 4.0, 2.0)
"""How closely the images are looked at, from coarse to fine."""
BINS = 32
SAMPLES = 40_000
"""So many voxels are compared at each iteration; the seed says which."""
MOST_ITERATIONS = 100
MESH_MM = 60.0
"""Distance of the points between which the last step bends."""
BENDING_ITERATIONS = 15
BENDING_SAMPLES = 10_000
MOST_BENT = 0.4
"""Share of that distance by which a point may move at most, so that space is not folded (Choi & Lee 2000)."""
STARTING_ITERATIONS = 40
STARTING_SAMPLES = 5000
LEAST_GAIN = 0.01
"""Bending that lets the images lie on each other less better than this is not taken."""
LEAST_OVERLAP = 0.2
"""Share of the smaller scan that both must show."""
LARGEST_SCALE = 1.5
"""What has grown or shrunk more than this in volume is another body, or was not found."""
ASIDE = 0.15
"""Share of the scan by which it is moved aside, to see whether it fits there no worse."""
LEAST_PEAK = 1.5
"""So many times better than moved aside the scans must lie on each other."""

_TAILS = (0.5, 99.5)
_MOST_FOR_TAILS = 1_000_000
_INSIDE = 0.99
_NO_OVERLAP = (
    "The two scans could not be brought onto each other: they show no part of the body that is the same. "
    "Check that both are of one patient."
)
_NO_FIT = (
    "The two scans could not be brought onto each other: nowhere do they fit each other clearly better than "
    "beside it. Check that both are of one patient and show the same part of the body."
)

Floats: TypeAlias = NDArray[np.float32]
Stop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class RegistrationStep:
    """So many of all steps are done."""

    done: int
    total: int


@dataclass(frozen=True, eq=False)
class Registration:
    """Where each place of the later scan was in the earlier one.

    Attributes
    ----------
    before, after
        Entropy correlation coefficient of the images as their files place them, and as registered; 0 to 1.
    overlap
        Share of the later scan that the earlier one shows, 0 to 1.
    moved_mm
        How far the centre of the later scan lies from where it was.
    bent
        Whether it was bent, too.
    transform
        From the later scan to the earlier one, in LPS mm.
    later, earlier
        Their grids.
    """

    before: float
    after: float
    overlap: float
    moved_mm: float
    bent: bool
    transform: sitk.Transform
    later: Geometry
    earlier: Geometry

    def carry(self, values: NDArray[np.generic]) -> Floats:
        """Sample an array ``(x, y, z)`` of the earlier scan on the grid of the later one; 0 beyond it."""
        return _sample(np.asarray(values, np.float32), self.earlier, self.later, self.transform)


def register(
    later: Volume,
    earlier: Volume,
    *,
    bend: bool = False,
    seed: int = 0,
    stop: Stop = lambda: False,
) -> Iterator[RegistrationStep | Registration]:
    """Bring an earlier scan onto a later one of the same body.

    The same scans, settings and seed give the same result on a machine.

    Parameters
    ----------
    later, earlier
        The scans.
    bend
        Bend the earlier scan at the end, too (cubic B-splines), if that lets them lie better on each other.
    seed
        Which voxels are compared.
    stop
        Asked at each iteration; nothing more is yielded once it says so.

    Yields
    ------
    RegistrationStep
        After each step.
    Registration
        Last.

    Raises
    ------
    VolumeError
        With one sentence, where they could not be brought onto each other.
    """
    work = _Alignment((_levels(later), _levels(earlier)), seed, stop)
    steps = [work.start, work.turn, work.scale, *([work.bend] if bend else [])]
    for done, step in enumerate(steps, start=1):
        step()
        if stop():
            return
        yield RegistrationStep(done, len(steps))
    yield work.result(later.geometry, earlier.geometry)


@dataclass(frozen=True, eq=False)
class _Level:
    """An image as closely as it is looked at in one step."""

    values: Floats
    geometry: Geometry

    @property
    def image(self) -> sitk.Image:
        """As ITK has it."""
        return _image(self.values, self.geometry)

    @property
    def centre(self) -> NDArray[np.float64]:
        """Its middle, in LPS mm."""
        return np.asarray((LPS_TO_RAS @ np.append(self.geometry.corners.mean(axis=0), 1))[:3])

    @property
    def mass(self) -> NDArray[np.float64]:
        """Its centre of mass, in LPS mm."""
        weights = self.values - self.values.min()
        if not weights.any():
            return self.centre
        voxel = ndimage.center_of_mass(weights)
        return np.asarray((LPS_TO_RAS @ self.geometry.affine @ np.append(voxel, 1))[:3])

    def coarser(self, size_mm: float) -> _Level:
        """Smooth it and thin it out along the axes that are finer than this."""
        step = np.maximum(1.0, size_mm / np.asarray(self.geometry.spacing))
        smooth = ndimage.gaussian_filter(self.values, np.where(step > 1, 0.4 * step, 0))
        shape = np.asarray(self.geometry.shape)
        fewer = np.maximum(1, np.ceil(shape / step))
        thinned = np.diag([*step, 1.0])
        thinned[:3, 3] = (shape - 1 - (fewer - 1) * step) / 2
        grid = Geometry((int(fewer[0]), int(fewer[1]), int(fewer[2])), self.geometry.affine @ thinned)
        return _Level(_sample(smooth, self.geometry, grid, sitk.Transform()), grid)


def _levels(volume: Volume) -> list[_Level]:
    """The scan from coarse to fine, without values that are not finite or far from all others."""
    values = np.asarray(volume.array, np.float32)
    finite = np.isfinite(values)
    some = values[finite][:: max(1, values.size // _MOST_FOR_TAILS)]
    low, high = np.percentile(some, _TAILS)
    found = [_Level(np.clip(np.where(finite, values, low), low, high).astype(np.float32), volume.geometry)]
    for size in reversed(LEVELS_MM):
        found.insert(0, found[0].coarser(size))
    return found[:-1]


def _to_lps(geometry: Geometry) -> NDArray[np.float64]:
    """Directions of the axes of a grid in LPS, as columns of length 1."""
    return np.asarray((LPS_TO_RAS @ geometry.affine)[:3, :3] / geometry.spacing)


def _frame(geometry: Geometry) -> tuple[list[float], list[float], list[float]]:
    """Origin, spacing and direction of a grid as ITK has them."""
    origin = (LPS_TO_RAS @ geometry.affine)[:3, 3]
    return origin.tolist(), list(geometry.spacing), _to_lps(geometry).ravel().tolist()


def _size(geometry: Geometry) -> float:
    """Volume of a grid in mm³."""
    return prod(geometry.shape) * geometry.voxel_volume_mm3


def _image(values: Floats, geometry: Geometry) -> sitk.Image:
    origin, spacing, direction = _frame(geometry)
    image = sitk.GetImageFromArray(np.ascontiguousarray(values.T))
    image.SetOrigin(origin)
    image.SetSpacing(spacing)
    image.SetDirection(direction)
    return image


def _sample(values: Floats, geometry: Geometry, grid: Geometry, transform: sitk.Transform) -> Floats:
    image, frame = _image(values, geometry), _frame(grid)
    found = sitk.Resample(image, list(grid.shape), transform, sitk.sitkLinear, *frame, 0.0)
    return np.ascontiguousarray(sitk.GetArrayFromImage(found).T)


@dataclass(frozen=True)
class _Fit:
    """How well two images lie on each other, see `Registration`, and which share of the later one counts."""

    similarity: float
    overlap: float


def _fit(later: _Level, earlier: _Level, transform: sitk.Transform) -> _Fit:
    moved = _sample(earlier.values, earlier.geometry, later.geometry, transform)
    there = _sample(np.ones_like(earlier.values), earlier.geometry, later.geometry, transform)
    both = there > _INSIDE
    if not both.any():
        return _Fit(0.0, 0.0)
    counts, _, _ = np.histogram2d(later.values[both], moved[both], BINS)
    one, two, joint = (_entropy(n) for n in (counts.sum(axis=1), counts.sum(axis=0), counts))
    similarity = 2 * (one + two - joint) / (one + two) if one + two else 0.0
    return _Fit(similarity, float(both.mean()))


def _entropy(counts: NDArray[np.float64]) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


class _Alignment:
    """What is known so far of how two scans lie to each other."""

    def __init__(self, levels: tuple[list[_Level], list[_Level]], seed: int, stop: Stop) -> None:
        (self._later, self._earlier), self._seed, self._stop = levels, seed, stop
        self._rigid = sitk.Euler3DTransform()
        self._transform: sitk.Transform = self._rigid
        self._bent = False

    def start(self) -> None:
        """Look coarsely: from where the files place them, middles or masses together, and beside that."""
        found = []
        for shift in self._starts():
            tried = sitk.Euler3DTransform()
            tried.SetCenter(self._later[0].centre.tolist())
            tried.SetTranslation(shift.tolist())
            self._optimise(tried, 0, LEVELS_MM[0], STARTING_ITERATIONS, STARTING_SAMPLES)
            fit = self._fit(tried, 1)
            if self._of_smaller(fit.overlap) >= LEAST_OVERLAP:
                found.append((fit.similarity, tried))
        if not found and not self._stop():
            raise VolumeError(_NO_OVERLAP)
        if found:
            self._transform = self._rigid = max(found, key=lambda each: each[0])[1]

    def _starts(self) -> list[NDArray[np.float64]]:
        later, earlier = self._later[0], self._earlier[0]
        middles = earlier.centre - later.centre
        beside = (middles + shift for shift in _asides(later.geometry))
        return [np.zeros(3), middles, earlier.mass - later.mass, *beside]

    def turn(self) -> None:
        """Shift and turn."""
        for level in (1, 2):
            self._optimise(self._rigid, level, LEVELS_MM[level])

    def scale(self) -> None:
        """Scale and shear, too."""
        affine = sitk.AffineTransform(3)
        affine.SetCenter(self._rigid.GetCenter())
        affine.SetMatrix(self._rigid.GetMatrix())
        affine.SetTranslation(self._rigid.GetTranslation())
        for level in (1, 2):
            self._optimise(affine, level, LEVELS_MM[level] / 2)
        if 1 / LARGEST_SCALE < np.linalg.det(np.reshape(affine.GetMatrix(), (3, 3))) < LARGEST_SCALE:
            self._take(affine)

    def bend(self) -> None:
        """Bend, coarsely."""
        later = self._later[1]
        sides = np.multiply(later.geometry.shape, later.geometry.spacing)
        mesh = [max(1, round(side / MESH_MM)) for side in sides]
        most = MOST_BENT * float((sides / mesh).min())
        bending = sitk.BSplineTransformInitializer(later.image, mesh)
        method = self._method(later, BENDING_SAMPLES)
        method.SetMovingInitialTransform(self._transform)
        method.SetInitialTransform(bending, inPlace=True)
        limits = {"lowerBound": -most, "upperBound": most}
        method.SetOptimizerAsLBFGSB(1e-5, BENDING_ITERATIONS, 5, 4 * BENDING_ITERATIONS, 1e7, **limits)
        if self._execute(method, 1):
            self._bent = self._take(sitk.CompositeTransform([self._transform, bending]), LEAST_GAIN)

    def result(self, later: Geometry, earlier: Geometry) -> Registration:
        """Return how the scans lie to each other.

        Raises
        ------
        VolumeError
            Where they do not fit.
        """
        before, after = self._fit(sitk.Transform()), self._fit(self._transform)
        centre = self._later[0].centre
        moved = float(np.linalg.norm(np.asarray(self._transform.TransformPoint(centre.tolist())) - centre))
        if self._of_smaller(after.overlap) < LEAST_OVERLAP:
            raise VolumeError(_NO_OVERLAP)
        if after.similarity < before.similarity or not self._is_peak():
            raise VolumeError(_NO_FIT)
        found = (before.similarity, after.similarity, after.overlap, moved, self._bent)
        return Registration(*found, self._transform, later, earlier)

    def _take(self, transform: sitk.Transform, gain: float = 0.0) -> bool:
        """Go on from here if the scans lie better on each other."""
        better = self._fit(transform).similarity > self._fit(self._transform).similarity + gain
        self._transform = transform if better else self._transform
        return better

    def _fit(self, transform: sitk.Transform, level: int = 2) -> _Fit:
        return _fit(self._later[level], self._earlier[level], transform)

    def _of_smaller(self, overlap: float) -> float:
        """Turn a share of the later scan into one of the smaller scan."""
        later, earlier = (_size(levels[0].geometry) for levels in (self._later, self._earlier))
        return overlap * later / min(later, earlier)

    def _is_peak(self) -> bool:
        """Tell whether the scans lie clearly better on each other than moved aside along any axis."""
        shifts = (sitk.TranslationTransform(3, each.tolist()) for each in _asides(self._later[1].geometry))
        aside = (sitk.CompositeTransform([self._transform, shift]) for shift in shifts)
        beside = [self._fit(each, 1).similarity for each in aside]
        return self._fit(self._transform, 1).similarity > LEAST_PEAK * max(beside)

    def _optimise(
        self,
        transform: sitk.Transform,
        level: int,
        step_mm: float,
        iterations: int = MOST_ITERATIONS,
        samples: int = SAMPLES,
    ) -> None:
        method = self._method(self._later[level], samples)
        method.SetOptimizerAsRegularStepGradientDescent(step_mm, step_mm / 100, iterations, 0.6)
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetInitialTransform(transform, inPlace=True)
        self._execute(method, level)

    def _method(self, later: _Level, samples: int = SAMPLES) -> sitk.ImageRegistrationMethod:
        method = sitk.ImageRegistrationMethod()
        method.SetNumberOfThreads(1)
        method.SetNumberOfWorkUnits(1)  # what several find is added up in the order in which they end
        method.SetMetricAsMattesMutualInformation(BINS)
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(min(1.0, samples / later.values.size), self._seed + 1)
        method.SetInterpolator(sitk.sitkLinear)
        return method

    def _execute(self, method: sitk.ImageRegistrationMethod, level: int) -> bool:
        """Let ITK work; tell whether it could."""
        if self._stop():
            return False

        def look() -> None:
            if self._stop():
                method.StopRegistration()

        method.AddCommand(sitk.sitkIterationEvent, look)
        try:
            method.Execute(self._later[level].image, self._earlier[level].image)
        except RuntimeError:
            return False
        return not self._stop()


def _asides(grid: Geometry) -> list[NDArray[np.float64]]:
    """Shifts along the axes of a grid, to both sides, in LPS mm."""
    sides = _to_lps(grid) * np.multiply(grid.shape, grid.spacing)
    return [sign * ASIDE * side for side, sign in product(sides.T, (-1, 1))]
