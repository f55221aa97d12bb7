"""``--scheduler`` of long comparisons: their tasks are done here, or shared out among workers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_dycon.cli.console import INTERRUPTED, thread_limit
from napari_dycon.errors import DyconError

if TYPE_CHECKING:
    from distributed import Client

    from napari_dycon.engine.control import Control

TaskScheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="WHERE",
        help="Share the rows out among Dask workers: local:4, tcp://host:8786, slurm:8, or a .yaml or .json "
        "file that says where.",
        show_default=False,
    ),
]


def require_folder(scheduler: str | None, *kept: Path | None) -> None:
    """Refuse to work elsewhere in a temporary folder of this machine."""
    if scheduler is not None and not scheduler.startswith("local:") and not any(kept):
        raise DyconError("Workers elsewhere need a folder that they see, too: add --work DIR or --json FILE.")


@dataclass(frozen=True)
class Workers:
    """Who does the tasks: a cluster, or this process when there is no client."""

    client: "Client | None"
    threads: int | None
    device: str | None

    @classmethod
    @contextmanager
    def of(cls, scheduler: str | None, device: str, control: "Control") -> "Iterator[Workers]":
        """Join a cluster while the block runs, and ask what its workers compute on."""
        if scheduler is None:
            yield cls(None, thread_limit(), None)
            return
        from napari_dycon.engine.cluster import join_cluster, threads_of
        from napari_dycon.engine.device import resolve_device
        from napari_dycon.engine.sharing import ask

        with join_cluster(scheduler) as client:
            found = ask(client, resolve_device, device, control)
            if found is None:
                raise typer.Exit(INTERRUPTED)
            yield cls(client, threads_of(scheduler, thread_limit()), found)

    @property
    def about(self) -> dict[str, Any]:
        """What a comparison must know of them."""
        return {"threads": self.threads, "device": self.device}


@dataclass
class Shares:
    """How far all tasks together are."""

    total: int
    _of: dict[str, float] = field(default_factory=dict)

    def update(self, task: str, share: float) -> float:
        """Take in how far a task is; return how far all are, from 0 to 1."""
        self._of[task] = share
        return min(1.0, sum(self._of.values()) / max(1, self.total))

    def finish(self, task: str) -> float:
        """Take in that a task is done."""
        return self.update(task, 1.0)
