"""Who does what a person asks for by key, menu or on a canvas."""

from collections.abc import Callable, Mapping
from functools import partial

from napari_dycon.plugin.controllers.cases import Cases
from napari_dycon.plugin.controllers.contrast import Contrast
from napari_dycon.plugin.controllers.current_study import CurrentStudy
from napari_dycon.plugin.controllers.labels import Labels
from napari_dycon.plugin.controllers.regions import Regions
from napari_dycon.plugin.controllers.structures import Structures
from napari_dycon.plugin.controllers.suggestions import Suggestions
from napari_dycon.plugin.controllers.tools import Tools
from napari_dycon.plugin.controllers.views import Views
from napari_dycon.plugin.keys.preferences import KeyScheme


class ActionTable:
    """The actions of one window, see `actions.Actions`.

    Parameters
    ----------
    scheme
        The keys in use.
    current
        Holds the study.
    contrast
        Changed by dragging.
    """

    def __init__(self, scheme: KeyScheme, current: CurrentStudy, contrast: Contrast) -> None:
        self._scheme, self._current, self._contrast = scheme, current, contrast
        self._deeds: Mapping[str, Callable[[], None]] = {}

    def fill(self, deeds: Mapping[str, Callable[[], None]]) -> None:
        """Do ``deeds``, by the id of the action, from now on."""
        self._deeds = deeds

    @property
    def key_scheme(self) -> str:
        """The scheme whose keys are bound: napari, slicer or itk-snap."""
        return self._scheme.name

    @property
    def study_open(self) -> bool:
        """Whether there is a study to work on."""
        return self._current.study is not None

    def perform(self, name: str) -> None:
        """Do the action with this id; what prevents it is told to the person."""
        self._deeds[name]()

    def drag_contrast(self, right: float, up: float) -> None:
        """Widen the window of the scan by ``right`` and raise its level by ``up``, in pixels."""
        self._contrast.drag(right, up)


def deeds(
    cases: Cases,
    labels: Labels,
    tools: Tools,
    structures: Structures,
    views: Views,
    contrast: Contrast,
    regions: Regions,
    suggestions: Suggestions,
) -> dict[str, Callable[[], None]]:
    """Return what each action does, by its id."""
    return {
        "next_case": cases.open_next,
        "previous_case": cases.open_previous,
        "slice_complete": labels.toggle_slice_complete,
        "case_complete": labels.toggle_case_complete,
        "paint": partial(tools.take, "paint"),
        "erase": partial(tools.take, "erase"),
        "polygon": partial(tools.take, "polygon"),
        "fill": partial(tools.take, "fill"),
        "pick": partial(tools.take, "pick"),
        "pan": partial(tools.take, "pan_zoom"),
        "brush_smaller": partial(tools.change_brush, -1),
        "brush_bigger": partial(tools.change_brush, 1),
        "undo": labels.undo,
        "redo": labels.redo,
        "range": lambda: tools.limit_paint(not tools.range_on),
        "previous_structure": partial(structures.step, -1),
        "next_structure": partial(structures.step, 1),
        "slice_back": partial(views.step_slice, -1),
        "slice_on": partial(views.step_slice, 1),
        "ten_back": partial(views.step_slice, -10),
        "ten_on": partial(views.step_slice, 10),
        "planes": views.toggle_planes,
        "solid": views.toggle_3d,
        "fit": views.fit,
        "annotation": views.toggle_annotation,
        "window_auto": partial(contrast.choose, "auto"),
        "prediction": lambda: views.set_overlay(prediction=not views.overlay.prediction),
        "uncertainty": lambda: views.set_overlay(entropy=not views.overlay.entropy),
        "next_place": partial(suggestions.step, 1),
        "previous_place": partial(suggestions.step, -1),
        "accept_slice": regions.accept_slice,
        "accept_piece": partial(regions.decide_piece, "accept"),
        "reject_piece": partial(regions.decide_piece, "reject"),
        "known_map": views.toggle_known_map,
        "reject_slice": partial(regions.decide, "reject", "slice"),
        "interpolate": labels.propose_between,
        "region": regions.start,
    }
