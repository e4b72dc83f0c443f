"""Rules of one length that give numbers of several readings: a length and a constant, a multiple or a part of it, what
is missing to a multiple. Imports nothing from the project."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

MOST_PADDING = 12  # beyond what is missing to a multiple
LARGEST_SHARE = 16  # the denominator of a scale, such as 3/2
MULTIPLES = (2, 4, 8, 16, 32, 64, 128, 7, 3, 5, 6, 12)


def alone(told: Sequence[int], dims: Sequence[int]) -> Iterator[tuple[int, Callable[[Any], Any]]]:
    """Rules of one length that give these numbers; the simplest has the smallest rank."""
    pairs = list(zip(told, dims, strict=True))
    add = told[0] - dims[0]
    if all(v == n + add for v, n in pairs):
        yield (0 if add == 0 else 4), lambda n: n + add
    first, size = pairs[0]
    if size < first and all(v * size == n * first for v, n in pairs) and first % size == 0:
        yield 1, partial(_times, first // size)
    if 0 < first < size and all(v * size == n * first for v, n in pairs) and size % first == 0:  # windows
        yield 2, partial(_part, size // first)
    for k in (2, 3, 4, 8):
        if all(v == n // k for v, n in pairs):
            yield 2, partial(_part, k)
    scale = Fraction(*pairs[0])
    if 1 < scale.denominator <= LARGEST_SHARE and scale.numerator > 1 and all(v == n * scale // 1 for v, n in pairs):
        yield 2, partial(_share, scale.numerator, scale.denominator)
    for m in MULTIPLES:
        if len({n % m for n in dims}) < min(m, 3):
            continue
        if all(v == -n % m for v, n in pairs):
            yield 3, partial(_up_to, m)
        for more in range(MOST_PADDING):  # as TensorFlow's SAME pads before a stride: in all, before, after
            for share in (whole, lower_half):
                if all(v == share(-n % m + more) for v, n in pairs):
                    yield 5, partial(_filled, share, m, more)


def _times(k: int, n: Any) -> Any:
    return n * k


def _share(a: int, b: int, n: Any) -> Any:
    return n * a // b


def _part(k: int, n: Any) -> Any:
    return n // k


def _up_to(m: int, n: Any) -> Any:
    return -n % m


def _filled(share: Callable[[Any], Any], m: int, more: int, n: Any) -> Any:
    return share(-n % m + more)


def lower_half(d: Any) -> Any:
    return d // 2


def upper_half(d: Any) -> Any:
    return d - d // 2


def whole(d: Any) -> Any:
    return d
