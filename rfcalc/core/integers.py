"""Whole-number expressions as text: ``64``, ``2**i``, ``(i + 1)*32``; read, never evaluated as code.

The signs are those of `index`: ``+ - * // % **`` with Python's precedence, parentheses, numbers, names. Imports
`errors`, `index`, `size`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from rfcalc.core.errors import NotationError
from rfcalc.core.index import Expression, Var
from rfcalc.core.size import Size

LARGEST = 10**15  # of a number that is written or computed here
LONGEST = 300
DEEPEST = 20
_TOKEN = re.compile(r"\s*(?:([0-9]+)|([^\W\d]\w*)|(\*\*|//|[-+*%()]))")
_TIGHT = {"+": 1, "-": 1, "*": 2, "//": 2, "%": 2, "**": 4}
_UNARY = 3


def read(text: str) -> Size:
    """A number, or an expression in the names that stand in it.

    Raises:
        NotationError: what is not a whole-number expression, or is too large.

    >>> print(read("2**3 + 1"), read("2**i*3 + 1"), read("-(4 - 6)"))
    9 2**i*3 + 1 2
    """
    if text.isascii() and text.isdecimal() and len(text) <= 15:
        return int(text)
    if len(text) > LONGEST:
        raise NotationError("the expression is too long", why=f"the limit is {LONGEST} characters")
    reader = _Reader(text)
    value = reader.sum(0, 0)
    if reader.token is not None:
        raise reader.wrong()
    return value


class _Reader:
    """Precedence climbing over the tokens of one expression."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.token = text, 0, None
        self.next()

    token: str | None

    def next(self) -> str | None:
        taken = self.token
        match = _TOKEN.match(self.text, self.at)
        if match is None:
            if self.text[self.at :].strip():
                raise self.wrong(self.text[self.at :].strip()[0])
            self.token = None
            self.at = len(self.text)
        else:
            self.token, self.at = match[match.lastindex or 0], match.end()
        return taken

    def wrong(self, token: str | None = None) -> NotationError:
        found = token or self.token
        told = f"{found!r} was not expected in it" if found else "it ends too early"
        return NotationError(
            f"{self.text!r} is not a whole-number expression", why=told, fix="write it like 64, 2**i or (i + 1)*32"
        )

    def sum(self, least: int, depth: int) -> Size:
        """Everything that binds at least as tightly as `least`."""
        if depth > DEEPEST:
            raise NotationError("the expression is nested too deeply", why=f"the limit is {DEEPEST} levels")
        left = self.atom(depth)
        while self.token in _TIGHT and _TIGHT[self.token] >= least:
            sign = self.next() or ""
            tight = _TIGHT[sign]
            left = combine(sign, left, self.sum(tight if sign == "**" else tight + 1, depth + 1))
        return left

    def atom(self, depth: int) -> Size:
        token = self.next()
        if token is None or (token in _TIGHT and token != "-") or token == ")":
            raise self.wrong(token)
        if token == "-":
            return combine("-", 0, self.sum(_UNARY, depth + 1))
        if token == "(":
            value = self.sum(0, depth + 1)
            if self.next() != ")":
                raise self.wrong()
            return value
        if token[0].isdecimal():
            if len(token) > 15:
                raise NotationError(f"the number {token[:12]}… is too large", why=f"the limit is {LARGEST:,}")
            return int(token)
        if not token.isidentifier():  # a superscript is no digit, and no letter
            raise self.wrong(token)
        return Var(token)


def combine(sign: str, a: Size, b: Size) -> Size:
    """One operation, refused where numbers grow out of hand or do not stay whole."""
    if not isinstance(a, Expression) and not isinstance(b, Expression):
        if sign in ("//", "%") and b == 0:
            raise NotationError("division by zero")
        if sign == "**" and (b < 0 or (b > 50 and abs(a) > 1) or abs(a) > 10**6):
            raise NotationError(f"{a}**{b} is too large, or not whole", why=f"the limit is {LARGEST:,}")
    found: Size
    if sign == "+":
        found = a + b
    elif sign == "-":
        found = a - b
    elif sign == "*":
        found = a * b
    elif sign == "//":
        found = a // b
    elif sign == "%":
        found = a % b
    else:
        found = a**b
    if not isinstance(found, Expression) and abs(found) > LARGEST:
        raise NotationError(f"{a}{sign}{b} is too large", why=f"the limit is {LARGEST:,}")
    return found


def bound(value: Size, most: Mapping[str, int]) -> int:
    """No absolute value that `value` (or a part of it) takes is larger, for indices up to `most`.

    Raises:
        NotationError: it may exceed the limit.

    >>> bound(read("2**i + 1"), {"i": 4})
    17
    """
    if not isinstance(value, Expression):
        return abs(int(value))
    if isinstance(value, Var):
        return most.get(value.name, 0)
    a, b = bound(value.left, most), bound(value.right, most)
    found = a
    if value.sign in "+-":
        found = a + b
    elif value.sign == "*":
        found = a * b
    elif value.sign == "%":
        found = b
    elif value.sign == "**":
        found = LARGEST + 1 if a > 1 and b > 50 else a**b if a <= 10**6 or b <= 1 else LARGEST + 1
    if found > LARGEST:
        raise NotationError(f"{value} grows too large", why=f"the limit is {LARGEST:,}", fix="repeat it less often")
    return max(found, 1)
