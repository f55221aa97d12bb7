"""How much of a scan is known, and by whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from napari_dycon.study.truth.annotations import BY_PERSON, Annotation, Known


@dataclass(frozen=True, slots=True)
class KnownSummary:
    """Shares of the voxels of one scan, 0 to 1, and complete slices.

    Attributes
    ----------
    person
        Drawn, erased, imported or declared background by completing.
    accepted, interpolated
        Taken over from a prediction; filled in between slices.
    ignored
        Told not to be learned from.
    complete_slices
        Number of complete slices along each source axis, however they are known.
    slices
        Number of slices along each source axis.
    """

    person: float
    accepted: float
    interpolated: float
    ignored: float
    complete_slices: tuple[int, int, int]
    slices: tuple[int, int, int]

    @classmethod
    def of(cls, annotation: Annotation) -> KnownSummary:
        """Summarise an annotation; looks at every voxel."""
        return cls.of_counts(annotation.known_voxels(), annotation.complete_counts(), annotation.shape)

    @classmethod
    def of_counts(
        cls, voxels: Mapping[int, int], complete: tuple[int, int, int], shape: tuple[int, int, int]
    ) -> KnownSummary:
        """Summarise voxel counts of each value of `Known`."""
        total = shape[0] * shape[1] * shape[2]

        def share(*codes: Known) -> float:
            return sum(voxels.get(code, 0) for code in codes) / total

        return cls(
            share(*BY_PERSON),
            share(Known.ACCEPTED),
            share(Known.INTERPOLATED),
            share(Known.IGNORE),
            complete,
            shape,
        )

    @property
    def known(self) -> float:
        """Share of the voxels that are known; those to be ignored count."""
        return self.person + self.accepted + self.interpolated + self.ignored

    def sentence(self) -> str:
        """Say it in one line, for example ``12 % known: 10 % by you, 2 % interpolated``."""
        parts = {
            "by you": self.person,
            "accepted": self.accepted,
            "interpolated": self.interpolated,
            "do not care": self.ignored,
        }
        told = ", ".join(f"{_percent(share)} {what}" for what, share in parts.items() if share > 0)
        return f"{_percent(self.known)} known: {told}" if told else "Nothing is known yet"


def _percent(share: float) -> str:
    """Whole percents, but never 0 for something and never 100 for less than all."""
    if 0 < share < 0.01:
        return "< 1 %"
    return f"{min(round(100 * share), 99) if share < 1 else 100} %"
