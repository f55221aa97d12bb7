"""Versions of an annotation in the words of a list, as plain data."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from napari_dycon.study.store.versions import Version
from napari_dycon.study.truth.edits import AUTOSAVE
from napari_dycon.study.truth.summary import KnownSummary

WORDS = {
    AUTOSAVE: "Painting",
    "import": "Imported labels",
    "accept": "Accepted prediction",
    "reject": "Rejected prediction",
    "complete": "Case complete",
    "carry": "Labels of another exam",
    "interpolate": "Interpolated slices",
    "grow": "Grown piece",
    "clean up": "Cleaned up",
    "restore": "Restored version",
    "merge": "Merged structures",
    "remove": "Removed structure",
    "withdraw": "Withdrawn decision",
    "forget": "Made unlabelled",
}
MOST_NAMES_IN_TIP = 8


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version as the list shows it.

    Attributes
    ----------
    generation
        Names the version.
    when
        Local date and time, as short as it can be.
    what
        What was done, in a few words.
    known
        Share of known voxels, 0 to 1.
    tip
        All there is to say.
    """

    generation: int
    when: str
    what: str
    known: float
    tip: str


@dataclass(frozen=True, slots=True)
class CaseVersions:
    """The versions of the open case, newest first, while a person looks through them.

    Attributes
    ----------
    case_id, case_name
        Whose they are.
    chosen
        Generation of the one that is looked at; that of the first is the annotation itself.
    damaged
        Generations that cannot be read.
    """

    case_id: str
    case_name: str
    rows: tuple[VersionRow, ...]
    chosen: int
    damaged: frozenset[int] = frozenset()

    @property
    def looking(self) -> bool:
        """Whether an older one is looked at."""
        return self.chosen != self.rows[0].generation


def version_row(version: Version, shape: tuple[int, int, int], now: datetime) -> VersionRow:
    """Return the row of ``version``; ``now`` says in which time zone, and what today is."""
    saved = datetime.fromisoformat(version.saved).astimezone(now.tzinfo)
    what = in_words(version)
    lines = [f"{saved:%d %B %Y, %H:%M:%S}", *version.names[-MOST_NAMES_IN_TIP:][::-1]]
    if version.run:
        lines.append(f"prediction of run {version.run}")
    if version.known_voxels:
        lines.append(KnownSummary.of_counts(version.known_voxels, version.complete_slices, shape).sentence())
    if len(lines) == 1:
        lines.append(what)
    return VersionRow(version.generation, moment(saved, now), what, version.known_fraction, "\n".join(lines))


def in_words(version: Version) -> str:
    """Say in a few words what led to a version."""
    names = version.names
    what = names[-1] if names else WORDS.get(version.reason, version.reason.capitalize())
    run = f", {version.run}" if version.run and version.run not in what else ""
    return f"{what}{run}{f' and {len(names) - 1} more' if len(names) > 1 else ''}"


def moment(saved: datetime, now: datetime) -> str:
    """Return a time as short as it can be told at another one."""
    if saved.date() == now.date():
        return f"{saved:%H:%M:%S}"
    if saved.date() == (now - timedelta(days=1)).date():
        return f"yesterday {saved:%H:%M}"
    return f"{saved.day} {saved:%b} {saved:%H:%M}" if saved.year == now.year else f"{saved:%Y-%m-%d %H:%M}"
