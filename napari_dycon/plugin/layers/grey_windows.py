"""Grey-scale windows: which parts of a scan's intensities are spread from black to white."""

from dataclasses import dataclass

import numpy as np

from napari_dycon.plugin.actions import WINDOWS

AUTO, OWN = "auto", "own"
AIR_IN_LUNGS = -500.0
"""A scan whose values go below this is taken for CT in Hounsfield units."""
CT_PRESETS = (
    ("soft", 400.0, 40.0),
    ("abdomen", 350.0, 40.0),
    ("mediastinum", 350.0, 50.0),
    ("lung", 1400.0, -500.0),
    ("bone", 1000.0, 400.0),
    ("brain", 100.0, 50.0),
)
"""Name, width and level in Hounsfield units."""
OTHER_PRESETS = (("wide", 0.1, 99.9), ("bright", 60.0, 99.9), ("dark", 0.5, 80.0))
"""Name and the percentiles of the intensities that become black and white."""
SAMPLES = 200_000


@dataclass(frozen=True)
class Window:
    """A part of the grey scale, ``low`` is black and ``high`` white, in units of the scan."""

    name: str
    title: str
    low: float
    high: float

    @property
    def limits(self) -> tuple[float, float]:
        """Black and white."""
        return self.low, self.high

    @property
    def text(self) -> str:
        """The window as radiologists read it, such as ``Lung  W 1400  L −500``."""
        return f"{self.title}  {self.numbers}" if self.title else self.numbers

    @property
    def numbers(self) -> str:
        """Width and level."""
        width, level = _round(self.high - self.low), _round((self.low + self.high) / 2)
        return f"W {width}  L {level}".replace("-", "−")

    def adjust(self, wider: float, higher: float, unit: float) -> "Window":
        """Return the window ``wider`` times ``unit`` wider and ``higher`` times ``unit`` higher in level."""
        width = max(self.high - self.low + wider * unit, unit)
        level = (self.low + self.high) / 2 + higher * unit
        return Window(OWN, "", level - width / 2, level + width / 2)


def windows_of(
    values: np.ndarray, contrast: tuple[float, float], full: tuple[float, float]
) -> tuple[Window, ...]:
    """Return the windows that suit a scan, first the automatic one.

    Parameters
    ----------
    values
        Intensities of any shape; an evenly spread part of them is looked at.
    contrast
        The automatic limits.
    full
        Smallest and largest intensity; below -500 the scan is taken for CT.
    """
    windows = [Window(AUTO, WINDOWS[AUTO], *contrast)]
    if is_ct(full):
        windows += [Window(n, WINDOWS[n], level - w / 2, level + w / 2) for n, w, level in CT_PRESETS]
    else:
        windows += _by_percentiles(values)
    windows.append(Window("full", WINDOWS["full"], *full))
    return tuple(windows)


def is_ct(full: tuple[float, float]) -> bool:
    """Return whether intensities from ``full[0]`` to ``full[1]`` look like Hounsfield units."""
    return full[0] < AIR_IN_LUNGS


def _by_percentiles(values: np.ndarray) -> list[Window]:
    step = max(1, round((values.size / SAMPLES) ** (1 / values.ndim)))
    sample = np.asarray(values[(slice(None, None, step),) * values.ndim], dtype=np.float64)
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return []
    points = np.percentile(sample, [point for _, low, high in OTHER_PRESETS for point in (low, high)])
    pairs = zip(OTHER_PRESETS, points[::2].tolist(), points[1::2].tolist(), strict=True)
    return [Window(name, WINDOWS[name], low, high) for (name, *_), low, high in pairs if high > low]


def _round(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.3g}"
