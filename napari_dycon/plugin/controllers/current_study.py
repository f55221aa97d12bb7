"""The study that is open, and what may be done with it."""

from napari_dycon.errors import StudyError
from napari_dycon.plugin.background.tasks import NAMES, Tasks
from napari_dycon.study.study import Study


class CurrentStudy:
    """Holds the open study for everyone who works on it.

    Parameters
    ----------
    tasks
        What long task is under way.

    Attributes
    ----------
    study
        The open study, or None.
    """

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self.study: Study | None = None

    def require(self) -> Study:
        """Return the open study.

        Raises
        ------
        StudyError
            When there is none.
        """
        if self.study is None:
            raise StudyError("No study is open: open or create one first.")
        return self.study

    def writable(self) -> Study:
        """Return the open study, to change it.

        Raises
        ------
        StudyError
            When there is none, or it is open elsewhere.
        """
        study = self.require()
        if study.read_only:
            raise StudyError("This study is open in another session; here you can only look at it.")
        return study

    def at_rest(self) -> Study:
        """Return the open study, to change what every task relies on.

        Raises
        ------
        StudyError
            When it may not be changed, or a task is under way.
        """
        study, state = self.writable(), self._tasks.state
        if state.busy:
            raise StudyError(f"{NAMES[state.kind]} is under way: wait for its end or stop it first.")
        return study
