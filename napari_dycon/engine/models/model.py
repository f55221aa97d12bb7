"""A trained model by itself: its weights, its plan, and what must be known of it anywhere else."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

import napari_dycon
from napari_dycon.engine.plan import Plan
from napari_dycon.engine.readiness import Quality, read_quality
from napari_dycon.engine.runs import RunFolder, build_method
from napari_dycon.errors import TrainingError
from napari_dycon.io.json_files import in_words
from napari_dycon.learning.methods.base import Method
from napari_dycon.study.store.schema import StudyRecord
from napari_dycon.study.store.studyfile import is_study, read_record

DESCRIPTION = "configs/dycon.json"
WEIGHTS = "models/model.safetensors"


class Description(BaseModel):
    """``configs/dycon.json``.

    Parameters
    ----------
    method
        Name of the learning method.
    iteration
        After so many steps.
    plan
        As it was trained.
    images
        Names of the images of a case, first that of the scan, which may be empty.
    quality
        How it does on labelled voxels, where that is known; without a word about single cases.
    learned_from
        Digests of the scans whose labels it has learned from, so that another study that has one of them does
        not measure quality on it.
    version
        Of the program that trained it.
    sha256
        Of the weights.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    method: str
    iteration: int = Field(ge=0)
    plan: Plan
    images: tuple[str, ...] = ("",)
    quality: Quality | None = None
    learned_from: tuple[str, ...] = ()
    version: str = napari_dycon.__version__
    sha256: str = ""


@dataclass(frozen=True)
class Model:
    """A model that was read.

    Attributes
    ----------
    name
        What to call it in a sentence.
    description
        What is known of it.
    weights
        State of its method.
    """

    name: str
    description: Description
    weights: Mapping[str, Tensor]

    @classmethod
    def of_run(cls, study: Path, run: str | None = None) -> "Model":
        """Take the newest model of a run of a study, by default the active one.

        The study may be open elsewhere.

        Raises
        ------
        StudyError
            When there is no such study.
        TrainingError
            When it has no such model.
        """
        record = read_record(study)[0]
        wanted = run or record.active_run
        if wanted is None:
            raise TrainingError(f"{study} has no trained model yet; train it first, or choose another one.")
        folder = RunFolder(study / "runs" / wanted)
        config, plan, checkpoint = folder.config(), folder.plan(), folder.checkpoints.load()
        quality = read_quality(folder.path, checkpoint.iteration)
        description = Description(
            method=config.method,
            iteration=checkpoint.iteration,
            plan=plan,
            images=(record.channels[0] if record.channels else "", *(entry.name for entry in plan.further)),
            quality=quality and quality.model_copy(update={"cases": {}}),
            learned_from=tuple(sorted(digests(record, config.trained_on).values())),
            version=config.version,
        )
        return cls(f"{study.name}/{wanted}", description, checkpoint.part("method"))

    @classmethod
    def of_bundle(cls, folder: Path) -> "Model":
        """Read an exported bundle; nothing in it is executed.

        Raises
        ------
        TrainingError
            When it is none of ours, or damaged.
        """
        try:
            description = Description.model_validate_json((folder / DESCRIPTION).read_bytes())
            content = (folder / WEIGHTS).read_bytes()
        except OSError:
            raise TrainingError(
                f"{folder} holds no model that can be begun with: neither a study, nor a run of one, nor a "
                "bundle that dycon export-model wrote."
            ) from None
        except ValidationError as error:
            raise TrainingError(
                f"{folder / DESCRIPTION} is damaged or from another version ({in_words(error)}); export the "
                "model again."
            ) from None
        if hashlib.sha256(content).hexdigest() != description.sha256:
            raise TrainingError(f"The weights in {folder} are damaged; copy or export the model again.")
        try:
            return cls(folder.name, description, load(content))
        except SafetensorError:
            raise TrainingError(f"The weights in {folder} cannot be read; export the model again.") from None

    def method(self) -> Method:
        """Build the model, on the CPU.

        Raises
        ------
        TrainingError
            When the weights do not fit the plan, or belong to another version.
        """
        method = build_method(self.description.method, self.description.plan)
        try:
            method.load_state_dict(dict(self.weights))
        except RuntimeError:
            raise TrainingError(f"The weights of {self.name} do not fit its plan; export it again.") from None
        return method

    def save(self, folder: Path) -> None:
        """Write description and weights into a new folder; `of_bundle` reads them."""
        content = save({name: tensor.detach().cpu().contiguous() for name, tensor in self.weights.items()})
        described = self.description.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})
        for name, written in (
            (WEIGHTS, content),
            (DESCRIPTION, described.model_dump_json(indent=1).encode() + b"\n"),
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(written)


def read_model(path: Path) -> Model:
    """Read a model from a study (its active run), a run's folder or an exported bundle.

    Raises
    ------
    StudyError
        When the study cannot be read.
    TrainingError
        When there is no model, or it is damaged.
    """
    path = path.resolve()
    if is_study(path):
        return Model.of_run(path)
    if path.parent.name == "runs" and is_study(path.parents[1]):
        return Model.of_run(path.parents[1], path.name)
    return Model.of_bundle(path)


def digests(record: StudyRecord, cases: tuple[str, ...] | None = None) -> dict[str, str]:
    """Digest of the scan of each case of a study, or of some."""
    return {
        case.id: hashlib.sha256(json.dumps(["scan", case.content or case.sha256]).encode()).hexdigest()
        for case in record.cases
        if cases is None or case.id in cases
    }
