"""Structures that count as one more: planned, learned, measured."""

import numpy as np

from napari_dycon.engine.evaluation import evaluate
from napari_dycon.engine.models.adoption import adopt_model
from napari_dycon.engine.models.model import read_model
from napari_dycon.engine.readiness import latest_quality
from napari_dycon.engine.runs import RunFolder
from napari_dycon.study.store.schema import Structure, Whole
from napari_dycon.study.store.wholes import add_wholes
from napari_dycon.study.study import Study
from tests.engine.conftest import NODE, ORGAN, ball_case, save_scan

BALL = Whole(name="ball", parts=(ORGAN, NODE))


def test_a_whole_is_learned_measured_and_kept_with_the_run(make_study, train):
    study = make_study(cases=3)
    add_wholes(study, [BALL])
    train(study, "supervised", iterations=2)
    run = RunFolder(study.run_dir(study.active_run))
    assert run.plan().wholes == {"ball": (ORGAN, NODE)}
    assert run.method()[1].wholes == ((1, 2),)
    quality = latest_quality(run.path)
    assert set(quality.wholes) == {"ball"}
    assert "ball" not in quality.dice and quality.mean_dice == quality.dice["organ"]


def test_a_model_taken_over_keeps_a_whole_of_which_all_parts_are_here(make_study, train, tmp_path):
    study = make_study(cases=2)
    add_wholes(study, [BALL])
    train(study, "supervised", iterations=1)
    model = read_model(study.run_dir(study.active_run))
    both = [Structure(value=1, name="node"), Structure(value=2, name="organ")]
    for structures, wholes in ((both, {"ball": (2, 1)}), (both[:1], {})):
        with Study.create(tmp_path / f"here {len(structures)}", structures) as here:
            adopted = adopt_model(here, model)
            assert RunFolder(here.run_dir(adopted.run)).plan().wholes == wholes


def test_predictions_are_compared_by_their_wholes_too(make_study, train, tmp_path):
    study, folder = make_study(cases=1, labelled=1), tmp_path / "truth"
    run = train(study, "supervised", iterations=1)[0].run
    add_wholes(study, [BALL])
    truth, record = ball_case(0)[1], study.cases[0]
    folder.mkdir()
    save_scan(folder / f"{record.name}.nii.gz", truth)
    swapped = np.select([truth == ORGAN, truth == NODE], [NODE, ORGAN], 0).astype(np.uint8)
    study.predictions.save(run, record.id, swapped, np.zeros(truth.shape, np.float32))
    (case,) = evaluate(study, run, folder).cases
    assert [score.dice for score in case.scores] == [0, 0]
    assert case.wholes["ball"].dice == 1
    volumes = study.cases[0].volumes_ml
    assert volumes["ball"] == volumes["organ"] + volumes["node"] > 0
