"""Text for a terminal: rich draws it, with colour and in-cell bars where the terminal can show them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from textwrap import wrap
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text as RichText

from rfcalc.core.errors import printable, printable_lines
from rfcalc.report.document import (
    GAP,
    Cell,
    Column,
    Derivation,
    Document,
    Grid,
    Listing,
    Section,
    Sentences,
    Table,
    TableLine,
    Text,
    pieces,
    words,
)

if TYPE_CHECKING:
    from rfcalc.render import Look

_COLOR = re.compile(r"(?<=[\[;])([34])8;2;(\d+;\d+;\d+)")
PAGE = 80  # where nothing else says how wide
# Colours that reach a contrast of 4.5 : 1 on white and on black alike; a background brings its own foreground.
HEADING, SOFT, BAR = "bold rgb(0,130,144)", "rgb(117,117,117)", "rgb(255,255,255) on rgb(38,70,110)"
STYLES = {
    "": "",
    "good": "rgb(0,137,34)",
    "bad": "bold rgb(226,41,41)",
    "known": "rgb(160,107,0)",
    "unseen": "rgb(0,130,144)",
    "strong": "bold",
    "soft": SOFT,
    "carried": "rgb(0,130,144)",
    "result": "bold rgb(0,137,34)",
}
# The colours of a terminal with 256 of them that reach the same contrast: the nearest ones would not.
OF_256 = {
    "117;117;117": 243,
    "0;130;144": 63,
    "0;137;34": 29,
    "226;41;41": 131,
    "160;107;0": 98,
    "40;120;200": 63,
    "255;255;255": 231,
    "38;70;110": 24,
}
IN_ASCII = str.maketrans({"─": "-", "…": "~", "×": "x", "–": "-"})  # what is drawn here, and texts that are cut
MARKS = {"█": "rgb(40,120,200)", "▒": "rgb(40,120,200)", "░": "rgb(160,107,0)", "·": SOFT}  # of a picture


def render(document: Document, look: Look) -> str:
    """The document as text with (or without) terminal colours."""
    from io import StringIO

    document = document.in_letters()
    if look.ascii:
        from rfcalc.render.plain import in_ascii

        document = in_ascii(document)
    fitted = [fit(s, look.width) if isinstance(s, Table) else (s, [], GAP) for s in document.sections]
    natural = max((sum(w) + gap * (len(w) - 1) for _, w, gap in fitted if w), default=0)
    out = StringIO()
    console = Console(
        file=out,
        width=look.width or max(natural, PAGE),
        force_terminal=look.color,
        color_system="truecolor" if look.color else None,
        highlight=False,
        emoji=False,
        markup=False,
        legacy_windows=False,
    )
    if document.titled:
        _sentence(console, spell(document.title, "bold"), look.width is not None)
    for i, (section, widths, gap) in enumerate(fitted):
        if i or document.titled:
            console.print()
        _section(console, section, widths, gap, look)
    gone = [
        column.title
        for whole, (fit_, *_) in zip(document.sections, fitted, strict=True)
        if isinstance(whole, Table) and isinstance(fit_, Table)
        for column in whole.columns
        if column not in fit_.columns
    ]
    left_out = f"not shown in {look.width} columns: {', '.join(dict.fromkeys(gone))}; a wider terminal shows them"
    notes = (*([left_out] if gone else []), *document.notes)
    if notes:
        console.print()
    for note in notes:
        console.print(spell(note, SOFT), soft_wrap=not (natural or look.width))
    text = "\n".join(line.rstrip() for line in out.getvalue().split("\n")).rstrip("\n")
    if look.ascii:
        text = text.translate(IN_ASCII)
    return text if os.environ.get("COLORTERM", "") in ("truecolor", "24bit") else in_256_colors(text)


def in_256_colors(text: str) -> str:
    """The text for a terminal that does not say that it has all colours.

    >>> in_256_colors("\\x1b[1;38;2;0;137;34m=")
    '\\x1b[1;38;5;29m='
    """
    return _COLOR.sub(lambda found: f"{found[1]}8;5;{OF_256[found[2]]}", text)


def spell(text: Text, style: str = "") -> RichText:
    """A text on one line, its parts in their colours."""
    return RichText.assemble(*((printable(part), STYLES[role]) for part, role in pieces(text)), style=style)


def _section(console: Console, section: Section, widths: list[int], gap: int, look: Look) -> None:
    wraps = look.width is not None
    if section.title and not isinstance(section, Derivation):
        console.print(spell(section.title, "bold"), soft_wrap=not wraps)
    if isinstance(section, Table):
        _table(console, section, widths, gap, wraps)
    elif isinstance(section, Sentences):
        for line in section.lines:
            _sentence(console, spell(line), wraps)
    elif isinstance(section, Derivation):
        from rfcalc.render.derivation import lines

        _print(console, *map(spell, lines(section, console.width if wraps else None)))
    elif isinstance(section, Grid):
        from rfcalc.render.raster import scaled

        *rows, legend = scaled(section, look.ascii, look.width)
        for row in rows:
            _print(console, _marked(row))
        console.print(_marked(legend), soft_wrap=not wraps)
    elif isinstance(section, Listing):
        text = printable_lines(section.text)
        if wraps and not section.language:  # source is copied
            text = "\n".join(line for long in text.split("\n") for line in _broken(long, console.width))
        console.file.write(text + "\n")


def _marked(row: str) -> RichText:
    """A row of a grid, its marks in their colours."""
    drawn = RichText(row)
    for mark, style in MARKS.items():
        drawn.highlight_words([mark], style)
    return drawn


def _broken(line: str, width: int) -> list[str]:
    """A preformatted line in lines of a terminal, those after the first further in; a rule is as long as it fits.

    >>> _broken("conv3-64 > relu > maxpool2", 20)
    ['conv3-64 > relu >', '    maxpool2']
    """
    if len(line) <= width or not line.strip("=-"):
        return [line[:width]]
    further = " " * (len(line) - len(line.lstrip(" ")) + 4)
    return wrap(line, max(width, 20), subsequent_indent=further, break_on_hyphens=False)


def _sentence(console: Console, text: RichText, wraps: bool) -> None:
    """A sentence; one that begins further to the right stays there when it is wrapped, by two more."""
    indent = len(text.plain) - len(text.plain.lstrip(" "))
    if not wraps or not indent or text.cell_len <= console.width:
        console.print(text, soft_wrap=not wraps)
        return
    room = max(console.width - indent - 2, 20)
    for i, part in enumerate(text[indent:].wrap(console, room)):
        console.print(RichText(" " * (indent + 2 * bool(i))) + part, soft_wrap=True)


def _table(console: Console, table: Table, widths: list[int], gap: int, wraps: bool) -> None:
    rule = RichText("─" * (sum(widths) + gap * (len(widths) - 1)))
    titles = (_placed(spell(c.title, "bold"), w, c.right) for c, w in zip(table.columns, widths, strict=True))
    _print(console, _joined(titles, gap), rule)
    before = ""
    for line in table.lines:
        if line.kind == "total" != before:
            _print(console, rule)
        before = line.kind
        if line.spans:
            _print(console, RichText(""))
            console.print(spell(line.cells[0].text, HEADING))
            continue
        for cells in _rows(console, line, widths, table.columns):
            row = _joined(cells, gap)
            row.style = HEADING if line.heading else STYLES[line.role]
            _print(console, row)
    if table.totals:
        console.print()
    label = max((len(name) for name, _ in table.totals), default=0) + 2
    below = wraps and console.width - label < 20  # the figure, where there is no room beside its name
    for name, figure in table.totals:
        heads = iter([printable(name).ljust(label)])
        if below:
            _print(console, RichText(next(heads).rstrip(), "bold"))
        indent = 4 if below else label
        for part in spell(figure).wrap(console, console.width - indent) if wraps else [spell(figure)]:
            _print(console, RichText(next(heads, " " * indent), "bold") + part)


def _rows(
    console: Console, line: TableLine, widths: list[int], columns: tuple[Column, ...]
) -> Iterator[list[RichText]]:
    """The cells of a line; several rows where a column wraps its texts."""
    wrapped = {
        i: [*spell(line.cells[i].text, STYLES[line.cells[i].role]).wrap(console, width)]
        for i, (width, column) in enumerate(zip(widths, columns, strict=True))
        if column.wraps and len(words(line.cells[i].text)) > width
    }
    for number in range(max(map(len, wrapped.values()), default=1)):
        cells = []
        for i, (cell, width, column) in enumerate(zip(line.cells, widths, columns, strict=True)):
            if i in wrapped:
                part = wrapped[i][number] if number < len(wrapped[i]) else RichText("")
                cells.append(_placed(part, width, column.right))
            else:
                cells.append(_cell(cell if number == 0 else Cell(), width, column, line))
        yield cells


def _print(console: Console, *lines: RichText) -> None:
    for line in lines:
        console.print(line, soft_wrap=True, crop=False)


def _joined(cells: Iterable[RichText], gap: int) -> RichText:
    return RichText(" " * gap).join(cells)


def _placed(text: RichText, width: int, right: bool, name: str = "") -> RichText:
    """The text in exactly so many columns of the terminal: names are cut in the middle, as their ends differ, notations
    behind a word."""
    if name == "name" and text.cell_len > width >= 8:
        kept = (width - 1) * 2 // 3
        text = text[: width - 1 - kept] + RichText("…") + text[len(text) - kept :]
    if name == "notation" and text.cell_len > width:
        end = text.plain.rfind(" ", 0, width - 1)
        text = text[: end + 1] + RichText("…") if end >= width // 2 else text
    text.truncate(width, overflow="ellipsis")
    text.align("right" if right else "left", width)
    return text


def fit(table: Table, width: int | None) -> tuple[Table, list[int], int]:
    """The table, its column widths, and the gap between columns for a terminal: texts are cut first, then columns stand
    closer, then they are left out."""
    natural = table.widths
    keep = list(range(len(table.columns)))
    while True:
        for gap in (GAP, 1):
            widths = [natural[i] for i in keep]
            over = sum(widths) + gap * (len(widths) - 1) - (width or 10**9)
            for place, i in reversed([*enumerate(keep)]):
                least = table.columns[i].least
                if over > 0 and least is not None and widths[place] > least:
                    cut = min(over, widths[place] - least)
                    widths[place] -= cut
                    over -= cut
            if over <= 0:
                break
        if over <= 0 or len(keep) == 1:
            break
        keep.remove(max(keep, key=lambda i: (table.columns[i].spare, i)))
    if len(keep) == len(table.columns):
        return table, widths, gap
    lines = tuple(line._replace(cells=tuple(line.cells[i] for i in keep)) for line in table.lines)
    columns = tuple(table.columns[i] for i in keep)
    return Table(columns, lines, table.totals, table.title, table.caption), widths, gap


def _cell(cell: Cell, width: int, column: Column, line: TableLine) -> RichText:
    """The cell's text, over a bar as long as its share of the whole."""
    text = _placed(spell(cell.text, STYLES[cell.role]), width, column.right, column.name)
    filled = cell.share * width // 1000
    if filled and not line.heading:
        text.stylize(BAR, 0, filled)
    return text
