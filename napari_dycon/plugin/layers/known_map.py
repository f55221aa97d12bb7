"""The colours of the known map, and what each of them says."""

from napari_dycon.study.truth.annotations import Known

LOOKS: dict[Known, tuple[str, str]] = {
    Known.DRAWN: ("drawn", "#6fcf97"),
    Known.COMPLETED: ("complete", "#2f8f86"),
    Known.ACCEPTED: ("accepted", "#5b8def"),
    Known.INTERPOLATED: ("interpolated", "#e3cc58"),
    Known.IGNORE: ("do not care", "#c07ab8"),
}
"""Word and colour of each way to know; what is unknown stays clear."""


def legend() -> tuple[tuple[str, str], ...]:
    """Return ``(word, colour)`` of everything the known map shows."""
    return tuple(LOOKS.values())
