"""Did the unlabelled scans help? A run against its supervised twin."""

from dataclasses import asdict, dataclass
from typing import Any

from napari_dycon.engine.events import RunFinished

CONTROL_METHOD = "supervised"
TIE = 0.005


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs of the same length on the same held-out labelled voxels; Dice from 0 to 1."""

    method: str
    run: str
    dice: float | None
    control_run: str
    control_dice: float | None

    @property
    def better(self) -> str:
        """The run with the higher Dice; the first where that cannot be told."""
        if self.dice is None or self.control_dice is None or self.dice >= self.control_dice:
            return self.run
        return self.control_run

    @property
    def text(self) -> str:
        """Which run is better and by how much, in words."""
        if self.dice is None or self.control_dice is None:
            return (
                f"No labelled voxels could be held out, so {self.method} and its control cannot be compared; "
                f"{self.method} is used. Label more slices or scans."
            )
        gain = self.dice - self.control_dice
        values = f"Dice on held-out labels {self.dice:.3f} against {self.control_dice:.3f} supervised"
        used = self.method if self.better == self.run else "the supervised control"
        if abs(gain) < TIE:
            return f"{self.method} and its supervised control are equally good ({values}); {used} is used."
        verb = "helped" if gain > 0 else "did not help"
        points = f"{abs(100 * gain):.1f} points {'better' if gain > 0 else 'worse'}"
        return f"The unlabelled scans {verb}: {self.method} is {points} ({values}); {used} is used."

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the judgement."""
        return asdict(self) | {"better": self.better, "text": self.text}


def compare(method: str, run: RunFinished, control: RunFinished) -> Comparison:
    """Compare a finished run with its finished control, by the model that each would use."""
    return Comparison(method, run.run, run.final_dice, control.run, control.final_dice)
