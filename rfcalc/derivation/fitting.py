"""Sizes inside of code, as whole-number expressions in the sizes of its input.

Code that is read at one size has that size in its views, its resizing, its branches. So it is read at several sizes;
what changes is fitted, and further readings must confirm the fit. A number that follows the sizes is a polynomial in
them that is linear in each, divided by a whole number; sizes then lie in the residue class in which that is whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction
from itertools import combinations, zip_longest
from math import lcm, prod
from typing import Any, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.core.expr import Expr, Named
from rfcalc.core.index import Expression, Var
from rfcalc.core.layer import Layer
from rfcalc.graph.network import Network

STEPS = (32, 64, 24)  # by how much sizes are changed from one reading to the next, until their readings can be fitted
ODD = (5, 7, 3)  # beside a multiple of the class, for a reading that no step is a factor of

Sizes = dict[str, int]


class SizeFit(NamedTuple):
    """What was read: an expression with the names of sizes in it, the modulus that each name's size keeps from the one
    that was read first, and at which sizes it was read."""

    expr: Expr
    modulus: int
    read: tuple[Sizes, ...]


class NotFollowed(Exception):
    """What does not follow the sizes; `where` is the layer."""

    def __init__(self, why: str, where: str = "") -> None:
        super().__init__(why)
        self.why, self.where = why, where


def fit(read: Callable[[Sizes], Expr], base: Sizes, first: Expr) -> SizeFit:
    """The expression that `read` gives, in the names of the sizes.

    Args:
        read: reads the network at some sizes, by name.
        base: the sizes of the first reading.
        first: what it gave.

    Raises:
        RfcalcError: no step leads to readings that a formula fits; the message names the layer.
    """
    trouble: Exception | None = None
    for step in (*STEPS, *sorted(set(base.values()))):
        try:
            return _fit(read, base, first, step)
        except NotFollowed as error:
            trouble = error
        except RfcalcError as error:
            trouble = trouble or error
    where = getattr(trouble, "where", None)
    raise RfcalcError(
        "what the code makes does not follow the size of its input by a formula",
        where=where if isinstance(where, str) and where else None,
        why=str(getattr(trouble, "why", None) or trouble),
        fix="give the input in numbers: --input 3x224x224",
    )


def _fit(read: Callable[[Sizes], Expr], base: Sizes, first: Expr, step: int) -> SizeFit:
    names = list(base)
    corners = [frozenset(c) for k in range(len(names) + 1) for c in combinations(names, k)]
    known: dict[tuple[int, ...], Expr] = {tuple(base.values()): first}

    def at(sizes: Sizes) -> Expr:
        key = tuple(sizes.values())
        if key not in known:
            known[key] = read(sizes)
        return known[key]

    def moved(corner: frozenset[str]) -> Sizes:
        return {n: b + step * (n in corner) for n, b in base.items()}

    if at(moved(frozenset(names))) == first:
        found, modulus = first, 1
    else:
        reader = _Reader(base, step, corners)
        readings = [at(moved(c)) for c in corners]
        try:
            found = reader.combined(readings, "")
        except NotFollowed as error:
            raise NotFollowed(error.why, error.where or _first_unlike(readings)) from None
        modulus = reader.modulus(step)
    further = {n: b + step * (3 + i) for i, (n, b) in enumerate(base.items())}
    _confirm(found, further, at(further))
    odd = {n: b + modulus * ODD[i % len(ODD)] for i, (n, b) in enumerate(base.items())}
    if modulus < step:
        try:
            _confirm(found, odd, at(odd))
        except (NotFollowed, RfcalcError):
            modulus = step  # seen only at sizes that are such steps apart
    return SizeFit(found, modulus, tuple(dict(zip(names, key, strict=True)) for key in known))


def _confirm(found: Expr, sizes: Sizes, read: Expr) -> None:
    if found.bind(sizes) != read:
        told = ", ".join(f"{n} = {s}" for n, s in sizes.items())
        why = f"at {told} the code makes another network than its readings at other sizes lead to"
        raise NotFollowed(why, _first_unlike([found.bind(sizes), read]))


def _first_unlike(readings: list[Expr]) -> str:
    """The first node that is not the same in all readings."""
    listed = [[(n.name, n.layer) for n in Network(r).nodes] for r in readings]
    for together in zip_longest(*listed):
        if any(one != together[0] for one in together):
            return next(f"{one[0]} ({one[1].notation()})" for one in together if one is not None)
    return ""


class _Reader:
    """Puts readings at the corners of a box of sizes together."""

    def __init__(self, base: Mapping[str, int], step: int, corners: list[frozenset[str]]) -> None:
        self.base, self.step, self.corners = base, step, corners
        self.below: dict[int, int] = {1: 1}  # denominators, and how many sizes are multiplied in them

    def combined(self, values: list[Any], where: str) -> Any:
        """One value with names in it for the values of all corners.

        Raises:
            Unfit: they differ in more than whole numbers.
        """
        first = values[0]
        if all(v == first for v in values):
            return first
        kind = type(first)
        if any(type(v) is not kind for v in values):
            raise NotFollowed("other sizes make other layers", where)
        if kind is int:
            return self.number(values)
        if isinstance(first, tuple) and all(len(v) == len(first) for v in values):
            return tuple(self.combined(list(column), where) for column in zip(*values, strict=True))
        if isinstance(first, (Layer, Expr)) and is_dataclass(first):
            at = first.label if isinstance(first, Named) else where
            parts = {f.name: self.combined([getattr(v, f.name) for v in values], at) for f in fields(first) if f.init}
            return kind(**parts)
        raise NotFollowed("other sizes make other layers", where)

    def number(self, values: list[int]) -> Expression:
        """A whole number that is linear in each size: Σ over corners, by inclusion and exclusion."""
        by = dict(zip(self.corners, values, strict=True))
        monomials: dict[frozenset[str], Fraction] = {}
        for corner in self.corners:
            change: int = sum((-1) ** (len(corner) - len(c)) * v for c, v in by.items() if c <= corner)
            slope = Fraction(change, self.step ** len(corner))
            for k in range(len(corner) + 1):  # (H − h)(W − w), multiplied out
                for kept in map(frozenset, combinations(sorted(corner), k)):
                    rest = prod(-self.base[n] for n in corner - kept)
                    monomials[kept] = monomials.get(kept, Fraction(0)) + slope * rest
            if slope and corner:
                self.below[slope.denominator] = max(self.below.get(slope.denominator, 1), len(corner))
        below = lcm(*(c.denominator for c in monomials.values()))
        total: Any = int(monomials.get(frozenset(), Fraction(0)) * below)
        for names, c in sorted(monomials.items(), key=lambda m: (-len(m[0]), sorted(m[0]))):
            if names and c:
                total = prod((Var(n) for n in sorted(names)), start=int(c * below)) + total
        return total // below  # type: ignore[no-any-return]

    def modulus(self, step: int) -> int:
        """The least difference between sizes for which every number is whole: q with q^k a multiple of each one."""
        return lcm(*(next(q for q in range(1, d + 1) if d % q == 0 and q**k % d == 0) for d, k in self.below.items()))
