"""What a model that still learns says of the slice on screen, a window at a time between steps."""

import time
from collections.abc import Generator, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from napari_dycon.engine.arrays import let_go
from napari_dycon.engine.budget import Stopwatch
from napari_dycon.engine.control import Control
from napari_dycon.engine.device import is_out_of_memory, release_memory, resolve_device
from napari_dycon.engine.events import Glimpse
from napari_dycon.engine.plan import Plan
from napari_dycon.engine.prepared import PreparedCase
from napari_dycon.engine.viewpoint import View, pack
from napari_dycon.engine.windows import GLANCE_OVERLAP, predict_windows
from napari_dycon.learning.networks import SegmentationNetwork

EVERY_SECONDS = 20.0
SHARE = 0.03
"""Of the time of the training, glimpses take at most this."""
SHADES = 255


class Glimpses:
    """Looks at the slice on screen every so many seconds, as far as the share of time allows.

    Between two steps at most one window is predicted, so a training stands still no longer than that takes.

    Parameters
    ----------
    cases
        What can be looked at.
    control
        Says which slice is on screen, see `Control.watch`.
    """

    def __init__(self, cases: Sequence[PreparedCase], control: Control) -> None:
        self._images = {case.case: case.image for case in cases}
        self._control = control
        self._steps: Generator[float, None, Glimpse] | None = None
        self._began: float | None = None
        self._spent = 0.0
        self._off = False

    def events(
        self,
        networks: Sequence[SegmentationNetwork],
        plan: Plan,
        device: torch.device,
        iteration: int,
        watch: Stopwatch,
    ) -> Iterator[Glimpse]:
        """Look as `look` does, in the time of the training; where memory runs out, not again."""
        watch.start()
        try:
            found = self.look(networks, plan, device, iteration, watch.seconds)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self._off, self._steps, found = True, None, None
            release_memory(resolve_device(device.type))
        finally:
            watch.stop()
        if found is not None:
            yield found

    def look(
        self,
        networks: Sequence[SegmentationNetwork],
        plan: Plan,
        device: torch.device,
        iteration: int,
        seconds: float,
    ) -> Glimpse | None:
        """Predict the next window if one is due after ``seconds`` of training; return what is finished."""
        if self._off or self._spent > SHARE * seconds:
            return None
        if self._steps is None:
            view = self._due(seconds)
            if view is None:
                return None
            self._began = seconds
            self._steps = _looking(view, self._images[view.case], networks, plan, device, iteration)
        begun = time.perf_counter()
        try:
            next(self._steps)
        except StopIteration as end:
            self._steps = None
            found: Glimpse = end.value
            return found
        finally:
            self._spent += time.perf_counter() - begun
        return None

    def _due(self, seconds: float) -> View | None:
        view = self._control.view
        waited = self._began is None or seconds - self._began >= EVERY_SECONDS
        return view if waited and view is not None and view.case in self._images else None


def _looking(
    view: View,
    image: NDArray[np.float16],
    networks: Sequence[SegmentationNetwork],
    plan: Plan,
    device: torch.device,
    iteration: int,
) -> Generator[float, None, Glimpse]:
    """Predict a slab of one window's thickness around the slice, and take the slice out of it."""
    length, side = image.shape[1 + view.axis], plan.patch_size[view.axis]
    index = min(max(int(view.at * length), 0), length - 1)
    first = max(0, min(index - side // 2, length - side))
    slab = tuple(slice(first, first + side) if axis == view.axis else slice(None) for axis in range(3))
    quick = plan.model_copy(update={"overlap": GLANCE_OVERLAP})
    found = yield from predict_windows(networks, image[:, *slab], quick, device, means=[range(len(networks))])
    assert found is not None
    let_go(image)
    probabilities = found[0].select(1 + view.axis, index - first).numpy()
    values = np.array([0, *plan.structure_values], np.uint8)[probabilities.argmax(axis=0)]
    doubt = -(probabilities * np.log(probabilities.clip(1e-7))).sum(axis=0) / np.log(len(probabilities))
    shades = np.rint(SHADES * doubt.clip(0, 1)).astype(np.uint8)
    height, width = values.shape
    return Glimpse(view.case, view.axis, view.at, iteration, (height, width), pack(values), pack(shades))
