"""The training loop."""

from collections.abc import Iterator, Mapping
from typing import Any

from napari_dycon.engine.control import Control
from napari_dycon.engine.events import Event
from napari_dycon.study.study import Study


class Trainer:
    """Trains a method on a study; iterate :meth:`run`."""

    def __init__(
        self,
        study: Study,
        method: str = "dycon",
        *,
        minutes: float | None = None,
        iterations: int | None = None,
        seed: int = 0,
        device: str = "auto",
        overrides: Mapping[str, Any] | None = None,
        run_id: str | None = None,
        resume: bool = False,
        warm_start: bool = True,
        control: Control | None = None,
        threads: int | None = None,
        holdout: bool = True,
    ) -> None:
        raise NotImplementedError

    def run(self) -> Iterator[Event]:
        """Train; the first event is RunStarted, the last RunFinished."""
        raise NotImplementedError
