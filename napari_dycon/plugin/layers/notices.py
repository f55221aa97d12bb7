"""Short messages in napari's own notifications, always as plain text."""

from napari.utils.notifications import show_error, show_info, show_warning

_SHOW = {"info": show_info, "warning": show_warning, "error": show_error}
_PLAIN = str.maketrans({"<": "‹", ">": "›"})


def plain(text: str) -> str:
    """Return ``text`` with nothing in it that a label could take for markup."""
    return text.translate(_PLAIN)


def notify(level: str, text: str) -> None:
    """Show ``text`` as a notification of ``level``: info, warning or error."""
    _SHOW[level](plain(text))
