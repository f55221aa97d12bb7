"""Methods side by side on labelled data; labels of unlabelled scans are never even opened."""

from napari_dycon.benchmark.events import RowFinished, RowStarted, ScanTested
from napari_dycon.benchmark.protocol import Protocol
from napari_dycon.benchmark.rows import CaseScore, Row
from napari_dycon.benchmark.runner import Benchmark

__all__ = ["Benchmark", "CaseScore", "Protocol", "Row", "RowFinished", "RowStarted", "ScanTested"]
