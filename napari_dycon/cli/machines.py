"""``dycon machine``, and what ``dycon doctor --on`` says of one."""

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_dycon.cli.console import Screen, stop_on_interrupt
from napari_dycon.cli.options import Device
from napari_dycon.errors import DyconError

NONE_YET = "No other machine is named yet. Add one with: dycon machine NAME --ssh USER@HOST"
ABOUT_SCREENS = ("display", "plugin", "napari")
GIB = 2**30
LITTLE_SPACE = 2 * GIB


def machine(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="What the machine is called here.", show_default=False),
    ] = None,
    ssh: Annotated[
        str | None,
        typer.Option(
            metavar="USER@HOST", help="What you would type after ssh; an alias too.", show_default=False
        ),
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port of ssh, if not that of its settings.")] = None,
    python: Annotated[
        str | None,
        typer.Option(help="The Python there that has napari-dycon.", show_default="python3"),
    ] = None,
    folder: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Folder there for what is sent; without --ssh a shared folder in which dycon work waits.",
            show_default="the cache folder there",
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Device there: auto, cpu, cuda or mps.", show_default="auto")
    ] = None,
    keep_scans: Annotated[
        bool | None,
        typer.Option(
            "--keep-scans/--no-keep-scans",
            help="Leave prepared scans there, so that the next training sends only what is new.",
            show_default=False,
        ),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the machine off the list.")] = False,
) -> None:
    """Name a machine to train on (dycon train --on NAME), change it, or list those there are."""
    from napari_dycon.engine.runners.elsewhere import machines

    screen = Screen()
    if name is None:
        rows = [("name", "through", "python", "device")]
        rows += [(one.name, one.destination or one.scratch, one.python, one.device) for one in _known()]
        if len(rows) > 1:
            screen.table(rows)
        else:
            screen.line(NONE_YET)
        return
    if remove:
        machines.forget_machine(name)
        screen.line(f"{name} is forgotten.")
        return
    before: dict[str, Any] = next((one.model_dump() for one in _known() if one.name == name), {"name": name})
    wishes = {
        "destination": ssh,
        "port": port,
        "python": python,
        "scratch": folder,
        "device": device,
        "keep_scans": keep_scans,
    }
    made = machines.make_machine(**{**before, **{k: v for k, v in wishes.items() if v is not None}})
    machines.keep_machine(made)
    screen.line(f"{name} is on the list. See whether it can train: dycon doctor --on {name!r}")


def work(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A folder that both machines see.", show_default=False)
    ],
    device: Device = "auto",
) -> None:
    """Train here what other machines put into a shared folder, one after the other, until Ctrl-C.

    The other machine names the folder as it sees it: dycon machine NAME --folder FOLDER.
    """
    from napari_dycon.engine.control import Control
    from napari_dycon.engine.runners.elsewhere.share import work as work_in

    screen, brake = Screen(), Control()
    screen.line(f"Waiting for trainings in {folder}; Ctrl-C ends it.")
    with stop_on_interrupt(brake, screen):
        for line in work_in(folder, device, brake):
            screen.line(line)


def examine_machine(name: str) -> list[dict[str, str]]:
    """Whether a machine can train: findings with topic, text, level and remedy."""
    from napari_dycon import __version__
    from napari_dycon.engine.runners.elsewhere.machines import find_machine
    from napari_dycon.engine.runners.elsewhere.ssh import check_version, line_to

    chosen = find_machine(name)
    try:
        with line_to(chosen) as far:
            greeting = far.greet()
            findings = [_finding("line", f"{name} answers")]
            try:
                check_version(chosen, greeting.version)
                findings.append(_finding("version", f"napari-dycon {__version__} on both"))
            except DyconError as error:
                return [*findings, _finding("version", "another one than here", str(error))]
            findings.append(_space(greeting.free, greeting.scratch))
            try:
                found = far.machine(chosen.device)
                findings.append(_finding("device", f"{found['device']}, {found['memory'] / GIB:.0f} GB"))
            except DyconError as error:
                findings.append(_finding("device", "not there", str(error)))
            return findings + [one for one in far.findings() if one["topic"] not in ABOUT_SCREENS]
    except DyconError as error:
        return [_finding("line", f"{name} cannot be used", str(error))]


def _space(free: int, where: str) -> dict[str, str]:
    text = f"{free / GIB:.0f} GB free in {where}"
    return _finding("space", text, "Make room there." if free < LITTLE_SPACE else "")


def _finding(topic: str, text: str, remedy: str = "") -> dict[str, str]:
    return {"topic": topic, "text": text, "level": "unusable" if remedy else "ok", "remedy": remedy}


def _known() -> Any:
    from napari_dycon.engine.runners.elsewhere.machines import read_machines

    return read_machines()
