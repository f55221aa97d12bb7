"""The process that trains for another machine: ``python -m …elsewhere.labour RUN [PATIENCE]``.

What it says are lines of a file beside the folder of the run, what it is told is a file there too, so that
nobody need be connected.
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from napari_dycon.engine.runners.child import RemoteControl, Voice, exit_at_once, failure_words, give_way
from napari_dycon.engine.runners.elsewhere.depot import FEED, GLIMPSE, SEEN, WISH, LabourLock
from napari_dycon.io.atomic import write_text_atomic

LOOK_SECONDS = 0.25


def main(run: Path, patience: float | None = None) -> int:
    """Train what was prepared in the folder of a run; return 0 where that was done, else 1."""
    home = run.parent
    lock = LabourLock(home)
    if lock.acquire() is not None:  # another one trains it
        return 1
    give_way()
    with (home / FEED).open("a", encoding="utf-8", newline="\n") as feed:
        voice = Voice(feed)
        try:
            _train(run, home, voice, patience)
            code = 0
        except BaseException as error:  # noqa: BLE001 - the last line of defence: whoever asked waits for words
            voice.say({"error": failure_words(error)})
            code = 1
        voice.say({"end": code})
    lock.release()
    return code


def _train(run: Path, home: Path, voice: Voice, patience: float | None) -> None:
    from napari_dycon.engine.bundle import Bundle
    from napari_dycon.engine.events import Glimpse
    from napari_dycon.engine.trainer import train

    control = RemoteControl(voice)
    words: Iterator[str] = wishes(home, patience)
    threading.Thread(target=control.obey, args=(words,)).start()
    for event in train(Bundle(run), control):
        if isinstance(event, Glimpse):
            with suppress(Exception):  # the next one comes
                write_text_atomic(home / GLIMPSE, event.to_json())
        else:
            voice.line(event.to_json())


def wishes(home: Path, patience: float | None) -> Iterator[str]:
    """Words of the file, whenever it is another one; ends when nobody has asked for news for too long."""
    before = None
    while patience is None or _alone(home) < patience:
        with suppress(OSError, ValueError, TypeError):
            found = (home / WISH).stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp != before:
                before = stamp
                yield from map(str, json.loads((home / WISH).read_text(encoding="utf-8")))
        time.sleep(LOOK_SECONDS)


def _alone(home: Path) -> float:
    """Seconds since somebody has asked for news."""
    try:
        return time.time() - (home / SEEN).stat().st_mtime
    except OSError:
        return 0.0


def _patience(text: str) -> float | None:
    return float(text) if text else None


if __name__ == "__main__":
    exit_at_once(main(Path(sys.argv[1]), _patience(sys.argv[2] if len(sys.argv) > 2 else "")))
