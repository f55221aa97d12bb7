"""A benchmark on the workers of a cluster: a row is a task."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_dycon.benchmark.events import BenchmarkEvent, RowFinished, RowStarted, ScanTested, WorkerTold
from napari_dycon.benchmark.protocol import Protocol
from napari_dycon.benchmark.rows import Row
from napari_dycon.benchmark.runner import Benchmark
from napari_dycon.benchmark.variants import Contender
from napari_dycon.engine.events import RunStarted, StepFinished
from napari_dycon.engine.sharing import Report, TaskDone, TaskTold, share_out
from napari_dycon.errors import TrainingError

if TYPE_CHECKING:
    from distributed import Client

TRAINING = 0.9
"""Share of a row that its training counts for in what is shown."""
AGAIN, ANEW = "again", "anew"


@dataclass(frozen=True)
class RowJob:
    """What a worker must know to measure a row."""

    protocol: Protocol
    work: Path
    device: str
    threads: int | None
    contender: Contender
    seed: int
    number: int

    @property
    def name(self) -> str:
        """Of the row, for people."""
        return f"{self.contender.name}, seed {self.seed}"


def measure(job: RowJob, report: Report) -> Row | None:
    """Measure a row on a worker, or go on with it; its study was made before."""
    bench = Benchmark(job.protocol, job.work, control=report.control, threads=job.threads, device=job.device)
    with bench.open_study(read_only=True) as study:
        steps = bench.measure(study, job.contender, job.seed, job.number)
        while True:
            try:
                _tell(report, next(steps))
            except StopIteration as end:
                row: Row | None = end.value
                return row


def _tell(report: Report, event: BenchmarkEvent) -> None:
    match event:
        case RowStarted():
            report.begin(AGAIN if event.resumed else ANEW)
        case RunStarted():
            report.tell(0.0, f"run {event.run}")
        case StepFinished():
            report.tell(TRAINING * event.progress, f"iteration {event.iteration}")
        case ScanTested():
            share = TRAINING + (1 - TRAINING) * event.done / event.total
            report.tell(share, f"tested {event.case}")


def run_on(client: "Client", bench: Benchmark) -> Generator[BenchmarkEvent, None, list[Row]]:
    """Measure what is missing on workers that see the folders of a benchmark at the same paths.

    Returns
    -------
    The rows in their order; fewer than asked for once the control was stopped.

    Raises
    ------
    TrainingError
        When rows could not be measured, after all others were.
    """
    rows: dict[str, Row] = {}
    jobs: dict[str, RowJob] = {}
    about = (bench.protocol.absolute(), bench.work.absolute(), bench.device, bench.threads)
    for number, (seed, contender) in enumerate(bench.wanted, start=1):
        job = RowJob(*about, contender, seed, number)
        row = bench.row_of(contender, seed)
        if row is None:
            jobs[job.name] = job
        else:
            rows[job.name] = row
            yield RowFinished(row, kept=True)
    if jobs:
        bench.open_study().close()
    problems: dict[str, str] = {}
    for event in share_out(client, measure, jobs, bench.control):
        match event:
            case TaskTold(share=None):
                yield _start_of(jobs[event.task], bench.total, event.words == AGAIN)
            case TaskTold():
                yield WorkerTold(event.task, event.share or 0.0, event.words)
            case TaskDone(result=None):
                problems |= {event.task: event.problem} if event.problem else {}
            case TaskDone(result=Row() as row):
                rows[event.task] = row
                bench.keep(row)
                yield RowFinished(row, kept=False)
    raise_problems(problems)
    names = (f"{contender.name}, seed {seed}" for seed, contender in bench.wanted)
    return [rows[name] for name in names if name in rows]


def _start_of(job: RowJob, total: int, resumed: bool) -> RowStarted:
    who = job.contender
    return RowStarted(who.method, job.seed, job.number, total, resumed, who.variant)


def raise_problems(problems: dict[str, str]) -> None:
    """Say what could not be measured, if there is anything."""
    if problems:
        listed = "; ".join(f"{task}: {problem}" for task, problem in problems.items())
        raise TrainingError(f"Not measured: {listed}")
