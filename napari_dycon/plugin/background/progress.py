"""What an event of the engine means for the progress line."""

import math
from collections.abc import Mapping
from dataclasses import replace

from napari_dycon.engine.events import (
    CasePredicted,
    LabelsJoined,
    PredictionProgress,
    RunStarted,
    ScanLabelled,
    ScanPreparation,
    StepFinished,
    Transfer,
    Validated,
)
from napari_dycon.guidance.suggestions import CaseLooked
from napari_dycon.io.registration import RegistrationStep
from napari_dycon.plugin.background.jobs import Searching
from napari_dycon.plugin.background.task_state import TaskState
from napari_dycon.study.exchange.exporting import CaseExported
from napari_dycon.study.exchange.importing import ImportEvent
from napari_dycon.study.exchange.readers import ConsensusMade
from napari_dycon.study.exchange.searching import Sought

COUNTED: Mapping[type, str] = {
    CasePredicted: "Predicted",
    ImportEvent: "Read",
    Sought: "Looked at",
    CaseExported: "Exported",
    CaseLooked: "Looking for places, case",
    ConsensusMade: "Decided",
}


def after(event: object, task: TaskState) -> TaskState:
    """Return the task state after ``event``; the phase stays as it is."""
    match event:
        case ScanPreparation():
            text = f"Preparing scan {min(event.done + 1, event.total)} of {event.total}"
            return replace(task, fraction=event.done / max(event.total, 1), text=text)
        case Transfer():
            return replace(task, fraction=event.done / max(event.total, 1), text=event.text)
        case RunStarted():
            text = f"Run {event.run} on {event.device}"
            if event.open_ended:
                return replace(task, fraction=None, text=text, slices=event.slices)
            return replace(task, fraction=0.0, text=text)
        case LabelsJoined() if task.slices is not None:
            return replace(task, slices=task.slices + event.slices)
        case Validated() if task.slices is not None and math.isfinite(event.mean_dice):
            return replace(task, dice=event.mean_dice)
        case StepFinished():
            text = f"Iteration {event.iteration}, {event.iterations_per_second:.1f} a second"
            if task.slices is None:
                return replace(task, fraction=event.progress, seconds_left=event.seconds_left, text=text)
            slices = f"{task.slices} slice{'' if task.slices == 1 else 's'}"
            return replace(task, seconds_run=event.seconds, text=f"{text} · {slices}")
        case ScanLabelled():
            text = f"The model labels scan {min(event.done + 1, event.total)} of {event.total} by itself"
            return replace(task, text=text)
        case PredictionProgress():
            text = f"Predicting case {min(event.done + 1, event.total)} of {event.total}"
            return replace(task, fraction=event.fraction, text=text)
        case CasePredicted() | ImportEvent() | Sought() | CaseExported() | CaseLooked() | ConsensusMade():
            text = f"{COUNTED[type(event)]} {event.done} of {event.total}"
            return replace(task, fraction=event.done / max(event.total, 1), text=text)
        case RegistrationStep():
            return replace(task, fraction=event.done / event.total)
        case Searching():
            return replace(task, seconds_left=None, text="Looking for places worth a look")
    return task
