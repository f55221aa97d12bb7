"""Predicting on the workers of a Dask cluster: a case is a task, done again when its worker dies.

A worker leaves what it predicted in a folder of its own; the process that holds the study moves the files to
their place, so each case is written once and whole, whatever happens to workers.
"""

import json
import logging
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from napari_dycon.engine.control import Control
from napari_dycon.engine.device import configure_threads
from napari_dycon.engine.events import (
    CasePredicted,
    Event,
    Note,
    PredictionFinished,
    PredictionProgress,
    from_json,
)
from napari_dycon.engine.inference import (
    Predictor,
    cases_to_predict,
    known_quality,
    maps_of_structures,
    predict_scan,
    summarise,
    summary_row,
)
from napari_dycon.engine.preprocessing import further_images
from napari_dycon.engine.processor import available_cores
from napari_dycon.engine.steps import finish
from napari_dycon.errors import DyconError, TrainingError
from napari_dycon.io.atomic import in_plain_words
from napari_dycon.study.study import Study

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")
LOOK_SECONDS = 0.5
ANSWER_SECONDS = 20
FAILURES = 20
"""So many workers may die at a case before it is left out."""
FOLDER = "away"
QUEUES = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "sge": "SGECluster", "lsf": "LSFCluster"}
"""Batch systems by the name that a person gives, and their class in ``dask_jobqueue``."""


@contextmanager
def join_cluster(scheduler: str) -> "Iterator[Client]":
    """Connect with workers.

    Parameters
    ----------
    scheduler
        ``local:N`` for N workers here, an address as ``tcp://host:8786``, or ``slurm:N`` (pbs, sge, lsf) for
        N jobs as the configuration of dask-jobqueue describes them. Or a file: ``.json`` as ``dask scheduler
        --scheduler-file`` writes it, or ``.yaml`` with a configuration of Dask and one of the above as
        ``scheduler``.

    Raises
    ------
    TrainingError
        When it is none of these, packages are missing, or nobody answers.
    """
    try:
        import dask
        from distributed import Client
    except ImportError as error:
        raise TrainingError(
            "Work is shared out by Dask's distributed, which is not installed: pip install "
            "'napari-dycon[cluster]'."
        ) from error
    settings, scheduler = _configuration(scheduler)
    with dask.config.set({"distributed.scheduler.allowed-failures": FAILURES, **settings}):
        if "://" in scheduler or scheduler.endswith(".json"):
            with closing(_answering(Client, scheduler)) as client:
                yield client
            return
        with _workers(scheduler) as cluster, closing(Client(cluster)) as client:
            yield client


def _configuration(scheduler: str) -> tuple[dict[str, Any], str]:
    """Configuration of Dask in a file, if one was named, and where the workers are."""
    if not scheduler.endswith((".yaml", ".yml")):
        return {}, scheduler
    from dask.config import collect_yaml

    try:
        (content,) = collect_yaml([scheduler])
        where = str(content.pop("scheduler"))
    except (OSError, ValueError, KeyError) as error:
        raise TrainingError(
            f"{scheduler} does not say where the workers are; write for example 'scheduler: slurm:8' and the "
            "configuration of dask-jobqueue below it."
        ) from error
    return content, where


def _answering(client: Any, address: str) -> "Client":
    where = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
    try:
        if address.endswith(".json"):
            json.loads(Path(address).read_text(encoding="utf-8"))  # Dask would wait for it without end
        found: Client = client(**where, timeout=ANSWER_SECONDS)
    except (OSError, ValueError) as error:
        raise TrainingError(f"No Dask scheduler answers at {address}.") from error
    return found


def _workers(scheduler: str) -> Any:
    name, _, number = scheduler.partition(":")
    if not number.isdecimal() or int(number) < 1 or name not in {"local", *QUEUES}:
        raise TrainingError(
            f"'{scheduler}' is no scheduler; write local:4, tcp://host:8786, or one of "
            f"{', '.join(f'{queue}:4' for queue in QUEUES)}."
        )
    if name == "local":
        from distributed import LocalCluster

        return LocalCluster(
            n_workers=int(number),
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        )
    try:
        import dask_jobqueue
    except ImportError as error:
        raise TrainingError(
            "Jobs of a batch system are started by dask-jobqueue, which is not installed: pip install "
            "dask-jobqueue."
        ) from error
    cluster = getattr(dask_jobqueue, QUEUES[name])()
    cluster.scale(jobs=int(number))
    return cluster


@dataclass(frozen=True)
class Job:
    """What a worker must know to predict a case; nothing of the cluster."""

    study: str
    run: str
    case: str
    device: str
    temperature: float
    probabilities: bool
    threads: int | None
    trays: str

    def do(self) -> tuple[str, str]:
        """Predict, and leave the files in a folder of their own.

        Returns
        -------
        The folder, and the event as JSON; or an empty text, and why there is none.
        """
        configure_threads(self.threads)
        try:
            with Study.open(Path(self.study), read_only=True) as study:
                return self._predict(study)
        except (DyconError, MemoryError) as error:
            return "", str(error) or "there is not enough memory for it."

    def _predict(self, study: Study) -> tuple[str, str]:
        predictor = _predictor(self.study, self.run, self.device)
        predictor.temperature = self.temperature
        volume = study.unchanged_volume(self.case)
        further = further_images(study, self.case, predictor.plan)
        prediction = finish(predict_scan(predictor, volume, further, self.probabilities))
        assert prediction is not None
        maps = maps_of_structures(study, prediction, predictor.plan)
        tray = Path(self.trays) / uuid.uuid4().hex
        with in_plain_words(tray):
            tray.mkdir(parents=True)
        study.predictions.leave(tray, self.run, self.case, prediction.mask, prediction.entropy, maps)
        return str(tray), summarise(self.case, 1, 1, prediction, volume, predictor.plan).to_json()


def do(job: Job) -> tuple[str, str]:
    """Do a job; what a worker is asked for."""
    return job.do()


@lru_cache(maxsize=1)
def _predictor(study: str, run: str, device: str) -> Predictor:
    with Study.open(Path(study), read_only=True) as opened:
        return Predictor.load(opened, run, device)


def predict_on(
    client: "Client",
    study: Study,
    run_id: str,
    case_ids: Sequence[str] | None = None,
    *,
    device: str = "auto",
    control: Control | None = None,
    probabilities: bool = False,
    threads: int | None = None,
) -> Iterator[Event]:
    """Predict cases on the workers of a cluster, which must see the folder of the study at the same path.

    Yields
    ------
    Event
        As :func:`napari_dycon.engine.inference.predict` does; cases in the order in which they are done.

    Raises
    ------
    TrainingError
        As there.
    """
    cases = cases_to_predict(study, case_ids)
    control = control or Control()
    predictor = Predictor.load(study, run_id, "cpu")
    quality = known_quality(study, run_id, predictor, control)
    predictor.trust(quality)
    ready = quality is None or quality.ready
    if quality is not None and quality.sentence:
        yield Note("info" if ready else "warning", quality.sentence)
    trays = study.run_dir(run_id) / FOLDER
    shutil.rmtree(trays, ignore_errors=True)
    about = (device, predictor.temperature, probabilities, threads, str(trays))
    jobs = [Job(str(study.path), run_id, case, *about) for case in cases]
    finished, left_out = list[str](), dict[str, str]()
    for case, tray, words in _done(client, jobs, control):
        event = from_json(words) if tray else None
        if not isinstance(event, CasePredicted):
            left_out[case] = words
            yield Note("warning", f"{case} was not predicted: {words}")
            continue
        try:
            study.predictions.collect(Path(tray), run_id, case)
            study.predictions.save_summary(run_id, {case: summary_row(event, ready)})
        except DyconError as error:
            left_out[case] = str(error)
            yield Note("warning", f"{case} was not predicted: {error}")
            continue
        finished.append(case)
        done = len(finished) + len(left_out)
        yield PredictionProgress(case, done, len(cases), done / len(cases))
        yield replace(event, done=done, total=len(cases))
    shutil.rmtree(trays, ignore_errors=True)
    yield PredictionFinished(run_id, tuple(finished), control.stopped, left_out)


def _done(client: "Client", jobs: Sequence[Job], control: Control) -> Iterator[tuple[str, str, str]]:
    """Yield of each case, once a worker has done it, what came of it; no more of them after a stop."""
    waiting: dict[Future, str] = {client.submit(do, job, pure=False): job.case for job in jobs}
    try:
        while waiting and not control.stopped:
            for future in done_of(list(waiting)):
                yield (waiting.pop(future), *outcome_of(future, ""))
    finally:
        client.cancel(list(waiting))


def done_of(futures: "Sequence[Future]") -> "set[Future]":
    """Which tasks are done; none of them when that takes more than a moment."""
    from distributed import wait

    try:
        ready: set[Future] = wait(futures, timeout=LOOK_SECONDS, return_when="FIRST_COMPLETED").done
    except TimeoutError:
        return set()
    return ready


def outcome_of(future: "Future", nothing: T) -> tuple[Any | T, str]:
    """What a task that is done has returned; nothing, and why, when its workers died or failed."""
    if future.status == "finished":
        result, words = future.result()
        return result, words
    error = future.exception()
    if type(error).__name__ == "KilledWorker":
        return nothing, f"{FAILURES} workers ended while they were at it; memory may be too small."
    return nothing, f"a worker failed: {type(error).__name__}: {error}"


def threads_of(scheduler: str, wish: int | None) -> int | None:
    """Threads of a worker: as wished for, else a fair part of this machine's, or all of another one's."""
    name, _, number = _configuration(scheduler)[1].partition(":")
    if wish is None and name == "local" and number.isdecimal():
        return max(1, available_cores() // max(1, int(number)))
    return wish
