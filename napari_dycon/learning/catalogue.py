"""All methods, those of other packages too, told without loading PyTorch."""

import ast
import pkgutil
from collections.abc import Iterator
from importlib.metadata import entry_points
from importlib.util import find_spec

from napari_dycon.learning import methods


def method_titles() -> dict[str, str]:
    """Titles of all methods by name, sorted by name, as their source states them."""
    ours = [module.name for module in pkgutil.iter_modules(methods.__path__, f"{methods.__name__}.")]
    theirs = [entry.module for entry in entry_points(group=methods.GROUP)]
    return dict(sorted(title for module in (*ours, *theirs) for title in _titles(_source(module))))


def _source(module: str) -> str:
    """Source of a module, without importing it; empty where there is none to read."""
    try:
        spec = find_spec(module)
        source = getattr(spec.loader, "get_source", lambda name: None)(module) if spec else None
        ast.parse(source or "")
    except (ImportError, SyntaxError, ValueError):
        return ""
    return source or ""


def _titles(source: str) -> Iterator[tuple[str, str]]:
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and (name := _registered_name(node)):
            yield name, _constant(node, "title") or name


def _registered_name(node: ast.ClassDef) -> str:
    """The name under which a class is registered; empty where it is not."""
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "register":
            argument = decorator.args[0]
            return str(argument.value) if isinstance(argument, ast.Constant) else ""
    return ""


def _constant(node: ast.ClassDef, name: str) -> str:
    for entry in node.body:
        named = isinstance(entry, ast.Assign) and [getattr(target, "id", "") for target in entry.targets]
        if named == [name] and isinstance(value := getattr(entry, "value", None), ast.Constant):
            return str(value.value)
    return ""
