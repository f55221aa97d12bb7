import numpy as np
import pytest

from napari_dycon.guidance.quality import Check, Checks
from napari_dycon.plugin.controllers.case_rows import CaseRow, case_rows, next_case
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation


def row(case, status="unlabelled", to_review=False):
    known = {"unlabelled": 0.0, "partial": 0.5, "complete": 1.0}[status]
    return CaseRow(case, case, status, known, None, None, False, to_review=to_review)


ROWS = [row("a"), row("b", "complete"), row("c", "partial"), row("d", "complete", to_review=True)]


@pytest.mark.parametrize(
    ("order", "after", "following"),
    [
        ([], "a", "c"),
        ([], "c", "d"),
        ([], "d", "a"),
        ([], None, "a"),
        (["c", "d", "b", "a"], "d", "a"),
        (["c", "d", "b", "a"], "a", "c"),
        (["a", "c"], "c", "a"),
        (["a", "c"], "d", "a"),
        (["a"], "a", None),
        (["b"], "a", "b"),
        (["a", "gone", "c"], "a", "c"),
        (["a", "gone", "c"], "gone", "c"),
    ],
)
def test_one_goes_on_down_the_list_as_it_is_shown(order, after, following):
    assert next_case(ROWS, order, after) == following


def test_when_all_is_done_there_is_no_next_one_but_a_list_of_done_ones_can_be_gone_through():
    done = [row(case, "complete") for case in "abc"]
    assert next_case(done, ["a", "b", "c"], "a") is None
    assert next_case(done, ["b", "c"], "b") == "c"
    assert next_case([], [], None) is None


def test_rows_carry_what_the_notebook_says(study_path):
    with Study.open(study_path) as study:
        study.notebook.write("beta", note="cough", flagged=True, to_review=True)
        study.notebook.spend({"beta": 90.0})
        rows = {item.id: item for item in case_rows(study, None, "alpha")}
    assert (rows["beta"].note, rows["beta"].flagged, rows["beta"].seconds) == ("cough", True, 90.0)
    assert rows["beta"].sign == "review"
    assert rows["alpha"].sign == "unlabelled"


def test_rows_carry_what_may_be_expected_and_what_it_rests_on(study_path):
    with Study.open(study_path) as study:
        name = study.structures[0].name
        run = study.new_run("dycon")
        study.set_active_run(run)
        row = {"expected_dice": {name: 0.97}, "volumes_ml": {name: 50.0}, "cut": [name], "mean_entropy": 0.1}
        study.predictions.save_summary(run, {"alpha": row, "beta": row})
        checks = Checks(Check(f"c{i}", f"p{i}", name, 0.95, 0.95, 10.0, 10.0) for i in range(9))
        labels = np.zeros(study.case("beta").shape, np.uint8)
        labels[2:4, 2:4, 1:2] = study.structures[0].value
        study.save_annotation("beta", Annotation.full(labels), "complete")
        rows = {item.id: item for item in case_rows(study, name, "alpha", checks=checks)}
        alone = {item.id: item for item in case_rows(study, name, "alpha")}["alpha"]
    assert rows["alpha"].outlook.checked == 9 and rows["alpha"].may_leave and rows["alpha"].cut
    assert rows["alpha"].volume_range == pytest.approx((50.0, 50.0))
    assert (alone.outlook.checked, alone.may_leave, alone.volume_range) == (0, False, None)
    assert rows["beta"].outlook is None and not rows["beta"].may_leave and not rows["beta"].cut
    assert rows["beta"].volume_range is None
