"""A task that workers import, which does what its job says."""

import os
import signal
import time
from pathlib import Path

from napari_dycon.engine.sharing import Report
from napari_dycon.errors import DyconError


def task(job: tuple[str, Path], report: Report) -> str | None:
    """Do what the job says."""
    kind, folder = job
    report.begin("begun")
    with (folder / "begun").open("a") as file:
        file.write(f"{kind}\n")
    if kind == "die once" and not (folder / "died").exists():
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "fail":
        raise DyconError("This cannot be done.")
    if kind == "stop":
        while not report.control.stopped:
            report.tell(0.5, "half")
            time.sleep(0.05)
        return None
    return kind
