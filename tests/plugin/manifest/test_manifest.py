"""What napari learns about the plugin before it is used."""

import importlib.resources
from pathlib import Path

import numpy as np
import pytest
from npe2 import PluginManager, PluginManifest
from npe2 import read as npe2_read

from napari_dycon.plugin.actions import ACTIONS

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def manifest():
    return PluginManifest.from_distribution("napari-dycon")


def test_every_name_in_the_manifest_leads_to_something(manifest):
    manifest.validate_imports()
    assert manifest.display_name == "DyCON"
    assert [widget.command for widget in manifest.contributions.widgets] == ["napari-dycon.dock"]


def test_the_manifest_on_top_is_the_one_in_the_package():
    inside = importlib.resources.files("napari_dycon").joinpath("napari.yaml").read_bytes()
    assert (REPOSITORY / "napari.yaml").read_bytes() == inside


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".mhd"])
def test_every_suffix_is_offered_to_the_reader(manifest, suffix):
    patterns = [pattern for reader in manifest.contributions.readers for pattern in reader.filename_patterns]
    assert f"*{suffix}" in patterns


def test_napari_opens_a_scan_through_the_reader(manifest, oblique_scan):
    manager = PluginManager.instance()
    if manifest.name not in manager:
        manager.register(manifest)
    layers = npe2_read([str(oblique_scan)], stack=False, plugin_name="napari-dycon")
    assert layers[0][0].shape == (10, 24, 20)


def test_the_sample_is_a_scan_with_labels_on_it():
    from napari_dycon.plugin.manifest.sample_data import phantom_scan

    (image, scan, kind), (labels, annotation, labels_kind) = phantom_scan()
    assert (kind, labels_kind) == ("image", "labels")
    assert image.shape == labels.shape
    assert labels.dtype == np.uint8
    assert set(np.unique(labels)) == {0, 1, 2}
    assert scan["scale"] == annotation["scale"]
    assert scan["units"] == ("mm", "mm", "mm")


def test_everything_a_person_can_ask_for_is_in_the_palette(manifest):
    palette = "napari_dycon.plugin.manifest.palette"
    commands = [command for command in manifest.contributions.commands if palette in command.python_name]
    assert [(command.id, command.title, command.python_name) for command in commands] == [
        (f"napari-dycon.{action.id}", f"{action.group}: {action.title}", f"{palette}:{action.id}")
        for action in ACTIONS
    ]


def test_every_preference_is_used(manifest):
    source = "".join(path.read_text() for path in (REPOSITORY / "napari_dycon" / "plugin").rglob("*.py"))
    for group in manifest.contributions.configurations.values():
        for name in group.properties:
            assert f".{name}" in source
