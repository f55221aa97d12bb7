"""A place is come back to with as much of the scan in sight, however large the view is by then."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_dycon.io.geometry import Geometry
from napari_dycon.plugin.layers.orientation import DisplayView
from napari_dycon.plugin.layers.place import go_back_to, place_of

GEOMETRY = Geometry((20, 30, 10), np.diag([1.0, 1.0, 2.0, 1.0]))


def viewer_of(height, width):
    viewer = ViewerModel()
    viewer.add_image(np.zeros((10, 30, 20), np.uint8), scale=(2, 1, 1))
    viewer.canvas.size = (height, width)
    return viewer


@pytest.mark.parametrize(("now", "grown"), [((300, 400), 1.0), ((900, 800), 2.0), ((150, 400), 0.5)])
def test_a_view_of_another_size_shows_as_much_of_the_scan(now, grown):
    before, after, display = viewer_of(300, 400), viewer_of(*now), DisplayView(GEOMETRY)
    before.scene.camera.zoom = 8.0
    before.dims.set_current_step(0, 4)
    place = place_of(before, display)
    go_back_to(after, display, place)
    assert after.scene.camera.zoom == pytest.approx(8.0 * grown)
    assert after.dims.current_step == before.dims.current_step
    go_back_to(after, display, place.model_copy(update={"canvas": None}))
    assert after.scene.camera.zoom == pytest.approx(8.0)
