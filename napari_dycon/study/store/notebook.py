"""The notebook of a study: what a person says about the cases, and where the work was left.

It is kept in ``notebook.json`` beside ``study.json``, not in it. It changes with every change of case and
with every minute of work, and the file that names the scans should not be at risk for that; a study without
one, made before there were any, has an empty notebook; and what is lost with it is never a label.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import RLock
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_dycon.errors import StudyError, VolumeError
from napari_dycon.io.atomic import write_bytes_atomic
from napari_dycon.io.json_files import in_words, parse_json, write_checked
from napari_dycon.study.store.files import clear_way, now

NOTEBOOK_FILE = "notebook.json"
BACKUP_FILE = "notebook.json.bak"
DAMAGED_FILE = "notebook.json.damaged"
NOTEBOOK_VERSION = 1
MAXIMUM_BYTES = 64 << 20
LONGEST_NOTE = 2000

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Place(BaseModel):
    """What of a case was on screen.

    Attributes
    ----------
    plane
        Plane of the 2D slices.
    voxel
        Voxel under the sliders, ``(x, y, z)`` in source order.
    zoom
        Screen pixels a millimetre.
    centre
        Middle of the view in mm, as the viewer's camera counts it in this plane.
    angles
        Angles of the camera in degrees where the scan was shown in 3D, else None.
    canvas
        Height and width of the view in screen pixels; None where that was not noted.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    plane: Literal["axial", "coronal", "sagittal"] = "axial"
    voxel: tuple[int, int, int]
    zoom: Positive
    centre: tuple[Finite, Finite, Finite]
    angles: tuple[Finite, Finite, Finite] | None = None
    canvas: tuple[Positive, Positive] | None = None


class Tools(BaseModel):
    """What was in the person's hand: the mode of the brush, its diameter in voxels, the label value."""

    model_config = ConfigDict(frozen=True, extra="allow")

    mode: str
    brush_size: Positive
    value: int = Field(ge=0, le=255)


class Page(BaseModel):
    """What the notebook says about one case.

    Attributes
    ----------
    note
        The person's own words.
    flagged
        Marked to be found again.
    to_review
        Somebody should look at it, whatever else is known of it.
    seconds
        Time spent on it.
    opened
        ISO date and time at which it was opened last, UTC.
    place
        Where in it the work was left.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    note: str = Field(default="", max_length=LONGEST_NOTE)
    flagged: bool = False
    to_review: bool = False
    seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    opened: str | None = None
    place: Place | None = None


class NotebookRecord(BaseModel):
    """The whole of ``notebook.json``; keys that this version does not know are kept."""

    model_config = ConfigDict(frozen=True, extra="allow")

    schema_version: int = NOTEBOOK_VERSION
    last_case: str | None = None
    tools: Tools | None = None
    cases: dict[str, Page] = {}


EMPTY = Page()


class Notebook:
    """The notebook of one study in memory; `save` puts it on disk. May be used from several threads.

    Attributes
    ----------
    notes
        Sentences about what was odd when it was read.
    """

    def __init__(self, study: Path) -> None:
        self._folder = study
        self._mutex = RLock()
        self._saving = RLock()
        self._record, self.notes, self._newer = self._read()
        self._saved = self._record

    @property
    def last_case(self) -> str | None:
        """Id of the case that was open last, which may have been removed since."""
        return self._record.last_case

    @property
    def tools(self) -> Tools | None:
        """What was in the person's hand last."""
        return self._record.tools

    @property
    def changed(self) -> bool:
        """Whether something is not on disk yet."""
        return self._record is not self._saved

    def page(self, case: str) -> Page:
        """What is said about a case."""
        return self._record.cases.get(case, EMPTY)

    def write(self, case: str, **changes: Any) -> Page:
        """Change fields of the page of a case (see `Page`); a note that is too long is cut."""
        if "note" in changes:
            changes["note"] = str(changes["note"])[:LONGEST_NOTE]
        with self._mutex:
            try:
                page = Page.model_validate({**dict(self.page(case)), **changes})
            except ValidationError as error:
                raise StudyError(f"The note on {case} was not changed: {in_words(error)}.") from error
            if page != self.page(case):
                self._change(cases={**self._record.cases, case: page})
            return page

    def spend(self, seconds: Mapping[str, float]) -> None:
        """Add to the time spent on cases."""
        with self._mutex:
            for case, more in seconds.items():
                self.write(case, seconds=self.page(case).seconds + more)

    def leave(self, case: str, place: Place | None, tools: Tools | None) -> None:
        """Remember where the work was left; None leaves what is remembered."""
        with self._mutex:
            if place is not None:
                self.write(case, place=place)
            if tools is not None and tools != self.tools:
                self._change(tools=tools)

    def note_opening(self, case: str) -> None:
        """Remember that a case was opened now."""
        with self._mutex:
            self.write(case, opened=now())
            if case != self.last_case:
                self._change(last_case=case)

    def take_out(self, case: str) -> Page:
        """Remove the page of a case and return it."""
        with self._mutex:
            page = self.page(case)
            self._change(cases={other: page for other, page in self._record.cases.items() if other != case})
            return page

    def put_in(self, case: str, page: Page) -> None:
        """Put a page back that was taken out."""
        with self._mutex:
            self._change(cases={**self._record.cases, case: page})

    def save(self) -> None:
        """Write what has changed, whole or not at all; the file before becomes the backup.

        Raises
        ------
        VolumeError
            If the disk is full or write-protected; what is on disk stays.
        """
        with self._saving:
            record = self._record
            if record is self._saved or self._newer:
                return
            path = self._folder / NOTEBOOK_FILE
            clear_way(path)
            self._keep_before(path)
            write_checked(path, _serialise(record), _understood)
            self._saved = record

    def _keep_before(self, path: Path) -> None:
        """Make the file the backup where it is sound, else keep it aside."""
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise VolumeError(f"{path} cannot be read ({error.strerror or error}).") from error
        backup = self._folder / BACKUP_FILE
        try:
            _understood(content)
        except ValueError:
            backup = self._folder / DAMAGED_FILE
        clear_way(backup)
        write_bytes_atomic(backup, content)

    def _change(self, **changes: Any) -> None:
        changes["schema_version"] = NOTEBOOK_VERSION
        self._record = self._record.model_copy(update=changes)

    def _read(self) -> tuple[NotebookRecord, tuple[str, ...], bool]:
        """Read the file or its backup; also whether a newer version of this program has written it."""
        main, backup = self._folder / NOTEBOOK_FILE, self._folder / BACKUP_FILE
        if not main.is_file() and not backup.is_file():
            return NotebookRecord(), (), False
        for path in (main, backup):
            try:
                record = _parse(path)
            except (OSError, ValueError):
                continue
            if record is None:
                sentence = (
                    f"{path.name} was made by a newer version: notes and times are not kept by this one."
                )
                return NotebookRecord(), (sentence,), True
            return record, _sentences(path is backup), False
        sentence = f"{NOTEBOOK_FILE} is damaged: notes, flags and times were lost, no labels."
        return NotebookRecord(), (sentence,), False


def _serialise(record: NotebookRecord) -> bytes:
    said = record.model_dump(mode="json", exclude_defaults=True)
    return json.dumps({"schema_version": NOTEBOOK_VERSION, **said}, indent=1).encode()


def _parse(path: Path) -> NotebookRecord | None:
    """Read one file; None where its version is newer than this one."""
    if path.stat().st_size > MAXIMUM_BYTES:
        raise ValueError("far too large")
    return _understood(path.read_bytes())


def _understood(raw: bytes) -> NotebookRecord | None:
    content = parse_json(raw)
    if not isinstance(content, dict):
        raise ValueError("not a notebook")
    version = content.get("schema_version", NOTEBOOK_VERSION)
    if isinstance(version, int) and version > NOTEBOOK_VERSION:
        return None
    pages = content.get("cases")
    content["cases"] = dict(_sound(pages.items())) if isinstance(pages, dict) else {}
    return NotebookRecord.model_validate(content)


def _sound(pages: Iterable[tuple[str, Any]]) -> Iterable[tuple[str, Page]]:
    """Pages that can be read; of the others, what a person wrote is kept."""
    for case, content in pages:
        try:
            yield case, Page.model_validate(content)
        except ValidationError:
            note = content.get("note") if isinstance(content, dict) else None
            if isinstance(note, str):
                yield case, Page(note=note[:LONGEST_NOTE], flagged=content.get("flagged") is True)


def _sentences(from_backup: bool) -> tuple[str, ...]:
    if not from_backup:
        return ()
    return (f"{NOTEBOOK_FILE} could not be read; its backup {BACKUP_FILE} was used.",)
