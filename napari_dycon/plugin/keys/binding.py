"""Binds the keys of the chosen scheme to the viewers of a study; the dock has the same ones."""

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from napari.layers import Image, Labels, Layer
from napari.utils.events import Event

from napari_dycon.plugin.actions import ACTIONS, Action, ActionsOf
from napari_dycon.plugin.keys.preferences import preferred_scheme
from napari_dycon.plugin.keys.schemes import bound_keys
from napari_dycon.plugin.layers.styles import is_role

if TYPE_CHECKING:
    from napari.components import ViewerModel


class Keyboard:
    """The keys of one viewer model.

    Napari asks the active layer for a key before the viewer, and its layers have tools on many keys; so keys
    are bound to the viewer and to the layers of the study. Layers of others keep the keys they have.

    Parameters
    ----------
    model
        The viewer or viewer model, only weakly referenced.
    actions
        Returns who does what the keys ask for.
    """

    def __init__(self, model: "ViewerModel", actions: ActionsOf) -> None:
        self._model = weakref.ref(model)
        self._actions = actions
        self._bound: dict[str, Callable[[object], None]] = {}
        self._holders: weakref.WeakSet[ViewerModel | Layer] = weakref.WeakSet((model,))
        self._holders.update(layer for layer in model.layers if _is_ours(layer))
        model.layers.events.inserted.connect(self._on_inserted)

    def bind(self, scheme: str) -> None:
        """Bind the keys of ``scheme`` in place of those of the scheme before."""
        for holder in self._holders:
            for key in self._bound:
                holder.bind_key(key, None)
        self._bound = {
            key: self._handler(action)
            for action in ACTIONS
            if not action.by_dock
            for key in bound_keys(action, scheme)
        }
        for holder in self._holders:
            self._bind_to(holder)

    def _on_inserted(self, event: Event) -> None:
        if _is_ours(event.value):
            self._holders.add(event.value)
            self._bind_to(event.value)

    def _bind_to(self, holder: "ViewerModel | Layer") -> None:
        for key, handler in self._bound.items():
            holder.bind_key(key, handler, overwrite=True)

    def _handler(self, action: Action) -> Callable[[object], None]:
        actions_of = self._actions

        def handle(_: object) -> None:
            actions = actions_of()
            if actions is not None:
                actions.perform(action.id)

        handle.__doc__ = action.title
        return handle


_keyboards: "weakref.WeakKeyDictionary[ViewerModel, Keyboard]" = weakref.WeakKeyDictionary()


def bind_keys(viewer: "ViewerModel", actions: ActionsOf) -> None:
    """Bind the keys of the preferred scheme to ``viewer`` and to the layers it has or gets."""
    if viewer not in _keyboards:
        _keyboards[viewer] = Keyboard(viewer, actions)
    _keyboards[viewer].bind(preferred_scheme())


def rebind_keys() -> None:
    """Bind the keys of the preferred scheme wherever keys are bound."""
    for keyboard in list(_keyboards.values()):
        keyboard.bind(preferred_scheme())


def _is_ours(layer: Layer) -> bool:
    return isinstance(layer, Image | Labels) and is_role(layer.name)
