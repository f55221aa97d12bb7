"""Doubtful pieces of a prediction that can be accepted or rejected with one key."""

import numpy as np
import pytest

from napari_dycon.guidance.pieces import doubtful_pieces
from napari_dycon.guidance.predicted import Predicted
from napari_dycon.guidance.suggestions import suggest
from napari_dycon.study.truth.annotations import Annotation
from tests.guidance.conftest import SHAPE, prediction, save

ISLAND = (slice(2, 8), slice(2, 7), slice(8, 12))


def with_island(study, level=0.9, case="scan_1", part=ISLAND):
    mask, entropy = prediction(), np.zeros(SHAPE)
    mask[part], entropy[part] = 3, level
    save(study, case, entropy, mask)
    return mask


def pieces(study, case="scan_1"):
    return doubtful_pieces(Predicted.read(study, study.active_run, study.case(case)))


def test_an_island_of_which_the_model_is_not_sure_is_asked_about_whole(study):
    mask = with_island(study)
    (piece,) = pieces(study)
    place = piece.suggestion
    assert (place.level, place.case, place.structure) == ("region", "scan_1", 3)
    assert place.box == ((2, 8), (2, 7), (8, 12))
    assert mask[place.voxel] == 3 and place.voxel[place.axis] == place.index
    assert all(low <= at < high for at, (low, high) in zip(place.voxel, place.box, strict=True))
    assert "0.36 ml" in place.reason and "accept or reject" in place.reason
    assert piece.wrong_mm3 == pytest.approx(0.316 * 360, rel=0.02)
    assert place.gain > 0 and place.seconds == 5.5


@pytest.mark.parametrize("level", [0.0, 0.2])
def test_a_piece_that_the_model_is_sure_of_is_not(study, level):
    with_island(study, level)
    assert pieces(study) == []


def test_neither_specks_nor_structures_themselves_nor_what_is_decided(study):
    with_island(study, part=(slice(2, 4), slice(2, 4), slice(8, 10)))
    assert pieces(study) == []
    entropy = np.where(prediction() > 0, 0.9, 0.0)
    save(study, "scan_2", entropy)
    assert pieces(study, "scan_2") == []
    with_island(study)
    annotation = Annotation.empty(SHAPE)
    annotation.known[2, 2, 8] = 1
    study.save_annotation("scan_1", annotation, "autosave")
    assert pieces(study) == []


def test_ours_puts_a_few_among_the_slices_and_keeps_its_random_check(study):
    for number in range(6):
        with_island(study, case=f"scan_{number}")
    places = suggest(study, count=8)
    assert len(places) == 8 and len(set(places)) == 8
    assert [place.level for place in places].count("region") == 2
    assert [place.kind for place in places].count("random") == 1
    assert all(place.level == "slice" for place in places if place.kind == "random")
    assert places == suggest(study, count=8)  # from what was kept on disk
