"""Whether a person can probably stop labelling; said only where three different signs agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from napari_dycon.engine.readiness import latest_quality
from napari_dycon.guidance.brought import Work, works
from napari_dycon.guidance.quality import Checks
from napari_dycon.study.store.place_log import CHOSEN, PlaceEntry
from napari_dycon.study.study import Study

LAST_PLACES = 8
NEARLY_NOTHING = 0.03
"""Of what structures cover on the last chosen slices, at most so much was mended."""
MODELS, RISE = 3, 0.005
"""Over so many models the held-out Dice has risen by no more than that."""
GOOD_SHARE = 0.9
"""Of the unread cases, so many may be left as the model has them."""


@dataclass(frozen=True, slots=True)
class Sign:
    """One of the signs: whether it says that enough is labelled, and a sentence."""

    holds: bool
    text: str


@dataclass(frozen=True, slots=True)
class Stopping:
    """All signs."""

    mended: Sign
    held_out: Sign
    unread: Sign

    @property
    def signs(self) -> tuple[Sign, Sign, Sign]:
        """One after the other."""
        return self.mended, self.held_out, self.unread

    @property
    def advised(self) -> bool:
        """Whether all agree."""
        return all(sign.holds for sign in self.signs)

    @property
    def sentence(self) -> str:
        """What to tell the person; empty unless all signs agree."""
        return "You can probably stop labelling." if self.advised else ""

    @property
    def details(self) -> str:
        """What each sign says."""
        return "; ".join(sign.text for sign in self.signs)


def stopping(study: Study, entries: Sequence[PlaceEntry], checks: Checks) -> Stopping:
    """Look at the signs in a study.

    Parameters
    ----------
    entries
        Of its log.
    checks
        Of the active run.
    """
    last = [work for work in works(entries) if work.kind == CHOSEN][-LAST_PLACES:]
    expected = _expectations(study)
    return Stopping(mended_sign(last), held_out_sign(held_out(study)), unread_sign(expected, checks))


def mended_sign(last: Sequence[Work]) -> Sign:
    """Tell whether nearly nothing was mended on the last chosen slices."""
    if len(last) < LAST_PLACES:
        return Sign(False, f"{len(last)} of {LAST_PLACES} suggested slices done")
    covered, changed = sum(work.covered for work in last), sum(work.changed for work in last)
    share = changed / covered if covered else float(changed > 0)
    text = f"on the last {LAST_PLACES} suggested slices {100 * share:.1f} % of the structures was mended"
    return Sign(share <= NEARLY_NOTHING, text)


def held_out(study: Study) -> list[float]:
    """Held-out Dice of the last models of the active run's method, the newest last.

    Only of those that were measured on the same labels as the newest one.
    """
    runs, active = study.runs(), study.active_run
    if active is None:
        return []
    method, found, where = active.partition("-")[2], list[float](), None
    for run in reversed(runs[: runs.index(active) + 1]):
        quality = latest_quality(study.run_dir(run)) if run.partition("-")[2] == method else None
        if quality is not None and quality.held_out and quality.dice:
            where = where or quality.where
            if quality.where != where:
                break
            found.insert(0, quality.mean_dice)
        if len(found) == MODELS:
            break
    return found


def held_out_sign(dice: Sequence[float]) -> Sign:
    """Tell whether more labels have not made the model any better."""
    if len(dice) < MODELS:
        return Sign(False, f"{len(dice)} of {MODELS} models measured on the same held-out labels")
    rise = max(dice[-MODELS + 1 :]) - dice[-MODELS]
    told = ", ".join(f"{value:.3f}" for value in dice[-MODELS:])
    return Sign(rise <= RISE, f"held-out Dice of the last {MODELS} models {told}")


def unread_sign(expected: Sequence[Mapping[str, float | None]], checks: Checks) -> Sign:
    """Tell whether nearly all that nobody has read is expected to be good.

    Parameters
    ----------
    expected
        Of each unread case what the model expects of itself, by structure; empty where it has not predicted.
    checks
        What came true elsewhere.
    """
    if not expected:
        return Sign(False, "no case is left to read")
    good = sum(checks.may_leave(row) for row in expected)
    text = f"{good} of {len(expected)} unread cases may be left as the model has them"
    return Sign(good >= GOOD_SHARE * len(expected), text)


def _expectations(study: Study) -> list[Mapping[str, float | None]]:
    run = study.active_run
    summary = {} if run is None else study.predictions.summary(run)
    unready = set[str]() if run is None else study.predictions.unready(run)
    return [
        {} if case.id in unready else summary.get(case.id, {}).get("expected_dice", {})
        for case in study.cases
        if case.status != "complete"
    ]
