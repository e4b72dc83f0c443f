"""How wide a table is in Computer Modern, and the size of letters at which it fits: what keeps boxes from running over.

Widths of letters are those of cmr10 (in points at 10 pt, rounded up); smaller sizes have wider letters than their size
says (cmr7 is 0.8 of cmr10), bold is wider by a sixth.
"""

from __future__ import annotations

import re
from typing import NamedTuple

PAGE = 341.0  # points of a line of LaTeX's article (345), and of a column of two (229), and some to spare
COLUMN = 226.0
_NARROW = {**dict.fromkeys("ijl.,;:'!|", 2.8), **dict.fromkeys("frtsIc()[]/-` ", 4.0), **dict.fromkeys("aezgv", 5.3)}
_WIDE = {**dict.fromkeys("mwMW@%", 10.3), **dict.fromkeys("ABCDEFGHJKLNOPQRSTUVXYZ×≤≥→≈−+=~_", 7.9)}
_LETTER = 5.6
_DIGIT = 5.01
# what LaTeX calls the sizes, how large they are beside normal letters, and the half gap between columns, in order
SIZES = (("", 1.0, 6.0), (r"\small", 0.93, 5.0), (r"\footnotesize", 0.86, 4.0), (r"\scriptsize", 0.81, 3.0))
SIZES_SMALL = (*SIZES, (r"\scriptsize", 0.81, 2.0), (r"\tiny", 0.69, 2.0))


class TableFit(NamedTuple):
    """How a table is set: the command for the size of its letters, the half gap, and widths (in points) of columns of
    text that have to be broken."""

    size: str
    gap: float
    broken: dict[int, float]


def width(text: str, bold: bool = False) -> float:
    """The width of a text at 10 pt, in points, rather too much than too little.

    >>> round(width("12,345")), round(width("conv3-64")) > 35
    (28, True)
    """
    total = sum(
        _DIGIT if c.isdecimal() else _NARROW.get(c) or _WIDE.get(c) or (_LETTER if c.isascii() else 7.9) for c in text
    )
    return total * (1.16 if bold else 1.0)


def fit(widths: list[float], breakable: dict[int, float], room: float) -> TableFit:
    """The largest letters at which columns of these widths fit into `room` points.

    Where even the smallest do not, columns of text are broken into lines: those in `breakable`, with the width of their
    longest piece that cannot be broken.
    """
    count = len(widths)
    for size, scale, gap in SIZES_SMALL:
        if sum(widths) * scale + 2 * gap * count <= room:
            return TableFit(size, gap, {})
    found: dict[int, float] = {}
    size, scale, gap = SIZES_SMALL[-1]
    for size, scale, gap in SIZES_SMALL[-2:]:  # noqa: B007 (the last one tried is taken)
        rest = sum(w for i, w in enumerate(widths) if i not in breakable) * scale
        left = room - rest - 2 * gap * count
        found = {}
        for number, i in enumerate(sorted(breakable, key=lambda i: widths[i])):
            share = left / (len(breakable) - number)
            if widths[i] * scale > share:
                found[i] = share
            left -= min(widths[i] * scale, share)
        if all(share >= 1.05 * breakable[i] * scale for i, share in found.items()):
            break
    return TableFit(size, gap, {i: max(share, 1.05 * breakable[i] * scale) for i, share in found.items()})


def longest_piece(text: str) -> float:
    """The width of the longest part of a text that `broken` does not break."""
    return max((width(piece) for piece in re.split(r"(?<=[./_-])| ", text) if piece), default=0.0)


def broken(text: str) -> str:
    """LaTeX whose long words may be broken at their joints."""
    return re.sub(r"(?<=[\w}])(\.|/|-|\\_)(?=[\w\\{])", r"\1\\allowbreak{}", text)
