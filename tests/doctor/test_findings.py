import subprocess
import sys
from collections import namedtuple

import pytest

from napari_dycon.doctor import display
from napari_dycon.doctor import findings as module
from napari_dycon.doctor.display import find_display
from napari_dycon.doctor.findings import examine

Usage = namedtuple("Usage", "total used free")


def test_it_names_what_was_found_and_a_remedy_for_each_fault(tmp_path):
    findings = {finding.topic: finding for finding in examine(tmp_path)}
    assert {
        "napari-dycon",
        "torch",
        "graphics card",
        "memory",
        "disk",
        "display",
        "plugin",
    } <= findings.keys()
    assert str(tmp_path) in findings["disk"].text
    assert all(finding.remedy for finding in findings.values() if finding.level != "ok")


@pytest.mark.parametrize(("cores", "named"), [(2, "core 1, core 2;"), (40, "core 1 to core 40;")])
def test_it_names_the_devices_that_could_train_together(tmp_path, monkeypatch, cores, named):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    monkeypatch.setattr("napari_dycon.engine.team.available_cores", lambda: cores)
    (found,) = (finding for finding in examine(tmp_path) if finding.topic == "devices")
    assert found.text == f"{named} dycon train --devices {cores} would use all"


def test_a_full_disk_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: Usage(10**9, 10**9, 10**8))
    disk = next(finding for finding in examine(tmp_path) if finding.topic == "disk")
    assert disk.level == "advice"
    assert "Make room" in disk.remedy


def test_an_nvidia_card_with_a_processor_build_of_torch_is_explained(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_driver", lambda: "driver 580.65")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    monkeypatch.setattr("torch.version.cuda", None)
    card = next(finding for finding in examine(tmp_path) if finding.topic == "graphics card")
    assert "built without CUDA" in card.text
    assert "--index-url" in card.remedy


def test_a_card_that_torch_cannot_work_with_is_explained(tmp_path, monkeypatch):
    card = namedtuple("Card", "name total_memory")("Old card", 8 * 2**30)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda index: card)
    monkeypatch.setattr("napari_dycon.engine.device.card_fault", lambda: "no kernel image is available")
    found = next(finding for finding in examine(tmp_path) if finding.topic == "graphics card")
    assert found.level == "advice" and "Old card" in found.text and "no kernel image" in found.text
    assert "pip install" in found.remedy


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="other systems always have a screen variable"
)
def test_without_a_screen_the_reason_is_given_at_once(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    found = find_display()
    assert not found.usable
    assert "DISPLAY" in found.problem


def test_a_screen_that_refuses_is_reported_in_the_words_of_qt(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":987")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
    found = find_display()
    assert not found.usable
    assert found.problem.startswith("Qt cannot start: ")


def test_a_platform_without_windows_is_no_screen(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    assert not find_display().usable


def test_a_screen_that_does_not_answer_is_given_up(monkeypatch):
    def hang(*args, timeout, **kwargs):
        raise subprocess.TimeoutExpired("qt", timeout)

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(display.subprocess, "run", hang)
    assert "did not answer" in find_display().problem
