import gzip
import zlib

import numpy as np
import pytest

from napari_dycon.errors import VolumeError
from napari_dycon.io import masks, pieces
from napari_dycon.io.masks import read_mask, write_mask, write_pieces
from napari_dycon.io.pieces import Piece, join_pieces
from napari_dycon.io.volumes import read_geometry


def cut(mask, *edges):
    return [Piece.of(mask[:, :, a:b]) for a, b in zip((0, *edges), (*edges, mask.shape[2]), strict=True)]


@pytest.fixture
def mask(oblique_scan):
    shape = read_geometry(oblique_scan).shape
    mask = np.random.default_rng(0).integers(0, 4, shape).astype(np.uint8)
    mask[:, :, 2:5] = 3
    return mask


@pytest.mark.parametrize("edges", [(), (1,), (1, 2, 5, 6)])
def test_any_program_reads_pieces_as_one_gzip_file(edges):
    mask = np.random.default_rng(1).integers(0, 250, (17, 5, 8)).astype(np.uint8)
    content = join_pieces(cut(mask, *edges))
    assert gzip.decompress(content) == mask.tobytes(order="F")
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)  # knows one member only, and checks its checksum
    assert reader.decompress(content) == mask.tobytes(order="F")
    assert reader.eof
    assert reader.unused_data == b""


def test_a_file_in_pieces_is_the_mask_with_the_header_of_its_scan(tmp_path, oblique_scan, mask):
    whole, pieced = tmp_path / "whole.nii.gz", tmp_path / "pieced.nii.gz"
    write_mask(whole, mask, oblique_scan)
    write_pieces(pieced, cut(mask, 3, 4), mask.shape, oblique_scan, read_back=True)
    assert gzip.decompress(pieced.read_bytes()) == gzip.decompress(whole.read_bytes())
    assert np.array_equal(read_mask(pieced, read_geometry(oblique_scan)), mask)


def test_pieces_that_are_not_the_whole_mask_never_become_a_file(tmp_path, oblique_scan, mask):
    with pytest.raises(VolumeError, match="did not read back"):
        write_pieces(tmp_path / "m.nii.gz", cut(mask, 3)[:1], mask.shape, oblique_scan, read_back=True)
    assert list(tmp_path.glob("*m.nii.gz")) == []


def test_a_disk_that_writes_something_else_is_noticed(tmp_path, oblique_scan, mask, monkeypatch):
    path = tmp_path / "m.nii.gz"
    write_pieces(path, cut(mask), mask.shape, oblique_scan, read_back=False)
    before = path.read_bytes()
    original = masks.Path.write_bytes
    monkeypatch.setattr(masks.Path, "write_bytes", lambda self, content: original(self, content[:-9]))
    with pytest.raises(VolumeError, match="did not read back"):
        write_pieces(path, cut(mask, 2), mask.shape, oblique_scan, read_back=False)
    assert path.read_bytes() == before


def test_what_does_not_survive_compression_is_told(monkeypatch):
    monkeypatch.setattr(pieces.Piece, "inflate", lambda self: b"")
    with pytest.raises(VolumeError, match="compression"):
        Piece.of(np.arange(8, dtype=np.uint8).reshape(2, 2, 2))
