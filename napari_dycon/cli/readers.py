"""``dycon reader``, ``agreement`` and ``consensus``: several readers of one study."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_dycon.cli.console import Screen, count, opened_study, require_writable_json, write_json
from napari_dycon.cli.options import Cases, JsonFile, StudyFolder
from napari_dycon.cli.studying import choose_cases
from napari_dycon.errors import StudyError, VolumeError

if TYPE_CHECKING:
    from napari_dycon.engine.agreement import Agreement
    from napari_dycon.study.exchange.readers import ConsensusMade
    from napari_dycon.study.study import Study

HEADER = ("case", "structure", "readers", "known", "Dice", "kappa", "HD95 mm", "ASD mm", "ml")


def reader(
    study: StudyFolder,
    name: Annotated[str, typer.Option(metavar="NAME", help="Name or initials of the further reader.")],
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Label maps that this reader drew, with the file names of the scans."
        ),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Let a further reader draw on the same scans, without seeing what others drew.

    The reader gets a study of their own inside this one; the same command brings scans into it that came
    later. The study itself may be open in a window meanwhile.
    """
    from napari_dycon.study.exchange.importing import ImportEvent, add_scans
    from napari_dycon.study.exchange.readers import open_reader

    if labels is not None and not labels.exists():
        raise VolumeError(f"There is no file or folder {labels}; check the path.")
    screen = Screen()
    require_writable_json(json_file)
    problems = []
    with opened_study(study, read_only=True) as opened, open_reader(opened, name) as own:
        if labels is not None:
            with screen.bar("Importing") as bar:
                for event in add_scans(own, opened.scan_files(), labels):
                    if isinstance(event, ImportEvent):
                        bar.update(event.done / max(event.total, 1), f"{event.done} of {event.total}")
                        problems += [event] if event.problem else []
        drawn = sum(case.status != "unlabelled" for case in own.cases)
        path, who, total = own.path, own.reader, len(own.cases)
    for event in problems:
        screen.line(f"Labels of {event.path}: {event.problem}")
    write_json(json_file, {"study": str(path), "reader": who, "cases": total, "labelled": drawn})
    screen.line(f"{who} has labels of {drawn} of {count(total, 'scan')}. Draw with: dycon launch {path}")


def agreement(study: StudyFolder, case: Cases = None, json_file: JsonFile = None) -> None:
    """Say how far the readers of a study agree: Dice, kappa, distances in mm and volumes, two by two."""
    from napari_dycon.engine.agreement import agreement as compare

    screen = Screen()
    require_writable_json(json_file)
    found: list[Agreement] = []
    with opened_study(study, read_only=True) as opened, screen.bar("Comparing") as bar:
        wanted = _chosen(opened, case)
        for done, rows in enumerate(compare(opened, wanted), start=1):
            found += rows
            bar.update(done / len(wanted), f"{done} of {len(wanted)}")
    write_json(json_file, {"rows": [asdict(row) for row in found]})
    if not found:
        raise StudyError(
            f"No case was drawn by two readers yet; begin with: dycon reader {study} --name INITIALS"
        )
    screen.table([HEADER, *map(_line, found)])


def consensus(
    study: StudyFolder,
    rule: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="What to do where readers differ: agreed (leave it unknown), majority or staple.",
            show_default="staple for three readers or more, else agreed",
        ),
    ] = None,
    case: Cases = None,
    json_file: JsonFile = None,
) -> None:
    """Make the consensus of its readers the annotation of each case; the one before is kept as a version."""
    from napari_dycon.study.exchange.readers import ConsensusMade, make_consensus
    from napari_dycon.study.truth.consensus import RULES

    chosen = next((each for each in RULES if each == rule), None)
    if rule is not None and chosen is None:
        raise StudyError(f"There is no rule '{rule}'; there are {', '.join(RULES)}.")
    screen = Screen()
    require_writable_json(json_file)
    made: list[ConsensusMade] = []
    with opened_study(study, read_only=False) as opened, screen.bar("Deciding") as bar:
        names = {each.id: each.name for each in opened.cases}
        for event in make_consensus(opened, chosen, _chosen(opened, case)):
            bar.update(event.done / event.total, f"{event.done} of {event.total}")
            made.append(event)
    good = [event for event in made if not event.problem]
    write_json(json_file, {"cases": [_made(event) for event in made]})
    for line in _told(made, names):
        screen.line(line)
    if not good:
        raise StudyError("There is no consensus: no case was drawn by two readers.")
    screen.line(f"{count(len(good), 'case')} hold the consensus of their readers now.")


def _chosen(study: "Study", wanted: list[str] | None) -> list[str]:
    return choose_cases(study, wanted) or [case.id for case in study.cases]


def _line(row: "Agreement") -> tuple[str, ...]:
    return (
        row.case,
        row.structure,
        f"{row.first} / {row.second}",
        f"{row.share:.0%}",
        f"{row.dice:.3f}",
        f"{row.kappa:.3f}",
        "-" if row.hd95_mm is None else f"{row.hd95_mm:.1f}",
        "-" if row.asd_mm is None else f"{row.asd_mm:.2f}",
        f"{row.first_ml:.1f} / {row.second_ml:.1f}",
    )


def _made(event: "ConsensusMade") -> dict[str, Any]:
    said = asdict(event)
    return {key: said[key] for key in ("case", "readers", "decided", "open", "problem")}


def _told(made: "list[ConsensusMade]", names: dict[str, str]) -> Iterator[str]:
    for event in made:
        if not event.problem:
            yield (
                f"{names[event.case]}: {', '.join(event.readers)}; "
                f"{event.decided:.2%} decided by the rule, {event.open:.2%} left open"
            )
        elif event.readers and len(event.readers) > 1:
            yield f"{names[event.case]}: {event.problem}"
