"""DyCON: every component can be turned off, and does what it says when on."""

import pytest
import torch
from pydantic import ValidationError

from napari_dycon.learning.batch import UNKNOWN, Batch
from napari_dycon.learning.losses.uncl import uncl
from napari_dycon.learning.methods.dycon import DyCON, DyCONSettings
from napari_dycon.learning.networks import NetworkSpec

SPEC = NetworkSpec(widths=(8, 16, 16), strides=((2, 2, 2), (2, 2, 2)), projection=16)
LATE = 1.0


def _batch(unlabelled=2):
    generator = torch.Generator().manual_seed(0)
    image, weak = (torch.randn(2, 1, 16, 16, 16, generator=generator) for _ in range(2))
    target = torch.zeros(2, 16, 16, 16, dtype=torch.int64)
    target[:, 4:12, 4:12] = 1
    image[:, 0] += 2 * target
    return Batch(image, target, None, weak, weak + 0.2) if unlabelled else Batch(image, target)


def _method(**settings):
    torch.manual_seed(0)
    return DyCON(SPEC, DyCONSettings(**{"uncl_weight": 1.0, "fecl_weight": 0.1, **settings}))


def _losses(batch=None, progress=LATE, **settings):
    method = _method(**settings)
    torch.manual_seed(1)
    return method(_batch() if batch is None else batch, progress)


def test_all_terms_are_there_late_and_their_weights_scale_them():
    losses = _losses(pseudo_threshold=0.5)
    assert set(losses) == {"supervised", "uncl", "fecl", "pseudo"}
    doubled = _losses(uncl_weight=2.0, fecl_weight=0.2, pseudo_weight=2.0, pseudo_threshold=0.5)
    for name in ("uncl", "fecl", "pseudo"):
        assert losses[name] > 0
        assert doubled[name].item() == pytest.approx(2 * losses[name].item(), rel=1e-6)


def test_uncl_and_fecl_are_off_unless_asked_for():
    assert set(DyCON(SPEC)(_batch(), LATE)) == {"supervised", "pseudo"}


@pytest.mark.parametrize("term", ["uncl", "fecl", "pseudo"])
def test_a_term_of_weight_zero_is_left_out(term):
    assert term not in _losses(**{f"{term}_weight": 0.0})


def test_the_terms_grow_after_the_start():
    early, late = (_losses(progress=p, beta_first=0.5, beta_last=0.5) for p in (0.25, 0.35))
    assert 0 < early["uncl"] < 0.5 * late["uncl"]
    assert 0 < early["fecl"] < 0.5 * late["fecl"]


@pytest.mark.parametrize(
    ("switch", "term"),
    [
        ({"beta_first": 0.0, "beta_last": 0.0}, "uncl"),
        ({"beta_first": 2.0, "beta_last": 2.0}, "uncl"),
        ({"entropy_cap": 0.0}, "uncl"),
        ({"entropy_cap": None}, "uncl"),
        ({"focal": False}, "fecl"),
        ({"entropy_weights": False}, "fecl"),
        ({"hard_negatives": 0}, "fecl"),
        ({"temperature": 0.3}, "fecl"),
        ({"anchors": 4}, "fecl"),
    ],
)
def test_every_switch_changes_its_own_term_and_no_other(switch, term):
    usual, changed = _losses(), _losses(**switch)
    assert not torch.equal(usual[term], changed[term])
    for other in usual.keys() - {term}:
        assert torch.equal(usual[other], changed[other]), other


def test_uncl_is_taken_on_unlabelled_voxels_with_the_capped_entropy_term():
    method, batch = _method(copy_paste=False), _batch()
    student, teacher = method.student(batch.strong).logits, method.teacher(batch.weak).logits
    assert method(batch, LATE)["uncl"].item() == pytest.approx(
        uncl(student, teacher, 0.07, 0.02).item(), rel=1e-4
    )


def test_beside_mixtures_uncl_is_taken_on_the_patches_that_nothing_was_pasted_into():
    method, batch = _method(fecl_weight=0.0), _batch()
    plain = slice(1, None)  # the first of the two is pasted
    student, teacher = method.student(batch.strong[plain]).logits, method.teacher(batch.weak[plain]).logits
    assert method(batch, LATE)["uncl"].item() == pytest.approx(
        uncl(student, teacher, 0.07, 0.02).item(), rel=1e-4
    )


def test_pseudo_labels_are_taken_from_mixtures_where_there_are_any():
    batch = _batch()
    other = Batch(batch.image, batch.target, None, *(v.clone() for v in (batch.weak, batch.strong)))
    other.weak[1:] += 1
    other.strong[1:] += 1
    settings = {"pseudo_threshold": 0.5, "fecl_weight": 0.0}
    first, second = _losses(batch, **settings), _losses(other, **settings)
    assert first["pseudo"].item() == second["pseudo"].item() != 0
    assert first["uncl"].item() != second["uncl"].item()
    first, second = (_losses(b, copy_paste=False, **settings) for b in (batch, other))
    assert first["pseudo"].item() != second["pseudo"].item()


def test_unknown_voxels_of_partly_labelled_patches_are_made_consistent_too():
    batch = _batch(unlabelled=0)
    assert _losses(batch, entropy_cap=None)["uncl"].item() == 0
    batch.target[:, :8] = UNKNOWN
    assert _losses(batch, entropy_cap=None)["uncl"].item() > 0


def test_the_rim_outside_a_scan_is_not_made_consistent():
    batch = _batch(unlabelled=0)
    batch.target[:, 0] = UNKNOWN
    assert _losses(batch, entropy_cap=None)["uncl"].item() == 0


def test_nobody_believes_an_unsure_teacher():
    losses = _losses(pseudo_threshold=1.0, copy_paste=False)
    assert losses["pseudo"].item() == 0


def _late_batch(labelled=3, unlabelled=1):
    generator = torch.Generator().manual_seed(0)
    image, weak = (torch.randn(count, 1, 16, 16, 16, generator=generator) for count in (labelled, unlabelled))
    target = (image[:, 0] > 0).long()
    return Batch(image, target, None, weak, weak + 0.2)


@pytest.mark.parametrize(
    ("labelled", "unlabelled", "weight", "pairs"),
    [(3, 1, 0, 1), (2, 2, 0, 2), (1, 2, 0, 2), (3, 1, 1, 1), (2, 2, 1, 1), (4, 4, 1, 2), (1, 2, 1, 1)],
)
def test_image_target_and_teacher_are_pasted_together(labelled, unlabelled, weight, pairs):
    method, batch = _method(uncl_weight=weight), _late_batch(labelled, unlabelled)
    seen = []
    method.student.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    torch.manual_seed(3)
    views = method._look(batch)
    whole = max(1, labelled - pairs)
    assert len(seen[0]) == len(views.target) == whole + unlabelled
    assert (views.whole, views.mixed) == (whole, pairs)
    assert torch.equal(seen[0][:whole], batch.image[:whole])
    ours, weak = method.teacher(batch.image).logits, method.teacher(batch.weak).logits
    assert (views.target[whole + pairs :] == UNKNOWN).all()
    assert torch.equal(seen[0][whole + pairs :], batch.strong[pairs:])
    torch.testing.assert_close(views.teacher.logits[whole + pairs :], weak[pairs:])
    for index in range(pairs):
        pair = labelled - 1 - index % max(1, labelled - whole)
        mixed, target = seen[0][whole + index, 0], views.target[whole + index]
        pasted = target != UNKNOWN
        assert 0.1 < pasted.float().mean() < 0.9
        assert torch.equal(target[pasted], batch.target[pair][pasted])
        assert torch.equal(mixed[pasted], batch.image[pair, 0][pasted])
        assert torch.equal(mixed[~pasted], batch.strong[index, 0][~pasted])
        expected = torch.where(pasted, ours[pair], weak[index])
        torch.testing.assert_close(views.teacher.logits[whole + index], expected)


def test_in_a_late_step_no_labelled_voxel_counts_twice():
    batch = _late_batch()
    batch.target[:] = 1
    batch.target[2] = 0  # the patch that is pasted, and no other
    views = _method()._look(batch)
    assert (views.target[:2] == 1).all()
    assert not (views.target[2:] == 1).any()
    assert (views.target[2:] == 0).any()


def test_a_late_step_shows_a_mixture_and_for_uncl_an_unlabelled_patch_as_it_is():
    method = _method()
    assert method.patches(0.1, 2, 2) == (2, 0)
    assert method.patches(0.5, 2, 2) == (3, 2)
    assert method.patches(0.5, 8, 8) == (12, 8)
    assert method.patches(0.5, 1, 1) == (2, 2)
    assert method.patches(0.5, 2, 0) == (2, 0)
    assert _method(copy_paste=False).patches(0.5, 2, 3) == (2, 3)


def test_a_late_step_without_uncl_takes_a_pair_beside_the_whole_patches():
    method = _method(uncl_weight=0)
    assert method.patches(0.1, 2, 2) == (2, 0)
    assert method.patches(0.5, 2, 2) == (3, 1)
    assert method.patches(0.5, 2, 0) == (2, 0)
    assert method.patches(0.5, 8, 8) == (12, 4)
    assert _method(uncl_weight=0, mixed=1).patches(0.5, 2, 2) == (4, 2)


@pytest.mark.parametrize(
    ("settings", "partly", "asked"),
    [
        ({}, False, 4),
        ({"fecl_weight": 0}, False, 1),
        ({"fecl_weight": 0}, True, 2),
        ({"fecl_weight": 0, "copy_paste": False}, True, 4),
        ({"fecl_weight": 0, "uncl_weight": 0}, True, 2),
        ({"fecl_weight": 0, "uncl_weight": 0, "copy_paste": False}, True, 1),
    ],
)
def test_the_teacher_is_asked_about_labelled_patches_only_where_its_answer_is_used(settings, partly, asked):
    method, batch = _method(**settings), _late_batch()
    if partly:
        batch.target[:, :8] = UNKNOWN
    seen = []
    method.teacher.network.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    assert torch.isfinite(sum(method(batch, LATE).values()))
    assert seen == [asked]


def test_without_copy_paste_unlabelled_patches_stay_whole():
    views = _method(copy_paste=False)._look(_batch())
    assert (views.target[2:] == UNKNOWN).all()
    assert (views.target[:2] != UNKNOWN).all()


@pytest.mark.parametrize("settings", [{}, {"copy_paste": False}])
def test_pasted_voxels_keep_the_weight_of_their_label(settings):
    batch = _batch()
    weighted = Batch(
        batch.image, batch.target, torch.full(batch.target.shape, 0.25), batch.weak, batch.strong
    )
    views = _method(**settings)._look(weighted)
    known = views.target != UNKNOWN
    assert (views.weight[known] == 0.25).all()
    assert (views.weight[~known] == 1).all()


def test_unlabelled_patches_join_the_contrast_only_late():
    settings = {
        "copy_paste": False,
        "pseudo_threshold": 0.5,
        "unlabelled_anchors_start": 0.8,
        "background_purity": 0.5,
        "pseudo_purity": 0.5,
    }
    batch = _batch()
    other = Batch(batch.image, batch.target, None, batch.weak + 1, batch.strong + 1)
    before = [_losses(b, 0.79, **settings)["fecl"] for b in (batch, other)]
    after = [_losses(b, 0.81, **settings)["fecl"] for b in (batch, other)]
    assert torch.equal(*before)
    assert not torch.equal(*after)


def test_it_watches_its_teacher():
    method = _method()
    method(_batch(), LATE)
    assert method.monitors["beta"] == 0.07
    assert 0 <= method.monitors["pseudo_share"] <= 1
    assert 0 <= method.monitors["teacher_foreground"] <= 1
    method(_batch(), 0.0)
    assert method.monitors == {}


@pytest.mark.parametrize("fault", [{"beta_last": 0.0}, {"gamma": -1.0}, {"start": 1.5}, {"tau": 0.5}])
def test_settings_that_make_no_sense_are_refused(fault):
    with pytest.raises(ValidationError):
        DyCONSettings(**fault)
