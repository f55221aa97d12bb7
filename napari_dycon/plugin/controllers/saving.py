"""Whether what is painted is on disk, and how it gets there."""

from collections.abc import Callable
from functools import partial

from psygnal import Signal

from napari_dycon.plugin.background.saver import Saver
from napari_dycon.plugin.layers.open_case import OpenCase
from napari_dycon.study.study import Study


class Saving:
    """Saves cases to the open study, as long as there is one that may be changed.

    Signals: ``told`` carries a line for the header and whether all is well; ``written`` follows each write to
    disk.
    """

    told = Signal(str, bool)
    written = Signal()

    def __init__(self) -> None:
        self._saver: Saver | None = None

    @property
    def possible(self) -> bool:
        """Whether there is a study that may be changed."""
        return self._saver is not None

    def begin(self, study: Study) -> None:
        """Save to ``study`` from now on, if it may be changed."""
        if study.read_only:
            self.told.emit("Read only", True)
        else:
            self._saver = Saver(study, self._on_saved, self._on_failure)
            self.told.emit("All saved", True)

    def end(self) -> bool:
        """Save what waits and let go of the study; return whether all of it is on disk."""
        saved = self._saver is None or self._saver.close()
        self._saver = None
        return saved

    def touch(self, case: OpenCase) -> None:
        """Save ``case`` soon."""
        if self._saver is not None:
            self._saver.touch(case.case_id, case.editor)

    def toucher(self, case: OpenCase) -> Callable[[], None]:
        """Return what has ``case`` saved soon, from any thread and whatever is open then."""
        assert self._saver is not None
        return partial(self._saver.touch, case.case_id, case.editor)

    def flush(self) -> bool:
        """Put everything painted on disk; return whether it is. May be called from any thread."""
        return self._saver is None or self._saver.flush()

    def announce(self) -> None:
        """Tell that saving is due; what could not be saved so far is no less so because more is painted."""
        if not self._fails():
            self.told.emit("Saving…", True)

    def _fails(self) -> bool:
        return self._saver is not None and self._saver.failing

    def _on_saved(self, text: str) -> None:
        if not self._fails():
            self.told.emit(text, True)
        self.written.emit()

    def _on_failure(self, text: str) -> None:
        self.told.emit(text, False)
