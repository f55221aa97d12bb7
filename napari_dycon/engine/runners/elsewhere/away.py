"""That a run is being trained on another machine: a note in its folder, until it is back."""

import secrets
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_dycon.engine.runners.elsewhere.machines import NamedMachine
from napari_dycon.errors import TrainingError
from napari_dycon.io.json_files import write_model

FILE = "away.json"
TOKEN_BYTES = 12


class Away(BaseModel):
    """``away.json``.

    Parameters
    ----------
    machine
        Where the run is, as it was named when the run left.
    token
        What the run is called there.
    begun
        Whether it has arrived there whole.
    recorded
        Bytes of ``events.jsonl`` that were there before.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    machine: NamedMachine
    token: str
    begun: bool = False
    recorded: int = 0

    def write(self, run: Path) -> None:
        """Keep it in the folder of the run."""
        write_model(run / FILE, self)


def new_token() -> str:
    """A name that says nothing."""
    return secrets.token_hex(TOKEN_BYTES)


def read_away(run: Path) -> Away | None:
    """Where the run in a folder is; None for one that is here."""
    try:
        return Away.model_validate_json((run / FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def forget_away(run: Path) -> None:
    """It is back."""
    with suppress(OSError):
        (run / FILE).unlink(missing_ok=True)


def refuse_away(run: Path) -> None:
    """Refuse to train a run here that is on another machine.

    Raises
    ------
    TrainingError
        With how to get it back; one that never arrived there is forgotten.
    """
    away = read_away(run)
    if away is not None and away.begun:
        raise TrainingError(
            f"Run {run.name} is being trained on {away.machine.name}. Fetch it with: dycon train STUDY "
            f"--resume --on {away.machine.name!r}"
        )
    forget_away(run)
