"""Where pieces come from: the sources that the person has, and the one in use."""

from napari_dycon.plugin.keys.preferences import source_settings
from napari_dycon.study.truth.pieces import USUAL, Source, sources


class PieceSources:
    """The sources of this window, each made once.

    Attributes
    ----------
    made
        All of them by name, offered or not.
    chosen
        Name of the one in use.
    """

    def __init__(self) -> None:
        self.made: dict[str, Source] = {}
        self.chosen = USUAL

    @property
    def in_use(self) -> Source:
        """The one that is asked."""
        return self.made[self.chosen]

    def look(self) -> None:
        """Find out which are offered today; the usual one is in use where the chosen one is not."""
        for name in sources.names():
            self.made.setdefault(name, sources.get(name)(source_settings))
        if self.chosen not in self.titles():
            self.chosen = USUAL

    def titles(self) -> dict[str, str]:
        """Names and titles of those that can be chosen, the usual one first."""
        names = sorted(self.made, key=lambda name: (name != USUAL, name))
        return {name: self.made[name].title for name in names if self.made[name].is_offered()}

    def let_go(self) -> None:
        """Let all of them go of the case of before."""
        for source in self.made.values():
            source.let_go()
