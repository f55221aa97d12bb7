"""All that a person can ask for, as commands of the palette: ``palette:NAME`` asks for the action NAME."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari_dycon.plugin.actions import BY_ID, Action
from napari_dycon.plugin.session import get_session

if TYPE_CHECKING:
    import napari.viewer

PLUGIN, WIDGET = "napari-dycon", "Study"


def __getattr__(name: str) -> Callable[["napari.viewer.Viewer"], None]:
    """Return what asks for the action ``name``; napari fills in the viewer."""
    if name not in BY_ID:
        raise AttributeError(name)
    return _command(BY_ID[name])


def _command(action: Action) -> Callable[["napari.viewer.Viewer"], None]:
    def ask(viewer: "napari.viewer.Viewer") -> None:
        if action.by_dock:
            _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
            dock.ask(action.id)
        else:
            get_session(viewer).actions.ask(action.id)

    ask.__name__, ask.__doc__ = action.id, action.title
    return ask
