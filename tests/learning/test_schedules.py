"""Schedules run on progress."""

import math

import pytest

from napari_dycon.learning.schedules import decay, polynomial, ramp


def test_the_ramp_is_exactly_zero_before_its_start_and_one_after_its_end():
    assert ramp(0.3999, start=0.4, length=0.2) == 0.0
    assert ramp(0.4, start=0.4, length=0.2) == pytest.approx(math.exp(-5))
    assert ramp(0.5, start=0.4, length=0.2) == pytest.approx(math.exp(-5 * 0.25))
    assert ramp(0.61, start=0.4, length=0.2) == 1.0
    assert ramp(1.0, start=1.0, length=0.0) == 1.0


def test_the_ramp_never_falls():
    values = [ramp(i / 500, 0.2, 0.5) for i in range(501)]
    assert values == sorted(values)


def test_beta_decays_exponentially_and_ends_exactly_at_its_last_value():
    assert decay(0.0, 5.0, 0.5) == 5.0
    assert decay(0.5, 5.0, 0.5) == pytest.approx(math.sqrt(2.5))
    assert decay(1.0, 5.0, 0.5) == decay(1.7, 5.0, 0.5) == 0.5
    assert decay(0.3, 0.0, 0.0) == 0.0


def test_the_polynomial_runs_from_one_to_zero():
    assert polynomial(0.0) == 1.0
    assert polynomial(0.5) == pytest.approx(0.5**0.9)
    assert polynomial(1.0) == polynomial(1.2) == 0.0
