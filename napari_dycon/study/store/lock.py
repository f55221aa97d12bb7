"""One writer per study, one training per run: a lock of the system, and a note beside it of who holds it."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import socket
from pathlib import Path
from typing import ClassVar

from filelock import FileLock, Timeout

from napari_dycon.errors import DyconError
from napari_dycon.io.json_files import write_json
from napari_dycon.study.store.files import clear_way, now

LOCK_FILE = ".study.lock"
HOLDER_FILE = ".study.holder.json"


class FolderLock:
    """The right to change a folder; the system takes it back when its process dies, however it dies."""

    lock_file: ClassVar[str]
    holder_file: ClassVar[str]

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = FileLock(folder / self.lock_file, timeout=0, thread_local=False, fallback_to_soft=False)

    def acquire(self) -> str | None:
        """Take the lock; return None, or a phrase that says why it cannot be had."""
        clear_way(self._folder / self.lock_file)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return f"it is in use by {self.holder()}"
        except (OSError, NotImplementedError) as error:
            return f"its folder cannot be written or locked ({getattr(error, 'strerror', None) or error})"
        try:
            clear_way(self._folder / self.holder_file)
            write_json(self._folder / self.holder_file, _myself())
        except DyconError as error:
            self._lock.release()
            return f"its folder cannot be written ({error})"
        return None

    def release(self, *, clean: bool = True) -> None:
        """Give the lock back; without effect where it is not held.

        Parameters
        ----------
        clean
            Whether all is on disk; if not, the note stays, and the next holder looks as after a crash.
        """
        if self._lock.is_locked:
            if clean:
                with contextlib.suppress(OSError):
                    (self._folder / self.holder_file).unlink(missing_ok=True)
            self._lock.release()

    @classmethod
    def was_left_behind(cls, folder: Path) -> bool:
        """Tell whether somebody holds the folder, or was stopped while holding it."""
        return (folder / cls.holder_file).exists()

    @classmethod
    def is_held(cls, folder: Path) -> bool:
        """Tell whether somebody holds the folder now; False where that cannot be found out."""
        return cls._is_held(folder) is True

    @classmethod
    def is_abandoned(cls, folder: Path) -> bool:
        """Tell whether who held the folder was stopped; False where that cannot be found out."""
        return cls.was_left_behind(folder) and cls._is_held(folder) is False

    @classmethod
    def _is_held(cls, folder: Path) -> bool | None:
        """Whether somebody holds the folder now; None where that cannot be found out."""
        if not cls.was_left_behind(folder):
            return False
        probe = cls(folder)._lock
        try:
            probe.acquire(timeout=0)
        except Timeout:
            return True
        except (OSError, NotImplementedError):
            return None
        probe.release()
        return False

    def holder(self) -> str:
        """Who holds the folder, as far as is known, for example ``anna on ward-3 (process 412, since …)``."""
        try:
            note = json.loads((self._folder / self.holder_file).read_text(encoding="utf-8"))
            return f"{note['user']} on {note['host']} (process {note['process']}, since {note['since']})"
        except (OSError, ValueError, KeyError, TypeError):
            return "another program"


class StudyLock(FolderLock):
    """The right to change a study."""

    lock_file = LOCK_FILE
    holder_file = HOLDER_FILE


class RunLock(FolderLock):
    """The right to train a run, whoever holds the study."""

    lock_file = ".run.lock"
    holder_file = ".run.holder.json"


def _myself() -> dict[str, object]:
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = "somebody"
    return {"user": user, "host": socket.gethostname(), "process": os.getpid(), "since": now()}
