"""What an import has brought, told in a few sentences at its end."""

from collections.abc import Iterator

from napari_dycon.study.importing import ImportEvent

LISTED = 5


class ImportNews:
    """Counts the scans that were added and keeps the sentences about those that were not."""

    def __init__(self) -> None:
        self._added = 0
        self._left_out: list[str] = []

    def add(self, event: ImportEvent) -> None:
        """Take note of one file."""
        if event.case is not None:
            self._added += 1
        if event.problem:
            self._left_out.append(event.problem)

    def sentences(self) -> Iterator[tuple[str, str]]:
        """Yield ``(level, sentence)``; of many problems only the first few."""
        if self._added or self._left_out:
            yield "info", f"{self._added} {'scan was' if self._added == 1 else 'scans were'} added."
        for sentence in self._left_out[:LISTED]:
            yield "warning", sentence
        if len(self._left_out) > LISTED:
            yield "warning", f"{len(self._left_out) - LISTED} more files had problems."
