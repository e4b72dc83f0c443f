"""Whole-number formulas in n for what depends on n and on its rest: ``n - 184``, ``(n + 31) // 32``, ``n % 2``.

A formula is found from samples, one or more for each rest, and is given only if it is right for all of them. It is
plain Python, so that it can be evaluated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import gcd
from typing import Any, NamedTuple

MOST_PERIOD = 64  # of a rest that is looked for where values are listed
MOST_RANGES = 6  # of sizes with a formula each


class Affine(NamedTuple):
    """The values rate·(n − rest)/modulus + start, for n ≡ rest modulo `modulus`."""

    modulus: int
    rest: int
    rate: int
    start: int

    def at(self, n: int) -> int:
        return (n - self.rest) // self.modulus * self.rate + self.start


def written(lines: Sequence[Affine]) -> str:
    """One formula for lines of different rests and the same modulus.

    >>> written([Affine(16, 12, 16, -172)])
    'n - 184'
    >>> written([Affine(2, 0, 1, 0), Affine(2, 1, 1, 1)])
    '(n + 1) // 2'
    >>> written([Affine(2, 0, 2, 0), Affine(2, 1, 2, 0)])
    'n // 2 * 2'
    >>> written([Affine(4, 0, 0, 3), Affine(4, 1, 0, 0), Affine(4, 2, 0, 1), Affine(4, 3, 0, 2)])
    '(n + 3) % 4'
    >>> written([Affine(6, rest, 0, (5, 0, 7)[rest % 3]) for rest in range(6)])
    '(5, 0, 7)[n % 3]'
    """
    modulus = lines[0].modulus
    rates = {line.rate for line in lines}
    if len(rates) == 1:
        rate = rates.pop()
        if rate == 0:
            return _periodic(modulus, {line.rest: line.start for line in lines})
        for step in sorted((d for d in range(1, abs(rate) + 1) if rate % d == 0), key=lambda d: (d != 1, d)):
            found = _floors(lines, modulus, rate, step)
            if found is not None:
                return found
        ups = {line.rest: line.start - line.rest * rate // modulus for line in lines}
        if rate % modulus == 0:
            slope = rate // modulus
            return f"{_scaled(slope)} + {_periodic(modulus, ups)}"
    table = [_linear(line.rate, line.start * modulus - line.rate * line.rest, modulus) for line in lines]
    if len(set(table)) == 1:
        return table[0]
    return _looked_up({line.rest: text for text, line in zip(table, lines, strict=True)}, f"n % {modulus}")


def _floors(lines: Sequence[Affine], modulus: int, rate: int, step: int) -> str | None:
    """``(a·n + c) // m · step + e`` with the c nearest to 0 that fits every line."""
    extra = lines[0].start % step
    low, high = None, None
    for line in lines:
        if line.start % step != extra:
            return None
        floor = (line.start - extra) // step * modulus - rate // step * line.rest
        low = floor if low is None else max(low, floor)
        high = floor + modulus - 1 if high is None else min(high, floor + modulus - 1)
    if low is None or high is None or low > high:
        return None
    exact = len(lines) == 1
    inner, common = rate // step, gcd(rate // step, modulus)
    choice = low if exact else 0 if low <= 0 <= high else low if low > 0 else high
    if not exact:  # of the c that give the same floors the one that is a multiple, or the smallest
        choice = min((c for c in range(low, high + 1) if c % common == 0), key=lambda c: (abs(c), -c), default=choice)
    inner, choice, below = inner // common, choice // common, modulus // common
    text = _linear(inner, choice, below)
    if step == 1:
        return _plus(text, extra)
    return _plus(f"{text if below > 1 or choice == 0 else f'({text})'} * {step}", extra)


def _linear(rate: int, add: int, below: int) -> str:
    """``(rate·n + add) // below``, as simply as it can be written."""
    common = gcd(gcd(rate, below), add) or 1
    rate, add, below = rate // common, add // common, below // common
    if below == 1:
        return _plus(_scaled(rate), add) if rate else str(add)
    top = _plus(_scaled(rate), add)
    return f"{top if add == 0 and rate == 1 else f'({top})'} // {below}"


def _scaled(rate: int) -> str:
    return "n" if rate == 1 else f"{rate} * n"


def _plus(text: str, add: int) -> str:
    return text if add == 0 else f"{text} + {add}" if add > 0 else f"{text} - {-add}"


def _periodic(modulus: int, values: Mapping[int, int]) -> str:
    """A value that depends on n modulo `modulus` only.

    >>> _periodic(8, {r: (0, 0, 1, 2, 3, 4, 5, 0)[r] for r in range(8)})
    'max((n + 1) % 8 - 2, 0)'
    """
    listed = sorted(values.items())
    least, most = min(values.values()), max(values.values())
    if least == most:
        return str(least)
    divisors = [d for d in range(2, modulus + 1) if modulus % d == 0]
    for m in divisors:
        c = (listed[0][1] - least - listed[0][0]) % m
        for base in (least, least - 1):
            if base >= 0 and all((rest + c) % m + base == value for rest, value in listed):
                return _plus(_rest(c, m), base)
        c = (listed[0][1] - least + listed[0][0]) % m
        if all((c - rest) % m + least == value for rest, value in listed):
            return _plus(f"({c} - n) % {m}" if c else f"-n % {m}", least)
    for m in divisors:
        shorter = {rest % m: value for rest, value in listed}
        if all(shorter[rest % m] == value for rest, value in listed):
            break
    return _clamped(m, shorter) or _looked_up(shorter, f"n % {m}")


def _rest(add: int, modulus: int) -> str:
    return f"({_plus('n', add)}) % {modulus}" if add else f"n % {modulus}"


def _clamped(modulus: int, values: Mapping[int, int]) -> str | None:
    """A rest that counts from some place on, or up to one: a stride that skips, behind one that does not."""
    least, most = min(values.values()), max(values.values())
    for c in range(modulus):
        turned = [((rest + c) % modulus, value) for rest, value in values.items()]
        up = next(x - value for x, value in turned if value == most)
        if all(max(x - up, least) == value for x, value in turned):
            return f"max({_plus(_rest(c, modulus), -up)}, {least})"
        up = next(x - value for x, value in turned if value == least)
        if all(min(x - up, most) == value for x, value in turned):
            return f"min({_plus(_rest(c, modulus), -up)}, {most})"
    return None


def _looked_up(values: Mapping[int, Any], at: str) -> str:
    """A table: a row where it begins at 0 and has no holes."""
    listed = sorted(values.items())
    if [n for n, _ in listed] == list(range(len(listed))) and len(listed) > 1:
        return f"({', '.join(str(value) for _, value in listed)})[{at}]"
    return f"{{{', '.join(f'{n}: {value}' for n, value in listed)}}}[{at}]"


def smallest(modulus: int, rests: Iterable[int]) -> tuple[int, tuple[int, ...]]:
    """The smallest modulus that describes the same numbers, and their rests.

    >>> smallest(12, [1, 4, 7, 10])
    (3, (1,))
    """
    found = set(rests)
    prime = 2
    left = modulus
    while left > 1:
        while left % prime == 0:
            left //= prime
            less = modulus // prime
            if all((r + less) % modulus in found for r in found):
                modulus, found = less, {r % less for r in found}
        prime += 1
    return modulus, tuple(sorted(found))


class Congruence(NamedTuple):
    """The numbers of `below`, and every n ≥ `start` with n mod `modulus` in `rests`."""

    start: int | None
    modulus: int
    rests: tuple[int, ...]
    below: tuple[int, ...]

    def __contains__(self, n: object) -> bool:
        if not isinstance(n, int):
            return False
        return n in self.below or (self.start is not None and n >= self.start and n % self.modulus in self.rests)

    def up(self, n: int) -> int | None:
        """The smallest one from n on."""
        least = [b for b in self.below if b >= n][:1]
        if self.start is None or not self.rests:
            return least[0] if least else None
        at = max(n, self.start)
        first = min(at + (rest - at) % self.modulus for rest in self.rests)
        return min([first, *least])

    def down(self, n: int) -> int | None:
        """The largest one up to n."""
        if self.start is not None and self.rests and n >= self.start:
            last = max(n - (n - rest) % self.modulus for rest in self.rests)
            if last >= self.start:
                return last
        fitting = [b for b in self.below if b <= n]
        return fitting[-1] if fitting else None


def with_exceptions(lines: Sequence[Affine], small: Mapping[int, Any]) -> str:
    """The formula of large sizes, and what is otherwise for small ones.

    >>> with_exceptions([Affine(1, 0, 1, 0)], {1: 8, 2: 8, 3: 3}), with_exceptions([Affine(1, 0, 1, 0)], {1: 1, 2: 8})
    ('n if n > 2 else 8', 'n if n != 2 else 8')
    """
    formula = written(lines)
    compiled = compile(formula, "formula", "eval")

    def differs(n: int, value: int) -> bool:
        try:
            return bool(eval(compiled, {}, {"n": n}) != value)
        except (KeyError, IndexError):  # a table of the rests that large sizes have
            return True

    others = {n: v for n, v in sorted(small.items()) if differs(n, v)}
    if not others:
        return formula
    last = max(others)
    below = f"{formula} if n > {last} else {of_each({n: v for n, v in small.items() if n <= last})}"
    told = f"!= {last}" if len(others) == 1 else f"not in {{{', '.join(map(str, others))}}}"
    return min(below, f"{formula} if n {told} else {of_each(others)}", key=len)


def of_each(values: Mapping[int, int]) -> str:
    """The value of each n that there is: one formula, or some for ranges of n, where that is shorter than a table.

    >>> of_each({224: 0, 225: 1, 226: 2}), of_each({5: 1, 6: 1, 8: 4})
    ('n - 224', '1 if n < 8 else 4')
    >>> of_each({n: max((n + 3) % 8 - 3, 0) for n in range(213, 245)})
    'max((n + 3) % 8 - 3, 0)'
    >>> of_each({n: n % 210 - 14 for n in (14, 15, 16, 224, 225, 226)})
    'n - 14 if n < 224 else n - 224'
    """
    listed = sorted(values.items())
    texts = [_looked_up(dict(listed), "n")]
    parts: list[tuple[int, str]] = []
    while listed and len(parts) < MOST_RANGES:
        low, high = 1, len(listed)  # the longest beginning that one formula fits
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if _one(listed[:middle]) else (low, middle - 1)
        text = _one(listed[:low]) or str(listed[0][1])
        listed = listed[low:]
        parts.append((listed[0][0] if listed else 0, text))
    if not listed:
        *ranges, (_, final) = parts
        texts.append("".join(f"{text} if n < {end} else " for end, text in ranges) + final)
    return min(texts, key=len)


def _one(listed: Sequence[tuple[int, int]]) -> str | None:
    """One formula for all of some sizes and their values: a number, a line, a division, a rest; else None."""
    (first, value), *more = listed
    if all(v == value for _, v in more):
        return str(value)
    if all(v - n == value - first for n, v in more):
        return _plus("n", value - first)
    (second, other), count = more[0], len(listed)
    rate, off = divmod(other - value, second - first)
    if count > 2 and not off and all(v - value == rate * (n - first) for n, v in more):
        return _plus(_scaled(rate), value - rate * first)
    if count > 3 and (found := _floor(listed)) is not None:
        return found
    for modulus in range(2, min(MOST_PERIOD, count // 2) + 1):
        rests: dict[int, int] = {}
        if all(rests.setdefault(n % modulus, v) == v for n, v in listed):
            return _periodic(modulus, rests)
    return None


def _floor(listed: Sequence[tuple[int, int]]) -> str | None:
    """``(n + c) // m * step + extra``, if that is what sizes that are listed have."""
    (first, value), *more = listed
    step = gcd(*(v - value for _, v in more))
    extra = value % step
    for modulus in range(2, min(MOST_PERIOD, listed[-1][0] - first) + 1):
        least = max((v - extra) // step * modulus - n for n, v in listed)
        most = min(((v - extra) // step + 1) * modulus - 1 - n for n, v in listed)
        if least <= most:
            add = 0 if least <= 0 <= most else least if least > 0 else most
            return _plus(_linear(1, add, modulus) + (f" * {step}" if step > 1 else ""), extra)
    return None
