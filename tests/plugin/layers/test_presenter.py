"""Layers: four of our own, re-used from case to case, with true sizes, and nobody else's."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_dycon.plugin.layers.orientation import CAMERA_ORIENTATION

ROLES = ["scan", "entropy", "annotation", "prediction"]


def ours(viewer):
    return [viewer.layers[role] for role in ROLES]


def test_a_case_is_four_layers_in_millimetres_with_the_outline_over_the_annotation(opened):
    assert [layer.name for layer in opened.viewer.layers] == ROLES
    for layer in ours(opened.viewer):
        assert tuple(layer.scale) == pytest.approx((2.5, 1.0, 1.0))
        assert layer.data.shape == (10, 24, 20)
        assert {str(unit) for unit in layer.units} == {"millimeter"}
        assert layer.axis_labels == ("z", "y", "x")
        assert layer.metadata["dycon"]["case"] == "alpha"
    assert opened.viewer.layers.selection.active is opened.layer("annotation")
    assert opened.viewer.canvas.overlays.scale_bar.visible
    assert opened.viewer.scene.camera.orientation == CAMERA_ORIENTATION
    assert opened.viewer.scene.camera.handedness == "right", (
        "a left-handed camera would mirror the patient in 3D"
    )


def test_labels_are_uint8_and_only_the_annotation_can_be_painted(opened):
    annotation, prediction = opened.layer("annotation"), opened.layer("prediction")
    assert annotation.data.dtype == prediction.data.dtype == np.uint8
    assert annotation.editable
    assert not prediction.editable
    assert prediction.contour > 0, "an outline leaves the person's own labels visible"


def test_structures_have_their_colours_and_names_on_both_label_layers(opened):
    for role in ("annotation", "prediction"):
        layer = opened.layer(role)
        assert layer.colormap.map(1) == pytest.approx((0.902, 0.333, 0.051, 1), abs=0.01)
        assert layer.colormap.map(2)[3] == 0, "a value without a structure is transparent"
        assert layer.colormap.map(0)[3] == 0
        assert list(layer.features["name"]) == ["atrium", "valve"]


def test_entropy_is_transparent_where_the_model_is_sure(opened):
    entropy = opened.layer("entropy")
    ramp = entropy.colormap.map(np.array([0.0, 1.0]))
    assert ramp[0, 3] == 0
    assert ramp[1, 3] == 1
    assert entropy.contrast_limits == [0, 255]
    assert entropy.blending == "translucent"


def test_another_case_reuses_the_layers_whatever_its_shape_and_spacing(opened):
    before = ours(opened.viewer)
    for case, shape, scale in (
        ("beta", (14, 18, 16), (0.7, 0.7, 0.7)),
        ("gamma", (10, 24, 20), (2.5, 1, 1)),
        ("beta", (14, 18, 16), (0.7, 0.7, 0.7)),
    ):
        opened.open(case)
        assert ours(opened.viewer) == before
        assert len(opened.viewer.layers) == 4
        for layer in ours(opened.viewer):
            assert layer.data.shape == shape
            assert tuple(layer.scale) == pytest.approx(scale)
        centre = [(size - 1) / 2 * step for size, step in zip(shape, scale, strict=True)]
        assert opened.viewer.dims.point == pytest.approx(centre, abs=max(scale))
        assert opened.viewer.scene.camera.center[-1] == pytest.approx(centre[-1], abs=1)


def test_the_grey_scale_follows_the_scan(opened):
    scan = opened.layer("scan")
    values = opened.session._desk.case.volume.array
    assert scan.contrast_limits == pytest.approx(np.percentile(values, (1, 99)), rel=0.01)
    assert scan.contrast_limits_range == pytest.approx([values.min(), values.max()])


def test_undo_after_another_case_was_opened_leaves_it_alone(opened):
    opened.paint((5, 5, 5))
    opened.open("gamma")
    annotation = opened.layer("annotation")
    annotation.data[...] = 0
    annotation.data[4:7, 4:7, 4:7] = 3
    annotation.undo()
    assert np.count_nonzero(annotation.data == 3) == 27


def test_the_view_is_kept_when_the_same_case_is_opened_again(opened):
    camera = opened.viewer.scene.camera
    camera.zoom, camera.center = 7.0, (0.0, 3.0, 4.0)
    opened.viewer.dims.set_point(0, 5.0)
    opened.session.cases.open("alpha")
    opened.rest()
    assert camera.zoom == 7.0
    assert camera.center == (0.0, 3.0, 4.0)
    assert opened.viewer.dims.point[0] == 5.0


@pytest.mark.parametrize("role", ROLES)
def test_a_layer_deleted_by_hand_comes_back_in_its_place(opened, role):
    del opened.viewer.layers[role]
    opened.open("beta")
    assert [layer.name for layer in opened.viewer.layers] == ROLES
    opened.paint((5, 5, 5), value=3)
    opened.session.save_now()
    assert opened.study.annotation("beta").labels.max() == 3


def test_all_layers_deleted_by_hand_come_back(opened):
    opened.viewer.layers.clear()
    opened.open("alpha")
    opened.session.cases.open("alpha")
    assert [layer.name for layer in opened.viewer.layers] == ROLES


def test_layers_of_others_stay_as_they_are(qtbot, make_session, study_path, opened):
    mine = opened.viewer.add_points([[1, 2, 3]], name="mine")
    also = opened.viewer.add_labels(np.ones((4, 5, 6), int), name="annotation of somebody")
    opened.open("beta")
    opened.open("alpha")
    assert mine in opened.viewer.layers
    assert also in opened.viewer.layers
    assert also.data.shape == (4, 5, 6)
    assert also.visible
    assert also.editable


def test_a_viewer_that_shows_a_time_series_still_finds_its_slices(opened):
    opened.viewer.add_image(np.zeros((3, 4, 5, 6)), name="series")
    opened.viewer.dims.set_point(1, 7.5)
    axis, index = opened.session._presenter.slices.current_slice()
    assert (axis, index) == opened.session._desk.case.display.to_source(0, 3)


def test_a_colour_or_name_changed_in_the_study_is_seen_at_once(opened):
    opened.session.structures.recolour(1, "#00ff00")
    opened.session.structures.rename(3, "mitral valve")
    assert opened.layer("annotation").colormap.map(1) == pytest.approx((0, 1, 0, 1))
    assert list(opened.layer("prediction").features["name"]) == ["atrium", "mitral valve"]


def test_closing_the_study_locks_what_would_not_be_saved(opened, tmp_path):
    from napari_dycon.study.store.schema import Structure

    opened.session.new_study(tmp_path / "other", [Structure(value=1, name="x")])
    assert opened.session.cases.case_id is None
    assert not opened.layer("annotation").editable
    assert not any(layer.visible for layer in ours(opened.viewer))


def test_a_bare_viewer_model_needs_no_window():
    from napari_dycon.plugin.layers.napari_private import main_window

    assert main_window(ViewerModel()) is None


def test_turning_to_3d_warns_of_nothing(opened):
    import warnings

    with warnings.catch_warnings(record=True) as heard:
        opened.viewer.dims.ndisplay = 3
    assert not [warning for warning in heard if "Contours" in str(warning.message)]
