"""What an import has brought, told in a sentence at its end and in full in a report."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from napari_dycon.plugin.controllers.report import Report
from napari_dycon.study.exchange.importing import ImportEvent
from napari_dycon.study.exchange.label_values import Foreign

LISTED = 5


class ImportNews:
    """Counts what became of the files, and keeps every sentence about them.

    Attributes
    ----------
    pairs
        Label maps that a scan could have, by scan: for the person to say which is right.
    foreign
        Cases, and the values of their labels that no structure has: for the person to say what they are.
    """

    def __init__(self) -> None:
        self._outcomes: Counter[str] = Counter()
        self._problems: list[tuple[str, str]] = []
        self._notes: dict[str, list[str]] = {}
        self.pairs: dict[Path, list[Path]] = {}
        self.foreign: list[tuple[str, Foreign]] = []

    def add(self, event: ImportEvent) -> None:
        """Take note of one file."""
        name = event.path.name if event.case is None else event.case.name
        self._outcomes[event.outcome] += 1
        if event.foreign is not None and event.case is not None:
            self.foreign.append((event.case.id, event.foreign))
        elif event.problem:
            self._problems.append((name, event.problem))
        for note in event.notes if event.outcome != "already there" else ():
            self._notes.setdefault(note, []).append(name)
        for scan, labels in event.pairs:
            self.pairs.setdefault(scan, []).append(labels)

    @property
    def summary(self) -> str:
        """What came of the import, in one or a few short sentences."""
        added, labelled = self._outcomes["added"], self._outcomes["labelled"]
        again, known = self._outcomes["found again"], self._outcomes["already there"]
        said = [
            *([_count(added, "scan", "added")] if added or not (labelled or again or known) else []),
            *([f"{labelled} got {'their' if labelled > 1 else 'its'} labels."] if labelled else []),
            *([_count(again, "scan", "found again at a new place")] if again else []),
            *([f"{known} {'was' if known == 1 else 'were'} in the study already."] if known else []),
        ]
        return " ".join(said)

    @property
    def report(self) -> Report | None:
        """Every problem and note, or None where there is nothing of the kind."""
        rows = (*self._problems, *((_list_names(names), note) for note, names in self._notes.items()))
        return Report("Import", self.summary, rows) if rows else None

    def sentences(self) -> Iterator[tuple[str, str]]:
        """Yield ``(level, sentence)``; of many problems only the first few, how it went last."""
        if not self._outcomes:
            return
        for _, sentence in self._problems[:LISTED]:
            yield "warning", sentence
        left = self._outcomes["refused"]
        if left:
            files = "1 file was" if left == 1 else f"{left} files were"
            yield "warning", f"{files} left out; the report says why."
        yield "info", self.summary


def _list_names(names: list[str]) -> str:
    """Write the cases that a note is about, on one line however many they are."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def _count(number: int, noun: str, what: str) -> str:
    return f"1 {noun} was {what}." if number == 1 else f"{number} {noun}s were {what}."
