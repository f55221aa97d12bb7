"""The teacher follows its student and nothing else."""

import copy

import pytest
import torch

from napari_dycon.learning.networks import NetworkSpec, build_network
from napari_dycon.learning.teacher import Teacher

SPEC = NetworkSpec(widths=(4, 8), strides=((2, 2, 2),), projection=8, dropout=0.5)


def _changed(network, amount):
    changed = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in changed.parameters():
            parameter.add_(amount)
    return changed


def test_it_starts_as_a_copy_and_becomes_the_student_at_the_first_step():
    student = build_network(SPEC)
    teacher = Teacher(student, 0.9)
    later = _changed(student, 1.0)
    teacher.update(later)
    for mine, theirs in zip(teacher.network.parameters(), later.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_it_averages_with_growing_momentum():
    student = build_network(SPEC)
    teacher = Teacher(student, 0.2)
    start = next(student.parameters()).clone()
    expected = 0.0
    for step, momentum in enumerate([0.0, 1 / 10, 2 / 11, 0.2, 0.2]):
        expected = momentum * expected + (1 - momentum) * step
        teacher.update(_changed(student, float(step)))
        assert torch.allclose(next(teacher.network.parameters()), start + expected, atol=1e-5)


def test_it_stays_in_evaluation_mode_without_gradients():
    teacher = Teacher(build_network(SPEC)).train()
    image = torch.randn(1, 1, 8, 8, 8, requires_grad=True)
    first, second = teacher(image).logits, teacher(image).logits
    assert torch.equal(first, second), "dropout must be off"
    assert not first.requires_grad
    assert not teacher.network.training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


def test_it_remembers_its_updates():
    teacher = Teacher(build_network(SPEC))
    for _ in range(3):
        teacher.update(build_network(SPEC))
    other = Teacher(build_network(SPEC))
    other.load_state_dict(teacher.state_dict())
    assert int(other.updates) == 3


def test_counts_are_copied_and_statistics_averaged():
    student = build_network(SPEC)
    student.register_buffer("mean", torch.tensor(4.0))
    student.register_buffer("count", torch.tensor(0))
    teacher = Teacher(student, 0.5)
    teacher.update(student)
    student.mean.fill_(8.0)
    student.count.fill_(7)
    teacher.update(student)
    assert teacher.network.mean.item() == pytest.approx(0.1 * 4.0 + 0.9 * 8.0)
    assert teacher.network.count.item() == 7
