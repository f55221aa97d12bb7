"""Any one file of a study damaged in any way: it opens, every intact label is there, and saving goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from napari_dycon.errors import DyconError
from napari_dycon.study.exchange import importing
from napari_dycon.study.store.runs import ENTROPY
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation

FILES = (
    "study.json",
    "study.json.bak",
    "study.journal.jsonl",
    "notebook.json",
    "notebook.json.bak",
    ".study.seen",
    ".study.lock",
    ".study.holder.json",
    "annotations/a.json",
    "annotations/a.nii.gz",
    "annotations/a.known.nii.gz",
    "history/a/000001.json",
    "history/a/000001.nii.gz",
    "history/structures.json",
    "predictions/001-dycon/summary.json",
    "predictions/001-dycon/a.nii.gz",
    "removed/folder/case.json",
)


def cut(path, content):
    path.write_bytes(content[: len(content) // 2])


def emptied(path, content):
    path.write_bytes(b"")


def gone(path, content):
    path.unlink()


def scrambled(path, content):
    rng = np.random.default_rng(len(content))
    path.write_bytes(rng.integers(0, 256, 500, np.uint8).tobytes())


def flipped(path, content):
    content = content or b"empty"
    place = len(content) // 3
    path.write_bytes(content[:place] + bytes([content[place] ^ 0x24]) + content[place + 1 :])


def nulls(path, content):
    path.write_bytes(content.replace(b"1", b"null").replace(b"true", b"NaN"))


def lists(path, content):
    path.write_bytes(b"[" * 100_000)


def numbers(path, content):
    path.write_bytes(b'{"schema_version": 1e999, "cases": ' + b"9" * 6000 + b"}")


def marked(path, content):
    path.write_bytes(b"\xef\xbb\xbf" + content)


def folder(path, content):
    path.unlink()
    (path / "inside").mkdir(parents=True)


def loop(path, content):
    path.unlink()
    path.symlink_to(path.name)


DAMAGE = (cut, emptied, gone, scrambled, flipped, nulls, lists, numbers, marked, folder, loop)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A closed study with something of everything."""
    from tests.study.conftest import save_nifti

    home = tmp_path_factory.mktemp("whole")
    scans = [
        save_nifti(home / "images" / f"{name}.nii.gz", np.arange(64, dtype=np.int16).reshape(4, 4, 4) + place)
        for place, name in enumerate("abcx")
    ]
    with Study.create(home / "study", [Structure(value=1, name="atrium")]) as study:
        study.add_structure("vein")
        for scan in scans:
            case = importing.add_scan(study, scan)
            study.save_annotation(case.id, labels(1), "complete")
            study.save_annotation(case.id, labels(2), "complete")
        study.merge_structures(2, into=1)
        run = study.new_run("dycon")
        study.predictions.save(run, "a", labels(1).labels, np.zeros((4, 4, 4), np.float32))
        study.predictions.save_summary(run, {"a": {"ready": True, "mean_entropy": 0.1}})
        study.notebook.write("a", note="first")
        study.notebook.save()
        study.notebook.write("a", note="second")
        (study.path / "removed" / study.remove_case("x").folder).rename(study.path / "removed" / "folder")
    Study.open(home / "study", read_only=False).close()
    return home / "study"


def labels(value: int, at: int = 1) -> Annotation:
    mask = np.zeros((4, 4, 4), np.uint8)
    mask[at] = value
    return Annotation.full(mask)


def test_the_list_of_files_is_what_a_study_has(whole):
    there = {str(path.relative_to(whole)) for path in whole.rglob("*") if path.is_file()}
    assert set(FILES) - there <= {".study.holder.json"}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_one_damaged_file_costs_no_intact_label_and_stops_no_save(whole, tmp_path, name, damage):
    home = Path(shutil.copytree(whole, tmp_path / "study", copy_function=shutil.copyfile))
    path = home / name
    content = path.read_bytes() if path.exists() else b"{}"
    path.touch()
    damage(path, content)
    with Study.open(home, read_only=True) as looked_at:
        assert [case.id for case in looked_at.cases] == ["a", "b", "c"]
    with Study.open(home, read_only=False) as study:
        assert [case.id for case in study.cases] == ["a", "b", "c"]
        for case in study.cases:
            if not name.startswith(f"annotations/{case.id}."):
                assert (study.annotation(case.id).labels == labels(1).labels).all()
            visit(study, case.id)
            study.save_annotation(case.id, labels(1, at=2), "complete")
            assert (study.annotation(case.id).labels == labels(1, at=2).labels).all()
        study.notebook.write("b", note="third")
        study.notebook.save()
        run = study.new_run("dycon")
        study.predictions.save_summary("001-dycon", {"b": {"ready": False}})
        assert study.predictions.unready("001-dycon") >= {"b"}
        study.add_structure(f"another {run}")
    with Study.open(home, read_only=False) as again:
        assert again.oddities == () and again.notebook.notes == ()
        assert again.notebook.page("b").note == "third"
        for case in again.cases:
            assert case.status == "complete"
            assert (again.annotation(case.id).labels == labels(1, at=2).labels).all()


def visit(study: Study, case: str) -> None:
    """Whatever a person may look at: sentences are allowed, nothing else."""
    for look in (
        lambda: study.annotation(case),
        lambda: study.annotation_summary(case),
        lambda: study.annotation_version(case, 1),
        lambda: study.predictions.mask("001-dycon", case),
        lambda: study.predictions.map("001-dycon", case, ENTROPY),
        study.removed_cases,
        lambda: study.versions(case),
    ):
        try:
            look()
        except DyconError as error:
            assert "validation error" not in str(error)
