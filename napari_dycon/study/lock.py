"""One writer per study: an operating-system lock, and a note beside it of who holds it."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import socket
from pathlib import Path

from filelock import FileLock, Timeout

from napari_dycon.errors import DyconError
from napari_dycon.io.json_files import write_json
from napari_dycon.study.files import clear_way, now

LOCK_FILE = ".study.lock"
HOLDER_FILE = ".study.holder.json"


class StudyLock:
    """The right to change a study; the system takes it back when its process dies, however it dies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = FileLock(folder / LOCK_FILE, timeout=0, thread_local=False, fallback_to_soft=False)

    def acquire(self) -> str | None:
        """Take the lock; return None, or a phrase that says why it cannot be had."""
        clear_way(self._folder / LOCK_FILE)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return f"it is in use by {self.holder()}"
        except (OSError, NotImplementedError) as error:
            return f"its folder cannot be written or locked ({getattr(error, 'strerror', None) or error})"
        try:
            clear_way(self._folder / HOLDER_FILE)
            write_json(self._folder / HOLDER_FILE, _myself())
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
                    (self._folder / HOLDER_FILE).unlink(missing_ok=True)
            self._lock.release()

    @staticmethod
    def left_behind(folder: Path) -> bool:
        """Tell whether somebody holds the study, or was stopped while holding it."""
        return (folder / HOLDER_FILE).exists()

    def holder(self) -> str:
        """Who holds the study, as far as is known, for example ``anna on ward-3 (process 412, since …)``."""
        try:
            note = json.loads((self._folder / HOLDER_FILE).read_text(encoding="utf-8"))
            return f"{note['user']} on {note['host']} (process {note['process']}, since {note['since']})"
        except (OSError, ValueError, KeyError, TypeError):
            return "another program"


def _myself() -> dict[str, object]:
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = "somebody"
    return {"user": user, "host": socket.gethostname(), "process": os.getpid(), "since": now()}
