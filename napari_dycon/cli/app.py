"""The application: collects the commands and turns every ending into an exit status and one line."""

import errno
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from platformdirs import user_log_path

from napari_dycon import __version__
from napari_dycon.cli import (
    carrying,
    comparing,
    demo,
    handing,
    looking,
    machines,
    naming,
    readers,
    reporting,
    simulating,
    studying,
    training,
)
from napari_dycon.cli.console import INTERRUPTED
from napari_dycon.errors import DyconError

app = typer.Typer(
    name="dycon",
    help="Train segmentation models on your own 3D scans from a few labels, and from the scans without any.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
MOST_REPORTS = 5
COMMANDS = (
    demo.demo,
    looking.launch,
    studying.new,
    naming.structures,
    studying.import_scans,
    training.train,
    training.predict,
    looking.suggest,
    comparing.evaluate,
    studying.export,
    handing.export_model,
    handing.export_nnunet,
    handing.import_model,
    handing.models,
    comparing.benchmark,
    simulating.simulate,
    reporting.report,
    readers.reader,
    readers.agreement,
    readers.consensus,
    carrying.carry,
    looking.doctor,
    machines.machine,
    machines.work,
)


def _heeding_interrupt(command: Callable[..., None]) -> Callable[..., None]:
    """Let Ctrl-C end a command with a word; typer would end it with the exit status alone."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except KeyboardInterrupt as error:
            _say("Stopped. What was finished before is kept.", INTERRUPTED)
            raise typer.Exit(INTERRUPTED) from error

    return run


for command in COMMANDS:
    app.command("import" if command is studying.import_scans else None)(_heeding_interrupt(command))


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"napari-dycon {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``dycon``.

    Returns
    -------
    int
        0 on success, 1 after an error told in one line on stderr, 130 after Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter("ignore")
            status: Any = app(args=arguments, prog_name="dycon", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        return _say("Stopped.", INTERRUPTED)
    except DyconError as error:
        return _say(f"Error: {error}", 1)
    except OSError as error:
        return _say(f"Error: {_plain_os_error(error)}", 1)
    except Exception as error:  # noqa: BLE001 - the last resort: a report in a file and one line
        return _say_usage(error) if hasattr(error, "format_message") else _say(_report(error), 1)
    return status if isinstance(status, int) else 0


def _say(text: str, status: int) -> int:
    print(" ".join(text.split()), file=sys.stderr)
    return status


def _say_usage(error: Any) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "dycon"
    return _say(f"Error: {error.format_message()} See {command} --help.", 1)


def _plain_os_error(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "The disk is full; nothing was overwritten. Make room and try again."
    reason = error.strerror or type(error).__name__
    return f"{reason}: {error.filename}" if error.filename else str(error) or reason


def _report(error: Exception) -> str:
    """Write what happened into a file that the person may send; only the newest few are kept."""
    folder = reports_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", prefix="dycon-", suffix=".log", dir=folder, delete=False, encoding="utf-8"
    ) as file:
        handler = logging.StreamHandler(file)
        logger = logging.Logger("dycon")
        logger.addHandler(handler)
        logger.error("napari-dycon %s, Python %s", __version__, sys.version, exc_info=error)
    _drop_old_reports(folder)
    kind = f"{type(error).__name__}: {error}"
    return f"Error: dycon met a fault of its own ({kind}). Please report it with {Path(file.name)}."


def reports_folder() -> Path:
    """Where reports of faults lie; a folder for temporary files where that of the user cannot be written."""
    folder = Path(user_log_path("napari-dycon", appauthor=False))
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return folder if os.access(there, os.W_OK) else Path(tempfile.gettempdir())


def _drop_old_reports(folder: Path) -> None:
    newest = sorted(folder.glob("dycon-*.log"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest[MOST_REPORTS:]:
        with suppress(OSError):
            path.unlink()
