"""Quality on what a person labelled, of a model of which nothing is known yet."""

from collections.abc import Sequence

import torch

from napari_dycon.engine.control import Control
from napari_dycon.engine.holdout import HoldOut
from napari_dycon.engine.plan import Plan
from napari_dycon.engine.prepared import PreparedCase
from napari_dycon.engine.readiness import Quality
from napari_dycon.engine.runs import RunConfig, RunFolder
from napari_dycon.engine.store import CaseStore
from napari_dycon.engine.validation import CASES_ON_THE_WAY, Validator
from napari_dycon.errors import DyconError
from napari_dycon.learning.networks import SegmentationNetwork
from napari_dycon.study.study import Study

LEARNED_FROM = "labelled voxels that it learned from"


def examine(
    study: Study,
    run: str,
    networks: Sequence[SegmentationNetwork],
    device: torch.device,
    control: Control,
) -> Quality | None:
    """Look at the newest model of a run of which nothing is known yet, because it was stopped early.

    On held-out voxels where there are any, and for a model of another study on cases that are new to it, else
    on voxels that it learned from: a model that does not know even these is not ready. No temperature comes
    from the latter.

    Returns
    -------
    None when stopped meanwhile, or when nothing is labelled any more.
    """
    folder = RunFolder(study.run_dir(run))
    plan, config = folder.plan(), folder.config()
    holdout, labelled = config.holdout, [record.id for record in study.cases if record.known_fraction > 0]
    kept = {*holdout.cases, *holdout.slices}
    for part, held_out in (
        (holdout.of_cases([case for case in labelled if case in kept]), True),
        (HoldOut(cases=_new_to(study, config, labelled)), True),
        (HoldOut(cases=tuple(labelled)), False),
    ):
        validator = Validator(_prepare_some(study, plan, part), part, plan)
        if not validator.possible:
            continue
        found = validator.run(networks, folder.checkpoints.iterations[0], device, control, everything=True)
        if found is None or held_out:
            return found
        return found.model_copy(update={"where": LEARNED_FROM, "held_out": False, "temperature": None})
    return None


def _new_to(study: Study, config: RunConfig, labelled: Sequence[str]) -> tuple[str, ...]:
    """Labelled cases of patients of whom a model of another study has learned nothing."""
    known = {record.patient for record in study.cases if record.id in config.trained_on}
    return tuple(case for case in labelled if config.foreign and study.case(case).patient not in known)


def _prepare_some(study: Study, plan: Plan, holdout: HoldOut) -> list[PreparedCase]:
    store = CaseStore(study, plan)
    cases: list[PreparedCase] = []
    for case in [*holdout.slices, *holdout.cases]:
        if len(cases) == CASES_ON_THE_WAY:
            break
        try:
            prepared = store.prepare(case)
        except DyconError:
            continue
        if holdout.validation_target(prepared) is not None:
            cases.append(prepared)
    return cases
