"""The rules of the house: which layer may import which, and what an import may cost."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "napari_dycon"
MAY_IMPORT = {
    "errors": set(),
    "hints": set(),
    "register": {"errors"},
    "wording": set(),
    "io": {"errors"},
    "study": {"errors", "hints", "register", "io"},
    "learning": {"errors", "hints", "register"},
    "engine": {"errors", "hints", "register", "io", "study", "learning", "wording"},
    "guidance": {"errors", "register", "io", "study", "learning", "engine", "wording"},
    "doctor": {"errors", "register", "learning", "engine", "guidance"},
    "report": {"errors", "io", "study", "learning", "engine", "guidance"},
    "benchmark": {"errors", "register", "io", "study", "learning", "engine", "guidance"},
    "cli": {
        "errors",
        "register",
        "io",
        "study",
        "learning",
        "engine",
        "guidance",
        "benchmark",
        "doctor",
        "report",
    },
    "plugin": {
        "errors",
        "hints",
        "register",
        "wording",
        "io",
        "study",
        "learning",
        "engine",
        "guidance",
        "doctor",
        "report",
    },
}
QT = {"napari", "qtpy", "PyQt6", "PyQt5", "PySide6", "superqt", "magicgui", "pyqtgraph", "psygnal"}


def _modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] not in ("__init__", "__main__"):
            yield path, parts[0]


def _imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module or ""]
            if node.module == "napari_dycon":
                names = [f"napari_dycon.{alias.name}" for alias in node.names]
            yield from names


@pytest.mark.parametrize(
    ("path", "layer"), list(_modules()), ids=lambda value: str(value).split("napari_dycon/")[-1]
)
def test_dependencies_run_downwards_only(path, layer):
    for name in _imported(path):
        top, _, rest = name.partition(".")
        if top == "napari_dycon" and rest and rest != "__version__":
            target = rest.split(".")[0]
            assert target == layer or target in MAY_IMPORT[layer], f"{layer} must not import {target}"
        if layer != "plugin":
            assert top not in QT, f"only plugin may import {top}"


OF_A_RUN = (
    *(
        "bundle",
        "start",
        "trainer",
        "stepping",
        "validation",
        "checkpoints",
        "recorder",
        "optimisation",
        "patches",
    ),
    *("glimpses", "assessment", "joins", "team"),
)
"""What trains knows the bundle of a run alone; the study may be open elsewhere, or not be there."""


@pytest.mark.parametrize("module", OF_A_RUN)
def test_what_trains_knows_no_study(module):
    names = set(_imported(PACKAGE / "engine" / f"{module}.py"))
    assert not names & {"napari_dycon.study.study", "napari_dycon.engine.setup", "napari_dycon.engine.store"}


def _graph():
    """Each module of the package and the modules it imports, in `TYPE_CHECKING` and in functions too."""
    paths = {path.relative_to(PACKAGE.parent).with_suffix(""): path for path in PACKAGE.rglob("*.py")}
    modules = {".".join(relative.parts): path for relative, path in paths.items()}
    graph = {}
    for module, path in modules.items():
        found = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        graph[module] = found & modules.keys() - {module}
    return graph


GRAPH = _graph()
STUDY_FLOORS = ("truth", "store", "study", "exchange")
"""From the ground: what is known, the folder that keeps it, the study, what comes in and what leaves."""


def _floor(module):
    top, _, rest = module.removeprefix("napari_dycon.").partition(".")
    return STUDY_FLOORS.index(rest.split(".")[0]) if top == "study" and rest != "__init__" else -1


@pytest.mark.parametrize("module", [module for module in GRAPH if _floor(module) >= 0])
def test_rooms_of_a_study_stand_on_each_other(module):
    assert not [found for found in GRAPH[module] if _floor(found) > _floor(module)]


def test_no_modules_import_each_other_in_a_circle():
    graph = {name: found for name, found in GRAPH.items() if ".plugin." not in name}
    while free := {name for name, found in graph.items() if not found & graph.keys()}:
        graph = {name: found for name, found in graph.items() if name not in free}
    assert not graph, f"a circle among {sorted(graph)}"


FLOORS = (
    {"widgets", "manifest"},
    {"session"},
    {"controllers"},
    {"canvases"},
    {"background", "keys"},
    {"layers"},
    {"actions", "lifecycle"},
)
"""The rooms of the plugin; imports run from one floor to a lower one."""
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FLAT = 12
"""So many files may lie flat in the plugin."""


def test_the_plugin_has_few_floors():
    assert len(FLOORS) <= 8


def _is_module(name):
    path = PACKAGE.joinpath(*name.split(".")[1:])
    return path.is_dir() or path.with_suffix(".py").is_file()


def _modules_imported(path):
    """Yield the modules of the package that a file imports, for the sake of types too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("napari_dycon."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("napari_dycon"):
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if _is_module(name) else node.module for name in inside)


def _plugin_imports():
    for path in sorted((PACKAGE / "plugin").rglob("*.py")):
        here = ".".join(("napari_dycon", *path.relative_to(PACKAGE).with_suffix("").parts))
        yield here, {name for name in _modules_imported(path) if name.startswith("napari_dycon.plugin.")}


PLUGIN_IMPORTS = dict(_plugin_imports())


@pytest.mark.parametrize("module", sorted(PLUGIN_IMPORTS))
def test_rooms_of_the_plugin_are_entered_from_above_only(module):
    room = module.split(".")[2]
    for name in PLUGIN_IMPORTS[module]:
        other = name.split(".")[2]
        assert room == other or FLOOR_OF[room] < FLOOR_OF[other], f"{room} must not import {name}"


def test_no_circle_of_imports_in_the_plugin():
    left = {module: set(names) for module, names in PLUGIN_IMPORTS.items()}
    while free := {module for module, names in left.items() if not names & set(left)}:
        left = {module: names for module, names in left.items() if module not in free}
    assert not left, f"in a circle, or above one: {sorted(left)}"


def test_few_files_of_the_plugin_lie_flat():
    assert len(list((PACKAGE / "plugin").glob("*.py"))) <= FLAT


MEMBERS = 40
"""So many methods, signals and attributes a class may have; one with more has several owners in it."""


def _classes():
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield path, node


CLASSES = list(_classes())


def _members(owner):
    """Names that a class has of its own, those that its methods give to ``self`` too."""
    for node in owner.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
            yield from (
                part.attr
                for part in ast.walk(node)
                if isinstance(part, ast.Attribute)
                and isinstance(part.ctx, ast.Store)
                and getattr(part.value, "id", "") == "self"
            )
        elif isinstance(node, ast.AnnAssign):
            yield ast.unparse(node.target)
        elif isinstance(node, ast.Assign):
            yield from map(ast.unparse, node.targets)


def test_no_class_has_too_many_members():
    counts = {f"{path.name}: {owner.name}": len(set(_members(owner))) for path, owner in CLASSES}
    assert len(counts) > 100
    assert not {name: count for name, count in counts.items() if count > MEMBERS}, "cut them by owner"


def test_the_session_opens_closes_and_wires_and_does_nothing_else():
    (session,) = (owner for _, owner in CLASSES if owner.name == "Session")
    assert not session.bases
    assert session.end_lineno - session.lineno < 200
    assert len({name for name in _members(session) if not name.startswith("_")}) <= 25


def _signals():
    for path in (PACKAGE / "plugin").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                made = node.value.func
                if isinstance(made, ast.Name) and made.id == "Signal":
                    yield from (target.id for target in node.targets if isinstance(target, ast.Name))


SIGNALS = set(_signals())
WANT_A_FUNCTION = {"addAction", "singleShot", "QShortcut", "partial", "callOnTimeout"}
"""What must be given something to call: PyQt takes a signal as well, PySide does not, or calls it in vain."""


@pytest.mark.parametrize("path", sorted((PACKAGE / "plugin").rglob("*.py")), ids=lambda path: path.stem)
def test_signals_are_connected_and_never_passed_on_as_functions(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            passed = [value.attr for value in given if isinstance(value, ast.Attribute)]
            assert name not in WANT_A_FUNCTION or not SIGNALS & set(passed), f"line {node.lineno}: {passed}"


MENUS = PACKAGE / "plugin" / "widgets" / "action_menu.py"
MAKE_ENTRIES = {"addAction", "addMenu", "addSection", "insertAction", "insertMenu", "insertSection"}
MENU_PARTS = {"QMenu", "QAction", "QWidgetAction", *MAKE_ENTRIES}
TAKE_WORDS = {"offer", "offer_menu", "tell", "tick", "hint", "ActionMenu", "Choice"}


def _calls(path):
    """Yield the name of whatever is called, and the call."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield getattr(node.func, "attr", getattr(node.func, "id", "")), node


def _texts(*nodes):
    """Yield the parts of texts that are written out in these expressions, but for quotation marks."""
    for part in (part for node in nodes for part in ast.walk(node)):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield from re.findall(r"\w[\w ]*", part.value)


def _actions():
    """Yield ids of actions as far as they are written out, and titles."""
    tree = ast.parse((PACKAGE / "plugin" / "actions.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Action":
            yield from list(_texts(node.args[0]))[:1]
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DECISIONS":
            yield from (next(_texts(row.elts[0])) for row in node.value.elts)


IDS = set(_actions())


@pytest.mark.parametrize("path", sorted((PACKAGE / "plugin").rglob("*.py")), ids=lambda path: path.stem)
def test_no_menu_entry_has_a_text_of_its_own(path):
    """What a menu says comes from `actions`, or has its name from the study; one file makes entries of it."""
    for name, call in _calls(path):
        if path != MENUS:
            assert name not in MENU_PARTS, f"line {call.lineno}: menus are made by {MENUS.name}"
        words = call.args[1:2] if name == "Choice" else call.args
        if "widgets" in path.parts and name in MAKE_ENTRIES | TAKE_WORDS:
            own = set(_texts(*words)) - IDS
            assert not own, f"line {call.lineno}: {own} are no actions"


NOT_PROMISED = PACKAGE / "plugin" / "layers" / "napari_private.py"
ELSEWHERE = [path for path in sorted((PACKAGE / "plugin").rglob("*.py")) if path != NOT_PROMISED]


def _is_private(name):
    return name.startswith("_") and not name.startswith("__")


def _private_names(path):
    """Yield ``(line, name)`` of what is private and belongs to somebody else than its user."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and _is_private(node.attr):
            of = node.value.func if isinstance(node.value, ast.Call) else node.value
            if not (isinstance(of, ast.Name) and of.id in ("self", "cls", "super")):
                yield node.lineno, node.attr
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("attr"):
            named = [given.value for given in node.args[1:2] if isinstance(given, ast.Constant)]
            yield from ((node.lineno, name) for name in named if _is_private(name))
        elif isinstance(node, ast.ImportFrom):
            parts = [*node.module.split("."), *(alias.name for alias in node.names)]
            yield from ((node.lineno, part) for part in parts if _is_private(part))


@pytest.mark.parametrize("path", ELSEWHERE, ids=lambda path: path.stem)
def test_one_file_uses_what_napari_does_not_promise(path):
    assert not list(_private_names(path))


def test_no_class_takes_over_a_private_name_of_napari():
    code = """
import importlib, inspect, re, sys
taken = []
for module in sys.argv[1:]:
    for name, ours in vars(importlib.import_module(module)).items():
        if inspect.isclass(ours) and ours.__module__ == module:
            bases = [base for base in ours.__mro__ if base.__module__.split(".")[0] in ("napari", "superqt")]
            private = r"\\bself\\.(_[a-z]\\w*)|def (_[a-z]\\w*)"
            theirs = {name for base in bases for name in vars(base) if re.match("_[a-z]", name)}
            for base in bases:
                theirs |= set(map("".join, re.findall(private, inspect.getsource(base))))
            used = set(map("".join, re.findall(private, inspect.getsource(ours))))
            taken += [f"{module}.{name}: {found}" for found in sorted(theirs & used)]
sys.exit(", ".join(taken) or 0)
"""
    modules = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in ELSEWHERE]
    command = [sys.executable, "-c", code, *(name for name in modules if not name.endswith("__init__"))]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


NOUNS = {"training", "meaning"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "plugin").rglob("*.py")), ids=lambda path: path.stem)
def test_functions_of_the_plugin_are_not_named_by_what_is_going_on(path):
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    states = {id(one) for one in functions if "property" in map(ast.unparse, one.decorator_list)}
    public = {one.name for one in functions if not one.name.startswith("_") and id(one) not in states}
    assert not {name for name in public if name.split("_")[0].endswith("ing")} - NOUNS


ADJECTIVES = {"supervised", "_deed", "_unlabelled", "_flagged"}


def _functions():
    """Yield the name of every function of the package that is no property."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and "property" not in map(ast.unparse, node.decorator_list):
                yield node.name


def test_functions_are_not_named_by_what_has_been_done():
    names = {name for name in _functions() if re.fullmatch(r"_?[a-z]+[^e]ed", name)}
    assert not names - ADJECTIVES


FILES = ("plugin.manifest.reader", "plugin.manifest.writer", "plugin.manifest.sample_data")
WINDOW = ("plugin.session", "plugin.widgets.dock", "plugin.background.jobs", "plugin.manifest.launch")
LEARNING = ("guidance.suggestions", "learning.methods.base", "engine.trainer", "engine.inference")
LATE = {"monai", "lightning_fabric", "torch._dynamo"}


@pytest.fixture(scope="module")
def heavy():
    """Whether torch and what comes late are there once a module was imported, after those before it."""
    code = f"""
import importlib, sys
for module in sys.argv[1:]:
    importlib.import_module("napari_dycon." + module)
    print(module, *({LATE | {"torch"}} & set(sys.modules)))
"""
    found = {}
    for modules in ((*FILES, *WINDOW), LEARNING):
        command = [sys.executable, "-c", code, *modules]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        found |= {line.split()[0]: set(line.split()[1:]) for line in run.stdout.splitlines()}
    return found


@pytest.mark.parametrize("module", WINDOW)
def test_the_window_opens_without_torch(heavy, module):
    assert not heavy[module]


@pytest.mark.parametrize("module", FILES)
def test_opening_a_file_does_not_import_torch(heavy, module):
    assert not heavy[module]


@pytest.mark.parametrize("module", LEARNING)
def test_what_takes_seconds_is_imported_no_earlier_than_a_network_is_built_or_trained(heavy, module):
    assert not LATE & heavy[module]
