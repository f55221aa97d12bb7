"""Strategies of suggestions side by side: a simulated annotator follows each of them, round by round."""

from napari_dycon.benchmark.simulation.events import LaneStarted, RoundAnswered, RoundFinished
from napari_dycon.benchmark.simulation.protocol import Protocol
from napari_dycon.benchmark.simulation.rows import Row
from napari_dycon.benchmark.simulation.runner import Simulation

__all__ = ["LaneStarted", "Protocol", "RoundAnswered", "RoundFinished", "Row", "Simulation"]
