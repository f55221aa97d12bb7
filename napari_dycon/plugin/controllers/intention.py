"""What a person asks for must never end in a traceback."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from napari_dycon.errors import DyconError

if TYPE_CHECKING:
    from napari_dycon.plugin.controllers.state import SessionState

P = ParamSpec("P")
S = TypeVar("S", bound="SessionState")


def intention(method: Callable[Concatenate[S, P], None]) -> Callable[Concatenate[S, P], None]:
    """Turn the user's errors of a session method into a message; nothing is raised into Qt."""

    @wraps(method)
    def guarded(self: S, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except DyconError as error:
            self.say("error", str(error))

    return guarded
