"""What the networks of a run begin with, and who decides it; and what they are shown."""

import numpy as np
import torch

from napari_dycon.engine.control import Control
from napari_dycon.engine.request import Request
from napari_dycon.engine.runs import RunFolder, build_method
from napari_dycon.engine.self_training import Filled
from napari_dycon.engine.setup import prepare
from napari_dycon.engine.start import make_start
from napari_dycon.engine.steps import finish
from napari_dycon.learning.batch import IGNORE
from tests.engine.conftest import TINY

RANDOM = {**TINY, "fitted_head": False}


def started(study, overrides, **changes):
    request = Request(iterations=4, overrides=overrides, threads=1, device="cpu", **changes)
    return make_start(finish(prepare(study, request, Control())))


def same(one, other):
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_on_request_a_run_begins_with_the_random_networks_of_its_seed(make_study):
    start = started(make_study(), RANDOM, seed=3)
    torch.manual_seed(3)
    assert same(start.method.state_dict(), build_method("dycon", start.plan).state_dict())


def test_by_default_it_begins_with_a_head_that_fits_its_labels_and_nothing_else_is_changed(make_study):
    study = make_study()
    start, again, random = (started(study, wish, seed=3) for wish in (TINY, TINY, RANDOM))
    own, other = (run.method.student.state_dict() for run in (start, random))
    assert same(own, again.method.student.state_dict()) and same(
        own, start.method.teacher.network.state_dict()
    )
    changed = {name for name in own if not torch.equal(own[name], other[name])}
    assert changed == {"head.convolution.weight", "head.convolution.bias"}
    batch = start.sampler().batch(7)
    with torch.no_grad():
        fitted, unfitted = (run.method.supervised(batch)["supervised"] for run in (start, random))
    assert fitted < 0.8 * unfitted


def test_the_last_model_wins(make_study, train):
    study = make_study()
    train(study, "supervised", iterations=3)
    earlier = RunFolder(study.run_dir("001-supervised")).method()[1].student.state_dict()
    assert same(started(study, TINY, method="supervised").method.student.state_dict(), earlier)


def test_what_the_model_made_of_a_scan_stands_beside_what_a_person_said_of_it(make_study):
    """A person's labels are shown whole, the model's come last, where methods paste them into others."""
    start = started(make_study(cases=3, labelled=2), TINY)
    own = {case.case: Filled(np.ones(case.grid, np.uint8), None) for case in start.cases}
    for iteration in range(4):
        target = start.sampler(own).batch(iteration, (4, 0)).target
        assert set(target[3].unique().tolist()) <= {1, IGNORE}
        assert all(0 in patch for patch in target[:3])
