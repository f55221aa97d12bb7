"""A simulation on the workers of a cluster: a strategy with a seed is a task, so is the start of a seed."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_dycon.benchmark.events import WorkerTold
from napari_dycon.benchmark.shared import AGAIN, ANEW, raise_problems
from napari_dycon.benchmark.simulation.events import (
    LaneStarted,
    RoundAnswered,
    RoundFinished,
    SimulationEvent,
)
from napari_dycon.benchmark.simulation.protocol import Protocol
from napari_dycon.benchmark.simulation.rows import Row
from napari_dycon.benchmark.simulation.runner import Simulation
from napari_dycon.engine.events import StepFinished
from napari_dycon.engine.sharing import Report, TaskDone, TaskTold, share_out

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True)
class LaneJob:
    """What a worker must know to follow a strategy with a seed, or to make the start when it has none."""

    protocol: Protocol
    work: Path
    device: str
    threads: int | None
    strategy: str | None
    seed: int
    number: int

    @property
    def name(self) -> str:
        """Of the lane, for people."""
        return f"{self.strategy or 'start'}, seed {self.seed}"


@dataclass(frozen=True)
class Followed:
    """Rows of a lane that are done, the last one last, and whether these are all."""

    rows: tuple[Row, ...]
    whole: bool


def follow(job: LaneJob, report: Report) -> Followed | None:
    """Follow a lane on a worker, or go on with it; no result of a start that was stopped."""
    simulation = Simulation(
        job.protocol, job.work, control=report.control, threads=job.threads, device=job.device
    )
    rows: list[Row] = []
    if job.strategy is None:
        steps = simulation.start(job.seed)
    else:
        steps = simulation.follow(job.strategy, job.seed, job.number, rows)
    round_number = 0
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            return None if job.strategy is None and not end.value else Followed(tuple(rows), end.value)
        if isinstance(event, RoundFinished):
            round_number = event.row.round + 1
        _tell(report, event, round_number, job.protocol.rounds + 1)


def _tell(report: Report, event: SimulationEvent, number: int, total: int) -> None:
    match event:
        case LaneStarted():
            report.begin(AGAIN if event.resumed else ANEW)
        case StepFinished():
            report.tell((number + event.progress) / total, f"round {number}, iteration {event.iteration}")
        case RoundAnswered():
            report.tell(number / total, f"round {number}, {event.slices} slices")


def run_on(client: "Client", simulation: Simulation) -> Generator[SimulationEvent, None, list[Row]]:
    """Follow what is missing on workers that see the folders of a simulation at the same paths.

    Returns
    -------
    The rows in their order; fewer than asked for once the control was stopped.

    Raises
    ------
    TrainingError
        When lanes could not be followed, after all others were.
    """
    rows: dict[str, list[Row]] = {}
    jobs: dict[str, LaneJob] = {}
    protocol, work = simulation.protocol.absolute(), simulation.work.absolute()
    about = (protocol, work, simulation.device, simulation.threads)
    for number, (seed, strategy) in enumerate(simulation.wanted, start=1):
        job = LaneJob(*about, strategy, seed, number)
        rows[job.name] = simulation.rows_of(strategy, seed)
        for row in rows[job.name]:
            yield RoundFinished(row, kept=True)
        if not rows[job.name]:
            start = LaneJob(*about, None, seed, 0)
            jobs |= {start.name: start, job.name: job}
    problems: dict[str, str] = {}
    after = {name: f"start, seed {job.seed}" for name, job in jobs.items() if job.strategy is not None}
    for event in share_out(client, follow, jobs, simulation.control, after):
        match event:
            case TaskTold(share=None):
                yield _start_of(jobs[event.task], len(simulation.wanted), event.words == AGAIN)
            case TaskTold():
                yield WorkerTold(event.task, event.share or 0.0, event.words)
            case TaskDone(result=None):
                problems |= {event.task: event.problem} if event.problem else {}
            case TaskDone(result=Followed() as followed):
                rows[event.task] = list(followed.rows)
                for row in followed.rows:
                    simulation.keep(row)
                    yield RoundFinished(row, kept=False)
    raise_problems(problems)
    found = [row for lane in rows.values() for row in lane]
    if len(found) == simulation.total:
        simulation.write_comparison(found)
    return found


def _start_of(job: LaneJob, total: int, resumed: bool) -> LaneStarted:
    return LaneStarted(job.strategy or "start", job.seed, job.number, total, resumed)
