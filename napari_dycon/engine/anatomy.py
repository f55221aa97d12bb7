"""What labels tell about structures before training: their size and pieces, and whether left is not right."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_dycon.io.geometry import Geometry, Reorientation
from napari_dycon.study.truth.annotations import Annotation, Known

ONE_SIDE = 0.9
"""A structure lies on one side when so much of it does."""
FEWEST_ONE_SIDED = 5
"""A structure without a twin belongs to a side when it lies there in so many patients and never elsewhere."""
LIKE_SIZE = 3.0
"""Twins differ in volume by at most this factor."""

FEWEST_VOXELS = 8
"""A piece of fewer voxels of the scan may be a slip of the hand."""
FEWEST_PIECES = 5
"""So many pieces in scans labelled all over show how small one can be."""
SPECK = 0.25
"""A piece of so small a share of the volume of the smallest labelled one is not believed."""
WHOLE = 0.98
"""A structure is one piece where its largest holds so much of it; the rest are slips of the hand."""
FEWEST_WHOLE = 3
"""Scans of so many patients must be labelled all over to show that a structure is always one piece."""
SCATTER = 6.0
"""The volumes of an organ differ by at most this factor between patients; those of lesions differ more."""

MANY_STEMS = (
    "lesion", "läsion", "lésion", "lesión", "lesão", "tumo", "nodul", "knoten", "node", "lymph", "metast",
    "cyst", "zyste", "kyste", "quist", "plaque", "infarc", "infark", "bleed", "hemor", "haemor", "hämat",
    "blut", "stone", "stein", "calc", "kalk", "fract", "frakt", "aneurysm", "polyp", "abscess", "abszess",
    "embol", "thromb", "cancer", "carcin", "karzin", "mass", "herd", "vessel", "gefäß", "artery", "arter",
    "vein", "vene", "gtv", "ggo", "consolid", "wmh",
)  # fmt: skip
"""What begins a name of something that the next patient may have several of, or in several pieces."""

SIDE_STEMS = (
    "left", "right", "link", "recht", "gauch", "droit", "izquierd", "derech", "sinistr", "dext", "esquerd",
    "direit", "vänster", "höger", "vanster", "hoger", "venstre", "højre", "høyre", "lewy", "lewa", "lewe",
    "prawy", "prawa", "prawe", "levý", "levá", "pravý", "pravá", "лев", "прав", "vasen", "oikea",
    "αριστερ", "δεξ", "jobb",
)  # fmt: skip
SIDE_WORDS = frozenset(
    (
        "l",
        "r",
        "lt",
        "rt",
        "li",
        "re",
        "lh",
        "rh",
        "sx",
        "dx",
        "izq",
        "destra",
        "destro",
        "destri",
        "sağ",
        "bal",
    )
)
SIDE_LETTERS = "左右"
TWINS = (
    ("l", "r"), ("lt", "rt"), ("li", "re"), ("g", "d"), ("izq", "der"), ("i", "d"), ("e", "d"), ("sin", "dx"),
    ("sin", "dex"), ("sin", "des"), ("esq", "dir"), ("lewa", "prawa"), ("sol", "sağ"), ("s", "d"),
)  # fmt: skip


@dataclass(frozen=True)
class LabelledShape:
    """One structure in one scan.

    Attributes
    ----------
    patient
        Whose scan it is.
    size
        Middle one of the three sides of its largest piece, in mm.
    volume
        In mm³.
    right
        Share of it in the right half of the scan, 0 to 1; None where only a part of the scan is labelled.
    centre
        Of its voxels, in mm from the middle of the scan, by canonical axis (RAS).
    largest
        Share of its voxels in its largest piece, 0 to 1.
    cluster, clustered
        Number, in this scan, of the piece of all structures together that holds most of it, and its share
        there, 0 to 1.
    complete
        Whether all of the scan is labelled.
    pieces
        Sizes of all its pieces, but those of very few voxels, as in `size`; of the largest alone where only a
        part of the scan is labelled.
    volumes
        Of these pieces, in mm³; none where only a part of the scan is labelled.
    """

    patient: str
    size: float
    volume: float
    right: float | None
    centre: tuple[float, float, float]
    largest: float
    cluster: int
    clustered: float
    complete: bool
    pieces: tuple[float, ...] = ()
    volumes: tuple[float, ...] = ()

    @property
    def side(self) -> int:
        """1 for the right, -1 for the left, 0 for neither or unknown."""
        if self.right is None:
            return 0
        return int(self.right >= ONE_SIDE) - int(self.right <= 1 - ONE_SIDE)


def labelled_shapes(
    annotation: Annotation, geometry: Geometry, patient: str, values: Iterable[int]
) -> dict[int, LabelledShape]:
    """Shapes of the structures that are labelled in a scan, by label value."""
    reorientation = Reorientation.to(geometry, "RAS")
    known = (annotation.known != Known.UNKNOWN) & (annotation.known != Known.IGNORE)
    labels = reorientation.apply(np.where(known, annotation.labels, np.uint8(0)))
    wide = float(reorientation.apply(known).any(axis=(1, 2)).mean()) > ONE_SIDE
    boxes = ndimage.find_objects(labels)
    scan = _Scan(patient, labels.shape, reorientation.spacing, wide, bool(known.all()))
    clusters = pieces(labels)
    return {
        value: _shape(labels[box] == value, clusters[box], box, scan)
        for value in values
        if value <= len(boxes) and (box := boxes[value - 1]) is not None
    }


def smallest_size(
    shapes: Sequence[Mapping[int, LabelledShape]], names: Mapping[int, str] | None = None
) -> float | None:
    """Size in mm of the smallest structure of all scans; None where nothing is labelled.

    Of a structure that comes in pieces, such as lesions, every piece counts, but for the smallest tenth; of
    another one the largest, beside which others are slips of the hand.
    """
    values = {value for case in shapes for value in case}
    found = (
        _typical_small([case[value] for case in shapes if value in case], (names or {}).get(value, ""))
        for value in values
    )
    return min(found, default=None)


def largest_size(shapes: Sequence[Mapping[int, LabelledShape]]) -> float | None:
    """Size in mm of the largest piece of any structure; None where nothing is labelled."""
    return max((shape.size for case in shapes for shape in case.values()), default=None)


def speck_volumes(shapes: Sequence[Mapping[int, LabelledShape]]) -> dict[int, float]:
    """Volume in mm³ below which a predicted piece is not believed, by the value of its structure.

    Of structures that scans labelled all over show in enough pieces.
    """
    found: dict[int, list[float]] = {}
    for case in shapes:
        for value, shape in case.items():
            found.setdefault(value, []).extend(shape.volumes)
    return {value: SPECK * min(own) for value, own in sorted(found.items()) if len(own) >= FEWEST_PIECES}


def _typical_small(shapes: Sequence[LabelledShape], name: str) -> float:
    whole = median(shape.largest for shape in shapes) >= WHOLE
    pieces = sorted(size for shape in shapes for size in shape.pieces)
    largest = min(shape.size for shape in shapes)
    if (whole and not _may_be_several(name)) or not pieces:
        return largest
    return min(largest, pieces[len(pieces) // 10])


def single_structures(
    shapes: Sequence[Mapping[int, LabelledShape]], names: Mapping[int, str]
) -> tuple[int, ...]:
    """Values of structures that are one piece of about one volume in every scan labelled all over.

    Never those whose names say that there may be several.
    """
    complete = [case for case in shapes if any(shape.complete for shape in case.values())]
    return tuple(
        value for value, name in names.items() if not _may_be_several(name) and _is_single(complete, value)
    )


def joint_structures(
    shapes: Sequence[Mapping[int, LabelledShape]], names: Mapping[int, str]
) -> tuple[tuple[int, ...], ...]:
    """Values of structures that hang together, as one piece, in every scan labelled all over.

    A thin wall may be torn where the chambers that it surrounds still hold it together. Structures whose
    names say that there may be several belong to no such group.
    """
    complete = [case for case in shapes if any(shape.complete for shape in case.values())]
    groups: dict[tuple[int, ...], list[int]] = {}
    for value, name in names.items():
        if not _may_be_several(name) and _is_clustered(complete, value):
            groups.setdefault(tuple(case[value].cluster for case in complete), []).append(value)
    return tuple(tuple(values) for values in groups.values() if len(values) > 1)


def _is_clustered(complete: Sequence[Mapping[int, LabelledShape]], value: int) -> bool:
    return _is_organ(complete, value) and all(case[value].clustered >= WHOLE for case in complete)


def _is_single(complete: Sequence[Mapping[int, LabelledShape]], value: int) -> bool:
    return _is_organ(complete, value) and all(case[value].largest >= WHOLE for case in complete)


def _is_organ(complete: Sequence[Mapping[int, LabelledShape]], value: int) -> bool:
    """Whether every one of enough patients has it, in about one volume."""
    found = [case[value] for case in complete if value in case]
    if len(found) < len(complete) or len({shape.patient for shape in found}) < FEWEST_WHOLE:
        return False
    volumes = [shape.volume for shape in found]
    return max(volumes) <= SCATTER * min(volumes)


def _may_be_several(name: str) -> bool:
    return any(word.startswith(MANY_STEMS) for word in _words(name))


def names_tell_sides(names: Sequence[str]) -> bool:
    """Whether names say that left and right differ: in words of many languages, or as twins with L and R."""
    words = [_words(name) for name in names]
    if any(_is_side(word) for name in words for word in name):
        return True
    known = {" ".join(name) for name in words}
    return any(" ".join(other) in known for name in words for other in _other_side(name))


def places_tell_sides(shapes: Sequence[Mapping[int, LabelledShape]]) -> bool:
    """Whether labels show it: a structure always on one side, or two of like size that mirror each other."""
    values = sorted({value for case in shapes for value in case})
    if any(_always_on_one_side([case[value] for case in shapes if value in case]) for value in values):
        return True
    pairs = combinations(values, 2)
    return any(
        _are_opposite([(case[a], case[b]) for case in shapes if a in case and b in case]) for a, b in pairs
    )


@dataclass(frozen=True)
class _Scan:
    patient: str
    shape: Sequence[int]
    spacing: Sequence[float]
    wide: bool
    complete: bool


def _shape(
    inside: NDArray[np.bool_], clusters: NDArray[np.int32], box: tuple[slice, ...], scan: _Scan
) -> LabelledShape:
    counts = [inside.sum(axis=tuple(a for a in range(3) if a != axis)) for axis in range(3)]
    places = [
        np.arange(part.start, part.stop) + 0.5 - side / 2 for part, side in zip(box, scan.shape, strict=True)
    ]
    total = int(inside.sum())
    x, y, z = (float((c * p).sum() / total * s) for c, p, s in zip(counts, places, scan.spacing, strict=True))
    right = float((counts[0] * (places[0] > 0)).sum() + 0.5 * (counts[0] * (places[0] == 0)).sum()) / total
    numbers, voxels = numbered_pieces(inside)
    sizes = _sizes(numbers, scan.spacing)
    largest = int(np.argmax(voxels))
    shares = np.bincount(clusters[inside])
    real = voxels >= FEWEST_VOXELS
    voxel = float(np.prod(scan.spacing))
    return LabelledShape(
        patient=scan.patient,
        size=sizes[largest],
        volume=total * voxel,
        right=right if scan.wide else None,
        centre=(x, y, z),
        largest=float(voxels[largest]) / total,
        cluster=int(shares.argmax()),
        clustered=float(shares.max()) / total,
        complete=scan.complete,
        pieces=tuple(np.array(sizes)[real].tolist()) if scan.complete else (sizes[largest],),
        volumes=tuple((voxels[real] * voxel).tolist()) if scan.complete else (),
    )


def largest_piece(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest piece of a mask with any voxel; voxels that share a corner hang together."""
    numbers, sizes = numbered_pieces(inside)
    return inside if len(sizes) == 1 else np.asarray(numbers == 1 + int(np.argmax(sizes)))


def pieces(mask: NDArray[np.bool_] | NDArray[np.uint8]) -> NDArray[np.int32]:
    """Number of the piece of each voxel, 0 for background; voxels that share a corner hang together."""
    numbers, _ = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    return np.asarray(numbers, dtype=np.int32)


def numbered_pieces(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """As `pieces`, and how many voxels each piece has."""
    numbers = pieces(mask)
    return numbers, np.bincount(numbers.ravel())[1:]


def _sizes(numbers: NDArray[np.int32], spacing: Sequence[float]) -> list[float]:
    """Middle one of the three sides of each piece, in mm."""
    boxes = ndimage.find_objects(numbers)
    sides = ([(part.stop - part.start) * s for part, s in zip(box, spacing, strict=True)] for box in boxes)
    return [float(sorted(side)[1]) for side in sides]


def _always_on_one_side(found: Sequence[LabelledShape]) -> bool:
    patients = {shape.patient for shape in found if shape.side}
    sides = {shape.side for shape in found if shape.right is not None}
    return len(patients) >= FEWEST_ONE_SIDED and len(sides) == 1


def _are_opposite(pairs: Sequence[tuple[LabelledShape, LabelledShape]]) -> bool:
    """Whether two structures lie opposite each other in every scan, each on a side of its own."""
    judged = [(a, b) for a, b in pairs if a.right is not None]
    return bool(judged) and len({a.side for a, _ in judged}) == 1 and all(_opposite(a, b) for a, b in judged)


def _opposite(a: LabelledShape, b: LabelledShape) -> bool:
    if not a.side or a.side != -b.side or not 1 / LIKE_SIZE <= a.volume / b.volume <= LIKE_SIZE:
        return False
    mirrored, width = (-a.centre[0], *a.centre[1:]), math.cbrt(max(a.volume, b.volume))
    return math.dist(mirrored, b.centre) <= 2 * width


def _words(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-zà-öø-ÿ])(?=[A-ZÀ-ÖØ-Þ])", " ", name)
    return [word for word in re.split(r"[\W_]+", spaced.casefold()) if word]


def _is_side(word: str) -> bool:
    return word in SIDE_WORDS or word.startswith(SIDE_STEMS) or any(c in word for c in SIDE_LETTERS)


def _other_side(words: Sequence[str]) -> Iterable[list[str]]:
    """The names that this one would have if it meant the other side, as far as one word tells."""
    for place, word in enumerate(words):
        swapped = [right for left, right in TWINS if word == left]
        swapped += ["r" + word[1:]] * word.startswith("l") + [word[:-1] + "r"] * word.endswith("l")
        yield from ([*words[:place], other, *words[place + 1 :]] for other in swapped)
