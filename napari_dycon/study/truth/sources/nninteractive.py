"""Pieces from an nnInteractive server, through the client that the person has installed.

nnInteractive (Isensee et al., "nnInteractive: Redefining 3D Promptable Segmentation", arXiv 2503.08373)
answers scribbles with masks. Its network runs on a server of the person's; neither it nor the client comes
with this package. The client's calls block, so each is made in a thread that nobody has to wait for: a scan
that is sent, or a server that is silent, keeps neither the window nor its background work. The client gives
up by itself: after 10 s where there is no server, after a minute where one is silent.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from napari_dycon.errors import StudyError
from napari_dycon.io.geometry import Reorientation
from napari_dycon.io.volumes import Volume
from napari_dycon.study.truth.growth import Growth, Stroke, box_inside, look_at
from napari_dycon.study.truth.pieces import PieceRequest, Settings, sources
from napari_dycon.study.truth.regions import Box, Selection, bounding_box

PACKAGE = "nnInteractive"
CLIENT = "nnInteractive.inference.remote"
ORDER = "LPS"
"""Directions of the scan that is sent, before it is turned to ``(z, y, x)``: as ITK reads an upright one."""
LOOK_S = 0.1
"""How often is looked up whether a piece is still wanted."""

NO_CLIENT = "nnInteractive's client cannot be loaded: install nninteractive-client."
NO_ADDRESS = "is no address of a server: see Preferences > Plugins > DyCON."
UNREACHABLE = "cannot be reached."
SILENT = "did not answer in time."
REFUSED = "refuses the key: see Preferences > Plugins > DyCON."
FULL = "has no place free at the moment."
STRANGE = "gave no answer that can be used"


@dataclass(frozen=True)
class Server:
    """Where the server is, and what it asks for; the key is shown nowhere."""

    address: str
    key: str = field(repr=False)

    @property
    def url(self) -> str:
        """The address with its scheme."""
        return self.address if "://" in self.address else f"http://{self.address}"

    @property
    def name(self) -> str:
        """Host and port, for sentences."""
        try:
            return urlsplit(self.url).netloc.rpartition("@")[2]
        except ValueError:
            return "this address"


class CallFailed(Exception):
    """A call to the server failed; ``__cause__`` says how."""


class Calls:
    """Makes one call after the other in threads of their own, which may be left to themselves."""

    def __init__(self) -> None:
        self._last: Future[None] = Future()
        self._last.set_result(None)

    def make(self, call: Callable[[], None], look_up: Callable[[], None]) -> None:
        """Make a call and wait for it; what ``look_up`` raises ends the waiting, not the call."""
        self.finish(look_up)
        self._last = Future()
        Thread(target=_fulfil, args=(self._last, call), name="dycon-source").start()
        self.finish(look_up)

    def finish(self, look_up: Callable[[], None]) -> None:
        """Wait for the last call.

        Raises
        ------
        CallFailed
            If it failed.
        """
        while not wait([self._last], LOOK_S).done:
            look_up()
        error = self._last.exception()
        if error is not None:
            raise CallFailed from error

    def leave(self, last_word: Callable[[], None]) -> None:
        """Say a last word after the last call, and wait for neither."""
        last = self._last

        def say() -> None:
            wait([last])
            with suppress(Exception):
                last_word()

        Thread(target=say, name="dycon-source").start()


def _fulfil(promise: Future[None], call: Callable[[], None]) -> None:
    try:
        call()
    except BaseException as error:  # noqa: BLE001 - told to whoever waits
        promise.set_exception(error)
    else:
        promise.set_result(None)


class Connection:
    """One scan on a server, and the strokes that it knows.

    Parameters
    ----------
    server
        Which one.
    scan
        Sent once, when the first piece is asked for.
    """

    def __init__(self, server: Server, scan: Volume) -> None:
        self.server, self.scan = server, scan
        self._turn = Reorientation.to(scan.geometry, ORDER)
        self._buffer = np.zeros(self._turn.shape[::-1], np.uint8)
        self._calls = Calls()
        self._session: Any = None
        self._known: tuple[Stroke, ...] = ()

    def follow(self, strokes: tuple[Stroke, ...], look_up: Callable[[], None]) -> NDArray[np.bool_]:
        """Return the mask ``(x, y, z)``, in source order, that the server makes of some strokes.

        Those that it knows are not sent again; what was taken back has it begin anew.
        """
        self._calls.finish(look_up)
        if self._session is None:
            self._calls.make(self._open, look_up)
        if strokes[: len(self._known)] != self._known:
            self._calls.make(self._forget, look_up)
        for stroke in strokes[len(self._known) :]:
            self._calls.make(partial(self._tell, stroke), look_up)
        return np.asarray(self._turn.invert(self._buffer.transpose()) > 0)

    def close(self) -> None:
        """Give the place on the server back, without waiting."""

        def leave() -> None:
            if self._session is not None:
                self._session.close()

        self._calls.leave(leave)

    def _open(self) -> None:
        client = importlib.import_module(CLIENT)
        session = client.nnInteractiveRemoteInferenceSession(self.server.url, self.server.key or None)
        values = np.ascontiguousarray(self._turn.apply(self.scan.array).transpose())
        if np.issubdtype(values.dtype, np.floating):
            values = np.nan_to_num(values, posinf=0.0, neginf=0.0)
        session.set_image(values[np.newaxis], {"spacing": list(self._turn.spacing[::-1])})
        session.set_target_buffer(self._buffer)
        self._session = session

    def _forget(self) -> None:
        self._session.reset_interactions()
        self._known = ()

    def _tell(self, stroke: Stroke) -> None:
        bounds, mask = self._upright(stroke.where)
        known = (*self._known, stroke)
        self._session.add_scribble_interaction(
            mask,
            include_interaction=stroke.inside,
            run_prediction=any(one.inside for one in known),
            interaction_bbox=bounds,
        )
        self._known = known

    def _upright(self, where: Selection) -> tuple[list[list[int]], NDArray[np.uint8]]:
        """Return bounds and mask of a part along ``(z, y, x)`` as the server has the scan."""
        bounds = []
        for target in (2, 1, 0):
            axis = self._turn.axis_of_target(target)
            part = where.box[axis]
            ends = [self._turn.index_to_target(axis, index)[1] for index in (part.start, part.stop - 1)]
            bounds.append([min(ends), max(ends) + 1])
        mask = np.ones([end - start for start, end in bounds], np.uint8)
        if where.mask is not None:
            mask[...] = self._turn.apply(where.mask).transpose()
        return bounds, mask


@sources("nninteractive")
class NnInteractive:
    """Asks the server that the person has named."""

    title = "nnInteractive"
    patience = "nnInteractive is at work …"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: Connection | None = None

    def is_offered(self) -> bool:
        """Tell whether there is an address and, as far as can be seen without importing it, the client."""
        return bool(self._server().address) and (PACKAGE in sys.modules or find_spec(PACKAGE) is not None)

    def grow(self, request: PieceRequest, look_up: Callable[[], None]) -> Growth:
        """Propose the piece; raise `StudyError` if there is none, or with what the trouble is."""
        inside = box_inside(request.strokes)
        look_at(request.annotation, request.structure, request.strokes, inside)
        found = self._ask(request, look_up)
        box = _around(inside, bounding_box(found))
        given = look_at(request.annotation, request.structure, request.strokes, box)
        return given.settle(found[box], self.title)

    def let_go(self) -> None:
        """Give the place on the server back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _server(self) -> Server:
        settings = self._settings()
        return Server(settings.get("server_address", "").strip(), settings.get("server_key", "").strip())

    def _ask(self, request: PieceRequest, look_up: Callable[[], None]) -> NDArray[np.bool_]:
        """Ask the server; once more where it has forgotten the scan, as it does after some idle minutes."""
        server = self._server()
        for again in (True, False):
            try:
                return self._connect(server, request.scan).follow(request.strokes, look_up)
            except CallFailed as failure:
                self.let_go()
                if not again or "SessionExpiredError" not in _kinds(failure.__cause__):
                    raise StudyError(trouble(failure.__cause__, server)) from failure
        raise AssertionError

    def _connect(self, server: Server, scan: Volume) -> Connection:
        held = self._connection
        if held is None or held.server != server or held.scan is not scan:
            self.let_go()
            held = self._connection = Connection(server, scan)
        return held


def _around(*boxes: Box | None) -> Box:
    there = [box for box in boxes if box is not None]
    x, y, z = (
        slice(min(part.start for part in parts), max(part.stop for part in parts))
        for parts in zip(*there, strict=True)
    )
    return x, y, z


def _kinds(error: BaseException | None) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


KINDS: Sequence[tuple[set[str], str]] = (
    ({"ServerAtCapacityError"}, FULL),
    ({"TimeoutException", "TimeoutError"}, SILENT),
    ({"InvalidURL", "UnsupportedProtocol"}, NO_ADDRESS),
    ({"TransportError", "OSError"}, UNREACHABLE),
)
"""Errors of the client, of its HTTP library and of Python, and what they mean."""


def trouble(error: BaseException | None, server: Server) -> str:
    """Say in one sentence what is wrong with a server; never what was sent to it."""
    kinds = _kinds(error)
    if "ImportError" in kinds:
        return NO_CLIENT
    if getattr(getattr(error, "response", None), "status_code", None) in (401, 403):
        return f"nnInteractive at {server.name} {REFUSED}"
    found = next((meaning for names, meaning in KINDS if names & kinds), None)
    return f"nnInteractive at {server.name} {found or f'{STRANGE} ({type(error).__name__}).'}"
