"""Writes that are whole or not there: temporary file beside the target, fsync, rename, fsync of folder."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from napari_dycon.errors import VolumeError

PREFIX = ".dycon-tmp-"
_RENAME_ATTEMPTS = 10
_RENAME_PAUSE_SECONDS = 0.05
_LONGEST_WRITE_SECONDS = 600.0
_SPARE_BYTES = 1 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_AWAY_NAMES = ("ENOENT", "ENOTDIR", "ENODEV", "ENXIO", "ENOTCONN", "ESTALE", "EHOSTDOWN", "EHOSTUNREACH")
_AWAY = {getattr(errno, name) for name in _AWAY_NAMES if hasattr(errno, name)}  # Windows lacks some


@contextlib.contextmanager
def atomic_path(final: Path) -> Iterator[Path]:
    """Give a temporary path beside `final`, which becomes `final` when the block ends without an error.

    The block must create the file. Its suffix is that of `final`, its name carries nothing else of it. On any
    error the temporary file is removed and what was at `final` stays as it was.

    Raises
    ------
    VolumeError
        If the disk is full, the folder may not be written, or any other `OSError` ends the write.
    """
    final = Path(final)
    temporary = final.with_name(PREFIX + secrets.token_hex(6) + _suffix(final))
    try:
        yield temporary
        _flush(temporary)
        _replace(temporary, final)
        flush_folder(final.parent)
    except OSError as error:
        _discard(temporary)
        raise VolumeError(_sentence(error, final)) from error
    except BaseException:
        _discard(temporary)
        raise


@contextlib.contextmanager
def atomic_files(folder: Path) -> Iterator[Path]:
    """Give a temporary folder, whose files move to `folder` when the block ends without an error.

    On any error none of them does, and what was in `folder` stays as it was.

    Raises
    ------
    VolumeError
        If the files cannot be moved there.
    """
    make_folder(folder)
    with in_plain_words(folder):
        room = tempfile.TemporaryDirectory(prefix=PREFIX, dir=folder)
    with room as temporary:
        yield Path(temporary)
        for path in sorted(Path(temporary).iterdir()):
            with in_plain_words(folder / path.name):
                _replace(path, folder / path.name)
        flush_folder(folder)


def write_bytes_atomic(final: Path, content: bytes) -> None:
    """Replace a file by `content`, whole or not at all (errors as in `atomic_path`)."""
    require_space(Path(final), len(content))
    with atomic_path(final) as temporary:
        temporary.write_bytes(content)


def write_text_atomic(final: Path, text: str) -> None:
    """Replace a file by UTF-8 `text`, whole or not at all (errors as in `atomic_path`)."""
    write_bytes_atomic(final, text.encode("utf-8"))


def append_lines(path: Path, lines: Sequence[bytes]) -> None:
    """Add lines to a file, which is made if need be, and put them on disk.

    They begin on a line of their own, so what a crash has left of a line before them is that line's alone.

    Raises
    ------
    VolumeError
        If the disk is full or write-protected.
    """
    new = not path.exists()
    with in_plain_words(path):
        with path.open("ab") as file:
            file.write(b"".join(b"\n" + line for line in lines) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if new:
            flush_folder(path.parent)


def require_space(final: Path, size: int) -> None:
    """Check that the disk of `final` has room for `size` bytes and a little more.

    Raises
    ------
    VolumeError
        If it has not, or if the folder cannot be reached.
    """
    with in_plain_words(final):
        free = shutil.disk_usage(final.parent).free
        if free < size + _SPARE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def make_folder(folder: Path) -> None:
    """Create a folder and those above it; a `VolumeError` says why not."""
    with in_plain_words(Path(folder)):
        Path(folder).mkdir(parents=True, exist_ok=True)


def make_folder_in(home: Path, folder: Path) -> None:
    """Create a folder somewhere inside another one, which must be there.

    Where it is not, a drive or share has dropped out, and what was written into a new folder of that name
    would be out of sight when it is back.

    Raises
    ------
    VolumeError
        If `home` cannot be reached, or the folder not be made.
    """
    with in_plain_words(folder):
        for part in [*reversed(folder.relative_to(home).parents[:-1]), folder.relative_to(home)]:
            (home / part).mkdir(exist_ok=True)


@contextlib.contextmanager
def new_folder(final: Path) -> Iterator[Path]:
    """Give a folder beside `final`, which takes its place when the block ends without an error.

    Raises
    ------
    VolumeError
        If the disk is full or write-protected.
    """
    temporary = final.resolve().with_name(PREFIX + secrets.token_hex(6))
    with in_plain_words(final):
        temporary.mkdir(parents=True)
        try:
            yield temporary
            if final.exists():
                shutil.rmtree(final)
            temporary.rename(final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def in_plain_words(final: Path) -> Iterator[None]:
    """Turn an `OSError` of the block into a `VolumeError` with a sentence about `final`."""
    try:
        yield
    except OSError as error:
        raise VolumeError(_sentence(error, final)) from error


def sweep_leftovers(folder: Path, spare: Collection[str] = ()) -> list[Path]:
    """Remove temporary files that a crash left in a folder and its subfolders; return what was removed.

    Call it only while no other process writes into the folder (while the study's lock is held).

    Parameters
    ----------
    folder
        Where to look.
    spare
        Subfolders into which others may be writing; what is not old there stays.
    """
    leftovers = [path for path in sorted(Path(folder).rglob(PREFIX + "*")) if _is_left(path, folder, spare)]
    for path in leftovers:
        _discard(path)
    return [path for path in leftovers if not path.exists()]


def _is_left(path: Path, folder: Path, spare: Collection[str]) -> bool:
    """Whether nobody is writing a temporary file any more."""
    if path.relative_to(folder).parts[0] not in spare:
        return True
    try:
        return time.time() - path.stat().st_mtime > _LONGEST_WRITE_SECONDS
    except OSError:  # it has got its final name
        return False


def _suffix(path: Path) -> str:
    compressed = path.suffix.lower() == ".gz"
    return "".join(path.suffixes[-2:]) if compressed else path.suffix


def _flush(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Put a new or renamed entry of a folder on disk."""
    if os.name == "nt":  # Windows cannot open folders; its rename is journalled
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _replace(temporary: Path, final: Path) -> None:
    """Rename, waiting for virus scanners and viewers that hold the target open (Windows)."""
    for _ in range(_RENAME_ATTEMPTS - 1):
        try:
            os.replace(temporary, final)
            return
        except PermissionError:
            time.sleep(_RENAME_PAUSE_SECONDS)
    os.replace(temporary, final)


def _discard(path: Path) -> None:
    with contextlib.suppress(OSError):  # a leftover is swept later; the error that led here matters more
        path.unlink(missing_ok=True)


def _sentence(error: OSError, final: Path) -> str:
    if error.errno in _FULL:
        return (
            f"The disk is full: {final.name} could not be written to {final.parent}; "
            "nothing was overwritten, free some space and save again."
        )
    if error.errno in _FORBIDDEN:
        return (
            f"{final.name} could not be written because {final.parent} or the file is write-protected; "
            "nothing was overwritten, choose another folder or ask for write access."
        )
    if error.errno in _AWAY:
        return (
            f"{final.name} could not be written because {final.parent} cannot be reached; nothing was "
            "overwritten, connect the drive or share again."
        )
    reason = error.strerror or str(error)
    return f"{final.name} could not be written to {final.parent} ({reason}); nothing was overwritten."
