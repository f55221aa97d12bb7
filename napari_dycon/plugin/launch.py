"""``python -m napari_dycon.plugin.launch [STUDY]``: napari with the DyCON dock, on a study if named."""

import sys
from pathlib import Path

PLUGIN = "napari-dycon"


def main(arguments: list[str]) -> int:
    """Show napari until it is closed.

    Parameters
    ----------
    arguments : list of str
        At most one: the study folder.
    """
    import napari

    from napari_dycon.plugin.session import get_session

    viewer = napari.Viewer()
    viewer.window.add_plugin_dock_widget(PLUGIN)
    if arguments:
        get_session(viewer).open_study(Path(arguments[0]))
    napari.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
