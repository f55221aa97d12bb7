"""A person who does one thing after another at random, and a model in plain NumPy of what must come of it."""

from dataclasses import dataclass, field
from random import Random

import numpy as np

from napari_dycon.plugin.background import jobs
from napari_dycon.study.truth.annotations import Known
from tests.plugin.hands import Mouse

ORDERS = {"axial": (0, 1, 2), "coronal": (1, 0, 2), "sagittal": (2, 0, 1)}
TOOLS = ("paint", "erase")
SPOKEN = (Known.DRAWN, Known.COMPLETED, Known.IGNORE)


def shown(array):
    """Turn ``(x, y, z)``, stored to the left, back and top, into ``(z, y, x)`` as it is shown."""
    return array[:, :, ::-1].T


@dataclass
class Case:
    """What must be known of a case, and the states before and after that undo and redo go to."""

    labels: np.ndarray
    known: np.ndarray
    undo: list = field(default_factory=list)
    redo: list = field(default_factory=list)

    @classmethod
    def empty(cls, shape):
        return cls(np.zeros(shape, np.uint8), np.zeros(shape, np.uint8))

    def change(self, labels, known):
        if np.array_equal(labels, self.labels) and np.array_equal(known, self.known):
            return
        self.undo.append((self.labels, self.known))
        self.labels, self.known, self.redo = labels, known, []

    def travel(self, here, there):
        if here:
            there.append((self.labels, self.known))
            self.labels, self.known = here.pop()

    def forget_history(self):
        self.undo, self.redo = [], []


class Walker:
    """Fires random intentions at a session, and looks at everything after each."""

    def __init__(self, opened, notes, seed):
        self.opened, self.notes, self.random = opened, notes, Random(seed)
        self.session, self.viewer = opened.session, opened.viewer
        self.mouse = Mouse(self.viewer)
        self.cases = {case.id: Case.empty(case.shape) for case in opened.study.cases}
        self.removed, self.done, self.copies = {}, [], []
        self.layer.brush_size, self.layer.mode = 1, "paint"
        self.hand = {"value": 1, "mode": "paint", "brush": 1, "plane": "axial"}

    @property
    def layer(self):
        return self.opened.layer("annotation")

    @property
    def case(self):
        return self.cases[self.session.cases.case_id]

    def walk(self, steps):
        actions = [name for name in dir(self) if name.startswith("do_")]
        weights = [
            4 if "stroke" in name else 2 if "undo" in name or "open" in name else 1 for name in actions
        ]
        for _ in range(steps):
            name = self.random.choices(actions, weights)[0]
            self.done.append(name)
            place = self.viewer.dims.point
            before = self.session.cases.case_id
            moved = getattr(self, name)()
            self.look(None if moved or self.session.cases.case_id != before else place)
        self.look_at_all()

    # ---- what must be so ---------------------------------------------------------------------

    def look(self, place):
        session, layer, case = self.session, self.layer, self.case
        story = ", ".join(self.done[-12:])
        errors = [text for level, text in self.notes if level == "error"]
        assert errors == [], f"{errors} {story}"
        assert np.array_equal(layer.data, shown(case.labels)), story
        assert np.array_equal(session._desk.case.annotation.known, case.known), story
        assert layer.data.shape == self.opened.layer("scan").data.shape, story
        hand = {
            "value": session.structures.active_value,
            "mode": str(layer.mode),
            "brush": layer.brush_size,
            "plane": next(name for name, order in ORDERS.items() if order == self.viewer.dims.order),
        }
        assert hand == self.hand, f"{hand} {story}"
        assert layer.selected_label == session.structures.active_value, story
        assert place is None or self.viewer.dims.point == place, story
        assert bool(session.labels.undo_name) == bool(case.undo), story
        assert bool(session.labels.redo_name) == bool(case.redo), story
        for one in (*self.viewer.layers, *(copy.layer for copy in self.copies)):
            assert np.allclose(one.scale, self.opened.layer("scan").scale), story
            assert np.allclose(one.data_to_world((3, 2, 1)), np.multiply((3, 2, 1), one.scale)), story
        assert session._desk.saving.flush(), story
        self.compare(session.cases.case_id, story)

    def look_at_all(self):
        for case_id in self.cases:
            self.compare(case_id, "at the end")

    def compare(self, case_id, story):
        found = self.opened.study.annotation(case_id)
        assert np.array_equal(found.labels, self.cases[case_id].labels), story
        assert np.array_equal(found.known, self.cases[case_id].known), story

    # ---- painting ----------------------------------------------------------------------------

    def path(self, length=4):
        """Voxels beside each other on the slice on screen, from a random one on."""
        shape, dims = self.layer.data.shape, self.viewer.dims
        at = [self.random.randrange(size) for size in shape]
        at[dims.order[0]] = dims.current_step[dims.order[0]]
        path = [tuple(at)]
        for _ in range(length):
            axis = self.random.choice(dims.order[1:])
            at[axis] = min(max(at[axis] + self.random.choice((-1, 1)), 0), shape[axis] - 1)
            path.append(tuple(at))
        return path

    def painted(self, path, value):
        labels, known = self.case.labels.copy(), self.case.known.copy()
        for voxel in path:
            if shown(labels)[voxel] != value:
                shown(labels)[voxel], shown(known)[voxel] = value, Known.DRAWN
        self.case.change(labels, known)

    @property
    def paints(self):
        return 0 if self.hand["mode"] == "erase" else self.hand["value"]

    def do_stroke(self):
        path = self.path()
        self.mouse.drag(*path)
        self.painted(path, self.paints)

    def do_stroke_by_a_program(self):
        voxel = self.path(0)[0]
        self.layer.paint(voxel, self.hand["value"])
        self.painted([voxel], self.hand["value"])

    def do_stroke_that_is_cut_off(self):
        """Something else happens while the button is down; the rest of the drag paints nothing."""
        path = self.path()
        self.mouse.press(path[0])
        self.mouse.move(path[1])
        self.painted(path[:2], self.paints)
        others = (self.do_open,) if len(self.cases) > 1 else ()
        cut = self.random.choice((self.do_slice, self.do_undo, self.do_tool_changed, *others))
        self.done.append(cut.__name__)
        moved = cut()
        for voxel in (rest := self.path()):
            self.mouse.move(voxel)
        self.mouse.release(rest[-1])
        return moved

    def do_stroke_while_the_window_is_busy(self):
        """What comes from the background in the middle of a drag ends no stroke."""
        path, paints = self.path(6), self.paints
        self.mouse.press(path[0])
        for number, voxel in enumerate(path[1:]):
            self.mouse.move(voxel)
            if number == 2:
                self.disturb()
        self.mouse.release(path[-1])
        self.painted(path, paints)
        self.opened.rest()

    def disturb(self):
        """Let a prediction arrive, scans be imported, or the planes' places be looked for."""
        what = self.random.choice(("prediction", "import", "structure", "stop"))
        self.done.append(what)
        if what == "prediction":
            mask = np.full(self.case.labels.shape, self.random.choice((0, 1)), np.uint8)
            self.session.views.show_prediction(jobs.PredictionLoaded(self.session.cases.case_id, mask, mask))
        elif what == "import":
            self.opened.rest()
            scans = [self.opened.study.scan_path(case_id) for case_id in self.cases]
            self.session.exchange.add_scans(scans)
            self.opened.rest()
        elif what == "structure":
            one = self.random.choice(self.session.structures.all)
            self.session.structures.rename(one.value, f"renamed {len(self.done)}")
        else:
            self.opened.rest()
            self.session.training.train("dycon", 1.0)
            self.session.tasks.stop()
            self.opened.rest()

    def do_tool_changed(self):
        self.hand["mode"] = next(mode for mode in TOOLS if mode != self.hand["mode"])
        self.session.tools.take(self.hand["mode"])

    def do_undo(self):
        self.session.labels.undo()
        self.case.travel(self.case.undo, self.case.redo)

    def do_redo(self):
        self.session.labels.redo()
        self.case.travel(self.case.redo, self.case.undo)

    # ---- looking -----------------------------------------------------------------------------

    def do_slice(self):
        axis = self.viewer.dims.order[0]
        step = 1 if self.viewer.dims.current_step[axis] == 0 else -1
        self.session.views.step_slice(step)
        return True

    def do_plane(self):
        self.hand["plane"] = self.random.choice(list(ORDERS))
        self.session.views.show_plane(self.hand["plane"])
        return True

    def do_3d_and_back(self):
        self.session.views.toggle_3d()
        self.session.views.toggle_3d()

    def do_copies(self):
        """As the further planes make them and let them go."""
        from napari_dycon.plugin.canvases.mirrors import Mirror

        if self.copies:
            for copy in self.copies:
                copy.close()
            self.copies = []
        else:
            self.copies = [Mirror(self.layer, lambda *_: None), Mirror(self.opened.layer("scan"), print)]

    def do_move_a_layer(self):
        layer = self.random.choice([*self.viewer.layers, *(copy.layer for copy in self.copies)])
        name, value = self.random.choice(
            (("scale", (3, 2, 1)), ("translate", (0, 5, 0)), ("rotate", (0, 0, 20)), ("shear", (0.2, 0, 0)))
        )
        setattr(layer, name, value)
        if layer.name == "scan":
            layer.mode = "transform"

    def do_key_scheme(self):
        self.session.keys.use(self.random.choice(("napari", "slicer", "itk-snap")))

    def do_versions(self):
        self.session.versions.show()
        self.opened.rest()
        if self.session.versions.shown is not None:
            generation = self.random.choice(self.session.versions.shown.rows).generation
            self.session.versions.look_at(generation)
            self.opened.rest()
            self.session.versions.close()

    # ---- cases -------------------------------------------------------------------------------

    def do_open(self):
        before = self.session.cases.case_id
        self.opened.open(self.random.choice([case for case in self.cases if case != before] or [before]))
        self.entered(before)

    def do_next_place(self):
        before = self.session.cases.case_id
        self.opened.rest()
        suggestions = self.session.suggestions
        waiting = suggestions.waiting
        if waiting and waiting == suggestions.places and waiting[0].case in self.cases:
            self.session.suggestions.step()
            self.opened.wait(lambda: self.session.cases.case_id == self.session.suggestions.places[0].case)
            place = self.session.suggestions.places[0]
            self.hand["plane"] = place.plane
            if place.structure in [structure.value for structure in self.session.structures.all]:
                self.hand["value"] = place.structure
            if before != self.session.cases.case_id:
                self.case.forget_history()
            assert self.session._presenter.slices.current_slice() == (1, 7)
            return True
        return False

    def do_remove_and_restore(self):
        if self.removed:
            folder = self.session.cases.list.removed_cases()[0].folder
            self.session.cases.restore(getattr(folder, "name", folder))
            case_id, before = next(iter(self.removed)), self.session.cases.case_id
            self.cases[case_id] = self.removed.pop(case_id)
            self.opened.wait(lambda: self.session.cases.case_id == case_id)
            self.entered(before)
        elif len(self.cases) > 1:
            before = gone = self.session.cases.case_id
            self.removed[gone] = self.cases.pop(gone)
            self.removed[gone].forget_history()
            self.session.cases.remove([gone])
            self.opened.wait(lambda: self.session.cases.case_id not in (None, gone))
            self.opened.rest()
            self.entered(before)

    def do_close_and_reopen(self):
        path, before = self.opened.study.path, self.session.cases.case_id
        self.session.close()
        self.session.open_study(path)
        self.opened.wait(lambda: self.session.cases.case_id is not None)
        self.opened.rest()
        assert self.session.cases.case_id == before
        self.entered(None)

    def entered(self, before):
        """A case is read anew when it is opened, and shown in the plane in which it was left."""
        if self.session.cases.case_id != before:
            self.case.forget_history()
            order = self.viewer.dims.order
            self.hand["plane"] = next(name for name, known in ORDERS.items() if known == order)

    # ---- structures --------------------------------------------------------------------------

    def do_structure(self):
        self.hand["value"] = self.random.choice(self.session.structures.all).value
        self.session.structures.select(self.hand["value"])

    def do_add_structure(self):
        if len(self.session.structures.all) < 5:
            self.session.structures.add(f"structure {len(self.done)}")
            self.hand["value"] = self.session.structures.active_value

    def do_rename_and_recolour(self):
        one = self.random.choice(self.session.structures.all)
        self.session.structures.rename(one.value, f"renamed {len(self.done)}")
        self.session.structures.recolour(one.value, "#12ab34")

    def do_merge(self):
        values = [one.value for one in self.session.structures.all]
        if len(values) > 2 and not self.removed:
            gone, heir = self.random.sample(values, 2)
            self.rewrite(lambda: self.session.structures.merge(gone, heir))
            for case in self.cases.values():
                case.labels = np.where(case.labels == gone, np.uint8(heir), case.labels)
            self.hand["value"] = heir if self.hand["value"] == gone else self.hand["value"]

    def rewrite(self, ask):
        self.opened.rest()
        ask()
        self.opened.wait(lambda: self.session.dialogue.question is not None)
        self.opened.rest()
        self.session.dialogue.answer("change")
        self.opened.rest()
        self.opened.wait(lambda: self.session.cases.case_id is not None)
        for case in self.cases.values():
            case.forget_history()

    # ---- the model ---------------------------------------------------------------------------

    def do_train_and_predict(self):
        self.opened.rest()
        self.session.training.train("dycon", 1.0)
        self.opened.rest()
        self.opened.wait(lambda: self.session.cases.has_prediction)

    def do_decide_about_the_case(self):
        if not self.session.cases.has_prediction:
            return
        accept, predicted = self.random.choice((True, False)), self.session._desk.case.prediction
        free = ~np.isin(self.case.known, SPOKEN)
        self.session.regions.decide("accept" if accept else "reject", "case")
        self.opened.rest()
        self.decided(accept, predicted, free)

    def do_point_and_leave(self):
        """Look at the pieces of the prediction, and click none."""
        if self.session.cases.has_prediction:
            self.session.regions.decide("reject", "piece")
            self.opened.rest()
            self.session.regions.point()
            self.session.dialogue.answer("cancel")

    def do_accept_slice(self):
        self.on_slice(accept=True)

    def do_reject_slice(self):
        self.on_slice(accept=False)

    def on_slice(self, accept):
        if not self.session.cases.has_prediction:
            return
        predicted = self.session._desk.case.prediction
        free = ~np.isin(self.case.known, SPOKEN) & self.slice_mask()
        self.session.regions.decide("accept" if accept else "reject", "slice")
        self.decided(accept, predicted, free)

    def decided(self, accept, predicted, free):
        where = free if accept else free & (predicted > 0)
        labels = np.where(where, predicted if accept else np.uint8(0), self.case.labels)
        known = np.where(where, np.uint8(Known.ACCEPTED if accept else Known.DRAWN), self.case.known)
        self.case.change(labels, known)

    def do_complete_slice(self):
        unknown = self.slice_mask() & (self.case.known == Known.UNKNOWN)
        if unknown.any():
            self.session.labels.toggle_slice_complete()
            known = np.where(unknown, np.uint8(Known.COMPLETED), self.case.known)
            self.case.change(self.case.labels.copy(), known)

    def slice_mask(self):
        mask, axis = np.zeros(self.case.labels.shape, bool), self.viewer.dims.order[0]
        np.moveaxis(shown(mask), axis, 0)[self.viewer.dims.current_step[axis]] = True
        return mask
