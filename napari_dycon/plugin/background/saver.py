"""Saving what is painted, with the news of it brought to the GUI thread."""

from collections.abc import Callable
from datetime import datetime

from qtpy.QtCore import QObject, Signal

from napari_dycon.study.store.autosave import Autosaver
from napari_dycon.study.study import Study
from napari_dycon.study.truth.editing import AnnotationEditor

FLUSH_SECONDS = 20.0


class Saver(QObject):
    """The study's autosaver together with signals that arrive in the GUI thread.

    Parameters
    ----------
    study
        The open study.
    on_saved
        Called in the GUI thread with a line such as "Saved 14:03:22" after each write.
    on_error
        Called in the GUI thread with a sentence when a write failed.
    """

    _saved = Signal(str)
    _failed = Signal(str)

    def __init__(
        self, study: Study, on_saved: Callable[[str], None], on_error: Callable[[str], None]
    ) -> None:
        super().__init__()
        self._saved.connect(on_saved)
        self._failed.connect(on_error)
        self._autosaver = Autosaver(study, self._tell_saved, self._tell_failed)

    def touch(self, case_id: str, editor: AnnotationEditor) -> None:
        """Save the annotation of ``editor`` soon."""
        self._autosaver.touch(case_id, editor)

    @property
    def failing(self) -> bool:
        """Whether something could not be saved when that was tried last."""
        return bool(self._autosaver.unsaved)

    def flush(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Save at once what waits; return whether all of it is on disk within ``seconds``."""
        return self._autosaver.flush(seconds)

    def close(self) -> bool:
        """Save what waits and end the saving thread; return whether all of it is on disk."""
        return self._autosaver.close()

    def _tell_saved(self, *details: object) -> None:
        del details
        self._saved.emit(f"Saved {datetime.now():%H:%M:%S}")

    def _tell_failed(self, *details: object) -> None:
        self._failed.emit(str(details[-1]) if details else "The annotation could not be saved.")
