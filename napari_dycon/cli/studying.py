"""``dycon new``, ``import`` and ``export``: the study on disk."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_dycon.cli.console import Screen, count, opened_study, require_writable_json, write_json
from napari_dycon.cli.options import Cases, JsonFile, Run, StudyFolder, Wholes
from napari_dycon.errors import StudyError, VolumeError
from napari_dycon.study.exchange import exporting, importing

if TYPE_CHECKING:
    from napari_dycon.study.exchange.channels import Endings
    from napari_dycon.study.exchange.exporting import Exported
    from napari_dycon.study.exchange.importing import ImportEvent
    from napari_dycon.study.exchange.listing import Listed
    from napari_dycon.study.store.schema import Structure
    from napari_dycon.study.study import Study


def parse_structures(texts: list[str]) -> "tuple[Structure, ...]":
    """Turn ``1:left atrium`` or ``1:left atrium:#e06c4f`` into structures."""
    from napari_dycon.study.store.schema import DEFAULT_COLORS, new_structure

    found: list[Structure] = []
    for number, text in enumerate(texts):
        value, colon, rest = text.partition(":")
        name, _, color = rest.partition(":#")
        if not (colon and value.strip().isdecimal() and len(value) < 9 and 1 <= int(value) <= 255):
            raise StudyError(
                f"'{text}' is not a structure; write --structure \"1:left atrium\" (values 1 to 255)."
            )
        color = f"#{color}" if color else DEFAULT_COLORS[number % len(DEFAULT_COLORS)]
        found.append(new_structure(int(value), name, color))
    return tuple(found)


def new(
    study: StudyFolder,
    structure: Annotated[
        list[str],
        typer.Option(
            metavar="VALUE:NAME", help='A structure to segment, such as "1:left atrium".', show_default=False
        ),
    ],
    whole: Wholes = None,
    json_file: JsonFile = None,
) -> None:
    """Make an empty study."""
    from napari_dycon.study.store.wholes import parse_wholes, require_sound
    from napari_dycon.study.study import Study

    structures = parse_structures(structure)
    wholes = parse_wholes(whole or [], structures)
    require_sound(wholes, structures)
    with Study.create(study, structures) as created:
        if wholes:
            created.set_structures(structures, wholes)
        names = [entry.name for entry in created.structures]
        write_json(json_file, {"study": str(created.path), "structures": names})
        Screen().line(
            f"New study {created.path} with {', '.join(names)}. Add scans with: dycon import {study} SCANS"
        )


def import_scans(
    study: StudyFolder,
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH…", help="Scans, folders of scans, DICOM folders.", show_default=False),
    ],
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Label maps with the file names of the scans; or the label map of a single scan.",
        ),
    ] = None,
    structure: Annotated[
        list[str] | None,
        typer.Option(metavar="VALUE:NAME", help="A structure to add before, where labels hold more of them."),
    ] = None,
    channels: Annotated[
        str | None,
        typer.Option(
            metavar="ENDING:NAME,…",
            help="What file names of several images of a case end in, first that of the scan to draw on: "
            '"t1,flair" or "0000:T1,0001:FLAIR"; or what DICOM series are called: '
            '"*t1*gd*:T1 post,*flair*:FLAIR".',
        ),
    ] = None,
    map_values: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="VALUE:NAME",
            help='Which structure a value of the labels means, such as "3:liver"; or "3:background".',
        ),
    ] = None,
    frames: Annotated[
        str | None,
        typer.Option(
            metavar="cases|channels",
            help="Volumes of a 4D NIfTI are cases (time points of a patient) or channels (of one case).",
        ),
    ] = None,
    only_list: Annotated[
        bool,
        typer.Option("--list", help="Tell what would be added, refused or is there already; add nothing."),
    ] = False,
    json_file: JsonFile = None,
) -> None:
    """Add scans, with their labels where there are any; the files stay where they are."""
    from napari_dycon.study.exchange.channels import parse_channels
    from napari_dycon.study.exchange.frames import parse_frames
    from napari_dycon.study.exchange.importing import ImportEvent
    from napari_dycon.study.exchange.label_values import parse_values

    for path in (*paths, *([labels] if labels else [])):
        if not path.exists():
            raise VolumeError(f"There is no file or folder {path}; check the path.")
    screen = Screen()
    require_writable_json(json_file)
    endings = parse_channels(channels) if channels else None
    volumes = parse_frames(frames) if frames else None
    if only_list:
        _list(study, paths, labels, endings, json_file)
        return
    events: list[ImportEvent] = []
    with opened_study(study, read_only=False) as opened, screen.bar("Importing") as bar:
        for new_structure in parse_structures(structure or []):
            opened.add_structure(new_structure.name, value=new_structure.value)
        values = parse_values(map_values or [], opened.structures)
        try:
            for event in importing.add_scans(opened, paths, labels, endings, values=values, frames=volumes):
                if isinstance(event, ImportEvent):
                    bar.update(event.done / max(event.total, 1), f"{event.done} of {event.total}")
                    events.append(event)
        except KeyboardInterrupt:
            screen.line(f"{count(len(opened.cases), 'scan')} are in the study; the same command goes on.")
            raise
    write_json(json_file, _import_result(events))
    supposed = [] if endings else _supposed_channels(events)
    for sentence in (*_problems(events), *_notes(events), *supposed):
        screen.line(sentence)
    if not any(event.case for event in events):
        raise VolumeError(_nothing_added([event for event in events if event.problem]))
    screen.line(_import_summary(events))


def _list(
    study: Path, paths: list[Path], labels: Path | None, endings: "Endings | None", json_file: Path | None
) -> None:
    """Print what was found, and what would become of it."""
    from napari_dycon.study.exchange import listing

    screen = Screen()
    with opened_study(study, read_only=True) as opened:
        found = list(listing.list_scans(opened, paths, labels, endings))
    rows = [
        (
            one.name,
            "" if one.description in one.name else one.description,
            one.patient,
            listing.day_in_words(one, found),
            listing.size_in_words(one),
            listing.spacing_in_words(one),
            "refused" if one.verdict == "refused" else listing.verdict_in_words(one),
        )
        for one in found
    ]
    screen.table([("scan", "series", "patient", "exam", "voxels", "mm", "verdict"), *rows])
    for one in found:
        if one.verdict == "refused":
            screen.line(f"Refused: {one.path}: {one.reason}")
    counts = Counter(one.verdict for one in found)
    screen.line(
        f"{count(counts['new'], 'scan')} can be added, {counts['already there']} already there, "
        f"{counts['refused']} refused. Nothing was added."
    )
    write_json(json_file, {"scans": list(map(_listed_row, found))})


def _listed_row(one: "Listed") -> dict[str, Any]:
    return {
        "path": str(one.path),
        "name": one.name,
        "series": one.description,
        "patient": one.patient,
        "days_after_first_exam": one.day,
        "voxels": list(one.shape),
        "spacing_mm": list(one.spacing),
        "verdict": one.verdict,
        "reason": one.reason,
        "wanted": one.wanted,
    }


def _import_result(events: "Sequence[ImportEvent]") -> dict[str, Any]:
    cases = [
        {
            "case": event.case.id,
            "name": event.case.name,
            "path": str(event.path),
            "status": event.case.status,
            "outcome": event.outcome,
            "images": list(event.case.images),
            "notes": list(event.notes),
        }
        for event in events
        if event.case is not None
    ]
    return {
        "added": [case for case in cases if case["outcome"] != "already there"],
        "already_there": [case for case in cases if case["outcome"] == "already there"],
        "problems": [
            {"path": str(event.path), "problem": event.problem} for event in events if event.problem
        ],
    }


def _problems(events: "Sequence[ImportEvent]") -> Iterator[str]:
    """A line for each file that was not used, whose labels were not, or that was found again."""
    for event in events:
        if event.problem is not None:
            yield f"{'Left out' if event.case is None else 'Labels of'} {event.path}: {event.problem}"
        elif event.outcome == "found again" and event.case is not None:
            yield f"Found again: {event.case.name} at {event.case.scan}"


def _notes(events: "Sequence[ImportEvent]") -> Iterator[str]:
    """A line for each note, with the scans that it is about."""
    names: dict[str, list[str]] = {}
    for event in events:
        for note in event.notes:
            names.setdefault(note, []).append(event.case.name if event.case else event.path.name)
    for note, found in names.items():
        yield f"Note on {_some(found)}: {note}"


def _supposed_channels(events: "Sequence[ImportEvent]") -> Iterator[str]:
    """Say where several images of a case seem to have become cases of their own."""
    from napari_dycon.study.exchange.channels import look_like_channels

    numbers = look_like_channels(
        event.case.name for event in events if event.case and event.outcome == "added"
    )
    if numbers:
        told = ",".join(f"{number}:NAME" for number in numbers)
        yield (
            "The file names look like several images of each case, and each became a case of its own. To "
            f'have them as one, import them into a new study with --channels "{told}".'
        )


def _import_summary(events: "Sequence[ImportEvent]") -> str:
    counts = Counter(event.outcome for event in events)
    new = [event.case for event in events if event.case is not None and event.outcome == "added"]
    labelled = sum(case.status != "unlabelled" for case in new)
    parts = [f"Added {count(len(new), 'scan')}, {labelled} labelled"]
    parts += [f"{counts['labelled']} got labels"] * bool(counts["labelled"])
    parts += [f"{counts['joined']} got further images"] * bool(counts["joined"])
    parts += [f"{counts['found again']} found again"] * bool(counts["found again"])
    parts += [f"{counts['already there']} already there"] * bool(counts["already there"])
    return "; ".join([*parts, f"{counts['refused']} left out."])


def _nothing_added(problems: "Sequence[ImportEvent]") -> str:
    if not problems:
        return "No scan was found there; dycon reads NIfTI, NRRD, MHA, MHD and DICOM."
    if len(problems) == 1:
        return str(problems[0].problem)
    return f"None of {len(problems)} files was added; the reason is given for each above."


def export(
    study: StudyFolder,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the masks.", show_default=False)],
    case: Cases = None,
    run: Run = None,
    ready_only: Annotated[
        bool, typer.Option("--ready-only", help="Leave out predictions of a model that was not ready yet.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace masks and a table that are there already.")
    ] = False,
    form: Annotated[
        str,
        typer.Option(
            "--format", metavar="NAME", help="nifti, slicer, dicom-seg, stl …; a wrong name lists all."
        ),
    ] = "nifti",
    pseudonyms: Annotated[
        bool, typer.Option("--pseudonyms", help="Call files and rows by names that say nothing.")
    ] = False,
    json_file: JsonFile = None,
) -> None:
    """Write masks on the grid of each scan, and volumes.csv.

    Complete annotations are written as they are; elsewhere the prediction with your own labels on top.
    Masks are called like their scans. What is there already is not replaced unless asked for.
    """
    from napari_dycon.study.exchange.exporting import (
        CaseExported,
        Exported,
        ExportRequest,
        early_sentence,
        left_out_sentence,
    )

    screen = Screen()
    require_writable_json(json_file)
    end: Exported | None = None
    with opened_study(study, read_only=not pseudonyms) as opened, screen.bar("Exporting") as bar:
        cases, chosen = choose_cases(opened, case), choose_run(opened, run) if opened.runs() else None
        request = ExportRequest(
            out,
            None if cases is None else tuple(cases),
            chosen,
            not ready_only,
            overwrite,
            pseudonyms,
            form,
        )
        for event in exporting.export(opened, request):
            if isinstance(event, CaseExported):
                bar.update(event.done / event.total, f"{event.done} of {event.total}")
            else:
                end = event
    assert end is not None
    write_json(json_file, _export_result(end))
    for name, problem in end.problems:
        screen.line(f"Not exported: {name}: {problem}")
    screen.line(end.summary)
    if end.early:
        screen.line(early_sentence(len(end.early)))
    if end.left_out:
        screen.line(left_out_sentence(len(end.left_out)))
    if end.problems:
        raise typer.Exit(1)


def _export_result(end: "Exported") -> dict[str, Any]:
    return {
        "files": [*(str(path) for path, _ in end.masks), str(end.table)],
        "masks": [{"path": str(path), "source": origin} for path, origin in end.masks],
        "not_ready": [*end.early, *end.left_out],
        "problems": [{"case": case, "problem": problem} for case, problem in end.problems],
    }


def choose_cases(study: "Study", wanted: list[str] | None) -> list[str] | None:
    """Case ids from ids or names; None means all."""
    from napari_dycon.study.store.naming import fold

    if not wanted:
        return None
    names = ((text, case.id) for case in study.cases for text in (case.name, case.id))
    by_name = {fold(text): case for text, case in names}
    for text in wanted:
        if fold(text) not in by_name:
            raise StudyError(
                f"There is no case '{text}' in {study.path}; the cases are {_some(by_name.values())}."
            )
    return [by_name[fold(text)] for text in wanted]


def choose_run(study: "Study", wanted: str | None) -> str:
    """The wanted or the active run; an error where there is none."""
    runs = study.runs()
    run = wanted or study.active_run
    if run is None:
        raise StudyError(f"{study.path} has no trained model yet; train first: dycon train {study.path}")
    if run not in runs:
        raise StudyError(f"There is no run '{run}' in {study.path}; the runs are {_some(runs)}.")
    return run


def _some(names: Iterable[str]) -> str:
    ordered = sorted(set(names))
    return ", ".join(ordered[:8]) + (", …" if len(ordered) > 8 else "")
