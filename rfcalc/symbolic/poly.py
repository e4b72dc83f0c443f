"""Whole-number formulas: polynomials in symbols, floors, extrema and powers, kept canonical.

A `Poly` is a size in the sense of `rfcalc.size`: the rules of the core walk it as they walk integers. Requirements:

1. Canonical: two formulas that are the same polynomial in the same atoms are equal values with equal hashes.
2. A result without symbols is a plain `int` (or `Fraction`), never a `Poly`.
3. A symbol of a declared residue class (H = 32m + 3, K = 2j + 1) is kept as the whole number behind it (m, j), so that
   everything that divides evenly does so by itself; it prints as what was declared.
4. ``⌊(a + ⌊x⌋)/b⌋`` is ``⌊(a + x)/b⌋``, ``⌊(b·q + r)/b⌋`` is ``q + ⌊r/b⌋``: nested floors collapse.
5. A comparison that does not hold for all values (or for none) is `Open`: it has no truth.

Nothing here is a float, and nothing foreign is imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from fractions import Fraction
from functools import lru_cache
from math import gcd, lcm
from typing import Any, ClassVar, TypeAlias

from rfcalc.errors import RfcalcError

Number: TypeAlias = "int | Fraction"
Monomial: TypeAlias = "tuple[tuple[Atom, int], ...]"
Value: TypeAlias = "Poly | int | Fraction"


class SymbolError(RfcalcError):
    """What cannot be said with symbols: a clash, no closed form, no solution."""


class Atom:
    """What a monomial is made of; equal atoms are the same object."""

    __slots__ = ("key", "serial")
    _known: ClassVar[dict[Any, Atom]] = {}
    key: tuple[Any, ...]
    serial: int

    def __new__(cls, *key: Any) -> Any:
        full = (cls, *key)
        found = Atom._known.get(full)
        if found is None:
            found = object.__new__(cls)
            found.key = key
            found.serial = len(Atom._known)
            Atom._known[full] = found
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), self.key)

    def __copy__(self) -> Atom:
        return self

    def __deepcopy__(self, memo: Any) -> Atom:
        return self

    @property
    def symbols(self) -> frozenset[Symbol]:
        """The symbols in it."""
        raise NotImplementedError

    def put(self, values: Mapping[str, Value]) -> Value:
        """Itself with numbers (or other formulas) put in for symbols, by name."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self.key}"


class Symbol(Atom):
    """A declared symbol: its value is ``modulus·t + residue``; as an atom it stands for the whole number t ≥ `start`.

    Args:
        name: as it is printed.
        modulus: of the residue class; a fraction for what is no whole number itself (a width α = a/32).
        residue: of the residue class.
        least: the least value that it may have.
    """

    __slots__ = ()

    def __new__(cls, name: str, modulus: Number = 1, residue: Number = 0, least: Number = 1) -> Symbol:
        return super().__new__(cls, name, modulus, residue, least)  # type: ignore[no-any-return]

    @property
    def name(self) -> str:
        return str(self.key[0])

    @property
    def modulus(self) -> Number:
        return self.key[1]  # type: ignore[no-any-return]

    @property
    def residue(self) -> Number:
        return self.key[2]  # type: ignore[no-any-return]

    @property
    def start(self) -> int:
        """The least t."""
        need: Any = Fraction(self.key[3] - self.key[2]) / self.key[1]
        return -((-need.numerator) // need.denominator)

    @property
    def symbols(self) -> frozenset[Symbol]:
        return frozenset((self,))

    @property
    def value(self) -> Value:
        """The symbol as a formula: modulus·t + residue."""
        return poly({((self, 1),): self.modulus, (): self.residue})

    def put(self, values: Mapping[str, Value]) -> Value:
        given = values.get(self.name)
        if given is None:
            return poly({((self, 1),): 1})
        t = (given - self.residue) * Fraction(1, 1) / self.modulus
        t = whole(t)
        if isinstance(t, Fraction) or (isinstance(t, int) and t < self.start):
            raise SymbolError(f"{self.name} = {given} does not fit", why=f"{self.name} is declared {self.declared()}")
        return t

    def declared(self) -> str:
        """What was declared of it, in words."""
        kind = {(2, 1): "odd", (2, 0): "even"}.get((self.modulus, self.residue))  # type: ignore[call-overload]
        if kind is None and self.modulus != 1:
            kind = f"{self.modulus}m" + (f" + {self.residue}" if self.residue else "")
        least = self.modulus * self.start + self.residue
        return f"{kind}, ≥ {least}" if kind else f"≥ {least}"


class Floor(Atom):
    """⌊numerator / divisor⌋, the divisor a number > 1 or a formula."""

    __slots__ = ()

    @property
    def symbols(self) -> frozenset[Symbol]:
        return symbols_of(self.key[0]) | symbols_of(self.key[1])

    def put(self, values: Mapping[str, Value]) -> Value:
        top, below = (put(v, values) for v in self.key)
        if below == 0:
            raise SymbolError("a division by zero", fix="put other numbers in")
        return top // below  # type: ignore[operator, return-value]


class Extreme(Atom):
    """The largest (``max``) or smallest (``min``) of several formulas."""

    __slots__ = ()

    @property
    def which(self) -> str:
        return str(self.key[0])

    @property
    def members(self) -> frozenset[Any]:
        return self.key[1]  # type: ignore[no-any-return]

    @property
    def symbols(self) -> frozenset[Symbol]:
        return frozenset().union(*(symbols_of(m) for m in self.members))

    def put(self, values: Mapping[str, Value]) -> Value:
        return extreme(self.which, [put(m, values) for m in self.members])


class Power(Atom):
    """base^t for a symbol's whole number t: key (base: a prime or a symbol, exponent: a symbol)."""

    __slots__ = ()

    @property
    def symbols(self) -> frozenset[Symbol]:
        base = self.key[0]
        return frozenset((self.key[1],)) | (base.symbols if isinstance(base, Atom) else frozenset())

    def put(self, values: Mapping[str, Value]) -> Value:
        base, exponent = self.key
        return power(base.put(values) if isinstance(base, Atom) else base, exponent.put(values))


class Missing:
    """A size or figure that has no closed form, and why; whatever is computed with it has none either."""

    __slots__ = ("why",)
    free_symbols = frozenset(("?",))

    def __init__(self, why: str) -> None:
        self.why = why

    def _same(self, *_: Any) -> Missing:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __floordiv__ = __rfloordiv__ = _same
    __mod__ = __rmod__ = __truediv__ = __rtruediv__ = __pow__ = __rpow__ = __neg__ = __abs__ = _same

    def _open(self, _: Any) -> Open:
        return Open(self, False, str(self))

    __lt__ = __le__ = __gt__ = __ge__ = _open

    def __str__(self) -> str:
        return "?"


class Open:
    """A comparison that symbols leave open: ``difference ≥ 0``, or > 0 if `strict`."""

    __slots__ = ("difference", "strict", "text")

    def __init__(self, difference: Any, strict: bool, text: str) -> None:
        self.difference, self.strict, self.text = difference, strict, text

    def __bool__(self) -> bool:
        raise TypeError(f"not decided: {self}")

    def __str__(self) -> str:
        return self.text


class Poly:
    """A polynomial in atoms with rational coefficients; made by `poly` and by arithmetic.

    >>> C = Symbol("C").value
    >>> print(27 * C**2, (C * C * 3) // C, 49 * C**2 > 27 * C**2)
    27*C**2 3*C True
    """

    __slots__ = ("_hash", "_least", "terms")
    terms: dict[Monomial, Number]

    def __init__(self, terms: dict[Monomial, Number]) -> None:
        self.terms = terms
        self._hash: int | None = None
        self._least: Any = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return (poly, (self.terms,))

    @property
    def free_symbols(self) -> frozenset[str]:
        """The names in it."""
        return frozenset(s.name for s in symbols_of(self))

    @property
    def constant(self) -> Number:
        return self.terms.get((), 0)

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self.terms.items()))
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Poly) and self.terms == other.terms)

    def __add__(self, other: Any) -> Any:
        if isinstance(other, (int, Fraction)):
            if other == 0:
                return self
            terms = dict(self.terms)
            terms[()] = terms.get((), 0) + other
            return poly(terms)
        if not isinstance(other, Poly):
            return NotImplemented
        terms = dict(self.terms)
        for monomial, c in other.terms.items():
            terms[monomial] = terms.get(monomial, 0) + c
        return poly(terms)

    __radd__ = __add__

    def __neg__(self) -> Poly:
        return Poly({m: -c for m, c in self.terms.items()})

    def __sub__(self, other: Any) -> Any:
        return self + (-other) if isinstance(other, (int, Fraction, Poly)) else NotImplemented

    def __rsub__(self, other: Any) -> Any:
        return -self + other if isinstance(other, (int, Fraction)) else NotImplemented

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, (int, Fraction)):
            if other == 1:
                return self
            return poly({m: c * other for m, c in self.terms.items()})
        if not isinstance(other, Poly):
            return NotImplemented
        terms: dict[Monomial, Number] = {}
        for a, c in self.terms.items():
            for b, d in other.terms.items():
                m = _times(a, b)
                terms[m] = terms.get(m, 0) + c * d
        return poly(terms)

    __rmul__ = __mul__

    def __pow__(self, exponent: Any) -> Any:
        return power(self, exponent) if isinstance(exponent, (int, Poly)) else NotImplemented

    def __rpow__(self, base: Any) -> Any:
        return power(base, self) if isinstance(base, int) else NotImplemented

    def __floordiv__(self, other: Any) -> Any:
        return floor(self, other) if isinstance(other, (int, Poly)) else NotImplemented

    def __rfloordiv__(self, other: Any) -> Any:
        return floor(other, self) if isinstance(other, int) else NotImplemented

    def __mod__(self, other: Any) -> Any:
        return self - other * floor(self, other) if isinstance(other, (int, Poly)) else NotImplemented

    def __rmod__(self, other: Any) -> Any:
        return other - self * floor(other, self) if isinstance(other, int) else NotImplemented

    def __divmod__(self, other: Any) -> tuple[Any, Any]:
        quotient = self // other
        return quotient, self - other * quotient

    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, (int, Fraction)):
            return self * (Fraction(1) / other)
        if isinstance(other, Poly):
            found = divided(self, other)
            if found is not None:
                return found
        return NotImplemented

    def _compare(self, other: Any, strict: bool, more: bool) -> Any:
        if not isinstance(other, (int, Fraction, Poly)):
            return NotImplemented
        from rfcalc.symbolic.bounds import sign

        difference = self - other if more else other - self
        if not isinstance(difference, Poly):
            return difference > 0 if strict else difference >= 0
        known = sign(difference, strict)
        if known is not None:
            return known
        mark = (">" if more else "<") + ("" if strict else "=")
        return Open(difference, strict, f"{self} {mark.replace('>=', '≥').replace('<=', '≤')} {other}")

    def __ge__(self, other: Any) -> Any:
        return self._compare(other, False, True)

    def __gt__(self, other: Any) -> Any:
        return self._compare(other, True, True)

    def __le__(self, other: Any) -> Any:
        return self._compare(other, False, False)

    def __lt__(self, other: Any) -> Any:
        return self._compare(other, True, False)

    def put(self, values: Mapping[str, Value]) -> Value:
        """The formula with numbers (or formulas) put in, by the names of symbols.

        Raises:
            SymbolError: a number that its symbol was declared not to be.
        """
        total: Value = 0
        for monomial, c in self.terms.items():
            term: Value = c
            for atom, e in monomial:
                factor = atom.put(values)
                term = term * (factor**e if e >= 0 else inverse(factor) ** -e)
            total = total + term
        return whole(total)

    def __str__(self) -> str:
        from rfcalc.symbolic.show import show

        return show(self, "python")

    def __repr__(self) -> str:
        return str(self)

    def __format__(self, spec: str) -> str:
        """In sentences, as people write it."""
        from rfcalc.symbolic.show import show

        return show(self)


def whole(value: Any) -> Any:
    """A Fraction that is a whole number as an int."""
    if isinstance(value, Fraction) and value.denominator == 1:
        return value.numerator
    return value


def poly(terms: Mapping[Monomial, Number]) -> Any:
    """The formula of these terms; a number where no symbol is left."""
    kept: dict[Monomial, Number] = {}
    for m, c in terms.items():
        if type(c) is Fraction and c.denominator == 1:
            c = c.numerator
        if c != 0:
            kept[m] = c
    if not kept:
        return 0
    if len(kept) == 1 and () in kept:
        return kept[()]
    return Poly(kept)


def atom(a: Atom, exponent: int = 1) -> Poly:
    """One atom as a formula."""
    return Poly({((a, exponent),): 1})


def _times(a: Monomial, b: Monomial) -> Monomial:
    if not a:
        return b
    if not b:
        return a
    found = dict(a)
    for x, e in b:
        found[x] = found.get(x, 0) + e
    return tuple(sorted(((x, e) for x, e in found.items() if e), key=_serial))


def _serial(pair: tuple[Atom, int]) -> int:
    return pair[0].serial


def symbols_of(value: Any) -> frozenset[Symbol]:
    """The symbols in a formula; none in a number."""
    if not isinstance(value, Poly):
        return frozenset()
    return frozenset().union(*(a.symbols for m in value.terms for a, _ in m))


def put(value: Any, values: Mapping[str, Value]) -> Any:
    """A formula with numbers put in; a number stays."""
    return value.put(values) if isinstance(value, Poly) else value


def inverse(value: Any) -> Any:
    """1 / value, of a number or a single term."""
    if isinstance(value, (int, Fraction)):
        return whole(Fraction(1) / value)
    if len(value.terms) == 1:
        ((m, c),) = value.terms.items()
        return poly({tuple((a, -e) for a, e in m): Fraction(1) / c})
    raise SymbolError(f"1/({value}) has no closed form here")


def integral(value: Poly) -> bool:
    """Whether all coefficients are whole and nothing is divided by a symbol: then it is whole for whole symbols."""
    return all(type(c) is int and all(e > 0 for _, e in m) for m, c in value.terms.items())


def floor(top: Any, below: Any) -> Any:
    """⌊top / below⌋.

    >>> H = Symbol("H").value
    >>> print(floor(floor(H + 1, 2) + 1, 2), floor(6 * H + 5, 3), floor(Symbol("W", 4).value, 2))
    (-(-H//4)) 2*H + 1 W//2
    """
    if not isinstance(below, Poly):
        return _floor_by(top, below)
    if top == 0:
        return 0
    even = divided(top, below)
    if even is not None and (not isinstance(even, Poly) or integral(even)):
        return even.numerator // even.denominator if isinstance(even, Fraction) else even
    if (top, below) in (exact.get() or ()):
        return divided(top, below, fractions=True)
    if not isinstance(top, Poly):
        from rfcalc.symbolic.bounds import sign

        if top > 0 and sign(below - top, True):
            return 0
    return atom(Floor(top, below))


exact: ContextVar[dict[tuple[Any, Poly], None] | None] = ContextVar("exact", default=None)


def divides_exactly(divisor: Any, size: Any) -> None:
    """From now on, in this context, size / divisor is taken to be whole."""
    known = exact.get()
    if known is not None and isinstance(divisor, Poly) and divided(size, divisor, fractions=True) is not None:
        known[size, divisor] = None


def _floor_by(top: Poly, d: int) -> Any:
    if d < 0:
        return floor(-top, -d)
    if d == 0:
        raise ZeroDivisionError("division by zero")
    if not isinstance(top, Poly):
        return top // d
    below = lcm(*(c.denominator for c in top.terms.values()))
    if below > 1:
        top, d = top * below, d * below
    inner = [m for m, c in top.terms.items() if c == 1 and len(m) == 1 and m[0][1] == 1 and isinstance(m[0][0], Floor)]
    if len(inner) == 1 and isinstance(inner[0][0][0].key[1], int) and integral(top) and below == 1:
        numerator, divisor = inner[0][0][0].key
        rest = {m: c * divisor for m, c in top.terms.items() if m is not inner[0]}
        return floor(poly(rest) + numerator, divisor * d)
    evenly: dict[Monomial, Number] = {}
    left: dict[Monomial, Number] = {}
    for m, c in top.terms.items():
        if m == ():
            evenly[m], left[m] = divmod(int(c), d)
        elif c % d == 0 and all(e > 0 for _, e in m):
            evenly[m] = c // d
        else:
            left[m] = c
    rest = poly(left)
    if not isinstance(rest, Poly):
        return poly(evenly) + rest // d
    return poly(evenly) + _canonical(rest, d)


def _canonical(top: Poly, d: int) -> Any:
    """⌊top / d⌋ with 0 ≤ constant < d, its leading coefficient positive, common factors cancelled."""
    lead = max((m for m in top.terms if m), key=lambda m: [(a.serial, e) for a, e in m])
    if top.terms[lead] < 0:  # ⌊−x/d⌋ = −⌈x/d⌉ = −⌊(x + d − 1)/d⌋
        return -floor(d - 1 - top, d)
    common = gcd(d, *(int(c) for m, c in top.terms.items() if m))
    if common > 1 and integral(top):
        shared = {m: c // common for m, c in top.terms.items()}  # the constant rounds down: the rest is whole
        return floor(poly(shared), d // common)
    return atom(Floor(top, d))


def divided(top: Any, below: Any, fractions: bool = False) -> Any:
    """top / below where it comes out even, else None; `fractions`: a single term below may stay below."""
    if not isinstance(below, Poly):
        return top * (Fraction(1) / below) if isinstance(top, Poly) else whole(Fraction(top) / below)
    if not isinstance(top, Poly):
        return 0 if top == 0 else inverse(below) * top if fractions and len(below.terms) == 1 else None
    if top == below:
        return 1
    if len(below.terms) == 1:
        ((m, c),) = below.terms.items()
        found = top * poly({tuple((a, -e) for a, e in m): Fraction(1) / c})
        even = not isinstance(found, Poly) or all(e > 0 for n in found.terms for _, e in n)
        return found if even or fractions else None
    return _long_division(top, below)


def _long_division(top: Poly, below: Poly) -> Any:
    """Polynomial division; None if something remains."""

    def order(m: Monomial) -> tuple[int, list[tuple[int, int]]]:
        return sum(e for _, e in m), sorted(((-a.serial, e) for a, e in m), reverse=True)

    lead = max(below.terms, key=order)
    quotient: Any = 0
    rest: Any = top
    for _ in range(60):
        if not isinstance(rest, Poly):
            return quotient if rest == 0 else None
        first = max(rest.terms, key=order)
        ratio = _times(first, tuple((a, -e) for a, e in lead))
        if any(e < 0 for _, e in ratio):
            return None
        step = poly({ratio: Fraction(rest.terms[first]) / below.terms[lead]})
        quotient = quotient + step
        rest = rest - step * below
    return None


def power(base: Any, exponent: Any) -> Any:
    """base^exponent; an exponent with symbols must be linear in them.

    >>> i = Symbol("i").value
    >>> print(power(2, i + 1) * power(2, i), power(4, i))
    2*4**i 4**i
    """
    if isinstance(exponent, int):
        if exponent < 0:
            return inverse(power(base, -exponent))
        if not isinstance(base, Poly):
            return whole(base**exponent)
        result: Any = 1
        for bit in f"{exponent:b}":
            result = result * result
            if bit == "1":
                result = result * base
        return result
    if not isinstance(exponent, Poly) or exponent.terms.keys() - {()} != {
        m for m in exponent.terms if len(m) == 1 and m[0][1] == 1 and isinstance(m[0][0], Symbol)
    }:
        raise SymbolError(f"{base}**({exponent}) has no closed form", why="an exponent must be linear in its symbols")
    if any(type(c) is not int for c in exponent.terms.values()):
        raise SymbolError(f"{base}**({exponent}) has no closed form", why="the exponent is no whole number")
    found = power(base, exponent.constant)
    for m, c in exponent.terms.items():
        if m:
            for b, e in _bases(base):
                found = found * Poly({((Power(b, m[0][0]), e * c),): 1})
    return found


def _bases(base: Any) -> list[tuple[Any, int]]:
    """A base as primes, or symbols, with their exponents."""
    if isinstance(base, Poly) and len(base.terms) == 1:
        ((m, c),) = base.terms.items()
        if all(isinstance(a, Symbol) for a, _ in m) and type(c) is int:
            return [*([] if c == 1 else _bases(c)), *m]
    if not isinstance(base, int) or base < 1:
        raise SymbolError(f"a power of {base} has no closed form", why="the base must be a number or a symbol")
    return [(p, e) for p, e in primes(base)]


@lru_cache(maxsize=256)
def primes(n: int) -> tuple[tuple[int, int], ...]:
    """The prime factors of n with their exponents."""
    found: dict[int, int] = {}
    p = 2
    while p * p <= n:
        while n % p == 0:
            found[p] = found.get(p, 0) + 1
            n //= p
        p += 1
    if n > 1:
        found[n] = found.get(n, 0) + 1
    return tuple(found.items())


def extreme(which: str, values: Iterable[Any]) -> Any:
    """The largest or smallest of formulas; those that can never be it are left out.

    >>> H, W = Symbol("H").value, Symbol("W").value
    >>> print(extreme("max", [H, H + 1, W, 0]))
    max(W, H + 1)
    """
    from rfcalc.size import decide

    found: list[Any] = []
    values = list(values)
    for value in values:
        if isinstance(value, Missing):
            return value
        inner = members(value, which)
        for one in inner:
            beats = (lambda a, b: a >= b) if which == "max" else (lambda a, b: a <= b)
            if any(decide(beats(other, one)) for other in found):
                continue
            found = [other for other in found if not decide(beats(one, other))]
            found.append(one)
    if len(found) == 1:
        return found[0]
    return atom(Extreme(which, frozenset(found)))


def members(value: Any, which: str) -> tuple[Any, ...]:
    """The formulas of which the value is the extreme; itself if it is none."""
    if isinstance(value, Poly) and len(value.terms) == 1:
        ((m, c),) = value.terms.items()
        if c == 1 and len(m) == 1 and m[0][1] == 1 and isinstance(m[0][0], Extreme) and m[0][0].which == which:
            return tuple(m[0][0].members)
    return (value,)
