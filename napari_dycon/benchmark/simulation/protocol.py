"""What a simulation compares."""

from typing import Any

from pydantic import Field

from napari_dycon.benchmark.protocol import Places
from napari_dycon.guidance.annotator import Costs, Habits
from napari_dycon.guidance.suggestions import strategies
from napari_dycon.learning.methods.base import get_method


class Protocol(Places):
    """What is compared: data, strategies, how much is labelled and trained in each round, and by whom.

    Every scan to train on has a label map, from which the simulated annotator answers.

    Parameters
    ----------
    strategies : tuple of str
        Names of registered strategies.
    rounds : int
        Rounds after the start, which all strategies of a seed share.
    per_round : int
        Slices that are asked for at the start and in every round.
    first_iterations, iterations : int
        Length of the first training, and of the one that continues it in each round.
    method : str
        Learning method.
    habits, costs
        Of the simulated annotator.
    """

    strategies: tuple[str, ...] = ("ours", "clasp_pe", "random_foreground")
    rounds: int = Field(default=5, ge=1)
    per_round: int = Field(default=8, ge=1)
    first_iterations: int = Field(ge=1)
    iterations: int = Field(ge=1)
    seeds: tuple[int, ...] = (0,)
    method: str = "dycon"
    device: str = "auto"
    overrides: dict[str, Any] = Field(default_factory=dict)
    habits: Habits = Habits()
    costs: Costs = Costs()

    def check(self) -> None:
        """Refuse what does not exist.

        Raises
        ------
        DyconError
            If there is no such strategy or method.
        """
        for name in self.strategies:
            strategies.get(name)
        get_method(self.method)

    def setting(self, device: str, data: str) -> dict[str, Any]:
        """Return what makes two rows comparable, beside strategy, seed and round."""
        names = {"per_round", "first_iterations", "iterations", "method", "overrides", "habits", "costs"}
        return {**self.model_dump(mode="json", include=names), "device": device, "data": data}
