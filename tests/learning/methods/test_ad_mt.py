"""AD-MT: ensemble and conflicts against NumPy, teachers that take turns, lessons that stay aligned."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from napari_dycon.learning.batch import UNKNOWN, Batch
from napari_dycon.learning.methods.ad_mt import ADMT, ADMTSettings, ensemble, settle
from napari_dycon.learning.networks import NetworkSpec, Output

SPEC = NetworkSpec(classes=3, widths=(8, 16), strides=((2, 2, 2),), projection=8)
LATE = 1.0


def _batch(unlabelled=2):
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(2, 1, 8, 8, 8, generator=generator)
    weak = torch.randn(max(1, unlabelled), 1, 8, 8, 8, generator=generator)
    target = torch.randint(0, 3, (2, 8, 8, 8), generator=generator)
    return Batch(image, target, None, weak, weak + 0.25) if unlabelled else Batch(image, target)


def _method(**settings):
    torch.manual_seed(0)
    return ADMT(SPEC, ADMTSettings(**settings))


class _Says(torch.nn.Module):
    """Is of one opinion on every voxel, as far apart from the other classes as told."""

    def __init__(self, label, margin):
        super().__init__()
        self.logits = torch.zeros(3)
        self.logits[label] = margin

    def forward(self, x, *, project=False):
        return Output(self.logits.reshape(1, 3, 1, 1, 1).expand(len(x), 3, *x.shape[2:]).clone(), None)


def _softmax(logits):
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("classes", [2, 5])
def test_the_surer_teacher_counts_more_as_in_the_published_equation(classes):
    rng = np.random.default_rng(0)
    logits = [rng.normal(0, 2, (2, classes, 4, 3, 5)).astype(np.float32) for _ in range(2)]
    p, q = (_softmax(entry.astype(np.float64)) for entry in logits)
    certainty = [np.exp(np.sum(r * np.log(r), axis=1) / np.log(classes)) for r in (p, q)]
    mean = (certainty[0][:, None] * p + certainty[1][:, None] * q) / sum(certainty)[:, None]
    found, confidence, conflict = ensemble(*(torch.from_numpy(entry) for entry in logits))
    assert np.array_equal(found.numpy(), mean.argmax(axis=1))
    assert confidence.numpy() == pytest.approx(mean.max(axis=1), abs=1e-6)
    assert np.array_equal(conflict.numpy(), p.argmax(axis=1) != q.argmax(axis=1))


def test_extreme_logits_give_finite_confidence():
    huge = 1e4 * torch.randn(1, 5, 4, 4, 4)
    _, confidence, _ = ensemble(huge, -huge)
    assert confidence.isfinite().all() and confidence.min() >= 0.5 - 1e-6


@pytest.mark.parametrize(
    ("conflict", "own", "own_confidence", "expected"),
    [
        (True, 2, 0.9, (2, 0.9)),
        (True, 2, 0.5, (1, 0.6)),
        (True, 1, 0.9, (1, 0.6)),
        (False, 2, 0.9, (1, 0.6)),
    ],
    ids=["surer student wins", "less sure student loses", "same class", "teachers agree"],
)
def test_the_student_is_heard_only_where_the_teachers_disagree(conflict, own, own_confidence, expected):
    shape = (1, 1, 1, 1)
    classes, confidence = settle(
        torch.full(shape, 1),
        torch.full(shape, 0.6),
        torch.full(shape, conflict),
        torch.full(shape, own),
        torch.full(shape, own_confidence),
    )
    assert classes.item() == expected[0]
    assert confidence.item() == pytest.approx(expected[1])


def _weights(teacher):
    return torch.cat([parameter.flatten() for parameter in teacher.parameters()])


def test_one_teacher_follows_at_a_time_and_both_in_turns():
    method = _method(longest_turn=4)
    turns = []
    for _ in range(60):
        with torch.no_grad():
            for parameter in method.student.parameters():
                parameter.add_(0.1)
        before = [_weights(teacher) for teacher in (method.teacher, method.second)]
        method.after_step(LATE)
        after = [_weights(teacher) for teacher in (method.teacher, method.second)]
        moved = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
        assert sum(moved) == 1
        turns.append(moved.index(True))
    assert turns[:2] == [0, 1], "both know the student from the first steps on"
    starts = [step for step in range(1, 60) if turns[step] != turns[step - 1]]
    lengths = np.diff(starts)
    assert set(lengths) == {1, 2, 3, 4}


def test_whose_turn_it_is_is_part_of_the_state():
    method, other = _method(), _method()
    for _ in range(5):
        method.after_step(LATE)
    other.load_state_dict(method.state_dict())
    assert (int(other.turn), int(other.left)) == (int(method.turn), int(method.left))
    assert int(method.left) > 0


def _seen(method, batch):
    images = []
    handle = method.student.register_forward_hook(lambda _, args, __: images.append(args[0]))
    method(batch, LATE)
    handle.remove()
    return images[-1][len(batch.image) :]


def test_in_the_first_teachers_turn_the_student_sees_strong_views():
    batch, method = _batch(), _method()
    assert torch.equal(_seen(method, batch), batch.strong)


def test_in_the_seconds_it_sees_patches_with_a_box_of_another():
    method = _method()
    method.turn.fill_(1)
    images = [torch.full((1, 1, 8, 8, 8), float(patch)) for patch in range(3)]
    batch = _batch()
    weak = torch.cat(images)
    seen = _seen(method, Batch(batch.image, batch.target, None, weak, weak + 5))
    assert [set(patch.unique().tolist()) for patch in seen] == [{0.0, 2.0}, {1.0, 0.0}, {2.0, 1.0}]


def test_with_a_single_unlabelled_patch_there_is_nothing_to_paste():
    method, batch = _method(), _batch(unlabelled=1)
    method.turn.fill_(1)
    assert torch.equal(_seen(method, batch), batch.strong)


class _Reads(torch.nn.Module):
    """Says with certainty that a voxel is of the class its image is named after, from 0 to 2."""

    def forward(self, x, *, project=False):
        classes = x[:, 0].round().long().clamp(0, 2)
        return Output(20 * torch.nn.functional.one_hot(classes, 3).movedim(-1, 1).float(), None)


@pytest.mark.parametrize("turn", [0, 1])
def test_pseudo_labels_move_with_their_voxels(turn):
    """Where each image names its own class, a student that reads names agrees with its teachers."""
    method = _method()
    method.turn.fill_(turn)
    method.student, method.teacher.network, method.second.network = _Reads(), _Reads(), _Reads()
    weak = torch.randint(0, 3, (3, 1, 8, 8, 8)).float()
    labels = torch.zeros(1, 8, 8, 8, dtype=torch.int64)
    batch = Batch(labels[:, None].float(), labels, None, weak, weak + 0.25)
    assert method(batch, LATE)["pseudo"] < 1e-4
    assert method.monitors == {"conflict": 0.0, "pseudo_share": 1.0}


def _pseudo_loss(first, second, student, **settings):
    method, batch = _method(**settings), _batch()
    method.student, method.teacher.network, method.second.network = student, first, second
    return method(batch, LATE)["pseudo"].item(), method.monitors


def test_a_surer_student_settles_a_conflict():
    loss, monitors = _pseudo_loss(_Says(0, 3.0), _Says(1, 3.0), _Says(2, 9.0))
    assert monitors == {"conflict": 1.0, "pseudo_share": 1.0}
    assert loss < 1e-3, "the student is told what it believes"


def test_an_unsettled_conflict_teaches_nothing():
    loss, monitors = _pseudo_loss(_Says(0, 3.0), _Says(1, 3.0), _Says(2, 0.1))
    assert monitors == {"conflict": 1.0, "pseudo_share": 0.0}
    assert loss == 0


def test_teachers_that_agree_overrule_the_student():
    loss, monitors = _pseudo_loss(_Says(1, 9.0), _Says(1, 9.0), _Says(2, 9.0), pseudo_weight=0.5)
    assert monitors == {"conflict": 0.0, "pseudo_share": 1.0}
    assert loss == pytest.approx(0.5 * 9.0, abs=1e-2)


def test_unsure_teachers_are_not_believed():
    method, batch = _method(confidence=1.0), _batch()
    losses = method(batch, LATE)
    assert losses["pseudo"].item() == 0
    losses["pseudo"].backward()
    assert all(p.grad is None or p.grad.abs().max() == 0 for p in method.student.parameters())


def test_both_teachers_decide():
    method = _method()
    assert method.deciders() == [method.teacher.network, method.second.network]
    assert method.committee() == [*method.deciders(), method.student]
    assert not any(network.training for network in method.train().deciders())


def test_without_unlabelled_patches_it_is_supervised():
    method = _method()
    assert set(method(_batch(unlabelled=0), LATE)) == {"supervised"}
    assert method.monitors == {}


@pytest.mark.parametrize("fault", [{"longest_turn": 0}, {"confidence": 2.0}, {"pseudo_weight": -1.0}])
def test_settings_that_make_no_sense_are_refused(fault):
    with pytest.raises(ValidationError):
        ADMTSettings(**fault)


def test_the_code_for_unknown_is_never_learned_as_a_class():
    """Unsure voxels beside sure ones: the loss is the mean over the sure ones alone."""
    method, batch = _method(confidence=0.55), _batch()
    torch.manual_seed(1)
    loss = method(batch, LATE)["pseudo"].item()
    logits = method.student(batch.strong).logits.detach().double().numpy()
    found, confidence, conflict = ensemble(*(t(batch.weak).logits for t in (method.teacher, method.second)))
    assert not conflict.any(), "both are still copies of the student"
    target = torch.where(confidence >= 0.55, found, UNKNOWN).numpy()
    assert 0 < (target != UNKNOWN).mean() < 1
    sure = target != UNKNOWN
    chosen = np.take_along_axis(_softmax(logits), np.where(sure, target, 0)[:, None], axis=1)[:, 0]
    assert loss == pytest.approx(-np.log(chosen[sure]).mean(), abs=1e-5)
