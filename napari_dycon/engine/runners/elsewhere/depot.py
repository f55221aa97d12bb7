"""What lies of other people's trainings on the machine that trains them. Nothing here imports torch.

``store/`` holds files by their SHA-256; ``runs/TOKEN/`` is one training: the folder of the run, made of links
into the store, and beside it what is said to the trainer and what it says. No name of a study, a scan or a
patient is part of a path.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Protocol

from platformdirs import user_cache_path
from pydantic import BaseModel, ConfigDict

from napari_dycon import __version__
from napari_dycon.engine.arrays import file_sha256
from napari_dycon.errors import TrainingError
from napari_dycon.io.atomic import make_folder, write_text_atomic
from napari_dycon.study.store.lock import FolderLock

FEED, GLIMPSE, WISH, SEEN, LOG = "feed.jsonl", "glimpse.json", "wish.json", "seen", "log.txt"
SENT = "sent.json"
LABOUR = "napari_dycon.engine.runners.elsewhere.labour"
NEWS_BYTES = 1 << 18
START_SECONDS = 60.0
DOCTOR_SECONDS = 120.0
TAIL_BYTES = 2000
_SHA = re.compile(r"[0-9a-f]{64}")
_TOKEN = re.compile(r"[0-9a-f]{16,64}")
_RUN = re.compile(r"[0-9]{3,6}-[a-z0-9][a-z0-9_-]{0,40}")
RESULTS = ("config.json", "plan.json", "quality.json", "bundle/bundle.json")
_CHECKPOINT = re.compile(r"checkpoints/[0-9]{8}\.(?:json|safetensors)")
_SENT = re.compile(
    r"(?:bundle/start/)?(?:config|plan)\.json|bundle/(?:bundle|update)\.json|bundle/[0-9a-f]{64}\.npy"
    r"|(?:bundle/start/)?checkpoints/[0-9]{8}\.(?:json|safetensors)"
)


class GoneError(TrainingError):
    """The machine knows nothing of a training any more."""


class Greeting(BaseModel):
    """Who answers."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: str
    python: str
    system: str
    free: int
    scratch: str


class FileThere(BaseModel):
    """A file of a run as it lies there."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: str
    size: int
    sha256: str


class News(BaseModel):
    """What a trainer has said since ``offset`` of its feed; ``alive`` while it is there."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    lines: tuple[str, ...]
    offset: int
    alive: bool
    glimpse: str = ""
    log: str = ""


class Far(Protocol):
    """What can be asked of the machine that trains; all of it may be asked twice."""

    def greet(self) -> Greeting:
        """Who is there."""

    def machine(self, device: str) -> dict[str, Any]:
        """What a plan must fit into, see `engine.plan.Machine`."""

    def findings(self) -> list[dict[str, str]]:
        """What ``dycon doctor`` says there."""

    def missing(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """How many bytes are there of each file, by SHA-256, that is not whole."""

    def put(self, sha256: str, size: int, offset: int, data: bytes) -> None:
        """A part of a file; the last one closes it, if it is what it should be."""

    def assemble(self, token: str, run: str, files: Mapping[str, str]) -> list[str]:
        """Put the folder of a run together from the store, once nothing is missing; return what is.

        Asked before anything is sent, it notes what is to be removed with the run.
        """

    def begin(self, token: str, run: str, patience: float | None) -> None:
        """Start the trainer, unless it was; it stops when nobody asks for news for so many seconds."""

    def tell(self, token: str, words: Sequence[str]) -> None:
        """Say to the trainer all that holds now."""

    def news(self, token: str, offset: int) -> News:
        """What the trainer has said."""

    def files(self, token: str, run: str) -> list[FileThere]:
        """What of a run is to come back."""

    def get(self, token: str, run: str, path: str, offset: int, size: int) -> bytes:
        """A part of a file of a run."""

    def drop(self, token: str, keep: bool) -> None:
        """Remove what is there of a training, and its scans unless they are to be kept."""


class LabourLock(FolderLock):
    """Held by the process that trains as long as it lives."""

    lock_file = ".labour.lock"
    holder_file = ".labour.holder.json"


class Depot:
    """Does what is asked on the machine that trains; implements `Far`.

    Parameters
    ----------
    scratch
        Folder for everything; the cache folder of the account by default.
    """

    private: ClassVar[bool] = True
    """Whether nobody but this account may look."""

    def __init__(self, scratch: str = "") -> None:
        self.folder = Path(scratch).expanduser() if scratch else user_cache_path("napari-dycon") / "elsewhere"
        self._store = self.folder / "store"
        self._runs = self.folder / "runs"

    def greet(self) -> Greeting:
        """Who is there."""
        self._make_folders()
        return Greeting(
            version=__version__,
            python=".".join(map(str, sys.version_info[:3])),
            system=sys.platform,
            free=shutil.disk_usage(self.folder).free,
            scratch=str(self.folder),
        )

    def machine(self, device: str) -> dict[str, Any]:
        """What a plan must fit into."""
        from napari_dycon.engine.plan import Machine

        return Machine.detect(device).model_dump(mode="json")

    def findings(self) -> list[dict[str, str]]:
        """What is found there."""
        self._make_folders()
        with tempfile.TemporaryDirectory() as folder:
            found = Path(folder) / "findings.json"
            command = [sys.executable, "-m", "napari_dycon.cli", "doctor", "--json", str(found)]
            subprocess.run(command, cwd=self.folder, capture_output=True, timeout=DOCTOR_SECONDS, check=False)
            return list(json.loads(found.read_bytes())["findings"])

    def missing(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """How many bytes are there of each file that is not whole."""
        found = {}
        for sha256, size in sizes.items():
            whole = self._path_of(sha256)
            if not (whole.is_file() and whole.stat().st_size == size):
                part = _part_of(whole)
                found[sha256] = part.stat().st_size if part.is_file() else 0
        return found

    def put(self, sha256: str, size: int, offset: int, data: bytes) -> None:
        """A part of a file."""
        self._make_folders()
        whole = self._path_of(sha256)
        part = _part_of(whole)
        with part.open("r+b" if part.exists() else "w+b") as file:
            file.seek(offset)
            file.write(data)
            file.truncate()
            end = file.tell()
            if end >= size:
                file.flush()
                os.fsync(file.fileno())
        if end < size:
            return
        if end != size or file_sha256(part) != sha256:
            part.unlink()
            raise TrainingError("A file arrived damaged; train again.")
        os.replace(part, whole)

    def assemble(self, token: str, run: str, files: Mapping[str, str]) -> list[str]:
        """Put the folder of a run together."""
        folder = self._run(token, run)
        for path in files:
            _check_name(_SENT, path)
        absent = sorted({sha for sha in files.values() if not self._path_of(sha).is_file()})
        folder.mkdir(parents=True, exist_ok=True)
        sent = {**_sent(folder.parent), **{sha: path for path, sha in files.items()}}
        write_text_atomic(folder.parent / SENT, json.dumps(sent))
        if absent:
            return absent
        for path, sha256 in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _link(self._path_of(sha256), target)
        return []

    def begin(self, token: str, run: str, patience: float | None) -> None:
        """Start the trainer, unless it was."""
        home = self._home(token)
        if LabourLock.is_held(home) or (home / FEED).exists():
            return
        process = start_labour(home, self._run(token, run), patience)
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if (home / FEED).exists():
                return
            if process.poll() is not None and not (home / FEED).exists():
                break
            time.sleep(0.1)
        raise TrainingError(f"The trainer did not start there: {_tail(home / LOG) or 'it says nothing'}")

    def tell(self, token: str, words: Sequence[str]) -> None:
        """Say to the trainer all that holds now."""
        write_text_atomic(self._home(token) / WISH, json.dumps(list(words)))

    def news(self, token: str, offset: int) -> News:
        """What the trainer has said."""
        home = self._home(token)
        alive = LabourLock.is_held(home)  # before the feed is read: what it said last is in there
        lines, end = read_lines(home / FEED, offset)
        (home / SEEN).touch()
        return News(
            lines=lines,
            offset=end,
            alive=alive,
            glimpse=_text(home / GLIMPSE),
            log="" if alive else _tail(home / LOG),
        )

    def files(self, token: str, run: str) -> list[FileThere]:
        """What of a run is to come back."""
        folder = self._run(token, run)
        found = []
        for path in _results(folder):
            with suppress(OSError):  # a checkpoint that was replaced by a newer one
                content = folder / path
                size = content.stat().st_size
                found.append(FileThere(path=path, size=size, sha256=file_sha256(content)))
        return found

    def get(self, token: str, run: str, path: str, offset: int, size: int) -> bytes:
        """A part of a file of a run."""
        if not is_result(path):
            raise TrainingError(f"{path} is no file that comes back.")
        with suppress(FileNotFoundError), (self._run(token, run) / path).open("rb") as file:
            file.seek(offset)
            return file.read(size)
        return b""

    def drop(self, token: str, keep: bool) -> None:
        """Remove what is there of a training."""
        home = self._runs / _check_name(_TOKEN, token)
        for sha256, path in _sent(home).items():
            whole = self._path_of(sha256)
            _part_of(whole).unlink(missing_ok=True)
            if not (keep and path.endswith(".npy")):
                whole.unlink(missing_ok=True)
        gone = home.with_name(f"{token}.gone")
        with suppress(OSError):  # whoever still works there must not write into what is being removed
            home = home.rename(gone)
        shutil.rmtree(home, ignore_errors=True)

    def homes(self) -> list[Path]:
        """The trainings there are."""
        return [path for path in self._runs.iterdir() if path.is_dir()] if self._runs.is_dir() else []

    def run_path(self, token: str, run: str) -> Path:
        """Where the folder of a run is."""
        return self._run(token, run)

    def _make_folders(self) -> None:
        for folder in (self.folder, self._store, self._runs):
            make_folder(folder)
            if self.private:
                with suppress(OSError):
                    folder.chmod(0o700)

    def _path_of(self, sha256: str) -> Path:
        return self._store / _check_name(_SHA, sha256)

    def _home(self, token: str) -> Path:
        home = self._runs / _check_name(_TOKEN, token)
        if not home.is_dir():
            raise GoneError("Nothing is left there of this training.")
        return home

    def _run(self, token: str, run: str) -> Path:
        return self._runs / _check_name(_TOKEN, token) / _check_name(_RUN, run)


def start_labour(home: Path, run: Path, patience: float | None) -> "subprocess.Popen[bytes]":
    """Start the process that trains, so that it outlives whoever asked for it."""
    command = [sys.executable, "-P", "-m", LABOUR, str(run), "" if patience is None else str(patience)]
    flags = ("CREATE_NEW_PROCESS_GROUP", "CREATE_NO_WINDOW", "CREATE_BREAKAWAY_FROM_JOB")  # on Windows
    with (home / LOG).open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=home,
            start_new_session=True,
            creationflags=sum(getattr(subprocess, flag, 0) for flag in flags),
        )


def read_lines(path: Path, offset: int) -> tuple[tuple[str, ...], int]:
    """Whole lines of a file from an offset on, not too many, and where they end."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            content = file.read(NEWS_BYTES)
            if content and b"\n" not in content:
                content += file.readline()
    except FileNotFoundError:
        return (), offset
    content = content[: content.rfind(b"\n") + 1]
    return tuple(content.decode("utf-8", errors="replace").splitlines()), offset + len(content)


def is_result(path: str) -> bool:
    """Whether a path, from the folder of a run, is one of a file that comes back."""
    return path in RESULTS or _CHECKPOINT.fullmatch(path) is not None


def is_token(text: str) -> bool:
    """Whether a folder is named like a training."""
    return _TOKEN.fullmatch(text) is not None


def _results(folder: Path) -> Iterator[str]:
    yield from (path for path in RESULTS if (folder / path).is_file())
    checkpoints = folder / "checkpoints"
    names = sorted(entry.name for entry in checkpoints.iterdir()) if checkpoints.is_dir() else []
    yield from (f"checkpoints/{name}" for name in names if is_result(f"checkpoints/{name}"))


def _sent(home: Path) -> dict[str, str]:
    """Where in the folder of the run that belongs which is sent for a training, by its SHA-256."""
    try:
        return dict(json.loads((home / SENT).read_bytes()))
    except (OSError, ValueError, TypeError):
        return {}


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    if target.suffix != ".npy":  # others are written again, some in place
        shutil.copyfile(source, target)
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _part_of(whole: Path) -> Path:
    return whole.with_name(f"{whole.name}.part")


def _check_name(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise TrainingError(f"{text[:80]!r} is no name that this program gives.")
    return text


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _tail(path: Path) -> str:
    return _text(path).strip()[-TAIL_BYTES:]
