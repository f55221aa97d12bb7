"""The user's preferences from napari's own settings page."""

from napari.settings import get_plugin_settings

PLUGIN = "napari-dycon"


def preferred_device() -> str:
    """Return the device of Preferences > DyCON: auto, cpu, cuda or mps."""
    return str(get_plugin_settings(PLUGIN).training.device)
