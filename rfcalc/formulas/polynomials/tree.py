"""A formula as a tree to be printed: in the symbols as declared, factored where that is shorter.

The whole numbers behind declared symbols (m of H = 32m + 3) are put back into what was declared. A tree is a `Num`,
`Name`, `Call` (floor, ceiling, largest, smallest), `Product` or `Sum`; `forms` writes it.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import lcm
from typing import Any, NamedTuple, TypeAlias

from rfcalc.formulas.polynomials.poly import Atom, Extreme, Floor, Number, Poly, Power, Symbol, atom, poly, whole

Tree: TypeAlias = "Num | Name | Call | Product | Sum"

RANKS = {"B": 0, "batch": 0, "α": 1, "alpha": 1, "ρ": 1, "rho": 1, "N": 2, "n": 2, "i": 2, "K": 3, "k": 3}
LATE = {"C": 5, "D": 6, "M": 5, "H": 8, "W": 9, "L": 8}


class Num(NamedTuple):
    """A number."""

    value: Number


class Name(NamedTuple):
    """A symbol."""

    name: str


class Call(NamedTuple):
    """``floor`` or ``ceil`` of (numerator, divisor), ``max`` or ``min`` of the parts, ``power`` of (base, exponent)."""

    name: str
    parts: tuple[Any, ...]


class Product(NamedTuple):
    """A rational number times factors with whole exponents."""

    number: Number
    factors: tuple[tuple[Any, int], ...]


class Sum(NamedTuple):
    """Terms, the largest first."""

    terms: tuple[Any, ...]


def tree(value: Any, factor: bool = True) -> Any:
    """The tree of a formula or number.

    >>> from rfcalc.formulas.polynomials.poly import Symbol
    >>> tree(Symbol("H", 32).value + 1)
    Sum(terms=(Name(name='H'), Num(value=1)))
    """
    value = shown(value)
    return _tree(value, factor) if isinstance(value, Poly) else Num(whole(value))


def shown(value: Any) -> Any:
    """The formula with t = (S − residue) / modulus for every declared symbol S."""
    if not isinstance(value, Poly):
        return value
    found: Any = 0
    for m, c in value.terms.items():
        term: Any = c
        for a, e in m:
            seen = _shown_atom(a)
            term = term * (seen**e if e > 0 or len(seen.terms) == 1 else _inverse(a, e))
        found = found + term
    return found


def _inverse(a: Atom, e: int) -> Any:
    return poly({((a, e),): 1})


def _shown_atom(a: Atom) -> Any:
    if isinstance(a, Symbol):
        plain = atom(Symbol(a.name, 1, 0, 0))
        return (plain - a.residue) * (Fraction(1) / a.modulus)
    if isinstance(a, Floor):
        top, below = (shown(v) for v in a.key)
        if isinstance(below, int) and isinstance(top, Poly):
            scale = lcm(*(Fraction(c).denominator for c in top.terms.values()))
            top, below = top * scale, below * scale
        return atom(Floor(top, below))
    if isinstance(a, Extreme):
        return atom(Extreme(a.which, frozenset(shown(m) for m in a.members)))
    if isinstance(a, Power):
        base, exponent = a.key
        return atom(Power(Symbol(base.name, 1, 0, 0) if isinstance(base, Symbol) else base, exponent))
    return atom(a)


@lru_cache(maxsize=4096)
def _rank(a: Atom) -> tuple[Any, ...]:
    if isinstance(a, Symbol):
        return (RANKS.get(a.name, LATE.get(a.name, 4)), a.name)
    if isinstance(a, Power):
        return (2.5, str(a.key[0]))
    return (10, str(a.key[0]))


def _order(m: Any) -> tuple[Any, ...]:
    """Terms of high degree first, then by their symbols."""
    degree = sum(e for _, e in m)
    return (-degree, [(_rank(a), -e) for a, e in sorted(m, key=lambda x: _rank(x[0]))])


def _tree(value: Poly, factor: bool) -> Any:
    if len(value.terms) == 1:
        ((m, c),) = value.terms.items()
        return _product(c, [(_atom(a), e) for a, e in _ranked(m)])
    if factor:
        peeled = value - value.constant
        if value.constant and isinstance(peeled, Poly) and any(e < 0 for m in value.terms for _, e in m):
            rest = _tree(peeled, True)
            if isinstance(rest, Product):
                return Sum((rest, Num(value.constant)))
        number, parts = factored(value)
        sums = [p for p, _ in parts if len(p.terms) > 1]
        split = len(sums) > 1 or any(e > 1 for p, e in parts if len(p.terms) > 1)
        if not split:
            parts = _apart(parts)
            sums = [p for p, _ in parts if len(p.terms) > 1]
        if split or len(parts) > 1 or (sums and Fraction(number).denominator > 1):
            return _written(number, parts, split)
        peeled = value - value.constant
        if value.constant and isinstance(peeled, Poly) and len(peeled.terms) > 1:
            number, parts = factored(peeled)
            sums = [p for p, _ in parts if len(p.terms) > 1]
            if len(sums) == 1 and all(e == 1 for p, e in parts if len(p.terms) > 1):
                parts = _apart(parts)
            if sums and (len(sums) > 1 or (len(parts) > 1 and len(peeled.terms) <= 4)):
                return Sum((_written(number, parts, True), Num(value.constant)))
    return _sum(value)


def _apart(parts: list[tuple[Poly, int]]) -> list[tuple[Poly, int]]:
    """Atoms are pulled out of the one sum only where they are gone from it: 27C² − 3C stays, B(27C² + 1) not."""
    (total,) = [p for p, _ in parts if len(p.terms) > 1]
    if all(abs(c) == 1 for c in total.terms.values()):
        return parts
    inside = {a for m in total.terms for a, _ in m}
    kept = []
    for p, e in parts:
        if len(p.terms) == 1:
            if next(iter(p.terms))[0][0] in inside:
                total = total * (p**e if e > 0 else poly({((next(iter(p.terms))[0][0], e),): 1}))
            else:
                kept.append((p, e))
    return [*kept, (total, 1)]


def _written(number: Number, parts: list[tuple[Poly, int]], split: bool) -> Any:
    """A factored formula; the number stays inside a single sum, where its coefficients mean something."""
    inside = Fraction(number).numerator
    ready: list[tuple[Any, int]] = []
    for p, e in sorted(parts, key=lambda x: (len(x[0].terms) > 1, _order(next(iter(x[0].terms))))):
        if len(p.terms) == 1:
            ready.append((_atom(next(iter(p.terms))[0][0]), e))
        elif split or e > 1 or _plain_sum(p):
            ready.append((_sum(p), e))
        else:
            ready.append((_sum(p * inside), e))
            number = Fraction(number) / inside
    return _product(whole(number), ready)


def _plain_sum(value: Poly) -> bool:
    """Whether a number before the sum leaves it simpler: H − 7, 2ⁿ − 1."""
    moving = [c for m, c in value.terms.items() if m]
    return all(c in (1, -1) for c in moving) and (len(moving) == 1 or value.constant in (-1, 0, 1))


def _sum(value: Poly) -> Sum:
    terms = sorted(value.terms.items(), key=lambda x: _order(x[0]))
    first = next((i for i, (m, c) in enumerate(terms) if c > 0), 0)
    if terms[0][1] < 0:  # begin with what is added
        terms.insert(0, terms.pop(first))
    return Sum(tuple(_product(c, [(_atom(a), e) for a, e in _ranked(m)]) if m else Num(c) for m, c in terms))


def _ranked(m: Any) -> Any:
    return sorted(m, key=lambda x: _rank(x[0]))


def _product(number: Number, factors: list[tuple[Any, int]]) -> Any:
    if not factors:
        return Num(number)
    if number == 1 and len(factors) == 1 and factors[0][1] == 1:
        return factors[0][0]
    return Product(number, tuple(factors))


def _atom(a: Atom) -> Any:
    if isinstance(a, Symbol):
        return Name(a.name)
    if isinstance(a, Floor):
        top, below = a.key
        if isinstance(top, Poly) and isinstance(below, int) and top.constant and top.constant + 1 >= below:
            rest = top - (below - 1)
            if isinstance(rest, Poly):  # ⌊(x + d − 1)/d⌋ = ⌈x/d⌉
                return Call("ceil", (_tree(rest, True), Num(below)))
        trees = tuple(_tree(v, True) if isinstance(v, Poly) else Num(v) for v in (top, below))
        return Call("floor", trees)
    if isinstance(a, Extreme):
        parts = [_tree(m, True) if isinstance(m, Poly) else Num(m) for m in a.members]
        return Call(a.which, tuple(sorted(parts, key=str)))
    base, exponent = a.key
    named = Name(base.name) if isinstance(base, Symbol) else Num(base)
    return Call("power", (named, tree(poly({((exponent, 1),): 1}))))


def factored(value: Poly) -> tuple[Number, list[tuple[Poly, int]]]:
    """A number and factors with exponents: single atoms, sums in one atom each where the formula is such a product.

    >>> from rfcalc.formulas.polynomials.poly import Symbol
    >>> H, W = Symbol("H").value, Symbol("W").value
    >>> factored((H - 1) * (2 * W - 4) * H)
    (2, [(H, 1), (H - 1, 1), (W - 2, 1)])
    """
    number, rest = _content(value)
    parts: list[tuple[Poly, int]] = []
    shared: dict[Atom, int] = dict(next(iter(rest.terms)))
    for m in rest.terms:
        exponents = dict(m)
        shared = {a: min(e, exponents.get(a, 0)) for a, e in shared.items()}
    shared = {a: e for a, e in shared.items() if e}
    if shared:
        parts = [(atom(a), e) for a, e in shared.items()]
        rest = rest * poly({tuple((a, -e) for a, e in shared.items()): 1}) if len(shared) else rest
    progress = isinstance(rest, Poly) and len(rest.terms) > 3
    while progress:
        progress = False
        for a in dict.fromkeys(a for m in rest.terms for a, _ in m):
            split = _separated(rest, a)
            if split is not None:
                one, rest = split
                parts.append((one, 1))
                progress = isinstance(rest, Poly) and len(rest.terms) > 3
                break
    if isinstance(rest, Poly):
        parts.append((rest, 1))
    elif rest != 1:
        number = whole(number * rest)
    split_parts: list[tuple[Poly, int]] = []
    for p, e in parts:
        lead, roots = _quadratic(p) if len(p.terms) in (2, 3) else (1, [(p, 1)])
        number = whole(number * Fraction(lead) ** e)
        split_parts += [(q, f * e) for q, f in roots]
    return number, split_parts


def _content(value: Poly) -> tuple[Number, Poly]:
    """A number and the primitive formula, its first term positive."""
    from math import gcd

    coefficients = [Fraction(c) for c in value.terms.values()]
    common = Fraction(gcd(*(c.numerator for c in coefficients)), lcm(*(c.denominator for c in coefficients)))
    if value.terms[min(value.terms, key=_order)] < 0:
        common = -common
    return whole(common), value * (1 / common)


def _separated(value: Poly, a: Atom) -> tuple[Poly, Any] | None:
    """value as a formula in the atom alone times one without it, if it is such a product."""
    groups: dict[Any, dict[int, Number]] = {}
    for m, c in value.terms.items():
        exponent = dict(m).get(a, 0)
        groups.setdefault(tuple(x for x in m if x[0] is not a), {})[exponent] = c
    first = next(iter(groups.values()))
    if len(groups) < 2 or len(first) < 2:
        return None
    rest: dict[Any, Number] = {}
    lead = first[max(first)]
    for m, column in groups.items():
        ratio = Fraction(column.get(max(first), 0)) / lead
        if column.keys() != first.keys() or any(column[e] != ratio * first[e] for e in first):
            return None
        rest[m] = ratio
    one = poly({(((a, e),) if e else ()): c for e, c in first.items()})
    number, one = _content(one)
    return one, poly(rest) * number


def _quadratic(value: Poly) -> tuple[Number, list[tuple[Poly, int]]]:
    """A quadratic in one atom as a number and its linear factors, where its roots are rational."""
    from math import isqrt

    atoms = {a for m in value.terms for a, _ in m}
    if len(atoms) != 1:
        return 1, [(value, 1)]
    (a,) = atoms
    if isinstance(a, Power):
        return 1, [(value, 1)]
    by = {sum(e for _, e in m): Fraction(c) for m, c in value.terms.items()}
    if max(by) != 2 or min(by) < 0:
        return 1, [(value, 1)]
    p, q, r = by[2], by.get(1, Fraction(0)), by.get(0, Fraction(0))
    inside = q * q - 4 * p * r
    if inside < 0:
        return 1, [(value, 1)]
    top, below = isqrt(inside.numerator), isqrt(inside.denominator)
    if top * top != inside.numerator or below * below != inside.denominator:
        return 1, [(value, 1)]
    root = Fraction(top, below)
    linear = []
    number: Number = p
    for x in ((-q + root) / (2 * p), (-q - root) / (2 * p)):
        c, one = _content(atom(a) - x) if x else (1, atom(a))
        number = number * c
        linear.append(one)
    return whole(number), [(linear[0], 2)] if linear[0] == linear[1] else [(f, 1) for f in linear]
