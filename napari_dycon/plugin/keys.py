"""Keys that work in the viewer while a study is open; the dock has the same ones."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_dycon.plugin.session import Session


def _next(session: "Session") -> None:
    session.next_suggestion(1)


def _previous(session: "Session") -> None:
    session.next_suggestion(-1)


def _next_case(session: "Session") -> None:
    session.open_next()


def _previous_case(session: "Session") -> None:
    session.open_previous()


def _slice_complete(session: "Session") -> None:
    session.toggle_slice_complete()


def _prediction(session: "Session") -> None:
    session.set_overlay(prediction=not session.overlay.prediction)


def _entropy(session: "Session") -> None:
    session.set_overlay(entropy=not session.overlay.entropy)


def _three_planes(session: "Session") -> None:
    session.toggle_planes()


KEYS: dict[str, tuple[str, Callable[["Session"], None]]] = {
    "N": ("Go to the next suggestion", _next),
    "Shift+N": ("Go to the suggestion before", _previous),
    "J": ("Save, and open the next case", _next_case),
    "K": ("Back to the case before", _previous_case),
    "Ctrl+Enter": ("Slice complete, or not", _slice_complete),
    "G": ("Show or hide the prediction", _prediction),
    "U": ("Show or hide the uncertainty", _entropy),
    "Q": ("Three planes and 3D, or one plane", _three_planes),
}


def bind_keys(viewer: "ViewerModel", session_of: Callable[["ViewerModel"], "Session"]) -> None:
    """Bind the keys to ``viewer``; the session is looked up at each press, so that nothing is kept alive."""
    for key, (title, action) in KEYS.items():
        viewer.bind_key(key, _handler(title, action, session_of), overwrite=True)


def _handler(
    title: str, action: Callable[["Session"], None], session_of: Callable[["ViewerModel"], "Session"]
) -> Callable[["ViewerModel"], None]:
    def handle(viewer: "ViewerModel") -> None:
        action(session_of(viewer))

    handle.__doc__ = title
    return handle
