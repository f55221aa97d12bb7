"""What stands on the page, as plain data; HTML and PDF are drawn from the same."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Table:
    """Texts in columns; the first row is the head."""

    rows: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, head: Sequence[str], rows: Sequence[Sequence[str]]) -> "Table":
        """Put a head over rows."""
        return cls((tuple(head), *(tuple(row) for row in rows)))


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, sentences below it, tables below these."""

    title: str
    sentences: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True)
class Sheet:
    """The page."""

    title: str
    subtitle: str
    sections: tuple[Section, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)
