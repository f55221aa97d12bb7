"""Figures are told as a person would write them."""

import pytest

from napari_dycon.wording import millilitres


@pytest.mark.parametrize(
    ("volume", "text"),
    [
        (0.0, "0 ml"),
        (0.00001, "<0.001 ml"),
        (0.4567, "0.457 ml"),
        (65.93, "65.9 ml"),
        (99.99, "100 ml"),
        (1234.5, "1234 ml"),
        (123456.0, "123456 ml"),
    ],
)
def test_a_volume_has_three_digits_and_is_never_a_power_of_ten(volume, text):
    assert millilitres(volume) == text
