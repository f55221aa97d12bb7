"""Who does what a person asks for by key, menu, palette, button or on a canvas, and when it is possible."""

from collections.abc import Callable, Mapping
from functools import partial

from napari_dycon.plugin.actions import BY_ID, CLEANUPS, PLANES, SAYS, SHAPES, WINDOWS, Situation
from napari_dycon.plugin.background.tasks import Tasks
from napari_dycon.plugin.controllers.cases import Cases
from napari_dycon.plugin.controllers.contrast import Contrast
from napari_dycon.plugin.controllers.current_study import CurrentStudy
from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.exchange import Exchange
from napari_dycon.plugin.controllers.labels import Labels
from napari_dycon.plugin.controllers.own_process import OwnProcess
from napari_dycon.plugin.controllers.pictures import Pictures
from napari_dycon.plugin.controllers.regions import Regions
from napari_dycon.plugin.controllers.structures import Structures
from napari_dycon.plugin.controllers.suggestions import Suggestions
from napari_dycon.plugin.controllers.tools import Tools
from napari_dycon.plugin.controllers.training import Training
from napari_dycon.plugin.controllers.versions import Versions
from napari_dycon.plugin.controllers.views import Views
from napari_dycon.plugin.keys.preferences import KeyScheme
from napari_dycon.study.study import Study


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
    dialogue
        Says why something is not possible.
    """

    def __init__(
        self, scheme: KeyScheme, current: CurrentStudy, contrast: Contrast, dialogue: Dialogue
    ) -> None:
        self._scheme, self._current, self._contrast, self._dialogue = scheme, current, contrast, dialogue
        self._deeds: Mapping[str, Callable[[], None]] = {}
        self._read: Callable[[], Situation] = Situation

    def fill(self, deeds: Mapping[str, Callable[[], None]], read: Callable[[], Situation]) -> None:
        """Do ``deeds``, by the id of the action, from now on, where what is ``read`` allows it."""
        self._deeds, self._read = deeds, read

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

    def ask(self, name: str) -> None:
        """Do the action with this id, or say why it is not possible now."""
        reason = BY_ID[name].why_not(self._read())
        if reason:
            self._dialogue.say("info", reason)
        else:
            self.perform(name)

    def situation(self) -> Situation:
        """Return what decides now which actions are possible."""
        return self._read()

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
    versions: Versions,
    training: Training,
    own_process: OwnProcess,
    exchange: Exchange,
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
        "undo": tools.undo,
        "redo": tools.redo,
        **{f"say_{what}": partial(tools.paint_as, what) for what in SAYS},
        "range": lambda: tools.limit_paint(not tools.range_on),
        "previous_structure": partial(structures.step, -1),
        "next_structure": partial(structures.step, 1),
        "slice_back": partial(views.step_slice, -1),
        "slice_on": partial(views.step_slice, 1),
        "ten_back": partial(views.step_slice, -10),
        "ten_on": partial(views.step_slice, 10),
        "planes": views.toggle_planes,
        **{f"plane_{plane}": partial(views.show_plane, plane) for plane in PLANES},
        "solid": views.toggle_3d,
        "fit": views.fit,
        "annotation": views.toggle_annotation,
        **{f"window_{name}": partial(contrast.choose, name) for name in WINDOWS},
        "next_image": views.show_next_image,
        "prediction": lambda: views.set_overlay(prediction=not views.overlay.prediction),
        "uncertainty": lambda: views.set_overlay(entropy=not views.overlay.entropy),
        "differences": views.toggle_differences,
        "before": training.show_before,
        "next_place": partial(suggestions.step, 1),
        "previous_place": partial(suggestions.step, -1),
        "skip_place": suggestions.skip,
        "finish_place": suggestions.finish,
        "accept_slice": partial(regions.decide, "accept", "slice"),
        "accept_piece": lambda: regions.decide_piece("accept", suggestions.piece),
        "reject_piece": lambda: regions.decide_piece("reject", suggestions.piece),
        "known_map": views.toggle_known_map,
        "reject_slice": partial(regions.decide, "reject", "slice"),
        "accept_click": partial(regions.decide, "accept", "piece"),
        "accept_region": partial(regions.decide, "accept", "region"),
        "accept_case": partial(regions.decide, "accept", "case"),
        "reject_click": partial(regions.decide, "reject", "piece"),
        "reject_region": partial(regions.decide, "reject", "region"),
        "reject_case": partial(regions.decide, "reject", "case"),
        "withdraw_slice": partial(regions.decide, "withdraw", "slice"),
        "withdraw_region": partial(regions.decide, "withdraw", "region"),
        "withdraw_case": partial(regions.decide, "withdraw", "case"),
        "interpolate": labels.propose_between,
        "carry_over": exchange.carry_over,
        "interpolate_all": partial(labels.propose_between, True),
        **{f"clean_{how}": partial(labels.clean_up, how) for how in CLEANUPS},
        "grow": tools.grow,
        "region": regions.start,
        **{f"region_{shape}": partial(regions.start, shape) for shape in SHAPES},
        "readers_apart": exchange.toggle_disputes,
        "versions": versions.show,
        "predict": training.predict,
        "predict_case": training.predict_case,
        "own_process": own_process.use,
    }


def read_situation(
    study: Study | None,
    tasks: Tasks,
    cases: Cases,
    contrast: Contrast,
    pictures: Pictures,
    structures: Structures,
    versions: Versions,
    training: Training,
    exchange: Exchange,
) -> Situation:
    """Return what decides now which actions are possible."""
    case, shown = cases.case_id is not None, versions.shown
    return Situation(
        study=study is not None,
        read_only=study is not None and study.read_only,
        scans=study is not None and bool(study.cases),
        labels=study is not None and any(known.known_fraction > 0 for known in study.cases),
        model=study is not None and study.active_run is not None,
        case=case,
        older=shown is not None and shown.looking,
        prediction=case and cases.has_prediction,
        before=training.models.before is not None,
        looking_back=training.models.looking_back,
        methods=bool(training.methods),
        windows=frozenset(window.name for window in contrast.windows),
        images=bool(pictures.names),
        exams=exchange.exams.there,
        structures=len(structures.all),
        grouped=any(one.group for one in structures.all if one.value == structures.active_value),
        apart=exchange.readers.disputes.on,
        task=tasks.state.kind,
    )
