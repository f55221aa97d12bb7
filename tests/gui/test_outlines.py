"""The prediction is a thin line between voxels, on every canvas and at any zoom; it hides no voxel."""

import numpy as np
import pytest

from napari_dycon.plugin.layers.napari_private import main_canvas, main_window

VALUE, BOX = 1, (slice(4, 16), slice(8, 24), slice(10, 26))


@pytest.fixture
def predicted(desk):
    """The open case has a box as its prediction; nothing else is seen."""
    study, case = desk.session.study, desk.session.cases.case_id
    run = study.new_run("dycon")
    mask = np.zeros(study.case(case).shape, np.uint8)
    mask.transpose()[BOX] = VALUE
    study.predictions.save(run, case, mask, np.zeros(mask.shape, np.float32))
    row = {"volumes_ml": {}, "mean_entropy": 0.0, "empty": False, "ready": True}
    study.predictions.save_summary(run, {case: row})
    study.set_active_run(run)
    desk.open("patient-04")
    desk.open(case)
    for role in ("scan", "entropy", "annotation"):
        desk.viewer.layers[role].visible = False
    desk.viewer.canvas.overlays.scale_bar.visible = False
    desk.viewer.dims.set_current_step(0, 10)
    return desk


def lit(desk):
    """Which pixels of the canvas have the colour of the structure, rather than black or its halo."""
    desk.qtbot.wait(200)
    picture = desk.viewer.screenshot(canvas_only=True, flash=False, size=(700, 700))
    return picture[..., :3].max(axis=2) > 90


def thickness(pixels):
    """The widest part of the first line that a row in the middle meets."""
    row = pixels[np.flatnonzero(pixels.any(axis=1)).mean().astype(int)]
    found = np.flatnonzero(row)
    return int(np.argmax(np.diff(found) > 1)) + 1


def test_a_line_is_as_thin_at_any_zoom_and_the_voxels_within_stay_free(predicted):
    camera, widths = predicted.viewer.scene.camera, []
    main_window(predicted.viewer).show()  # a hidden canvas stays black
    predicted.qtbot.wait(300)
    for zoom in (4.0, 9.0):
        camera.zoom = zoom
        camera.center = (0.0, *(16 * size for size in predicted.viewer.layers["prediction"].scale[1:]))
        pixels = lit(predicted)
        rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
        scale = predicted.viewer.layers["prediction"].scale
        assert np.ptp(rows) == pytest.approx(16 * scale[1] * zoom, abs=4)
        assert np.ptp(columns) == pytest.approx(16 * scale[2] * zoom, abs=4)
        widths.append(thickness(pixels))
        inside = pixels[rows[0] + 4 : rows[-1] - 3, columns[0] + 4 : columns[-1] - 3]
        assert not inside.any(), "what is outlined is not covered"
    assert 1 <= min(widths) <= max(widths) <= 2, "in pixels of the screen, however it falls on them"


def lines_of(canvas, layer):
    visual = canvas.canvas.layer_to_visual[layer]
    return [child for child in visual.node.children if type(child).__name__ == "Line" and child.visible]


def test_every_plane_draws_its_own_line_and_follows_the_slice(predicted):
    session, viewer = predicted.session, predicted.viewer
    layer = viewer.layers["prediction"]
    session.views.toggle_planes()
    predicted.qtbot.wait(300)
    canvases = [(main_canvas(main_window(viewer)), layer)]
    canvases += [(pane.widget, pane.copy_of(layer)) for pane in session.views._planes.panes.values()]
    assert len(canvases) == 3
    for canvas, shown in canvases:
        assert len(lines_of(canvas, shown)) == 2, "the line and its dark ground"
        assert len(shown.lines()[0]) == 4
    viewer.dims.set_current_step(0, 2)
    assert not lines_of(*canvases[0]), "no prediction on this slice"
    session.views.set_overlay(prediction=False)
    assert not any(shown.visible for _, shown in canvases)


def test_what_is_painted_as_a_contour_is_followed_while_it_is_painted(predicted):
    layer = predicted.viewer.layers["annotation"]
    layer.visible, layer.contour = True, 1
    z = predicted.viewer.dims.current_step[0]
    layer.paint((z, 5, 5), VALUE)
    assert len(lines_of(main_canvas(main_window(predicted.viewer)), layer)) == 2


def test_three_dimensions_show_the_volume_without_lines(predicted):
    viewer = predicted.viewer
    viewer.dims.ndisplay = 3
    canvas, layer = main_canvas(main_window(viewer)), viewer.layers["prediction"]
    assert not lines_of(canvas, layer)
    viewer.dims.ndisplay = 2
    assert len(lines_of(canvas, layer)) == 2


def test_lines_are_made_only_for_what_has_some(predicted):
    canvas = main_canvas(main_window(predicted.viewer))
    visuals = canvas.canvas.layer_to_visual
    assert lines_of(canvas, predicted.viewer.layers["prediction"])
    nodes = visuals[predicted.viewer.layers["annotation"]].node.children
    assert not any(type(child).__name__ == "Line" for child in nodes)
