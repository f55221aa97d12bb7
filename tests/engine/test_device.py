"""What a processor can do is found out by a trial, not by its name."""

import pytest
import torch

from napari_dycon.engine import device


@pytest.fixture(autouse=True)
def _asked_anew():
    device.fast_bfloat16.cache_clear()
    yield
    device.fast_bfloat16.cache_clear()


@pytest.mark.parametrize(
    ("plain", "mixed", "faster"), [(1.0, 0.5, True), (1.0, 0.95, False), (0.5, 1.0, False)]
)
def test_mixed_precision_is_used_where_it_is_clearly_faster(monkeypatch, plain, mixed, faster):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    monkeypatch.setattr(device, "_trial", lambda: (plain, mixed))
    assert device.fast_bfloat16() is faster


def test_nothing_is_tried_where_the_instructions_are_missing(monkeypatch):
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    monkeypatch.setattr(device, "_trial", None)
    assert device.fast_bfloat16() is False


def test_the_trial_disturbs_nothing(monkeypatch):
    """It may run amid a prediction, and the random numbers that follow are those of a run without it."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    with torch.inference_mode():
        device.fast_bfloat16()
    assert torch.equal(torch.rand(1), expected)
