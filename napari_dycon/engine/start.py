"""From a bundle to everything the training loop holds in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from napari_dycon.engine.budget import Budget
from napari_dycon.engine.bundle import Bundle
from napari_dycon.engine.checkpoints import Checkpoint
from napari_dycon.engine.device import DeviceName
from napari_dycon.engine.holdout import HoldOut
from napari_dycon.engine.patches import PatchSampler, TrainingCase
from napari_dycon.engine.plan import Augmentation, Plan
from napari_dycon.engine.prepared import PreparedCase
from napari_dycon.engine.runs import RunConfig, RunFolder, build_method
from napari_dycon.engine.self_training import Filled, SelfTraining
from napari_dycon.engine.team import ALONE, Team
from napari_dycon.engine.warmstart import fit_heads, transfer_weights
from napari_dycon.errors import TrainingError
from napari_dycon.learning.batch import UNKNOWN
from napari_dycon.learning.methods.base import Method

NOTHING: Mapping[str, Filled] = {}
LOOKS = 6
"""Batches to which a first head is fitted."""

UNCHANGED = Augmentation(
    mirror=(False, False, False),
    rotation_p=0,
    scale_p=0,
    elastic_p=0,
    contrast_p=0,
    gamma_p=0,
    noise_p=0,
    blur_p=0,
    low_resolution_p=0,
    bias_p=0,
    cutout_p=0,
)
"""Patches as they are in the scans."""


@dataclass
class Start:
    """A run ready to start or to go on."""

    folder: RunFolder
    config: RunConfig
    plan: Plan
    device: DeviceName
    budget: Budget
    method: Method
    cases: list[PreparedCase]
    checkpoint: Checkpoint | None = None
    notes: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    team: Team = ALONE

    def sampler(self, own: Mapping[str, Filled] = NOTHING) -> PatchSampler:
        """Patches of what training may see, and of scans that the model has labelled by itself."""
        config = self.config
        return make_sampler(self.cases, config.holdout, self.plan, config.seed, self.method, own, self.team)

    def training_target(self, case: PreparedCase) -> NDArray[np.uint8] | None:
        """What training may know of a case by now."""
        return self.config.holdout.training_target(case)

    def self_training(self) -> SelfTraining:
        """Where the run stands in it as it begins or goes on; held-out patients are not among its scans."""
        config, plan = self.config, self.plan
        found = SelfTraining(
            self.folder.path,
            [case for case in self.cases if not config.holdout.holds(case) and has_unknown(case)],
            self.training_target,
            plan,
            config.seed,
            self.method.settings.self_training,
            plan.warm_start_progress if config.continued_from else 0.0,
        )
        if self.checkpoint is not None and self.checkpoint.state.get("own_labels"):
            found.restore()
        return found


def make_start(bundle: Bundle, team: Team = ALONE) -> Start:
    """Read scans and plan, and build the model or load it from the newest checkpoint.

    Parameters
    ----------
    team
        The processes that train it together.

    Raises
    ------
    TrainingError
        When something is missing, damaged or of another version.
    """
    contents, config, plan = bundle.contents(), bundle.run.config(), bundle.run.plan()
    cases = bundle.cases(plan.cache_bytes)
    notes = list(contents.notes)
    checkpoint = None
    if contents.request.resume and bundle.run.checkpoints.iterations:
        method, checkpoint = _continue(bundle, config, plan)
        if checkpoint.damaged:
            notes.append(
                f"The newest checkpoint is damaged; the training goes on from step {checkpoint.iteration}."
            )
    else:
        method = _fresh(bundle, config, plan, cases)
    budget = Budget(contents.minutes, contents.iterations, contents.open_ended)
    return Start(
        bundle.run,
        config,
        plan,
        contents.device,
        budget,
        method,
        cases,
        checkpoint,
        notes,
        contents.left_out,
        team,
    )


def make_sampler(
    cases: Sequence[PreparedCase],
    holdout: HoldOut,
    plan: Plan,
    seed: int,
    method: Method,
    own: Mapping[str, Filled] = NOTHING,
    team: Team = ALONE,
) -> PatchSampler:
    """The patch sampler of a run; held-out voxels are unknown to it.

    Parameters
    ----------
    own
        What the model has made of scans, by case; what a person knows of them counts beside it.
    team
        The processes that make the patches of a batch together.
    """
    makes = team.makes if team.size > 1 else None
    return PatchSampler([training_case(case, holdout, method, own) for case in cases], plan, seed, makes)


def training_case(
    case: PreparedCase, holdout: HoldOut, method: Method, own: Mapping[str, Filled] = NOTHING
) -> TrainingCase:
    """A case as training may see it, see `make_sampler`."""
    filled = own.get(case.case)
    if filled is not None:
        made = TrainingCase(case.image, filled.target, False, filled.weight)
        return TrainingCase(case.image, holdout.training_target(case), False, case.weight, made)
    unlabelled = method.learns_from_unlabelled and not holdout.holds(case) and has_unknown(case)
    return TrainingCase(case.image, holdout.training_target(case), unlabelled, case.weight)


def has_unknown(case: PreparedCase) -> bool:
    """Whether any voxel of a case is unknown."""
    return case.target is None or bool((case.target == UNKNOWN).any())


def _fresh(bundle: Bundle, config: RunConfig, plan: Plan, cases: Sequence[PreparedCase]) -> Method:
    torch.manual_seed(config.seed)
    method = build_method(config.method, plan)
    if config.continued_from is not None and bundle.start is not None:
        earlier_plan, model = bundle.start.method()
        transfer_weights(method, plan, model, earlier_plan)
    elif plan.fitted_head:
        plain = plan.model_copy(update={"augmentation": UNCHANGED, "foreground_share": 0.0})
        sampler = make_sampler(cases, config.holdout, plain, config.seed, method)
        fit_heads(method, [sampler.batch(n, (plan.batch_labelled, 0)) for n in range(LOOKS)])
    return method


def _continue(bundle: Bundle, config: RunConfig, plan: Plan) -> tuple[Method, Checkpoint]:
    method = build_method(config.method, plan)
    checkpoint = bundle.run.checkpoints.load()
    own, saved = method.state_dict(), checkpoint.part("method")
    if own.keys() != saved.keys() or any(own[key].shape != saved[key].shape for key in own):
        raise TrainingError(
            f"Run {bundle.run.run} was made by another version and cannot go on; start a new training."
        )
    return method, checkpoint
