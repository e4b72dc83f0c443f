"""The table of a network by its stages, as in the ResNet paper: where it is, how large, and its layers in brackets.

Layers are those with weights, and pools; what follows them (normalisation, activations) and joins are left out. Copies
that repeat stand once, with their number; shortcuts of projection stand where a stage begins, and are left out too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rfcalc.report import Report, Row
from rfcalc.report.document import Cell, Column, Span, Table, TableLine, Text
from rfcalc.report.metrics import METRICS, size_text
from rfcalc.report.table import View, caption_of, column, figure, subtotal, totals

FIGURES = ("params", "macs")


def listing(report: Report, view: View) -> Table:
    """A line a stage; a network without stages is told by what its nodes' names begin with, else in one line."""
    figures = [METRICS[name] for name in FIGURES]
    lines = []
    for name, rows in _stages(report):
        last = next((row for row in reversed(rows) if row.shape.rank), rows[-1])
        cells = [
            Cell(name),
            Cell("x".join(map(str, rows[-1].output_shape))),
            Cell(_layers(rows)),
            Cell(size_text(last)),
            *(subtotal(metric, rows, report) for metric in figures),
        ]
        lines.append(TableLine(tuple(cells)))
    sums = [figure(metric, metric.whole(report) if metric.whole else None, report) for metric in figures]
    lines.append(TableLine((Cell("in all"), Cell(), Cell(), Cell(), *sums), "total"))
    columns = (
        Column("stage", "name"),
        Column("output", "output_shape", right=True),
        Column("layers", "notation", least=16, wraps=True),
        Column("rf", "receptive_field", right=True),
        *map(column, figures),
    )
    found = totals(report)
    return Table(columns, tuple(lines), found, caption=view.caption or caption_of(report), label=view.label)


def _stages(report: Report) -> list[tuple[str, list[Row]]]:
    """The rows of each stage, or of each first part of the names, in order."""

    def of(row: Row) -> str:
        return row.stage or row.name.partition(".")[0]

    if len({of(row) for row in report}) > 40 and not report.network.stages:
        return [(report.network.name or "network", list(report))]
    found: list[tuple[str, list[Row]]] = []
    for name, run in groupby(report, key=of):
        rows = [*run]
        if found and not report.network.stages and not any(map(_told, rows)):  # what follows a layer stands with it
            found[-1][1].extend(rows)
        else:
            found.append((name, rows))
    return found


def _layers(rows: Sequence[Row]) -> Text:
    """The layers of a stage: each block in brackets, with how often it stands."""
    copies = [tuple(_short(row) for row in copy if _told(row)) for _, copy in groupby(rows, key=_block)]
    merged: list[tuple[tuple[str, ...], int]] = []
    for told in (part for copy in copies for part, times in _runs(copy) for _ in range(times)):
        if merged and _plain(merged[-1][0]) == _plain(told):  # a first copy of stride 2 is one of the copies
            merged[-1] = (told, merged[-1][1] + 1)
        else:
            merged.append((told, 1))
    parts: list[str | Span] = []
    for told, times in merged:
        parts += [", "] * bool(parts)
        parts.append(_piece(told, times))
    return tuple(parts)


def _block(row: Row) -> str:
    """What tells copies of a block apart: the repetition, else the numbered beginning of the name."""
    parts = row.name.split(".")[:-1]
    numbers = [i for i, part in enumerate(parts) if part.isdecimal()]
    return f"{row.node.repeat} {'.'.join(parts[: numbers[0] + 1]) if numbers else ''}"


def _runs(told: tuple[str, ...]) -> list[tuple[tuple[str, ...], int]]:
    """Layers with what repeats of them together: three layers or more that come again at once.

    >>> _runs(("a", "b", "c", "a", "b", "c", "d"))
    [(('a', 'b', 'c'), 2), (('d',), 1)]
    """
    found: list[tuple[tuple[str, ...], int]] = []
    plain: list[str] = []
    i = 0
    while i < len(told):
        length, times = 1, 1
        for size in range(3, (len(told) - i) // 2 + 1):
            count = 1
            while told[i + size * count : i + size * (count + 1)] == told[i : i + size]:
                count += 1
            if size * (count - 1) > length * (times - 1):
                length, times = size, count
        if times == 1:
            plain.append(told[i])
        else:
            found += [(tuple(plain), 1)] * bool(plain) + [(told[i : i + length], times)]
            plain = []
        i += length * times
    return found + [(tuple(plain), 1)] * bool(plain)


def _told(row: Row) -> bool:
    if any(part in ("downsample", "shortcut", "projection") for part in row.name.split(".")):
        return False
    layer = row.node.layer
    return bool(layer.weight_layers) or layer.kind.endswith("pool")


def _short(row: Row) -> str:
    return " ".join(word for word in row.notation.split() if word not in ("nobias",) and not word.startswith("p"))


def _plain(told: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text.partition("/")[0] for text in told)


def _piece(told: tuple[str, ...], times: int) -> str | Span:
    """A block: its layers, in brackets where it repeats; as papers set it, under each other."""
    inner = ", ".join(told)
    if times == 1:
        return inner
    lines = [rf"\text{{{_escaped(text)}}}" for text in told]
    if len(told) == 1:
        return Span(f"{inner} ×{times}", latex=rf"{lines[0]}\times {times}")
    column = r" \\ ".join(lines)
    body = rf"\begin{{array}}{{@{{}}l@{{}}}}{column}\end{{array}}"
    return Span(f"[{inner}] ×{times}", latex=rf"\left[{body}\right]\times {times}")


def _escaped(text: str) -> str:
    return text.replace("_", r"\_").replace("×", r"$\times$")
