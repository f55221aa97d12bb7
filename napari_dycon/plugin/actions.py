"""What a person can ask for, by key, menu, palette or on a canvas; all that these know of the work behind.

Keys are written as napari binds them ("Ctrl+Enter", "Shift+N", "PageUp"). In the napari scheme napari's own
tools keep napari's keys, wherever the person has put them in napari's preferences.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

CASES, PAINTING, LABELS, VIEW, MODEL, MOUSE, HELP = (
    "Cases",
    "Painting",
    "Labels",
    "View",
    "Model",
    "Mouse",
    "Help",
)
GROUPS = (CASES, PAINTING, LABELS, VIEW, MODEL, MOUSE, HELP)


@dataclass(frozen=True)
class Action:
    """Something a person can ask for.

    Attributes
    ----------
    keys
        The keys in each scheme, ``(napari, slicer, itk-snap)``, several of them separated by blanks.
    napari
        Napari's action of the same effect; in the napari scheme its keys are left to napari.
    repeats
        Whether holding the key goes on.
    in_dock
        Whether the key works before anything else in the window does; a layer of someone else may need it.
    by_dock
        Whether the dock does it itself.
    """

    id: str
    title: str
    group: str
    keys: tuple[str, str, str]
    napari: str | None = None
    repeats: bool = False
    in_dock: bool = True
    by_dock: bool = False


ACTIONS: tuple[Action, ...] = (
    Action("next_case", "Save, and open the next case", CASES, ("J",) * 3),
    Action("previous_case", "Back to the case before", CASES, ("K",) * 3),
    Action("slice_complete", "Slice complete, or not", CASES, ("Ctrl+Enter",) * 3),
    Action("case_complete", "Case complete", CASES, ("Ctrl+Shift+Enter",) * 3),
    Action("paint", "Brush", PAINTING, ("", "2", "4"), napari="activate_labels_paint_mode"),
    Action("erase", "Eraser", PAINTING, ("", "4", "E"), napari="activate_labels_erase_mode"),
    Action("polygon", "Polygon", PAINTING, ("", "3", "3"), napari="activate_labels_polygon_mode"),
    Action("fill", "Fill", PAINTING, ("", "5", "5"), napari="activate_labels_fill_mode"),
    Action("pick", "Pick a structure", PAINTING, ("", "6", "6"), napari="activate_labels_picker_mode"),
    Action("pan", "Hand: move and zoom", PAINTING, ("", "`", "2"), napari="activate_labels_pan_zoom_mode"),
    Action(
        "brush_smaller", "Smaller brush", PAINTING, ("", "-", "-"), napari="decrease_brush_size", repeats=True
    ),
    Action(
        "brush_bigger", "Bigger brush", PAINTING, ("", "=", "="), napari="increase_brush_size", repeats=True
    ),
    Action("undo", "Undo", PAINTING, ("Ctrl+Z", "Ctrl+Z Z", "Ctrl+Z"), in_dock=False),
    Action(
        "redo",
        "Redo",
        PAINTING,
        ("Ctrl+Shift+Z", "Ctrl+Y Ctrl+Shift+Z Y", "Ctrl+Shift+Z Ctrl+Y"),
        in_dock=False,
    ),
    Action("range", "Paint only within a range of intensities", PAINTING, ("I", "I 1", "I")),
    Action("previous_structure", "Structure before", PAINTING, ("-", "Q", ",")),
    Action("next_structure", "Next structure", PAINTING, ("=", "W", ".")),
    Action("slice_back", "Slice back", VIEW, ("Left", "Left B", "Down Left"), repeats=True),
    Action("slice_on", "Slice on", VIEW, ("Right", "Right F", "Up Right"), repeats=True),
    Action("ten_back", "Ten slices back", VIEW, ("PageDown",) * 3, repeats=True),
    Action("ten_on", "Ten slices on", VIEW, ("PageUp",) * 3, repeats=True),
    Action("planes", "Three planes and 3D, or one plane", VIEW, ("Q", "Shift+Q", "Q")),
    Action("solid", "2D or 3D", VIEW, ("Ctrl+Y", "V", "V")),
    Action("fit", "Fit the scan into the window", VIEW, ("Ctrl+R", "R", "Ctrl+F")),
    Action("annotation", "Show or hide the annotation", VIEW, ("V", "G", "S")),
    Action("window_auto", "Grey scale as it was", VIEW, ("Shift+W",) * 3),
    Action("prediction", "Show or hide the prediction", MODEL, ("G", "Shift+G", "G")),
    Action("uncertainty", "Show or hide the uncertainty", MODEL, ("U",) * 3),
    Action("next_place", "Next suggestion", MODEL, ("N",) * 3),
    Action("previous_place", "Suggestion before", MODEL, ("Shift+N",) * 3),
    Action("accept_slice", "Accept the prediction on this slice", MODEL, ("Ctrl+Shift+A",) * 3),
    Action("accept_piece", "Accept the piece under the pointer", MODEL, ("Y", "A", "Y")),
    Action("reject_piece", "Reject the piece under the pointer", MODEL, ("Shift+Y", "Shift+A", "Shift+Y")),
    Action("known_map", "Show or hide what is known, and how", VIEW, ("Shift+K",) * 3),
    Action("reject_slice", "Reject the prediction on this slice", MODEL, ("Ctrl+Shift+X",) * 3),
    Action("interpolate", "Fill the slices between labelled ones", LABELS, ("Ctrl+I", "Ctrl+I 7", "Ctrl+I")),
    Action("region", "Draw a region", LABELS, ("R", "Shift+R", "R")),
    Action("keys", "This list", HELP, ("F1 ?",) * 3, by_dock=True),
)
BY_ID = {action.id: action for action in ACTIONS}


class Actions(Protocol):
    """Whoever does what a person asks for."""

    @property
    def key_scheme(self) -> str:
        """The scheme whose keys are bound: napari, slicer or itk-snap."""

    @property
    def study_open(self) -> bool:
        """Whether there is a study to work on."""

    def perform(self, name: str) -> None:
        """Do the action with this id; what prevents it is told to the person."""

    def drag_contrast(self, right: float, up: float) -> None:
        """Widen the window of the scan by ``right`` and raise its level by ``up``, in pixels."""


ActionsOf = Callable[[], Actions | None]
"""Returns whoever does it, asked at each press, so that no key or canvas keeps it alive."""
