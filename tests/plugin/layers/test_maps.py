"""Maps beside a prediction: each that is there has a layer of its name, on nobody's way."""

import numpy as np
import pytest

RUN = "001-dycon"


@pytest.fixture
def predicted(opened, engine):
    """All cases predicted; a map of disagreement beside alpha and gamma, a probability beside alpha."""
    study = opened.study
    (study.path / "runs" / RUN).mkdir(parents=True)
    study.set_active_run(RUN)
    for case in ("alpha", "beta", "gamma"):
        engine.predict(study, RUN, case)
    ramp = np.linspace(0, 1, 20 * 24 * 10, dtype=np.float32).reshape(20, 24, 10)
    study.predictions.save_map(RUN, "alpha", "disagreement", ramp)
    study.predictions.save_map(RUN, "gamma", "disagreement", 1 - ramp)
    study.predictions.save_map(RUN, "alpha", "probability-3", ramp / 2)
    return opened


def look(opened, case, *names):
    opened.open("beta" if case != "beta" else "gamma")
    opened.open(case)
    opened.rest()
    return [opened.viewer.layers[f"map of {name}"] for name in names]


def test_every_map_that_is_there_is_a_layer_of_its_name(predicted):
    disagreement, probability = look(predicted, "alpha", "disagreement", "probability-3")
    assert disagreement.data.shape == (10, 24, 20)
    assert tuple(disagreement.scale) == pytest.approx((2.5, 1.0, 1.0))
    assert (disagreement.data.min(), disagreement.data.max()) == (0, 255)
    assert probability.data.max() == 128
    assert probability.colormap.map(1.0)[0, :3] == pytest.approx((0.192, 0.51, 0.741), abs=0.01), (
        "the valve's"
    )
    assert predicted.viewer.layers.selection.active is predicted.layer("annotation")
    names = [layer.name for layer in predicted.viewer.layers]
    assert names.index("entropy") < names.index("map of disagreement") < names.index("prediction")


def test_a_map_is_seen_once_the_person_shows_it_and_in_the_next_case_too(predicted):
    (disagreement,) = look(predicted, "alpha", "disagreement")
    assert not disagreement.visible
    disagreement.visible = True
    first = np.array(disagreement.data)
    look(predicted, "gamma")
    assert disagreement.visible
    assert not np.array_equal(disagreement.data, first)
    assert not predicted.layer("map of probability-3").visible


def test_nothing_of_one_case_is_left_over_another(predicted):
    (disagreement,) = look(predicted, "alpha", "disagreement")
    disagreement.visible = True
    predicted.open("beta")
    assert not disagreement.visible
    assert not disagreement.data.any()
    assert disagreement.data.shape == predicted.layer("scan").data.shape
    predicted.open("alpha")
    predicted.rest()
    assert disagreement.visible
    assert disagreement.data.any()
