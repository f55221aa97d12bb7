"""What can be done with one key, and which key it is: as in napari, 3D Slicer or ITK-SNAP.

Keys are written as napari binds them ("Ctrl+Enter", "Shift+N", "PageUp"). In the napari scheme napari's own
tools keep napari's keys, wherever the person has put them in napari's preferences.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari.settings import get_settings

if TYPE_CHECKING:
    from napari_dycon.plugin.session import Session

NAPARI, SLICER, ITK_SNAP = "napari", "slicer", "itk-snap"
SCHEMES = {NAPARI: "napari", SLICER: "Like 3D Slicer", ITK_SNAP: "Like ITK-SNAP"}
HELP_KEYS = ("F1", "?", "Shift+?")


@dataclass(frozen=True)
class Command:
    """Something one key does.

    Attributes
    ----------
    act
        What to ask of the session; None for what the dock does itself.
    keys
        The keys in each scheme, ``(napari, slicer, itk-snap)``, several of them separated by blanks.
    action
        Napari's action of the same effect; in the napari scheme its keys are left to napari.
    repeats
        Whether holding the key goes on.
    in_dock
        Whether the key works before anything else in the window does; a layer of someone else may need it.
    """

    id: str
    title: str
    group: str
    act: Callable[["Session"], None] | None
    keys: tuple[str, str, str]
    action: str | None = None
    repeats: bool = False
    in_dock: bool = True


def _tool(mode: str) -> Callable[["Session"], None]:
    return lambda session: session.take_tool(mode)


def _brush(step: int) -> Callable[["Session"], None]:
    return lambda session: session.change_brush(step)


def _structure(step: int) -> Callable[["Session"], None]:
    return lambda session: session.step_structure(step)


def _slices(step: int) -> Callable[["Session"], None]:
    return lambda session: session.step_slice(step)


def _suggestion(step: int) -> Callable[["Session"], None]:
    return lambda session: session.next_suggestion(step)


CASES, PAINTING, LABELS, VIEW, MODEL = "Cases", "Painting", "Labels", "View", "Model"
GROUPS = (CASES, PAINTING, LABELS, VIEW, MODEL, "Mouse", "Help")
COMMANDS: tuple[Command, ...] = (
    Command("next_case", "Save, and open the next case", CASES, lambda s: s.open_next(), ("J", "J", "J")),
    Command("previous_case", "Back to the case before", CASES, lambda s: s.open_previous(), ("K", "K", "K")),
    Command(
        "slice_complete",
        "Slice complete, or not",
        CASES,
        lambda s: s.toggle_slice_complete(),
        ("Ctrl+Enter",) * 3,
    ),
    Command(
        "case_complete", "Case complete", CASES, lambda s: s.toggle_case_complete(), ("Ctrl+Shift+Enter",) * 3
    ),
    Command("paint", "Brush", PAINTING, _tool("paint"), ("", "2", "4"), "activate_labels_paint_mode"),
    Command("erase", "Eraser", PAINTING, _tool("erase"), ("", "4", "E"), "activate_labels_erase_mode"),
    Command("polygon", "Polygon", PAINTING, _tool("polygon"), ("", "3", "3"), "activate_labels_polygon_mode"),
    Command("fill", "Fill", PAINTING, _tool("fill"), ("", "5", "5"), "activate_labels_fill_mode"),
    Command(
        "pick", "Pick a structure", PAINTING, _tool("pick"), ("", "6", "6"), "activate_labels_picker_mode"
    ),
    Command(
        "pan",
        "Hand: move and zoom",
        PAINTING,
        _tool("pan_zoom"),
        ("", "`", "2"),
        "activate_labels_pan_zoom_mode",
    ),
    Command(
        "brush_smaller",
        "Smaller brush",
        PAINTING,
        _brush(-1),
        ("", "-", "-"),
        "decrease_brush_size",
        repeats=True,
    ),
    Command(
        "brush_bigger",
        "Bigger brush",
        PAINTING,
        _brush(1),
        ("", "=", "="),
        "increase_brush_size",
        repeats=True,
    ),
    Command("undo", "Undo", PAINTING, lambda s: s.undo(), ("Ctrl+Z", "Ctrl+Z Z", "Ctrl+Z"), in_dock=False),
    Command(
        "redo",
        "Redo",
        PAINTING,
        lambda s: s.redo(),
        ("Ctrl+Shift+Z", "Ctrl+Y Ctrl+Shift+Z Y", "Ctrl+Shift+Z Ctrl+Y"),
        in_dock=False,
    ),
    Command(
        "range",
        "Paint only within a range of intensities",
        PAINTING,
        lambda s: s.limit_paint(not s.range_on),
        ("I", "I 1", "I"),
    ),
    Command("previous_structure", "Structure before", PAINTING, _structure(-1), ("-", "Q", ",")),
    Command("next_structure", "Next structure", PAINTING, _structure(1), ("=", "W", ".")),
    Command("slice_back", "Slice back", VIEW, _slices(-1), ("Left", "Left B", "Down Left"), repeats=True),
    Command("slice_on", "Slice on", VIEW, _slices(1), ("Right", "Right F", "Up Right"), repeats=True),
    Command("ten_back", "Ten slices back", VIEW, _slices(-10), ("PageDown",) * 3, repeats=True),
    Command("ten_on", "Ten slices on", VIEW, _slices(10), ("PageUp",) * 3, repeats=True),
    Command(
        "planes",
        "Three planes and 3D, or one plane",
        VIEW,
        lambda s: s.toggle_planes(),
        ("Q", "Shift+Q", "Q"),
    ),
    Command("solid", "2D or 3D", VIEW, lambda s: s.toggle_3d(), ("Ctrl+Y", "V", "V")),
    Command("fit", "Fit the scan into the window", VIEW, lambda s: s.fit_view(), ("Ctrl+R", "R", "Ctrl+F")),
    Command(
        "annotation",
        "Show or hide the annotation",
        VIEW,
        lambda s: s.toggle_annotation(),
        ("V", "G", "S"),
    ),
    Command(
        "window_auto",
        "Grey scale as it was",
        VIEW,
        lambda s: s.set_window("auto"),
        ("Shift+W", "Shift+W", "Shift+W"),
    ),
    Command(
        "prediction",
        "Show or hide the prediction",
        MODEL,
        lambda s: s.set_overlay(prediction=not s.overlay.prediction),
        ("G", "Shift+G", "G"),
    ),
    Command(
        "uncertainty",
        "Show or hide the uncertainty",
        MODEL,
        lambda s: s.set_overlay(entropy=not s.overlay.entropy),
        ("U", "U", "U"),
    ),
    Command("next_place", "Next suggestion", MODEL, _suggestion(1), ("N", "N", "N")),
    Command("previous_place", "Suggestion before", MODEL, _suggestion(-1), ("Shift+N",) * 3),
    Command(
        "accept_slice",
        "Accept the prediction on this slice",
        MODEL,
        lambda s: s.accept_slice(),
        ("Ctrl+Shift+A",) * 3,
    ),
    Command(
        "accept_piece",
        "Accept the piece under the pointer",
        MODEL,
        lambda s: s.decide_piece("accept"),
        ("Y", "A", "Y"),
    ),
    Command(
        "reject_piece",
        "Reject the piece under the pointer",
        MODEL,
        lambda s: s.decide_piece("reject"),
        ("Shift+Y", "Shift+A", "Shift+Y"),
    ),
    Command(
        "known_map",
        "Show or hide what is known, and how",
        VIEW,
        lambda s: s.toggle_known_map(),
        ("Shift+K",) * 3,
    ),
    Command(
        "reject_slice",
        "Reject the prediction on this slice",
        MODEL,
        lambda s: s.decide("reject", "slice"),
        ("Ctrl+Shift+X",) * 3,
    ),
    Command(
        "interpolate",
        "Fill the slices between labelled ones",
        LABELS,
        lambda s: s.propose_between(),
        ("Ctrl+I", "Ctrl+I 7", "Ctrl+I"),
    ),
    Command("region", "Draw a region", LABELS, lambda s: s.start_region(), ("R", "Shift+R", "R")),
    Command("keys", "This list", "Help", None, ("F1 ?",) * 3),
)
MOUSE: tuple[tuple[str, str], ...] = (
    ("Brightness and contrast", "Shift+right drag"),
    ("Brush size", "Alt+move"),
    ("Encircle and fill", "right click, go round"),
    ("Move while holding", "Space"),
)
BY_ID = {command.id: command for command in COMMANDS}


def keys_of(command: Command, scheme: str) -> tuple[str, ...]:
    """Return the keys of ``command`` in ``scheme``, napari's own included."""
    own = bound_keys(command, scheme)
    if own or command.action is None:
        return own
    return tuple(str(key) for key in get_settings().shortcuts.shortcuts.get(f"napari:{command.action}", ()))


def bound_keys(command: Command, scheme: str) -> tuple[str, ...]:
    """Return the keys that we bind for ``command`` in ``scheme``."""
    return tuple(command.keys[list(SCHEMES).index(scheme)].split())


def mouse_lines(scheme: str) -> tuple[tuple[str, str], ...]:
    """Return what the mouse does, and how, in ``scheme``."""
    slices, zoom = ("Ctrl+wheel", "wheel") if scheme == NAPARI else ("wheel", "Ctrl+wheel")
    return ("Slice by slice", slices), ("Zoom", zoom), *MOUSE


def key_text(key: str) -> str:
    """Return ``key`` as a person reads it on a keyboard."""
    names = {"PageUp": "Page up", "PageDown": "Page down", "Left": "←", "Right": "→", "Up": "↑", "Down": "↓"}
    parts = key.split("+") if len(key) > 1 else [key]
    return "+".join(names.get(part, part) for part in parts)


def with_key(tip: str, command_id: str, scheme: str) -> str:
    """Return the tooltip ``tip`` with the first key of a command in brackets."""
    keys = keys_of(BY_ID[command_id], scheme)
    return f"{tip} ({key_text(keys[0])})" if keys else tip
