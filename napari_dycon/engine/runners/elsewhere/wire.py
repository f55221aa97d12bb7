"""Questions and answers over two streams: a line of JSON each, and bytes behind it where there are any.

Nothing here imports torch, and nothing that is read is executed.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

from napari_dycon.engine.runners.elsewhere.depot import Depot, FileThere, GoneError, Greeting, News
from napari_dycon.errors import DyconError, TrainingError

HELLO = "dycon-line-1"
CUT = "the line has dropped"
NOISE_BYTES = 1 << 16
"""So much may a shell say before anybody answers."""
LONGEST_LINE = 1 << 24
LONGEST_DATA = 1 << 24
VERBS = (
    *("greet", "machine", "findings", "missing", "put", "assemble", "begin", "tell", "news", "files"),
    *("get", "drop"),
)


class LineDropError(TrainingError):
    """The other machine cannot be reached now; the sentence says why, as far as is known."""


def answer(asked: IO[bytes], told: IO[bytes], depot: Callable[[str], Depot] = Depot) -> None:
    """Do what is asked until nobody asks any more."""
    told.write(f"{HELLO}\n".encode())
    told.flush()
    while line := asked.readline(LONGEST_LINE):
        question = json.loads(line)
        data = asked.read(int(question.get("bytes", 0)))
        _say(told, *_answer(depot(str(question.get("scratch", ""))), question, data))


def _answer(depot: Depot, question: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        verb = question["verb"]
        if verb not in VERBS:
            raise TrainingError(f"{str(verb)[:40]!r} is nothing that can be asked.")
        arguments = dict(question["arguments"])
        if verb == "put":
            arguments["data"] = data
        found = getattr(depot, verb)(**arguments)
    except GoneError as error:
        return {"error": str(error), "gone": True}, b""
    except DyconError as error:
        return {"error": str(error)}, b""
    except Exception as error:  # noqa: BLE001 - the last line of defence: whoever asked waits for words
        return {"error": f"{type(error).__name__}: {error}"}, b""
    if isinstance(found, bytes):
        return {}, found
    return {"found": _plain(found)}, b""


def _plain(found: Any) -> Any:
    if isinstance(found, list):
        return [_plain(one) for one in found]
    return found.model_dump(mode="json") if hasattr(found, "model_dump") else found


def _say(stream: IO[bytes], message: Mapping[str, Any], data: bytes = b"") -> None:
    stream.write(json.dumps({**message, "bytes": len(data)}).encode() + b"\n" + data)
    stream.flush()


class Line:
    """Asks over two streams; implements `Far`.

    Parameters
    ----------
    asked, told
        Where questions go and answers come from.
    scratch
        Folder on the other side.
    """

    def __init__(self, asked: IO[bytes], told: IO[bytes], scratch: str = "") -> None:
        self._asked, self._told, self._scratch = asked, told, scratch

    def open(self) -> None:
        """Wait for the other side, past whatever its shell says first.

        Raises
        ------
        LineDropError
            When it does not answer.
        """
        heard = 0
        while heard < NOISE_BYTES:
            line = self._told.readline(NOISE_BYTES)
            heard += len(line)
            if not line:
                break
            if line.strip() == HELLO.encode():
                return
        raise LineDropError("nobody answers")

    def greet(self) -> Greeting:
        """Who is there."""
        return Greeting.model_validate(self._ask("greet"))

    def machine(self, device: str) -> dict[str, Any]:
        """What a plan must fit into."""
        return dict(self._ask("machine", device=device))

    def findings(self) -> list[dict[str, str]]:
        """What is found there."""
        return list(self._ask("findings"))

    def missing(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """How many bytes are there of each file that is not whole."""
        return {str(sha): int(size) for sha, size in self._ask("missing", sizes=dict(sizes)).items()}

    def put(self, sha256: str, size: int, offset: int, data: bytes) -> None:
        """A part of a file."""
        self._question({"verb": "put", "arguments": {"sha256": sha256, "size": size, "offset": offset}}, data)

    def assemble(self, token: str, run: str, files: Mapping[str, str]) -> list[str]:
        """Put the folder of a run together."""
        return list(self._ask("assemble", token=token, run=run, files=dict(files)))

    def begin(self, token: str, run: str, patience: float | None) -> None:
        """Start the trainer, unless it was."""
        self._ask("begin", token=token, run=run, patience=patience)

    def tell(self, token: str, words: Sequence[str]) -> None:
        """Say to the trainer all that holds now."""
        self._ask("tell", token=token, words=list(words))

    def news(self, token: str, offset: int) -> News:
        """What the trainer has said."""
        return News.model_validate(self._ask("news", token=token, offset=offset))

    def files(self, token: str, run: str) -> list[FileThere]:
        """What of a run is to come back."""
        return [FileThere.model_validate(one) for one in self._ask("files", token=token, run=run)]

    def get(self, token: str, run: str, path: str, offset: int, size: int) -> bytes:
        """A part of a file of a run."""
        asked = {"token": token, "run": run, "path": path, "offset": offset, "size": size}
        return self._question({"verb": "get", "arguments": asked})[1]

    def drop(self, token: str, keep: bool) -> None:
        """Remove what is there of a training."""
        self._ask("drop", token=token, keep=keep)

    def _ask(self, verb: str, **arguments: Any) -> Any:
        return self._question({"verb": verb, "arguments": arguments})[0].get("found")

    def _question(self, question: dict[str, Any], data: bytes = b"") -> tuple[dict[str, Any], bytes]:
        try:
            _say(self._asked, {**question, "scratch": self._scratch}, data)
            line = self._told.readline(LONGEST_LINE)
            reply = dict(json.loads(line))
            size = int(reply.get("bytes", 0))
            content = self._told.read(size) if 0 <= size <= LONGEST_DATA else b""
        except (OSError, ValueError, TypeError):
            raise LineDropError(CUT) from None
        if len(content) != size:
            raise LineDropError(CUT)
        if "error" in reply:
            raise (GoneError if reply.get("gone") else TrainingError)(str(reply["error"]))
        return reply, content


def main() -> None:
    """Answer on standard output what is asked on standard input; what libraries print goes elsewhere."""
    import os

    told = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    answer(sys.stdin.buffer, told)


if __name__ == "__main__":
    main()
