"""The session: what is painted is kept, what runs can be stopped, what goes wrong is said in one sentence."""

import gc
import weakref
from operator import attrgetter

import nibabel as nib
import numpy as np
import pytest
from napari.components import ViewerModel

from napari_dycon.io.masks import write_mask
from napari_dycon.plugin.background.jobs import PredictionLoaded
from napari_dycon.plugin.session import get_session
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Known


def errors(notes):
    return [text for level, text in notes if level == "error"]


# ---- one session a viewer ---------------------------------------------------------------------------------


def test_every_viewer_has_its_own_session_and_keeps_it(make_session, study_path):
    first, second = ViewerModel(), ViewerModel()
    one, other = make_session(first), make_session(second)
    assert one is not other
    assert get_session(first) is one
    one.open_study(study_path)
    assert other.study is None


def test_a_proxy_leads_to_the_session_of_the_viewer_behind_it(make_session):
    class Proxy:
        def __init__(self, viewer):
            self.__wrapped__ = viewer

    viewer = ViewerModel()
    proxy = Proxy(viewer)
    one = get_session(proxy)
    del proxy
    gc.collect()
    assert get_session(viewer) is one
    assert make_session(viewer) is one


def test_a_session_does_not_keep_its_viewer_alive(qtbot, engine, notes):
    viewer = ViewerModel()
    get_session(viewer)
    gone = weakref.ref(viewer)
    del viewer
    gc.collect()
    assert gone() is None


def test_a_second_viewer_can_only_look_at_a_study_that_is_open(opened, make_session, study_path, notes):
    other = make_session()
    other.open_study(study_path)
    assert other.study.read_only
    other.training.train("dycon", 1)
    assert not other.tasks.state.busy
    assert "only" in errors(notes)[-1]
    other.cases.open("alpha")
    opened.wait(lambda: other.cases.case_id == "alpha")
    other_layer = other._presenter.annotation
    assert not other_layer.editable


# ---- painting ---------------------------------------------------------------------------------------------


def test_paint_is_on_disk_within_five_seconds_and_only_the_painted_voxels_are_known(opened):
    opened.paint((4, 10, 8), value=3)
    painted = opened.layer("annotation").data == 3
    opened.wait(lambda: opened.study.case("alpha").status == "partial", seconds=5)
    saved = opened.study.annotation("alpha")
    display = opened.session._desk.case.display
    assert painted.any()
    assert np.array_equal(display.apply(saved.labels) == 3, painted)
    assert np.array_equal(display.apply(saved.known) == Known.DRAWN, painted)
    assert opened.session.labels.saved[1]
    assert opened.session.labels.saved[0].startswith("Saved")


def test_erased_voxels_are_known_background(opened):
    opened.paint((4, 10, 8), value=3)
    opened.paint((4, 10, 8), value=0)
    opened.session.save_now()
    saved = opened.study.annotation("alpha")
    assert saved.labels.max() == 0
    assert np.count_nonzero(saved.known == Known.DRAWN) > 4


def test_an_undone_stroke_is_unknown_again_on_disk(opened):
    opened.paint((4, 10, 8), value=3)
    opened.session.save_now()
    opened.layer("annotation").undo()
    opened.wait(lambda: opened.study.case("alpha").status == "unlabelled", seconds=6)
    assert not opened.study.annotation("alpha").known.any()


def test_fill_and_polygon_strokes_reach_the_known_map(opened):
    layer = opened.layer("annotation")
    layer.fill((4, 10, 8), 1)
    opened.session.save_now()
    saved = opened.study.annotation("alpha")
    display = opened.session._desk.case.display
    known = display.apply(saved.known)
    assert known[4].all()
    assert not known[5].any()


def test_painting_and_going_to_another_case_at_once_loses_nothing(opened):
    opened.paint((4, 10, 8), value=3)
    opened.open("beta")
    opened.paint((5, 5, 5), value=1)
    opened.open("alpha")
    assert (opened.layer("annotation").data == 3).any()
    assert (opened.study.annotation("beta").labels == 1).any()


def test_undo_after_a_prediction_arrived_changes_only_the_persons_own_labels(opened):
    opened.paint((4, 10, 8), value=3)
    opened.session.training.train("dycon", 1)
    opened.wait(lambda: opened.session.cases.has_prediction)
    opened.rest()
    predicted = opened.layer("prediction").data.copy()
    assert predicted.any()
    opened.layer("annotation").undo()
    assert not opened.layer("annotation").data.any()
    assert np.array_equal(opened.layer("prediction").data, predicted)
    opened.layer("prediction").undo()
    assert np.array_equal(opened.layer("prediction").data, predicted)
    opened.layer("annotation").redo()
    opened.session.save_now()
    assert (opened.study.annotation("alpha").labels == 3).any()


def test_a_full_disk_is_told_and_the_painting_stays(opened, monkeypatch, notes):
    from napari_dycon.errors import VolumeError

    def full(*arguments):
        raise VolumeError("The disk is full; nothing was overwritten.")

    monkeypatch.setattr(opened.study, "save_annotation", full)
    opened.paint((4, 10, 8), value=3)
    opened.wait(lambda: not opened.session.labels.saved[1], seconds=6)
    assert "disk is full" in opened.session.labels.saved[0]
    assert [text for text in errors(notes) if "labels of alpha are not saved" in text]
    opened.paint((6, 10, 8), value=3)
    assert not opened.session.labels.saved[1], "more of it is not on disk, and no less"
    monkeypatch.undo()
    opened.session.save_now()
    opened.wait(lambda: opened.session.labels.saved[1])
    assert (opened.study.annotation("alpha").labels == 3).any()


@pytest.mark.parametrize("labels_too", [True, False])
def test_on_a_full_disk_the_loud_word_is_about_labels(opened, monkeypatch, notes, labels_too):
    from napari_dycon.errors import VolumeError

    def full(*arguments, **options):
        raise VolumeError("The disk is full; nothing was overwritten.")

    monkeypatch.setattr(opened.study.notebook, "save", full)
    if labels_too:
        monkeypatch.setattr(opened.study, "save_annotation", full)
        opened.paint((4, 10, 8), value=3)
        opened.wait(lambda: not opened.session.labels.saved[1], seconds=6)
    opened.session.cases.list.set_note("alpha", "odd")
    opened.rest()
    opened.wait(lambda: not opened.session.cases.list.logbook._queue.busy)
    loud = [text for level, text in notes if level == "error"]
    quiet = [text for level, text in notes if level == "warning"]
    assert bool(loud) == labels_too and not any("Notes" in text for text in loud)
    assert len(quiet) == (not labels_too) and all("Notes and times" in text for text in quiet)


# ---- slices and predictions -------------------------------------------------------------------------------


def test_a_slice_is_declared_complete_and_opened_again(opened):
    heard = []
    opened.session.labels.slice_state_changed.connect(lambda complete, text: heard.append((complete, text)))
    opened.viewer.dims.set_point(0, 4 * 2.5)
    opened.session.labels.toggle_slice_complete()
    assert opened.session.labels.slice_state == (True, "Axial 5 of 10")
    opened.viewer.dims.set_point(0, 5 * 2.5)
    assert opened.session.labels.slice_state == (False, "Axial 6 of 10")
    opened.viewer.dims.set_point(0, 4 * 2.5)
    opened.session.save_now()
    known = opened.session._desk.case.display.apply(opened.study.annotation("alpha").known)
    assert known[4].all()
    assert np.count_nonzero(known) == known[4].size
    opened.session.labels.toggle_slice_complete()
    assert not opened.session.labels.slice_state[0]
    assert [complete for complete, _ in heard][-1] is False


def test_in_3d_there_is_no_slice_to_declare(opened, notes):
    opened.viewer.dims.ndisplay = 3
    opened.session.labels.toggle_slice_complete()
    assert "2D" in errors(notes)[-1]


def test_coronal_and_sagittal_slices_can_be_complete_too(opened):
    for plane, axis in (("coronal", 1), ("sagittal", 2)):
        opened.session.views.show_plane(plane)
        opened.session.labels.toggle_slice_complete()
        assert opened.session.labels.slice_state[1].startswith(plane.capitalize())
        known = opened.session._desk.case.display.apply(opened.session._desk.case.annotation.known)
        index = int(opened.session.labels.slice_state[1].split()[1]) - 1
        assert known.take(index, axis).all()


def test_a_complete_case_is_complete_in_the_table(opened):
    opened.session.labels.complete_case()
    opened.rest()
    opened.session.save_now()
    row = opened.session.cases.list.rows()[0]
    assert (row.status, row.known_fraction, row.open) == ("complete", 1.0, True)
    assert row.volume_ml == 0.0


def predict_all(opened):
    opened.paint((4, 10, 8), value=3)
    opened.session.training.train("dycon", 1)
    opened.wait(lambda: opened.session.cases.has_prediction)
    opened.rest()


def test_accepting_a_slice_fills_only_what_nobody_has_drawn_on_that_slice(opened):
    predict_all(opened)
    opened.viewer.dims.set_point(0, 4 * 2.5)
    drawn = opened.layer("annotation").data == 3
    predicted = opened.layer("prediction").data
    opened.session.regions.decide("accept", "slice")
    now = opened.layer("annotation").data
    assert np.array_equal(now == 3, drawn)
    assert np.array_equal((now == 1)[4], (predicted == 1)[4] & ~drawn[4])
    assert not (now == 1)[[3, 5]].any()
    opened.session.save_now()
    known = opened.session._desk.case.display.apply(opened.study.annotation("alpha").known)
    assert np.array_equal(known[4] == Known.ACCEPTED, ~drawn[4])


def test_undo_takes_back_the_acceptance_first_and_then_the_stroke_before_it(opened):
    predict_all(opened)
    opened.session.regions.decide("accept", "case")
    opened.rest()
    opened.layer("annotation").undo()
    opened.session.save_now()
    saved = opened.study.annotation("alpha")
    assert not (saved.known == Known.ACCEPTED).any()
    assert (saved.known == Known.DRAWN).any()
    opened.layer("annotation").undo()
    assert not opened.layer("annotation").data.any()


def test_there_is_nothing_to_accept_without_a_prediction(opened, notes):
    opened.session.regions.decide("accept", "slice")
    opened.session.regions.decide("accept", "case")
    assert len(errors(notes)) == 2
    assert "no prediction yet" in errors(notes)[0]


# ---- training and prediction ------------------------------------------------------------------------------


def test_training_ends_in_predictions_of_the_open_case_first_and_in_suggestions(opened, engine):
    opened.open("beta")
    kinds = []
    opened.session.tasks.changed.connect(lambda task: kinds.append(task.kind))
    opened.session.training.train("dycon", 1)
    assert opened.session.tasks.state.kind == "training"
    opened.rest()
    opened.wait(lambda: not opened.session.tasks.state.busy and len(engine.predicted) == 3)
    assert engine.predicted[0] == "beta"
    assert kinds[0] == "training"
    assert "predicting" in kinds
    assert kinds[-1] == "idle"
    assert opened.session.tasks.curves.losses["supervised"][0] == [1, 2, 3, 4, 5]
    assert opened.session.tasks.curves.dice == ([5], [0.8])
    assert opened.session.suggestions.places[0].case == "gamma"
    assert opened.session.cases.list.rows()[1].uncertainty == 0.25
    assert opened.session.cases.list.rows()[1].volume_ml == 1.5
    assert opened.layer("prediction").data.any()
    assert opened.layer("entropy").data.dtype == np.uint8
    assert np.asarray(opened.layer("entropy").data).max() / 255 == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("mat1 and mat2 shapes"), MemoryError(), SystemExit(1)],
    ids=lambda e: type(e).__name__,
)
def test_a_failing_training_leaves_the_session_idle_and_says_why(opened, engine, notes, error):
    engine.error = error
    opened.paint((4, 10, 8), value=3)
    opened.session.training.train("dycon", 1)
    opened.wait(lambda: not opened.session.tasks.state.busy)
    assert len(errors(notes)) == 1
    assert engine.predicted == []
    assert (opened.study.annotation("alpha").labels == 3).any()
    engine.error = None
    opened.session.training.train("dycon", 1)
    opened.wait(lambda: opened.session.cases.has_prediction)


def test_what_was_painted_is_on_disk_before_training_begins(opened, engine, monkeypatch):
    opened.paint((4, 10, 8), value=3)
    engine.step_seconds = 0.2
    opened.session.training.train("dycon", 1)
    opened.wait(lambda: engine.trained > 0)
    assert (opened.study.annotation("alpha").labels == 3).any()


def test_pause_resume_and_stop(opened, engine):
    engine.steps, engine.step_seconds = 10_000, 0.01
    opened.session.training.train("dycon", 1)
    opened.wait(lambda: engine.trained > 2)
    opened.session.tasks.pause()
    opened.wait(lambda: opened.session.tasks.state.phase == "paused")
    trained = engine.trained
    opened.qtbot.wait(200)
    assert engine.trained == trained
    opened.session.tasks.resume()
    opened.wait(lambda: engine.trained > trained)
    opened.session.tasks.stop()
    opened.wait(lambda: opened.session.cases.has_prediction)
    opened.rest()
    assert opened.study.active_run is not None


def test_a_control_tells_what_the_unlabelled_scans_brought(opened, notes):
    opened.session.training.train("dycon", 1, True)
    opened.wait(lambda: opened.session.cases.has_prediction)
    assert ("info", "The unlabelled scans brought +10.0 points here.") in notes
    assert ("info", "The twin ended.") not in notes
    assert opened.session.tasks.curves.losses["supervised"][0] == [1], "the curves are those of the control"
    opened.rest()
    opened.session.training.train("supervised", 1, True)
    opened.wait(lambda: ("info", "Training ended.") in notes)


def test_pressing_train_twice_trains_once(opened, engine, notes):
    engine.steps, engine.step_seconds = 50, 0.01
    opened.session.training.train("dycon", 1)
    opened.session.training.train("dycon", 1)
    assert "Training is under way" in errors(notes)[-1]
    opened.wait(lambda: len(engine.predicted) == 3)
    assert opened.study.runs() == ["001-dycon"]


def test_train_during_the_prediction_that_follows_stops_it_and_trains(opened, engine):
    engine.step_seconds = 0.05
    opened.session.training.train("dycon", 1)
    opened.wait(lambda: opened.session.tasks.state.kind == "predicting")
    opened.session.training.train("dycon", 1)
    opened.wait(lambda: opened.session.tasks.state.kind == "training")
    opened.wait(lambda: len(engine.predicted) >= 3 and not opened.session.tasks.state.busy)
    assert opened.study.runs() == ["001-dycon", "002-dycon"]


def test_a_case_can_be_opened_while_others_are_predicted(opened, engine):
    engine.step_seconds = 0.2
    opened.session.training.train("dycon", 1)
    opened.wait(lambda: opened.session.tasks.state.kind == "predicting")
    opened.open("beta")
    assert opened.session.tasks.state.kind == "predicting"
    opened.wait(lambda: opened.layer("prediction").data.any())
    opened.rest()


def test_predicting_without_a_model_is_refused_in_words(opened, notes):
    opened.session.training.predict()
    assert "no trained model" in errors(notes)[-1]


def test_closing_during_training_keeps_checkpoint_and_annotations(opened, engine, study_path):
    engine.steps, engine.step_seconds = 10_000, 0.01
    opened.session.training.train("dycon", 1)
    opened.wait(lambda: engine.trained > 2)
    opened.paint((4, 10, 8), value=3)
    opened.session.close()
    assert not opened.session.tasks.state.busy
    with Study.open(study_path) as study:
        assert not study.read_only, "the lock was given back"
        assert (study.run_dir("001-dycon") / "checkpoint").exists()
        assert (study.annotation("alpha").labels == 3).any()


def test_curves_and_predictions_are_there_again_after_a_restart(opened, make_session, study_path):
    predict_all(opened)
    run = opened.study.active_run
    line = '{"event": "StepFinished", "iteration": 4, "losses": {"supervised": 0.5}}\n'
    (opened.study.run_dir(run) / "events.jsonl").write_text(line)
    opened.session.close()
    again = make_session()
    again.open_study(study_path)
    opened.wait(lambda: not again.tasks.curves.empty)
    assert again.tasks.curves.losses["supervised"] == ([4], [0.5])
    again.cases.open("beta")
    opened.wait(lambda: again.cases.case_id == "beta")
    assert again.cases.has_prediction
    assert again.suggestions.places


# ---- getting about ----------------------------------------------------------------------------------------


def test_the_next_suggestion_opens_its_case_on_its_slice(opened):
    opened.rest()
    opened.session.suggestions.step()
    opened.wait(lambda: opened.session.cases.case_id == "beta")
    assert opened.session.suggestions.index == 0
    assert opened.session._presenter.slices.current_slice() == (1, 7)
    assert tuple(opened.viewer.dims.order) == (1, 0, 2)
    assert opened.session.labels.slice_state[1].startswith("Coronal")


def test_only_the_case_asked_for_last_is_shown(opened):
    seen = []
    opened.session.cases.opened.connect(seen.append)
    for case in ("beta", "gamma", "beta", "gamma"):
        opened.session.cases.open(case)
    opened.wait(lambda: opened.session.cases.case_id == "gamma")
    opened.rest()
    assert seen[-1] == "gamma"
    assert "alpha" not in seen


def test_what_is_painted_after_the_first_of_two_clicks_on_a_case_is_kept(opened):
    opened.session.cases.open("beta")
    opened.open("beta")
    opened.paint((5, 5, 5), value=1)
    opened.wait(lambda: not opened.session._loads.busy)
    opened.rest()
    assert (opened.layer("annotation").data == 1).any()
    opened.session.save_now()
    assert (opened.study.annotation("beta").labels == 1).any()


def test_a_scan_that_is_gone_is_told_and_the_open_case_stays(opened, notes):
    opened.study.scan_path("beta").unlink()
    opened.session.cases.open("beta")
    opened.rest()
    assert any("beta" in text for text in errors(notes))
    opened.open("alpha")
    opened.paint((4, 10, 8), value=3)
    opened.session.save_now()
    assert (opened.study.annotation("alpha").labels == 3).any()


def predict(opened):
    """Let a prediction of the open case arrive."""
    case = opened.session._desk.case
    shape = case.annotation.shape
    unsure = np.zeros(shape, np.float32)
    opened.session.views.show_prediction(PredictionLoaded(case.case_id, np.zeros(shape, np.uint8), unsure))


def test_overlays_are_switched_and_remembered_for_the_next_case(opened):
    opened.session.views.set_overlay(prediction=False, opacity=0.3)
    opened.open("beta")
    predict(opened)
    assert not opened.layer("prediction").visible
    assert opened.layer("entropy").visible
    assert opened.layer("entropy").opacity == pytest.approx(0.3)


def test_layers_of_a_prediction_are_drawn_only_where_there_is_one(opened):
    def drawn():
        return [opened.layer(name).visible for name in ("prediction", "entropy")]

    assert drawn() == [False, False]
    predict(opened)
    assert drawn() == [True, True]
    opened.session.views.set_overlay(entropy=False)
    assert drawn() == [True, False]
    opened.open("beta")
    assert drawn() == [False, False]


# ---- the study --------------------------------------------------------------------------------------------


def test_scans_are_added_in_the_background_and_bad_files_told(opened, notes, tmp_path):
    good, bad = tmp_path / "delta.nii.gz", tmp_path / "broken.nii.gz"
    nib.save(
        nib.Nifti1Image(np.random.default_rng(9).normal(size=(12, 12, 12)).astype(np.float32), np.eye(4)),
        good,
    )
    bad.write_bytes(good.read_bytes()[:100])
    opened.session.exchange.add_scans([good, bad])
    assert opened.session.tasks.state.kind == "importing"
    opened.rest()
    assert [row.name for row in opened.session.cases.list.rows()][-1] == "delta"
    assert ("info", "1 scan was added.") in notes
    assert any(level == "warning" and "broken" in text for level, text in notes)


def test_the_first_scan_of_a_new_study_is_shown_at_once(opened, tmp_path):
    scans = [opened.study.scan_path(name) for name in ("beta", "gamma")]
    opened.session.new_study(tmp_path / "new", [Structure(value=1, name="atrium", color="#e6550d")])
    opened.rest()
    opened.session.exchange.add_scans(scans)
    opened.wait(lambda: opened.session.cases.case_id == "beta")
    opened.rest()
    assert opened.session.cases.case_id == "beta", "the second scan does not take its place"


def test_export_writes_what_the_study_would(opened, tmp_path, notes):
    opened.session.labels.complete_case()
    opened.rest()
    opened.session.exchange.export(tmp_path / "out")
    opened.rest()
    assert (tmp_path / "out" / "volumes.csv").exists()
    assert errors(notes) == []


def test_predictions_of_a_model_that_was_not_ready_are_not_exported_and_that_is_said_once(
    opened, engine, tmp_path, notes
):
    run = opened.study.new_run("dycon")
    for case in ("beta", "gamma"):
        engine.predict(opened.study, run, case)
        row = opened.study.predictions.summary(run)[case]
        opened.study.predictions.save_summary(run, {case: {**row, "ready": False}})
    opened.study.set_active_run(run)
    opened.session.labels.complete_case()
    opened.rest()
    opened.session.exchange.export(tmp_path / "out")
    opened.rest()
    names = {path.name for path in (tmp_path / "out").glob("*.nii.gz")}
    assert "alpha.nii.gz" in names and not names & {"beta.nii.gz", "gamma.nii.gz"}
    ((level, text),) = [(level, text) for level, text in notes if "left out" in text]
    assert level == "warning"
    assert text == (
        f"1 mask (1 annotation) and volumes.csv are in {tmp_path / 'out'}. "
        "The predictions of 2 cases were left out: the model was not ready yet. Train on and predict again."
    )


def test_a_folder_that_is_no_study_is_told_and_the_open_one_stays(opened, tmp_path, notes):
    opened.session.open_study(tmp_path)
    assert errors(notes)
    assert opened.session.cases.case_id == "alpha"
    assert opened.session.study is not None


def test_opening_the_same_study_again_changes_nothing(opened, study_path):
    opened.paint((4, 10, 8), value=3)
    opened.session.open_study(study_path / "study.json")
    assert opened.session.cases.case_id == "alpha"
    assert not opened.study.read_only


def test_a_new_structure_is_the_one_that_is_painted(opened):
    opened.session.structures.add("appendage")
    value = opened.session.structures.active_value
    assert opened.layer("annotation").selected_label == value
    assert opened.session.structures.all[-1].name == "appendage"
    opened.session.structures.select(3)
    assert opened.layer("annotation").selected_label == 3


def test_napari_can_only_choose_labels_that_are_structures(opened):
    opened.layer("annotation").selected_label = 3
    assert opened.session.structures.active_value == 3
    opened.layer("annotation").selected_label = 9
    assert opened.layer("annotation").selected_label == 3
    assert opened.session.structures.active_value == 3


def test_labels_imported_for_the_open_case_are_shown_and_survive_the_next_stroke(opened, tmp_path):
    case = opened.study.case("beta")
    opened.open("beta")
    masks = tmp_path / "masks"
    masks.mkdir()
    mask = np.zeros(case.shape, np.uint8)
    mask[3:9, 3:9, 3:9] = 1
    write_mask(masks / "beta.nii.gz", mask, opened.study.scan_path("beta"))
    opened.session.exchange.add_scans([opened.study.scan_path("beta")], masks)
    opened.wait(lambda: opened.session.tasks.state.kind == "idle" and opened.session.cases.case_id == "beta")
    opened.wait(lambda: (opened.layer("annotation").data == 1).sum() == mask.sum())
    opened.paint((1, 1, 1), value=3, size=1)
    opened.session.save_now()
    saved = opened.study.annotation("beta").labels
    assert (saved == 1).sum() == mask.sum() and (saved == 3).any()


def test_a_structure_name_that_is_taken_is_refused_in_words(opened, notes):
    opened.session.structures.add("atrium")
    assert errors(notes)
    assert len(opened.session.structures.all) == 2


@pytest.mark.parametrize(
    ("intention", "given"),
    [
        ("labels.toggle_slice_complete", ()),
        ("labels.complete_case", ()),
        ("regions.decide", ("accept", "slice")),
        ("regions.decide", ("accept", "case")),
        ("training.predict", ()),
    ],
)
def test_intentions_without_a_study_are_answered_with_a_sentence(make_session, notes, intention, given):
    attrgetter(intention)(make_session())(*given)
    assert errors(notes) == ["No study is open: open or create one first."]


def test_markup_in_a_message_is_shown_as_text(monkeypatch):
    from napari_dycon.plugin.layers import notices

    shown = []
    monkeypatch.setitem(notices._SHOW, "info", shown.append)
    notices.notify("info", "<img src=x> & <b>")
    assert "<" not in shown[0]
    assert "img src=x" in shown[0]


def test_a_new_study_replaces_the_old_one_and_saves_it(opened, tmp_path, study_path):
    opened.paint((4, 10, 8), value=3)
    opened.session.new_study(tmp_path / "other", [Structure(value=1, name="x")])
    assert opened.session.study.name == "other"
    assert opened.session.cases.list.rows() == []
    with Study.open(study_path) as study:
        assert not study.read_only
        assert (study.annotation("alpha").labels == 3).any()


def test_keys_of_the_viewer_reach_the_session(opened):
    for key in ("G", "U"):
        binding = next(function for bound, function in opened.viewer.keymap.items() if str(bound) == key)
        binding(opened.viewer)
    assert not opened.session.views.overlay.prediction
    assert not opened.session.views.overlay.entropy


def test_what_was_erased_with_the_bucket_is_known_background(opened):
    layer = opened.layer("annotation")
    opened.paint((4, 10, 8), value=3, size=6)
    painted = layer.data == 3
    layer.fill((4, 10, 8), 0)
    opened.session.save_now()
    known = opened.session._desk.case.display.apply(opened.study.annotation("alpha").known)
    assert np.array_equal(known == Known.DRAWN, painted)


def test_training_goes_on_where_a_crash_cut_it_off(opened, make_session, study_path, notes):
    run = opened.study.new_run("dycon")
    folder = opened.study.run_dir(run)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "00000004").write_text("x")
    (folder / "events.jsonl").write_text('{"event": "StepFinished", "iteration": 4, "losses": {"a": 1.0}}\n')
    opened.session.close()
    again = make_session()
    again.open_study(study_path)
    opened.wait(lambda: any("cut off" in text for _, text in notes))
    again.training.train("dycon", 1)
    opened.wait(lambda: again.study.active_run == run)
    assert again.study.runs() == [run]
    opened.wait(lambda: not again.tasks.state.busy)
    again.training.train("dycon", 1)
    opened.wait(lambda: len(again.study.runs()) == 2)


def test_an_array_put_into_the_annotation_by_somebody_else_is_taken_over_and_saved(opened):
    layer = opened.layer("annotation")
    other = np.zeros(layer.data.shape, np.int64)
    other[2, 3, 4] = 3
    layer.data = other
    opened.paint((6, 10, 8), value=1)
    opened.session.save_now()
    saved = opened.session._desk.case.display.apply(opened.study.annotation("alpha").labels)
    assert saved[2, 3, 4] == 3
    assert (saved[6] == 1).any()
    assert layer.data.dtype == np.uint8


def test_an_array_that_does_not_fit_is_put_back(opened):
    opened.paint((6, 10, 8), value=1)
    opened.layer("annotation").data = np.zeros((3, 4, 5), int)
    assert opened.layer("annotation").data.shape == (10, 24, 20)
    assert (opened.layer("annotation").data == 1).any()


def test_a_case_that_cannot_be_saved_stays_open(opened, monkeypatch, notes):
    from napari_dycon.errors import VolumeError

    def full(*arguments):
        raise VolumeError("The disk is full; nothing was overwritten.")

    opened.paint((4, 10, 8), value=3)
    with monkeypatch.context() as patch:
        patch.setattr(opened.study, "save_annotation", full)
        opened.session.cases.open("beta")
        opened.wait(lambda: bool(errors(notes)))
        assert opened.session.cases.case_id == "alpha"
    opened.open("beta")
    opened.open("alpha")
    assert (opened.layer("annotation").data == 3).any()


def test_masks_of_a_model_that_was_not_ready_are_not_put_on_screen(opened, engine):
    run = opened.study.new_run("dycon")
    for case in ("alpha", "beta"):
        engine.predict(opened.study, run, case)
    summary = opened.study.predictions.summary(run)
    opened.study.predictions.save_summary(run, {"beta": {**summary["beta"], "ready": False}})
    opened.study.set_active_run(run)
    opened.open("beta")
    assert not opened.session.cases.has_prediction
    assert not opened.layer("prediction").data.any()
    assert not opened.layer("entropy").data.any()
    opened.open("alpha")
    assert opened.session.cases.has_prediction
