"""A line to a machine through the user's own ``ssh``: its settings, keys and agent, and nothing of ours."""

import shlex
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from napari_dycon.engine.runners.elsewhere.depot import Far
from napari_dycon.engine.runners.elsewhere.machines import NamedMachine
from napari_dycon.engine.runners.elsewhere.share import SharedDepot
from napari_dycon.engine.runners.elsewhere.wire import Line, LineDropError
from napari_dycon.errors import TrainingError

ANSWERER = "napari_dycon.engine.runners.elsewhere.wire"
OPTIONS = (
    *("-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "ClearAllForwardings=yes"),
    *("-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=4"),
)
QUIET_SECONDS = 300.0
"""A machine that says nothing for so long to a question has hung; reading a checkpoint's hash is shorter."""
TAIL_BYTES = 2000
_NO_SSH = "There is no ssh on this computer: install OpenSSH (on Windows: Settings > Optional features)."


class UnfitError(TrainingError):
    """The machine can be reached, or would be, but something is missing; waiting does not mend it."""


@contextmanager
def line_to(machine: NamedMachine) -> Iterator[Far]:
    """Ask a machine; the line is cut at the end of the block.

    Raises
    ------
    LineDropError
        When it cannot be reached now.
    UnfitError
        When something there, or in the settings of ssh, is missing; the sentence says how to mend it.
    """
    if machine.shares_folder:
        yield SharedDepot(machine.scratch)
        return
    with tempfile.TemporaryFile() as errors, _process(machine, errors) as process:
        try:
            assert process.stdin is not None and process.stdout is not None
            far = _GuardedLine(process, machine.scratch)
            try:
                far.open()
            except LineDropError:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                raise _fault(machine, process.returncode, _tail(errors)) from None
            yield far
        finally:
            _cut(process)


class _GuardedLine(Line):
    """A line that is cut when the other side has hung."""

    def __init__(self, process: "subprocess.Popen[bytes]", scratch: str) -> None:
        assert process.stdin is not None and process.stdout is not None
        super().__init__(process.stdin, process.stdout, scratch)
        self._process = process

    def open(self) -> None:
        """Wait for the other side."""
        with self._guard():
            super().open()

    def _question(self, question: dict[str, object], data: bytes = b"") -> tuple[dict[str, object], bytes]:
        with self._guard():
            return super()._question(question, data)

    @contextmanager
    def _guard(self) -> Iterator[None]:
        timer = threading.Timer(QUIET_SECONDS, self._process.kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def command_for(machine: NamedMachine) -> list[str]:
    """Return what is run here; the part for the shell there holds plain words only, no path of a study."""
    ssh = shutil.which("ssh")
    if ssh is None:
        raise UnfitError(_NO_SSH)
    port = ["-p", str(machine.port)] if machine.port else []
    words = [word.removeprefix("~/") for word in machine.python.split()]  # the shell there begins at home
    there = shlex.join([*words, "-m", ANSWERER])
    return [ssh, "-T", *OPTIONS, *port, "--", machine.destination, there]


def _process(machine: NamedMachine, errors: IO[bytes]) -> "subprocess.Popen[bytes]":
    """The ssh, without a window, and out of reach of a Ctrl-C in the terminal that is for this program."""
    flags = ("CREATE_NEW_PROCESS_GROUP", "CREATE_NO_WINDOW")  # on Windows
    try:
        return subprocess.Popen(
            command_for(machine),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            process_group=0,
            creationflags=sum(getattr(subprocess, flag, 0) for flag in flags),
        )
    except OSError as error:
        raise UnfitError(f"ssh cannot be started: {error.strerror}.") from error


def _cut(process: "subprocess.Popen[bytes]") -> None:
    for stream in (process.stdin, process.stdout):
        with suppress(OSError):
            assert stream is not None
            stream.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(2)
    if process.poll() is None:
        process.kill()


def _fault(machine: NamedMachine, code: int | None, said: str) -> TrainingError:
    """What to say where nobody answered: ssh ends with 255 for faults of its own."""
    name, to = machine.name, machine.destination
    low = said.lower()
    by_hand = f"ssh {'-p ' + str(machine.port) + ' ' if machine.port else ''}{to}"
    if "host key verification failed" in low:
        return UnfitError(
            f"ssh does not know {name}, or it has another key than before: run '{by_hand}' in a terminal "
            "once and answer what it asks."
        )
    if "permission denied" in low or "too many authentication failures" in low:
        return UnfitError(
            f"{name} asks for a password, which nobody can type here: give ssh a key (ssh-copy-id {to}), or "
            f"load it into your agent (ssh-add); '{by_hand}' must work without a question."
        )
    if "no module named" in low and "napari_dycon" in low:
        return UnfitError(
            f"napari-dycon is not installed for {machine.python} on {name}: {_install(machine)}"
        )
    if code in (126, 127, 9009) or "not found" in low or "not recognized" in low:
        return UnfitError(
            f"{name} has no command {machine.python}: name the Python that has napari-dycon, for example "
            "that of its virtual environment."
        )
    if code == 255 or code is None:
        last = said.splitlines()[-1].strip() if said else "ssh says nothing"
        return LineDropError(f"{name} cannot be reached ({last}).")
    last = said.splitlines()[-1].strip() if said else f"it ended with {code}"
    return UnfitError(f"{machine.python} on {name} cannot start napari-dycon: {last}.")


def _install(machine: NamedMachine) -> str:
    from napari_dycon import __version__

    return f"{machine.python} -m pip install napari-dycon=={__version__}"


def check_version(machine: NamedMachine, version: str) -> None:
    """Refuse a machine with another version: a run is trained by one.

    Raises
    ------
    UnfitError
        With what to install.
    """
    from napari_dycon import __version__

    if version != __version__:
        raise UnfitError(
            f"{machine.name} has napari-dycon {version}, this computer {__version__}: {_install(machine)}"
        )


def _tail(errors: IO[bytes]) -> str:
    errors.seek(0, 2)
    errors.seek(max(0, errors.tell() - TAIL_BYTES))
    return errors.read().decode("utf-8", errors="replace").strip()
