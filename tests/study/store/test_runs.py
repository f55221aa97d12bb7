import numpy as np
import pytest

from napari_dycon.errors import StudyError, VolumeError
from napari_dycon.study.exchange import importing
from napari_dycon.study.store.runs import ENTROPY, PROPOSAL_FILE, RunStore, probability_map, propose
from napari_dycon.study.study import Study


@pytest.fixture
def case(study, make_scan):
    return importing.add_scan(study, make_scan())


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
    for use in (study.run_dir, study.predictions.summary, lambda r: study.predictions.path(r, case.id)):
        with pytest.raises(StudyError, match="not the name of a run"):
            use(run)


def test_a_prediction_comes_back_on_the_grid_of_the_scan(study, case):
    study.add_structure("ventricle", value=7)
    run = study.new_run("dycon")
    assert study.predictions.mask(run, case.id) is None
    assert study.predictions.map(run, case.id, ENTROPY) is None
    rng = np.random.default_rng(0)
    mask = rng.choice(np.array([0, 1, 7], np.uint8), case.shape)
    entropy, probabilities = rng.random(case.shape), rng.random((3, *case.shape))
    study.predictions.save(run, case.id, mask, entropy, probabilities)
    np.testing.assert_array_equal(study.predictions.mask(run, case.id), mask)
    assert study.predictions.map(run, case.id, ENTROPY).dtype == np.float32
    np.testing.assert_allclose(study.predictions.map(run, case.id, ENTROPY), entropy, atol=0.5 / 255 + 1e-6)
    names = sorted(path.name for path in (study.path / "predictions" / run).iterdir())
    assert names == [
        f"{case.id}.entropy.nii.gz",
        f"{case.id}.nii.gz",
        f"{case.id}.probability-1.nii.gz",
        f"{case.id}.probability-7.nii.gz",
    ]
    assert (
        study.predictions.map_path(run, case.id, probability_map(study.structures[1].value)).name == names[-1]
    )


def test_a_map_is_kept_by_its_name_beside_the_others(study, case):
    run = study.new_run("dycon")
    assert study.predictions.map_names(run, case.id) == ()
    study.predictions.save(run, case.id, np.ones(case.shape, np.uint8), np.zeros(case.shape))
    values = np.random.default_rng(0).random(case.shape)
    study.predictions.save_map(run, case.id, "disagreement", values)
    assert study.predictions.map_names(run, case.id) == ("disagreement", "entropy")
    found = study.predictions.map(run, case.id, "disagreement")
    np.testing.assert_allclose(found, values, atol=0.5 / 255 + 1e-6)
    assert study.predictions.map_path(run, case.id, "disagreement").name == f"{case.id}.disagreement.nii.gz"
    assert study.predictions.mask(run, case.id).all()


@pytest.mark.parametrize("name", ["", "../up", "a.b", "Upper", "a b", "nii\0"])
def test_a_map_is_called_by_a_plain_name(study, case, name):
    run = study.new_run("dycon")
    with pytest.raises(StudyError, match="A map cannot be called"):
        study.predictions.save_map(run, case.id, name, np.zeros(case.shape))


def test_summaries_of_cases_predicted_later_are_added(study):
    run = study.new_run("dycon")
    assert study.predictions.summary(run) == {}
    study.predictions.save_summary(run, {"a": {"mean_entropy": 0.1, "empty": False}})
    study.predictions.save_summary(run, {"b": {"mean_entropy": 0.2, "empty": True}})
    assert set(study.predictions.summary(run)) == {"a", "b"}


def test_a_file_named_like_a_run_stops_no_run(study):
    study.new_run("dycon")
    (study.path / "runs" / "002-dycon").write_text("a file")
    for stray in ("._001-dycon", "001-dycon (1)", ".DS_Store"):
        (study.path / "runs" / stray).mkdir()
    assert study.new_run("dycon") == "003-dycon"
    assert study.runs() == ["001-dycon", "003-dycon"]


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b'{"a": 3, "b": {"volumes_ml": 2}}'])
def test_a_damaged_summary_stops_no_prediction(study, content):
    run = study.new_run("dycon")
    study.predictions.save_summary(run, {"a": {"ready": False}})
    path = study.path / "predictions" / run / "summary.json"
    path.write_bytes(content)
    assert not study.predictions.summary(run).get("b", {}).get("volumes_ml")
    study.predictions.save_summary(run, {"c": {"ready": False}})
    assert study.predictions.unready(run) == {"c"}


def test_what_is_not_finite_is_left_out_of_a_summary(study):
    run = study.new_run("dycon")
    row = {"mean_entropy": float("nan"), "expected_dice": {"a": float("inf"), "b": 0.5}, "ready": True}
    study.predictions.save_summary(run, {"a": row})
    assert study.predictions.summary(run) == {"a": {"expected_dice": {"b": 0.5}, "ready": True}}


def test_a_run_is_registered_without_the_lock_of_the_study(study):
    with Study.open(study.path, read_only=True) as second:
        assert [second.new_run("dycon"), study.new_run("dycon")] == ["001-dycon", "002-dycon"]


def test_a_number_that_another_process_takes_meanwhile_is_not_given_twice(study, monkeypatch):
    entries, taken = RunStore._entries, []

    def late(self):
        found = entries(self)
        if not taken:
            taken.append(study.path / "runs" / "001-dycon")
            taken[0].mkdir()
        return found

    monkeypatch.setattr(RunStore, "_entries", late)
    assert study.new_run("dycon") == "002-dycon"


def test_of_the_runs_that_were_proposed_the_holder_adopts_the_last(study):
    first, second, third = (study.new_run("dycon") for _ in range(3))
    study.set_active_run(third)
    for run in (second, first):
        propose(study.run_dir(run))
    assert study.adopt_runs() == study.active_run == first
    assert study.adopt_runs() is None


def test_a_run_that_nobody_adopted_is_adopted_by_the_next_who_opens_the_study_to_write(study):
    run = study.new_run("dycon")
    with Study.open(study.path) as second:
        propose(second.run_dir(run))
        with pytest.raises(StudyError):
            second.adopt_runs()
        assert second.active_run is None
    study.close()
    with Study.open(study.path, read_only=True) as second:
        assert second.active_run is None
    with Study.open(study.path) as second:
        assert second.active_run == run and second.notes == ()
    with Study.open(study.path, read_only=True) as second:
        assert second.active_run == run


def test_a_study_that_cannot_adopt_a_run_opens_all_the_same_and_tries_again(study, monkeypatch):
    run = study.new_run("dycon")
    propose(study.run_dir(run))
    study.close()

    def fail(self, **changes):
        raise VolumeError("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(Study, "update", fail)
        with Study.open(study.path) as second:
            assert second.active_run is None and "The disk is full" in second.notes[0]
    with Study.open(study.path) as second:
        assert second.active_run == run


@pytest.mark.parametrize("content", [b"", b"[", b"[]", b'{"proposed_ns": "now"}', b'{"proposed_ns": -1}'])
def test_a_damaged_proposal_counts_and_comes_first(study, content):
    first, second = study.new_run("dycon"), study.new_run("dycon")
    (study.run_dir(second) / PROPOSAL_FILE).write_bytes(content)
    propose(study.run_dir(first))
    assert study.adopt_runs() == first
