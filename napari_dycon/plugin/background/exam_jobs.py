"""The job that brings the labels of one exam to the scan of another one."""

from collections.abc import Callable, Iterator

from napari_dycon.engine.control import Control
from napari_dycon.io.registration import RegistrationStep
from napari_dycon.plugin.background import jobs
from napari_dycon.plugin.background.worker import EventSource
from napari_dycon.study.exchange.carrying import CarriedOver, carry_over
from napari_dycon.study.study import Study


def carry_labels(
    study: Study, earlier: str, later: str, save_first: Callable[[], bool]
) -> EventSource[RegistrationStep | CarriedOver]:
    """Work out what one case says of another one of the patient, once everything painted is on disk."""

    def source(control: Control) -> Iterator[RegistrationStep | CarriedOver]:
        jobs.save(save_first)
        yield from carry_over(study, earlier, later, stop=lambda: control.stopped)

    return source
