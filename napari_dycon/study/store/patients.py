"""Whose the cases are: said by a person, where files do not."""

from __future__ import annotations

from collections.abc import Collection

from napari_dycon.study.store.folder import StudyFolder
from napari_dycon.study.store.naming import fold
from napari_dycon.study.store.schema import patient_name


def set_patient(study: StudyFolder, case_ids: Collection[str], patient: str) -> dict[str, str]:
    """Say that cases are scans of one patient, in one write.

    Trainings that are under way or done keep to what was known when they began.

    Parameters
    ----------
    study
        The study.
    case_ids
        Ids of the cases.
    patient
        Pseudonym; one that differs from that of another patient by upper and lower case alone is that. Where
        it is empty, each of the cases becomes a patient of its own.

    Returns
    -------
    dict of str
        Whose each case was that has changed, by its id.

    Raises
    ------
    StudyError
        If the study cannot be changed, there is no such case, or no such pseudonym can be.
    """
    patient = patient_name(patient)
    with study.mutex:
        study.require_writable()
        chosen = {study.case(case_id).id for case_id in case_ids}
        others = {case.patient for case in study.cases if case.id not in chosen}
        known = {fold(case.patient): case.patient for case in study.cases}
        name = known.get(fold(patient), patient)
        meant = {one: name or _name_alone(one, others) for one in chosen}
        before = {
            case.id: case.patient for case in study.cases if meant.get(case.id, case.patient) != case.patient
        }
        if before:
            study.update(
                cases=tuple(
                    case.model_copy(update={"patient": meant[case.id]}) if case.id in before else case
                    for case in study.cases
                )
            )
    return before


def _name_alone(case_id: str, others: Collection[str]) -> str:
    """Name a patient after its one case, unless other cases are said to be of that."""
    name, number = case_id, 2
    while name in others:
        name, number = f"{case_id}-{number}", number + 1
    return name
