"""Numbers by chance that stay the same: everywhere, in every Python, for ever.

An item is made from one 64-bit seed. The seed comes from a text (FNV-1a), the numbers from the seed (SplitMix64,
Steele, Lea & Flood 2014); neither depends on Python's hashes or on the `random` module. Imports nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_MASK = (1 << 64) - 1
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no letter looks like a digit


def seed_of(*parts: object) -> int:
    """The seed that texts and numbers give, in this order.

    >>> seed_of("exam", 7) == seed_of("exam", "7"), seed_of("exam", 7) == seed_of("exam7")
    (True, False)
    """
    found = 0xCBF29CE484222325
    for part in parts:
        for byte in str(part).encode("utf-8", "surrogatepass") + b"\x1f":
            found = ((found ^ byte) * 0x100000001B3) & _MASK
    return _stirred(found)


def _stirred(z: int) -> int:
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def text_of(seed: int) -> str:
    """A seed as 13 letters and digits.

    >>> text_of(0), text_of((1 << 64) - 1), seed_from("fzzzzzzzzzzzz") == (1 << 64) - 1
    ('0000000000000', 'fzzzzzzzzzzzz', True)
    """
    return "".join(_DIGITS[(seed >> shift) & 31] for shift in range(60, -1, -5))


def seed_from(text: str) -> int:
    """The seed of `text_of`.

    Raises:
        ValueError: another text.
    """
    if len(text) != 13 or any(c not in _DIGITS for c in text) or _DIGITS.index(text[0]) > 15:
        raise ValueError(f"{text!r} is not a seed")
    found = 0
    for letter in text:
        found = found << 5 | _DIGITS.index(letter)
    return found


class Draw:
    """A stream of choices from one seed.

    >>> draw = Draw(7)
    >>> [draw.between(1, 6) for _ in range(8)]
    [4, 1, 1, 4, 5, 4, 5, 1]
    """

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def _next(self) -> int:
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        return _stirred(self._state)

    def below(self, n: int) -> int:
        """One of 0 … n − 1, each equally likely."""
        limit = (1 << 64) - (1 << 64) % n
        while True:
            found = self._next()
            if found < limit:
                return found % n

    def between(self, first: int, last: int, step: int = 1) -> int:
        """One of first, first + step, … up to last."""
        return first + step * self.below((last - first) // step + 1)

    def pick(self, values: Sequence[T]) -> T:
        """One of the values."""
        return values[self.below(len(values))]

    def shuffled(self, values: Sequence[T]) -> list[T]:
        """The values in another order."""
        found = list(values)
        for i in range(len(found) - 1, 0, -1):
            j = self.below(i + 1)
            found[i], found[j] = found[j], found[i]
        return found

    def some(self, values: Sequence[T], count: int) -> list[T]:
        """Some of the values (all, if there are no more), in their own order."""
        chosen = sorted(self.shuffled(range(len(values)))[:count])
        return [values[i] for i in chosen]
