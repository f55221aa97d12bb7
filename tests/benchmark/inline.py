"""Tasks of a cluster that are done at once, in this process."""

from napari_dycon.engine.sharing import Report, TaskDone, TaskTold


def share_out(client, task, jobs, control, after=None):
    """Do the jobs one after the other as workers would; what `client` names fails, as with a dead worker."""
    results = {}
    for name, job in jobs.items():
        said = []
        report = Report(lambda share, words, name=name, said=said: said.append(TaskTold(name, share, words)))
        report.control = control
        before = (after or {}).get(name)
        if (before is not None and results[before] is None) or control.stopped:
            results[name], problem = None, ""
        elif name in client:
            results[name], problem = None, "a worker failed"
        else:
            results[name], problem = task(job, report), ""
        yield from said
        yield TaskDone(name, results[name], problem)
