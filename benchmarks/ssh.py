"""Train through a real OpenSSH server on this computer, drop the line again and again, and compare models.

    python benchmarks/ssh.py --drops 10 --iterations 400 --json ssh.json

A server of its own listens on the loopback address, with host and user keys made for it in a temporary
folder. The same study of real scans is trained three times with the same seed: here, through a line that
stays, and through one that is dropped: turn by turn the process of the client is killed, the process of the
server that serves it, and the server is away for some seconds. Models are compared byte by byte. Needs
``sshd`` (on Debian and Ubuntu the package openssh-server).
"""

from __future__ import annotations

import argparse
import getpass
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from common import REPOSITORY, atrium_study

from napari_dycon.engine.control import Control
from napari_dycon.engine.events import Note, RunFinished, StepFinished
from napari_dycon.engine.request import Request
from napari_dycon.engine.runners.elsewhere.follow import train_elsewhere
from napari_dycon.engine.runners.elsewhere.machines import NamedMachine
from napari_dycon.engine.runners.here import train_here
from napari_dycon.engine.runs import RunFolder
from napari_dycon.study.study import Study

SMALL = {"patch_size": (48, 48, 32), "network": {"widths": (8, 16, 32), "strides": ((2, 2, 2), (2, 2, 2))}}
AWAY_SECONDS = 4.0
SERVER = """
Port {port}
ListenAddress 127.0.0.1
HostKey {home}/host
AuthorizedKeysFile {home}/user.pub
PidFile {home}/sshd.pid
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
"""
CLIENT = """
Host bench
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {home}/user
  IdentitiesOnly yes
  UserKnownHostsFile {home}/known
"""


class Server:
    """An OpenSSH server for one user, and an ``ssh`` on PATH that knows it."""

    def __init__(self, home: Path) -> None:
        self._home = home
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        for key in ("host", "user"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(home / key)]
            subprocess.run(command, check=True)
        places = {"port": self._port, "home": home, "user": getpass.getuser()}
        (home / "sshd_config").write_text(SERVER.format(**places))
        (home / "ssh_config").write_text(CLIENT.format(**places))
        host = (home / "host.pub").read_text().strip()
        (home / "known").write_text(f"[127.0.0.1]:{self._port} {host}\n")
        program = home / "bin" / "ssh"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {home}/ssh_config "$@"\n')
        program.chmod(0o755)
        os.environ["PATH"] = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Listen."""
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program is not None, "sshd is not installed"
        self._process = subprocess.Popen(
            [program, "-D", "-e", "-f", str(self._home / "sshd_config")], stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
                return
            time.sleep(0.1)
        raise RuntimeError("the server does not listen")

    def stop(self) -> None:
        """Let nobody in any more, and cut the lines there are."""
        assert self._process is not None
        self.cut_there()
        self._process.kill()
        self._process.wait()

    def cut_there(self) -> None:
        """Kill what serves the line on the side of the server, but not the trainer, which nobody serves."""
        assert self._process is not None
        for child in psutil.Process(self._process.pid).children():
            for process in (child, *child.children()):
                with suppress(psutil.Error):
                    if process.name().startswith("sshd"):
                        process.kill()

    @staticmethod
    def cut_here() -> None:
        """Kill the client."""
        for child in psutil.Process().children():
            with suppress(psutil.Error):
                if child.name() == "ssh":
                    child.kill()


@contextmanager
def served(home: Path) -> Iterator[Server]:
    """Have a server as long as the block runs."""
    server = Server(home)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def model_of(study: Study, run: str) -> str:
    """SHA-256 of the tensors of the last checkpoint."""
    checkpoints = RunFolder(study.run_dir(run)).checkpoints
    return hashlib.sha256(checkpoints.files(checkpoints.iterations[0])[0].read_bytes()).hexdigest()


def follow(study: Study, machine: NamedMachine, request: Request, server: Server, drops: int) -> dict:
    """Train there; drop the line every so many steps."""
    done, notes, begun, steps = 0, [], time.monotonic(), []
    every = max(1, (request.iterations or 1) // (drops + 1))
    for event in train_elsewhere(study, request, Control(), machine):
        if isinstance(event, Note):
            notes.append(event.text)
        if isinstance(event, StepFinished):
            steps.append(event.iteration)
            if done < drops and event.iteration >= every * (done + 1):
                drop(server, done)
                done += 1
        if isinstance(event, RunFinished):
            end = event
    return {
        "drops": done,
        "told": sum("has dropped" in note for note in notes),
        "steps_in_order": steps == list(range(1, (request.iterations or 0) + 1)),
        "reason": end.reason,
        "seconds": round(time.monotonic() - begun, 1),
        "model": model_of(study, end.run),
    }


def drop(server: Server, number: int) -> None:
    """Drop the line in one of three ways."""
    if number % 3 == 0:
        server.cut_here()
    elif number % 3 == 1:
        server.cut_there()
    else:
        server.stop()
        time.sleep(AWAY_SECONDS)
        server.start()


def main() -> None:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--drops", type=int, default=10)
    parser.add_argument("--iterations", type=int, default=400)
    parser.add_argument("--cases", type=int, default=6)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    request = Request(iterations=chosen.iterations, device="cpu", threads=1, overrides=SMALL)
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        machine = NamedMachine(
            name="bench",
            destination="bench",
            python=f"env PYTHONPATH={REPOSITORY} OMP_NUM_THREADS=1 {sys.executable}",
            scratch=str(home / "there"),
            device="cpu",
        )
        atrium_study(home / "study", chosen.cases, 2).close()
        studies = []
        for name in ("here", "steady", "dropped"):
            shutil.copytree(home / "study", home / name)
            studies.append(Study.open(home / name))
        here, steady, dropped = studies
        begun = time.monotonic()
        end = list(train_here(here, request, Control()))[-1]
        result = {"iterations": chosen.iterations, "cases": chosen.cases}
        result["here"] = {"seconds": round(time.monotonic() - begun, 1), "model": model_of(here, end.run)}
        with served(home) as server:
            result["steady"] = follow(steady, machine, request, server, 0)
            result["dropped"] = follow(dropped, machine, request, server, chosen.drops)
        result["left_there"] = sum(path.is_file() for path in (home / "there").rglob("*"))
        models = {result[name]["model"] for name in ("here", "steady", "dropped")}
        result["same_model"] = len(models) == 1
        for study in studies:
            study.close()
    print(json.dumps(result, indent=1))
    if chosen.json:
        chosen.json.write_text(json.dumps(result, indent=1))
    sys.exit(not result["same_model"])


if __name__ == "__main__":
    main()
