"""The table for a terminal: rich draws it, with colour and in-cell bars where the terminal can show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from rfcalc.render.model import Cell, Line, Table, build
from rfcalc.report.report import Report

if TYPE_CHECKING:
    from rfcalc.render import View

BAR = "on rgb(38,70,110)"
GAP = 2
CUT = (
    ("notation", 12),
    ("inputs", 8),
    ("layer", 12),
    ("differs", 16),
    ("stack", 16),
)  # texts that may be cut, to at least this
LEFT_OUT = ("memory", "stride", "notation", "macs", "params")  # columns that go first


def render(report: Report, view: View) -> str:
    """The report as text with (or without) terminal colours."""
    return draw(build(report, view), view.width, view.color)


def draw(table: Table, width: int | None, color: bool) -> str:
    """Draw a table for a terminal of this width; None lets lines be as long as they need."""
    from io import StringIO

    table, widths = fit(table, width)
    room = width or max(sum(widths) + GAP * (len(widths) - 1), 80)
    out = StringIO()
    console = Console(
        file=out,
        width=room,
        force_terminal=color,
        color_system="truecolor" if color else None,
        highlight=False,
        emoji=False,
        markup=False,
        legacy_windows=False,
    )
    grid = RichTable(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False, header_style="bold")
    for (title, right), size in zip(table.columns, widths, strict=True):
        grid.add_column(title, justify="right" if right else "left", no_wrap=True, overflow="ellipsis", width=size)
    for line in table.lines:
        heads = zip(line.cells, widths, table.columns, strict=True)
        grid.add_row(
            *(_cell(cell, size, right, line) for cell, size, (_, right) in heads),
            style="bold cyan" if line.heading else "",
        )
    console.print(grid)
    label = max((len(name) for name, _ in table.totals), default=0) + 2
    if table.totals:
        console.print()
    for name, figure in table.totals:
        console.print(Text.assemble((name.ljust(label), "bold"), figure))
    if table.notes:
        console.print()
    for note in table.notes:
        console.print(Text(note, style="dim"))
    return "\n".join(line.rstrip() for line in out.getvalue().split("\n")).rstrip("\n")


def fit(table: Table, width: int | None) -> tuple[Table, list[int]]:
    """The table and its column widths for a terminal: texts are cut first, then columns left out, and said so."""
    keep = list(range(len(table.columns)))
    while True:
        widths = [max(len(table.columns[i][0]), *(len(line.cells[i].text) for line in table.lines), 0) for i in keep]
        over = sum(widths) + GAP * (len(widths) - 1) - (width or 10**9)
        for title, least in CUT:
            for place, i in enumerate(keep):
                if over > 0 and table.columns[i][0] == title and widths[place] > least:
                    cut = min(over, widths[place] - least)
                    widths[place] -= cut
                    over -= cut
        titles = [table.columns[i][0] for i in keep]
        drop = next((t for t in LEFT_OUT if t in titles), titles[-1])
        if over <= 0 or len(keep) == 1:
            break
        keep.pop(titles.index(drop))
    gone = [title for i, (title, _) in enumerate(table.columns) if i not in keep]
    if not gone:
        return table, widths
    note = f"not shown in {width} columns: {', '.join(gone)}; a wider terminal or --columns shows them"
    lines = tuple(line._replace(cells=tuple(line.cells[i] for i in keep)) for line in table.lines)
    columns = tuple(table.columns[i] for i in keep)
    return table._replace(columns=columns, lines=lines, notes=(note, *table.notes)), widths


def _cell(cell: Cell, width: int, right: bool, line: Line) -> Text | str:
    """The cell's text, over a bar as long as its share of the whole."""
    filled = cell.share * width // 1000
    if not filled or line.heading:
        return cell.text
    padded = cell.text.rjust(width) if right else cell.text.ljust(width)
    text = Text(padded, no_wrap=True)
    text.stylize(BAR, 0, filled)
    return text
