"""The jobs that change the structures of a study in every annotation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from napari_dycon.engine.control import Control
from napari_dycon.plugin.background import jobs
from napari_dycon.plugin.background.worker import EventSource, plain_words

Steps = Callable[[], Iterator[object]]
"""Changes annotations as it is iterated over."""


@dataclass(frozen=True, slots=True)
class Saved:
    """Everything painted is on disk; ``go_on`` is what was waiting for that."""

    go_on: Callable[[], None]

    def call(self) -> None:
        """Go on, in the GUI thread."""
        self.go_on()


@dataclass(frozen=True, slots=True)
class StructuresRewritten:
    """A merge or removal has ended.

    Attributes
    ----------
    begun
        Whether annotations on disk may be other ones now than those in memory.
    problem
        Why it failed; an empty text when it did not.
    """

    begun: bool
    problem: str


def flush(save_first: Callable[[], bool], go_on: Callable[[], None]) -> EventSource[Saved]:
    """Put everything painted on disk, then go on in the GUI thread."""

    def source(control: Control) -> Iterator[Saved]:
        del control
        jobs.save(save_first)
        yield Saved(go_on)

    return source


def at_once(change: Callable[[], None]) -> Steps:
    """Make a change that cannot be stopped halfway the only step."""

    def steps() -> Iterator[object]:
        change()
        yield from ()

    return steps


def rewrite(steps: Steps, save_first: Callable[[], bool]) -> EventSource[object]:
    """Change annotations step by step, once everything painted is on disk; what each step yields is told.

    A stop is heeded between two steps. `StructuresRewritten` comes last.
    """

    def source(control: Control) -> Iterator[object]:
        begun, problem = False, ""
        try:
            jobs.save(save_first)
            begun = True
            for event in steps():
                yield event
                if control.stopped:
                    break
        except Exception as error:  # noqa: BLE001 - the case must come back into the viewer, whatever happened
            problem = plain_words(error)
        yield StructuresRewritten(begun, problem)

    return source
