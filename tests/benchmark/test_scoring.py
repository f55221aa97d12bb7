"""What a benchmark measures on a scan, also where there is nothing to measure."""

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.benchmark.protocol import Pair
from napari_dycon.benchmark.scoring import means_of, score_scan, structures_of
from napari_dycon.errors import VolumeError
from napari_dycon.io.volumes import read_geometry

SHAPE = (12, 10, 8)


@pytest.fixture
def pair(tmp_path):
    """Make a scan with a label map."""

    def make(name, labels):
        paths = [tmp_path / f"{name}-{kind}.nii.gz" for kind in ("image", "label")]
        for path, array in zip(paths, (np.zeros(SHAPE, np.int16), labels), strict=True):
            nib.save(nib.Nifti1Image(array, np.diag([1.0, 1.0, 2.0, 1.0])), path)
        return Pair(name, *paths)

    return make


def blocks(**values):
    labels = np.zeros(SHAPE, np.uint8)
    for number, value in enumerate(values.values()):
        labels[2:6, 2:6, 2 * number : 2 * number + 2] = value
    return labels


def test_structures_are_those_of_any_label_map(pair):
    found = structures_of([pair("a", blocks(x=7, y=2)), pair("b", blocks(x=2)), pair("c", blocks(x=5))])
    assert [(one.value, one.name) for one in found] == [(v, f"structure {v}") for v in (2, 5, 7)]
    assert len({one.color for one in found}) == 3


def test_label_maps_that_are_all_empty_are_refused_by_their_folder(pair, tmp_path):
    with pytest.raises(VolumeError, match="are all empty") as error:
        structures_of([pair("a", blocks()), pair("b", blocks())])
    assert str(tmp_path) in str(error.value)


def test_what_was_missed_is_counted_and_has_no_distance(pair):
    one = pair("a", blocks(x=1, y=2))
    structures = structures_of([one, pair("b", blocks(x=3))])
    right, missed, absent = score_scan(one, blocks(x=1), read_geometry(one.image), structures)
    assert (right.dice, right.jaccard, right.hd95_mm, right.asd_mm, right.missed) == (1, 1, 0, 0, False)
    assert (missed.dice, missed.hd95_mm, missed.asd_mm, missed.missed) == (0, None, None, True)
    assert absent.hd95_mm is None and not absent.missed
    means = means_of([right, missed])
    assert (means["mean_dice"], means["mean_hd95_mm"], means["missed"]) == (0.5, 0, 1)
    assert means["cases"] == [right, missed]
