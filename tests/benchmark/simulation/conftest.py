"""Small scans, and a simulation on them that nothing has interrupted."""

import pytest

from napari_dycon.benchmark.simulation import Simulation
from tests.benchmark.simulation.rounds import asked, run
from tests.test_benchmark import write_scan


@pytest.fixture(scope="session")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("organ")
    for number in range(5):
        write_scan(folder, f"organ_{number:03d}", number)
    return folder


@pytest.fixture(scope="session")
def finished(scans, tmp_path_factory):
    """The folder, the rows and the events of a simulation that nothing has interrupted."""
    folder, told = tmp_path_factory.mktemp("finished"), []
    rows = run(Simulation(asked(scans), folder, folder / "result.json", threads=1), told)
    return folder, rows, told
