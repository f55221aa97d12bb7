"""What CONTRIBUTING says can be added in one file can be, from another package, as it says."""

import re
import runpy
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from napari_dycon.engine.events import RunFinished, StepFinished
from napari_dycon.errors import StudyError
from napari_dycon.guidance.suggestions import strategies, suggest
from napari_dycon.learning.methods.base import methods
from napari_dycon.learning.networks import backbones
from napari_dycon.study.exchange.exporting import ExportRequest, export_all
from napari_dycon.study.exchange.formats import formats
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation
from napari_dycon.study.truth.growth import Stroke
from napari_dycon.study.truth.pieces import PieceRequest, sources
from napari_dycon.study.truth.regions import Selection
from tests.engine.conftest import NODE, TINY

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"
BLOCKS = re.findall(r"```python\n# (\w+)\.py\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Add one file of the page to a register, as a package does that is installed beside ours."""

    def install(name, register, group):
        (tmp_path / f"contributed_{name}.py").write_text(dict(BLOCKS)[name])
        entry = EntryPoint(name, f"contributed_{name}", group)
        entries = {group: [entry]}
        register.names()
        monkeypatch.setattr(register, "_found", dict(register._found))
        monkeypatch.setattr(register, "_searched", False)
        monkeypatch.setattr("napari_dycon.register.entry_points", lambda group: entries.get(group, []))
        monkeypatch.syspath_prepend(tmp_path)
        assert name in register.names()

    return install


def test_a_method_in_one_file_is_trained(package, make_study, train):
    package("cautious", methods, "napari_dycon.methods")
    events = train(make_study(), "cautious", overrides={**TINY, "method_settings": {"entropy_weight": 0.2}})
    losses = {name for event in events if isinstance(event, StepFinished) for name in event.losses}
    assert {"supervised", "entropy"} <= losses
    assert isinstance(events[-1], RunFinished)


def test_a_strategy_in_one_file_suggests(package, make_study):
    package("middle", strategies, "napari_dycon.strategies")
    study = make_study()
    study.set_active_run(study.new_run("dycon"))
    mask = np.zeros(study.cases[2].shape, np.uint8)
    mask[5:9, 4:8, 6:13] = NODE
    study.predictions.save(study.active_run, study.cases[2].id, mask, np.zeros(mask.shape, np.float32))
    (place,) = suggest(study, strategy="middle")
    assert (place.case, place.plane, place.index, place.structure) == (study.cases[2].id, "axial", 9, NODE)
    assert place.box[place.axis] == (9, 10)


def test_a_backbone_in_one_file_is_trained(package, make_study, train):
    package("plain", backbones, "napari_dycon.backbones")
    events = train(make_study(), overrides={**TINY, "network": {**TINY["network"], "kind": "plain"}})
    assert isinstance(events[-1], RunFinished)


def test_an_export_format_in_one_file_writes(package, make_study, tmp_path):
    package("numpy_archive", formats, "napari_dycon.writers")
    study, out = make_study(), tmp_path / "out"
    request = ExportRequest(out, form="numpy_archive")
    done = export_all(study, request)
    assert not done.problems
    first = study.cases[0]
    kept = np.load(out / f"{first.name}.npz")
    np.testing.assert_array_equal(kept["labels"], study.annotation(first.id).labels)
    np.testing.assert_array_equal(kept["affine"], study.geometry(first.id).affine)
    assert f"{first.name}.npz" in (out / "volumes.csv").read_text()
    with pytest.raises(StudyError, match=f"holds {first.name}.npz"):
        export_all(study, request)


def test_a_source_of_pieces_in_one_file_proposes(package, make_study):
    package("as_bright", sources, "napari_dycon.sources")
    study = make_study()
    case = study.cases[2].id
    scan, node = study.volume(case), Structure(value=NODE, name="node")
    scan.array[...] = np.arange(scan.array.size).reshape(scan.array.shape) % 100
    stroke = Stroke(Selection((slice(5, 6), slice(4, 5), slice(6, 9))), True)
    request = PieceRequest(scan, Annotation.empty(scan.array.shape), node, (stroke,))
    source = sources.get("as_bright")(dict)
    assert source.is_offered()
    grown = source.grow(request, lambda: None)
    under = scan.array[stroke.where.box]
    assert grown.piece[stroke.where.box].all()
    assert set(np.unique(scan.array[grown.box][grown.piece])) == set(under.ravel())
    assert grown.name == "Grow node (As bright)"


def test_a_map_in_one_file_lies_beside_the_predictions(make_study, tmp_path, monkeypatch):
    study = make_study()
    first, other, path = study.cases[2].id, study.cases[3].id, study.path
    run = study.new_run("dycon")
    study.set_active_run(run)
    scan = study.volume(first).array
    mask = np.where(scan > np.median(scan) + 60, NODE, 0).astype(np.uint8)
    study.predictions.save(run, first, mask, np.zeros(mask.shape, np.float32))
    study.close()
    program = tmp_path / "odd.py"
    program.write_text(dict(BLOCKS)["odd"])
    monkeypatch.setattr("sys.argv", [str(program), str(path)])
    runpy.run_path(str(program), run_name="__main__")
    with Study.open(path, read_only=True) as study:
        assert "odd" in study.predictions.map_names(run, first)
        assert "odd" not in study.predictions.map_names(run, other)
        written = study.predictions.map(run, first, "odd")
        inside = scan[mask > 0]
        usual = np.unravel_index(np.argmin(np.where(mask > 0, abs(scan - inside.mean()), np.inf)), scan.shape)
        assert written.shape == scan.shape
        assert written[usual] < written[np.unravel_index(np.argmax(scan * (mask == 0)), scan.shape)]
        assert (path / "predictions" / run / f"{first}.odd.nii.gz").is_file()


def test_every_file_of_the_page_is_tested():
    assert {name for name, _ in BLOCKS} == {
        "cautious",
        "middle",
        "plain",
        "numpy_archive",
        "as_bright",
        "odd",
    }
