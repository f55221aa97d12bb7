"""A model as a MONAI bundle: what needs nothing of this program to segment scans."""

import hashlib
import json
import shutil
import warnings
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from napari_dycon.engine.models import scripts
from napari_dycon.engine.models.card import write_card
from napari_dycon.engine.models.model import DESCRIPTION, Description, Model
from napari_dycon.errors import TrainingError
from napari_dycon.io.atomic import new_folder
from napari_dycon.learning.networks import SegmentationNetwork
from napari_dycon.study.study import Study

SEGMENT = {
    "cases": "scans",
    "out": "output_dir",
    "networks": "network_def",
    "preprocessing": "preprocessing",
    "inferer": "inferer",
    "postprocessing": "postprocessing",
    "device": "device",
}
HASHES = "SHA256SUMS"
METADATA, INFERENCE = "configs/metadata.json", "configs/inference.json"
SCHEMA = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
)


def export_model(
    study: Study, out: Path, run: str | None = None, *, overwrite: bool = False, onnx: bool = False
) -> list[Path]:
    """Write a model of a study as a MONAI bundle, with a model card and hashes.

    Nothing in it names a case or a patient.

    Parameters
    ----------
    out
        The bundle's folder; it appears whole or not at all.
    run
        The active one by default.
    overwrite
        Replace a bundle that is there.
    onnx
        Write the networks as ONNX, too.

    Returns
    -------
    Its files.

    Raises
    ------
    TrainingError
        When there is no model, or something else lies in the way, or ONNX cannot be written here.
    VolumeError
        When the folder cannot be written.
    """
    if onnx:
        _require_onnx()
    model = Model.of_run(study.path, run)
    _require_room(out, overwrite)
    with new_folder(out) as folder:
        model.save(folder)
        networks = _write_networks(model, folder, onnx)
        _write_json(folder / METADATA, metadata(model.description, study.path.name))
        _write_json(folder / INFERENCE, inference(model.description, networks))
        for name in ("__init__.py", "recipe.py", "predict.py"):
            source = Path(scripts.__file__).with_name(name)
            (folder / "scripts").mkdir(exist_ok=True)
            shutil.copyfile(source, folder / "scripts" / name)
        write_card(folder / "README.md", study, model.description, (run or study.active_run or ""))
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        sums = "".join(f"{_sha256(folder / file)}  {file}\n" for file in files)
        (folder / HASHES).write_text(sums, encoding="utf-8", newline="\n")
    return [out / file for file in (*files, HASHES)]


def inference(description: Description, networks: list[str]) -> dict[str, Any]:
    """What ``configs/inference.json`` holds: from files of scans to files of masks."""
    plan = description.plan
    return {
        "bundle_root": ".",
        "scans": [],
        "output_dir": "$@bundle_root + '/masks'",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "network_def": {
            "_target_": "scripts.recipe.load_networks",
            "folder": "@bundle_root",
            "files": networks,
            "device": "@device",
        },
        "preprocessing": {
            "_target_": "scripts.recipe.Preprocessing",
            "spacing": list(plan.spacing),
            "intensities": [intensity.model_dump() for intensity in plan.intensities],
        },
        "inferer": {
            "_target_": "scripts.recipe.EvenWindows",
            "patch_size": list(plan.patch_size),
            "classes": plan.classes,
            "overlap": plan.overlap,
            "views": [list(view) for view in plan.views],
            "precision": plan.precision,
        },
        "postprocessing": {
            "_target_": "scripts.recipe.Postprocessing",
            "values": list(plan.structure_values),
            "single": list(plan.single),
            "joint": [list(group) for group in plan.joint],
            "specks": {str(value): volume for value, volume in plan.specks.items()},
        },
        "run": [
            {"_target_": "scripts.recipe.segment", **{name: f"@{item}" for name, item in SEGMENT.items()}}
        ],
    }


def metadata(description: Description, name: str) -> dict[str, Any]:
    """What ``configs/metadata.json`` holds, in MONAI's schema."""
    plan = description.plan
    classes = {str(n): told for n, told in enumerate(("background", *plan.structure_names))}
    size = list(plan.patch_size)
    kinds = {intensity.kind for intensity in plan.intensities}
    return {
        "schema": SCHEMA,
        "version": "1.0.0",
        "changelog": {"1.0.0": f"exported after step {description.iteration}"},
        "monai_version": version("monai"),
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": version("numpy"),
        "required_packages_version": {"nibabel": version("nibabel")},
        "name": f"{name}: {', '.join(plan.structure_names)}",
        "task": f"Segmentation of {', '.join(plan.structure_names)}",
        "description": f"Trained with napari-dycon {description.version}, method {description.method}.",
        "authors": "",
        "copyright": "",
        "data_type": "nibabel",
        "image_classes": "CT in Hounsfield units"
        if kinds == {"ct"}
        else "3D scans, any scale of intensities",
        "label_classes": "see label_values",
        "pred_classes": "see label_values",
        "label_values": dict(zip(plan.structure_names, plan.structure_values, strict=True)),
        "intended_use": "Research; see README.md.",
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "hounsfield" if kinds == {"ct"} else "magnitude",
                    "num_channels": len(plan.intensities),
                    "spatial_shape": size,
                    "dtype": "float32",
                    "value_range": [],
                    "is_patch_data": True,
                    "channel_def": {str(n): told or "scan" for n, told in enumerate(description.images)},
                }
            },
            "outputs": {
                "pred": {
                    "type": "image",
                    "format": "segmentation",
                    "num_channels": plan.classes,
                    "spatial_shape": size,
                    "dtype": "float32",
                    "value_range": [],
                    "is_patch_data": True,
                    "channel_def": classes,
                }
            },
        },
    }


class _Scores(nn.Module):
    """A network that returns class scores and nothing else."""

    def __init__(self, network: SegmentationNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x).logits
        return logits


def _write_networks(model: Model, folder: Path, onnx: bool) -> list[str]:
    """Write each network that decides so that it needs no class of ours; return the files to predict with.

    Those are made by `torch.export`, which gives the same numbers in mixed precision, too. TorchScript, which
    does not, lies beside them for other programs.
    """
    plan, names = model.description.plan, []
    example = torch.zeros((1, len(plan.intensities), *plan.patch_size))
    for number, network in enumerate(model.method().deciders()):
        path = folder / "models" / f"model{f'-{number + 1}' if number else ''}.pt2"
        scores = _Scores(network.eval())
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of what may be another way one day, and that sizes are fixed
            torch.export.save(torch.export.export(scores, (example,)), path)
            traced: Any = torch.jit.trace(  # type: ignore[no-untyped-call]
                scores, example, check_trace=False
            )
            torch.jit.save(traced, str(path.with_suffix(".ts")))
            if onnx:
                _write_onnx(scores, example, path.with_suffix(".onnx"))
        names.append(path.relative_to(folder).as_posix())
    return names


def _require_onnx() -> None:
    if lacking := [name for name in ("onnx", "onnxscript") if find_spec(name) is None]:
        raise TrainingError(
            f"To write ONNX takes {' and '.join(lacking)}, which are not installed: pip install "
            "'napari-dycon[onnx]'"
        )


def _write_onnx(scores: nn.Module, example: Tensor, path: Path) -> None:
    """From ``image`` ``(1, C, X, Y, Z)`` to ``scores`` ``(1, classes, X, Y, Z)``, weights within the file."""
    try:
        torch.onnx.export(
            scores,
            (example,),
            path,
            input_names=["image"],
            output_names=["scores"],
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        reason = str(error).splitlines()[0]
        raise TrainingError(f"This network cannot be written as ONNX: {reason}") from error


def _require_room(out: Path, overwrite: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / DESCRIPTION).is_file():
        raise TrainingError(f"{out} holds something else; choose a new folder for the model.")
    if not overwrite:
        raise TrainingError(
            f"{out} holds a model already; choose another folder, or add --overwrite to replace it."
        )


def _write_json(path: Path, content: Any) -> None:
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
