"""Commands of the palette and the menus."""

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QApplication, QFileDialog, QWidget

from napari_dycon.errors import DyconError
from napari_dycon.plugin.layers.notices import notify
from napari_dycon.plugin.manifest.writer import write_labels

if TYPE_CHECKING:
    import napari.layers
    import napari.viewer

FILTERS = "NIfTI, compressed (*.nii.gz);;NIfTI (*.nii)"


def open_study(viewer: "napari.viewer.Viewer") -> None:
    """Show the dock, ask for the folder of a study or of scans, and open or begin a study in it."""
    _, dock = viewer.window.add_plugin_dock_widget("napari-dycon", "Study")
    dock.ask("choose_study")


def export_active_labels(layer: "napari.layers.Labels") -> None:
    """Ask for a file and write the active labels layer on the grid of its scan."""
    path, _ = QFileDialog.getSaveFileName(_parent(), f"Export {layer.name}", f"{layer.name}.nii.gz", FILTERS)
    if not path:
        return
    data, meta, _ = layer.as_layer_data_tuple()
    try:
        write_labels(_with_suffix(path), data, meta)
    except DyconError as error:
        notify("error", str(error))
    else:
        notify("info", f"{layer.name} was written to {_with_suffix(path)}.")


def _with_suffix(path: str) -> str:
    return path if path.lower().endswith((".nii", ".nii.gz")) else f"{path}.nii.gz"


def _parent() -> QWidget | None:
    return QApplication.activeWindow()
