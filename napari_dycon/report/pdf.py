"""The page as PDF, set with Matplotlib, which is there for other reasons and needs neither Qt nor a browser.

Text stays text: it can be searched and copied.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_dycon.report.sheet import Section, Sheet, Table

A4 = (8.27, 11.69)
"""Width and height of the paper in inches."""
MARGIN = 0.6
POINT = 1 / 72
LEADING = 1.32
INK, QUIET, ACCENT, RULE = "#1b1f24", "#5b6570", "#0b5c7a", "#cdd4da"
GAP = 0.16
"""Inches between columns."""
LEAST = 0.45
"""Inches of width that a column keeps."""


def write_pdf(sheet: Sheet, path: Path) -> None:
    """Write the page; one that is full goes on on the next."""
    import matplotlib as mpl
    from matplotlib.backends.backend_pdf import PdfPages

    with mpl.rc_context(
        {"pdf.fonttype": 42, "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"]}
    ):
        setter = _Setter()
        setter.text(sheet.title, 15, weight="bold")
        setter.text(sheet.subtitle, 7.5, QUIET)
        for section in sheet.sections:
            _set_section(setter, section)
        information = {"Title": sheet.title, "Creator": "napari-dycon"}
        with PdfPages(path, metadata=information) as pages:
            for figure in setter.pages:
                pages.savefig(figure)


def _set_section(setter: "_Setter", section: Section) -> None:
    setter.space(0.09)
    setter.text(section.title, 9.5, ACCENT, "bold", keep=0.5)
    for sentence in section.sentences:
        setter.text(sentence, 8)
        setter.space(0.02)
    for table in section.tables:
        setter.space(0.03)
        setter.table(table, 7.5)


@dataclass
class _Setter:
    """Sets lines from the top of a page to its bottom, then on a new one.

    Lengths are in inches, sizes of letters in points.
    """

    pages: list[Any] = field(default_factory=list)
    _top: float = 0.0

    def __post_init__(self) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self._ruler = FigureCanvasAgg(Figure(dpi=72)).get_renderer()
        self._begin_page()

    def space(self, height: float) -> None:
        """Leave room."""
        self._top -= height

    def text(
        self, text: str, size: float, colour: str = INK, weight: str = "normal", keep: float = 0.0
    ) -> None:
        """Set a paragraph; `keep` is what must fit below it on the same page."""
        lines = self._wrap(text, size, weight, A4[0] - 2 * MARGIN)
        self._need(len(lines) * self._line(size) + keep)
        for line in lines:
            self._need(self._line(size))
            self._put(MARGIN, line, size, colour, weight)
            self._top -= self._line(size)

    def table(self, table: Table, size: float) -> None:
        """Set a table; its head is bold and ruled off."""
        widths = self._widths(table, size)
        for number, row in enumerate(table.rows):
            weight = "normal" if number else "bold"
            cells = [self._wrap(cell, size, weight, w) for cell, w in zip(row, widths, strict=True)]
            height = max(map(len, cells)) * self._line(size)
            self._need(height)
            left, top = MARGIN, self._top
            for cell, width in zip(cells, widths, strict=True):
                for place, line in enumerate(cell):
                    self._top = top - place * self._line(size)
                    self._put(left, line, size, INK, weight)
                left += width + GAP
            self._top = top - height
            self._rule(left - GAP, QUIET if number == 0 else RULE)

    def _widths(self, table: Table, size: float) -> list[float]:
        """Columns as wide as their text; where that is too much, the wide ones give in proportion."""
        columns = zip(*table.rows, strict=True)
        wanted = [max(self._width(cell, size, "bold") for cell in column) + 0.02 for column in columns]
        room = A4[0] - 2 * MARGIN - GAP * (len(wanted) - 1)
        narrow = [width for width in wanted if width <= room / len(wanted)]
        rest = sum(wanted) - sum(narrow)
        if sum(wanted) <= room or rest == 0:
            return wanted
        share = (room - sum(narrow)) / rest
        return [w if w <= room / len(wanted) else max(LEAST, w * share) for w in wanted]

    def _wrap(self, text: str, size: float, weight: str, width: float) -> list[str]:
        lines = [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and self._width(longer, size, weight) > width:
                lines.append("")
                longer = word
            while len(longer) > 1 and self._width(longer, size, weight) > width:
                fits = self._fitting(longer, size, weight, width)
                lines[-1:] = [longer[:fits], ""]
                longer = longer[fits:]
            lines[-1] = longer
        return lines

    def _fitting(self, word: str, size: float, weight: str, width: float) -> int:
        """How many letters of a word fit into a width; at least one."""
        ends = range(1, len(word) + 1)
        return max(1, bisect_right(ends, width, key=lambda end: self._width(word[:end], size, weight)))

    def _width(self, text: str, size: float, weight: str) -> float:
        from matplotlib.font_manager import FontProperties

        font = FontProperties(size=size, weight=weight)
        width, _, _ = self._ruler.get_text_width_height_descent(text, font, ismath=False)
        return float(width) * POINT

    def _line(self, size: float) -> float:
        return size * POINT * LEADING

    def _need(self, height: float) -> None:
        if self._top - height < MARGIN and self._top < A4[1] - MARGIN:
            self._begin_page()

    def _begin_page(self) -> None:
        from matplotlib.figure import Figure

        self.pages.append(Figure(figsize=A4))
        self._top = A4[1] - MARGIN

    def _put(self, left: float, text: str, size: float, colour: str, weight: str) -> None:
        style = {"fontsize": size, "color": colour, "fontweight": weight}
        self.pages[-1].text(left / A4[0], self._top / A4[1], text, va="top", parse_math=False, **style)

    def _rule(self, right: float, colour: str) -> None:
        from matplotlib.lines import Line2D

        self._top -= 0.02
        height = self._top / A4[1]
        line = Line2D([MARGIN / A4[0], right / A4[0]], [height, height], color=colour, linewidth=0.5)
        self.pages[-1].add_artist(line)
        self._top -= 0.02
