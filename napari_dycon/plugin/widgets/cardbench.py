"""Binds the cards of the suggestions to the session."""

from functools import partial
from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtCore import QObject

from napari_dycon.guidance.worth import in_words
from napari_dycon.plugin.widgets.cards import Card
from napari_dycon.study.store.place_log import CASE, REGION, SLICE

if TYPE_CHECKING:
    from napari_dycon.guidance.suggestions import Suggestion
    from napari_dycon.plugin.session import Session
    from napari_dycon.plugin.widgets.cards import CardsPanel

LONG_SLICE_S = 300
"""What is foretold of a slice beyond this is noise in the prediction, not a length that a hand would draw."""


class CardBench(QObject):
    """Shows the session's suggestions on cards and tells it what they ask.

    Parameters
    ----------
    panel
        The cards; the bench lives as long as they.
    session
        Whose suggestions they are.
    """

    def __init__(self, panel: "CardsPanel", session: "Session") -> None:
        super().__init__(panel)
        self._panel, self._session = panel, session
        perform = session.actions.perform
        for signal, slot in (
            (panel.next_requested, partial(perform, "next_place")),
            (panel.previous_requested, partial(perform, "previous_place")),
            (panel.skip_requested, partial(perform, "skip_place")),
            (panel.finish_requested, partial(perform, "finish_place")),
            (panel.accept_requested, partial(perform, "accept_piece")),
            (panel.reject_requested, partial(perform, "reject_piece")),
            (panel.place_requested, self._go_to),
            (session.suggestions.changed, self.show_all),
            (session.suggestions.gallery.pictured, self._on_pictured),
            (session.cases.opened, self._on_opened),
        ):
            signal.connect(slot)

    def show_all(self) -> None:
        """Show everything anew."""
        if isalive(self._panel):
            suggestions = self._session.suggestions
            cards = [self._card(place) for place in suggestions.places]
            self._panel.set_cards(cards, suggestions.index if suggestions.here is not None else -1)

    def _card(self, place: "Suggestion") -> Card:
        suggestions, study = self._session.suggestions, self._session.study
        pictured = suggestions.gallery.find(place)
        names = {} if study is None else {case.id: case.name for case in study.cases}
        colours = {structure.value: structure.color for structure in self._session.structures.all}
        slice_number = "slice" if pictured is None else f"{pictured.number} of {pictured.count}"
        return Card(
            where=_tell_where(place, slice_number),
            case=names.get(place.case, place.case),
            structure=place.structure_name,
            colour=colours.get(place.structure, "#808080"),
            reason=place.reason,
            state=suggestions.state_of(place),
            time=tell_time(place),
            decides=place.level == REGION,
            picture=None if pictured is None else pictured.picture,
        )

    def _go_to(self, place: int) -> None:
        places = self._session.suggestions.places
        if place < len(places):
            self._session.suggestions.go_to(places[place])

    def _on_pictured(self, place: "Suggestion") -> None:
        del place
        self.show_all()

    def _on_opened(self, case_id: str) -> None:
        del case_id
        self.show_all()


def tell_time(place: "Suggestion") -> str:
    """Say about how long a place takes; a bound for a slice that is in doubt all over."""
    if place.level == SLICE and place.seconds > LONG_SLICE_S:
        return f"over {LONG_SLICE_S // 60} min"
    return in_words(place.seconds)


def _tell_where(place: "Suggestion", slice_number: str) -> str:
    if place.level == CASE:
        return "Whole scan"
    return f"{'Piece, ' if place.level == REGION else ''}{place.plane} {slice_number}".capitalize()
