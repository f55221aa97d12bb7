"""The rows of the case table, as plain data."""

from dataclasses import dataclass

from napari_dycon.study.study import Study


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One case as the table shows it.

    Attributes
    ----------
    volume_ml
        Volume of the active structure in millilitres: the annotation's where the case is complete,
        else the prediction's; None where there is neither.
    uncertainty
        Mean predictive entropy from 0 to 1 around the predicted structures, or None.
    expected_dice
        Dice that the model expects of its own prediction of the active structure, or None.
    """

    id: str
    name: str
    status: str
    known_fraction: float
    volume_ml: float | None
    uncertainty: float | None
    open: bool
    expected_dice: float | None = None


def case_rows(study: Study, structure: str | None, open_case: str | None) -> list[CaseRow]:
    """Return one row per case of ``study``, in study order.

    Parameters
    ----------
    study
        The study on disk.
    structure
        Name of the structure whose volume is shown, or None.
    open_case
        Id of the case that is open in the viewer, or None.
    """
    summary = study.prediction_summary(study.active_run) if study.active_run else {}
    rows = []
    for case in study.cases:
        predicted = summary.get(case.id, {})
        volumes = case.volumes_ml if case.status == "complete" else predicted.get("volumes_ml", {})
        rows.append(
            CaseRow(
                id=case.id,
                name=case.name,
                status=case.status,
                known_fraction=case.known_fraction,
                volume_ml=volumes.get(structure) if structure is not None else None,
                uncertainty=predicted.get("mean_entropy"),
                open=case.id == open_case,
                expected_dice=predicted.get("expected_dice", {}).get(structure),
            )
        )
    return rows


def most_uncertain(rows: list[CaseRow]) -> str | None:
    """Return the id of the case most worth opening: the most uncertain that is neither open nor complete."""
    rest = [row for row in rows if row.status != "complete" and not row.open]
    best = max(rest, key=lambda row: -1.0 if row.uncertainty is None else row.uncertainty, default=None)
    return None if best is None else best.id
