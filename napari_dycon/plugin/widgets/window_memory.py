"""What the window remembers from one start to the next: recent studies, the dock's width, the minutes."""

import logging
from pathlib import Path
from typing import Any

from platformdirs import user_state_path
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_dycon.errors import DyconError
from napari_dycon.io.atomic import make_folder, write_text_atomic

logger = logging.getLogger(__name__)
MOST_RECENT = 8
NARROWEST, WIDEST = 240, 4000


class Remembered(BaseModel):
    """The whole of ``window.json``.

    Attributes
    ----------
    recent
        Folders of the studies that were open, the latest first.
    width
        Width of the dock in pixels; None before the person has changed it.
    minutes
        How long the person trained last.
    until_stopped
        Whether the training after that was to go on until it is stopped.
    exams_together
        Whether the cases of one patient stand together in the order of names.
    """

    model_config = ConfigDict(frozen=True)

    recent: tuple[str, ...] = ()
    width: int | None = Field(default=None, ge=NARROWEST, le=WIDEST)
    minutes: float | None = Field(default=None, gt=0, le=720, allow_inf_nan=False)
    until_stopped: bool = False
    exams_together: bool = True


def state_file() -> Path:
    """Return where this user's memory of the window is kept."""
    return Path(user_state_path("napari-dycon", appauthor=False)) / "window.json"


def recall() -> Remembered:
    """Read what is remembered; whatever cannot be read is forgotten."""
    try:
        return Remembered.model_validate_json(state_file().read_bytes())
    except (OSError, ValidationError, ValueError):
        return Remembered()


def remember(**changes: Any) -> None:
    """Change fields of `Remembered`; a disk that cannot be written to only costs the memory."""
    before = recall()
    try:
        after = Remembered.model_validate({**dict(before), **changes})
        if after != before:
            make_folder(state_file().parent)
            write_text_atomic(state_file(), after.model_dump_json(indent=1))
    except (OSError, DyconError, ValidationError) as error:
        logger.info("The state of the window is not remembered: %s", error)


def remember_study(folder: Path) -> None:
    """Put a study first among the recent ones."""
    here = str(folder.resolve())
    others = [other for other in recall().recent if other != here]
    remember(recent=(here, *others)[:MOST_RECENT])


def recent_studies() -> list[Path]:
    """Return the studies that were open lately and are still there, the latest first."""
    return [Path(folder) for folder in recall().recent if (Path(folder) / "study.json").is_file()]


def forget_studies() -> None:
    """Remember no study any more."""
    remember(recent=())
