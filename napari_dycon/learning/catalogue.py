"""All methods, those of other packages too, told without loading PyTorch."""

import pkgutil
import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from importlib.util import find_spec

from napari_dycon.learning import methods

# Read as text: Python 3.11 counts the depth of syntax trees once for all threads, so a tree built in the
# background makes one that is built meanwhile in another thread fail (SystemError).
_TEXT = r"""(?P<quote>["'])(?P<text>.+?)(?P=quote)"""
_DECORATOR = re.compile(rf"^@register\(\s*{_TEXT}\s*,?\s*\)$", re.MULTILINE)
_CLASS_BODY = re.compile(r"^class .*\n(?:(?:[ \t)].*)?\n)*", re.MULTILINE)
_TITLE = re.compile(rf"^[ \t]+title(?:\s*:[^=\n]+)?\s*=\s*\(?\s*{_TEXT}", re.MULTILINE)


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
    except (ImportError, SyntaxError, ValueError):
        return ""
    return source or ""


def _titles(source: str) -> Iterator[tuple[str, str]]:
    for registered in _DECORATOR.finditer(source):
        body = _CLASS_BODY.search(source, registered.end())
        title = body and _TITLE.search(body[0])
        yield registered["text"], title["text"] if title else registered["text"]
