import gzip
import os

import pytest

from napari_dycon.io.volumes import read_volume
from napari_dycon.study.exchange import importing
from napari_dycon.study.store.identity import content_of
from napari_dycon.study.store.scans import ScanReader


@pytest.fixture
def case(study, make_scan):
    """A case whose record holds the digest of its voxels and grid."""
    path = make_scan("a")
    record = importing.add_scan(study, path)
    study.replace_case(record.model_copy(update={"content": content_of(read_volume(path))}))
    return study.case(record.id), path


def test_a_scan_that_was_compressed_again_has_not_changed(case):
    record, path = case
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 1))
    assert not ScanReader().has_changed(record, path)


def test_a_scan_of_an_old_study_that_was_compressed_again_counts_as_changed(case):
    record, path = case
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 1))
    assert ScanReader().has_changed(record.model_copy(update={"content": ""}), path)


def test_a_scan_in_the_place_of_another_has_changed(case, make_scan):
    record, path = case
    make_scan("b").replace(path)
    assert ScanReader().has_changed(record, path)


def test_size_and_time_deceive_only_where_one_looks_no_further(case, make_scan):
    record, path = case
    content = gzip.decompress(make_scan("b").read_bytes())
    plain = path.with_suffix("")
    plain.write_bytes(content)
    os.utime(plain, ns=(record.file_mtime_ns, record.file_mtime_ns))
    record = record.model_copy(update={"file_size": plain.stat().st_size})
    assert not ScanReader().has_changed(record, plain)
    assert ScanReader().has_changed(record, plain, thorough=True)
