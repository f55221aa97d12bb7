import numpy as np
import pytest

from napari_dycon.io.geometry import Geometry
from napari_dycon.io.masks import values_at_edge
from napari_dycon.study.exchange import importing
from napari_dycon.study.truth import draft as module
from napari_dycon.study.truth.annotations import Annotation, Known
from napari_dycon.study.truth.draft import Draft
from napari_dycon.study.truth.editing import AnnotationEditor
from napari_dycon.study.truth.regions import cuboid

SHAPE = (7, 6, 9)


@pytest.fixture(params=[1, 90, 1 << 18], ids=["a slice a sheet", "two slices", "all in one"])
def annotation(request, monkeypatch):
    monkeypatch.setattr(module, "PIECE_VOXELS", request.param)
    rng = np.random.default_rng(3)
    annotation = Annotation(*(rng.integers(0, high, SHAPE).astype(np.uint8) for high in (4, 5)))
    annotation.known[:, :, 2] = Known.COMPLETED
    annotation.known[:, 4] = annotation.known[1] = Known.DRAWN
    return annotation


def test_a_draft_counts_what_the_annotation_counts(annotation):
    draft = Draft.of(annotation)
    assert draft.known_fraction == annotation.known_fraction
    assert draft.label_voxels == annotation.label_voxels()
    assert draft.known_voxels == annotation.known_voxels()
    assert draft.complete_counts == annotation.complete_counts()
    assert min(draft.complete_counts) > 0
    assert set(draft.at_edge) == values_at_edge(annotation.labels) != set()


def test_files_follow_every_kind_of_edit(study, make_scan, monkeypatch):
    case = importing.add_scan(study, make_scan())
    shape, rng = study.geometry(case.id).shape, np.random.default_rng(4)
    monkeypatch.setattr(module, "PIECE_VOXELS", 2 * shape[0] * shape[1])
    editor = AnnotationEditor(study.annotation(case.id).in_file_order(), study.geometry(case.id))
    corner = [int(size) - 1 for size in shape]
    prediction = rng.integers(0, 2, shape).astype(np.uint8)

    def paint(*voxel):
        editor.labels[voxel] = 1
        editor.stroke([[place] for place in voxel])

    def write_untold():
        editor.labels[2, 3, 1] = 1

    for edit in (
        lambda: paint(1, 1, 0),
        lambda: paint(*corner),
        write_untold,
        lambda: editor.accept(prediction, cuboid(shape, (0, 0, 0), (4, 4, 3))),
        lambda: editor.complete_slice(2, shape[2] - 1),
        editor.undo,
        editor.undo,
        editor.redo,
        lambda: editor.reopen_slice(1, 2),
        lambda: editor.complete_slice(0, 1),
        editor.undo,
        editor.undo,
        editor.undo,
    ):
        edit()
        taken = editor.take()
        if taken is not None:
            study.save_annotation(case.id, *taken)
        found = study.annotation(case.id)
        np.testing.assert_array_equal(found.labels, editor.labels)
        np.testing.assert_array_equal(found.known, editor.known)
        assert study.case(case.id).known_fraction == editor.annotation.known_fraction
        assert set(study.case(case.id).at_edge) == values_at_edge(editor.labels)


def test_only_the_slices_of_a_stroke_are_compressed_again(monkeypatch):
    shape = (8, 8, 40)
    monkeypatch.setattr(module, "PIECE_VOXELS", 64)
    editor = AnnotationEditor(Annotation.empty(shape), Geometry(shape, np.eye(4)))
    editor.labels[1, 1, 5:7] = 1
    editor.stroke(([1, 1], [1, 1], [5, 6]))
    editor.take()
    compressed = []
    put = Draft.put

    def heard(self, number, part):
        compressed.append(number)
        put(self, number, part)

    monkeypatch.setattr(Draft, "put", heard)
    editor.labels[2, 2, 30] = 1
    editor.stroke(([2], [2], [30]))
    editor.take()
    assert compressed == [30]
