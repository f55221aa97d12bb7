"""The methods sheet: what it says of a study, in HTML and in PDF."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from napari_dycon.engine.comparison import FILE, Comparison
from napari_dycon.errors import StudyError
from napari_dycon.io.json_files import write_model
from napari_dycon.report import pdf
from napari_dycon.report.collecting import collect
from napari_dycon.report.page import to_html
from napari_dycon.report.sheet import Section, Sheet, Table
from napari_dycon.report.writing import write_sheet
from napari_dycon.study.exchange.readers import make_consensus, open_reader
from napari_dycon.study.store.place_log import add_place
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation, Known
from tests.guidance.conftest import SHAPE, prediction, scene
from tests.guidance.test_brought import done


@pytest.fixture
def study(tmp_path):
    with scene(tmp_path) as study:
        yield study


def section(study: Study, title: str) -> str:
    found = next(one for one in collect(study).sections if one.title.startswith(title))
    cells = (cell for table in found.tables for row in table.rows for cell in row)
    return " ".join((*found.sentences, *cells))


def test_an_empty_study_says_that_there_is_nothing(tmp_path):
    with Study.create(tmp_path / "empty", (Structure(value=1, name="organ"),)) as study:
        assert "0 scans" in section(study, "In short") and "No model" in section(study, "In short")
        assert "Nothing has been trained" in section(study, "Held-out")
        assert write_sheet(collect(study), tmp_path / "out")[0].is_file()


def test_labels_are_told_by_how_they_are_known(study):
    annotation = Annotation(prediction(), np.full(SHAPE, Known.DRAWN, np.uint8))
    annotation.known[:20] = Known.ACCEPTED
    study.save_annotation(study.cases[0].id, annotation, "complete")
    study.notebook.spend({study.cases[0].id: 360.0})
    text = section(study, "Labels")
    assert "50 % were drawn, imported or declared background by a person, 50 % accepted" in text
    assert "median 6.0 min" in text and "does not record who it was" in text
    assert "1 are labelled completely, 0 in part, 5 not at all" in section(study, "In short")


def test_it_says_who_drew_and_how_far_readers_agree(study):
    first, second = (case.id for case in study.cases[:2])
    study.reader = "AK"
    for case in (first, second):
        study.save_annotation(case, Annotation.full(prediction()), "complete")
    assert "2 scans by AK" in section(study, "Labels")
    with open_reader(study, "BM") as own:
        own.save_annotation(second, Annotation.full(prediction()), "complete")
    assert "AK and BM 1 1.000 1.000" in section(study, "Labels")
    list(make_consensus(study))
    text = section(study, "Labels")
    assert "2 scans by AK, 1 scan by BM" in text
    assert "Of 1 scan the labels are, or began as, the consensus of AK, BM." in text


def test_expected_quality_rests_on_cases_that_were_completed_after_the_model(study):
    run, cases = study.active_run, [case.id for case in study.cases]
    (study.run_dir(run) / "config.json").write_text(json.dumps({"trained_on": []}))
    row = {"expected_dice": {"organ": 0.9, "nodule": 0.8}, "volumes_ml": {}}
    study.predictions.save_summary(run, dict.fromkeys(cases, row))
    for case in cases[:4]:
        study.save_annotation(case, Annotation.full(np.roll(prediction(), 4, axis=0)), "complete")
    text = section(study, "Expected")
    assert "4 patients so far" in text and "4 of 9 checked" in text
    assert re.search(r"organ 4 0\.750 2 0\.825 0\.\d\d to 0\.\d\d nodule 4 0\.000 2 0\.400", text)


def test_a_control_is_told_with_its_certainty(study):
    assert "No supervised control was trained" in section(study, "Control")
    comparison = Comparison(
        method="dycon", run="001-dycon", dice=0.84, control_run="002-supervised", control_dice=0.81
    )
    write_model(study.run_dir(study.active_run) / FILE, comparison)
    assert section(study, "Control") == comparison.text and "+3.0 points" in comparison.text


def test_what_suggestions_brought_is_told_with_its_interval(study):
    assert "No suggested place has been done" in section(study, "What suggestions")
    for number in range(9):
        add_place(study.path, done(number, mm2=6.0 + number % 2))
    text = section(study, "What suggestions")
    assert "8 of 8 chosen and 0 of 4 random" in text
    assert "It is not known that labelling may stop" in text and "0 of 3 models" in text
    for number in range(4):
        add_place(study.path, done(number, "random", 2.5))
    add_place(study.path, done(30, outcome="skipped"))
    text = section(study, "What suggestions")
    assert "13 led to work there, 1 were skipped" in text
    assert "Suggested places: 6.4 mm² mended a slice, random ones 2.5." in text
    assert "chosen 9 6.4" in text and "random 4 2.5 2.5 to 2.5 20 7.5" in text


def test_a_run_that_cannot_be_read_does_not_spoil_the_page(study):
    (study.run_dir(study.active_run) / "config.json").write_text("{")
    assert "There is no readable plan" in section(study, "Settings")


def test_a_trained_study_tells_its_settings_and_what_was_held_out(tmp_path, make_study, train):
    study = make_study(cases=4, labelled=3)
    train(study, "dycon", iterations=3)
    text = section(study, "In short")
    assert (
        "learned from labels of 3 scans and, without labels, from up to 1 other scan, in 3 iterations" in text
    )
    assert "3 iterations, 0" in section(study, "Settings") and "adamw" in section(study, "Settings")
    assert "Dice of the present model on" in section(study, "Held-out")


def test_names_are_shown_as_they_are_and_never_understood_as_html():
    nasty = "<script>alert(1)</script> & $x^2$"
    page = to_html(Sheet(nasty, nasty, (Section(nasty, (nasty,), (Table.of((nasty,), ((nasty,),)),)),)))
    assert "<script" not in page and page.count("&lt;script&gt;") == 7 and "http" not in page


def long_sheet(rows: int) -> Sheet:
    word = "unbreakable" * 20
    table = Table.of(("a", "b"), [(f"{number} $x_1$", word) for number in range(rows)])
    return Sheet("title", "below", (Section("heading", (f"{word} and words " * 5,), (table,)),))


def test_nothing_runs_over_the_edges_of_the_paper_and_a_full_page_goes_on(monkeypatch, tmp_path):
    setters = []
    made = pdf._Setter.__post_init__
    monkeypatch.setattr(pdf._Setter, "__post_init__", lambda self: made(self) or setters.append(self))
    pdf.write_pdf(long_sheet(40), tmp_path / "long.pdf")
    pages = setters[0].pages
    assert 1 < len(pages) < 8
    for page in pages:
        for text in page.texts:
            box = text.get_window_extent().transformed(page.transFigure.inverted())
            assert box.x0 >= 0.05 and box.x1 <= 0.97 and box.y0 >= 0.03 and box.y1 <= 0.97


def test_the_pdf_holds_text_that_can_be_searched(tmp_path):
    pdf.write_pdf(long_sheet(1), tmp_path / "a.pdf")
    content = (tmp_path / "a.pdf").read_bytes()
    assert content.startswith(b"%PDF") and b"/Type0" in content and b"/ToUnicode" in content


@pytest.mark.parametrize(
    ("out", "names"),
    [
        ("folder", ["methods-sheet.html", "methods-sheet.pdf"]),
        ("sheet.html", ["sheet.html"]),
        ("deep/er/sheet.PDF", ["sheet.PDF"]),
    ],
)
def test_it_is_written_into_a_folder_or_to_the_file_that_was_named(tmp_path, out, names):
    for _ in range(2):
        paths = write_sheet(long_sheet(1), tmp_path / out)
        assert [path.name for path in paths] == names and all(path.stat().st_size > 500 for path in paths)


def test_a_file_of_another_kind_is_not_replaced(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StudyError, match="choose a folder"):
        write_sheet(long_sheet(1), tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_run_without_an_end_has_that_for_a_budget(tmp_path, make_study, train):
    study = make_study(cases=3, labelled=2)
    train(study, "supervised", iterations=3)
    path = study.run_dir(study.active_run) / "config.json"
    assert "3 iterations, 0" in section(study, "Settings")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"open_ended": True}))
    assert "until stopped, 0" in section(study, "Settings")
