"""What an export has written, told in a few sentences at its end."""

from collections.abc import Iterator

from napari_dycon.study.exporting import Exported, left_out_sentence

LISTED = 5


def export_news(done: Exported) -> Iterator[tuple[str, str]]:
    """Yield ``(level, sentence)``; of many cases that failed only the first few."""
    yield "warning" if done.stopped else "info", done.summary
    if done.left_out:
        yield "warning", left_out_sentence(len(done.left_out))
    for _, problem in done.problems[:LISTED]:
        yield "warning", problem
    if len(done.problems) > LISTED:
        yield "warning", f"{len(done.problems) - LISTED} more cases could not be exported."
