"""How figures are told to a person."""

LEAST = 0.001


def three_digits(value: float) -> str:
    """Return a positive figure with three significant digits, all of a large one, never as a power of ten."""
    if 0 < value < LEAST:
        return f"<{LEAST}"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def millilitres(volume: float) -> str:
    """Return a volume in millilitres with its unit."""
    return f"{three_digits(volume)} ml"
