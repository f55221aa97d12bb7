"""What a person can ask for, and when: all that keys, menus, palette, buttons and canvases know of the work.

Keys are written as napari binds them ("Ctrl+Enter", "Shift+N", "PageUp"). In the napari scheme napari's own
tools keep napari's keys, wherever the person has put them in napari's preferences.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

CASES, PAINTING, LABELS, VIEW, MODEL, MOUSE, HELP = (
    "Cases",
    "Painting",
    "Labels",
    "View",
    "Model",
    "Mouse",
    "Help",
)
GROUPS = (CASES, PAINTING, LABELS, VIEW, MODEL, MOUSE, HELP)


NO_STUDY = "Open a study first, or create one."
READ_ONLY = "Another session has this study open, so it can only be looked at here."
NO_CASE = "Open a case first: click one in the table."
NO_WINDOW = "This grey scale does not suit the scan."
NO_EXAM = "This patient has no other case with labels."
NO_IMAGES = "This case has no other image than the scan."
OLDER = "This is an older version: restore it, or close the list of versions."
NO_PREDICTION = "This case has no prediction yet."
NO_MODEL_BEFORE = "No model before this one has predicted this case."
MODEL_BEFORE = "This is what the model before said: go back to the last one first."
NO_MODEL = "Nothing has been trained in this study yet."
NO_LABELS = "Nothing is labelled yet. Paint one slice, then press Slice complete."
NO_SCANS = "The study has no scans yet."
NO_OTHER = "This is the only structure: add another one first."
NO_GROUP = "The active structure is in no group: put it into one first."
NO_SELECTION = "Select a case in the list first."
NO_REMOVED = "No case has been removed that could be put back."
LOADING = "The learning engine is still loading."
BUSY = {
    "training": "Training is under way.",
    "predicting": "Prediction is under way.",
    "importing": "Scans are being added.",
    "exporting": "An export is under way.",
    "reporting": "The methods sheet is being written.",
    "carrying": "Labels are being carried over from another exam.",
    "restructuring": "The labels of all cases are being changed.",
    "adopting": "A model is being taken over.",
    "idle": "",
}
WINDOWS = {
    "auto": "Auto",
    "soft": "Soft tissue",
    "abdomen": "Abdomen",
    "mediastinum": "Mediastinum",
    "lung": "Lung",
    "bone": "Bone",
    "brain": "Brain",
    "wide": "Wide",
    "bright": "Bright parts",
    "dark": "Dark parts",
    "full": "Full range",
}
"""Grey-scale windows, and how they are called."""
SHAPES: dict[Literal["box", "polygon", "outline"], tuple[str, str]] = {
    "box": ("Box", "Drag it from corner to corner"),
    "polygon": ("Polygon", "Click the corners; double-click the last"),
    "outline": ("Free outline", "Drag around the region"),
}
"""Shapes of a region, how they are called, and how they are drawn."""
SAYS = {
    "structure": "The structure",
    "background": "Background, for certain",
    "ignore": "Do not care",
    "forget": "Forget",
}
"""What the brush can say, and how it is called."""
CLEANUPS = {
    "largest": "Keep the largest piece",
    "islands": "Remove islands below 0.1 ml",
    "holes": "Fill holes",
    "slice_holes": "Fill holes in every slice",
    "smooth": "Smooth a little",
    "smooth_more": "Smooth more",
}
"""How the active structure can be tidied up."""
PLANES = {"axial": "Axial", "coronal": "Coronal", "sagittal": "Sagittal"}
DECISIONS = (
    ("accept_click", "Accept a piece of the prediction: click it", "Accept a piece: click it"),
    ("accept_region", "Accept the prediction in a box: draw it", "Accept in a box: draw it"),
    ("accept_case", "Accept the prediction of the whole case", "Accept the whole case"),
    ("reject_click", "Reject a piece of the prediction: click it", "Reject a piece: click it"),
    ("reject_region", "Reject the prediction in a box: draw it", "Reject in a box: draw it"),
    ("reject_case", "Reject the prediction of the whole case", "Reject the whole case"),
    ("withdraw_slice", "Take back what was decided on this slice", "Take back on this slice"),
    ("withdraw_region", "Take back what was decided in a box: draw it", "Take back in a box: draw it"),
    ("withdraw_case", "Take back what was decided in the whole case", "Take back in the whole case"),
)
"""Decisions about the prediction: id, title and entry."""
HOW_TO_DRAG = "Or drag over the scan: Shift+right button"
"""Said below the grey-scale windows."""


@dataclass(frozen=True)
class Situation:
    """What decides whether an action is possible.

    Attributes
    ----------
    study, read_only
        Whether a study is open, and may only be looked at.
    scans, labels, model
        Whether the study has scans, labels on any of them, a run whose predictions are shown.
    case, older, prediction
        Whether a case is open, an older version of it is looked at, it has a prediction.
    before, looking_back
        Whether a model before has predicted it too, and whether that is what is seen.
    methods
        Whether it is known how one can train.
    windows
        The grey-scale windows that suit the open scan.
    images
        Whether the open case has images beside the scan.
    exams
        Whether another case of its patient has labels.
    structures, selected
        How many structures the study has, and how many cases are selected in the list.
    grouped
        Whether the active structure is in a group.
    removed
        Whether a case was removed that can be put back.
    apart
        Whether it is shown where readers differ.
    task
        The long task that is under way; idle without one.
    """

    study: bool = False
    read_only: bool = False
    scans: bool = False
    labels: bool = False
    model: bool = False
    case: bool = False
    older: bool = False
    prediction: bool = False
    before: bool = False
    looking_back: bool = False
    methods: bool = False
    windows: frozenset[str] = frozenset()
    images: bool = False
    exams: bool = False
    structures: int = 0
    grouped: bool = False
    selected: int = 0
    removed: bool = False
    apart: bool = False
    task: str = "idle"


Need = Callable[[Situation], str]
"""Returns in one sentence why something is not possible now; an empty text where it is."""


def need_study(now: Situation) -> str:
    """A study is open."""
    return "" if now.study else NO_STUDY


def need_write(now: Situation) -> str:
    """The study may be changed."""
    return READ_ONLY if now.read_only else ""


def need_present(now: Situation) -> str:
    """The annotation is shown as it is, and no older version of it."""
    return OLDER if now.older else ""


def need_case(now: Situation) -> str:
    """A case is open."""
    return "" if now.case else NO_CASE


def need_prediction(now: Situation) -> str:
    """The open case has a prediction."""
    return "" if now.prediction else NO_PREDICTION


def need_before(now: Situation) -> str:
    """A model before has predicted the open case as well."""
    return "" if now.before else NO_MODEL_BEFORE


def need_latest(now: Situation) -> str:
    """What is seen is the prediction of the last model."""
    return MODEL_BEFORE if now.looking_back else ""


def need_scans(now: Situation) -> str:
    """The study has scans."""
    return "" if now.scans else NO_SCANS


def need_model(now: Situation) -> str:
    """Something was trained."""
    return "" if now.model else NO_MODEL


def need_rest(now: Situation) -> str:
    """No long task is under way."""
    return BUSY[now.task]


def need_processor(now: Situation) -> str:
    """No long task is under way but a training, beside which one case can be predicted."""
    return "" if now.task == "training" else BUSY[now.task]


def need_trainer(now: Situation) -> str:
    """No long task is under way but a prediction, which a training interrupts."""
    return "" if now.task == "predicting" else BUSY[now.task]


def need_methods(now: Situation) -> str:
    """It is known how one can train."""
    return "" if now.methods else LOADING


def need_labels(now: Situation) -> str:
    """Something is labelled."""
    return "" if now.labels else NO_LABELS


def need_other(now: Situation) -> str:
    """The study has more than one structure."""
    return "" if now.structures > 1 else NO_OTHER


def need_group(now: Situation) -> str:
    """The active structure is in a group."""
    return "" if now.grouped else NO_GROUP


def need_selection(now: Situation) -> str:
    """A case is selected in the list."""
    return "" if now.selected else NO_SELECTION


def need_removed(now: Situation) -> str:
    """A case was removed that can be put back."""
    return "" if now.removed else NO_REMOVED


def need_window(name: str) -> Need:
    """The grey-scale window of this name suits the open scan."""
    return lambda now: "" if name in now.windows else NO_WINDOW


def need_images(now: Situation) -> str:
    """The open case has several images."""
    return "" if now.images else NO_IMAGES


def need_exam(now: Situation) -> str:
    """Another case of the patient has labels."""
    return "" if now.exams else NO_EXAM


EDIT = (need_write, need_present, need_case)
LOOK = (need_case, need_prediction)
DECIDE = (need_write, need_present, *LOOK, need_latest)
ADD = (need_study, need_write, need_rest)
PREDICT = (need_study, need_write, need_model, need_rest)
PREDICT_HERE = (need_study, need_write, need_model, need_case, need_processor)
NAME = (need_study, need_write)
OF_GROUP = (*NAME, need_group)
RESTRUCTURE = (*NAME, need_rest, need_other)
SELECTED = (need_study, need_selection)
MARK = (*NAME, need_selection)
NO_KEYS = ("",) * 3


@dataclass(frozen=True)
class Action:
    """Something a person can ask for.

    Attributes
    ----------
    keys
        The keys in each scheme, ``(napari, slicer, itk-snap)``, several of them separated by blanks.
    needs
        What it takes; the first that is missing is the reason why it is not possible.
    napari
        Napari's action of the same effect; in the napari scheme its keys are left to napari.
    repeats
        Whether holding the key goes on.
    in_dock
        Whether the key works before anything else in the window does; a layer of someone else may need it.
    by_dock
        Whether the dock does it itself.
    entry
        Its name in a menu that says the rest of it.
    about
        Its name in a menu that is about something, which takes the place of ``{}``.
    how
        How it is done, in the menu's tooltip.
    ticked
        Tells whether it is on, of what can be on or off.
    """

    id: str
    title: str
    group: str
    keys: tuple[str, str, str]
    needs: tuple[Need, ...] = ()
    napari: str | None = None
    repeats: bool = False
    in_dock: bool = True
    by_dock: bool = False
    entry: str = ""
    about: str = ""
    how: str = ""
    ticked: Callable[[Situation], bool] | None = None

    @property
    def words(self) -> str:
        """Its name in a menu."""
        return self.entry or self.title

    def words_about(self, what: str) -> str:
        """Return its name in a menu that is about ``what``; that may be nothing in particular."""
        if not what:
            return self.words
        return self.about.format(what) if self.about else f"{self.words}  {what}"

    def why_not(self, now: Situation) -> str:
        """Return in one sentence why it is not possible now; an empty text where it is."""
        return next((reason for need in self.needs if (reason := need(now))), "")


ACTIONS: tuple[Action, ...] = (
    Action("next_case", "Save, and open the next case", CASES, ("J",) * 3, (need_scans,)),
    Action("previous_case", "Back to the case before", CASES, ("K",) * 3, (need_scans,)),
    Action("slice_complete", "Slice complete, or not", CASES, ("Ctrl+Enter",) * 3, EDIT),
    Action("case_complete", "Case complete", CASES, ("Ctrl+Shift+Enter",) * 3, EDIT),
    Action("paint", "Brush", PAINTING, ("", "2", "4"), EDIT, napari="activate_labels_paint_mode"),
    Action("erase", "Eraser", PAINTING, ("", "4", "E"), EDIT, napari="activate_labels_erase_mode"),
    Action("polygon", "Polygon", PAINTING, ("", "3", "3"), EDIT, napari="activate_labels_polygon_mode"),
    Action("fill", "Fill", PAINTING, ("", "5", "5"), EDIT, napari="activate_labels_fill_mode"),
    Action("pick", "Pick a structure", PAINTING, ("", "6", "6"), EDIT, napari="activate_labels_picker_mode"),
    Action(
        "pan",
        "Hand: move and zoom",
        PAINTING,
        ("", "`", "2"),
        (need_case,),
        napari="activate_labels_pan_zoom_mode",
    ),
    Action(
        "brush_smaller",
        "Smaller brush",
        PAINTING,
        ("", "-", "-"),
        EDIT,
        napari="decrease_brush_size",
        repeats=True,
    ),
    Action(
        "brush_bigger",
        "Bigger brush",
        PAINTING,
        ("", "=", "="),
        EDIT,
        napari="increase_brush_size",
        repeats=True,
    ),
    Action(
        "undo", "Undo", PAINTING, ("Ctrl+Z", "Ctrl+Z Z", "Ctrl+Z"), (need_write, need_present), in_dock=False
    ),
    Action(
        "redo",
        "Redo",
        PAINTING,
        ("Ctrl+Shift+Z", "Ctrl+Y Ctrl+Shift+Z Y", "Ctrl+Shift+Z Ctrl+Y"),
        (need_write, need_present),
        in_dock=False,
    ),
    *(
        Action(f"say_{what}", f"The brush says: {title}", PAINTING, NO_KEYS, EDIT, entry=title)
        for what, title in SAYS.items()
    ),
    Action("range", "Paint only within a range of intensities", PAINTING, ("I", "I 1", "I"), EDIT),
    Action("previous_structure", "Structure before", PAINTING, ("-", "Q", ",")),
    Action("next_structure", "Next structure", PAINTING, ("=", "W", ".")),
    Action("slice_back", "Slice back", VIEW, ("Left", "Left B", "Down Left"), (need_case,), repeats=True),
    Action("slice_on", "Slice on", VIEW, ("Right", "Right F", "Up Right"), (need_case,), repeats=True),
    Action("ten_back", "Ten slices back", VIEW, ("PageDown",) * 3, (need_case,), repeats=True),
    Action("ten_on", "Ten slices on", VIEW, ("PageUp",) * 3, (need_case,), repeats=True),
    Action("planes", "Three planes and 3D, or one plane", VIEW, ("Q", "Shift+Q", "Q")),
    *(
        Action(f"plane_{plane}", f"Slices of a plane: {title}", VIEW, NO_KEYS, (need_case,), entry=title)
        for plane, title in PLANES.items()
    ),
    Action("solid", "2D or 3D", VIEW, ("Ctrl+Y", "V", "V"), (need_case,)),
    Action("fit", "Fit the scan into the window", VIEW, ("Ctrl+R", "R", "Ctrl+F"), (need_case,)),
    Action("annotation", "Show or hide the annotation", VIEW, ("V", "G", "S"), (need_case,)),
    Action(
        "window_auto", "Grey scale as it was", VIEW, ("Shift+W",) * 3, (need_case,), entry=WINDOWS["auto"]
    ),
    *(
        Action(
            f"window_{name}",
            f"Grey scale: {title}",
            VIEW,
            NO_KEYS,
            (need_case, need_window(name)),
            entry=title,
        )
        for name, title in WINDOWS.items()
        if name != "auto"
    ),
    Action("next_image", "Next image of the exam", VIEW, ("Shift+E",) * 3, (need_case, need_images)),
    Action("prediction", "Show or hide the prediction", MODEL, ("G", "Shift+G", "G"), LOOK),
    Action("uncertainty", "Show or hide the uncertainty", MODEL, ("U",) * 3, LOOK),
    Action("differences", "Only what model and you disagree on, or all", MODEL, ("O",) * 3, LOOK),
    Action("before", "What the model before said, or the last one", MODEL, ("T",) * 3, (*LOOK, need_before)),
    Action("next_place", "Next suggestion", MODEL, ("N",) * 3),
    Action("previous_place", "Suggestion before", MODEL, ("Shift+N",) * 3),
    Action("finish_place", "Suggestion done, and on to the next", MODEL, ("D",) * 3, (need_case,)),
    Action("skip_place", "Skip this suggestion", MODEL, ("Shift+D",) * 3, (need_case,)),
    Action(
        "accept_slice",
        "Accept the prediction on this slice",
        MODEL,
        ("Ctrl+Shift+A",) * 3,
        DECIDE,
        entry="Accept on this slice",
    ),
    Action("accept_piece", "Accept the piece under the pointer", MODEL, ("Y", "A", "Y"), DECIDE),
    Action(
        "reject_piece", "Reject the piece under the pointer", MODEL, ("Shift+Y", "Shift+A", "Shift+Y"), DECIDE
    ),
    Action(
        "known_map", "Show or hide what is known, and how", VIEW, ("Shift+K",) * 3, (need_present, need_case)
    ),
    Action(
        "reject_slice",
        "Reject the prediction on this slice",
        MODEL,
        ("Ctrl+Shift+X",) * 3,
        DECIDE,
        entry="Reject on this slice",
    ),
    *(Action(name, title, MODEL, NO_KEYS, DECIDE, entry=entry) for name, title, entry in DECISIONS),
    Action(
        "interpolate",
        "Fill the slices between labelled ones",
        LABELS,
        ("Ctrl+I", "Ctrl+I 7", "Ctrl+I"),
        EDIT,
        entry="Between slices",
        about="Between slices of {}",
    ),
    Action(
        "interpolate_all",
        "Fill the slices between labelled ones, of all structures",
        LABELS,
        NO_KEYS,
        EDIT,
        entry="Between slices of all structures",
    ),
    Action(
        "carry_over",
        "Take over the labels of another exam of the patient",
        LABELS,
        NO_KEYS,
        (*EDIT, need_exam, need_rest),
        entry="From another exam of the patient",
        how="The scans are brought onto each other; you see the result before it counts",
    ),
    *(
        Action(f"clean_{how}", f"Tidy the active structure up: {title}", LABELS, NO_KEYS, EDIT, entry=title)
        for how, title in CLEANUPS.items()
    ),
    Action("grow", "Grow a piece from strokes", LABELS, ("H",) * 3, EDIT),
    Action("region", "Draw a region", LABELS, ("R", "Shift+R", "R"), EDIT),
    *(
        Action(f"region_{shape}", f"Draw a region: {title}", LABELS, NO_KEYS, EDIT, entry=title, how=how)
        for shape, (title, how) in SHAPES.items()
    ),
    Action(
        "choose_study",
        "Open or create a study",
        CASES,
        NO_KEYS,
        by_dock=True,
        entry="Open or create a study…",
    ),
    Action("open_demo", "Try the demo study", CASES, NO_KEYS, by_dock=True),
    Action("add_scans", "Add scans to the study", CASES, NO_KEYS, ADD, by_dock=True, entry="Scan files…"),
    Action(
        "add_folder",
        "Add a folder of scans to the study",
        CASES,
        NO_KEYS,
        ADD,
        by_dock=True,
        entry="A folder of scans or DICOM…",
    ),
    Action(
        "add_labelled_folder",
        "Add a folder of scans with their labels to the study",
        CASES,
        NO_KEYS,
        ADD,
        by_dock=True,
        entry="A folder of scans with their labels…",
    ),
    Action("find_scans", "Find moved scans", CASES, NO_KEYS, ADD, by_dock=True, entry="Find moved scans…"),
    Action("open_selected", "Open the selected case", CASES, NO_KEYS, SELECTED, by_dock=True, entry="Open"),
    Action(
        "versions_selected",
        "Versions of the selected case",
        CASES,
        NO_KEYS,
        SELECTED,
        by_dock=True,
        entry="Versions…",
    ),
    Action(
        "predict_selected",
        "Predict the selected cases",
        CASES,
        NO_KEYS,
        (*PREDICT, need_selection),
        by_dock=True,
        entry="Predict",
        about="Predict {}",
    ),
    Action(
        "to_review",
        "The selected cases are to be reviewed",
        CASES,
        NO_KEYS,
        MARK,
        by_dock=True,
        entry="To review",
        about="To review: {}",
    ),
    Action(
        "reviewed",
        "The selected cases are reviewed",
        CASES,
        NO_KEYS,
        MARK,
        by_dock=True,
        entry="Reviewed",
        about="Reviewed: {}",
    ),
    Action(
        "flag", "Flag the selected cases", CASES, NO_KEYS, MARK, by_dock=True, entry="Flag", about="Flag {}"
    ),
    Action(
        "unflag",
        "Take the flag off the selected cases",
        CASES,
        NO_KEYS,
        MARK,
        by_dock=True,
        entry="Unflag",
        about="Unflag {}",
    ),
    Action(
        "set_patient",
        "Say whose scans the selected cases are",
        CASES,
        NO_KEYS,
        MARK,
        by_dock=True,
        entry="Patient…",
        about="Patient of {}…",
    ),
    Action(
        "remove_case",
        "Remove the selected cases from the study",
        CASES,
        NO_KEYS,
        MARK,
        by_dock=True,
        entry="Remove…",
        about="Remove {}…",
    ),
    Action(
        "restore_case",
        "Put a removed case back",
        CASES,
        NO_KEYS,
        (*NAME, need_removed),
        by_dock=True,
        entry="Put back",
    ),
    Action("export", "Export masks", CASES, NO_KEYS, (need_study, need_scans, need_rest), by_dock=True),
    Action(
        "report",
        "Methods sheet of the study",
        CASES,
        NO_KEYS,
        (need_study, need_rest),
        by_dock=True,
        entry="Methods sheet for a paper…",
    ),
    Action(
        "export_with",
        "Export masks in another format, or without names",
        CASES,
        NO_KEYS,
        (need_study, need_scans, need_rest),
        by_dock=True,
        entry="Export in another way…",
    ),
    Action(
        "call_reader",
        "Say who draws",
        CASES,
        NO_KEYS,
        (need_study,),
        by_dock=True,
        entry="Who draws…",
    ),
    Action(
        "invite_reader",
        "Let a second reader draw, who sees no labels",
        CASES,
        NO_KEYS,
        (need_study, need_scans, need_write, need_rest),
        by_dock=True,
        entry="Second reader…",
    ),
    Action(
        "compare_readers",
        "How far readers agree",
        CASES,
        NO_KEYS,
        (need_study, need_rest),
        by_dock=True,
        entry="Agreement of readers",
    ),
    Action(
        "readers_apart",
        "Show or hide where readers differ",
        VIEW,
        NO_KEYS,
        (need_study, need_case),
        entry="Where readers differ",
        how="On the scan that is open; the status line says who says what",
        ticked=lambda now: now.apart,
    ),
    Action(
        "decide_readers",
        "Make the consensus of readers the labels",
        CASES,
        NO_KEYS,
        (need_study, need_write, need_rest),
        by_dock=True,
        entry="Consensus of readers…",
    ),
    Action("versions", "Versions of the case", LABELS, NO_KEYS, (need_case,), entry="Versions…"),
    Action("restore_version", "Restore the version in sight", LABELS, NO_KEYS, (need_write,), by_dock=True),
    Action("add_structure", "Add a structure", LABELS, NO_KEYS, (need_write,), by_dock=True),
    Action(
        "rename_structure",
        "Rename the active structure",
        LABELS,
        NO_KEYS,
        NAME,
        by_dock=True,
        entry="Rename",
        about="Rename {}",
    ),
    Action(
        "recolour_structure",
        "Colour of the active structure",
        LABELS,
        NO_KEYS,
        NAME,
        by_dock=True,
        entry="Colour…",
    ),
    Action(
        "lock_structure",
        "Lock the active structure, or unlock it",
        LABELS,
        NO_KEYS,
        NAME,
        by_dock=True,
        entry="Locked",
        how="What is labelled as this structure stays so: nothing paints over it",
    ),
    Action(
        "hide_structure",
        "Hide the active structure, or show it",
        LABELS,
        NO_KEYS,
        NAME,
        by_dock=True,
        entry="Hidden",
        how="It is not seen in your labels or in predictions",
    ),
    Action(
        "group_structure",
        "Group of the active structure",
        LABELS,
        NO_KEYS,
        NAME,
        by_dock=True,
        entry="Group",
    ),
    Action(
        "new_group",
        "Put the active structure into a new group",
        LABELS,
        NO_KEYS,
        NAME,
        by_dock=True,
        entry="New group…",
    ),
    Action(
        "leave_group",
        "Take the active structure out of its group",
        LABELS,
        NO_KEYS,
        OF_GROUP,
        by_dock=True,
        entry="None",
    ),
    Action(
        "lock_group",
        "Lock the group of the active structure, or unlock it",
        LABELS,
        NO_KEYS,
        OF_GROUP,
        by_dock=True,
        entry="All locked",
    ),
    Action(
        "hide_group",
        "Hide the group of the active structure, or show it",
        LABELS,
        NO_KEYS,
        OF_GROUP,
        by_dock=True,
        entry="All hidden",
    ),
    Action(
        "merge_structure",
        "Merge the active structure into another",
        LABELS,
        NO_KEYS,
        RESTRUCTURE,
        by_dock=True,
        entry="Merge into",
    ),
    Action(
        "remove_structure",
        "Remove the active structure",
        LABELS,
        NO_KEYS,
        RESTRUCTURE,
        by_dock=True,
        entry="Remove",
    ),
    Action(
        "unlabel_structure",
        "Remove the active structure; its voxels become unlabelled",
        LABELS,
        NO_KEYS,
        RESTRUCTURE,
        by_dock=True,
        entry="Its voxels become unlabelled…",
    ),
    Action(
        "clear_structure",
        "Remove the active structure; its voxels become background",
        LABELS,
        NO_KEYS,
        RESTRUCTURE,
        by_dock=True,
        entry="Its voxels become background…",
    ),
    Action(
        "train",
        "Train",
        MODEL,
        NO_KEYS,
        (need_study, need_write, need_trainer, need_methods, need_labels),
        by_dock=True,
    ),
    Action(
        "settings",
        "Settings of the training, for experts",
        MODEL,
        NO_KEYS,
        (need_study, need_methods),
        by_dock=True,
    ),
    Action(
        "places", "Where to train: here or on another machine", MODEL, NO_KEYS, (need_study,), by_dock=True
    ),
    Action("predict", "Predict all cases", MODEL, NO_KEYS, PREDICT),
    Action(
        "choose_model",
        "Use another model of the study",
        MODEL,
        NO_KEYS,
        (need_study, need_write, need_model),
        by_dock=True,
        entry="Model",
    ),
    Action(
        "start_from",
        "Start from another model",
        MODEL,
        NO_KEYS,
        (need_study, need_write, need_rest),
        by_dock=True,
        entry="Start from another model…",
    ),
    Action(
        "keep_model",
        "Keep this model for other studies",
        MODEL,
        NO_KEYS,
        (need_study, need_model),
        by_dock=True,
        entry="Keep this model…",
    ),
    Action(
        "export_model",
        "Export this model for others",
        MODEL,
        NO_KEYS,
        (need_study, need_model, need_rest),
        by_dock=True,
        entry="Export this model…",
    ),
    Action("predict_case", "Predict this case", MODEL, NO_KEYS, PREDICT_HERE),
    Action("own_process", "Train in a process of its own from now on", MODEL, NO_KEYS),
    Action("keys", "List of keys", HELP, ("F1 ?",) * 3, by_dock=True, entry="Keys…"),
)
BY_ID = {action.id: action for action in ACTIONS}


def so_many_cases(count: int) -> str:
    """Return what a menu is about that is about so many cases; nothing in particular for one."""
    return "" if count == 1 else f"{count} cases"


class Actions(Protocol):
    """Whoever does what a person asks for."""

    @property
    def key_scheme(self) -> str:
        """The scheme whose keys are bound: napari, slicer or itk-snap."""

    @property
    def study_open(self) -> bool:
        """Whether there is a study to work on."""

    def perform(self, name: str) -> None:
        """Do the action with this id; what prevents it is told to the person."""

    def ask(self, name: str) -> None:
        """Do the action with this id, or say why it is not possible now."""

    def situation(self) -> Situation:
        """Return what decides now which actions are possible."""

    def drag_contrast(self, right: float, up: float) -> None:
        """Widen the window of the scan by ``right`` and raise its level by ``up``, in pixels."""


ActionsOf = Callable[[], Actions | None]
"""Returns whoever does it, asked at each press, so that no key or canvas keeps it alive."""
