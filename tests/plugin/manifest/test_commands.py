"""Commands of the palette: export of the active labels layer."""

import nibabel as nib
import numpy as np
import pytest
from napari.layers import Labels

from napari_dycon.plugin.manifest import commands
from napari_dycon.plugin.manifest.reader import read_layers


@pytest.fixture
def notes(monkeypatch):
    seen = []
    monkeypatch.setattr(commands, "notify", lambda level, text: seen.append((level, text)))
    return seen


def choose(monkeypatch, path):
    monkeypatch.setattr(commands.QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))


def labels_on(scan):
    data, settings, _ = read_layers(str(scan))[0]
    return Labels(np.ones(data.shape, np.uint8), **settings)


def test_labels_are_written_on_the_grid_of_their_scan(qapp, monkeypatch, notes, tmp_path, oblique_scan):
    choose(monkeypatch, tmp_path / "mask")
    commands.export_active_labels(labels_on(oblique_scan))
    assert np.array_equal(nib.load(tmp_path / "mask.nii.gz").affine, nib.load(oblique_scan).affine)
    assert notes[0][0] == "info"


def test_labels_of_unknown_origin_are_refused_with_a_notification(qapp, monkeypatch, notes, tmp_path):
    choose(monkeypatch, tmp_path / "mask.nii")
    commands.export_active_labels(Labels(np.ones((3, 4, 5), np.uint8), name="blob"))
    assert notes[0][0] == "error"
    assert "blob does not belong to a scan" in notes[0][1]
    assert not list(tmp_path.iterdir())


def test_nothing_happens_when_the_dialog_is_cancelled(qapp, monkeypatch, notes, oblique_scan):
    choose(monkeypatch, "")
    commands.export_active_labels(labels_on(oblique_scan))
    assert notes == []
