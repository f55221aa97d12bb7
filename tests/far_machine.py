"""A stand-in for ssh on PATH: it runs the command for the other side here, and can be cut or kept down."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from napari_dycon.engine.runners.elsewhere import follow
from napari_dycon.engine.runners.elsewhere.machines import NamedMachine

SSH = """#!/bin/sh
echo "$@" >> "{home}/asked"
if [ -e "{home}/down" ]; then cat "{home}/down" >&2; exit 255; fi
while [ "$1" != "--" ]; do shift; done
echo $$ > "{home}/pid"
shift 2
echo "Welcome to the other machine"
exec sh -c "exec $*"
"""


class FakeSsh:
    """Has the line in hand."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.scratch = home / "scratch"

    @property
    def machine(self) -> NamedMachine:
        """How to get there."""
        return NamedMachine(
            name="GPU box",
            destination="somebody@gpu",
            python=sys.executable,
            scratch=str(self.scratch),
            device="cpu",
        )

    def drop(self) -> None:
        """Cut the line, if there is one."""
        with suppress(OSError, ValueError):
            os.kill(int((self.home / "pid").read_text()), signal.SIGKILL)

    def go_down(self, words: str = "ssh: connect to host gpu port 22: No route to host") -> None:
        """Let nobody through."""
        (self.home / "down").write_text(words + "\n")

    def come_up(self) -> None:
        """Let everybody through."""
        (self.home / "down").unlink(missing_ok=True)

    def trainers(self) -> list[psutil.Process]:
        """Processes that train there."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                line = process.cmdline()
                if any(str(self.scratch) in word for word in line) and any("labour" in word for word in line):
                    found.append(process)
        return found

    def left(self) -> list[Path]:
        """Files that lie there."""
        return [path for path in self.scratch.rglob("*") if path.is_file()]


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSsh]:
    if os.name == "nt":
        pytest.skip("the stand-in is a shell script")
    home = tmp_path / "other machine"
    (home / "bin").mkdir(parents=True)
    program = home / "bin" / "ssh"
    program.write_text(SSH.format(home=home))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(follow, "FIRST_PAUSE", 0.05)
    fake = FakeSsh(home)
    yield fake
    for process in fake.trainers():
        process.kill()
