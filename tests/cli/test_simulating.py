"""``dycon simulate`` as it is typed."""

import json

import pytest

from tests.test_benchmark import dycon, write_scan

ROW = {
    *("strategy", "seed", "round", "slices", "effort_seconds", "contour_mm"),
    *("seconds", "mean_dice", "worst_dice"),
}
TINY = (
    *("--override", "patch_size=[32,32,32]", "--override", "averaged=false"),
    *("--override", 'network={"widths":[8,16],"strides":[[2,2,2]]}'),
)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("organ")
    for number in range(4):
        write_scan(folder, f"organ_{number}", number)
    return folder


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def simulate(scans, out, *more):
    data = ("--images", scans / "images", "--labels", scans / "labels")
    length = ("--rounds", 1, "--per-round", 2, "--first-iterations", 3, "--iterations", 2)
    return dycon("simulate", *data, *length, "--device", "cpu", *TINY, "--json", out, *more)


def test_strategies_are_followed_compared_and_drawn_and_kept_the_next_time(scans, tmp_path):
    out, wanted = tmp_path / "result.json", ("--strategies", "even,random_foreground")
    done = simulate(scans, out, *wanted)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert [(row["strategy"], row["round"]) for row in found["rows"]] == [
        *(("even", 0), ("even", 1), ("random_foreground", 0), ("random_foreground", 1)),
    ]
    assert all(row.keys() >= ROW for row in found["rows"])
    assert [entry["strategy"] for entry in found["comparison"]] == ["even"]
    assert (tmp_path / "result.png").read_bytes().startswith(b"\x89PNG")
    assert "less random_foreground" in done.stdout and "effort min" in done.stdout
    assert not (tmp_path / "result.work").exists()

    again = simulate(scans, out, *wanted)
    assert again.returncode == 0 and again.stdout.count("(kept)") == 4
    assert json.loads(out.read_text()) == found


def test_what_cannot_be_is_one_line(scans, tmp_path):
    wrong = simulate(scans, tmp_path / "result.json", "--strategies", "magic")
    assert wrong.returncode == 1
    assert len(wrong.stderr.splitlines()) == 1 and "magic" in wrong.stderr
    other = tmp_path / "other.json"
    other.write_text('{"rows": [{"method": "dycon"}]}')
    wrong = simulate(scans, other)
    assert wrong.returncode == 1 and "not the result of a simulation" in wrong.stderr
