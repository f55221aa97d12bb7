"""The rows of the case table, as plain data, and the way through them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from napari_dycon.guidance.quality import Checks, Outlook
from napari_dycon.study.exchange.channels import missing
from napari_dycon.study.exchange.searching import Checked
from napari_dycon.study.store.schema import CaseRecord
from napari_dycon.study.study import Study
from napari_dycon.study.truth.summary import KnownSummary

Status = Literal["unlabelled", "partial", "complete"]
Sign = Status | Literal["review"]
NO_CHECKS = Checks()


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One case as the table shows it.

    Attributes
    ----------
    status
        How far it is labelled: unlabelled, partial or complete.
    volume_ml
        Volume of the active structure in millilitres: the annotation's where the case is complete,
        else the prediction's; None where there is neither.
    uncertainty
        Mean predictive entropy from 0 to 1 around the predicted structures, or None.
    outlook
        What may be expected of the prediction of the active structure; None where there is none, or the case
        is complete.
    reached
        Dice that the prediction reached in a complete case that the model had not learned from, or None.
    may_leave
        Whether the prediction is certainly good enough in every structure.
    volume_range
        Where the volume in the prediction is likely to lie, in millilitres; None where that cannot be told.
    cut
        Whether the active structure touches the edge of the scan, so that its volume is not the whole.
    shares
        Who made known what is known; None until that has been counted.
    patient
        Whose scan it is; empty where no other case is known to be of the same.
    note, flagged, to_review, seconds
        What the notebook says: see `Page`.
    problems
        What is odd about the scan, in sentences; first why it cannot be used, if so.
    unusable, lost
        Whether the scan cannot be used, and whether that is because its file is not the one it was.
    """

    id: str
    name: str
    status: Status
    known_fraction: float
    volume_ml: float | None
    uncertainty: float | None
    open: bool
    outlook: Outlook | None = None
    reached: float | None = None
    may_leave: bool = False
    volume_range: tuple[float, float] | None = None
    cut: bool = False
    shares: KnownSummary | None = None
    note: str = ""
    flagged: bool = False
    to_review: bool = False
    seconds: float = 0.0
    problems: tuple[str, ...] = ()
    unusable: bool = False
    lost: bool = False
    patient: str = ""

    @property
    def sign(self) -> Sign:
        """What the table shows as its status: to review goes before all else."""
        return "review" if self.to_review else self.status


def case_rows(
    study: Study,
    structure: str | None,
    open_case: str | None,
    summaries: Mapping[str, KnownSummary] = MappingProxyType({}),
    refused: Mapping[str, Checked] = MappingProxyType({}),
    checks: Checks = NO_CHECKS,
) -> list[CaseRow]:
    """Return one row per case of ``study``, in study order.

    Parameters
    ----------
    study
        The study on disk.
    structure
        Name of the structure whose volume is shown, or None.
    open_case
        Id of the case that is open in the viewer, or None.
    summaries
        By whom what is known is known, by case id, as far as it has been counted.
    refused
        The scans that cannot be used, by case id.
    checks
        What completed cases say about the active run.
    """
    run = study.active_run
    summary = study.predictions.summary(run) if run else {}
    rows, notebook = [], study.notebook
    scans = Counter(case.patient for case in study.cases)
    for case in study.cases:
        predicted, page = summary.get(case.id, {}), notebook.page(case.id)
        trouble = refused.get(case.id)
        complete = case.status == "complete"
        volumes = case.volumes_ml if complete else predicted.get("volumes_ml", {})
        volume = volumes.get(structure) if structure is not None else None
        expected = {} if complete else predicted.get("expected_dice", {})
        own = expected.get(structure)
        rows.append(
            CaseRow(
                id=case.id,
                name=case.name,
                status=case.status,
                known_fraction=case.known_fraction,
                volume_ml=volume,
                uncertainty=predicted.get("mean_entropy"),
                open=case.id == open_case,
                outlook=None if structure is None or own is None else checks.outlook(structure, own),
                reached=checks.dice(case.id, structure) if complete and structure is not None else None,
                may_leave=checks.may_leave(expected),
                volume_range=None if complete else _range(checks, structure, volume),
                cut=structure in (_drawn_at_edge(study, case) if complete else predicted.get("cut", ())),
                shares=summaries.get(case.id),
                note=page.note,
                flagged=page.flagged,
                to_review=page.to_review,
                seconds=page.seconds,
                problems=(*(trouble.reasons if trouble else ()), *case.notes, *missing(study, case)),
                unusable=trouble is not None,
                lost=trouble is not None and trouble.lost,
                patient=case.patient if scans[case.patient] > 1 else "",
            )
        )
    return rows


def _drawn_at_edge(study: Study, case: CaseRecord) -> list[str]:
    return [structure.name for structure in study.structures if structure.value in case.at_edge]


def _range(checks: Checks, structure: str | None, volume: float | None) -> tuple[float, float] | None:
    return None if structure is None or volume is None else checks.volume_range(structure, volume)


def next_case(rows: Sequence[CaseRow], order: Sequence[str], after: str | None) -> str | None:
    """Return the case to go on with, or None when there is none.

    Parameters
    ----------
    rows
        All cases.
    order
        Ids of the cases that the list shows, from top to bottom; empty for all in study order.
    after
        The case to go on from.

    Returns
    -------
    str or None
        The next one below ``after``, from the top again at the end, that is not complete or is to be
        reviewed. Where somebody has filtered the list down to finished cases, simply the next one.
    """
    by_id = {row.id: row for row in rows}
    shown = [case_id for case_id in order if case_id in by_id or case_id == after] or list(by_id)
    place = shown.index(after) + 1 if after in shown else 0
    ahead = [case_id for case_id in (*shown[place:], *shown[:place]) if case_id != after]
    unfinished = [case_id for case_id in ahead if by_id[case_id].sign != "complete"]
    filtered = len(shown) < len(by_id)
    return next(iter(unfinished or (ahead if filtered else ())), None)
