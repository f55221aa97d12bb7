"""What a case is called: on screen, in its own files, and in what leaves the study."""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable

from napari_dycon.study.store.schema import CaseRecord, Structure, is_safe_id

LONGEST_FILE_NAME = 200
"""Bytes of an exported file's name without its suffix; most file systems take 255 in all."""

_LONGEST_SLUG = 40
_LONGEST_PART = 36
_NO_FILE_NAME = re.compile(r'[\\/:*?"<>|\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_BIDS_SUBJECT = re.compile(r"(?:^|[/\\_])(sub-[A-Za-z0-9]+)(?=[/\\_.]|$)")


def case_id(name: str, cases: Iterable[CaseRecord], *, secret: bytes | None = None) -> str:
    """Return what names the files of a new case: its name where that can, else an invented identifier.

    Parameters
    ----------
    name
        What the user calls the scan.
    cases
        Those that are there; neither their ids nor their names are given again.
    secret
        Where given, the identifier shows nothing of the name and cannot be traced back without the secret.
    """
    taken = {fold(text) for case in cases for text in (case.id, case.name)}
    if secret is None and is_safe_id(name) and fold(name) not in taken:
        return name
    start = "case" if secret is not None else slug(name)
    attempt = 0
    while True:
        found = f"{start}-{_digest(f'{name}#{attempt}' if attempt else name, secret)}"
        if fold(found) not in taken:
            return found
        attempt += 1


def fold(text: str) -> str:
    """Form in which two names are one to some file system: composed, and without upper case."""
    return unicodedata.normalize("NFC", text).casefold()


def file_stems(cases: Iterable[CaseRecord]) -> dict[str, str]:
    """Return, by case id, what an exported file is called: the scan's own name as far as that is possible.

    Characters that some file system refuses become ``_``. Scans converted from DICOM are called by their
    identifier, since their name comes from folders and headers.
    """
    stems: dict[str, str] = {}
    taken: set[str] = set()
    for case in cases:
        stem = case.id if case.source == "dicom" else _file_stem(case.name) or case.id
        if fold(stem) in taken:
            stem = f"{stem}__{case.id}" if fold(case.id) in taken else case.id
        taken.add(fold(stem))
        stems[case.id] = stem
    return stems


def structure_stems(structures: Iterable[Structure]) -> dict[int, str]:
    """Return, by label value, what stands for a structure in the name of a file."""
    stems: dict[int, str] = {}
    for structure in structures:
        stem = _file_stem(structure.name, _LONGEST_PART)
        alone = stem and fold(stem) not in map(fold, stems.values())
        stems[structure.value] = stem if alone else f"{stem}-{structure.value}".lstrip("-")
    return stems


def pseudonyms(cases: Iterable[CaseRecord], secret: bytes) -> dict[str, str]:
    """Return, by case id, a name that says nothing and stays the same as long as the study exists."""
    return {case.id: f"case-{_digest(case.id, secret)}" for case in cases}


def patient_of(reference: str) -> str:
    """Return the subject that a BIDS-like path names (``sub-01``); empty where it names none, or several."""
    found = set(_BIDS_SUBJECT.findall(reference))
    return found.pop() if len(found) == 1 else ""


def patient_pseudonym(patient: str, secret: bytes) -> str:
    """Return what stands for a patient identifier; the same for the same patient in one study alone."""
    return f"patient-{_digest(patient, secret)}"


def _file_stem(name: str, longest: int = LONGEST_FILE_NAME) -> str:
    stem = _NO_FILE_NAME.sub("_", unicodedata.normalize("NFC", name)).strip().rstrip(". ")
    if _RESERVED.fullmatch(stem):
        stem = f"_{stem}"
    stem = stem.encode("utf-8", errors="replace")[:longest].decode("utf-8", errors="ignore")
    return stem.rstrip(". ")


def slug(name: str) -> str:
    """Return letters, digits and ``_`` that are left of a name; ``case`` where none are."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", errors="ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "_", plain)[:_LONGEST_SLUG].strip("_") or "case"


def _digest(text: str, secret: bytes | None) -> str:
    content = unicodedata.normalize("NFC", text).encode("utf-8", errors="surrogatepass")
    if secret is None:
        return hashlib.sha256(content).hexdigest()[:6]
    return hmac.new(secret, content, "sha256").hexdigest()[:8]
