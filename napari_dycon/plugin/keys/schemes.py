"""Which key an action has: as in napari, 3D Slicer or ITK-SNAP."""

from napari.settings import get_settings

from napari_dycon.plugin.actions import BY_ID, Action

NAPARI, SLICER, ITK_SNAP = "napari", "slicer", "itk-snap"
SCHEMES = {NAPARI: "napari", SLICER: "Like 3D Slicer", ITK_SNAP: "Like ITK-SNAP"}
HELP_KEYS = ("F1", "?", "Shift+?")


MOUSE_LINES: tuple[tuple[str, str], ...] = (
    ("Brightness and contrast", "Shift+right drag"),
    ("Brush size", "Alt+move"),
    ("Encircle and fill", "right click, go round"),
    ("Move while holding", "Space"),
)


def keys_of(action: Action, scheme: str) -> tuple[str, ...]:
    """Return the keys of ``action`` in ``scheme``, napari's own included."""
    own = bound_keys(action, scheme)
    if own or action.napari is None:
        return own
    return tuple(str(key) for key in get_settings().shortcuts.shortcuts.get(f"napari:{action.napari}", ()))


def bound_keys(action: Action, scheme: str) -> tuple[str, ...]:
    """Return the keys that we bind for ``action`` in ``scheme``."""
    return tuple(action.keys[list(SCHEMES).index(scheme)].split())


def mouse_lines(scheme: str) -> tuple[tuple[str, str], ...]:
    """Return what the mouse does, and how, in ``scheme``."""
    slices, zoom = ("Ctrl+wheel", "wheel") if scheme == NAPARI else ("wheel", "Ctrl+wheel")
    return ("Slice by slice", slices), ("Zoom", zoom), *MOUSE_LINES


def key_text(key: str) -> str:
    """Return ``key`` as a person reads it on a keyboard."""
    names = {"PageUp": "Page up", "PageDown": "Page down", "Left": "←", "Right": "→", "Up": "↑", "Down": "↓"}
    parts = key.split("+") if len(key) > 1 else [key]
    return "+".join(names.get(part, part) for part in parts)


def with_key(tip: str, action_id: str, scheme: str) -> str:
    """Return the tooltip ``tip`` with the first key of an action in brackets."""
    keys = keys_of(BY_ID[action_id], scheme)
    return f"{tip} ({key_text(keys[0])})" if keys else tip
