"""Small studies that train in a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from napari_dycon.engine.events import ScanPreparation
from napari_dycon.engine.runners.here import Trainer
from napari_dycon.study.exchange import importing
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation

TINY = {
    "patch_size": (16, 16, 16),
    "network": {"widths": (8, 16), "strides": ((2, 2, 2),), "projection": 16},
    "overlap": 0.25,
}
ORGAN, NODE = 3, 7


def ball_case(index: int, shape: tuple[int, int, int] = (24, 20, 18)) -> tuple[np.ndarray, np.ndarray]:
    """A bright ball (value 3) with a brighter core (value 7) at a place that differs by case."""
    random = np.random.default_rng(index)
    centre = np.array(shape) / 2 + random.uniform(-2, 2, 3)
    distance = ((np.indices(shape) - centre[:, None, None, None]) ** 2).sum(axis=0)
    labels = np.where(distance < 6, NODE, np.where(distance < 36, ORGAN, 0)).astype(np.uint8)
    image = 100 + 80 * (labels > 0) + 60 * (labels == NODE) + 10 * random.normal(size=shape)
    return image.astype(np.int16), labels


def save_scan(path: Path, image: np.ndarray, affine: np.ndarray | None = None) -> Path:
    nib.save(nib.Nifti1Image(image, np.diag([-1.2, -1.2, 2.0, 1.0]) if affine is None else affine), path)
    return path


def numbers(events: list) -> list[dict[str, float]]:
    """The losses of every step, for comparison bit by bit."""
    return [event.losses for event in events if hasattr(event, "losses")]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@contextmanager
def studies_in(folder: Path) -> Iterator[Callable[..., Study]]:
    """Make studies of ball cases in a folder, the first cases fully labelled; they are closed at the end."""
    made: list[Study] = []

    def make(
        cases: int = 4, labelled: int = 2, name: str = "study", **options: tuple[int, int, int]
    ) -> Study:
        structures = [Structure(value=ORGAN, name="organ"), Structure(value=NODE, name="node")]
        study = Study.create(folder / name, structures)
        made.append(study)
        for index in range(cases):
            image, labels = ball_case(index, **options)
            scan = save_scan(folder / f"{name}-{index}.nii.gz", image)
            record = importing.add_scan(study, scan)
            if index < labelled:
                study.save_annotation(record.id, Annotation.full(labels), "import")
        return study

    yield make
    for study in made:
        study.close()


@pytest.fixture
def make_study(tmp_path: Path) -> Iterator[Callable[..., Study]]:
    """Make studies of this test."""
    with studies_in(tmp_path) as make:
        yield make


def train_to_the_end(study: Study, method: str = "dycon", **options: object) -> list:
    """Run a training and return all events from its start on."""
    options = {"overrides": TINY, "threads": 1, "device": "cpu", **options}
    if not options.get("resume"):
        options.setdefault("iterations", 6)
    events = Trainer(study, method, **options).run()
    return [event for event in events if not isinstance(event, ScanPreparation)]


@pytest.fixture
def train() -> Callable[..., list]:
    """Run a training to its end and return all events from its start on."""
    return train_to_the_end
