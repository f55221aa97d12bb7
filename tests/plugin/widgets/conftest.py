"""A session without engine, study or layers: it holds state and writes down what is asked of it."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from napari.components import ViewerModel
from psygnal import Signal

from napari_dycon.plugin.background.task_state import TaskState
from napari_dycon.plugin.widgets.dock import DyconDock
from napari_dycon.plugin.widgets.theme import Theme


@dataclass
class Row:
    id: str
    name: str
    status: str = "unlabelled"
    known_fraction: float = 0.0
    volume_ml: float | None = None
    uncertainty: float | None = None
    open: bool = False
    expected_dice: float | None = None
    shares: SimpleNamespace | None = None
    note: str = ""
    flagged: bool = False
    to_review: bool = False
    seconds: float = 0.0
    problems: tuple[str, ...] = ()
    unusable: bool = False
    lost: bool = False

    @property
    def sign(self) -> str:
        return "review" if self.to_review else self.status


@dataclass
class Place:
    case: str
    reason: str


class Recorder:
    """Stands for the session: every intention lands in ``asked``."""

    study_changed = Signal()
    cases_changed = Signal()
    case_opened = Signal(str)
    saved_changed = Signal(str, bool)
    task_changed = Signal(object)
    curves_changed = Signal()
    structures_changed = Signal()
    suggestions_changed = Signal()
    message = Signal(str, str)
    overlay_changed = Signal()
    slice_state_changed = Signal(bool, str)
    engine_ready = Signal()
    planes_changed = Signal(bool)
    versions_changed = Signal()
    question_changed = Signal()
    reported = Signal(object)
    pairs_found = Signal(object)
    keys_changed = Signal()
    tools_changed = Signal()

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.study: SimpleNamespace | None = None
        self.case_id: str | None = None
        self.task = TaskState()
        self.curves = SimpleNamespace(losses={}, dice=([], []))
        self.suggestions: list[Place] = []
        self.suggestion_index = -1
        self.active_value = 1
        self.methods = [
            ("supervised", "Supervised: labelled voxels only"),
            ("dycon", "DyCON: learns from all"),
        ]
        self.device = "CPU"
        self.overlay = SimpleNamespace(prediction=True, entropy=False, opacity=0.5)
        self.saved = ("", True)
        self.slice_state = (False, "")
        self.has_prediction = False
        self.planes_shown = False
        self.versions = None
        self.question = None
        self.key_scheme = "napari"
        self.known_shown = False
        self.windows, self.window = (), ""
        self.undo_name = self.redo_name = ""
        self.says = SimpleNamespace(value="structure")
        self.tool = "pan_zoom"
        self.range_on, self.paint_range, self.intensity_bounds = False, (0.0, 1.0), (0.0, 1.0)
        self.structures: tuple[SimpleNamespace, ...] = ()
        self.rows: list[Row] = []

    def set_case_order(self, case_ids: list[str]) -> None:
        self.order = case_ids

    def removed_cases(self) -> list[SimpleNamespace]:
        return []

    def case_rows(self) -> list[Row]:
        return self.rows

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return Intention(self, name)

    def open_with(self, rows: list[Row], read_only: bool = False) -> None:
        """Have a study of ``rows`` open."""
        record = SimpleNamespace(name="Left atrium")
        self.rows = rows
        self.study = SimpleNamespace(
            record=record, path=Path("/somewhere"), read_only=read_only, cases=rows, active_run=None
        )
        self.structures = (
            SimpleNamespace(value=1, name="Left atrium", color="#e6550d"),
            SimpleNamespace(value=2, name="Appendage", color="#3182bd"),
        )
        self.study_changed.emit()


@dataclass
class Intention:
    session: Recorder
    name: str
    kept: dict[str, Any] = field(default_factory=dict)

    def __call__(self, *arguments: Any, **named: Any) -> None:
        self.session.asked.append((self.name, *arguments, *named.items()))


@pytest.fixture
def theme() -> Theme:
    return Theme.named("dark")


@pytest.fixture
def rows() -> list[Row]:
    return [
        Row("a", "scan 10", "complete", 1.0, 80.5, None),
        Row("b", "scan 2", "partial", 0.125, 120.0, 0.31, open=True),
        Row("c", "scan 1", "unlabelled", 0.0, None, 0.07),
    ]


@pytest.fixture
def make_row() -> type[Row]:
    return Row


@pytest.fixture
def place() -> type[Place]:
    return Place


@pytest.fixture
def session() -> Recorder:
    return Recorder()


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def make_dock(qtbot, viewer, session):
    """Return a function that makes and shows a dock on the recorder."""

    def make() -> DyconDock:
        dock = DyconDock(viewer, session)
        qtbot.addWidget(dock)
        dock.resize(380, 700)
        dock.show()
        qtbot.waitExposed(dock)
        return dock

    return make
