"""What is shown of tasks that are shared out, and where they may be kept."""

from pathlib import Path

import pytest

from napari_dycon.cli.spreading import Shares, require_folder
from napari_dycon.errors import DyconError


def test_shares_add_up_over_all_tasks():
    shares = Shares(4)
    assert shares.update("a", 0.5) == pytest.approx(0.125)
    assert shares.update("b", 0.5) == pytest.approx(0.25)
    assert shares.finish("a") == pytest.approx(0.375)
    assert shares.update("a", 1.0) == pytest.approx(0.375)


def test_workers_elsewhere_get_no_temporary_folder():
    require_folder(None, None, None)
    require_folder("local:2", None, None)
    require_folder("slurm:2", None, Path("result.json"))
    with pytest.raises(DyconError, match="--work DIR or --json FILE"):
        require_folder("tcp://host:8786", None, None)
