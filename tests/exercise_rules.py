"""What the rules for sentences are written with: the registry, and small arithmetic.

Of networks that an item only names, the figures are those of the paper's tables, or of the real models, measured in
PyTorch (`data/networks.json`).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import count

from exercise_page import Grid, Page, Slot

Say = dict[str, str]
RULES: list[tuple[str, Callable[..., str | Say]]] = []


def rule(sentence: str) -> Callable[[Callable[..., str | Say]], Callable[..., str | Say]]:
    """The rule for items that hold this sentence; its groups are the arguments behind the item."""

    def add(function: Callable[..., str | Say]) -> Callable[..., str | Say]:
        RULES.append((sentence, function))
        return function

    return add


# --- small arithmetic -------------------------------------------------------------------------------------------------


def number(text: str | None) -> int:
    """A number in figures or as a word."""
    return {"a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5}.get(str(text)) or int(text or 0)


def seen(*layers: tuple[int, int, int]) -> int:
    """The receptive field of a chain of (kernel, stride, dilation): it grows by (k − 1)·d·S, S the strides before."""
    field, step = 1, 1
    for kernel, stride, dilation in layers:
        field += (kernel - 1) * dilation * step
        step *= stride
    return field


def size(n: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    return (n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def conv(c: int, m: int, k: int, bias: bool = True, groups: int = 1) -> int:
    return k * k * c * m // groups + (m if bias else 0)


def both(a: int, b: int) -> str:
    if a == b:
        return f"A and B: {a} each"
    return f"A: {a}, B: {b}; {'A' if a > b else 'B'} has {abs(a - b)} more"


def least(holds: Callable[[int], bool]) -> str:
    return str(next(n for n in count(1) if holds(n)))


def decimals(value: Fraction, digits: int) -> str:
    """Rounded half up, as on paper."""
    scaled = value * 10**digits
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return f"{whole // 10**digits}.{whole % 10**digits:0{digits}}"


def blanks(item: Page, column: int = -1) -> list[str]:
    """The names of the blanks of a grid's column, in order."""
    grid = next(b for b in item.body if isinstance(b, Grid))
    return [row[column].blank for row in grid.rows if isinstance(row[column], Slot)]


def option(item: Page, holds: Callable[[str], bool]) -> str:
    """The one option that holds."""
    (found,) = [o.text for o in item.blanks[0].options if holds(o.text)]
    return found


BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int8": 1}
MEGA = {"MB": 10**6, "MiB": 2**20}
