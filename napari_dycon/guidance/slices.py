"""Slices of scans, and which of them are too close to each other to be worth labelling both."""

SLICES_APART = 3
MILLIMETRES_APART = 20.0


def too_close(index: int, other: int, spacing: float) -> bool:
    """Tell whether two slices of one plane show nearly the same; `spacing` between neighbours in mm."""
    apart = abs(index - other)
    return apart < SLICES_APART and apart * spacing < MILLIMETRES_APART
