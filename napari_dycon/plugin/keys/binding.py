"""Binds the keys of the chosen scheme to the viewers of a study; the dock has the same ones."""

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from napari.layers import Image, Labels, Layer
from napari.utils.events import Event

from napari_dycon.plugin.keys.preferences import preferred_scheme
from napari_dycon.plugin.keys.schemes import COMMANDS, Command, bound_keys
from napari_dycon.plugin.layers.presenter import ROLES

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_dycon.plugin.session import Session

SessionOf = Callable[["ViewerModel"], "Session | None"]


class Keyboard:
    """The keys of one viewer model.

    Napari asks the active layer for a key before the viewer, and its layers have tools on many keys; so keys
    are bound to the viewer and to the layers of the study. Layers of others keep the keys they have.

    Parameters
    ----------
    model
        The viewer or viewer model, only weakly referenced.
    session_of
        Returns what the keys work on; asked at each press, so that nothing is kept alive.
    """

    def __init__(self, model: "ViewerModel", session_of: SessionOf) -> None:
        self._model = weakref.ref(model)
        self._session_of = session_of
        self._bound: dict[str, Callable[[object], None]] = {}
        self._holders: weakref.WeakSet[ViewerModel | Layer] = weakref.WeakSet((model,))
        self._holders.update(layer for layer in model.layers if _is_ours(layer))
        model.layers.events.inserted.connect(self._inserted)

    def bind(self, scheme: str) -> None:
        """Bind the keys of ``scheme`` in place of those of the scheme before."""
        for holder in self._holders:
            for key in self._bound:
                holder.bind_key(key, None)
        self._bound = {
            key: self._handler(command)
            for command in COMMANDS
            if command.act is not None
            for key in bound_keys(command, scheme)
        }
        for holder in self._holders:
            self._bind_to(holder)

    def _inserted(self, event: Event) -> None:
        if _is_ours(event.value):
            self._holders.add(event.value)
            self._bind_to(event.value)

    def _bind_to(self, holder: "ViewerModel | Layer") -> None:
        for key, handler in self._bound.items():
            holder.bind_key(key, handler, overwrite=True)

    def _handler(self, command: Command) -> Callable[[object], None]:
        model_ref, session_of = self._model, self._session_of

        def handle(_: object) -> None:
            model = model_ref()
            session = None if model is None else session_of(model)
            if session is not None:
                command.act(session)

        handle.__doc__ = command.title
        return handle


_keyboards: "weakref.WeakKeyDictionary[ViewerModel, Keyboard]" = weakref.WeakKeyDictionary()


def bind_keys(viewer: "ViewerModel", session_of: SessionOf) -> None:
    """Bind the keys of the preferred scheme to ``viewer`` and to the layers it has or gets."""
    if viewer not in _keyboards:
        _keyboards[viewer] = Keyboard(viewer, session_of)
    _keyboards[viewer].bind(preferred_scheme())


def rebind_keys() -> None:
    """Bind the keys of the preferred scheme wherever keys are bound."""
    for keyboard in list(_keyboards.values()):
        keyboard.bind(preferred_scheme())


def _is_ours(layer: Layer) -> bool:
    return isinstance(layer, Image | Labels) and layer.name in ROLES
