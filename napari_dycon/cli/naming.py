"""``dycon structures``: what is segmented, and what counts as one more."""

from typing import TYPE_CHECKING, Annotated

import typer

from napari_dycon.cli.console import Screen, opened_study, require_writable_json, write_json
from napari_dycon.cli.options import JsonFile, StudyFolder, Wholes

if TYPE_CHECKING:
    from napari_dycon.study.study import Study


def structures(
    study: StudyFolder,
    whole: Wholes = None,
    no_whole: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Structures that no longer count as one under this name."),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """List the structures of a study; let some of them count as one more."""
    from napari_dycon.study.store.wholes import add_wholes, parse_wholes, remove_wholes

    require_writable_json(json_file)
    changes = bool(whole or no_whole)
    with opened_study(study, read_only=not changes) as opened:
        new = parse_wholes(whole or [], opened.structures)
        if no_whole:
            remove_wholes(opened, no_whole)
        if new:
            add_wholes(opened, new)
        _tell(opened)
        content = {
            "structures": [entry.model_dump() for entry in opened.structures],
            "wholes": [entry.model_dump() for entry in opened.record.wholes],
        }
    write_json(json_file, content)


def _tell(study: "Study") -> None:
    named = {structure.value: structure.name for structure in study.structures}
    rows = [(str(value), name, "") for value, name in named.items()]
    for whole in study.record.wholes:
        parts = ", ".join(named[value] for value in whole.parts)
        rows.append(("+".join(map(str, whole.parts)), whole.name, f"the whole of {parts}"))
    Screen().table([("value", "structure", ""), *rows])
