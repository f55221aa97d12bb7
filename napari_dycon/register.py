"""Registers: things of one kind by name, each in a file of its own, in this package or in another one."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Callable
from importlib.metadata import entry_points
from threading import RLock
from typing import Generic, TypeVar

from napari_dycon.errors import DyconError

T = TypeVar("T")


class Register(Generic[T]):
    """Things of one kind by name.

    They are looked for when first asked for: in the modules of a package of ours, and in what other packages
    name under an entry point group. One that cannot be loaded is left out with a warning.

    Parameters
    ----------
    kind
        What they are called in sentences, for example ``"learning method"``.
    package
        Whose modules register things when they are imported.
    group
        Entry point group of other packages; each entry names a module that registers things when imported.
    error
        What is raised where there is none of a name.
    """

    def __init__(self, kind: str, package: str, group: str, error: type[DyconError]) -> None:
        self._kind = kind
        self._package = package
        self._group = group
        self._error = error
        self._found: dict[str, T] = {}
        self._searched = False
        self._searching = RLock()

    def add(self, name: str, thing: T) -> None:
        """Make a thing known by a name.

        Raises
        ------
        ValueError
            If another one has that name.
        """
        if name in self._found:
            raise ValueError(f"two {self._kind}s are called {name!r}")
        self._found[name] = thing

    def __call__(self, name: str) -> Callable[[T], T]:
        """Decorate what is to be known by a name."""

        def add(thing: T) -> T:
            self.add(name, thing)
            return thing

        return add

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        self._search()
        return tuple(sorted(self._found))

    def get(self, name: str) -> T:
        """Return the thing of a name; raise the error of the register if there is none."""
        if name not in self._found:
            self._search()
        if name not in self._found:
            listed = ", ".join(self.names())
            raise self._error(f"There is no {self._kind} {name!r}; choose one of {listed}.")
        return self._found[name]

    def _search(self) -> None:
        """Look once, whichever thread is the first; another one waits until all are found."""
        with self._searching:
            if not self._searched:
                self._searched = True
                self._look()

    def _look(self) -> None:
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
        for entry in entry_points(group=self._group):
            try:
                entry.load()
            except Exception as error:  # noqa: BLE001 - a stranger's fault must not take ours away
                kind = type(error).__name__
                sentence = f"The {self._kind} {entry.name} of another package cannot be used: {kind}: {error}"
                warnings.warn(sentence, RuntimeWarning, stacklevel=2)
