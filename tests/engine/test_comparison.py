import pytest

from napari_dycon.engine.comparison import compare
from napari_dycon.engine.events import RunFinished


def finished(run: str, dice: float | None) -> RunFinished:
    return RunFinished(run, 100, "budget", 60.0, dice, dice, "")


@pytest.mark.parametrize(
    ("dice", "control", "better", "words"),
    [
        (0.842, 0.811, "001-dycon", "dycon is 3.1 points better"),
        (0.781, 0.811, "002-supervised", "dycon is 3.0 points worse"),
        (0.812, 0.811, "001-dycon", "equally good"),
        (None, None, "001-dycon", "cannot be compared"),
    ],
)
def test_the_user_is_told_which_is_better_and_by_how_much(dice, control, better, words):
    comparison = compare("dycon", finished("001-dycon", dice), finished("002-supervised", control))
    assert comparison.better == better
    assert words in comparison.text
