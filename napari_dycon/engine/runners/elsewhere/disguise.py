"""Other names for cases and patients: what leaves this computer has none that anybody gave.

Case ids come from file names, and those from whoever exported the scans.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import replace

from napari_dycon.engine.bundle import BundledCase, Contents, Until
from napari_dycon.engine.holdout import HoldOut
from napari_dycon.engine.runs import RunConfig
from napari_dycon.engine.viewpoint import View

_ALIAS = re.compile(r"\b(?:case|person)-[0-9]{4,}\b")


class Disguise:
    """Names there for names here; the same ones whenever it is made for the same run.

    Parameters
    ----------
    contents, config
        What the run was prepared with.
    """

    def __init__(self, contents: Contents, config: RunConfig) -> None:
        holdout = config.holdout
        cases = [case.case for case in contents.cases]
        cases += sorted({*config.trained_on, *holdout.cases, *holdout.slices} - set(cases))
        patients = [case.patient for case in contents.cases] + sorted(holdout.patients)
        self._there = {name: f"case-{n:04d}" for n, name in enumerate(cases, 1)}
        for name in patients:  # where there is no patient, a case is one of its own, by its name
            if name and name not in self._there:
                self._there[name] = f"person-{len(self._there) + 1:04d}"
        self._here = {alias: name for name, alias in self._there.items()}

    def contents(self, contents: Contents) -> Contents:
        """The bundle without names, and without sentences that may hold some."""
        before = tuple(
            Until(iteration=until.iteration, cases=self.cases(until.cases)) for until in contents.before
        )
        changes = {"cases": self.cases(contents.cases), "before": before, "notes": (), "left_out": {}}
        return contents.model_copy(update=changes)

    def config(self, config: RunConfig) -> RunConfig:
        """The configuration without names."""
        holdout = HoldOut(
            cases=self._names(config.holdout.cases),
            slices={self._there[case]: entry for case, entry in config.holdout.slices.items()},
            patients=self._names(config.holdout.patients),
        )
        trained_on = self._names(config.trained_on)
        return config.model_copy(update={"holdout": holdout, "trained_on": trained_on})

    def cases(self, cases: Iterable[BundledCase]) -> tuple[BundledCase, ...]:
        """Cases without names, their arrays called by their content."""
        return tuple(
            case.model_copy(
                update={
                    "case": self._there.get(case.case, "case-0000"),
                    "patient": self._there.get(case.patient, "") if case.patient else "",
                    "arrays": {
                        kind: array.model_copy(update={"file": f"{array.sha256}.npy"})
                        for kind, array in case.arrays.items()
                    },
                }
            )
            for case in cases
        )

    def view(self, view: View | None) -> View | None:
        """A view without names; None for one of a case that is not there."""
        if view is None or view.case not in self._there:
            return None
        return replace(view, case=self._there[view.case])

    def reveal(self, text: str) -> str:
        """JSON from there with the names from here."""
        return _ALIAS.sub(lambda found: _as_json_text(self._here.get(found[0], found[0])), text)

    def _names(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(self._there[name] for name in names)


def _as_json_text(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)[1:-1]
