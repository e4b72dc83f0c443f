"""A grid of positions drawn in letters: a sign for each cell, which may stand for several positions."""

from __future__ import annotations

from collections.abc import Iterator

from rfcalc.report.document import Grid, Runs

MARKS = {"seen": "█", "some": "▒", "clipped": "░", "none": "·", "": " "}
ASCII_MARKS = {"seen": "#", "some": "+", "clipped": "-", "none": ".", "": " "}
LEGEND = {"seen": "seen", "none": "not seen", "clipped": "padding, clipped", "some": "in part"}
WIDTH = 56


def raster(grid: Grid, ascii_only: bool = False, width: int = WIDTH) -> Iterator[str]:
    """The lines of the drawing, then a legend; characters are twice as high as wide."""
    marks = ASCII_MARKS if ascii_only else MARKS
    across = max(1, -(-(grid.frame[-1][1] - grid.frame[-1][0]) // width))
    down = across * 2 if across > 1 else 1
    columns = _cells(grid.frame[-1], across)
    rows = _cells(grid.frame[0], down) if len(grid.shape) > 1 else [(0, 1)]
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
