"""Cases shared out among workers: the files of a prediction here, whatever happens to a worker."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from napari_dycon.engine import cluster
from napari_dycon.engine.cluster import join_cluster, predict_on, threads_of
from napari_dycon.engine.control import Control
from napari_dycon.engine.events import CasePredicted, Note, PredictionFinished
from napari_dycon.engine.inference import predict
from napari_dycon.errors import TrainingError

several = pytest.mark.skipif(sys.platform == "win32", reason="workers are killed by signals")


@pytest.fixture(scope="module")
def client() -> Iterator:
    with join_cluster("local:2") as joined:
        yield joined


@pytest.fixture
def study(make_study, train):
    study = make_study(cases=5)
    train(study, "supervised", iterations=2)
    return study


def files(study) -> dict[str, bytes]:
    folder = study.path / "predictions" / study.active_run
    return {path.name: path.read_bytes() for path in folder.glob("*.nii.gz")}


def here(study) -> dict[str, bytes]:
    list(predict(study, study.active_run, device="cpu", probabilities=True))
    found = files(study)
    for name in found:
        (study.path / "predictions" / study.active_run / name).unlink()
    return found


@several
def test_a_worker_is_killed_and_every_case_is_there_once_byte_by_byte(client, study):
    wanted, told, killed = here(study), [], False
    for event in predict_on(client, study, study.active_run, device="cpu", probabilities=True, threads=1):
        told.append(event)
        if isinstance(event, CasePredicted) and not killed:
            os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
            killed = True
    cases = [event.case for event in told if isinstance(event, CasePredicted)]
    assert sorted(cases) == sorted(record.id for record in study.cases)
    assert [event.done for event in told if isinstance(event, CasePredicted)] == [1, 2, 3, 4, 5]
    assert len(wanted) == 5 * 4
    assert files(study) == wanted
    assert set(study.predictions.summary(study.active_run)) == set(cases)
    assert not (study.run_dir(study.active_run) / cluster.FOLDER).exists()


@several
def test_a_stop_keeps_what_is_done(client, study):
    control, told = Control(), []
    for event in predict_on(client, study, study.active_run, device="cpu", threads=1, control=control):
        told.append(event)
        if isinstance(event, CasePredicted):
            control.stop()
    end = told[-1]
    assert isinstance(end, PredictionFinished)
    assert end.stopped
    assert 1 <= len(end.cases) <= 3
    assert {name.split(".")[0] for name in files(study)} == set(end.cases)


@several
def test_a_scan_that_is_gone_is_left_out_and_said(client, study):
    gone = study.cases[0].id
    study.scan_path(gone).unlink()
    told = list(predict_on(client, study, study.active_run, device="cpu", threads=1))
    assert list(told[-1].left_out) == [gone]
    assert len(told[-1].cases) == 4
    assert any(isinstance(event, Note) and gone in event.text for event in told)


@pytest.mark.parametrize(
    ("scheduler", "sentence"),
    [
        ("local", "'local' is no scheduler; write local:4"),
        ("local:0", "is no scheduler"),
        ("mars:3", "is no scheduler"),
        ("slurm:2", "pip install dask-jobqueue"),
        ("tcp://127.0.0.1:9", "No Dask scheduler answers at tcp://127.0.0.1:9"),
    ],
)
def test_a_wrong_scheduler_is_explained(scheduler, sentence, monkeypatch):
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    monkeypatch.setattr(cluster, "ANSWER_SECONDS", 1)
    with pytest.raises(TrainingError, match=sentence), join_cluster(scheduler):
        pass


def test_without_the_package_it_says_which(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(TrainingError, match=r"napari-dycon\[cluster\]"), join_cluster("local:2"):
        pass


def test_workers_here_share_the_cores(monkeypatch):
    monkeypatch.setattr(cluster, "available_cores", lambda: 8)
    assert threads_of("local:4", None) == 2
    assert threads_of("local:16", None) == 1
    assert threads_of("local:4", 3) == 3
    assert threads_of("tcp://host:8786", None) is None


def test_a_file_says_where_the_workers_are_and_how_dask_is_set(tmp_path, monkeypatch):
    import dask

    file, found = tmp_path / "cluster.yaml", {}
    file.write_text("scheduler: slurm:3\njobqueue:\n  slurm:\n    queue: gpu\n")

    @contextmanager
    def workers(scheduler):
        found.update(scheduler=scheduler, queue=dask.config.get("jobqueue.slurm.queue"))
        raise TrainingError("that is all")
        yield

    monkeypatch.setattr(cluster, "_workers", workers)
    with pytest.raises(TrainingError, match="that is all"), join_cluster(str(file)):
        pass
    assert found == {"scheduler": "slurm:3", "queue": "gpu"}
    file.write_text("scheduler: local:4\n")
    monkeypatch.setattr(cluster, "available_cores", lambda: 8)
    assert threads_of(str(file), None) == 2


@pytest.mark.parametrize("content", ["queue: gpu\n", "{", "", None])
def test_a_file_that_does_not_say_where_is_refused(tmp_path, content):
    file = tmp_path / "cluster.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(TrainingError, match="does not say where the workers are"), join_cluster(str(file)):
        pass


def test_a_scheduler_file_of_dask_is_followed(client, tmp_path):
    file = tmp_path / "scheduler.json"
    with pytest.raises(TrainingError, match=r"No Dask scheduler answers at .*scheduler\.json"):
        join_cluster(str(file)).__enter__()
    client.write_scheduler_file(str(file))
    with join_cluster(str(file)) as other:
        assert other.submit(len, "four", pure=False).result() == 4
