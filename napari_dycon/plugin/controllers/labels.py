"""Labelling the open case: undo, what the brush says, slices in between, tidying up."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from napari_dycon.engine.control import Control
from napari_dycon.errors import StudyError
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.question import CANCEL, Question
from napari_dycon.plugin.controllers.structures import StructureIntentions
from napari_dycon.plugin.layers.brush import Says
from napari_dycon.plugin.layers.open_case import OpenCase
from napari_dycon.plugin.layers.styles import SCAN
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.truth.annotations import Annotation
from napari_dycon.study.truth.cleanup import fill_holes, keep_largest, remove_islands, smooth
from napari_dycon.study.truth.edits import Edit
from napari_dycon.study.truth.interpolation import Interpolation, drawn_slices, interpolate, known_slices

if TYPE_CHECKING:
    from napari.components import ViewerModel

AT_ONCE = 1 << 22
"""Voxels that an undo may look at on the GUI thread."""
ISLAND_MM3 = 100.0
SMOOTHER = 2.5
"""How much stronger "smooth more" is than smoothing by one voxel."""
FILL = "fill"
PAINTING = ("paint", "fill", "polygon")
NOT_IN_3D = "Slices can only be chosen in the 2D view: switch the viewer to 2D first."
NOTHING_TO_DO = {
    "largest": "{name} is one piece already.",
    "islands": "{name} has no piece below 0.1 ml.",
    "holes": "{name} has no holes.",
    "slice holes": "{name} has no holes in any slice.",
    "smooth": "{name} is smooth already.",
    "smooth more": "{name} is smooth already.",
}
_serial = count()


@dataclass(frozen=True)
class Proposed:
    """Labels between labelled slices, to be looked at."""

    case_id: str
    proposal: Interpolation


@dataclass(frozen=True)
class LabelsChanged:
    """An operation on the labels of a case has ended; the sentence may be empty."""

    case_id: str
    sentence: str = ""


class LabellingIntentions(StructureIntentions):
    """What the person wants of the labels of the open case.

    Attributes
    ----------
    says
        What the brush says.
    paint_range
        Lowest and highest intensity that is painted on, as last chosen.
    range_on
        Whether painting keeps to it.
    """

    tools_changed = Signal()

    def __init__(self, viewer: "ViewerModel") -> None:
        super().__init__(viewer)
        self.says = Says.STRUCTURE
        self.paint_range = (0.0, 1.0)
        self.range_on = False
        self._ranged: str | None = None
        self._showed_known = False
        self._painted_value = self.active_value
        brush = self._presenter.brush
        brush.undo, brush.redo = self.undo, self.redo
        self._desk.history.connect(self.tools_changed)
        self.case_opened.connect(self._range_for_case)
        self.case_opened.connect(self._hear_tool)
        self.structures_changed.connect(self._paint_structure_chosen)

    # ---- undo --------------------------------------------------------------------------------

    @property
    def undo_name(self) -> str:
        """What `undo` would take back; empty where there is nothing."""
        case = self._desk.case
        return (case.editor.undo_name or "") if case is not None else ""

    @property
    def redo_name(self) -> str:
        """What `redo` would do again; empty where there is nothing."""
        case = self._desk.case
        return (case.editor.redo_name or "") if case is not None else ""

    @intention
    def undo(self) -> None:
        """Take back the last change of the open case, on whichever slice it was."""
        editor = self._editable().editor
        self._desk.end_stroke()
        self._move(editor.undo, editor.steps_extent()[0], "Undone")

    @intention
    def redo(self) -> None:
        """Do again what was undone last."""
        editor = self._editable().editor
        self._desk.end_stroke()
        self._move(editor.redo, editor.steps_extent()[1], "Done again")

    def _move(self, move: Callable[[], Edit | None], extent: int, verb: str) -> None:
        if extent <= AT_ONCE:
            edit = move()
            if edit is not None:
                self._desk.edited()
                self._say_of_edit(f"{verb}: {edit.name}.")
            return

        def work() -> str:
            edit = move()
            return "" if edit is None else f"{verb}: {edit.name}."

        self._change(self._desk.open_case(), work)

    # ---- the brush ---------------------------------------------------------------------------

    @intention
    def paint_as(self, key: str) -> None:
        """Let strokes say the structure, "background", "ignore" or "forget".

        All but the first are seen on the known map, which is shown meanwhile.
        """
        self._editable()
        self._say_with_brush(Says(key))
        layer = self._presenter.annotation
        if self.says is not Says.STRUCTURE and layer is not None:
            self._presenter.viewer.layers.selection.active = layer
            if str(layer.mode) not in PAINTING:
                layer.mode = "paint"

    @intention
    def limit_paint(self, on: bool) -> None:
        """Paint only where the intensity lies in the range, or everywhere again; erasing is free."""
        self.range_on = on
        self._apply_range()

    @intention
    def set_paint_range(self, low: float, high: float) -> None:
        """Choose the intensities that are painted on, in units of the scan."""
        self.paint_range = (low, high)
        self._apply_range()

    @property
    def intensity_bounds(self) -> tuple[float, float]:
        """Smallest and largest intensity of the open case."""
        case = self._desk.case
        return case.intensity_range if case is not None else (0.0, 1.0)

    def _say_with_brush(self, says: Says) -> None:
        self.says = self._presenter.brush.says = says
        marking = says is not Says.STRUCTURE
        if marking != self.known_shown and marking != self._showed_known:
            self._showed_known = marking
            self.toggle_known_map()
        self.tools_changed.emit()

    def _paint_structure_chosen(self) -> None:
        """Whoever chooses another structure wants to paint it."""
        before, self._painted_value = self._painted_value, self.active_value
        if before != self.active_value and self.says is not Says.STRUCTURE:
            self._say_with_brush(Says.STRUCTURE)

    def _hear_tool(self, case_id: str) -> None:
        """Hear which tool is taken, by whatever key or button."""
        del case_id
        layer = self._presenter.annotation
        if layer is not None:
            layer.events.mode.connect(self._tool_taken)
        self.tools_changed.emit()

    def _tool_taken(self, event: object = None) -> None:
        del event
        if self.tool in PAINTING:
            self._have_structure()
        self.tools_changed.emit()

    def _apply_range(self) -> None:
        self._presenter.brush.limits = self.paint_range if self.range_on else None
        self.tools_changed.emit()

    def _range_for_case(self, case_id: str) -> None:
        """Begin with the window of the first case; keep the range while it means something in the next."""
        bounds, (low, high) = self.intensity_bounds, self.paint_range
        study = str(self._needed().path)
        if self._ranged != study or high < bounds[0] or low > bounds[1]:
            scan = self._presenter.layer(SCAN)
            assert scan is not None
            low, high = (float(limit) for limit in scan.contrast_limits)
            self.paint_range, self._ranged = (low, high), study
        self._apply_range()

    # ---- slices in between -------------------------------------------------------------------

    @intention
    def propose_between(self, everything: bool = False) -> None:
        """Show what the active structure, or every one, may look like between the labelled slices."""
        case, axis = self._editable(), self._axis_on_screen()
        structures = self.structures if everything else (self._active_structure(),)

        def source(control: Control) -> Iterator[object]:
            del control
            case.editor.reconcile()
            spacing = case.volume.geometry.spacing
            yield Proposed(case.case_id, between(case.annotation, spacing, structures, axis))

        self._loads.put("proposal", source)

    def _on_proposed(self, event: Proposed) -> None:
        if event.case_id != self.case_id or self._desk.case is None:
            return
        number = len(event.proposal.slices)
        text = f"Fill the {number} slices in between?" if number > 1 else "Fill the slice in between?"
        self._ask(
            Question(text, ((FILL, "Fill"), (CANCEL, "Cancel"))),
            partial(self._answered_proposal, self._desk.case, event.proposal),
        )
        self._presenter.show_preview(event.proposal.labels)

    def _answered_proposal(self, case: OpenCase, proposal: Interpolation, key: str) -> None:
        if key != FILL:
            self._presenter.show_preview(None)
            return

        def work() -> str:
            case.editor.reconcile()
            case.editor.apply(proposal.edit(case.annotation))
            return ""

        self._change(case, work)

    # ---- tidying up --------------------------------------------------------------------------

    @intention
    def clean_up(self, what: str) -> None:
        """Tidy the active structure up; ``what`` is a key of `NOTHING_TO_DO`."""
        case, structure = self._editable(), self._active_structure()
        axis = self._axis_on_screen() if what == "slice holes" else None

        def work() -> str:
            case.editor.reconcile()
            spacing = case.volume.geometry.spacing
            edit = cleaned(case.annotation, structure, spacing, what, axis)
            return told(case.editor.apply(edit) if edit else edit, structure, spacing, what)

        self._change(case, work)

    # ---- inside ------------------------------------------------------------------------------

    def _editable(self) -> OpenCase:
        self._writable()
        return self._desk.open_case()

    def _active_structure(self) -> Structure:
        found = next((one for one in self.structures if one.value == self.active_value), None)
        if found is None:
            raise StudyError("Choose a structure first.")
        return found

    def _axis_on_screen(self) -> int:
        current = self._presenter.current_slice()
        if current is None:
            raise StudyError(NOT_IN_3D)
        return current[0]

    def _change(self, case: OpenCase, work: Callable[[], str]) -> None:
        """Do what looks at every voxel in the background, and have it saved whatever is open then."""
        touch = self._desk.toucher(case)

        def source(control: Control) -> Iterator[object]:
            del control
            sentence = work()
            touch()
            yield LabelsChanged(case.case_id, sentence)

        self._loads.put(f"labels {next(_serial)}", source)

    def _on_labels_changed(self, event: LabelsChanged) -> None:
        if event.case_id == self.case_id:
            self._presenter.show_preview(None)
            self._desk.edited()
        if event.sentence:
            self._say_of_edit(event.sentence)


def between(
    annotation: Annotation, spacing: tuple[float, ...], structures: tuple[Structure, ...], axis: int
) -> Interpolation:
    """Work out the slices between all that show a structure or are complete, else between complete ones.

    Raises
    ------
    StudyError
        If there is no gap between two of them.
    """
    present = set(np.flatnonzero(np.bincount(annotation.labels.ravel(order="K"), minlength=256)))
    wanted = [one for one in structures if one.value in present] or list(structures)
    complete = known_slices(annotation, axis)
    drawn = {*complete, *drawn_slices(annotation, axis, [one.value for one in wanted])}
    try:
        return interpolate(annotation, spacing, wanted, axis, sorted(drawn))
    except StudyError:
        if len(complete) in (0, len(drawn)):
            raise StudyError(
                "There is nothing to fill: label two slices of this plane with others between them."
            ) from None
    return interpolate(annotation, spacing, wanted, axis, complete)


def cleaned(
    annotation: Annotation, structure: Structure, spacing: tuple[float, ...], what: str, axis: int | None
) -> Edit:
    """Work out a clean-up, see `LabellingIntentions.clean_up`."""
    if not np.any(annotation.labels == structure.value):
        raise StudyError(f"Nothing is labelled as {structure.name} yet.")
    if what == "largest":
        return keep_largest(annotation, structure)
    if what == "islands":
        return remove_islands(annotation, structure, spacing, ISLAND_MM3)
    if "holes" in what:
        return fill_holes(annotation, structure, axis)
    size = prod(spacing) ** (1 / 3) * (SMOOTHER if what == "smooth more" else 1.0)
    return smooth(annotation, structure, spacing, round(size, 1))


def told(edit: Edit, structure: Structure, spacing: tuple[float, ...], what: str) -> str:
    """Say in one sentence what a clean-up came to."""
    if not edit:
        return NOTHING_TO_DO[what].format(name=structure.name)
    return f"{edit.name}: {edit.voxels * prod(spacing) / 1000:.2g} ml changed."
