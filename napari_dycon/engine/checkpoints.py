"""Checkpoints: tensors as safetensors, everything else as JSON; nothing in them is ever executed."""

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from napari_dycon.errors import TrainingError
from napari_dycon.io.atomic import make_folder_in, write_bytes_atomic
from napari_dycon.io.json_files import write_json
from napari_dycon.io.numbered import numbered_files

FORMAT = 2
GENERATIONS = 2
DIGITS = 8


@dataclass(frozen=True)
class Checkpoint:
    """Everything to continue a run.

    Attributes
    ----------
    iteration : steps done
    tensors : by name, networks under ``method.`` and optimiser state under ``optimiser.``
    state : plain values
    damaged : iterations of newer checkpoints that could not be read
    """

    iteration: int
    tensors: Mapping[str, Tensor]
    state: Mapping[str, Any] = field(default_factory=dict)
    damaged: tuple[int, ...] = ()

    def part(self, name: str) -> dict[str, Tensor]:
        """Tensors under a prefix, without it."""
        prefix = f"{name}."
        return {k.removeprefix(prefix): v for k, v in self.tensors.items() if k.startswith(prefix)}


class CheckpointFolder:
    """The two newest checkpoints of a run.

    Each is a pair of files; the JSON file names the SHA-256 of the other and is written last, so a pair is
    whole or it does not count.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def iterations(self) -> list[int]:
        """Iterations that were saved, newest first, whether readable or not."""
        return sorted(numbered_files(self._folder, ".json", DIGITS), reverse=True)

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint and drop all but the newest two.

        Raises
        ------
        TrainingError
            When a weight is not a finite number; nothing is written then.
        StudyError
            When the disk is full or cannot be written.
        """
        _check_finite(checkpoint.tensors)
        content = save({k: v.detach().cpu().contiguous() for k, v in checkpoint.tensors.items()})
        header = {
            "format": FORMAT,
            "iteration": checkpoint.iteration,
            "sha256": hashlib.sha256(content).hexdigest(),
            "state": dict(checkpoint.state),
        }
        make_folder_in(self._folder.parent, self._folder)
        tensors, description = self.files(checkpoint.iteration)
        write_bytes_atomic(tensors, content)
        write_json(description, header)
        for iteration in self.iterations[GENERATIONS:]:
            with contextlib.suppress(OSError):  # it is dropped at another time; the training must go on
                for path in reversed(self.files(iteration)):
                    path.unlink(missing_ok=True)

    def load(self) -> Checkpoint:
        """Read the newest checkpoint that is whole.

        Raises
        ------
        TrainingError
            When there is none.
        """
        damaged: list[int] = []
        for iteration in self.iterations:
            checkpoint = self._read(iteration)
            if checkpoint is not None:
                return Checkpoint(iteration, checkpoint.tensors, checkpoint.state, tuple(damaged))
            damaged.append(iteration)
        run = self._folder.parent.name
        if damaged:
            raise TrainingError(f"All checkpoints of run {run} are damaged; train again.")
        raise TrainingError(f"Run {run} has no checkpoint yet; train it first.")

    def _read(self, iteration: int) -> Checkpoint | None:
        tensors, description = self.files(iteration)
        try:
            header = json.loads(description.read_text(encoding="utf-8"))
            content = tensors.read_bytes()
        except (OSError, ValueError):
            return None
        if not isinstance(header, dict) or header.get("sha256") != hashlib.sha256(content).hexdigest():
            return None
        if header.get("format") != FORMAT:
            raise TrainingError(
                f"Run {self._folder.parent.name} was made with another version of napari-dycon and cannot be "
                "continued here; it was not changed."
            )
        try:
            return Checkpoint(iteration, load(content), header["state"])
        except (SafetensorError, KeyError, TypeError, ValueError):
            return None

    def files(self, iteration: int) -> tuple[Path, Path]:
        """Tensors and description of a checkpoint, there or not."""
        stem = self._folder / f"{iteration:0{DIGITS}d}"
        return stem.with_suffix(".safetensors"), stem.with_suffix(".json")


def _check_finite(tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise TrainingError(f"The model holds values that are not numbers ({name}) and was not saved.")
