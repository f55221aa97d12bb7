"""``dycon suggest``, ``launch`` and ``doctor``."""

from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from napari_dycon.cli.console import (
    INTERRUPTED,
    Screen,
    list_problems,
    opened_study,
    stop_on_interrupt,
    write_json,
)
from napari_dycon.cli.following import finish_showing
from napari_dycon.cli.machines import examine_machine
from napari_dycon.cli.options import JsonFile, Run, StudyFolder
from napari_dycon.cli.studying import choose_run
from napari_dycon.errors import DyconError
from napari_dycon.io.geometry import slice_number
from napari_dycon.study.store.place_log import read_places
from napari_dycon.study.store.studyfile import is_study

LAUNCHER = "napari_dycon.plugin.manifest.launch"
NOTHING_READABLE = "Nothing to suggest: none of the scans that are not completely labelled can be read."
NOTHING_OPEN = "Nothing to suggest: every scan is completely labelled."
NOT_READY = "The model was not ready yet when it predicted, so its predictions do not guide; train on."


def suggest(
    study: StudyFolder,
    count: Annotated[int, typer.Option(min=1, help="How many places.")] = 8,
    run: Run = None,
    strategy: Annotated[
        str, typer.Option(help="How places are chosen; a wrong name lists all.", show_default=True)
    ] = "ours",
    json_file: JsonFile = None,
) -> None:
    """Say where to annotate next, and why.

    Predictions of a model that was not ready yet do not guide: the slices are evenly spread then, and that is
    said.

    Slices count from one, in the order in which the window shows them. In JSON, index counts from zero along
    axis, the axis of the file.
    """
    from napari_dycon.engine.control import Control
    from napari_dycon.guidance.brought import compare
    from napari_dycon.guidance.suggestions import suggesting
    from napari_dycon.guidance.worth import in_words

    screen, brake = Screen(), Control()
    with (
        opened_study(study, read_only=True) as opened,
        stop_on_interrupt(brake, screen),
        screen.bar("Looking") as bar,
    ):
        chosen = choose_run(opened, run) if run is not None else opened.active_run
        result = finish_showing(suggesting(opened, chosen, count, brake, strategy), bar)
        places = result.places
        numbers = [slice_number(opened.geometry(p.case), p.axis, p.index) for p in places]
        ready = chosen is None or not opened.predictions.unready(chosen)
        log = read_places(opened.path)
    brought = compare(log.entries)
    found = [place.to_dict() for place in places]
    problems = list_problems(result.left_out)
    told = {"run": chosen, "ready": ready, "suggestions": found, "problems": problems}
    write_json(json_file, {**told, "brought": brought.to_dict()})
    for note in log.notes:
        screen.line(f"Note: {note}")
    for problem in problems:
        screen.line(f"Left out {problem['case']}: {problem['problem']}")
    if brake.stopped:
        raise typer.Exit(INTERRUPTED)
    if not ready:
        screen.line(NOT_READY)
    if not places:
        screen.line(NOTHING_READABLE if problems else NOTHING_OPEN)
        return
    rows = [("case", "level", "plane", "slice", "structure", "score", "time", "reason")]
    rows += [
        (
            *(p.case, p.level, p.plane, str(number)),
            *(p.structure_name, f"{p.score:.2f}", in_words(p.seconds), p.reason),
        )
        for p, number in zip(places, numbers, strict=True)
    ]
    screen.table(rows)
    if brought.sentence:
        screen.line(brought.sentence)


def launch(
    study: Annotated[
        Path | None,
        typer.Argument(
            metavar="[STUDY]",
            help="A study to open, or scans or their folder to begin one with.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Open napari with the DyCON dock."""
    from napari_dycon.doctor.display import find_display

    if study is not None:
        _look_at(study)
    display = find_display()
    if not display.usable:
        raise DyconError(
            f"napari cannot be shown. {display.problem} The other commands work without a screen."
        )
    open_napari(study)


def _look_at(place: Path) -> None:
    """Refuse a damaged study, and what is not there, before a window opens; the window leads on from it."""
    if not place.exists():
        raise DyconError(f"There is nothing at {place}; name a study, or a folder of scans.")
    folder = place if place.is_dir() else place.parent
    if is_study(folder):
        with opened_study(folder, read_only=True):
            pass


def open_napari(study: Path | None) -> None:
    """Run napari until it is closed.

    It shares this process: what is loaded for the command, a second's worth, is what the window needs, too.
    Whether Qt can start at all was tried in another one.

    Raises
    ------
    DyconError
        When napari cannot be loaded.
    """
    try:
        import_module(LAUNCHER).main([str(study)] if study else [])
    except ImportError as error:
        raise DyconError(f"napari cannot start: {error}; dycon doctor tells what may be missing.") from error


def doctor(
    on: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Look at a machine of dycon machine instead.", show_default=False),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Tell what this machine offers, what is wrong, and how to mend it."""
    findings = _examine() if on is None else examine_machine(on)
    write_json(json_file, {"findings": findings})
    screen = Screen()
    marks = {"ok": "ok", "advice": "!", "unusable": "x"}
    for finding in findings:
        screen.line(f"{marks[finding['level']]:>2}  {finding['topic']}: {finding['text']}")
        if finding["level"] != "ok":
            screen.line(f"      {finding['remedy']}")
    unusable = [finding["topic"] for finding in findings if finding["level"] == "unusable"]
    if unusable:
        where = "here" if on is None else f"on {on}"
        raise DyconError(f"dycon cannot work {where}: {', '.join(unusable)}; see above.")


def _examine() -> list[dict[str, str]]:
    from napari_dycon.doctor.findings import examine

    return [asdict(finding) for finding in examine()]
