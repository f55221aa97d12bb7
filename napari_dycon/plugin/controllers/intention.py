"""What a person asks for must never end in a traceback."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar, cast

from napari_dycon.errors import DyconError
from napari_dycon.plugin.controllers.dialogue import Dialogue


class Speaker(Protocol):
    """Whoever can tell the person something."""

    @property
    def _dialogue(self) -> Dialogue: ...


P = ParamSpec("P")
S = TypeVar("S", bound=Speaker)


def intention(method: Callable[Concatenate[S, P], None]) -> Callable[Concatenate[S, P], None]:
    """Turn the user's errors of a controller's method into a message; nothing is raised into Qt."""

    @wraps(method)
    def wrapper(self: S, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except DyconError as error:
            self._dialogue.say("error", str(error))

    return cast(Callable[Concatenate[S, P], None], wrapper)
