"""A session without engine, study or layers: it holds state and writes down what is asked of it."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from napari.components import ViewerModel
from psygnal import Signal

from napari_dycon.engine.runners.elsewhere.machines import NamedMachine
from napari_dycon.guidance.quality import Outlook
from napari_dycon.plugin.actions import Situation
from napari_dycon.plugin.background.task_state import TaskState
from napari_dycon.plugin.controllers.action_table import deeds, read_situation
from napari_dycon.plugin.controllers.setting import settings_of
from napari_dycon.plugin.widgets.dock import DyconDock
from napari_dycon.plugin.widgets.theme import Theme
from napari_dycon.study.store.schema import Structure


@dataclass
class Row:
    id: str
    name: str
    status: str = "unlabelled"
    known_fraction: float = 0.0
    volume_ml: float | None = None
    uncertainty: float | None = None
    open: bool = False
    outlook: Outlook | None = None
    reached: float | None = None
    may_leave: bool = False
    volume_range: tuple[float, float] | None = None
    cut: bool = False
    shares: SimpleNamespace | None = None
    note: str = ""
    flagged: bool = False
    to_review: bool = False
    seconds: float = 0.0
    problems: tuple[str, ...] = ()
    unusable: bool = False
    lost: bool = False
    patient: str = ""

    @property
    def sign(self) -> str:
        return "review" if self.to_review else self.status


@dataclass
class Place:
    case: str
    reason: str
    plane: str = "axial"
    structure: int = 1
    structure_name: str = "Left atrium"
    level: str = "slice"
    seconds: float = 20.0


class Part:
    """Stands for a controller: every intention lands in ``asked``."""

    def __init__(self, asked: list[tuple[Any, ...]], owner: str, **state: Any) -> None:
        self._asked, self._owner = asked, owner
        for key, value in state.items():
            setattr(self, key, value)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return Intention(self._asked, f"{self._owner}.{name}")


class Dialogue(Part):
    message = Signal(str, str)
    question_changed = Signal()


class Tasks(Part):
    changed = Signal(object)
    curves_changed = Signal()


class Keys(Part):
    changed = Signal()


class Structures(Part):
    changed = Signal()


class Labels(Part):
    saved_changed = Signal(str, bool)
    slice_state_changed = Signal(bool, str)


class Views(Part):
    planes_changed = Signal(bool)
    overlay_changed = Signal()


class Tools(Part):
    changed = Signal()


class CaseList(Part):
    changed = Signal()

    def set_order(self, case_ids: list[str]) -> None:
        self.order = case_ids

    def rows(self) -> list[Row]:
        return self.listed

    def patients(self) -> dict[str, str]:
        return {row.id: row.patient or row.id for row in self.listed}

    def removed_cases(self) -> list[SimpleNamespace]:
        return []


class Cases(Part):
    opened = Signal(str)


class Versions(Part):
    changed = Signal()


class Suggestions(Part):
    changed = Signal()

    @property
    def here(self) -> Place | None:
        return self.places[self.index] if self.index >= 0 else None

    def state_of(self, place: Place) -> str:
        return self.states.get(place.reason, "waiting")


class Gallery(Part):
    pictured = Signal(object)

    def find(self, place: Place) -> SimpleNamespace | None:
        return self.pictures.get(place.reason)


class Verdict(Part):
    changed = Signal()


class Training(Part):
    engine_ready = Signal()


class Models(Part):
    changed = Signal()


class Library(Part):
    changed = Signal()
    taken = Signal()


class Places(Part):
    changed = Signal()

    def values(self) -> dict[str, Any]:
        return self.draft


class OwnProcess(Part):
    changed = Signal()


class Expert(Part):
    found = Signal()
    changed = Signal()

    def changes(self, method: str) -> list[str]:
        return self.listed


class Exchange(Part):
    reported = Signal(object)
    pairs_found = Signal(object)
    values_found = Signal(object)
    scans_listed = Signal(object)


class Readers(Part):
    compared = Signal(object)


class Disputes(Part):
    changed = Signal()


class Recorder:
    """Stands for the session: every intention lands in ``asked``, after the name of its controller."""

    study_changed = Signal()

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.study: SimpleNamespace | None = None
        asked = self.asked
        self.dialogue = Dialogue(asked, "dialogue", question=None)
        curves = SimpleNamespace(losses={}, dice=([], []))
        self.tasks = Tasks(asked, "tasks", state=TaskState(), curves=curves)
        self.keys = Keys(asked, "keys", name="napari")
        self.structures = Structures(asked, "structures", all=(), active_value=1)
        self.labels = Labels(
            asked, "labels", saved=("", True), slice_state=(False, ""), undo_name="", redo_name=""
        )
        self.contrast = Part(asked, "contrast", windows=(), window="")
        overlay = SimpleNamespace(prediction=True, entropy=False, opacity=0.5, differences=False)
        pictures = Part(asked, "pictures", names=(), shown="")
        self.views = Views(
            asked, "views", overlay=overlay, planes_shown=False, known_shown=False, pictures=pictures
        )
        self.tools = Tools(
            asked,
            "tools",
            says=SimpleNamespace(value="structure"),
            tool="pan_zoom",
            range_on=False,
            paint_range=(0.0, 1.0),
            intensity_bounds=(0.0, 1.0),
        )
        self.regions = Part(asked, "regions")
        one = CaseList(asked, "cases.list", listed=[])
        self.cases = Cases(asked, "cases", case_id=None, has_prediction=False, list=one)
        self.versions = Versions(asked, "versions", shown=None)
        verdict = Verdict(asked, "verdict", line="", details="")
        self.suggestions = Suggestions(
            asked, "suggestions", places=[], index=-1, states={}, verdict=verdict, piece=None
        )
        self.suggestions.gallery = Gallery(asked, "gallery", pictures={})
        methods = [
            ("supervised", "Supervised: labelled voxels only"),
            ("dycon", "DyCON: learns from all"),
        ]
        text = "predicted by 003-dycon"
        library = Library(asked, "library", kept=(), candidate=None, sought="")
        models = Models(asked, "models", rows=(), before=None, looking_back=False, text=text, library=library)
        places = Places(
            asked,
            "places",
            settings=settings_of(NamedMachine),
            machines=(),
            machine=None,
            said={},
            draft={},
            refused={},
        )
        self.training = Training(
            asked, "training", methods=methods, models=models, places=places, device="CPU"
        )
        self.own_process = OwnProcess(asked, "own_process", offered=False)
        self.expert = Expert(asked, "expert", listed=[], sections=())
        exams = Part(asked, "exams", there=False)
        disputes = Disputes(asked, "disputes", on=False)
        readers = Readers(asked, "readers", name="AB", disputes=disputes)
        self.exchange = Exchange(asked, "exchange", exams=exams, readers=readers)
        self.actions = SimpleNamespace(perform=self._perform, situation=self._read_situation)

    def _perform(self, name: str) -> None:
        deeds(
            self.cases,
            self.labels,
            self.tools,
            self.structures,
            self.views,
            self.contrast,
            self.regions,
            self.suggestions,
            self.versions,
            self.training,
            self.own_process,
            self.exchange,
        )[name]()

    def _read_situation(self) -> Situation:
        if self.study is not None:
            self.study.cases = self.cases.list.listed
        looks = (self.contrast, self.views.pictures)
        work = (self.cases, *looks, self.structures, self.versions, self.training)
        return read_situation(self.study, self.tasks, *work, self.exchange)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return Intention(self.asked, name)

    def open_with(self, rows: list[Row], read_only: bool = False) -> None:
        """Have a study of ``rows`` open."""
        record = SimpleNamespace(name="Left atrium")
        self.cases.list.listed = rows
        self.study = SimpleNamespace(
            record=record, path=Path("/somewhere"), read_only=read_only, cases=rows, active_run=None
        )
        self.structures.all = (
            Structure(value=1, name="Left atrium", color="#e6550d"),
            Structure(value=2, name="Appendage", color="#3182bd"),
        )
        self.study_changed.emit()


@dataclass
class Intention:
    asked: list[tuple[Any, ...]]
    name: str
    kept: dict[str, Any] = field(default_factory=dict)

    def __call__(self, *arguments: Any, **named: Any) -> None:
        self.asked.append((self.name, *arguments, *named.items()))


@pytest.fixture
def theme() -> Theme:
    return Theme.of_name("dark")


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
