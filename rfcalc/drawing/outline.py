"""The outline of a set of cells: closed lines along their edges."""

from __future__ import annotations

from collections.abc import Collection, Iterator

Cell = tuple[int, int]  # row, column
Corner = tuple[int, int]  # x, y


def outlines(cells: Collection[Cell]) -> Iterator[tuple[Corner, ...]]:
    """Closed lines around the cells, and around the holes among them, by the corners at which they turn.

    >>> list(outlines({(0, 0), (0, 1)}))
    [((0, 0), (2, 0), (2, 1), (0, 1))]
    """
    inside = frozenset(cells)
    ways: dict[Corner, list[Corner]] = {}
    for y, x in sorted(inside):  # each edge with its cell at the right hand
        for other, start, end in (
            ((y - 1, x), (x, y), (x + 1, y)),
            ((y, x + 1), (x + 1, y), (x + 1, y + 1)),
            ((y + 1, x), (x + 1, y + 1), (x, y + 1)),
            ((y, x - 1), (x, y + 1), (x, y)),
        ):
            if other not in inside:
                ways.setdefault(start, []).append(end)
    for start in [*ways]:
        while ways[start]:
            line, at = [start], start
            while True:
                before = line[-2] if len(line) > 1 else None
                at = _next(ways[at], at, before)
                if len(line) > 1 and (line[-2][0] == at[0] or line[-2][1] == at[1]):
                    line[-1] = at  # straight on
                else:
                    line.append(at)
                if at == start:
                    break
            line.pop()
            if len(line) > 2 and (line[-1][0] == line[0][0] == line[1][0] or line[-1][1] == line[0][1] == line[1][1]):
                del line[0]
            yield tuple(line)


def _next(ends: list[Corner], at: Corner, before: Corner | None) -> Corner:
    """The edge that goes on from a corner; where two cells touch at it only, the one that turns right, which stays with
    its cell."""
    if len(ends) == 1 or before is None:
        return ends.pop()
    (px, py), (x, y) = before, at

    def turn(end: Corner) -> int:
        return (x - px) * (end[1] - y) - (y - py) * (end[0] - x)

    chosen = max(ends, key=turn)
    ends.remove(chosen)
    return chosen
