"""Shows the state of the session in the panels of the dock, and tells it what they ask."""

from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from qtpy.compat import isalive
from qtpy.QtCore import QObject

from napari_dycon.plugin.actions import BY_ID, Situation
from napari_dycon.plugin.background.jobs import ScansListed
from napari_dycon.plugin.controllers.report import Report
from napari_dycon.plugin.layers.styles import veil_colour
from napari_dycon.plugin.widgets.action_menu import ActionMenu
from napari_dycon.plugin.widgets.cardbench import CardBench
from napari_dycon.plugin.widgets.toolbench import Toolbench
from napari_dycon.study.exchange.label_values import Foreign

if TYPE_CHECKING:
    from napari_dycon.plugin.session import Session
    from napari_dycon.plugin.widgets.cards import CardsPanel
    from napari_dycon.plugin.widgets.cases import CasesPanel
    from napari_dycon.plugin.widgets.doors import Doors
    from napari_dycon.plugin.widgets.header import EmptyPanel, HeaderPanel
    from napari_dycon.plugin.widgets.messages import MessageLine
    from napari_dycon.plugin.widgets.review import ReviewPanel
    from napari_dycon.plugin.widgets.shelf import Shelf
    from napari_dycon.plugin.widgets.structures import StructuresPanel
    from napari_dycon.plugin.widgets.tools import ToolsPanel
    from napari_dycon.plugin.widgets.training import TrainingPanel


def while_alive(method: Callable[..., None]) -> Callable[..., None]:
    """Let a handler do nothing once Qt has deleted the dock; the session outlives it."""

    @wraps(method)
    def wrapper(self: "Workbench", *args: Any) -> None:
        if isalive(self):
            method(self, *args)

    return wrapper


class Panels(Protocol):
    """A dock with all its panels."""

    empty: "EmptyPanel"
    header: "HeaderPanel"
    cards: "CardsPanel"
    cases: "CasesPanel"
    shelf: "Shelf"
    structures: "StructuresPanel"
    tools: "ToolsPanel"
    training: "TrainingPanel"
    review: "ReviewPanel"
    messages: "MessageLine"
    doors: "Doors"

    def show_page(self) -> None:
        """Show the work, or the two ways to begin it."""

    def ask(self, name: str) -> None:
        """Do an action that needs the dock, or say why it is not possible now."""

    def forget_recent(self) -> None:
        """Remember no study any more."""


class Workbench(QObject):
    """Binds the panels to the session.

    Parameters
    ----------
    dock
        Has the panels; the workbench lives as long as it.
    session
        What they show and work on.
    """

    def __init__(self, dock: Panels, session: "Session") -> None:
        super().__init__(dock)
        self._dock, self._session = dock, session
        self._bench = Toolbench(dock.tools, session, dock)
        self._cards = CardBench(dock.cards, session)
        self._shown_kind = self._unsaved = ""
        self._bind_intentions()
        self._bind_state()

    def _bind_intentions(self) -> None:
        session, dock = self._session, self._dock
        doors, perform = dock.doors, session.actions.perform
        for signal, slot in (
            (dock.empty.open_requested, doors.choose_study),
            (dock.empty.demo_requested, doors.open_demo),
            (dock.empty.recent_requested, doors.open_recent),
            (dock.empty.forget_requested, dock.forget_recent),
            (dock.cases.menu.search_requested, doors.choose_search_folder),
            (dock.header.export_requested, doors.choose_export_folder),
            (dock.header.planes_requested, partial(perform, "planes")),
            (dock.cases.open_case_requested, session.cases.open),
            (dock.cases.menu.predict_requested, session.training.predict),
            (dock.cases.order_changed, session.cases.list.set_order),
            (dock.cases.note_requested, session.cases.list.set_note),
            (dock.cases.flag_requested, session.cases.list.flag),
            (dock.cases.review_requested, session.cases.list.review),
            (dock.cases.next_requested, partial(perform, "next_case")),
            (dock.cases.previous_requested, partial(perform, "previous_case")),
            (dock.cases.menu.patient_requested, session.cases.list.set_patient),
            (dock.cases.menu.remove_requested, session.cases.remove),
            (dock.cases.menu.restore_requested, session.cases.restore),
            (dock.structures.select_requested, session.structures.select),
            (dock.structures.add_requested, session.structures.add),
            (dock.structures.rename_requested, session.structures.rename),
            (dock.structures.menu.recolour_requested, session.structures.recolour),
            (dock.structures.menu.change_requested, session.structures.change),
            (dock.structures.menu.merge_requested, session.structures.merge),
            (dock.structures.menu.remove_requested, session.structures.remove),
            (dock.structures.slice_complete_requested, partial(perform, "slice_complete")),
            (dock.structures.case_complete_requested, partial(perform, "case_complete")),
            (dock.training.train_requested, session.training.train),
            (dock.training.pause_requested, session.tasks.pause),
            (dock.training.resume_requested, session.tasks.resume),
            (dock.training.own_process_requested, partial(perform, "own_process")),
            (dock.training.stop_requested, session.tasks.stop),
            (dock.review.prediction_shown_requested, self._ask_prediction_shown),
            (dock.review.uncertainty_shown_requested, self._ask_uncertainty_shown),
            (dock.review.differences_requested, self._ask_differences),
            (dock.review.opacity_requested, self._ask_opacity),
            (dock.review.model_requested, session.training.models.choose),
            *((menu.asked, self._ask) for menu in self._menus()),
        ):
            signal.connect(slot)

    def _menus(self) -> tuple[ActionMenu, ...]:
        header, tools, review = self._dock.header, self._dock.tools, self._dock.review
        return (
            header.open_menu,
            header.add_menu,
            header.export_menu,
            self._dock.structures.plane_menu,
            tools.paint_menu,
            tools.interpolate_menu,
            tools.cleanup_menu,
            tools.region_menu,
            tools.window_menu,
            tools.more_menu,
            self._dock.training.models.menu_of_models,
            review.predict_menu,
            review.accept.menu,
            review.reject.menu,
        )

    def _ask(self, name: str) -> None:
        if BY_ID[name].by_dock:
            self._dock.ask(name)
        else:
            self._session.actions.perform(name)

    def _bind_state(self) -> None:
        session = self._session
        for signal, slot in (
            (session.study_changed, self._on_study_changed),
            (session.cases.list.changed, self._show_cases),
            (session.cases.opened, self._on_case_opened),
            (session.labels.saved_changed, self._on_saved_changed),
            (session.tasks.changed, self._show_task),
            (session.tasks.curves_changed, self._show_curves),
            (session.structures.changed, self._show_structures),
            (session.own_process.changed, self._on_offer_changed),
            (session.dialogue.message, self._on_message),
            (session.exchange.reported, self._on_reported),
            (session.exchange.readers.compared, self._on_reported),
            (session.exchange.readers.disputes.changed, self._show_reasons),
            (session.exchange.pairs_found, self._on_pairs_found),
            (session.exchange.values_found, self._on_values_found),
            (session.exchange.scans_listed, self._on_scans_listed),
            (session.views.overlay_changed, self._on_overlay_changed),
            (session.labels.slice_state_changed, self._on_slice_state_changed),
            (session.training.engine_ready, self._show_engine),
            (session.views.planes_changed, self._on_planes_changed),
            (session.versions.changed, self._show_reasons),
            (session.keys.changed, self._show_reasons),
            (session.training.models.changed, self._show_models),
            (session.suggestions.verdict.changed, self._show_brought),
        ):
            signal.connect(slot)

    # ---- what the session tells --------------------------------------------------------------

    @while_alive
    def _on_study_changed(self) -> None:
        self._dock.messages.clear()
        self.show_all()

    @while_alive
    def _on_case_opened(self, case_id: str) -> None:
        self._show_cases()

    @while_alive
    def _on_saved_changed(self, text: str, ok: bool) -> None:
        self._dock.header.set_saved(text, ok)
        if ok:
            self._dock.messages.let_go(self._unsaved)
        self._unsaved = "" if ok else text

    @while_alive
    def _on_offer_changed(self) -> None:
        self._dock.training.set_offer(self._session.own_process.offered)

    @while_alive
    def _on_reported(self, report: Report) -> None:
        self._dock.doors.show_report(report)

    @while_alive
    def _on_pairs_found(self, candidates: dict[Path, list[Path]]) -> None:
        self._dock.doors.ask_pairs(candidates)

    @while_alive
    def _on_values_found(self, foreign: list[tuple[str, Foreign]]) -> None:
        self._dock.doors.ask_values(foreign)

    @while_alive
    def _on_scans_listed(self, listed: ScansListed) -> None:
        self._dock.doors.ask_which(listed)

    @while_alive
    def _on_message(self, level: str, text: str) -> None:
        self._dock.messages.show_message(level, text)

    @while_alive
    def _on_overlay_changed(self) -> None:
        self._show_overlay()
        self._show_reasons()

    @while_alive
    def _on_slice_state_changed(self, complete: bool, text: str) -> None:
        self._dock.structures.set_slice_state(complete, text)

    @while_alive
    def _on_planes_changed(self, shown: bool) -> None:
        self._dock.header.set_planes(shown)

    # ---- showing -----------------------------------------------------------------------------

    def show_all(self) -> None:
        """Show everything anew."""
        study = self._session.study
        self._dock.show_page()
        if study is not None:
            self._dock.header.set_study(study.record.name, str(study.path), study.read_only)
        self._dock.header.set_saved(*self._session.labels.saved)
        self._dock.header.set_planes(self._session.views.planes_shown)
        self._dock.structures.set_slice_state(*self._session.labels.slice_state)
        self._dock.training.set_offer(self._session.own_process.offered)
        self._show_engine()
        self._show_structures()
        self._show_cases()
        self._show_curves()
        self._cards.show_all()
        self._show_overlay()
        self._show_brought()
        self._show_task()
        self._bench.show_all()
        self._dock.shelf.show_versions()

    @while_alive
    def _show_engine(self) -> None:
        self._dock.header.set_device(self._session.training.device)
        self._dock.training.set_methods(self._session.training.methods, "dycon")
        self._show_reasons()

    @while_alive
    def _show_cases(self) -> None:
        rows = self._session.cases.list.rows()
        self._dock.cases.set_rows(rows)
        self._dock.structures.set_case_state(any(row.open and row.status == "complete" for row in rows))
        self._show_reasons()

    @while_alive
    def _show_structures(self) -> None:
        self._dock.structures.set_structures(
            self._session.structures.all, self._session.structures.active_value
        )
        self._dock.review.legend.set_colour(veil_colour(self._session.structures.all))

    @while_alive
    def _show_curves(self) -> None:
        self._dock.training.curves.set_curves(
            self._session.tasks.curves.losses, self._session.tasks.curves.dice
        )

    @while_alive
    def _show_models(self) -> None:
        self._dock.review.set_models(
            [(row.run, row.text, row.active) for row in self._session.training.models.rows]
        )
        study = self._session.study
        self._dock.training.models.tell(study.active_run if study is not None else None)
        self._show_reasons()

    @while_alive
    def _show_brought(self) -> None:
        verdict = self._session.suggestions.verdict
        self._dock.review.set_brought(verdict.line, verdict.details)

    def _show_overlay(self) -> None:
        overlay = self._session.views.overlay
        self._dock.review.set_overlay(
            overlay.prediction, overlay.entropy, overlay.opacity, overlay.differences
        )

    @while_alive
    def _show_task(self) -> None:
        task = self._session.tasks.state
        self._dock.training.set_task(
            task.kind,
            task.phase,
            task.fraction,
            task.seconds_left,
            task.text,
            task.seconds_run,
            task.dice,
        )
        self._dock.empty.set_task(task.text if task.kind != "idle" else "", task.fraction)
        if self._shown_kind != task.kind:
            self._shown_kind = task.kind
            self._show_reasons()

    @while_alive
    def _show_reasons(self) -> None:
        now = self._session.actions.situation()
        why = {name: action.why_not(now) for name, action in BY_ID.items()}
        self._dock.header.set_blocked(why["add_scans"], why["export"])
        scheme = self._session.keys.name
        for menu in self._menus():
            menu.show_situation(now, scheme)
        self._dock.cases.menu.show_situation(now, scheme)
        self._dock.structures.menu.show_situation(now, scheme)
        self._dock.cases.set_blocked(why["case_complete"], why["next_case"])
        self._dock.structures.set_blocked(why["add_structure"], why["slice_complete"])
        self._bench.show_reasons(now)
        self._dock.shelf.show_reasons(now)
        self._dock.training.set_blocked(why["train"])
        self._dock.review.set_blocked(why["prediction"], why["accept_slice"], why["predict"])
        self._dock.review.set_state(self._tell_prediction(now))

    def _tell_prediction(self, now: Situation) -> str:
        """Return one line on the prediction of the open case."""
        study = self._session.study
        if study is None or not now.case:
            return ""
        return self._session.training.models.text if now.prediction else "no prediction yet"

    def _ask_prediction_shown(self, shown: bool) -> None:
        self._session.views.set_overlay(prediction=shown)

    def _ask_uncertainty_shown(self, shown: bool) -> None:
        self._session.views.set_overlay(entropy=shown)

    def _ask_differences(self, only: bool) -> None:
        self._session.views.set_overlay(differences=only)

    def _ask_opacity(self, opacity: float) -> None:
        self._session.views.set_overlay(opacity=opacity)
