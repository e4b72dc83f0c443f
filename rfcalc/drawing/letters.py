"""How wide a text is at most: a picture is laid out before anybody knows the font that will show it."""

from __future__ import annotations

SIZE = 12  # of the font, in units of the picture
HEIGHT = 15  # of a line of text
_NARROW = frozenset("ijl.,:;|!'`()[] ")
_WIDE = frozenset("mwMWQO@%&…—→≤×")


def width(text: str) -> float:
    """The width of a text in the widest of the usual fonts without serifs (DejaVu Sans, Verdana), at 12 units.

    >>> width("conv3-64") < width("CONV3-64") < width("mmmmmmmm")
    True
    """
    return sum(_letter(c) for c in text) * SIZE


def _letter(c: str) -> float:
    if c in _NARROW:
        return 0.46
    if c in _WIDE or ord(c) > 0x2000:
        return 1.04
    return 0.8 if c.isupper() else 0.68


def cut(text: str, most: int) -> str:
    """The text in at most so many letters, the middle left out.

    >>> cut("features.denseblock1.conv1", 15)
    'feature…1.conv1'
    """
    if len(text) <= most:
        return text
    half = (most - 1) // 2
    return f"{text[: most - 1 - half]}…{text[-half:]}"
