import csv

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.errors import VolumeError
from napari_dycon.io.exports import VOLUME_COLUMNS, export_mask, volumes_csv


def row(**changes):
    values = ("a-1", "a 1.nii.gz", "a 1", "sub-01", "left atrium", 1200, 2.34375, "annotation", 100.0, "no")
    return dict(zip(VOLUME_COLUMNS, values, strict=True)) | changes


def test_an_exported_mask_lies_on_its_scan_in_a_folder_that_is_made(tmp_path, oblique_scan):
    mask = np.random.default_rng(0).integers(0, 2, (20, 24, 10)).astype(np.uint8)
    out = tmp_path / "export" / "masks" / "case-0001.nii.gz"
    export_mask(mask, oblique_scan, out)
    written = nib.load(out)
    assert np.array_equal(np.asanyarray(written.dataobj), mask)
    assert np.array_equal(written.affine, nib.load(oblique_scan).affine)


def test_the_table_holds_one_row_a_case_and_structure(tmp_path):
    volumes_csv(
        [row(), row(structure='vein, "left"', source="prediction", known_percent=0)], tmp_path / "volumes.csv"
    )
    with (tmp_path / "volumes.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == VOLUME_COLUMNS
    assert rows[1]["structure"] == 'vein, "left"'
    assert [float(found["volume_ml"]) for found in rows] == [2.34375, 2.34375]


def test_a_name_cannot_become_a_formula_in_a_spreadsheet(tmp_path):
    volumes_csv([row(structure='=HYPERLINK("http://x")')], tmp_path / "volumes.csv")
    assert "\"'=HYPERLINK" in (tmp_path / "volumes.csv").read_text()


def test_a_row_without_a_column_is_an_error_not_a_gap(tmp_path):
    with pytest.raises(KeyError):
        volumes_csv([{"case": "a"}], tmp_path / "volumes.csv")
    assert not (tmp_path / "volumes.csv").exists()


def test_an_export_folder_that_cannot_be_made_is_a_sentence(tmp_path, oblique_scan):
    (tmp_path / "export").write_text("a file")
    with pytest.raises(VolumeError, match="export"):
        export_mask(np.zeros((20, 24, 10), np.uint8), oblique_scan, tmp_path / "export" / "m.nii.gz")
