"""Jobs about other machines to train on."""

from collections.abc import Iterator
from dataclasses import dataclass

from napari_dycon.engine.control import Control
from napari_dycon.engine.runners.elsewhere.machines import NamedMachine
from napari_dycon.engine.runners.elsewhere.ssh import check_version, line_to
from napari_dycon.errors import DyconError
from napari_dycon.plugin.background.worker import EventSource

GIB = 2**30
DEVICES = {"cuda": "graphics card", "mps": "Apple graphics", "cpu": "processor"}


@dataclass(frozen=True, slots=True)
class MachineChecked:
    """What a machine has, or what is missing there and how to mend it."""

    name: str
    text: str
    usable: bool


def check_machine(machine: NamedMachine) -> EventSource[MachineChecked]:
    """Ask a machine what it has."""

    def source(control: Control) -> Iterator[MachineChecked]:
        del control
        try:
            with line_to(machine) as far:
                greeting = far.greet()
                check_version(machine, greeting.version)
                found = far.machine(machine.device)
        except DyconError as error:
            yield MachineChecked(machine.name, str(error), usable=False)
            return
        device, memory = DEVICES.get(str(found["device"]), str(found["device"])), found["memory"] / GIB
        text = f"Ready: {device}, {memory:.0f} GB, {greeting.free / GIB:.0f} GB of disk free"
        yield MachineChecked(machine.name, text, usable=True)

    return source
