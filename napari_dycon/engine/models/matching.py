"""Which structure of a study each structure of a model is; nothing here imports torch."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from napari_dycon.errors import TrainingError
from napari_dycon.study.store.naming import fold

MOST_NAMES = 8
"""So many structures are told by name in a sentence."""


@dataclass(frozen=True)
class Matching:
    """What a study makes of the structures of a model.

    Attributes
    ----------
    theirs, ours
        Names of the structures of the model, and of the study.
    pairs
        Names in the study by names in the model, as the one and the other write them.
    added
        Names of the model that come into the study as new structures.
    """

    theirs: tuple[str, ...]
    ours: tuple[str, ...]
    pairs: Mapping[str, str]
    added: tuple[str, ...] = ()

    @classmethod
    def by_name(
        cls,
        theirs: Sequence[str],
        ours: Sequence[str],
        told: Mapping[str, str] | None = None,
        add: Collection[str] = (),
    ) -> "Matching":
        """Match what is called alike, upper or lower case, and what is told.

        Parameters
        ----------
        theirs, ours
            Names of the structures of the model, and of the study.
        told
            Names in the study by names in the model; an empty one leaves the structure behind.
        add
            Names in the model of structures that shall come into the study.

        Raises
        ------
        TrainingError
            When a name is neither here nor there, or two structures would become one.
        """
        there, here = ({fold(name): name for name in names} for names in (theirs, ours))
        wishes = {fold(name): fold(to) for name, to in (told or {}).items()}
        strange = {*(wishes.keys() - there.keys()), *(set(wishes.values()) - here.keys() - {""})}
        strange |= {fold(name) for name in add} - there.keys()
        if strange:
            raise TrainingError(
                f"Neither the model nor the study has a structure called {sorted(strange)[0]}."
            )
        taken = set(wishes.values())
        alike = {name: name for name in there if name in here and name not in taken | wishes.keys()}
        pairs = {there[name]: here[to] for name, to in {**alike, **wishes}.items() if to}
        added = tuple(name for name in theirs if fold(name) in {fold(one) for one in add})
        found = cls(tuple(theirs), tuple(ours), pairs, added)
        found._require_sound()
        return found

    @property
    def known(self) -> dict[str, str]:
        """What of the model stays: names in the study by names in the model, those that are added too."""
        return {**self.pairs, **{name: name for name in self.added}}

    def sentences(self) -> Iterator[str]:
        """Say what the model knows of the study, what it does not, and what is left behind."""
        known = self.known
        if not known:
            yield "None of its structures is one of this study."
            return
        kept = [name for name in self.ours if name in known.values()]
        yield f"The model knows {_names([*kept, *self.added])}."
        if self.added:
            verb = "is" if len(self.added) == 1 else "are"
            yield f"{_names(self.added)} {verb} new in this study."
        if new := [name for name in self.ours if name not in kept]:
            yield f"It does not know {_names(new)}: that is learned from now on."
        if left := [name for name in self.theirs if name not in known]:
            yield f"It also knew {_names(left)}; that is left behind."

    def _require_sound(self) -> None:
        by_target: dict[str, str] = {}
        for name, to in self.pairs.items():
            if to in by_target:
                raise TrainingError(f"{by_target[to]} and {name} cannot both be {to}.")
            by_target[to] = name
        here = {fold(name) for name in self.ours}
        if taken := [name for name in self.added if fold(name) in here or name in self.pairs]:
            raise TrainingError(f"The study has a structure called {taken[0]} already.")


def _names(names: Sequence[str]) -> str:
    """Names in one line; of many only the first."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
