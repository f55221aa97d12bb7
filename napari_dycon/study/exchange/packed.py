"""Archives among the files to import: unpacked as long as the import lasts, and told by their own names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from napari_dycon.errors import DyconError
from napari_dycon.io.archives import is_archive, unpack

_LISTED = 3


@dataclass(frozen=True)
class Unpacking:
    """Files and folders to look at, with archives as folders.

    Attributes
    ----------
    paths
        What to look at.
    problems
        Archives, each with why it, or a part of it, cannot be used.
    archives
        Folder of each archive, and the archive.
    labels
        Where the labels are, if they are apart.
    """

    paths: tuple[Path, ...]
    problems: tuple[tuple[Path, str], ...]
    archives: Mapping[Path, Path]
    labels: Path | None = None

    def origin(self, path: Path) -> Path:
        """Where a file lies for the person: in its archive, if it came from one."""
        for folder, archive in self.archives.items():
            if path.is_relative_to(folder):
                return archive / path.relative_to(folder)
        return path

    def say(self, text: str) -> str:
        """Sentence in which archives are called by their own names."""
        for folder, archive in self.archives.items():
            text = text.replace(str(folder), str(archive))
        return text


@contextmanager
def unpack_archives(paths: Sequence[Path], labels: Path | None = None) -> Iterator[Unpacking]:
    """Unpack the archives among files and folders for as long as the block lasts.

    Raises
    ------
    VolumeError
        If the labels are an archive that cannot be unpacked.
    """
    problems: list[tuple[Path, str]] = []
    archives: dict[Path, Path] = {}
    kept: list[Path] = []
    with ExitStack() as stack:
        for path in dict.fromkeys(paths):
            if not is_archive(path):
                kept.append(path)
                continue
            try:
                contents = stack.enter_context(unpack(path))
            except (DyconError, OSError) as error:
                problems.append((path, str(error)))
                continue
            archives[contents.folder] = path
            if contents.left_packed:
                problems.append((path, _left_packed(path, contents.left_packed)))
            if any(contents.folder.iterdir()) or not contents.left_packed:
                kept.append(contents.folder)
        if labels is not None and is_archive(labels):
            folders = {archive: folder for folder, archive in archives.items()}
            if labels not in folders:
                contents = stack.enter_context(unpack(labels))
                archives[contents.folder] = labels
                folders[labels] = contents.folder
                if contents.left_packed:
                    problems.append((labels, _left_packed(labels, contents.left_packed)))
            labels = folders[labels]
        yield Unpacking(tuple(kept), tuple(problems), archives, labels)


def _left_packed(path: Path, names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return (
        f"{path.name} holds scans that are no DICOM ({', '.join(names[:_LISTED])}{more}). Such files are "
        "used where they are, so unpack the archive first."
    )
