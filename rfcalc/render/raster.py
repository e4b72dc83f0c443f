"""A grid of positions drawn in letters: a sign for each cell, which may stand for several positions."""

from __future__ import annotations

from collections.abc import Iterator

from rfcalc.report.document import Grid, Runs

MARKS = {"seen": "█", "some": "▒", "clipped": "░", "none": "·", "": " "}
ASCII_MARKS = {"seen": "#", "some": "+", "clipped": "-", "none": ".", "": " "}
LEGEND = {"seen": "seen", "none": "not seen", "clipped": "padding, clipped", "some": "in part"}
WIDTH = 56  # letters of a drawing, at most
HEIGHT = 56  # lines of it
PAGE = 80


def scaled(grid: Grid, ascii_only: bool = False, room: int | None = None) -> Iterator[str]:
    """The drawing with the positions of the map's ends and the region's at its edges, and what a sign stands for.

    `room`: the letters of a line that a terminal has.

    >>> from rfcalc.report.document import Runs
    >>> print(*scaled(Grid((8,), ((0, 8),), (Runs((((2, 5),),)),)), ascii_only=True), sep="\\n")
    0 2 4  7
    ..###...
    # seen  . not seen
    """
    edge = max(len(str(n)) for n in (grid.shape[0] - 1, *_ends(grid, 0))) + 1 if len(grid.shape) > 1 else 0
    width = min(WIDTH, max(8, (room or PAGE) - edge))
    lines = [*raster(grid, ascii_only, width)]
    columns, rows = _columns(grid, width), _rows(grid, width)
    sides = {}
    if len(grid.shape) > 1:
        for position in (grid.shape[0] - 1, 0, *_ends(grid, 0)):  # the last one named stays
            sides[next(i for i, (a, b) in enumerate(rows) if a <= position < b)] = str(position)
    gutter = max(map(len, sides.values()), default=-1) + 1
    yield f"{'':{gutter}}{_head(grid, columns)}".rstrip()
    for i, line in enumerate(lines[:-1]):
        yield f"{sides.get(i, ''):>{gutter - 1}} {line}".rstrip() if gutter else line
    across, down = columns[0][1] - columns[0][0], rows[0][1] - rows[0][0]
    stands = f"a sign: {down} x {across} positions" if len(grid.shape) > 1 else f"a sign: {across} positions"
    yield lines[-1] + (f"  {stands}" if max(across, down) > 1 else "")


def _ends(grid: Grid, axis: int) -> tuple[int, ...]:
    """The first and the last position that is seen."""
    runs = [run for layer in grid.layers if layer.role == "seen" for run in layer.axes[axis]]
    return (min(a for a, _ in runs), max(b for _, b in runs) - 1) if runs else ()


def _head(grid: Grid, columns: list[tuple[int, int]]) -> str:
    """Positions over their columns: the region's ends, then the map's where there is room."""
    line = [" "] * (len(columns) + 12)
    ends = _ends(grid, -1)
    for position, first in (*zip(ends, (True, False), strict=False), (0, True), (grid.shape[-1] - 1, False)):
        at = next(i for i, (a, b) in enumerate(columns) if a <= position < b)
        told = str(position)
        start = at if first else max(0, at - len(told) + 1)
        if all(c == " " for c in line[max(0, start - 1) : start + len(told) + 1]):
            line[start : start + len(told)] = told
    return "".join(line)


def _columns(grid: Grid, width: int) -> list[tuple[int, int]]:
    return _cells(grid.frame[-1], max(1, -(-(grid.frame[-1][1] - grid.frame[-1][0]) // width)))


def _rows(grid: Grid, width: int) -> list[tuple[int, int]]:
    """Ranges of rows; characters are twice as high as wide."""
    if len(grid.shape) < 2:
        return [(0, 1)]
    first, end = grid.frame[0]
    across = max(1, -(-(grid.frame[-1][1] - grid.frame[-1][0]) // width))
    return _cells((first, end), max(across * 2 if across > 1 else 1, -(-(end - first) // HEIGHT)))


def raster(grid: Grid, ascii_only: bool = False, width: int = WIDTH) -> Iterator[str]:
    """The lines of the drawing, then a legend."""
    marks = ASCII_MARKS if ascii_only else MARKS
    columns, rows = _columns(grid, width), _rows(grid, width)
    seen = _seen(grid)
    used = {"seen", "none"}
    for row in rows:
        line = [_cell(grid, seen, row, column) for column in columns]
        used.update(line)
        yield "".join(marks[kind] for kind in line).rstrip()
    yield "  ".join(f"{marks[kind]} {told}" for kind, told in LEGEND.items() if kind in used)


def _cells(frame: tuple[int, int], size: int) -> list[tuple[int, int]]:
    first, end = frame
    return [(at, min(at + size, end)) for at in range(first, end, size)]


def _mask(runs: tuple[tuple[int, int], ...]) -> int:
    mask = 0
    for a, b in runs:
        mask |= ((1 << (b - a)) - 1) << a
    return mask


def _seen(grid: Grid) -> list[int]:
    """For each row of the map, its seen positions as a set of bits."""
    rows = [0] * (grid.shape[0] if len(grid.shape) > 1 else 1)
    for layer in grid.layers:
        if layer.role == "seen":
            mask = _mask(layer.axes[-1])
            for a, b in layer.axes[0] if len(grid.shape) > 1 else ((0, 1),):
                for y in range(a, b):
                    rows[y] |= mask
    return rows


def _cell(grid: Grid, seen: list[int], row: tuple[int, int], column: tuple[int, int]) -> str:
    """What a cell shows: all its positions are seen, or some, or none; beyond the map, whether padding is meant."""
    first, end = max(column[0], 0), min(column[1], grid.shape[-1])
    here = seen[max(row[0], 0) : max(row[1], 0)]
    if not here or first >= end:
        cell = (row, column) if len(grid.shape) > 1 else (column,)
        return "clipped" if any(_touches(layer, cell) for layer in grid.layers if layer.role == "clipped") else ""
    window = (1 << (end - first)) - 1
    counts = [(mask >> first & window).bit_count() for mask in here]
    return "none" if not any(counts) else "seen" if min(counts) == end - first else "some"


def _touches(layer: Runs, cell: tuple[tuple[int, int], ...]) -> bool:
    """Whether any position of a cell is in a layer."""
    return all(any(a < d and c < b for a, b in runs) for runs, (c, d) in zip(layer.axes, cell, strict=True))
