"""What is sent of a run, by content, and how it arrives; what comes back, whole or not at all."""

import hashlib
import os
import re
import shutil
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from napari_dycon.engine.arrays import file_sha256
from napari_dycon.engine.bundle import FILE, FOLDER, START, UPDATE, Bundle, BundledCase, Contents, Update
from napari_dycon.engine.events import Transfer
from napari_dycon.engine.runners.elsewhere.depot import Far, FileThere, is_result
from napari_dycon.engine.runners.elsewhere.disguise import Disguise
from napari_dycon.engine.runs import RunConfig, RunFolder
from napari_dycon.errors import TrainingError
from napari_dycon.io.atomic import in_plain_words, make_folder_in, write_bytes_atomic
from napari_dycon.io.json_files import write_model

CHUNK = 1 << 20
LANDING = "landing"
"""In the folder of the run: what has come back and is not whole yet."""
LARGEST_RESULT = 1 << 36
_SHA = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Item:
    """A file to be sent: its content, or where it lies."""

    sha256: str
    size: int
    source: Path | bytes

    def read(self, offset: int, size: int) -> bytes:
        """A part of it."""
        if isinstance(self.source, bytes):
            return self.source[offset : offset + size]
        with in_plain_words(self.source), self.source.open("rb") as file:
            file.seek(offset)
            return file.read(size)


def pack(bundle: Bundle, disguise: Disguise) -> dict[str, Item]:
    """What a run needs to be trained there, by its path in the folder of the run."""
    run, contents = bundle.run, bundle.contents()
    items = {
        "config.json": _as_item(disguise.config(run.config())),
        "plan.json": _as_item(run.plan()),
        f"{FOLDER}/{FILE}": _as_item(disguise.contents(contents)),
        **_arrays(bundle, contents.cases),
    }
    if contents.request.resume and run.checkpoints.iterations:
        items |= _newest(run, "")
    elif bundle.start is not None:
        start = bundle.start
        there = f"{FOLDER}/{START}/"
        items |= {f"{there}config.json": _as_item(_nameless(start.config()))}
        items |= {f"{there}plan.json": _as_item(start.plan()), **_newest(start, there)}
    return items


def pack_update(bundle: Bundle, update: Update, disguise: Disguise) -> dict[str, Item]:
    """New labels; ``update.json``, which is told last, is among them."""
    said = update.model_copy(update={"cases": disguise.cases(update.cases)})
    return {**_arrays(bundle, update.cases), f"{FOLDER}/{UPDATE}": _as_item(said)}


def send(far: Far, items: dict[str, Item], name: str) -> Generator[Transfer, None, None]:
    """Send of it what is not there yet."""
    by_content = {item.sha256: item for item in items.values()}
    missing = far.missing({sha: item.size for sha, item in by_content.items()})
    total = sum(by_content[sha].size - there for sha, there in missing.items())
    done = 0
    for sha, there in missing.items():
        item = by_content[sha]
        there = there if there < item.size else 0
        while there < item.size or item.size == 0:
            part = item.read(there, CHUNK)
            if not part and item.size:
                raise TrainingError("A prepared scan has changed while it was sent; train again.")
            far.put(sha, item.size, there, part)
            there, done = there + len(part), done + len(part)
            yield Transfer("sent to", name, min(done, total), total)
            if item.size == 0:
                break


class Landing:
    """Brings the files of a run back: first beside its own, then, once they are whole, into their places.

    Parameters
    ----------
    run
        Its folder here.
    disguise
        Names that were given to cases.
    """

    def __init__(self, run: RunFolder, disguise: Disguise) -> None:
        self._run, self._disguise = run, disguise
        self._path = run.path / LANDING

    def fetch(self, far: Far, token: str, name: str) -> Generator[Transfer, None, bool]:
        """Fetch what is there now, in parts; return whether all of it has come and is in its place.

        Raises
        ------
        TrainingError
            When a file is not what the other side says.
        """
        there = [file for file in far.files(token, self._run.run) if self._is_wanted(file)]
        make_folder_in(self._run.path, self._path)
        total, done = sum(file.size for file in there), 0
        for file in there:
            part = self._path / file.sha256
            offset = part.stat().st_size if part.is_file() and part.stat().st_size <= file.size else 0
            done += offset
            while offset < file.size:
                data = far.get(token, self._run.run, file.path, offset, min(CHUNK, file.size - offset))
                if not data:  # replaced by a newer one
                    return False
                with in_plain_words(part), part.open("r+b" if offset else "wb") as out:
                    out.seek(offset)
                    out.write(data)
                offset, done = offset + len(data), done + len(data)
                yield Transfer("fetched from", name, done, total)
            if file.size == 0:
                part.touch()
            if file_sha256(part) != file.sha256:
                part.unlink()
                return False
        self._put_in_place({file.path: self._path / file.sha256 for file in there})
        return True

    def clear(self) -> None:
        """Nothing is to come any more."""
        shutil.rmtree(self._path, ignore_errors=True)

    def _is_wanted(self, file: FileThere) -> bool:
        if not (is_result(file.path) and 0 <= file.size < LARGEST_RESULT and _SHA.fullmatch(file.sha256)):
            raise TrainingError(f"{file.path[:80]!r} is no file of a run, so nothing was fetched.")
        here = self._run.path / file.path
        same = file.path.startswith("checkpoints/") and here.is_file() and here.stat().st_size == file.size
        return not (same and file_sha256(here) == file.sha256)

    def _put_in_place(self, files: dict[str, Path]) -> None:
        """Tensors before the description that names their hash, and so that makes them count."""
        for path in sorted(files, key=lambda path: (path.startswith("checkpoints/"), path.endswith(".json"))):
            target = self._run.path / path
            make_folder_in(self._run.path, target.parent)
            if path.startswith("checkpoints/"):
                with in_plain_words(target):
                    os.replace(files[path], target)
            else:
                self._take_in(path, target, files[path].read_text(encoding="utf-8"))
        newest = self._run.checkpoints.iterations
        for iteration in newest[2:]:
            for path_here in reversed(self._run.checkpoints.files(iteration)):
                path_here.unlink(missing_ok=True)
        self.clear()

    def _take_in(self, path: str, target: Path, text: str) -> None:
        text = self._disguise.reveal(text)
        if path == "config.json":
            config = RunConfig.model_validate_json(text)
            write_model(target, config.model_copy(update={"trained_on": tuple(sorted(config.trained_on))}))
        elif path == f"{FOLDER}/{FILE}":
            found, own = Contents.model_validate_json(text), Bundle(self._run.path).contents()
            kept = {"notes": own.notes, "left_out": own.left_out, "request": own.request}
            write_model(target, found.model_copy(update=kept))
        else:
            write_bytes_atomic(target, text.encode())


def _arrays(bundle: Bundle, cases: Iterable[BundledCase]) -> dict[str, Item]:
    items = {}
    for case in cases:
        for entry in case.arrays.values():
            source = bundle.array_path(entry)
            with in_plain_words(source):
                size = source.stat().st_size
            items[f"{FOLDER}/{entry.sha256}.npy"] = Item(entry.sha256, size, source)
    return items


def _newest(run: RunFolder, there: str) -> dict[str, Item]:
    """The newest whole checkpoint."""
    iteration = run.checkpoints.load().iteration
    return {f"{there}checkpoints/{path.name}": _file(path) for path in run.checkpoints.files(iteration)}


def _file(path: Path) -> Item:
    return Item(file_sha256(path), path.stat().st_size, path)


def _as_item(model: BaseModel) -> Item:
    content = model.model_dump_json(indent=1).encode() + b"\n"
    return Item(hashlib.sha256(content).hexdigest(), len(content), content)


def _nameless(config: RunConfig) -> RunConfig:
    """How a model was made that a run begins with; which cases it has seen is known here."""
    return RunConfig(
        method=config.method, seed=config.seed, overrides=config.overrides, version=config.version
    )
