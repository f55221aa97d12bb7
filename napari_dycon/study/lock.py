"""One writer per study: an operating-system lock, and a note beside it of who holds it."""

from __future__ import annotations

import getpass
import json
import os
import socket
from pathlib import Path

from filelock import FileLock, Timeout

from napari_dycon.errors import VolumeError
from napari_dycon.io.atomic import write_text_atomic
from napari_dycon.study.files import now

LOCK_FILE = ".study.lock"
HOLDER_FILE = ".study.holder.json"


class StudyLock:
    """The right to change a study; the system takes it back when its process dies, however it dies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = FileLock(folder / LOCK_FILE, timeout=0, thread_local=False, fallback_to_soft=False)

    def acquire(self) -> str | None:
        """Take the lock; return None, or a phrase that says why it cannot be had."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return f"it is in use by {self.holder()}"
        except (OSError, NotImplementedError) as error:
            return f"its folder cannot be written or locked ({getattr(error, 'strerror', None) or error})"
        try:
            write_text_atomic(self._folder / HOLDER_FILE, json.dumps(_myself()))
        except VolumeError as error:
            self._lock.release()
            return f"its folder cannot be written ({error})"
        return None

    def release(self) -> None:
        """Give the lock back; without effect where it is not held."""
        if self._lock.is_locked:
            (self._folder / HOLDER_FILE).unlink(missing_ok=True)
            self._lock.release()

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
