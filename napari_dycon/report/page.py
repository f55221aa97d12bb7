"""The page as HTML: one file, without scripts and without anything from elsewhere."""

from html import escape

from napari_dycon.report.sheet import Section, Sheet, Table

STYLE = """
body { font: 14px/1.45 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; color: #1b1f24;
  background: #fff; max-width: 820px; margin: 2.2em auto; padding: 0 1.2em; }
h1 { font-size: 1.55em; margin: 0; } h2 { font-size: 1.05em; margin: 1.3em 0 .3em; color: #0b5c7a; }
p { margin: .3em 0; } .subtitle { color: #5b6570; }
table { border-collapse: collapse; margin: .5em 0; font-size: .93em; }
th, td { text-align: left; vertical-align: top; padding: .18em 1em .18em 0; }
td { border-bottom: 1px solid #e3e7eb; }
th { border-bottom: 1px solid #9aa5b1; font-weight: 600; }
@page { size: A4; margin: 14mm; }
@media print { body { font-size: 9.5pt; margin: 0; max-width: none; padding: 0; } }
"""


def to_html(sheet: Sheet) -> str:
    """Write the page; names of the user's are shown as they are, never understood as HTML."""
    sections = "\n".join(map(_section, sheet.sections))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(sheet.title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(sheet.title)}</h1>
<p class="subtitle">{escape(sheet.subtitle)}</p>
{sections}
</body>
</html>
"""


def _section(section: Section) -> str:
    sentences = "".join(f"<p>{escape(sentence)}</p>\n" for sentence in section.sentences)
    tables = "".join(map(_table, section.tables))
    return f"<section>\n<h2>{escape(section.title)}</h2>\n{sentences}{tables}</section>"


def _table(table: Table) -> str:
    head, *rows = table.rows
    body = "".join(_row(row, "td") for row in rows)
    return f"<table>\n<thead>{_row(head, 'th')}</thead>\n<tbody>{body}</tbody>\n</table>\n"


def _row(cells: tuple[str, ...], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>\n"
