"""``dycon carry``: labels of one exam on the scan of another one."""

from typing import TYPE_CHECKING, Annotated

import typer

from napari_dycon.cli.console import Screen, opened_study, require_writable_json, write_json
from napari_dycon.cli.options import JsonFile, StudyFolder
from napari_dycon.cli.studying import choose_cases
from napari_dycon.errors import StudyError

if TYPE_CHECKING:
    from napari_dycon.study.exchange.carrying import CarriedOver
    from napari_dycon.study.study import Study


def carry(
    study: StudyFolder,
    earlier: Annotated[
        str, typer.Option("--from", metavar="CASE", help="The labelled exam.", show_default=False)
    ],
    later: Annotated[
        str,
        typer.Option("--to", metavar="CASE", help="The exam that is to get the labels.", show_default=False),
    ],
    bend: Annotated[
        bool,
        typer.Option("--bend", help="Bend the labelled scan too, if that lets both fit clearly better."),
    ] = False,
    json_file: JsonFile = None,
) -> None:
    """Carry the labels of one exam over to another one of the same patient, by registration of the scans.

    They are known as interpolated there, and what a person has labelled stays. How well the scans lie on
    each other is told; where they do not, nothing is changed.
    """
    from napari_dycon.io.registration import RegistrationStep
    from napari_dycon.study.exchange.carrying import carry_over

    screen = Screen()
    require_writable_json(json_file)
    with opened_study(study, read_only=False) as opened, screen.bar("Registering") as bar:
        (source,), (target,) = choose_cases(opened, [earlier]) or [], choose_cases(opened, [later]) or []
        for event in carry_over(opened, source, target, bend=bend):
            if isinstance(event, RegistrationStep):
                bar.update(event.done / event.total, f"step {event.done} of {event.total}")
            else:
                write_json(json_file, _save(opened, event, screen))


def _save(study: "Study", found: "CarriedOver", screen: Screen) -> dict[str, object]:
    annotation = study.annotation(found.later)
    agreed, words = found.agreement(study, annotation), found.in_words(study, annotation)
    edit = found.carried.edit(annotation)
    if not edit:
        raise StudyError("Nothing was changed: all that could be carried over is labelled already.")
    edit.apply(annotation)
    study.save_annotation(found.later, annotation, edit.reason, [edit.name])
    screen.line(
        f"{study.case(found.later).name} has the labels of {study.case(found.earlier).name}: {words}."
    )
    screen.line("Look at them: they are as good as the scans fit, and known as interpolated.")
    return {**found.facts(), "voxels": edit.voxels, "dice_where_both_are_labelled": agreed}
