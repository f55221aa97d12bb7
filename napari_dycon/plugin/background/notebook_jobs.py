"""The job that writes the notebook of a study."""

from collections.abc import Iterator

from napari_dycon.engine.control import Control
from napari_dycon.errors import DyconError
from napari_dycon.plugin.background.worker import EventSource
from napari_dycon.study.store.notebook import Notebook


def save_notebook(notebook: Notebook) -> EventSource[object]:
    """Write what has changed in ``notebook``."""

    def source(control: Control) -> Iterator[object]:
        del control
        try:
            notebook.save()
        except DyconError as error:
            raise DyconError(f"Notes and times are not saved: {error}") from error
        yield from ()

    return source
