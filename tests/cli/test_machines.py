"""``dycon machine``, ``doctor --on`` and ``train --on``."""

from __future__ import annotations

import json

from napari_dycon.cli import main
from napari_dycon.study.exchange.phantom import make_phantom_study
from napari_dycon.study.study import Study
from tests.far_machine import FakeSsh, ssh

__all__ = ["ssh"]
SMALL = ["--override", "patch_size=[32,32,32]", "--override", 'network={"widths":[8,16],"strides":[[2,2,2]]}']


def name(ssh: FakeSsh, *more: str) -> None:
    there = ["--ssh", ssh.machine.destination, "--python", ssh.machine.python]
    command = ["machine", "gpu", *there, "--folder", str(ssh.scratch), "--device", "cpu", *more]
    assert main(command) == 0


def test_a_machine_is_named_listed_changed_and_forgotten(capsys):
    assert main(["machine"]) == 0 and "No other machine" in capsys.readouterr().out
    assert main(["machine", "gpu", "--ssh", "me@gpu"]) == 0
    assert main(["machine", "gpu", "--device", "cuda"]) == 0
    assert main(["machine"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split() == ["gpu", "me@gpu", "python3", "cuda"]
    assert main(["machine", "gpu", "--remove"]) == 0
    assert main(["machine", "gpu", "--remove"]) == 1
    assert "no machine named 'gpu'" in capsys.readouterr().err


def test_a_wrong_machine_is_one_line(capsys):
    assert main(["machine", "gpu", "--ssh=-oProxyCommand=x"]) == 1
    assert capsys.readouterr().err.startswith("Error: Write a host, user@host")


def test_the_doctor_tells_what_a_machine_has(ssh, tmp_path, capsys):
    name(ssh)
    assert main(["doctor", "--on", "gpu", "--json", str(tmp_path / "found.json")]) == 0
    found = {one["topic"]: one for one in json.loads((tmp_path / "found.json").read_text())["findings"]}
    assert {"line", "version", "space", "device", "torch", "memory"} <= found.keys()
    assert "display" not in found and all(one["level"] != "unusable" for one in found.values())


def test_the_doctor_says_what_is_missing_and_how_to_mend_it(ssh, capsys):
    name(ssh, "--python", "no-such-python")
    assert main(["doctor", "--on", "gpu"]) == 1
    told = capsys.readouterr()
    assert "has no command no-such-python" in told.out and "cannot work on gpu" in told.err
    ssh.go_down("Permission denied (publickey).")
    assert main(["doctor", "--on", "gpu"]) == 1
    assert "ssh-copy-id" in capsys.readouterr().out


def test_a_device_that_is_not_there_is_said(ssh, capsys):
    name(ssh, "--device", "mps")
    assert main(["doctor", "--on", "gpu"]) == 1
    assert "'mps' is not available" in capsys.readouterr().out


def test_a_study_is_trained_there(ssh, tmp_path, capsys):
    make_phantom_study(tmp_path / "study").close()
    name(ssh)
    command = ["train", str(tmp_path / "study"), "--on", "gpu", "--iterations", "3", *SMALL]
    assert main(command) == 0
    assert "The training runs on gpu." in capsys.readouterr().out
    with Study.open(tmp_path / "study", read_only=True) as study:
        assert study.active_run == "001-dycon"


def test_a_machine_that_nobody_named_is_one_line(tmp_path, capsys):
    make_phantom_study(tmp_path / "study").close()
    assert main(["train", str(tmp_path / "study"), "--on", "gpu"]) == 1
    assert "Add one with: dycon machine gpu --ssh USER@HOST" in capsys.readouterr().err
