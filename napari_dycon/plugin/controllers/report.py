"""What was noticed, file by file or case by case, to be read at leisure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Report:
    """Everything that was noticed.

    Attributes
    ----------
    title, summary
        What was done, and how it went, in one sentence.
    rows
        ``(file or case, sentence)``, or what the columns say.
    columns
        Headings.
    """

    title: str
    summary: str
    rows: tuple[tuple[str, ...], ...]
    columns: tuple[str, ...] = ("File or case", "What was noticed")
