"""Keys as a person presses them: the chosen scheme works at once, and nothing of the one before is left."""

from inspect import signature
from types import SimpleNamespace

import numpy as np
import pytest
from napari.utils.key_bindings import KeymapHandler, coerce_keybinding
from psygnal import SignalInstance

from napari_dycon.plugin.actions import ACTIONS, SHAPES, WINDOWS
from napari_dycon.plugin.controllers.action_table import deeds
from napari_dycon.plugin.keys import preferences
from napari_dycon.plugin.keys.schemes import SCHEMES, bound_keys, keys_of, with_key


@pytest.fixture(autouse=True)
def chosen(monkeypatch):
    """Preferences of our own: the person's are neither read nor written."""
    changed = SignalInstance((object,))
    keys = SimpleNamespace(key_scheme="napari", events=SimpleNamespace(key_scheme=changed))
    monkeypatch.setattr(preferences, "_keys", lambda: keys)
    return keys


def press(opened, key, layer="annotation"):
    """Press a key as the canvas does: the active layer is asked first, then the viewer."""
    keyboard = KeymapHandler()
    keyboard.keymap_providers = [opened.layer(layer), opened.viewer]
    return keyboard.press_key(key)


WITHOUT_KEY = {
    *(f"region_{shape}" for shape in SHAPES),
    *(f"window_{name}" for name in WINDOWS if name != "auto"),
    "add_scans",
    "add_folder",
    "add_labelled_folder",
    "find_scans",
    "remove_case",
    "set_patient",
    "export",
    "export_with",
    "report",
    "call_reader",
    "places",
    "invite_reader",
    "compare_readers",
    "readers_apart",
    "decide_readers",
    "versions",
    "restore_version",
    "add_structure",
    "train",
    "settings",
    "predict",
    "predict_case",
    "own_process",
    "say_structure",
    "say_background",
    "say_ignore",
    "say_forget",
    "plane_axial",
    "plane_coronal",
    "plane_sagittal",
    "accept_click",
    "accept_region",
    "accept_case",
    "reject_click",
    "reject_region",
    "reject_case",
    "withdraw_slice",
    "withdraw_region",
    "withdraw_case",
    "interpolate_all",
    "clean_largest",
    "clean_islands",
    "clean_holes",
    "clean_slice_holes",
    "clean_smooth",
    "clean_smooth_more",
    "choose_study",
    "open_demo",
    "open_selected",
    "versions_selected",
    "predict_selected",
    "to_review",
    "reviewed",
    "flag",
    "unflag",
    "restore_case",
    "rename_structure",
    "recolour_structure",
    "lock_structure",
    "hide_structure",
    "group_structure",
    "new_group",
    "leave_group",
    "lock_group",
    "hide_group",
    "merge_structure",
    "remove_structure",
    "unlabel_structure",
    "clear_structure",
    "choose_model",
    "start_from",
    "keep_model",
    "export_model",
    "carry_over",
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_key_means_two_things(scheme):
    keys = [key for action in ACTIONS for key in bound_keys(action, scheme)]
    assert len(keys) == len(set(keys))
    assert len(ACTIONS) == len({action.id for action in ACTIONS})


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_command_has_a_key_that_napari_understands(scheme):
    for action in ACTIONS:
        assert bool(keys_of(action, scheme)) is (action.id not in WITHOUT_KEY), action.id
        if not action.by_dock:
            for key in bound_keys(action, scheme):
                assert str(coerce_keybinding(key)) == key


def test_every_command_finds_what_it_asks_of_the_session(opened):
    class Listening:
        overlay = SimpleNamespace(prediction=True, entropy=True, differences=False)

        def __init__(self, controller):
            self.controller = controller

        def __getattr__(self, name):
            assert hasattr(self.controller, name), name
            return lambda *args, **kwargs: None

    owners = list(signature(deeds).parameters)
    made = deeds(*(Listening(getattr(opened.session, name)) for name in owners))
    assert set(made) == {action.id for action in ACTIONS if not action.by_dock}
    for deed in made.values():
        deed()


def test_a_scheme_works_at_once_and_is_gone_with_the_next(opened):
    annotation = opened.layer("annotation")
    opened.session.keys.use("slicer")
    press(opened, "4")
    assert str(annotation.mode) == "erase"
    opened.session.keys.use("itk-snap")
    press(opened, "4")
    assert str(annotation.mode) == "paint"
    before = opened.viewer.dims.current_step
    press(opened, "F")
    assert opened.viewer.dims.current_step == before
    opened.session.keys.use("napari")
    annotation.mode = "pan_zoom"
    press(opened, "4")
    assert str(annotation.mode) in ("pan_zoom", "fill"), "napari's own key, where it is bound"


def test_a_layer_that_is_made_again_has_the_keys_too(opened):
    opened.session.keys.use("slicer")
    opened.viewer.layers.remove("annotation")
    opened.open("beta")
    press(opened, "4")
    assert str(opened.layer("annotation").mode) == "erase"


def test_layers_of_others_keep_their_keys(opened):
    undone = []
    mine = opened.viewer.add_labels(np.zeros((4, 4, 4), np.uint8), name="mine")
    mine.undo = lambda: undone.append("mine")
    opened.session.keys.use("slicer")
    press(opened, "Ctrl+Z", "mine")
    assert undone == ["mine"]


def test_undo_takes_back_what_was_painted(opened):
    annotation = opened.layer("annotation")
    opened.paint((5, 12, 10))
    assert annotation.data.any()
    press(opened, "Ctrl+Z")
    opened.rest()
    assert not annotation.data.any()


def test_a_scheme_is_remembered(opened, chosen):
    opened.session.keys.use("itk-snap")
    assert chosen.key_scheme == "itk-snap"
    assert opened.session.keys.name == "itk-snap"


def test_a_change_in_naparis_preferences_counts_too(qtbot, make_session, chosen):
    session = make_session()
    heard = []
    session.keys.changed.connect(lambda: heard.append(session.keys.name))
    chosen.key_scheme = "slicer"
    chosen.events.key_scheme.emit("slicer")
    assert heard == ["slicer"]


def test_keys_step_through_slices_structures_and_brush_sizes(opened):
    dims, annotation = opened.viewer.dims, opened.layer("annotation")
    start = dims.current_step[0]
    press(opened, "Right")
    assert dims.current_step[0] == start + 1
    press(opened, "PageDown")
    assert dims.current_step[0] == max(start - 9, 0)
    press(opened, "=")
    assert annotation.selected_label == opened.session.structures.active_value == 3
    press(opened, "=")
    assert annotation.selected_label == 1
    opened.session.keys.use("slicer")
    size = annotation.brush_size
    press(opened, "=")
    assert annotation.brush_size == size + 1


def test_slices_are_those_of_the_plane_on_screen(opened):
    opened.session.views.show_plane("coronal")
    before = opened.viewer.dims.current_step
    press(opened, "Right")
    assert np.subtract(opened.viewer.dims.current_step, before).tolist() == [0, 1, 0]


def test_a_hidden_annotation_comes_back_with_the_brush(opened):
    press(opened, "V")
    assert not opened.layer("annotation").visible
    opened.session.tools.take("paint")
    assert opened.layer("annotation").visible


def test_a_tooltip_ends_in_the_key_of_the_scheme():
    assert with_key("Planes", "planes", "napari") == "Planes (Q)"
    assert with_key("Planes", "planes", "slicer") == "Planes (Shift+Q)"
