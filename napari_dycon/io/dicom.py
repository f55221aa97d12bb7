"""DICOM series: found in a folder, checked slice by slice, converted once to NIfTI without patient data.

Positions come from ImagePositionPatient alone; names, InstanceNumber and SliceThickness are not trusted. What
does not form one evenly spaced block is refused with the slices at fault. An enhanced object holds many
images in one file; each volume in it is a series here.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.config import disable_value_validation
from pydicom.pixels import pixel_array
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from napari_dycon.errors import VolumeError
from napari_dycon.io import headers
from napari_dycon.io.atomic import atomic_path, require_space
from napari_dycon.io.dicom_checks import find_problem, list_some, what_is_odd, without_localizers
from napari_dycon.io.dicom_frames import tell_apart
from napari_dycon.io.dicom_slices import (
    DamagedFileError,
    SliceHeader,
    read_slices,
    series_geometry,
    sort_slices,
)
from napari_dycon.io.dicomdir import is_directory, read_directory
from napari_dycon.io.geometry import Geometry
from napari_dycon.io.limits import require_memory
from napari_dycon.io.volumes import is_volume, read_volume, walk

_SYNTAXES = {  # by (implicit VR, little endian), for files that do not state it
    (True, True): ImplicitVRLittleEndian,
    (False, True): ExplicitVRLittleEndian,
    (False, False): ExplicitVRBigEndian,
}

_ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_OTHER_FORMATS = (
    *(".nii.bz2", ".nii.xz", ".nii.zst", ".mgh", ".mgz", ".mnc", ".gipl", ".gipl.gz", ".head", ".brik"),
    *(".par", ".rec", ".vtk", ".vti", ".tif", ".tiff", ".npy", ".npz", ".h5", ".hdf5", ".mat", ".b8"),
    *(".png", ".jpg", ".jpeg", ".bmp", ".czi", ".lif", ".nd2", ".isq", ".am", ".v3draw"),
)
_LOCALIZER = re.compile(
    r"(?:^|[^a-z])(?:locali[sz]ers?|loc|scout|survey|topogram|surview|pilot|3[- _]?plane?)(?:[^a-z]|$)",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"\d+")
_LOOKED_AT = 50


class ImageAt(NamedTuple):
    """Where an image lies: its file, and which frame of it, counted from 1; None for a file of one image."""

    file: Path
    frame: int | None = None


@dataclass(frozen=True)
class Series:
    """One series of a DICOM folder, or one volume of a series whose files hold several.

    Attributes
    ----------
    uid, description, modality : str
        As the files state them.
    images : tuple of ImageAt
        Sorted by position along the slice normal; unsorted where positions are missing.
    shape : tuple of int
        Columns, rows, slices.
    spacing : tuple of float
        mm along columns, rows and slices; 0 where unknown.
    problem : str or None
        One sentence when the series must be refused.
    notes : tuple of str
        Sentences about what was left out.
    frame_of_reference, study, study_date : str
        As the files state them; the date is shown nowhere.
    is_localizer : bool
        Whether it was taken to plan others, by what its images or its description say.
    part : str
        What tells it from other volumes of its series, in words; empty where it is the whole series.
    """

    uid: str
    description: str
    modality: str
    images: tuple[ImageAt, ...]
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    problem: str | None = None
    notes: tuple[str, ...] = ()
    frame_of_reference: str = ""
    study: str = ""
    study_date: str = ""
    is_localizer: bool = False
    part: str = ""

    @property
    def files(self) -> tuple[Path, ...]:
        """Its files, in the order of their images."""
        return tuple(dict.fromkeys(image.file for image in self.images))

    @property
    def key(self) -> str:
        """Name it apart from every other volume; it shows identifiers of the files."""
        return f"{self.uid} {self.part}".strip()

    @property
    def title(self) -> str:
        """Description, with what tells it from other volumes of the series."""
        return f"{self.description} ({self.part})".strip() if self.part else self.description


def find_series(place: Path | str) -> list[Series]:
    """Find the image series of a folder and its subfolders, sorted by description; nothing is decoded.

    Files that are no DICOM images are passed over. A series that cannot be used is returned with its problem.

    Parameters
    ----------
    place
        A folder, or a DICOMDIR for the files that it lists.

    Raises
    ------
    VolumeError
        If a DICOMDIR that is named is damaged.
    """
    files, missing = _files(Path(place))
    slices: list[SliceHeader] = []
    damaged: list[Path] = []
    foreign: list[Path] = []
    for file in files:
        try:
            found = read_slices(file)
        except DamagedFileError:
            damaged.append(file)
            continue
        slices.extend(found)
        foreign += [] if found else [file]
    damaged += _called_alike(foreign, slices)
    by_series: dict[str, list[SliceHeader]] = {}
    for item in _without_copies(slices):
        by_series.setdefault(item.series, []).append(item)
    series = [
        _miss(_blame(_series(part, members), damaged), missing)
        for of_series in by_series.values()
        for part, members in _volumes(of_series).items()
    ]
    return sorted(series, key=lambda one: (one.description, one.uid))


def convert_series(series: Series, out: Path) -> None:
    """Write a series as one NIfTI file on its oblique grid, with nothing of the patient's data in it.

    Integers stay integers where every rescaled value is one (int16 or int32); otherwise float32.

    Parameters
    ----------
    series : Series
        From `find_series`.
    out : Path
        Ends in ``.nii.gz`` or ``.nii``.

    Raises
    ------
    VolumeError
        If the series has a problem, a slice does not decode, or the file cannot be written.
    """
    if series.problem:
        raise VolumeError(series.problem)
    out = Path(out)
    slices = headers_of(series)
    problem = find_problem(slices)
    if problem:
        raise VolumeError(_stale_sentence(series))
    geometry = series_geometry(sort_slices(slices))
    require_memory(out, 16 * int(np.prod(geometry.shape)))
    voxels = _compact(_voxels(series, slices))
    _write(out, voxels, geometry)


def headers_of(series: Series) -> list[SliceHeader]:
    """Read the headers of all images of a series anew, in its order.

    Raises
    ------
    VolumeError
        If an image is gone, or a file holds others now.
    """
    found = {ImageAt(item.file, item.frame): item for file in series.files for item in read_slices(file)}
    if any(image not in found for image in series.images):
        raise VolumeError(_stale_sentence(series))
    return [found[image] for image in series.images]


def _stale_sentence(series: Series) -> str:
    return f"{_title(series)} changed on disk; look for series again."


def middle_image(series: Series) -> NDArray[np.float64]:
    """Read the image in the middle of a series (rows, columns), to be looked at.

    Raises
    ------
    VolumeError
        If it cannot be decoded.
    """
    image = series.images[len(series.images) // 2]
    try:
        (header,) = (item for item in read_slices(image.file) if item.frame == image.frame)
        return _pixels(_open(image.file), header)
    except Exception as error:  # decoders raise many kinds
        raise VolumeError(f"{_title(series)} cannot be shown.") from error


def patient_id(series: Series) -> str:
    """Identifier of the patient as the files state it; for a pseudonym, never shown or kept itself."""
    for file in series.files:
        try:
            found = next((item.patient for item in read_slices(file) if item.patient), "")
        except DamagedFileError:  # gone or damaged since the search
            continue
        if found:
            return found
    return ""


def _without_copies(slices: Sequence[SliceHeader]) -> Iterator[SliceHeader]:
    """Each image once; a copy without its patient, as an anonymiser leaves it, is the same image."""
    images: dict[tuple[str, ...], dict[str, SliceHeader]] = {}
    for item in slices:
        images.setdefault(_identity(item), {})[item.patient] = item
    for by_patient in images.values():
        named = [item for patient, item in by_patient.items() if patient]
        yield from named or by_patient.values()


def _identity(item: SliceHeader) -> tuple[str, ...]:
    """What two copies of one image have in common: careless programs give several images one identifier."""
    return (item.instance or str(item.file), item.series, str(item.position.tolist()), str(item.frame))


def _volumes(members: list[SliceHeader]) -> dict[str, list[SliceHeader]]:
    """Volumes in the images of one series, each with what tells it from the others: one, but for frames."""
    if all(item.frame is None for item in members):
        return {"": members}
    files = list(dict.fromkeys(item.file for item in members))
    numbers = {file: str(number) for number, file in enumerate(files, start=1)}
    return tell_apart(
        members,
        marks=lambda item: {**item.marks, "file {}": numbers[item.file]},
        place=lambda item: item.position,
    )


def why_no_images(place: Path | str, spare: Collection[Path] = ()) -> str:
    """Say what a file is, or a folder holds, instead of scans, and what to do; empty if nothing is known.

    Files to `spare` are of use elsewhere, and not spoken of.
    """
    place = Path(place)
    files = [path for path in (walk(place) if place.is_dir() else [place]) if not is_volume(path)]
    files = [path for path in files if path not in spare]
    kinds = sorted({kind for path in files[:_LOOKED_AT] if (kind := _modality(path))})
    archives = [path.name for path in files if path.name.lower().endswith(_ARCHIVES)]
    pairs = [path.name for path in files if path.suffix.lower() in (".hdr", ".img")]
    others = [path.name for path in files if path.name.lower().endswith(_OTHER_FORMATS)]
    alone = len(files) == 1 and is_directory(files[0])
    said = {
        f"archives ({list_some(archives)}); unpack them first": archives,
        f"Analyze or two-file NIfTI ({list_some(pairs)}); convert them to .nii.gz first": pairs,
        f"files of a format that is not read ({list_some(others)}); convert them to .nii.gz first": others,
        f"DICOM objects without images ({list_some(kinds)}), which are no scans{_as_labels(kinds)}": kinds,
        "a DICOMDIR but not the images it lists; copy the whole disc": alone,
    }
    return " ".join(f"It holds {sentence}." for sentence, there in said.items() if there)


def _as_labels(kinds: Sequence[str]) -> str:
    return (
        "; contours become labels where their folder is given as that of the labels"
        if "RTSTRUCT" in kinds
        else ""
    )


def _modality(path: Path) -> str:
    try:
        with disable_value_validation():
            dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["Modality", "Rows"])
    except Exception:  # noqa: BLE001 - whatever is no DICOM
        return ""
    return "" if "Rows" in dataset else str(dataset.get("Modality", "") or "")


def _called_alike(foreign: Sequence[Path], slices: Sequence[SliceHeader]) -> list[Path]:
    """Files that are no DICOM but are called like the images beside them: these may be cut short or empty."""
    patterns = {(item.file.parent, _DIGITS.sub("#", item.file.name)) for item in slices}
    return [path for path in foreign if (path.parent, _DIGITS.sub("#", path.name)) in patterns]


def _files(place: Path) -> tuple[list[Path], dict[str, tuple[str, ...]]]:
    """Files that may be images, and by series those that a DICOMDIR lists besides."""
    if place.is_file():
        directory = read_directory(place)
        return [*directory.files], {**directory.missing}
    missing: dict[str, tuple[str, ...]] = {}
    paths = walk(place)
    for path in filter(is_directory, paths):
        with contextlib.suppress(VolumeError):  # what it would list lies in the folder anyway
            missing |= read_directory(path).missing
    return [path for path in paths if not is_volume(path) and not is_directory(path)], missing


def _miss(series: Series, missing: Mapping[str, tuple[str, ...]]) -> Series:
    """Refuse a series of which a DICOMDIR lists more files than there are: its last slices may lack."""
    names = missing.get(series.uid)
    if series.problem or not names:
        return series
    problem = (
        f"{_title(series)} cannot be used: {len(names)} of its files that the DICOMDIR lists are not there "
        f"({list_some(names)}); copy the whole disc."
    )
    return replace(series, problem=problem)


def _series(part: str, members: list[SliceHeader]) -> Series:
    """Describe one series: drop localizers, sort, and look for a reason to refuse it."""
    kept, dropped = without_localizers(members)
    kept = sort_slices(kept)
    first = kept[0]
    problem = find_problem(kept)
    spacing = (0.0, 0.0, 0.0) if problem else series_geometry(kept).spacing
    left_out = (f"{dropped} localizer images of another orientation were left out.",) if dropped else ()
    series = Series(
        uid=first.series,
        description=first.description,
        modality=first.modality,
        images=tuple(ImageAt(item.file, item.frame) for item in kept),
        shape=(*first.size, len(kept)),
        spacing=spacing,
        notes=(*left_out, *what_is_odd(kept)),
        frame_of_reference=first.frame_of_reference,
        study=first.study,
        study_date=first.study_date,
        is_localizer=first.is_localizer or _LOCALIZER.search(first.description) is not None,
        part=part,
    )
    return replace(series, problem=f"{_title(series)} cannot be used: {problem}" if problem else None)


def _title(series: Series) -> str:
    return f"The series {series.title!r}" if series.title else "The series without description"


def _blame(series: Series, damaged: Sequence[Path]) -> Series:
    """A damaged file beside a series may be one of its slices."""
    folders = {file.parent for file in series.files}
    names = [file.name for file in damaged if file.parent in folders]
    if series.problem or not names:
        return series
    problem = (
        f"{_title(series)} cannot be used: {list_some(names)} in the same folder cannot be read; "
        "copy it again."
    )
    return replace(series, problem=problem)


def _voxels(series: Series, slices: Sequence[SliceHeader]) -> NDArray[np.float64]:
    """Rescaled values (columns, rows, slices)."""
    voxels = np.empty((*slices[0].size, len(slices)))
    opened: tuple[Path, Any] | None = None
    for index, item in enumerate(slices):
        try:
            if opened is None or opened[0] != item.file:
                opened = item.file, _open(item.file)
            voxels[..., index] = _pixels(opened[1], item).T
        except _NoDecoderError:
            return _voxels_by_gdcm(series, voxels)
        except Exception as error:  # decoders raise many kinds
            raise VolumeError(
                f"{_title(series)} cannot be used: slice {index + 1} ({item.file.name}) is damaged "
                "and cannot be decoded; copy it again."
            ) from error
    return voxels


def _open(file: Path) -> Any:
    with disable_value_validation():
        dataset = pydicom.dcmread(file, force=True)
        if "TransferSyntaxUID" not in dataset.file_meta:
            dataset.file_meta.TransferSyntaxUID = _SYNTAXES[dataset.original_encoding]
    return dataset


def _pixels(dataset: Any, item: SliceHeader) -> NDArray[np.float64]:
    """Rescaled pixels (rows, columns) of one image."""
    with disable_value_validation():
        try:
            stored = pixel_array(dataset, index=None if item.frame is None else item.frame - 1)
        except RuntimeError as error:  # no decoder for this compression in pydicom; GDCM has most
            raise _NoDecoderError from error
    return np.asarray(stored.astype(np.float64) * item.slope + item.intercept)


class _NoDecoderError(Exception):
    """pydicom has no decoder for the compression of an image."""


def _voxels_by_gdcm(series: Series, voxels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Let GDCM decode all images, in a process of its own: a damaged one may crash it.

    It does not rescale each frame of a file by its own factor, and is not asked to.
    """
    if any(image.frame is not None for image in series.images):
        raise VolumeError(
            f"{_title(series)} cannot be used: there is no decoder for its compression; "
            "export it uncompressed."
        )
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "pixels.npy"
        names = json.dumps([str(file) for file in series.files])
        command = [sys.executable, "-m", "napari_dycon.io.gdcm", str(out)]
        done = subprocess.run(command, input=names, text=True, capture_output=True, check=False)
        if done.returncode == 0:
            found = np.load(out, allow_pickle=False).transpose(2, 1, 0)
            if found.shape == voxels.shape:
                return np.asarray(found, dtype=np.float64)
    raise VolumeError(
        f"{_title(series)} cannot be used: its compression is not known or an image is damaged; convert it "
        "to NIfTI with dcm2niix, or export it uncompressed."
    )


def _compact(voxels: NDArray[np.float64]) -> NDArray[Any]:
    """Smallest of int16, int32 and float32 that keeps whole numbers exact."""
    if np.array_equal(voxels, np.rint(voxels)):
        for dtype in (np.int16, np.int32):
            if np.iinfo(dtype).min <= voxels.min() and voxels.max() <= np.iinfo(dtype).max:
                return voxels.astype(dtype)
    return voxels.astype(np.float32)


def _write(out: Path, voxels: NDArray[Any], geometry: Geometry) -> None:
    header = headers.scan_header(geometry, voxels.dtype)
    content = headers.encode(header, voxels, compress=out.name.lower().endswith(".gz"))
    require_space(out, len(content))
    with atomic_path(out) as temporary:
        temporary.write_bytes(content)
        written = read_volume(temporary)
        if not np.array_equal(written.array, voxels) or not written.geometry.matches(geometry):
            raise VolumeError(
                f"{out.name} did not read back as it was written; check the disk and convert again."
            )
