"""The processes that train together with a first one: where each has its place, how they start and end.

Nothing here imports torch.
"""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import IO, Any

from napari_dycon.errors import TrainingError

END_SECONDS = 15.0
GRACE_SECONDS = 30.0
"""So long the first process may take to find out that another one is gone, and to save."""
MEETING = ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT")
Start = Callable[[dict[str, str]], "subprocess.Popen[str]"]


def places(devices: int, machines: int = 1) -> list[dict[str, str]]:
    """Environments of the processes to start on this machine, as ``torchrun`` would make them.

    Parameters
    ----------
    devices, machines
        Processes on each machine, and machines; of several each is told its number, and where the first one
        is, by `MEETING` in its environment.

    Raises
    ------
    TrainingError
        When it is not.
    """
    number, address, port = _meeting(machines)
    common = {
        "MASTER_ADDR": address,
        "MASTER_PORT": port,
        "WORLD_SIZE": str(devices * machines),
        "LOCAL_WORLD_SIZE": str(devices),
        "GROUP_RANK": str(number),
        "GROUP_WORLD_SIZE": str(machines),
        "TORCHELASTIC_RUN_ID": "dycon",
    }
    return [
        {**common, "RANK": str(number * devices + device), "LOCAL_RANK": str(device)}
        for device in range(devices)
    ]


def leads_here(machines: int) -> bool:
    """Whether the first process is on this one of some machines."""
    return _meeting(machines)[0] == 0


def _meeting(machines: int) -> tuple[int, str, str]:
    if machines == 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return 0, "127.0.0.1", str(free.getsockname()[1])
    number, address, port = (os.environ.get(name, "") for name in MEETING)
    if not (number.isdecimal() and int(number) < machines and address and port.isdecimal()):
        raise TrainingError(
            "On several machines set NODE_RANK (0 on the first), MASTER_ADDR (the first one's address) and "
            "MASTER_PORT on each, or start with torchrun."
        )
    return int(number), address, port


class Crew:
    """The processes beside the first one, while a block runs.

    Parameters
    ----------
    environments
        Of each; none for a training in one process.
    task
        What the first process is told, too.
    start
        Starts a process in an environment.
    """

    def __init__(self, environments: Sequence[dict[str, str]], task: dict[str, Any], start: Start) -> None:
        self._environments, self._task, self._start = environments, task, start
        self._processes: list[subprocess.Popen[str]] = []
        self._missed: float | None = None

    def __enter__(self) -> "Crew":
        """Start them."""
        for environment in self._environments:
            process = self._start(environment)
            self._processes.append(process)
            with suppress(OSError):  # it is gone, which is told elsewhere
                _input(process).write(json.dumps(self._task) + "\n")
                _input(process).flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """See that they end: by themselves, as the first one is gone, or else at once."""
        deadline = time.monotonic() + END_SECONDS
        for process in self._processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with suppress(OSError):
                        stream.close()

    @property
    def broken(self) -> bool:
        """Whether one is gone for so long that the first one should have ended."""
        if self._missed is None and any(process.poll() for process in self._processes):
            self._missed = time.monotonic()
        return self._missed is not None and time.monotonic() - self._missed > GRACE_SECONDS

    def wait(self) -> None:
        """Wait until all have ended."""
        for process in self._processes:
            process.wait()

    def fault(self) -> tuple[int, int, str] | None:
        """Which process failed (its number, counted from 1), its exit status, and what it said."""
        for environment, process in zip(self._environments, self._processes, strict=True):
            code = process.poll()
            if code:
                return int(environment["RANK"]) + 1, code, _last_words(process.stdout)
        return None


def _input(process: "subprocess.Popen[str]") -> IO[str]:
    assert process.stdin is not None
    return process.stdin


def _last_words(said: IO[str] | None) -> str:
    for line in said or ():
        with suppress(ValueError):
            message = json.loads(line)
            if "error" in message:
                return str(message["error"])
    return ""
