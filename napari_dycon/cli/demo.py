"""``dycon demo``: the whole job on synthetic patients, in napari or headless."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_dycon.cli.console import (
    INTERRUPTED,
    Screen,
    clock,
    opened_study,
    stop_on_interrupt,
    thread_limit,
    write_json,
)
from napari_dycon.cli.following import follow_prediction, follow_training
from napari_dycon.cli.looking import open_napari
from napari_dycon.cli.options import Device, JsonFile
from napari_dycon.errors import StudyError

if TYPE_CHECKING:
    from napari_dycon.engine.control import Control
    from napari_dycon.study.study import Study

HEADLESS_MINUTES = 2.5


def demo(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to put the study.")] = Path(
        "dycon-demo"
    ),
    headless: Annotated[
        bool, typer.Option("--headless", help="Do not open napari; do the job here.")
    ] = False,
    minutes: Annotated[
        float, typer.Option(min=0.01, help="How long to train when headless.")
    ] = HEADLESS_MINUTES,
    device: Device = "auto",
    json_file: JsonFile = None,
) -> None:
    """Try it: twelve synthetic patients, three of them labelled, one of these in a few slices only.

    With a display napari opens on them. Without one, or with --headless, a model is trained, all patients are
    segmented, and masks, entropy maps, volumes.csv and a picture of the result are written into DIR.
    """
    from napari_dycon.doctor.display import find_display

    screen = Screen()
    if not (directory / "study.json").exists():
        _make_study(directory, screen)
    display = None if headless else find_display()
    if display is not None and display.usable:
        screen.line(f"Opening napari on {directory}. Press Train, watch, look, correct.")
        write_json(json_file, {"study": str(directory), "headless": False})
        open_napari(directory)
        return
    if display is not None:
        screen.line(f"{display.problem} So the job is done here, without napari.")
    with opened_study(directory, read_only=False) as study:
        write_json(json_file, _whole_job(study, minutes, device, screen))


def _make_study(directory: Path, screen: Screen) -> None:
    from napari_dycon.study.exchange.phantom import make_phantom_study

    if directory.exists() and any(directory.iterdir()):
        raise StudyError(f"{directory} holds other files; name an empty or new folder.")
    screen.line(f"Making twelve synthetic patients in {directory} …")
    make_phantom_study(directory).close()


def _whole_job(study: "Study", minutes: float, device: str, screen: Screen) -> dict[str, Any]:
    from napari_dycon.cli.picture import draw_result
    from napari_dycon.engine.control import Control
    from napari_dycon.guidance.suggestions import suggest
    from napari_dycon.study.exchange.exporting import ExportRequest, export_all

    brake = Control()
    with stop_on_interrupt(brake, screen):
        run = _train(study, minutes, device, brake, screen)
        _predict(study, run, device, brake, screen)
    places = [place.to_dict() for place in suggest(study, run)]
    out = study.path / "export"
    export_all(study, ExportRequest(out, run=run, not_ready=True, overwrite=True))
    _copy_entropy(study, run, out / "entropy")
    write_json(out / "suggestions.json", places)
    scores = _evaluate(study, run, screen)
    write_json(out / "scores.json", scores)
    picture = study.path / "demo.png"
    draw_result(study, run, study.path / "truth", scores, picture)
    for place in places[:3]:
        screen.line(
            f"Annotate next: {place['case']}, {place['plane']} slice {place['index']}: {place['reason']}"
        )
    screen.line(f"Masks, entropy maps and volumes.csv: {out}")
    screen.line(f"Picture: {picture}")
    return {
        "study": str(study.path),
        "headless": True,
        "run": run,
        "export": str(out),
        "scores": scores,
        "suggestions": places,
    }


def _train(study: "Study", minutes: float, device: str, brake: "Control", screen: Screen) -> str:
    from napari_dycon.engine.runners.here import Trainer

    screen.line(f"Training for {clock(60 * minutes)} on the labelled and the unlabelled patients.")
    trainer = Trainer(study, "dycon", minutes=minutes, device=device, control=brake, threads=thread_limit())
    end = follow_training(trainer.run(), screen)
    if brake.stopped:
        screen.line(f"Saved; go on with: dycon train {study.path} --resume")
        raise typer.Exit(INTERRUPTED)
    return end.run


def _predict(study: "Study", run: str, device: str, brake: "Control", screen: Screen) -> None:
    from napari_dycon.engine.inference import predict

    follow_prediction(predict(study, run, device=device, control=brake, threads=thread_limit()), screen)
    if brake.stopped:
        raise typer.Exit(INTERRUPTED)


def _copy_entropy(study: "Study", run: str, out: Path) -> None:
    from napari_dycon.study.store.runs import ENTROPY

    out.mkdir(parents=True, exist_ok=True)
    for case in study.cases:
        path = study.predictions.map_path(run, case.id, ENTROPY)
        if path.exists():
            shutil.copyfile(path, out / path.name)


def _evaluate(study: "Study", run: str, screen: Screen) -> list[dict[str, Any]]:
    """Compare with the truth that the phantoms come with; nothing where it was taken away."""
    from napari_dycon.cli.comparing import score_predictions, score_table

    truth = study.path / "truth"
    if not truth.is_dir():
        return []
    unlabelled = {case.id for case in study.cases if case.status == "unlabelled"}
    scores = [s for s in score_predictions(study, run, truth)["cases"] if s["case"] in unlabelled]
    screen.line("How well patients without any label were segmented:")
    screen.table(score_table(scores))
    return scores
