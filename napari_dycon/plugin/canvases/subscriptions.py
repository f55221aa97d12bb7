"""What somebody listens to, to be let go of together."""

from collections.abc import Callable
from typing import Any


class Subscriptions:
    """Remembers which functions were connected to which of napari's emitters."""

    def __init__(self) -> None:
        self._connected: list[tuple[Any, Callable[..., None]]] = []

    def add(self, emitter: Any, slot: Callable[..., None]) -> None:
        """Call ``slot`` with each event of ``emitter`` from now on."""
        emitter.connect(slot)
        self._connected.append((emitter, slot))

    def end(self) -> None:
        """Listen no longer."""
        for emitter, slot in self._connected:
            emitter.disconnect(slot)
        self._connected = []
