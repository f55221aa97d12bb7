"""Pieces from a server: what it is told and how, and what becomes of its answers and of trouble."""

import sys
import threading
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from napari_dycon.errors import StudyError
from napari_dycon.io.geometry import Geometry
from napari_dycon.io.volumes import Volume
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.truth.annotations import Annotation, Known
from napari_dycon.study.truth.growth import NO_STROKE, TAKEN, Stroke
from napari_dycon.study.truth.pieces import PieceRequest, sources
from napari_dycon.study.truth.regions import Selection
from napari_dycon.study.truth.sources.nninteractive import (
    FULL,
    NO_ADDRESS,
    NO_CLIENT,
    REFUSED,
    SILENT,
    STRANGE,
    UNREACHABLE,
)

SHAPE = (12, 10, 6)
ATRIUM = Structure(value=2, name="atrium")
KEY = "s3cret-key"
SETTINGS = {"server_address": "gpu-box:1527", "server_key": KEY}
TRUTH = np.zeros(SHAPE, bool)
TRUTH[2:7, 3:8, 1:4] = True
UPRIGHT = np.diag([-0.8, -1.1, 2.5, 1.0])
"""The axes of the file point left, posterior and superior."""
TURNED = np.array([[0, 0, 2.5, 0], [0.8, 0, 0, 0], [0, -1.1, 0, 0], [0, 0, 0, 1.0]])
"""The axes of the file point anterior, inferior and right."""
VIEWS = [
    (UPRIGHT, [2.5, 1.1, 0.8], lambda array: array.transpose()),
    (TURNED, [1.1, 0.8, 2.5], lambda array: array.transpose(1, 0, 2)[::-1, ::-1, ::-1]),
]
"""Affine, and what the server is to get: spacing and voxels from below, from the front and from the right."""


class SessionExpiredError(RuntimeError):
    pass


class ServerAtCapacityError(RuntimeError):
    pass


class TimeoutException(Exception):
    """As the client's HTTP library has it."""


class TransportError(Exception):
    """As the client's HTTP library has it."""


class UnsupportedProtocol(TransportError):
    pass


class Server:
    """What the client's sessions do, and all that they were told."""

    def __init__(self):
        self.sessions, self.trouble, self.gate = [], {}, threading.Event()
        self.gate.set()

    def fail(self, step, error, times=1):
        self.trouble[step] = [error] * times

    def reach(self, step):
        self.gate.wait(20)
        if self.trouble.get(step):
            raise self.trouble[step].pop()


@pytest.fixture
def server(monkeypatch):
    """A server behind the client's module; what is bright in the scan that it got is the piece."""
    server = Server()

    class Session:
        def __init__(self, url, api_key=None):
            server.reach("connect")
            self.url, self.key, self.told, self.closed = url, api_key, [], False
            server.sessions.append(self)

        def set_image(self, image, image_properties=None):
            server.reach("image")
            self.image, self.properties = image.copy(), image_properties

        def set_target_buffer(self, buffer):
            self.buffer = buffer

        def reset_interactions(self):
            self.told.append("reset")
            self.buffer.fill(0)

        def add_scribble_interaction(
            self, scribble_image, include_interaction, run_prediction=True, interaction_bbox=None
        ):
            server.reach("scribble")
            assert scribble_image.shape == tuple(end - start for start, end in interaction_bbox)
            self.told.append((scribble_image.copy(), include_interaction, run_prediction, interaction_bbox))
            if run_prediction:
                self.buffer[...] = self.image[0] > 500

        def close(self):
            self.closed = True

    client = ModuleType("nnInteractive.inference.remote")
    client.nnInteractiveRemoteInferenceSession = Session
    for name in ("nnInteractive", "nnInteractive.inference"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, client.__name__, client)
    return server


def scan(affine=UPRIGHT):
    """A scan that is bright where `TRUTH` is, with a voxel that is no number."""
    values = np.random.default_rng(0).uniform(0, 100, SHAPE).astype(np.float32)
    values[TRUTH] = 1000
    values[0, 0, 0] = np.nan
    return Volume(values, Geometry(SHAPE, affine), Path("scan.nii.gz"))


def dash(x, y, z, inside=True):
    return Stroke(Selection((slice(*x), slice(y, y + 1), slice(z, z + 1))), inside)


CORNER = np.array([[[1], [0]], [[1], [1]]], bool)
INSIDE, OUTSIDE = dash((3, 6), 5, 2), dash((8, 11), 2, 4, inside=False)
BENT = Stroke(Selection((slice(3, 5), slice(4, 6), slice(3, 4)), CORNER), True)


def request(volume, *strokes, annotation=None):
    return PieceRequest(volume, annotation or Annotation.empty(SHAPE), ATRIUM, strokes)


@pytest.fixture
def source():
    made = sources.get("nninteractive")(lambda: SETTINGS)
    yield made
    made.let_go()


def whole(found):
    mask = np.zeros(SHAPE, bool)
    mask[found.box] = found.piece
    return mask


def patient():
    """Never lose interest."""


def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(("affine", "spacing", "view"), VIEWS, ids=["upright", "turned"])
def test_scan_and_strokes_arrive_upright_and_the_piece_lies_on_the_scan(
    server, source, affine, spacing, view
):
    volume = scan(affine)
    found = source.grow(request(volume, INSIDE, OUTSIDE, BENT), patient)
    assert np.array_equal(whole(found), TRUTH)
    assert (found.value, found.name) == (2, "Grow atrium (nnInteractive)")
    (session,) = server.sessions
    assert (session.url, session.key) == ("http://gpu-box:1527", KEY)
    assert session.properties == {"spacing": spacing}
    assert np.array_equal(session.image, view(np.nan_to_num(volume.array))[np.newaxis])
    for stroke, (mask, inside, run, bounds) in zip((INSIDE, OUTSIDE, BENT), session.told, strict=True):
        assert (inside, run) == (stroke.inside, True)
        here = np.zeros(session.image.shape[1:], bool)
        here[tuple(slice(*ends) for ends in bounds)] = mask
        assert np.array_equal(here, view(stroke.where.full_mask(SHAPE)))


def test_integers_are_sent_as_they_are(server, source):
    volume = scan()
    whole_numbers = np.nan_to_num(volume.array).astype(np.int16)
    source.grow(request(Volume(whole_numbers, volume.geometry, volume.path), INSIDE), patient)
    assert server.sessions[0].image.dtype == np.int16


def test_a_further_stroke_is_all_that_is_sent_and_one_taken_back_begins_anew(server, source):
    volume = scan()
    source.grow(request(volume, INSIDE), patient)
    source.grow(request(volume, INSIDE, BENT), patient)
    assert len(server.sessions[0].told) == 2
    source.grow(request(volume, INSIDE), patient)
    assert server.sessions[0].told[2] == "reset"
    assert len(server.sessions[0].told) == 4
    assert len(server.sessions) == 1, "the scan is sent once"


def test_a_stroke_outside_before_the_first_inside_predicts_nothing(server, source):
    source.grow(request(scan(), OUTSIDE, INSIDE), patient)
    assert [(inside, run) for _, inside, run, _ in server.sessions[0].told] == [(False, False), (True, True)]


def test_what_a_person_knows_stays_and_nothing_is_sent_where_nothing_can_grow(server, source):
    annotation = Annotation.empty(SHAPE)
    annotation.known[2:4], annotation.labels[2:4] = Known.DRAWN, 1
    found = source.grow(request(scan(), INSIDE, annotation=annotation), patient)
    assert not whole(found)[2:4].any()
    assert np.array_equal(whole(found)[4:], TRUTH[4:])
    server.sessions.clear()
    annotation.known[...] = Known.DRAWN
    with pytest.raises(StudyError, match=TAKEN[:30]):
        source.grow(request(scan(), INSIDE, annotation=annotation), patient)
    with pytest.raises(StudyError, match=NO_STROKE[:30]):
        source.grow(request(scan(), OUTSIDE), patient)
    assert not server.sessions


def test_another_scan_takes_the_place_of_the_one_before(server, source):
    source.grow(request(scan(), INSIDE), patient)
    source.grow(request(scan(), INSIDE), patient)
    first, second = server.sessions
    until(lambda: first.closed)
    assert not second.closed


REFUSAL = TransportError()
REFUSAL.response = SimpleNamespace(status_code=401)
TROUBLES = [
    ("connect", TransportError(), UNREACHABLE),
    ("connect", ConnectionRefusedError(), UNREACHABLE),
    ("connect", REFUSAL, REFUSED),
    ("connect", ServerAtCapacityError(), FULL),
    ("connect", UnsupportedProtocol(), NO_ADDRESS),
    ("connect", KeyError("lease_token"), STRANGE),
    ("image", TimeoutException(), SILENT),
    ("scribble", TransportError(), UNREACHABLE),
    ("scribble", SystemExit(), STRANGE),
]


@pytest.mark.parametrize(("step", "error", "sentence"), TROUBLES)
def test_trouble_is_one_sentence_without_the_key_and_the_next_stroke_tries_again(
    server, source, step, error, sentence
):
    volume = scan()
    server.fail(step, error)
    with pytest.raises(StudyError) as caught:
        source.grow(request(volume, INSIDE), patient)
    text = str(caught.value)
    assert sentence in text
    assert "gpu-box:1527" in text
    assert KEY not in text + repr(source._server())
    assert np.array_equal(whole(source.grow(request(volume, INSIDE), patient)), TRUTH)


def test_a_server_that_forgot_the_scan_is_told_again(server, source):
    volume = scan()
    source.grow(request(volume, INSIDE), patient)
    server.fail("scribble", SessionExpiredError())
    found = source.grow(request(volume, INSIDE, OUTSIDE), patient)
    assert np.array_equal(whole(found), TRUTH)
    assert [len(session.told) for session in server.sessions] == [1, 2]
    server.fail("scribble", SessionExpiredError(), times=3)
    with pytest.raises(StudyError, match=STRANGE):
        source.grow(request(volume, BENT), patient)


class LostInterest(Exception):
    pass


def lose_interest():
    raise LostInterest


def test_who_loses_interest_need_not_wait_and_what_was_sent_counts(server, source):
    volume = scan()
    source.grow(request(volume, INSIDE), patient)
    server.gate.clear()
    with pytest.raises(LostInterest):
        source.grow(request(volume, INSIDE, BENT), lose_interest)
    server.gate.set()
    source.grow(request(volume, INSIDE, BENT, OUTSIDE), patient)
    assert [inside for _, inside, _, _ in server.sessions[0].told] == [True, True, False]


def test_the_place_on_the_server_is_given_back_without_waiting(server, source):
    volume = scan()
    source.grow(request(volume, INSIDE), patient)
    server.gate.clear()
    with pytest.raises(LostInterest):
        source.grow(request(volume, INSIDE, BENT), lose_interest)
    source.let_go()
    assert not server.sessions[0].closed, "a call is under way"
    server.gate.set()
    until(lambda: server.sessions[0].closed)


def test_it_is_offered_only_with_client_and_address(server, monkeypatch):
    make = sources.get("nninteractive")
    assert make(lambda: SETTINGS).is_offered()
    assert not make(lambda: {"server_address": "  ", "server_key": KEY}).is_offered()
    assert not make(dict).is_offered()
    monkeypatch.delitem(sys.modules, "nnInteractive")
    monkeypatch.setattr("napari_dycon.study.truth.sources.nninteractive.find_spec", lambda name: None)
    assert not make(lambda: SETTINGS).is_offered()


def test_a_client_that_cannot_be_imported_is_said_to_be_missing(server, source, monkeypatch):
    monkeypatch.setitem(sys.modules, "nnInteractive.inference.remote", None)
    with pytest.raises(StudyError, match=NO_CLIENT[:30]):
        source.grow(request(scan(), INSIDE), patient)


def test_a_password_in_the_address_is_not_told_and_without_a_key_the_client_looks_for_one(server):
    settings = {"server_address": "https://me:pass@gpu-box/x", "server_key": ""}
    source = sources.get("nninteractive")(lambda: settings)
    server.fail("connect", TransportError())
    with pytest.raises(StudyError) as caught:
        source.grow(request(scan(), INSIDE), patient)
    assert "pass" not in str(caught.value)
    assert "gpu-box" in str(caught.value)
    source.grow(request(scan(), INSIDE), patient)
    assert server.sessions[0].key is None
    source.let_go()
