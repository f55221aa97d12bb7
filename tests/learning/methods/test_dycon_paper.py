"""DyCON as published: its terms are those of the equations, computed here from what the networks return."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from napari_dycon.learning.batch import IGNORE, UNKNOWN, Batch
from napari_dycon.learning.losses.fecl import fecl
from napari_dycon.learning.losses.supervised import partial_loss
from napari_dycon.learning.methods.dycon import DyCONSettings
from napari_dycon.learning.methods.dycon_paper import DyCONPaper, DyCONPaperSettings
from napari_dycon.learning.networks import NetworkSpec

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "differences.md"
SPEC = NetworkSpec(classes=3, widths=(8, 16, 16), strides=((2, 2, 2), (2, 2, 2)), projection=16)


def _batch(unlabelled=2):
    generator = torch.Generator().manual_seed(0)
    image, weak = (torch.randn(2, 1, 16, 16, 16, generator=generator) for _ in range(2))
    target = torch.zeros(2, 16, 16, 16, dtype=torch.int64)
    target[:, 4:12, 4:12] = 1
    target[1, :, :, 12:] = 2
    target[0, :2] = UNKNOWN
    image[:, 0] += 2 * target.clamp_max(2)
    return Batch(image, target, None, weak, weak + 0.2) if unlabelled else Batch(image, target)


def _watched(batch, progress=0.4, **settings):
    """Losses of one step, and what both networks were shown and returned for it."""
    torch.manual_seed(0)
    method = DyCONPaper(SPEC, DyCONPaperSettings(**settings))
    seen = {}
    method.student.register_forward_hook(lambda _, args, out: seen.update(student=(args[0], out)))
    method.teacher.register_forward_hook(lambda _, args, out: seen.update(teacher=(args[0], out)))
    torch.manual_seed(1)
    return method(batch, progress), seen


def _probabilities(logits):
    logits = logits.detach().double().numpy()
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def _entropy(p):
    return -(p * np.log(p)).sum(axis=1)


def _both(seen):
    return (_probabilities(seen[name][1].logits) for name in ("student", "teacher"))


def test_all_terms_are_there_from_the_first_step():
    for progress in (0.0, 1.0):
        losses, _ = _watched(_batch(), progress)
        assert set(losses) == {"supervised", "uncl", "fecl", "consistency"}
        assert all(loss.item() > 0 for loss in losses.values())
    assert set(_watched(_batch(unlabelled=0))[0]) == {"supervised", "uncl", "fecl"}


def test_cross_entropy_and_dice_are_added_not_averaged():
    batch = _batch()
    losses, seen = _watched(batch)
    mean = partial_loss(seen["student"][1].logits[:2], batch.target)
    assert losses["supervised"].item() == pytest.approx(2 * mean.item(), rel=1e-6)


@pytest.mark.parametrize(("progress", "beta"), [(0.0, 5.0), (0.5, math.sqrt(2.5)), (1.0, 0.5)])
def test_uncl_takes_all_voxels_and_the_whole_entropy_term_in_nats(progress, beta):
    losses, seen = _watched(_batch(), progress)
    p, q = _both(seen)
    pull = ((p - q) ** 2).sum(axis=1) / (np.exp(beta * _entropy(p)) + np.exp(beta * _entropy(q)))
    expected = 0.5 * (pull + beta * (_entropy(p) + _entropy(q))).mean()
    assert losses["uncl"].item() == pytest.approx(expected, rel=1e-4)


def test_do_not_care_voxels_stay_out_of_uncl():
    batch = _batch(unlabelled=0)
    losses, seen = _watched(Batch(batch.image, torch.full_like(batch.target, IGNORE)))
    assert losses["uncl"].item() == 0
    batch.target[1] = IGNORE
    losses, seen = _watched(batch, progress=1.0)
    p, q = (probabilities[:1] for probabilities in _both(seen))
    pull = ((p - q) ** 2).sum(axis=1) / (np.exp(0.5 * _entropy(p)) + np.exp(0.5 * _entropy(q)))
    expected = 0.5 * (pull + 0.5 * (_entropy(p) + _entropy(q))).mean()
    assert losses["uncl"].item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("progress", [0.0, 0.4, 1.0])
def test_squared_error_of_unlabelled_patches_grows_to_over_half_its_weight(progress):
    losses, seen = _watched(_batch(), progress)
    p, q = (probabilities[2:] for probabilities in _both(seen))
    weight = 0.1 * math.exp(-5 * (1 - 20_000 * progress / 30_000) ** 2)
    assert losses["consistency"].item() == pytest.approx(weight * ((p - q) ** 2).mean(), rel=1e-3)


def test_fecl_compares_cells_of_known_voxels_within_each_crop():
    losses, seen = _watched(_batch())
    embeddings = [seen[name][1].embedding.detach().flatten(2) for name in ("student", "teacher")]
    entropy = torch.from_numpy(_entropy(_probabilities(seen["student"][1].logits)))
    entropy = entropy.unfold(1, 4, 4).unfold(2, 4, 4).unfold(3, 4, 4).mean(dim=(4, 5, 6)).flatten(1)
    assert embeddings[0].shape == (4, 16, 64) and entropy.shape == (4, 64)
    labels = torch.zeros(2, 4, 4, 4, dtype=torch.int64)
    labels[:, 1:3, 1:3] = 1
    labels[1, :, :, 3] = 2
    expected = [
        fecl(
            embeddings[0][crop].T,
            labels[crop].flatten(),
            entropy[crop],
            embeddings[1][crop].T,
            reference_negatives=None,
            bracket=True,
        )
        for crop in range(2)
    ]
    assert losses["fecl"].item() == pytest.approx(0.25 * sum(expected).item(), rel=1e-4)


def test_no_unlabelled_scan_and_no_unknown_voxel_joins_the_contrast():
    batch = _batch()
    other = Batch(batch.image, batch.target, None, batch.weak + 1, batch.strong + 1)
    first, second = (_watched(b)[0] for b in (batch, other))
    assert first["fecl"].item() == pytest.approx(second["fecl"].item(), rel=1e-5)
    assert first["uncl"].item() != pytest.approx(second["uncl"].item(), rel=1e-5)
    nothing = Batch(batch.image, torch.full_like(batch.target, UNKNOWN), None, batch.weak, batch.strong)
    assert _watched(nothing)[0]["fecl"].item() == 0


def test_the_student_sees_what_is_there_and_the_teacher_bounded_noise_upon_it():
    batch = _batch()
    _, seen = _watched(batch)
    assert torch.equal(seen["student"][0], torch.cat([batch.image, batch.weak]))
    noise = seen["teacher"][0] - seen["student"][0]
    assert noise.abs().max().item() == pytest.approx(0.2, abs=1e-5)
    assert 0.08 < noise.std().item() < 0.11


@pytest.mark.parametrize("fault", [{"beta_last": 0.0}, {"ramp_length": 0.0}, {"start": 0.4}])
def test_settings_that_make_no_sense_are_refused(fault):
    with pytest.raises(ValidationError):
        DyCONPaperSettings(**fault)


def test_the_constants_in_the_documentation_are_the_defaults():
    lines = PAGE.read_text(encoding="utf-8").split("## The constants")[1].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    assert len(rows) > 10
    for name, *written in rows:
        for cell, kind in zip(written, (DyCONPaperSettings, DyCONSettings), strict=True):
            field = kind.model_fields.get(name.strip("`"))
            assert cell == ("–" if field is None else str(field.default)), (name, kind.__name__)
    assert {f"`{name}`" for name in DyCONPaperSettings.model_fields} <= {row[0] for row in rows}
