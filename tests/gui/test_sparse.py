"""What a person writes with the brush is what the sparse protocol of the benchmark trains on."""

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.benchmark.protocol import Pair, spread_slices
from napari_dycon.benchmark.runner import _import_scans
from napari_dycon.io.volumes import read_geometry
from napari_dycon.plugin.layers.orientation import DisplayView
from napari_dycon.plugin.session import get_session
from napari_dycon.study.exchange import importing
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study

pytestmark = pytest.mark.gui
ATRIUM = Structure(value=1, name="left atrium", color="#e6550d")


def test_painted_slices_teach_what_the_sparse_protocol_teaches(atria, make_napari_viewer, qtbot, tmp_path):
    scan, label = (folder / "LA_000.nii.gz" for folder in atria)
    with Study.create(tmp_path / "protocol", [ATRIUM]) as study:
        _import_scans(study, [Pair("LA_000", scan, label)], [], slices=6)
        expected = study.annotation(study.cases[0].id)
    with Study.create(tmp_path / "painted", [ATRIUM]) as study:
        importing.add_scan(study, scan)

    viewer = make_napari_viewer()
    session = get_session(viewer)
    session.open_study(tmp_path / "painted")
    qtbot.waitUntil(lambda: session.cases.case_id is not None, timeout=30_000)
    geometry, truth = read_geometry(scan), np.asarray(nib.load(label).dataobj)
    axis, indices = spread_slices(truth, geometry, 6)
    view, layer = DisplayView(geometry), viewer.layers["annotation"]
    shown = view.apply(truth)
    for index in indices:
        on_screen = view.to_display(axis, index)
        viewer.dims.set_point(on_screen[0], on_screen[1] * layer.scale[on_screen[0]])
        inside = np.argwhere(np.take(shown, on_screen[1], axis=on_screen[0]))
        strokes = np.insert(inside, on_screen[0], on_screen[1], axis=1)
        layer.data_setitem(tuple(strokes.T), 1)
        session.labels.toggle_slice_complete()
    session.save_now()
    session.close()

    with Study.open(tmp_path / "painted") as study:
        painted = study.annotation(study.cases[0].id)
    assert len(indices) == 6 and expected.labels.any()
    np.testing.assert_array_equal(painted.labels, expected.labels)
    np.testing.assert_array_equal(painted.training_target([1]), expected.training_target([1]))
    assert painted.training_weight() is None and expected.training_weight() is None
