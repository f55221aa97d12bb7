"""The order in which PyTorch is loaded, where the system makes a difference of it."""

import sys
from importlib import import_module

LIBRARY_NOT_LOADED = (126, 127, 1114)
"""Windows' numbers for a library, or one that it needs, that cannot be found or does not start."""
LOAD_FIRST = (
    "PyTorch could not be loaded beside the libraries of this window. Close napari and start it with the "
    "command dycon launch, which loads PyTorch first; if that does not help, dycon doctor tells more."
)


def load_torch_before_qt(platform: str = sys.platform) -> None:
    """Load PyTorch now on Windows: there, version 2.9 and later is not found once Qt is loaded.

    Parameters
    ----------
    platform
        As `sys.platform` tells it. Elsewhere nothing is loaded: it takes seconds and changes nothing.
    """
    if platform == "win32":
        import_module("torch")


def is_library_not_loaded(error: BaseException) -> bool:
    """Return whether Windows refused to load a library."""
    return isinstance(error, OSError) and getattr(error, "winerror", None) in LIBRARY_NOT_LOADED
