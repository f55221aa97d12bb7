"""The open case on the person's desk: strokes, complete slices, accepted predictions."""

import numpy as np
from psygnal import Signal

from napari_dycon.errors import StudyError
from napari_dycon.plugin.background.jobs import PictureLoaded, PredictionLoaded
from napari_dycon.plugin.controllers.saving import Saving
from napari_dycon.plugin.layers.brush import KNOWN_BY, NAMES, Says
from napari_dycon.plugin.layers.napari_private import forget_strokes
from napari_dycon.plugin.layers.notices import notify
from napari_dycon.plugin.layers.open_case import OpenCase
from napari_dycon.plugin.layers.presenter import Presenter
from napari_dycon.plugin.layers.strokes import PaintingHook
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.store.structures import locked_names
from napari_dycon.study.truth.regions import Selection

MOST_LABELS = 255
LOOKING = "This is an older version, only to look at: restore it or close the list of versions first."


class Desk:
    """Everything that can be done to the annotation of the case in the viewer.

    Signals: ``slice_changed`` tells whether the slice on screen is complete, and a line about it; ``picked``
    carries the label value that was chosen in napari's own controls; ``rewritten`` says that something else
    than the brush changed the labels, ``stroked`` that the brush did; ``history`` says that something else
    can be undone or done again.

    Parameters
    ----------
    presenter
        Shows the case.

    Attributes
    ----------
    case
        The case in the viewer, or None.
    saving
        Brings what is painted to the disk.
    """

    slice_changed = Signal(bool, str)
    picked = Signal(int)
    rewritten = Signal()
    stroked = Signal()
    history = Signal()

    def __init__(self, presenter: Presenter) -> None:
        self._presenter = presenter
        self._hook = PaintingHook(self._on_stroke, self._on_refresh, self._on_data, self.picked.emit)
        self._seen_place: object = None
        self._looking = False
        self._told_history: tuple[str | None, str | None] | None = None
        self.case: OpenCase | None = None
        self.saving = Saving()

    @property
    def case_id(self) -> str | None:
        """Id of the case in the viewer, or None."""
        return self.case.case_id if self.case is not None else None

    @property
    def has_prediction(self) -> bool:
        """Whether the case in the viewer has a prediction."""
        return self.case is not None and self.case.prediction is not None

    def show(self, case: OpenCase, structures: tuple[Structure, ...], active_value: int) -> None:
        """Put ``case`` into the viewer and listen to its annotation layer; also to show it once more."""
        if self.case is not case:
            self.end_stroke()
        self.case = case
        self._hook.detach()
        self._presenter.show_case(case, structures, active_value, editable=self.saving.possible)
        layer = self._presenter.annotation
        assert layer is not None
        self._hook.attach(layer)
        self._seen_place = self._presenter.slices.view_place()
        self._presenter.brush.expect = case.editor.expect_mark
        self._presenter.brush.guard = case.editor.painting
        self.lock(structures)
        self.tell_slice()
        self._tell_history()

    def lock(self, structures: tuple[Structure, ...]) -> None:
        """Let nothing take a voxel of the open case from those of ``structures`` that are locked."""
        if self.case is not None:
            self.case.editor.locks.set(locked_names(structures))

    @property
    def stopped(self) -> str:
        """What the last change of the labels left as it was, since it is locked; empty for nothing."""
        return "" if self.case is None else self.case.editor.locks.sentence

    def show_picture(self, loaded: PictureLoaded) -> bool:
        """Show another image of the open case, and tell whether it still is the open one."""
        if self.case is None or loaded.case_id != self.case.case_id:
            return False
        self.case.picture = loaded.picture
        self._presenter.show_picture(self.case)
        return True

    def show_prediction(self, latest: PredictionLoaded) -> None:
        """Swap in a newer prediction of the open case; that of any other case is left alone."""
        if self.case is not None and latest.case_id == self.case.case_id:
            self.case.take_prediction(latest.prediction, latest.entropy)
            self._presenter.maps.show_prediction(latest.prediction, latest.entropy)

    def show_open_prediction(self, case: OpenCase) -> None:
        """Show what is left of the prediction to decide about."""
        if case is self.case and case.open_prediction is not None:
            self._presenter.maps.show_prediction(case.prediction, case.entropy, case.open_prediction)

    def toggle_slice_complete(self) -> None:
        """Declare the slice on screen complete, or open it again."""
        case, (axis, index) = self.open_case(), self.slice_on_screen()
        if case.annotation.slice_is_complete(axis, index):
            case.editor.reopen_slice(axis, index)
        else:
            case.editor.complete_slice(axis, index)
        self.take_edit()

    def open_case(self) -> OpenCase:
        """Return the case in the viewer, to change it.

        Raises
        ------
        StudyError
            When there is none, or an older version of it is looked at.
        """
        if self.case is None:
            raise StudyError("No case is open: click one in the list first.")
        if self._looking:
            raise StudyError(LOOKING)
        return self.case

    def end_stroke(self) -> None:
        """Let what is being painted count as a stroke of the open case; the rest of a drag paints nothing."""
        self._presenter.brush.end_strokes()

    def look_at(self, labels: np.ndarray | None) -> None:
        """Show an older version in place of the annotation, which nothing can change then; None ends that."""
        if labels is not None:
            self._looking = True
            self._presenter.show_version(labels)
        elif self._looking:
            self._looking = False
            self._presenter.end_version(editable=self.saving.possible and self.case is not None)

    def take_edit(self) -> None:
        """Redraw and save after the annotation was changed by anything but the brush."""
        self._save_soon()
        self.saving.announce()
        self._presenter.refresh_annotation()
        self._presenter.maps.follow_truth()
        self.tell_slice()
        self._tell_history()
        self.rewritten.emit()

    def hand_over(self) -> OpenCase | None:
        """Let go of the case, which is saved soon, and return it."""
        case = self.case
        self.put_away()
        return case

    def put_away(self) -> None:
        """Let go of the case without saving it: what is on disk is newer."""
        self.end_stroke()
        self._hook.detach()
        self.case = None

    def clear(self) -> bool:
        """Save, and let go of the study and its case; return whether all of it is on disk."""
        self.end_stroke()
        self._hook.detach()
        saved = self.saving.end()
        self.case = None
        return saved

    def tell_slice(self, event: object = None) -> None:
        """Report whether the slice on screen is complete; also takes events of the viewer."""
        del event
        current = self._presenter.slices.current_slice()
        if self.case is None or current is None:
            self.slice_changed.emit(False, "")
            return
        complete = self.case.annotation.slice_is_complete(*current)
        plane, index = self._presenter.slices.plane_on_screen()
        count = self.case.volume.geometry.shape[current[0]]
        self.slice_changed.emit(complete, f"{plane.capitalize()} {index + 1} of {count}")

    def slice_on_screen(self) -> tuple[int, int]:
        """Return axis and index, in source order, of the slice on screen.

        Raises
        ------
        StudyError
            When slices are not on screen, but the volume.
        """
        current = self._presenter.slices.current_slice()
        if current is None:
            raise StudyError("Slices can only be chosen in the 2D view: switch the viewer to 2D first.")
        return current

    def _on_stroke(self, box: tuple[slice, ...], mask: np.ndarray, value: int) -> None:
        if self.case is not None:
            self._tell_stroke(self.case, Selection(*self.case.display.part_to_source(box, mask)), value)
            if self.stopped:
                self._presenter.refresh_annotation()
            self._save_soon()
            self.saving.announce()
            self._presenter.maps.follow_truth()
            self.tell_slice()
            self._tell_history()
            self.stroked.emit()

    def _tell_stroke(self, case: OpenCase, where: Selection, value: int) -> None:
        """Let the known map follow a stroke; what was painted as a mark becomes what it says."""
        says = self._presenter.brush.meaning(value)
        if says is Says.STRUCTURE:
            case.editor.stroke(where, name="Paint" if value else "Erase")
            return
        with case.editor.painting():
            np.copyto(case.editor.labels[where.box], np.uint8(0), where=where.mask)
            case.editor.stroke(where, KNOWN_BY[says], NAMES[says])
            case.editor.expect_mark(value, None)
        self._presenter.refresh_annotation()

    def tell_next_change(self) -> None:
        """Announce the next change of the history even if it reads the same then."""
        self._told_history = None

    def _tell_history(self) -> None:
        """Say that something else can be undone, or done again; after most strokes it reads the same."""
        editor = None if self.case is None else self.case.editor
        names = None if editor is None else (editor.undo_name, editor.redo_name)
        if names != self._told_history:
            self._told_history = names
            self.history.emit()

    def _on_refresh(self) -> None:
        """Undo, redo and a mere change of slice look alike; only the first two leave the slice as it was."""
        current, before = self._presenter.slices.view_place(), self._seen_place
        self._seen_place = current
        if current == before:
            self._save_soon()

    def _on_data(self) -> None:
        """Take over an array that somebody else put into the layer; painting goes on in ours."""
        layer, case = self._presenter.annotation, self.case
        if layer is None or case is None:
            return
        shown, given = case.display.apply(case.annotation.labels), np.asarray(layer.data)
        if np.may_share_memory(shown, given):
            return
        if given.shape == shown.shape and given.min() >= 0 and given.max() <= MOST_LABELS:
            shown[...] = given
        else:
            notify("warning", "The annotation was put back: what replaced it does not fit the scan.")
        layer.data = shown
        forget_strokes(layer)
        self.take_edit()

    def _save_soon(self) -> None:
        if self.case is not None:
            self.saving.touch(self.case)
