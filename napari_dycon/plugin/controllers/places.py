"""Where trainings take place: this computer, or a machine that the person has named."""

from collections.abc import Mapping
from typing import Any

from psygnal import Signal

from napari_dycon.engine.runners.elsewhere import machines
from napari_dycon.engine.runners.elsewhere.machines import NamedMachine
from napari_dycon.errors import DyconError
from napari_dycon.plugin.background.machine_jobs import MachineChecked, check_machine
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.expert import TOGETHER, Refusal
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.setting import Setting, settings_of
from napari_dycon.plugin.keys.preferences import prefer_machine, preferred_machine

ASKED = "Asking…"
GONE = "The machine {} is on the list no more: trainings take place on this computer."


class Places:
    """Knows the machines, which one is chosen, and what is being written about one.

    Signals: ``changed`` follows all of it.

    Parameters
    ----------
    dialogue
        Says what cannot be done.
    queue
        Asks machines in the background.

    Attributes
    ----------
    machines
        Those the person has named.
    machine
        The chosen one; None for this computer.
    interrupted
        The run of the open study that was cut off and can go on, or None.
    away
        That run and the machine that trains it, where one does.
    in_use
        The machine of the training under way, or of the last one; None for this computer.
    said
        What each was found to have or to lack, by name.
    draft, refused
        What is being written about a machine, and what of it is not taken.
    """

    changed = Signal()

    def __init__(self, dialogue: Dialogue, queue: JobQueue) -> None:
        self._dialogue, self._queue = dialogue, queue
        self.machines: tuple[NamedMachine, ...] = ()
        self.machine: NamedMachine | None = None
        self.interrupted: str | None = None
        self.away: tuple[str, NamedMachine] | None = None
        self.in_use: NamedMachine | None = None
        self.said: dict[str, MachineChecked] = {}
        self.draft: dict[str, Any] = {}
        self.refused: dict[str, Refusal] = {}

    @property
    def settings(self) -> tuple[Setting, ...]:
        """What can be said of a machine."""
        return settings_of(NamedMachine)

    @intention
    def look(self) -> None:
        """Read the list anew, which the command line may have changed; a choice outlives a restart."""
        self.machines = machines.read_machines()
        known = {machine.name: machine for machine in self.machines}
        wanted = preferred_machine() if self.machine is None else self.machine.name
        self.machine = known.get(wanted)
        if wanted and self.machine is None:
            prefer_machine("")
            self._dialogue.say("info", GONE.format(wanted))
        self.changed.emit()

    @intention
    def choose(self, name: str) -> None:
        """Train on a machine from now on, or on this computer where no name is given."""
        self.machine = machines.find_machine(name) if name else None
        prefer_machine(name)
        self.changed.emit()
        if self.machine is not None and name not in self.said:
            self.check(name)

    @intention
    def check(self, name: str) -> None:
        """Ask a machine in the background what it has."""
        machine = machines.find_machine(name)
        self.said[name] = MachineChecked(name, ASKED, usable=True)
        self.changed.emit()
        self._queue.put("machine", check_machine(machine), self._on_checked)

    def begin(self, name: str = "") -> None:
        """Begin to write about a new machine, or about one there is."""
        known = next((machine for machine in self.machines if machine.name == name), None)
        self.draft = {} if known is None else known.model_dump()
        self.refused = {}
        self.changed.emit()

    def change(self, name: str, given: Any) -> None:
        """Write one thing about a machine."""
        setting = next(one for one in self.settings if one.name == name)
        self.refused.pop(name, None)
        self.refused.pop(TOGETHER, None)
        try:
            self.draft[name] = setting.default if given == "" else setting.read(given)
        except ValueError as error:
            self.refused[name] = Refusal(given, str(error))
        self.changed.emit()

    def reset(self, name: str) -> None:
        """Take back one thing."""
        self.draft.pop(name, None)
        self.refused.pop(name, None)
        self.changed.emit()

    def keep(self) -> bool:
        """Put what was written on the list, choose that machine and ask it; return whether that could be."""
        if any(name != TOGETHER for name in self.refused):
            return False
        try:
            machine = machines.make_machine(**self.draft)
            machines.keep_machine(machine)
        except DyconError as error:
            self.refused = {TOGETHER: Refusal(None, str(error))}
            self.changed.emit()
            return False
        self.said.pop(machine.name, None)
        self.look()
        self.choose(machine.name)
        return True

    @intention
    def forget(self, name: str) -> None:
        """Take a machine off the list; a run that is there can be fetched all the same."""
        machines.forget_machine(name)
        if self.machine is not None and self.machine.name == name:
            self.choose("")
        self.look()

    def cut_off(self, method: str) -> str | None:
        """The run with which a training goes on: of the method, or on another machine whatever its method."""
        run = self.interrupted or ""
        return run if self.away is not None or run.endswith(f"-{method}") else None

    def begin_training(self, machine: NamedMachine | None) -> None:
        """Note where it is trained now, and that nothing waits to go on any more."""
        self.interrupted, self.away, self.in_use = None, None, machine

    def where(self, resume: str | None) -> NamedMachine | None:
        """Where a training is to take place: a run that is away goes on where it is."""
        if self.away is not None and self.away[0] == resume:
            return self.away[1]
        return self.machine

    def values(self) -> Mapping[str, Any]:
        """What was written that is not as it is by default."""
        defaults = {setting.name: setting.default for setting in self.settings}
        return {name: value for name, value in self.draft.items() if value != defaults.get(name)}

    def _on_checked(self, event: MachineChecked) -> None:
        self.said[event.name] = event
        self.changed.emit()
