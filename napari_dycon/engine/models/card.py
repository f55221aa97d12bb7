"""The card of a model: what it learned from, how it does, what it is for, and what nobody knows of it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from napari_dycon.engine.models.model import Description
from napari_dycon.engine.readiness import Quality
from napari_dycon.engine.runs import RunFolder
from napari_dycon.errors import DyconError
from napari_dycon.learning.catalogue import method_titles
from napari_dycon.study.store.schema import CaseRecord
from napari_dycon.study.study import Study
from napari_dycon.study.truth.summary import KnownSummary
from napari_dycon.wording import millilitres

FEW_CASES = 10
KINDS = {
    "person": "drawn or declared complete by a person, or imported",
    "accepted": "accepted predictions of an earlier model",
    "interpolated": "interpolated between drawn slices",
    "ignored": "not to be learned from",
}


def write_card(path: Path, study: Study, description: Description, run: str) -> None:
    """Write it as Markdown; numbers alone, and no name of a case or a patient."""
    config = RunFolder(study.run_dir(run)).config()
    learned = [case for case in study.cases if case.id in config.trained_on]
    sections = (
        _heading(study, description),
        _use(description),
        _data(study, learned),
        _labels(study, learned),
        _quality(description.quality),
        _limits(learned, description),
        _method(description, len(study.cases) - len(learned)),
        _how_to_run(description),
    )
    path.write_text("\n".join(line for section in sections for line in (*section, "")), encoding="utf-8")


def _heading(study: Study, description: Description) -> Iterator[str]:
    names, values = description.plan.structure_names, description.plan.structure_values
    yield f"# {_plain(study.path.name)}: {', '.join(map(_plain, names))}"
    yield ""
    yield f"A model trained with napari-dycon {description.version}. Masks hold these label values:"
    yield ""
    yield "| value | structure |"
    yield "|---|---|"
    yield from (f"| {value} | {_plain(name)} |" for value, name in zip(values, names, strict=True))
    for name, parts in description.plan.wholes.items():
        yield f"| {' + '.join(map(str, parts))} | {_plain(name)}, the whole of them |"


def _use(description: Description) -> Iterator[str]:
    yield "## Intended use"
    yield ""
    yield (
        "Research: proposals of masks on scans like those below, which a person looks at and corrects. It is "
        "no medical device, and nobody has tested it for decisions about a patient."
    )
    yield ""
    yield "Licence: *to be stated by whoever passes it on; the data it learned from may ask for one.*"


def _data(study: Study, learned: Sequence[CaseRecord]) -> Iterator[str]:
    cases = study.cases
    patients, seen = (len({case.patient for case in some}) for some in (cases, learned))
    yield "## Data"
    yield ""
    yield f"- {len(cases)} scans of {patients} patients; labels of {len(learned)} scans of {seen} patients"
    if cases:
        yield f"- voxels: {_spread([case.spacing for case in cases])} mm"
        yield f"- size: {_spread([case.shape for case in cases])} voxels"
    images = list(study.record.channels) or ["one image a case"]
    yield f"- images: {', '.join(map(_plain, images))}"
    yield "- scanners, sites, ages and diseases: *not recorded; to be stated by whoever passes it on*"


def _labels(study: Study, learned: Sequence[CaseRecord]) -> Iterator[str]:
    yield "## Labels that were learned from"
    yield ""
    yield "As they are at the time of the export; shares of the voxels of the labelled scans."
    yield ""
    known = list(_known(study, learned))
    if known:
        yield "| how they are known | share |"
        yield "|---|---|"
        for name, words in KINDS.items():
            share = sum(getattr(entry, name) for entry in known) / len(known)
            yield f"| {words} | {share:.1%} |"
        yield ""
    yield "| structure | scans with any | volume in them, median |"
    yield "|---|---|---|"
    for structure in study.structures:
        volumes = [case.volumes_ml.get(structure.name, 0.0) for case in learned]
        there = [volume for volume in volumes if volume > 0]
        size = millilitres(median(there)) if there else "–"
        yield f"| {_plain(structure.name)} | {len(there)} | {size} |"


def _known(study: Study, cases: Sequence[CaseRecord]) -> Iterator[KnownSummary]:
    for case in cases:
        try:
            yield study.annotation_summary(case.id)
        except DyconError:  # its scan is away, and the annotation of an earlier version has no summary
            continue


def _quality(quality: Quality | None) -> Iterator[str]:
    yield "## Quality"
    yield ""
    if quality is None or not quality.dice:
        yield "Not measured: too few labels, or the model was not looked at."
        return
    if quality.held_out:
        yield f"Dice on labels that training never saw ({quality.where})."
    else:
        yield f"**On labels that it learned from** ({quality.where}); nothing was held out, so this flatters."
    yield "*Guess* is the Dice of calling every voxel the structure."
    yield ""
    yield "| structure | Dice | guess |"
    yield "|---|---|---|"
    for name, dice in quality.dice.items():
        yield f"| {_plain(name)} | {dice:.3f} | {quality.guess[name]:.3f} |"
    for name, dice in quality.wholes.items():
        yield f"| {_plain(name)}, the whole | {dice:.3f} | |"
    if quality.sentence:
        yield ""
        yield f"**{quality.sentence}**"


def _limits(learned: Sequence[CaseRecord], description: Description) -> Iterator[str]:
    plan = description.plan
    kinds = {intensity.kind for intensity in plan.intensities}
    yield "## Limits"
    yield ""
    if len(learned) < FEW_CASES:
        yield f"- It learned from labels of {len(learned)} scans: it may fail on others; look at each mask."
    if "ct" in kinds:
        yield "- CT must be in Hounsfield units."
    if "mr" in kinds:
        yield "- An MR is scaled by its own intensities, so what is cut away or blanked changes them."
    yield f"- Details below {_times(plan.spacing)} mm are not seen: scans are resampled to that."
    if plan.single or plan.joint:
        yield "- Of structures that come in one piece, the largest piece alone is kept."
    if plan.specks:
        yield "- Pieces smaller than any labelled one are dropped."
    yield "- Other scanners, protocols, ages and diseases than those of its scans: untested."
    yield "- Quality is that of one hold-out within the study, and of no other site."


def _method(description: Description, others: int) -> Iterator[str]:
    plan = description.plan
    title = method_titles().get(description.method, description.method)
    yield "## Method"
    yield ""
    yield f"- {title} (`{description.method}`), {description.iteration} steps, {others} scans without labels"
    network = plan.network
    yield f"- network: {network.kind}, {'/'.join(map(str, network.widths))} channels"
    grid, window = _times(plan.spacing), _times(plan.patch_size)
    yield f"- grid of {grid} mm, windows of {window} voxels, {len(plan.views)} mirrored views"


def _how_to_run(description: Description) -> Iterator[str]:
    several = len(description.images) > 1
    yield "## Use"
    yield ""
    yield "It needs `pip install monai nibabel` and nothing of the program that trained it:"
    yield ""
    yield "```sh"
    yield "python scripts/predict.py --out masks scan.nii.gz another.nii.gz"
    yield "```"
    yield ""
    if several:
        names = ",".join(f"{_plain(name) or 'scan'}.nii.gz" for name in description.images)
        yield f"The images of a case stand in this order: `{names}`; of a missing one leave the comma."
        yield ""
    yield (
        "Each mask lies on the grid of its scan. The same is `configs/inference.json`, which MONAI runs in "
        "this folder, with the package `fire`: `python -m monai.bundle run run --config_file "
        "configs/inference.json --scans \"['scan.nii.gz']\"`. `models/model.pt2` (of `torch.export`) and "
        "`model.ts` (TorchScript) turn windows on the model's grid into class scores, and so does "
        "`model.onnx` where it is there. "
        "`sha256sum -c SHA256SUMS` checks the files."
    )
    yield ""
    yield (
        "Scripts and TorchScript are programs: run those of people you trust. `dycon train STUDY --from "
        "FOLDER` begins a training with this model and runs neither of them."
    )


def _spread(rows: Sequence[Sequence[float]]) -> str:
    """Range of each axis."""
    sides = []
    for side in zip(*rows, strict=True):
        low, high = f"{min(side):.4g}", f"{max(side):.4g}"
        sides.append(low if low == high else f"{low} to {high}")
    return " x ".join(sides)


def _times(sides: Sequence[float]) -> str:
    return " x ".join(f"{side:.4g}" for side in sides)


def _plain(text: str) -> str:
    """Text that Markdown and HTML take as text."""
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]<>#|!" else sign for sign in text)
