"""Copies of layers on further canvases."""

from napari.components import ViewerModel

from napari_dycon.plugin.canvases.mirrors import Mirror


def test_a_plane_counts_the_slices_of_the_scan_on_screen_whatever_was_shown_before(opened):
    beside = ViewerModel()
    mirrors = [Mirror(layer, lambda *_: None) for layer in opened.viewer.layers]
    beside.layers.extend(mirror.layer for mirror in mirrors)
    assert not beside.layers["entropy"].visible
    for case in ("beta", "gamma", "beta"):
        opened.open(case)
        assert beside.dims.nsteps == opened.viewer.dims.nsteps == opened.session._desk.case.display.shape
    for mirror in mirrors:
        mirror.close()


def test_it_does_so_where_the_prediction_is_hidden_only_while_cases_change(opened, engine):
    study = opened.study
    run = study.new_run("dycon")
    study.set_active_run(run)
    for case in ("alpha", "beta"):
        engine.predict(study, run, case)
    opened.open("beta")
    beside = ViewerModel()
    mirrors = [Mirror(layer, lambda *_: None) for layer in opened.viewer.layers]
    beside.layers.extend(mirror.layer for mirror in mirrors)
    for case in ("alpha", "beta", "alpha"):
        opened.open(case)
        assert beside.layers["prediction"].visible
        assert beside.dims.nsteps == opened.session._desk.case.display.shape
    for mirror in mirrors:
        mirror.close()
