"""What the unlabelled scans brought: a run against its supervised twin, and how sure that is."""

import pytest

from napari_dycon.engine.comparison import (
    CONTROL_METHOD,
    Comparison,
    compare,
    read_comparison,
    train_with_control,
    twin_of,
)
from napari_dycon.engine.control import Control
from napari_dycon.engine.events import RunFinished
from napari_dycon.engine.readiness import Quality, write_quality
from napari_dycon.engine.request import Request
from napari_dycon.engine.steps import finish


def finished(run: str, dice: float | None, reason: str = "budget") -> RunFinished:
    return RunFinished(run, 100, reason, 60.0, dice, dice, "")


def compared(dice: float | None, control: float | None, *gains: float) -> Comparison:
    by_patient = {f"p{number}": gain for number, gain in enumerate(gains)}
    return Comparison(
        method="dycon",
        run="001-dycon",
        dice=dice,
        control_run="002-supervised",
        control_dice=control,
        gains=by_patient,
    )


@pytest.mark.parametrize(
    ("dice", "control", "better", "words"),
    [
        (0.842, 0.811, "001-dycon", "The unlabelled scans brought +3.1 points here"),
        (0.781, 0.811, "002-supervised", "The unlabelled scans brought -3.0 points here"),
        (0.812, 0.811, "001-dycon", "equally good"),
        (None, None, "001-dycon", "cannot be compared"),
    ],
)
def test_the_user_is_told_which_is_better_and_by_how_much(dice, control, better, words):
    comparison = compared(dice, control)
    assert comparison.better == better
    assert words in comparison.text


@pytest.mark.parametrize(
    ("gains", "words"),
    [
        ((), "measured on slices of scans that were learned from"),
        ((0.03,), "1 held-out patient only and may be chance"),
        ((0.03, 0.02, 0.04, 0.03), "4 held-out patients only and may be chance"),
        ((0.03, 0.02, 0.04, 0.03, 0.03), "between +2.3 and +3.7 points (90 %), so it is hardly chance"),
        ((0.1, -0.08, 0.04, 0.09, 0.0), "so it may be chance"),
    ],
)
def test_how_sure_it_is_depends_on_how_many_patients_agree(gains, words):
    assert words in compared(0.842, 0.811, *gains).text


def quality(**cases: float) -> Quality:
    return Quality(
        iteration=100, dice={"organ": 0.8}, guess={"organ": 0.1}, where="", held_out=True, cases=cases
    )


def test_gains_are_those_of_patients_and_are_kept_with_the_run(make_study):
    study = make_study(cases=4, labelled=4)
    ids = [case.id for case in study.cases]
    with study.mutex:
        study.replace_case(study.cases[1].model_copy(update={"patient": study.cases[0].patient}))
    runs = [study.new_run("dycon"), study.new_run("supervised")]
    write_quality(study.run_dir(runs[0]), quality(**{ids[0]: 0.8, ids[1]: 0.9, ids[2]: 0.7, ids[3]: 0.6}))
    write_quality(study.run_dir(runs[1]), quality(**{ids[0]: 0.7, ids[1]: 0.9, ids[2]: 0.8}))
    found = compare(study, "dycon", finished(runs[0], 0.75), finished(runs[1], 0.8))
    assert found.gains == pytest.approx({study.cases[0].patient: 0.05, study.cases[2].patient: -0.1})
    assert read_comparison(study.run_dir(runs[0])) == found
    assert read_comparison(study.run_dir(runs[1])) is None


def test_a_twin_begins_anew_and_leaves_the_settings_of_the_method_out():
    overrides = {"patch_size": [16, 16, 16], "method_settings": {"pairs": 2}}
    twin = twin_of(Request(method="dycon", minutes=2, seed=3, overrides=overrides, threads=1))
    assert (twin.method, twin.minutes, twin.seed, twin.warm_start) == (CONTROL_METHOD, 2, 3, False)
    assert twin.overrides == {"patch_size": [16, 16, 16]}


class Trainings:
    """Stands for what trains: each request makes a run with the next Dice."""

    def __init__(self, *ends: tuple[float, str]) -> None:
        self.ends, self.asked = list(ends), []

    def __call__(self, study, request, control):
        dice, reason = self.ends[len(self.asked)]
        self.asked.append(request)
        yield finished(study.new_run(request.method), dice, reason)


@pytest.mark.parametrize(("control", "active"), [(0.7, "001-dycon"), (0.9, "002-supervised")])
def test_the_better_of_the_two_becomes_the_active_run(make_study, control, active):
    study, train = make_study(), Trainings((0.8, "budget"), (control, "budget"))
    found = finish(train_with_control(train, study, Request(method="dycon", iterations=5), Control()))
    assert study.active_run == active == found.better and found.method == "dycon"
    assert [(one.method, one.warm_start) for one in train.asked] == [("dycon", False), ("supervised", False)]


def test_a_run_that_was_stopped_has_no_control(make_study):
    study, train = make_study(), Trainings((0.8, "stopped"))
    request = Request(method="dycon", iterations=5)
    assert finish(train_with_control(train, study, request, Control())) is None and len(train.asked) == 1
    train = Trainings((0.8, "budget"), (0.9, "stopped"))
    assert finish(train_with_control(train, study, request, Control())) is None
    assert study.active_run == "002-dycon"
