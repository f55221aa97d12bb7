import numpy as np
import pytest

from napari_dycon.errors import StudyError


@pytest.fixture
def case(study, make_scan):
    return study.add_scan(make_scan())


def test_runs_are_numbered_in_order(study):
    assert study.runs() == []
    for number in range(1, 12):
        assert study.new_run("dycon") == f"{number:03d}-dycon"
    assert study.runs()[-1] == "011-dycon"
    assert study.run_dir("011-dycon").is_dir()


def test_the_active_run_is_remembered_while_it_exists(study):
    assert study.active_run is None
    run = study.new_run("supervised")
    study.set_active_run(run)
    assert study.active_run == run
    study.run_dir(run).rmdir()
    assert study.active_run is None
    with pytest.raises(StudyError, match="no run"):
        study.set_active_run(run)


@pytest.mark.parametrize("run", ["../..", "001-dycon/../..", "", "dycon", "001-DYCON", "001-a\0"])
def test_a_name_that_is_no_run_leads_nowhere(study, case, run):
    for use in (study.run_dir, study.prediction_summary, lambda r: study.prediction_path(r, case.id)):
        with pytest.raises(StudyError, match="not the name of a run"):
            use(run)


def test_a_prediction_comes_back_on_the_grid_of_the_scan(study, case):
    study.add_structure("ventricle", value=7)
    run = study.new_run("dycon")
    assert study.prediction(run, case.id) is None
    assert study.entropy(run, case.id) is None
    rng = np.random.default_rng(0)
    mask = rng.choice(np.array([0, 1, 7], np.uint8), case.shape)
    entropy, probabilities = rng.random(case.shape), rng.random((3, *case.shape))
    study.save_prediction(run, case.id, mask, entropy, probabilities)
    np.testing.assert_array_equal(study.prediction(run, case.id), mask)
    assert study.entropy(run, case.id).dtype == np.float32
    np.testing.assert_allclose(study.entropy(run, case.id), entropy, atol=0.5 / 255 + 1e-6)
    names = sorted(path.name for path in (study.path / "predictions" / run).iterdir())
    assert names == [
        f"{case.id}.entropy.nii.gz",
        f"{case.id}.nii.gz",
        f"{case.id}.probability-1.nii.gz",
        f"{case.id}.probability-7.nii.gz",
    ]
    assert study.probabilities_path(run, case.id, study.structures[1]).name == names[-1]


def test_summaries_of_cases_predicted_later_are_added(study):
    run = study.new_run("dycon")
    assert study.prediction_summary(run) == {}
    study.save_prediction_summary(run, {"a": {"mean_entropy": 0.1, "empty": False}})
    study.save_prediction_summary(run, {"b": {"mean_entropy": 0.2, "empty": True}})
    assert set(study.prediction_summary(run)) == {"a", "b"}
