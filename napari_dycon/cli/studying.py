"""``dycon new``, ``import`` and ``export``: the study on disk."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_dycon.cli.console import Screen, count, opened_study, write_json
from napari_dycon.cli.options import Cases, JsonFile, Run, StudyFolder
from napari_dycon.errors import StudyError, VolumeError

if TYPE_CHECKING:
    from napari_dycon.study.schema import Structure
    from napari_dycon.study.study import Study


def parse_structures(texts: list[str]) -> "tuple[Structure, ...]":
    """Turn ``1:left atrium`` or ``1:left atrium:#e06c4f`` into structures."""
    from napari_dycon.study.schema import DEFAULT_COLORS, new_structure

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
    json_file: JsonFile = None,
) -> None:
    """Make an empty study."""
    from napari_dycon.study.study import Study

    with Study.create(study, parse_structures(structure)) as created:
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
        Path | None, typer.Option(metavar="DIR", help="Label maps with the file names of the scans.")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Add scans, with their labels where there are any; the files stay where they are."""
    for path in (*paths, *([labels] if labels else [])):
        if not path.exists():
            raise VolumeError(f"There is no file or folder {path}; check the path.")
    screen = Screen()
    added: list[dict[str, Any]] = []
    problems: list[dict[str, str]] = []
    with opened_study(study, read_only=False) as opened, screen.bar("Importing") as bar:
        for event in opened.add_scans(paths, labels_dir=labels):
            bar.update(event.done / max(event.total, 1), f"{event.done} of {event.total}")
            if event.problem is not None:
                problems.append({"path": str(event.path), "problem": event.problem})
            if event.case is not None:
                added.append({"case": event.case.id, "path": str(event.path), "status": event.case.status})
    write_json(json_file, {"added": added, "problems": problems})
    if not added:
        raise VolumeError(_nothing_added(problems))
    for problem in problems:
        screen.line(f"Left out {problem['path']}: {problem['problem']}")
    labelled = sum(entry["status"] != "unlabelled" for entry in added)
    screen.line(f"Added {count(len(added), 'scan')}, {labelled} labelled; {len(problems)} left out.")


def _nothing_added(problems: list[dict[str, str]]) -> str:
    if not problems:
        return "No scan was found there; dycon reads NIfTI, NRRD, MHA, MHD and DICOM."
    if len(problems) == 1:
        return problems[0]["problem"]
    return f"None of {len(problems)} files was added; the first: {problems[0]['problem']}"


def export(
    study: StudyFolder,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the masks.", show_default=False)],
    case: Cases = None,
    run: Run = None,
    ready_only: Annotated[
        bool, typer.Option("--ready-only", help="Leave out predictions of a model that was not ready yet.")
    ] = False,
    json_file: JsonFile = None,
) -> None:
    """Write masks on the grid of each scan, and volumes.csv.

    Complete annotations are written as they are; elsewhere the prediction with your own labels on top.
    Predictions of a model that was not ready yet are named.
    """
    from napari_dycon.study.exporting import early_sentence, left_out, left_out_sentence

    with opened_study(study, read_only=True) as opened:
        cases, chosen = choose_cases(opened, case), choose_run(opened, run) if opened.runs() else None
        written = opened.export(out, cases, chosen, not_ready=not ready_only)
        early = left_out(opened, cases, chosen)
    write_json(json_file, {"files": [str(path) for path in written], "not_ready": early})
    screen = Screen()
    screen.line(f"Wrote {count(len(written), 'file')} to {out}")
    if early:
        screen.line((left_out_sentence if ready_only else early_sentence)(len(early)))


def choose_cases(study: "Study", wanted: list[str] | None) -> list[str] | None:
    """Case ids from ids or names; None means all."""
    if not wanted:
        return None
    by_name = {case.name: case.id for case in study.cases} | {case.id: case.id for case in study.cases}
    for text in wanted:
        if text not in by_name:
            raise StudyError(
                f"There is no case '{text}' in {study.path}; the cases are {_some(by_name.values())}."
            )
    return [by_name[text] for text in wanted]


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
