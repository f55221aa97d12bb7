"""ZIP archives of DICOM: unpacked into a folder that nobody else can read and that is gone afterwards."""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from napari_dycon.errors import VolumeError
from napari_dycon.io.atomic import require_space
from napari_dycon.io.volumes import is_volume

SUFFIX = ".zip"
MOST_FILES = 200_000
LEAST_SUSPECT_BYTES, MOST_RATIO = 2**30, 200
"""An archive that grows beyond both is no exam but made to fill the disk."""
_BARE = ("", ".dcm", ".ima", ".img")
_NO_NAME = re.compile(r'[<>:"|?*\x00-\x1f]')
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class Contents:
    """What was in an archive: a folder with its DICOM files, and names of scans in other formats."""

    folder: Path
    left_packed: tuple[str, ...]


def is_archive(path: Path) -> bool:
    """Tell from its name whether a file is an archive that `unpack` knows."""
    return path.suffix.lower() == SUFFIX and path.is_file()


@contextmanager
def unpack(archive: Path) -> Iterator[Contents]:
    """Unpack what may be DICOM into a folder that is called like the archive and lives as long as the block.

    Raises
    ------
    VolumeError
        If it is damaged, encrypted, names files outside of itself, or grows beyond the disk or reason.
    """
    with tempfile.TemporaryDirectory(prefix="dycon-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary) / (_part(archive.stem) or "archive")
        folder.mkdir()
        try:
            with zipfile.ZipFile(archive) as opened:
                left_packed = _unpack(archive, opened, folder)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise VolumeError(f"{archive.name} is damaged or no ZIP archive; copy it again.") from error
        yield Contents(folder, left_packed)


def _unpack(archive: Path, opened: zipfile.ZipFile, folder: Path) -> tuple[str, ...]:
    members = [info for info in opened.infolist() if not info.is_dir() and not _is_hidden(info)]
    _require_harmless(archive, members)
    volumes = [info.filename for info in members if is_volume(info.filename)]
    images = [info for info in members if not is_volume(info.filename)]
    require_space(folder, sum(info.file_size for info in images))
    taken: set[str] = set()
    for number, info in enumerate(images):
        target = folder.joinpath(*map(_part, _parts(info)))
        if str(target).casefold() in taken or target.exists():
            target = target.with_name(f"{number}-{target.name}")
        taken.add(str(target).casefold())
        _write(opened, info, target)
    return tuple(volumes)


def _write(opened: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    with opened.open(info) as source:
        start = source.read(132)
        if start[128:] != b"DICM" and target.suffix.lower() not in _BARE:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as out:
            out.write(start)
            shutil.copyfileobj(source, out)


def _parts(info: zipfile.ZipInfo) -> Sequence[str]:
    return PurePosixPath(info.filename.replace("\\", "/")).parts


def _part(name: str) -> str:
    """Name that every file system takes."""
    return _NO_NAME.sub("_", name).rstrip(". ") or "_"


def _is_hidden(info: zipfile.ZipInfo) -> bool:
    return any(part == "__MACOSX" or (part.startswith(".") and part.strip(".")) for part in _parts(info))


def _require_harmless(archive: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    for info in members:
        parts = _parts(info)
        if not parts or ".." in parts or parts[0] == "/" or parts[0].endswith(":"):
            raise VolumeError(f"{archive.name} names files outside of itself; it was not unpacked.")
    if any(info.flag_bits & _ENCRYPTED for info in members):
        raise VolumeError(f"{archive.name} is protected by a password; unpack it first.")
    if len(members) > MOST_FILES:
        raise VolumeError(f"{archive.name} holds {len(members)} files, which is no exam; unpack it first.")
    size, packed = sum(info.file_size for info in members), archive.stat().st_size
    if size > LEAST_SUSPECT_BYTES and size > MOST_RATIO * packed:
        raise VolumeError(
            f"{archive.name} would grow from {packed / 1e9:.3f} to {size / 1e9:.0f} GB, as no exam does; it "
            "was not unpacked."
        )
