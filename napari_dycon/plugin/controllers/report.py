"""What became of each file of an import or export, to be read at leisure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Report:
    """Everything that was noticed.

    Attributes
    ----------
    title, summary
        What was done, and how it went, in one sentence.
    rows
        ``(file or case, sentence)``.
    """

    title: str
    summary: str
    rows: tuple[tuple[str, str], ...]
