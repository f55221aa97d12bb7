"""From strokes to a piece, without a window."""

import threading

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.errors import StudyError
from napari_dycon.plugin.actions import ACTIONS, BY_ID
from napari_dycon.plugin.controllers.grower import FROM, HOW, WORKING
from napari_dycon.plugin.controllers.question import CANCEL
from napari_dycon.study.exchange import importing
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Known
from napari_dycon.study.truth.growth import NO_STROKE, box_inside, look_at

BOX = (slice(6, 14), slice(6, 16), slice(2, 8))
"""A bright block in the scan of the case, in source order."""


@pytest.fixture
def bright(opened):
    """The open case with a bright block in its scan, and the strokes in the hand."""
    opened.rest()
    scan = opened.session._desk.case.volume.array
    scan[BOX] += 200
    opened.layer("annotation").mode = "paint"
    opened.session.actions.perform("grow")
    return opened


def case(opened):
    return opened.session._desk.case


def annotation(opened):
    return case(opened).annotation


def question(opened):
    asked = opened.session.dialogue.question
    return None if asked is None else asked.text


def paint(opened, x, y, z, label=1):
    """Paint voxels, given in source order, as one stroke."""
    layer, mask = opened.layer("strokes"), np.zeros(annotation(opened).shape, bool)
    mask[slice(*x), slice(*y), slice(*z)] = True
    where = np.nonzero(case(opened).display.apply(mask))
    layer.data_setitem(where, layer.brush.value(label, layer.selected_label))
    opened.rest()


def inside(opened):
    paint(opened, (8, 12), (8, 14), (4, 6))


def preview(opened):
    """What is proposed, in source order."""
    if "preview" not in opened.viewer.layers:
        return np.zeros(annotation(opened).shape, np.uint8)
    return case(opened).display.invert(np.asarray(opened.layer("preview").data))


def is_proposed(opened):
    """Whether a piece is seen."""
    return "preview" in opened.viewer.layers and opened.layer("preview").visible


def test_it_has_a_key_of_its_own_in_every_scheme():
    for scheme, key in enumerate(BY_ID["grow"].keys):
        assert [action.id for action in ACTIONS if key in action.keys[scheme].split()] == ["grow"]


def test_a_stroke_proposes_a_piece_and_taking_it_over_is_one_step(bright):
    assert question(bright) == HOW
    inside(bright)
    assert question(bright).startswith("Take this piece over?")
    assert is_proposed(bright)
    proposed = preview(bright) == 1
    assert (proposed & _block(bright)).sum() > 0.8 * proposed.sum()
    assert not annotation(bright).known.any()
    bright.session.dialogue.answer("take")
    bright.rest()
    assert np.array_equal(annotation(bright).labels == 1, proposed)
    assert (annotation(bright).known == Known.DRAWN).sum() == 4 * 6 * 2
    assert (annotation(bright).known == Known.ACCEPTED).sum() == proposed.sum() - 4 * 6 * 2
    assert case(bright).editor.undo_names == ["Grow atrium"]
    assert bright.layer("annotation").mode == "paint"
    assert not bright.layer("strokes").visible
    bright.session.labels.undo()
    assert not annotation(bright).known.any()


def _block(opened):
    mask = np.zeros(annotation(opened).shape, bool)
    mask[BOX] = True
    return mask


def test_only_strokes_outside_ask_for_one_inside(bright):
    paint(bright, (1, 3), (1, 3), (4, 6), label=0)
    assert question(bright) == NO_STROKE
    assert not preview(bright).any()
    inside(bright)
    assert question(bright).startswith("Take this piece over?")


def test_a_stroke_on_what_is_labelled_says_why_nothing_grows(bright):
    annotation(bright).labels[...], annotation(bright).known[...] = 3, Known.DRAWN
    inside(bright)
    assert "labelled already" in question(bright)
    bright.session.dialogue.answer("take")
    bright.rest()
    assert (annotation(bright).labels == 3).all()


def test_an_answer_before_the_piece_is_there_waits_for_it(bright):
    inside(bright)
    layer, mask = bright.layer("strokes"), np.zeros(annotation(bright).shape, bool)
    mask[9:11, 6:9, 4:6] = True
    layer.data_setitem(np.nonzero(case(bright).display.apply(mask)), 1)
    bright.session.dialogue.answer("take")
    assert question(bright) == WORKING
    bright.rest()
    assert question(bright) is None
    assert annotation(bright).labels[9, 6, 4] == 1


def test_undo_takes_strokes_back_one_by_one_and_leaves_the_labels_alone(bright):
    inside(bright)
    first = preview(bright).copy()
    paint(bright, (6, 14), (12, 14), (2, 4), label=0)
    assert not np.array_equal(preview(bright), first)
    bright.session.actions.perform("undo")
    bright.rest()
    assert np.array_equal(preview(bright), first)
    bright.session.actions.perform("undo")
    bright.session.actions.perform("undo")
    bright.rest()
    assert question(bright) == HOW
    assert not preview(bright).any()
    assert not np.asarray(bright.layer("strokes").data).any()


def test_asked_once_more_it_is_called_off(bright):
    inside(bright)
    bright.session.actions.perform("grow")
    assert question(bright) is None
    assert not is_proposed(bright)
    assert not annotation(bright).known.any()


def test_another_layer_calls_it_off_and_keeps_its_tool(bright):
    bright.viewer.layers.selection.active = bright.layer("scan")
    bright.wait(lambda: question(bright) is None)
    assert bright.viewer.layers.selection.active is bright.layer("scan")


def test_the_case_may_change_while_it_grows(bright):
    layer, mask = bright.layer("strokes"), np.zeros(annotation(bright).shape, bool)
    mask[8:12, 8:14, 4:6] = True
    layer.data_setitem(np.nonzero(case(bright).display.apply(mask)), 1)
    bright.session.cases.open("beta")
    bright.rest()
    assert bright.session.cases.case_id == "beta"
    assert question(bright) is None
    assert not annotation(bright).known.any()
    assert not bright.layer("strokes").visible
    assert not is_proposed(bright)


def test_another_structure_grows_from_the_same_strokes(bright):
    inside(bright)
    bright.session.structures.step(1)
    bright.rest()
    assert set(np.unique(preview(bright))) == {0, 3}
    bright.session.dialogue.answer("take")
    bright.rest()
    assert set(np.unique(annotation(bright).labels)) == {0, 3}


def test_the_keys_of_brush_and_eraser_work_on_the_strokes(bright):
    bright.session.actions.perform("erase")
    assert bright.layer("strokes").mode == "erase"
    assert question(bright) == HOW
    bright.session.actions.perform("paint")
    assert bright.layer("strokes").mode == "paint"
    size = bright.layer("strokes").brush_size
    bright.session.actions.perform("brush_bigger")
    assert bright.layer("strokes").brush_size == size + 1


def test_where_an_older_version_is_looked_at_it_says_so_and_nothing_starts(opened, notes):
    opened.session._desk.look_at(annotation(opened).labels.copy())
    opened.session.actions.perform("grow")
    assert question(opened) is None
    assert "older version" in notes[-1][1]
    assert "strokes" not in opened.viewer.layers


def test_strokes_are_drawn_on_slices_only(opened, notes):
    opened.viewer.dims.ndisplay = 3
    opened.session.actions.perform("grow")
    assert question(opened) is None
    assert "2D" in notes[-1][1]


class Far:
    """A source elsewhere, which answers when its gate is open: the box of the strokes, or trouble."""

    title, patience = "Far away", "Far away is at work …"

    def __init__(self):
        self.gate, self.offered, self.trouble, self.let_go_of = threading.Event(), True, "", 0
        self.gate.set()

    def is_offered(self):
        return self.offered

    def grow(self, request, look_up):
        while not self.gate.wait(0.02):
            look_up()
        if self.trouble:
            raise StudyError(self.trouble)
        box = box_inside(request.strokes)
        given = look_at(request.annotation, request.structure, request.strokes, box)
        return given.settle(np.ones(given.free.shape, bool), self.title)

    def let_go(self):
        self.let_go_of += 1


@pytest.fixture
def far(opened):
    source = opened.session.tools._grower._sources.made["far"] = Far()
    yield source
    source.gate.set()


def test_with_one_source_there_is_nothing_to_choose(bright):
    assert bright.session.dialogue.question.ways == ()


def test_where_there_are_several_sources_one_is_chosen_and_kept(opened, far, bright):
    inside(bright)
    by_intensities = preview(bright).copy()
    asked = bright.session.dialogue.question
    assert asked.ways == ((FROM + "intensities", "By intensities"), (FROM + "far", "Far away"))
    assert asked.way == FROM + "intensities"
    far.gate.clear()
    bright.session.dialogue.answer(FROM + "far")
    assert question(bright) == far.patience
    far.gate.set()
    bright.rest()
    assert question(bright).startswith("Take this piece over?")
    assert preview(bright).astype(bool).sum() == 4 * 6 * 2 < by_intensities.astype(bool).sum()
    bright.session.dialogue.answer("take")
    bright.rest()
    assert case(bright).editor.undo_names == ["Grow atrium (Far away)"]
    bright.session.actions.perform("grow")
    assert bright.session.dialogue.question.way == FROM + "far"


def test_trouble_with_one_source_is_a_sentence_and_the_other_one_goes_on(opened, far, bright):
    far.trouble = "Far away cannot be reached."
    bright.session.dialogue.answer(FROM + "far")
    assert question(bright) == HOW
    inside(bright)
    assert question(bright) == far.trouble
    assert not preview(bright).any()
    bright.session.dialogue.answer(FROM + "intensities")
    bright.rest()
    assert question(bright).startswith("Take this piece over?")


def test_who_does_not_want_to_wait_chooses_the_other_source(opened, far, bright):
    bright.session.dialogue.answer(FROM + "far")
    far.gate.clear()
    layer, mask = bright.layer("strokes"), np.zeros(annotation(bright).shape, bool)
    mask[8:12, 8:14, 4:6] = True
    layer.data_setitem(np.nonzero(case(bright).display.apply(mask)), 1)
    assert question(bright) == far.patience
    bright.session.dialogue.answer(FROM + "intensities")
    assert question(bright) == WORKING
    bright.rest()
    assert question(bright).startswith("Take this piece over?")


def test_a_silent_source_keeps_nothing_waiting(opened, far, bright):
    bright.session.dialogue.answer(FROM + "far")
    far.gate.clear()
    layer, mask = bright.layer("strokes"), np.zeros(annotation(bright).shape, bool)
    mask[8:12, 8:14, 4:6] = True
    layer.data_setitem(np.nonzero(case(bright).display.apply(mask)), 1)
    bright.session.cases.open("beta")
    bright.rest()
    assert bright.session.cases.case_id == "beta"
    assert question(bright) is None
    assert far.let_go_of
    assert not is_proposed(bright)


def test_a_source_that_is_offered_no_longer_gives_way_to_the_usual_one(opened, far, bright):
    bright.session.dialogue.answer(FROM + "far")
    bright.session.dialogue.answer("cancel")
    far.offered = False
    bright.session.actions.perform("grow")
    assert bright.session.dialogue.question.ways == ()
    inside(bright)
    assert question(bright).startswith("Take this piece over?")


def test_a_case_of_another_size_keeps_nothing_of_the_strokes_before(make_session, tmp_path, qtbot):
    """A hidden layer of another size gave napari slices that the scan does not have."""
    from napari.components import ViewerModel

    for name, depth in (("long", 30), ("short", 12)):
        image = np.random.default_rng(depth).normal(100, 10, (20, 18, depth)).astype(np.float32)
        nib.save(nib.Nifti1Image(image, np.diag([-1.0, -1.0, 2.0, 1.0])), tmp_path / f"{name}.nii.gz")
    with Study.create(tmp_path / "study", []) as study:
        study.add_structure("organ")
        list(importing.add_scans(study, sorted(tmp_path.glob("*.nii.gz"))))
    viewer = ViewerModel()
    session = make_session(viewer)
    session.open_study(tmp_path / "study")
    for case in ("long", "short"):
        session.cases.open(case)
        qtbot.waitUntil(lambda case=case: session.cases.case_id == case, timeout=15000)
        if case == "long":
            session.tools.grow()
            session.dialogue.answer(CANCEL)
    assert "strokes" in viewer.layers
    assert viewer.dims.nsteps[0] == 12
