"""Why a button cannot be pressed now, in one sentence; an empty text when it can."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_dycon.plugin.session import Session

READ_ONLY = "Another session has this study open, so it can only be looked at here."
NO_CASE = "Open a case first: click one in the table."
OLDER = "This is an older version: restore it, or close the list of versions."
NO_PREDICTION = "This case has no prediction yet."
NO_MODEL = "Nothing has been trained in this study yet."
NO_LABELS = "Nothing is labelled yet. Paint one slice, then press Slice complete."
NO_SCANS = "The study has no scans yet."
LOADING = "The learning engine is still loading."
BUSY = {
    "training": "Training is under way.",
    "predicting": "Prediction is under way.",
    "importing": "Scans are being added.",
    "exporting": "Masks are being exported.",
    "restructuring": "Structures are being changed.",
    "idle": "",
}


def _read_only(session: "Session") -> str:
    return READ_ONLY if session.study is not None and session.study.read_only else ""


def _older(session: "Session") -> str:
    return OLDER if session.versions.shown is not None and session.versions.shown.looking else ""


def _busy(session: "Session") -> str:
    return BUSY[session.tasks.state.kind]


def adding(session: "Session") -> str:
    """Return why scans cannot be added."""
    return _read_only(session) or _busy(session)


def exporting(session: "Session") -> str:
    """Return why masks cannot be exported."""
    if session.study is not None and not session.study.cases:
        return NO_SCANS
    return _busy(session)


def editing(session: "Session") -> str:
    """Return why structures cannot be changed."""
    return _read_only(session)


def marking(session: "Session") -> str:
    """Return why a slice or case cannot be marked complete."""
    return _read_only(session) or _older(session) or ("" if session.cases.case_id else NO_CASE)


def undoing(session: "Session") -> str:
    """Return why nothing can be undone or done again, whatever was done."""
    return _read_only(session) or _older(session)


def knowing(session: "Session") -> str:
    """Return why the known map cannot be shown."""
    return _older(session) or ("" if session.cases.case_id else NO_CASE)


def going(session: "Session") -> str:
    """Return why one cannot go on to another case."""
    return "" if session.study is not None and session.study.cases else NO_SCANS


def training(session: "Session", labelled: int) -> str:
    """Return why training cannot start; ``labelled`` is the number of cases with any label."""
    if _read_only(session):
        return READ_ONLY
    if session.tasks.state.kind not in ("idle", "predicting"):
        return _busy(session)
    if not session.training.methods:
        return LOADING
    return "" if labelled else NO_LABELS


def predicting(session: "Session") -> str:
    """Return why nothing can be predicted."""
    if _read_only(session):
        return READ_ONLY
    if session.study is not None and session.study.active_run is None:
        return NO_MODEL
    return _busy(session)


def looking(session: "Session") -> str:
    """Return why there is no overlay to show."""
    if not session.cases.case_id:
        return NO_CASE
    return "" if session.cases.has_prediction else NO_PREDICTION


def accepting(session: "Session") -> str:
    """Return why the prediction cannot be accepted."""
    return _read_only(session) or _older(session) or looking(session)


def prediction_state(session: "Session") -> str:
    """Return one line on the prediction of the open case."""
    if session.study is None or not session.cases.case_id:
        return ""
    if not session.cases.has_prediction:
        return "no prediction yet"
    return f"predicted by {session.study.active_run}"
