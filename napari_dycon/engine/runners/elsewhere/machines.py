"""Machines that a person has named: where to train besides this computer. Nothing here imports torch."""

import re
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from platformdirs import user_config_path
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from napari_dycon.errors import TrainingError
from napari_dycon.io.atomic import make_folder
from napari_dycon.io.json_files import in_words, write_model

FILE = "machines.json"
Device: TypeAlias = Literal["auto", "cpu", "cuda", "mps"]
_NAME = re.compile(r"\w[\w .-]{0,39}")
_DESTINATION = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9_][A-Za-z0-9_.:-]*")
_COMMAND = re.compile(r"[\w~/.][\w@%+=:,./~-]*(?: [\w@%+=:,./~-]+)*", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class NamedMachine(BaseModel):
    """Another machine to train on.

    Parameters
    ----------
    name
        What it is called here, in lists and sentences.
    destination
        What you would type after ssh: a host, user@host, or an alias of your ssh settings. Empty where a
        shared folder is used.
    port
        Port of ssh; 0 for that of your ssh settings.
    python
        Command there that starts the Python with napari-dycon, for example ~/venv/bin/python.
    scratch
        Folder there for what is sent; empty for the cache folder of your account there. Without a
        destination: the shared folder, as this computer sees it, in which dycon work waits.
    device
        Device to train on there.
    keep_scans
        Leave prepared scans there after a training, so that the next one sends only what is new.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(validate_default=True)] = ""
    destination: Annotated[str, Field(title="ssh to")] = ""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    python: Annotated[str, Field(title="Python there")] = "python3"
    scratch: Annotated[str, Field(title="Folder there")] = ""
    device: Annotated[Device, Field(title="Device there")] = "auto"
    keep_scans: Annotated[bool, Field(title="Keep scans there")] = False

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError("A name has letters, digits, spaces, dots and dashes, 40 at most.")
        return name

    @field_validator("destination")
    @classmethod
    def _check_destination(cls, text: str) -> str:
        if text and not _DESTINATION.fullmatch(text):
            raise ValueError("Write a host, user@host or an alias of your ssh settings, nothing else.")
        return text

    @field_validator("python")
    @classmethod
    def _check_command(cls, text: str) -> str:
        if not _COMMAND.fullmatch(text):
            raise ValueError("Write a command of plain words, such as ~/venv/bin/python.")
        return text

    @field_validator("scratch")
    @classmethod
    def _check_scratch(cls, text: str) -> str:
        if _CONTROL.search(text):
            raise ValueError("A folder is named in one line.")
        return text

    @property
    def shares_folder(self) -> bool:
        """Whether a folder that both machines see is all that lies between them."""
        return not self.destination


class Machines(BaseModel):
    """``machines.json`` in the folder of the user's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    machines: tuple[NamedMachine, ...] = ()


def settings_path() -> Path:
    """Where the machines of the user are kept."""
    return user_config_path("napari-dycon") / FILE


def read_machines() -> tuple[NamedMachine, ...]:
    """Machines that the user has named, in their order.

    Raises
    ------
    TrainingError
        When the file cannot be read or says what it must not.
    """
    path = settings_path()
    try:
        return Machines.model_validate_json(path.read_bytes()).machines
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise TrainingError(f"The list of machines cannot be read ({path}): {error.strerror}.") from None
    except ValidationError as error:
        raise TrainingError(f"The list of machines is damaged ({path}): {in_words(error)}") from None


def find_machine(name: str) -> NamedMachine:
    """The machine of that name.

    Raises
    ------
    TrainingError
        When there is none; the sentence lists those there are.
    """
    machines = {machine.name: machine for machine in read_machines()}
    if name in machines:
        return machines[name]
    known = f"There are: {', '.join(machines)}." if machines else "None is named yet."
    raise TrainingError(
        f"There is no machine named {name!r}. {known} Add one with: dycon machine {name} --ssh USER@HOST"
    )


def make_machine(**fields: object) -> NamedMachine:
    """A machine from what somebody wrote.

    Raises
    ------
    TrainingError
        When that cannot be; the sentence says what to write.
    """
    try:
        machine = NamedMachine.model_validate(fields)
    except ValidationError as error:
        raise TrainingError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
    if machine.shares_folder and not machine.scratch:
        raise TrainingError("Say how to reach the machine: through ssh, or in which shared folder it waits.")
    return machine


def keep_machine(machine: NamedMachine) -> None:
    """Add a machine to the list, or replace that of its name."""
    others = [other for other in read_machines() if other.name != machine.name]
    _write((*others, machine))


def forget_machine(name: str) -> None:
    """Take a machine off the list; one that is not on it is a `TrainingError`."""
    gone = find_machine(name)
    _write(tuple(machine for machine in read_machines() if machine != gone))


def _write(machines: tuple[NamedMachine, ...]) -> None:
    make_folder(settings_path().parent)
    write_model(settings_path(), Machines(machines=machines))
