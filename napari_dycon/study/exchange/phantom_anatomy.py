"""The anatomy of phantom patients: tissues as signed distances in millimetres, and their brightness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Field = NDArray[np.float32]

ORGAN = 1
NODULE = 2
EDGE_MM = 0.7
HALF_WIDTH_MM = np.array([50.0, 41.0, 56.0], dtype=np.float32)
"""Half of the body across x and y, and half of its length in the picture, in mm."""


@dataclass(frozen=True)
class Contrast:
    """Brightness of each tissue of one patient; air is 0 and the organ about 1."""

    fat: float
    muscle: float
    organ: float
    nodule: float
    vessel: float
    bone: float
    gland: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Contrast:
        """Draw the contrast of one patient."""
        usual = {
            "fat": 0.66,
            "muscle": 0.40,
            "organ": 1.0,
            "nodule": 1.32,
            "vessel": 0.95,
            "bone": 0.24,
            "gland": 0.52,
        }
        return cls(**{tissue: value * rng.uniform(0.92, 1.08) for tissue, value in usual.items()})


def draw_patient(points: Field, rng: np.random.Generator) -> tuple[Field, NDArray[np.uint8]]:
    """Draw one patient.

    Parameters
    ----------
    points
        RAS position in mm of each voxel, ``(3, x, y, z)``, with the body's middle at 0.
    rng
        Source of everything that varies between patients.

    Returns
    -------
    brightness : ndarray of float32, shape (x, y, z)
        Noise-free, 0 in air and about 1 in the organ.
    labels : ndarray of uint8, shape (x, y, z)
        `ORGAN` and `NODULE`.
    """
    contrast = Contrast.draw(rng)
    bent = _warp(points, rng, amplitude=2.5, wavelength=70.0)
    skin = _body(bent, rng)
    brightness = _mix(np.zeros_like(skin), skin, contrast.fat)
    inside = skin + np.float32(rng.uniform(3.5, 6.5)) + 1.5 * _waves(bent, rng, 25.0)
    brightness = _mix(brightness, inside, contrast.muscle)
    for distance, value in _surroundings(bent, contrast, rng):
        brightness = _mix(brightness, np.maximum(distance, skin + 2), value)
    organ, nodule = _organ_and_nodule(points, rng)
    brightness = _mix(brightness, np.minimum(organ, nodule) - np.float32(1.3), 0.85 * contrast.muscle)
    brightness = _mix(brightness, organ, contrast.organ)
    brightness = _mix(brightness, nodule, contrast.nodule)
    labels = np.where(organ < 0, np.uint8(ORGAN), np.uint8(0))
    labels[nodule < 0] = NODULE
    texture = _texture(skin.shape, rng)
    return brightness * (1 + texture), labels


def _organ_and_nodule(points: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Distances to a bright organ of two lobes, and to a small body that sits on it, in front and right."""
    size = rng.uniform(0.84, 1.16)
    centre = np.array([7.0, 2.0, 0.0]) + rng.normal(0, [3.0, 2.5, 4.0])
    turn = _rotation(rng.normal(0, np.radians([8, 8, 14])))
    local = _move(_warp(points, rng, amplitude=2.2, wavelength=38.0), centre, turn)
    main = _ellipsoid(local, size * np.array([19.0, 14.5, 21.0]) * rng.uniform(0.9, 1.1, 3))
    lobe_at = size * np.array([12.0, -5.0, rng.uniform(6, 12)])
    lobe = _ellipsoid(
        local - _column(lobe_at), size * np.array([12.0, 9.0, 11.0]) * rng.uniform(0.85, 1.15, 3)
    )
    organ = _smooth_union(main, lobe, 4.0)
    nodule_at = size * np.array([-16.0, 12.5, rng.uniform(-3, 5)])
    radii = np.array([9.6, 8.2, 11.0]) * rng.uniform(0.85, 1.15, 3)
    nodule = _ellipsoid(local - _column(nodule_at), radii)
    return organ, nodule


def _surroundings(
    points: Field, contrast: Contrast, rng: np.random.Generator
) -> list[tuple[Field, float | Field]]:
    """Distances and brightness of what lies around the organ and is not labelled; later ones lie on top."""
    gland = _ellipsoid(points - _column([-26.0, 6.0, rng.uniform(-18, 18)]), np.array([12.0, 17.0, 24.0]))
    gas = _ellipsoid(
        points - _column([-12.0 + rng.normal(0, 4), 26.0, rng.uniform(-30, 30)]), np.array([8.0, 5.0, 13.0])
    )
    vertebra = _ellipsoid(points - _column([0.0, -25.0, 0.0]), np.array([12.0, 9.0, 400.0]))
    disc_phase = rng.uniform(0, 2 * np.pi)
    marrow = contrast.bone * (1.35 + 0.45 * np.sin(points[2] * (2 * np.pi / 27.0) + disc_phase))
    canal = _tube(points, np.array([0.0, -36.0]), np.zeros(2), 4.0)
    fold = 2.2 - 2.2 * _waves(points, rng, 26.0) - 2.0 * _waves(points, rng, 13.0)
    cavity = _ellipsoid(points - _column([0.0, 6.0, 0.0]), np.array([36.0, 24.0, 400.0]))
    kidney = _ellipsoid(points - _column([29.0, -14.0, rng.uniform(-22, 22)]), np.array([7.5, 8.5, 19.0]))
    parts: list[tuple[Field, float | Field]] = [
        (np.maximum(fold, cavity), 0.9 * contrast.fat),
        (kidney - 2.2, contrast.fat),
        (kidney, 1.15 * contrast.gland),
        (gland + 1.5 * _waves(points, rng, 18.0), contrast.gland),
        (gas + 2.0 * _waves(points, rng, 14.0), 0.05),
        (vertebra, contrast.bone),
        (vertebra + 1.8, marrow),
        (canal, contrast.fat),
    ]
    parts += [(vessel, contrast.vessel) for vessel in _vessels(points, rng)]
    return parts


def _vessels(points: Field, rng: np.random.Generator) -> list[Field]:
    """Distances to bright tubes: two great vessels along the body, and a branch into the organ."""
    aorta = _tube(points, np.array([11.0, -15.5]), rng.normal(0, 2.0, 2), rng.uniform(4.2, 5.6))
    vein = _tube(points, np.array([-14.0, -12.0]), rng.normal(0, 2.5, 2), rng.uniform(3.6, 4.8))
    side = points[[1, 2, 0]]
    height = np.array([rng.uniform(-4, 8), rng.uniform(-14, 14)])
    branch = _tube(side, height, rng.normal(0, 2.0, 2), rng.uniform(2.0, 2.9))
    thin = _tube(points, np.array([rng.uniform(-8, 0), 22.0]), rng.normal(0, 4.0, 2), 1.8)
    return [aorta, vein, np.maximum(branch, np.abs(points[0] - 15) - 26), thin]


def _body(points: Field, rng: np.random.Generator) -> Field:
    """Distance to the skin: an oval, flattened at the back, a little narrower at one end."""
    taper = 1 + np.float32(rng.uniform(-0.05, 0.05)) * points[2] / HALF_WIDTH_MM[2]
    half = HALF_WIDTH_MM * np.float32(rng.uniform(0.92, 1.0))
    across, deep = points[0] / (half[0] * taper), points[1] / (half[1] * taper)
    deep = np.where(deep < 0, deep * 1.08, deep)
    radius = (np.abs(across) ** 2.5 + np.abs(deep) ** 2.5) ** np.float32(1 / 2.5)
    return np.asarray((radius - 1) * half[1], dtype=np.float32)


def _mix(brightness: Field, distance: Field, value: float | Field) -> Field:
    """Paint a tissue over what lies below, with an edge that is not sharper than a scanner's."""
    share = 1 / (1 + np.exp(np.clip(distance / EDGE_MM, -30, 30)))
    return np.asarray(brightness + share * (value - brightness), dtype=np.float32)


def _ellipsoid(points: Field, radii: NDArray[np.float64]) -> Field:
    """Approximate signed distance in mm to an ellipsoid about 0; negative inside."""
    scaled = np.sqrt(sum((points[axis] / radii[axis]) ** 2 for axis in range(3)))
    return np.asarray((scaled - 1) * radii.min(), dtype=np.float32)


def _tube(points: Field, at: NDArray[np.float64], sway: NDArray[np.float64], radius: float) -> Field:
    """Signed distance to a swaying tube along the third coordinate."""
    along = points[2] / 22.0
    x = points[0] - at[0] - sway[0] * np.sin(along)
    y = points[1] - at[1] - sway[1] * np.cos(along * 0.8)
    return np.asarray(np.hypot(x, y) - radius * (1 + 0.12 * np.sin(along * 1.7)), dtype=np.float32)


def _smooth_union(first: Field, second: Field, blend: float) -> Field:
    share = np.clip(0.5 + 0.5 * (second - first) / blend, 0, 1)
    return np.asarray(second + share * (first - second) - blend * share * (1 - share), dtype=np.float32)


def _warp(points: Field, rng: np.random.Generator, amplitude: float, wavelength: float) -> Field:
    """Move points smoothly by about `amplitude` mm."""
    return np.stack([points[axis] + amplitude * _waves(points, rng, wavelength) for axis in range(3)])


def _waves(points: Field, rng: np.random.Generator, wavelength: float) -> Field:
    """Smooth random field of about unit size: three plane waves."""
    total = np.zeros(points.shape[1:], np.float32)
    for _ in range(3):
        direction = rng.normal(size=3)
        direction *= 2 * np.pi / (wavelength * rng.uniform(0.8, 1.3) * np.linalg.norm(direction))
        phase = np.full(total.shape, rng.uniform(0, 2 * np.pi), np.float32)
        for axis in range(3):
            phase += np.float32(direction[axis]) * points[axis]
        total += np.sin(phase)
    return total / np.float32(np.sqrt(1.5))


def _texture(shape: tuple[int, ...], rng: np.random.Generator) -> Field:
    """Grain of tissue at two scales, as a fraction of its brightness."""
    grain = np.zeros(shape, np.float32)
    for sigma, strength in ((1.2, 0.05), (3.5, 0.05)):
        noise = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma)
        grain += strength * noise / noise.std()
    return grain


def _move(points: Field, centre: NDArray[np.float64], turn: NDArray[np.float64]) -> Field:
    return np.asarray(np.tensordot(turn.T, points - _column(centre), axes=1), dtype=np.float32)


def _column(vector: NDArray[np.float64] | list[float]) -> Field:
    return np.asarray(vector, dtype=np.float32).reshape(3, 1, 1, 1)


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation about x, then y, then z, by angles in radians."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)
