"""A formula as a tree to be printed, factored where that is shorter.

A tree is a `Num`, `Name`, `TreeFunction` (floor, ceiling, largest, smallest, power), `Product` or `Sum`; `writing`
writes it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import sympy

from rfcalc.formulas.forms import terms_of

Tree: TypeAlias = "Num | SymbolName | TreeFunction | Product | Sum"
Monomial: TypeAlias = "tuple[tuple[Any, int], ...]"

RANKS = {"B": 0, "batch": 0, "α": 1, "alpha": 1, "ρ": 1, "rho": 1, "N": 2, "n": 2, "i": 2, "K": 3, "k": 3}
LATE = {"C": 5, "D": 6, "M": 5, "H": 8, "W": 9, "L": 8}
MOST_TERMS = 16  # of a sum that is tried to be written as a product


class Num(NamedTuple):
    """A number."""

    value: Any


class SymbolName(NamedTuple):
    """A symbol."""

    name: str


class TreeFunction(NamedTuple):
    """``floor`` or ``ceil`` of (numerator, divisor), ``max`` or ``min`` of the parts, ``power`` of (base, exponent)."""

    name: str
    parts: tuple[Any, ...]


class Product(NamedTuple):
    """A rational number times factors with whole exponents."""

    number: Any
    factors: tuple[tuple[Any, int], ...]


class Sum(NamedTuple):
    """Terms, the largest first."""

    terms: tuple[Any, ...]


def tree(value: Any, over: bool = False) -> Any:
    """The tree of a formula or number.

    Args:
        value: the formula.
        over: whether all of a sum stands over one divisor, so that a division that rounds down is exact.

    >>> tree(sympy.Symbol("H") + 1)
    Sum(terms=(SymbolName(name='H'), Num(value=1)))
    """
    value = sympy.sympify(value)
    if value.is_Number:
        return Num(value)
    terms = {_monomial(t): c for t, c in terms_of(sympy.expand(value, power_base=False)).items()}
    if over and len(terms) > 1 and any(e < 0 for m in terms for _, e in m):
        return _written(*factored(terms), True)
    return _tree(terms)


def _monomial(term: Any) -> Monomial:
    """A product as atoms with whole exponents; 2^(3N) is (2^N)³."""
    found: dict[Any, int] = {}
    for factor in sympy.Mul.make_args(term):
        if factor is sympy.S.One:
            continue
        base, exponent = factor.as_base_exp()
        if not exponent.is_Integer:
            times, rest = exponent.as_coeff_Mul()
            times, rest = (times, rest) if times.is_Integer else (sympy.S.One, exponent)
            base, exponent = sympy.Pow(base, rest, evaluate=False), times
        found[base] = found.get(base, 0) + int(exponent)
    return tuple(sorted(((a, e) for a, e in found.items() if e), key=lambda pair: _rank(pair[0])))


@lru_cache(maxsize=4096)
def _rank(atom: Any) -> tuple[Any, ...]:
    if atom.is_Symbol:
        return (RANKS.get(atom.name, LATE.get(atom.name, 4)), atom.name)
    if atom.is_Pow:
        return (2.5, str(atom.base), str(atom.exp))
    if isinstance(atom, sympy.floor):
        top, below = sympy.fraction(sympy.together(atom.args[0]))
        names = sorted(_rank(s) for s in atom.free_symbols)
        return (10, int(below) if below.is_Integer else 0, names, str(top), str(below))
    return (11, str(atom))


def _order(m: Monomial) -> tuple[Any, ...]:
    """Terms of high degree first, then by their symbols."""
    return (-sum(e for _, e in m), [(_rank(a), -e) for a, e in m])


Terms: TypeAlias = "dict[Monomial, Any]"


def _times(a: Monomial, b: Monomial, sign: int = 1) -> Monomial:
    found = dict(a)
    for x, e in b:
        found[x] = found.get(x, 0) + sign * e
    return tuple(sorted(((x, e) for x, e in found.items() if e), key=lambda pair: _rank(pair[0])))


def _tree(terms: Terms) -> Any:
    if len(terms) == 1:
        ((m, c),) = terms.items()
        return _product(c, [(_atom(a), e) for a, e in m])
    constant = terms.get(())
    moving = {m: c for m, c in terms.items() if m}
    if constant and any(e < 0 for m in terms for _, e in m):
        rest = _tree(moving)
        if isinstance(rest, Product):
            return Sum((rest, Num(constant)))
    number, parts = factored(terms)
    split = _is_split(parts)
    if not split:
        parts = _kept_inside(parts)
    if split or len(parts) > 1 or (any(len(p) > 1 for p, _ in parts) and sympy.Rational(number).q > 1):
        return _written(number, parts, split)
    if constant and len(moving) > 1:
        number, parts = factored(moving)
        sums = [e for p, e in parts if len(p) > 1]
        if sums == [1]:
            parts = _kept_inside(parts)
            sums = [e for p, e in parts if len(p) > 1]
        if sums and (len(sums) > 1 or (len(parts) > 1 and len(moving) <= 4)):
            return Sum((_written(number, parts, True), Num(constant)))
    return _sum(terms)


def _is_split(parts: list[tuple[Terms, int]]) -> bool:
    sums = [e for p, e in parts if len(p) > 1]
    return len(sums) > 1 or any(e > 1 for e in sums)


def _kept_inside(parts: list[tuple[Terms, int]]) -> list[tuple[Terms, int]]:
    """Atoms are pulled out of the one sum only where they are gone from it: 27C² − 3C stays, B(27C² + 1) not."""
    total = next(p for p, _ in parts if len(p) > 1)
    if all(abs(c) == 1 for c in total.values()):
        return parts
    inside = {a for m in total for a, _ in m}
    kept: list[tuple[Terms, int]] = []
    for p, e in parts:
        if len(p) > 1:
            continue
        (m,) = p
        if m[0][0] in inside:
            total = {_times(n, ((m[0][0], e),)): c for n, c in total.items()}
        else:
            kept.append((p, e))
    return [*kept, (total, 1)]


def _written(number: Any, parts: list[tuple[Terms, int]], split: bool) -> Any:
    """A factored formula; the number stays inside a single sum, where its coefficients mean something."""
    inside = sympy.Rational(number).p
    ready: list[tuple[Any, int]] = []
    for p, e in sorted(parts, key=lambda x: (len(x[0]) > 1, _order(min(x[0], key=_order)))):
        if len(p) == 1:
            ready.append((_atom(next(iter(p))[0][0]), e))
        elif split or e > 1 or _plain_sum(p):
            ready.append((_sum(p), e))
        else:
            ready.append((_sum({m: c * inside for m, c in p.items()}), e))
            number = sympy.Rational(number) / inside
    return _product(number, ready)


def _plain_sum(terms: Terms) -> bool:
    """Whether a number before the sum leaves it simpler: H − 7, 2ⁿ − 1."""
    moving = [c for m, c in terms.items() if m]
    return all(c in (1, -1) for c in moving) and (len(moving) == 1 or terms.get((), 0) in (-1, 0, 1))


def _sum(terms: Terms) -> Sum:
    listed = sorted(terms.items(), key=lambda x: _order(x[0]))
    if listed[0][1] < 0:  # begin with what is added
        listed.insert(0, listed.pop(next((i for i, (_, c) in enumerate(listed) if c > 0), 0)))
    return Sum(tuple(_product(c, [(_atom(a), e) for a, e in m]) if m else Num(c) for m, c in listed))


def _product(number: Any, factors: list[tuple[Any, int]]) -> Any:
    if not factors:
        return Num(number)
    if number == 1 and len(factors) == 1 and factors[0][1] == 1:
        return factors[0][0]
    return Product(number, tuple(factors))


def _atom(a: Any) -> Any:
    if a.is_Symbol:
        return SymbolName(a.name)
    if isinstance(a, sympy.floor):
        return _floor(a.args[0])
    if isinstance(a, sympy.ceiling):
        return TreeFunction("ceil", tuple(map(tree, sympy.fraction(sympy.together(a.args[0])))))
    if isinstance(a, (sympy.Max, sympy.Min)):
        return TreeFunction("max" if isinstance(a, sympy.Max) else "min", tuple(sorted(map(tree, a.args), key=str)))
    if a.is_Pow:
        return TreeFunction("power", (tree(a.base), tree(a.exp)))
    return tree(a)


def _floor(value: Any) -> TreeFunction:
    top, below = sympy.fraction(sympy.together(value))
    top = sympy.expand(top)
    if below.is_Integer:
        constant, moving = top.as_coeff_Add()
        if constant and constant + 1 >= below and moving.is_integer:  # ⌊(x + d − 1)/d⌋ = ⌈x/d⌉ for whole numbers x
            return TreeFunction("ceil", (tree(top - (below - 1)), Num(below)))
    return TreeFunction("floor", (tree(top), tree(below)))


def factored(terms: Terms) -> tuple[Any, list[tuple[Terms, int]]]:
    """A number and factors with exponents: single atoms, and sums as sympy factors them."""
    number = sympy.Rational(sympy.igcd(*(c.p for c in terms.values())), sympy.ilcm(*(c.q for c in terms.values())))
    if terms[min(terms, key=_order)] < 0:
        number = -number
    rest = {m: c / number for m, c in terms.items()}
    shared = dict(next(iter(rest)))
    for m in rest:
        own = dict(m)
        for a in {**shared, **own}:
            shared[a] = min(shared.get(a, 0), own.get(a, 0))
    common = tuple((a, e) for a, e in shared.items() if e)
    parts: list[tuple[Terms, int]] = [({((a, 1),): sympy.S.One}, e) for a, e in common]
    rest = {_times(m, common, -1): c for m, c in rest.items()}
    atoms = sorted({a for m in rest for a, _ in m}, key=_rank)
    if len(rest) > MOST_TERMS or _linear(rest, atoms):
        return number, [*parts, (rest, 1)]
    steps = [sympy.igcd(*(dict(m).get(a, 0) for m in rest)) if a.is_Pow else 1 for a in atoms]  # 4^N − 1 stays
    powers = {tuple(dict(m).get(a, 0) // s for a, s in zip(atoms, steps, strict=True)): c for m, c in rest.items()}
    for factor, e in sympy.Poly.from_dict(powers, *(sympy.Dummy() for _ in atoms)).factor_list()[1]:
        own_terms = {
            tuple((a, p * s) for a, p, s in zip(atoms, m, steps, strict=True) if p): c for m, c in factor.terms()
        }
        if own_terms[min(own_terms, key=_order)] < 0:
            own_terms = {m: -c for m, c in own_terms.items()}
            number = number if e % 2 == 0 else -number
        parts.append((own_terms, e))
    return number, parts


def _linear(terms: Terms, atoms: list[Any]) -> bool:
    """Whether an atom of it stands alone, in one term, with exponent 1: then nothing can be split off."""
    for a in atoms:
        inside = [m for m in terms if any(x is a for x, _ in m)]
        if len(inside) == 1 and inside[0] == ((a, 1),):
            return True
    return False
