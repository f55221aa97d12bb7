"""The user's preferences from napari's own settings page."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from napari.settings import get_plugin_settings
from psygnal import Signal

from napari_dycon.errors import StudyError

PLUGIN = "napari-dycon"
DEFAULT_SCHEME = "napari"


def preferred_device() -> str:
    """Return the device of Preferences > DyCON: auto, cpu, cuda or mps."""
    return str(get_plugin_settings(PLUGIN).training.device)


def prefers_own_process() -> bool:
    """Return whether Preferences > DyCON wants trainings in a process of their own."""
    try:
        return bool(get_plugin_settings(PLUGIN).training.own_process)
    except KeyError:  # napari does not know the plugin
        return False


def prefer_own_process() -> None:
    """Train in a process of its own from now on, and after the next start."""
    try:
        get_plugin_settings(PLUGIN).training.own_process = True
    except KeyError as error:
        raise StudyError("napari does not know the plugin, so its preferences cannot be changed.") from error


def preferred_machine() -> str:
    """Return the name of the machine on which it is trained; empty for this computer."""
    try:
        return str(get_plugin_settings(PLUGIN).training.machine)
    except KeyError:
        return ""


def prefer_machine(name: str) -> None:
    """Train on the machine of this name from now on, and after the next start; empty for this computer."""
    with suppress(KeyError):  # napari does not know the plugin
        get_plugin_settings(PLUGIN).training.machine = name


def source_settings() -> dict[str, str]:
    """Return what Preferences > DyCON says of servers that propose pieces."""
    try:
        pieces = get_plugin_settings(PLUGIN).pieces
    except KeyError:
        return {}
    return {"server_address": str(pieces.server_address), "server_key": str(pieces.server_key)}


def preferred_reader() -> str:
    """Return the name of who draws from Preferences > DyCON; empty where nobody has said."""
    try:
        return str(get_plugin_settings(PLUGIN).readers.name)
    except KeyError:
        return ""


def prefer_reader(name: str) -> None:
    """Keep ``name`` with what is drawn from now on, and after the next start."""
    with suppress(KeyError):  # napari does not know the plugin
        get_plugin_settings(PLUGIN).readers.name = name


def preferred_scheme() -> str:
    """Return the key scheme of Preferences > DyCON: napari, slicer or itk-snap."""
    keys = _keys()
    return DEFAULT_SCHEME if keys is None else str(keys.key_scheme)


def prefer_scheme(scheme: str) -> None:
    """Use the keys of ``scheme`` from now on, here and after the next start."""
    keys = _keys()
    if keys is not None:
        keys.key_scheme = scheme


def hear_scheme(listener: Callable[..., None]) -> None:
    """Call ``listener``, a bound method that is only weakly referenced, when the scheme was changed."""
    keys = _keys()
    if keys is not None:
        keys.events.key_scheme.connect(listener)


def _keys() -> Any:
    """The group of settings, or None where napari does not know the plugin."""
    try:
        return get_plugin_settings(PLUGIN).keys
    except KeyError:
        return None


class KeyScheme:
    """The keys that are in use, followed wherever they are chosen; ``changed`` tells of others."""

    changed = Signal()

    def __init__(self) -> None:
        hear_scheme(self._tell)

    @property
    def name(self) -> str:
        """The scheme whose keys are bound: napari, slicer or itk-snap."""
        return preferred_scheme()

    def use(self, name: str) -> None:
        """Bind the keys of ``name`` from now on, in this window and after the next start."""
        prefer_scheme(name)
        self._tell()

    def _tell(self, event: object = None) -> None:
        del event
        self.changed.emit()
