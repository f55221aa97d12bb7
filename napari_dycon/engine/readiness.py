"""Whether a model has learned enough for its masks to be of use; what labelled voxels say is kept with it."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_dycon.io.json_files import write_model

FILE = "quality.json"
ENOUGH_SKILL = 0.3
"""Early models reach 0.24 with masks that are everywhere or nowhere; the first useful ones have over 0.4."""


class Quality(BaseModel):
    """How a model does on labelled voxels; ``quality.json`` of its run.

    Parameters
    ----------
    iteration
        The model is that of this step.
    dice
        By structure name, mean over the cases that were looked at.
    guess
        The Dice of calling every voxel that structure, on the same voxels.
    where
        What was looked at, in words.
    held_out
        Whether training never saw these voxels.
    temperature
        Fitted on them; None when they were not held out or cannot tell.
    wholes
        Dice of each whole, by its name; it is a part of no mean.
    cases
        Mean Dice over structures of each case that was held out whole.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    iteration: int
    dice: dict[str, float]
    guess: dict[str, float]
    where: str
    held_out: bool
    temperature: float | None = None
    wholes: dict[str, float] = {}
    cases: dict[str, float] = {}

    @property
    def mean_dice(self) -> float:
        """Mean over structures; NaN where none could be judged."""
        return sum(self.dice.values()) / len(self.dice) if self.dice else float("nan")

    @property
    def skill(self) -> dict[str, float]:
        """How far each structure is above calling every voxel it: (Dice - guess) / (1 - guess), at most 1.

        A prediction that is everywhere has 0, one that is nowhere less. Dice alone will not do: where a
        structure fills half of the labelled voxels, a prediction that is everywhere has a Dice of 0.67.
        """
        return {
            name: (dice - self.guess[name]) / (1 - self.guess[name]) if self.guess[name] < 1 else dice
            for name, dice in self.dice.items()
        }

    @property
    def unlearned(self) -> tuple[str, ...]:
        """Structures that the model does not tell from the background."""
        return tuple(name for name, skill in self.skill.items() if skill < ENOUGH_SKILL)

    @property
    def ready(self) -> bool:
        """Whether any structure is told from the background; also when that cannot be judged."""
        return not self.dice or len(self.unlearned) < len(self.dice)

    @property
    def sentence(self) -> str:
        """What to tell the user about structures that the model has not learned; empty without any."""
        if not self.unlearned:
            return ""
        names = " or ".join(self.unlearned)
        if self.ready:
            return f"The model does not tell {names} from the background yet; train on."
        steps = f"{self.iteration} step{'' if self.iteration == 1 else 's'}"
        untold = f"after {steps} it does not tell {names} from the background"
        return f"The model is not ready yet: {untold}; train on."


def read_quality(folder: Path, iteration: int) -> Quality | None:
    """Read what is known about the model of one step in the folder of its run; None when nothing is."""
    quality = latest_quality(folder)
    return quality if quality is not None and quality.iteration == iteration else None


def latest_quality(folder: Path) -> Quality | None:
    """Read what is known about a model of a run, at whichever step; None when nothing is."""
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return Quality.model_validate(content)
    except (OSError, ValueError, RecursionError, ValidationError):
        return None


def write_quality(folder: Path, quality: Quality) -> None:
    """Keep it in the folder of the run.

    Raises
    ------
    VolumeError
        When the disk is full or cannot be written.
    StudyError
        When it would not read back.
    """
    write_model(folder / FILE, quality)
