"""Models that are kept on this computer for any study; to list them imports no torch."""

import hashlib
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from platformdirs import user_data_path
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from napari_dycon.errors import TrainingError
from napari_dycon.io.atomic import in_plain_words, make_folder, new_folder
from napari_dycon.io.json_files import write_model
from napari_dycon.study.store.naming import fold, slug

if TYPE_CHECKING:
    from napari_dycon.engine.models.model import Model

FILE = "kept.json"
_NAME = re.compile(r"\w[\w .,()+-]{0,59}")


def _check_name(text: str) -> str:
    text = text.strip()
    if not _NAME.fullmatch(text):
        raise ValueError("a name has letters, digits, spaces, dots, brackets and dashes, 60 at most")
    return text


class Kept(BaseModel):
    """``kept.json``: what is told of a model that is kept; of cases and patients it says nothing.

    Parameters
    ----------
    name
        What the person calls it.
    structures
        What it knows.
    dice
        On labelled voxels, mean over structures; None where nothing was measured.
    held_out
        Whether training never saw these voxels.
    source
        Study and run that it comes from.
    day
        When it was kept, year-month-day.
    method
        Learning method.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: Literal[1] = 1
    name: Annotated[str, AfterValidator(_check_name)]
    structures: tuple[str, ...]
    dice: float | None = None
    held_out: bool = False
    source: str
    day: str
    method: str

    @property
    def path(self) -> Path:
        """Its folder; `read_model` reads it."""
        return _folder_of(self.name)

    @property
    def quality(self) -> str:
        """How it does, in words."""
        if self.dice is None:
            return "not measured"
        return f"{self.dice:.2f}" if self.held_out else f"{self.dice:.2f} on what it learned from"


def library_folder() -> Path:
    """Where the models of this user are kept."""
    return Path(user_data_path("napari-dycon", appauthor=False)) / "models"


def kept_models() -> tuple[Kept, ...]:
    """Models that are kept, by name; what cannot be read is none."""
    folder = library_folder()
    files = folder.glob(f"*/{FILE}") if folder.is_dir() else ()
    found = (_read(path) for path in files)
    return tuple(sorted((kept for kept in found if kept is not None), key=lambda kept: fold(kept.name)))


def keep_model(model: "Model", name: str, *, overwrite: bool = False) -> Kept:
    """Keep a copy of a model; it appears whole or not at all.

    Raises
    ------
    TrainingError
        When there can be no such name, or another model has it.
    VolumeError
        When the folder of the user's data cannot be written.
    """
    description, quality = model.description, model.description.quality
    measured = quality is not None and bool(quality.dice)
    try:
        kept = Kept(
            name=name,
            structures=description.plan.structure_names,
            dice=quality.mean_dice if quality is not None and measured else None,
            held_out=quality is not None and quality.held_out,
            source=model.name,
            day=datetime.now(UTC).astimezone().date().isoformat(),
            method=description.method,
        )
    except ValidationError:
        raise TrainingError(f"A model cannot be called {name!r}: {_why_not(name)}.") from None
    if not overwrite and (there := find_kept(name)):
        raise TrainingError(f"A model called {there.name} is kept already; choose another name.")
    make_folder(library_folder())
    with new_folder(kept.path) as folder:
        model.save(folder)
        write_model(folder / FILE, kept)
    return kept


def find_kept(name: str) -> Kept | None:
    """The model that is kept under a name, upper or lower case."""
    return next((kept for kept in kept_models() if fold(kept.name) == fold(name.strip())), None)


def require_kept(name: str) -> Kept:
    """The model that is kept under a name.

    Raises
    ------
    TrainingError
        When there is none; the sentence lists those there are.
    """
    if kept := find_kept(name):
        return kept
    raise TrainingError(f"No model called {name} is kept. {_those_there_are()}")


def forget_model(name: str) -> None:
    """Remove a model that is kept.

    Raises
    ------
    TrainingError
        When there is none of that name.
    VolumeError
        When it cannot be removed.
    """
    kept = require_kept(name)
    with in_plain_words(kept.path):
        shutil.rmtree(kept.path)


def open_model(text: str) -> "Model":
    """Read the model that is meant: in a folder of that path, or the one that is kept under that name.

    Raises
    ------
    StudyError, TrainingError
        When it is neither, or cannot be read.
    """
    from napari_dycon.engine.models.model import read_model

    if (path := Path(text)).is_dir():
        kept = _read(path.resolve() / FILE)
        model = read_model(path)
        return model if kept is None else replace(model, name=kept.name)
    if kept := find_kept(text):
        return replace(read_model(kept.path), name=kept.name)
    raise TrainingError(f"There is no folder {text}, and no model of that name is kept. {_those_there_are()}")


def _those_there_are() -> str:
    names = ", ".join(kept.name for kept in kept_models())
    return f"Kept are: {names}." if names else "None is kept yet; see dycon models --help."


def _read(path: Path) -> Kept | None:
    try:
        kept = Kept.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    return kept if kept.path.resolve() == path.parent.resolve() else None


def _folder_of(name: str) -> Path:
    digest = hashlib.sha256(fold(name).encode()).hexdigest()[:6]
    return library_folder() / f"{slug(fold(name))}-{digest}"


def _why_not(name: str) -> str:
    try:
        _check_name(name)
    except ValueError as error:
        return str(error)
    return "what is known of it is damaged"
