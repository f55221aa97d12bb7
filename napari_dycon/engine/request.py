"""What is asked of a training, as data that any process can read."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Request(BaseModel):
    """A training that somebody wants; plain JSON both ways.

    Parameters
    ----------
    method
        Name of a learning method; dycon by default. A resumed run keeps its own, and refuses another.
    minutes, iterations
        The budget, one of both; when resuming, that of the run unless given.
    open_ended
        Train until stopped, and learn from labels that are made meanwhile. A budget need not be given; where
        it is, the schedules come to rest within it.
    seed
        0 by default. Same study, seed and iterations on the same CPU give the same model, bit by bit.
    device
        "auto", "cpu", "cuda" or "mps".
    overrides
        Fields of the plan to set by hand, see :func:`napari_dycon.engine.plan.change_plan`.
    run_id
        The run to resume, by default the newest unfinished one; otherwise the name of the new run.
    resume
        Go on where a run was left.
    warm_start
        Begin with the model of the study's active run, when there is one.
    begin_with
        The run whose model to begin with, in place of the active one's; a refusal where that is not possible.
    holdout
        Keep some labelled voxels aside to measure quality on.
    threads
        Processor cores to use; all by default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str | None = None
    minutes: float | None = None
    iterations: int | None = None
    open_ended: bool = False
    seed: int | None = None
    device: str = "auto"
    overrides: dict[str, Any] = {}
    run_id: str | None = None
    resume: bool = False
    warm_start: bool = True
    begin_with: str | None = None
    holdout: bool = True
    threads: int | None = None
