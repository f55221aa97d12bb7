"""Work that a caller of napari waits for, done while the window stays alive."""

import threading
from collections.abc import Callable
from typing import TypeVar

from napari.utils import progress
from qtpy.QtCore import QCoreApplication, QEventLoop, QThread, QTimer

T = TypeVar("T")
LOOK_MS = 20


def done_alive(text: str, work: Callable[[], T]) -> T:
    """Do ``work`` in another thread and return what it returns, or raise what it raises.

    Called in the GUI thread, the window is drawn and jobs go on meanwhile, but clicks and keys wait; ``text``
    is shown with napari's progress. Elsewhere the work is simply done.
    """
    app = QCoreApplication.instance()
    if app is None or QThread.currentThread() is not app.thread():
        return work()
    outcome: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            failure.append(error)

    thread = threading.Thread(target=run, name="dycon-worker")
    thread.start()
    with progress(total=0, desc=text):
        _wait_alive(thread)
    if failure:
        raise failure[0]
    return outcome[0]


def _wait_alive(thread: threading.Thread) -> None:
    loop, timer = QEventLoop(), QTimer()
    timer.setInterval(LOOK_MS)
    timer.timeout.connect(lambda: None if thread.is_alive() else loop.quit())
    timer.start()
    loop.exec(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
    timer.stop()
    thread.join()
