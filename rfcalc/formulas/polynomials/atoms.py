"""What formulas are made of: symbols, floors, extrema, powers. Equal atoms are one object.

The formulas themselves (`poly`) stand a level above and are imported where they are needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar, TypeAlias

from rfcalc.core.errors import RfcalcError

Number: TypeAlias = "int | Fraction"
Value: TypeAlias = Any  # Poly | int | Fraction


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
        return int(-((-need.numerator) // need.denominator))

    @property
    def symbols(self) -> frozenset[Symbol]:
        return frozenset((self,))

    @property
    def value(self) -> Value:
        """The symbol as a formula: modulus·t + residue."""
        from rfcalc.formulas.polynomials.poly import poly

        return poly({((self, 1),): self.modulus, (): self.residue})

    def put(self, values: Mapping[str, Value]) -> Value:
        from rfcalc.formulas.polynomials.poly import poly, whole

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
        kind = {(2, 1): "odd", (2, 0): "even"}.get(self.key[1:3])
        modulus = Fraction(self.modulus)
        if kind is None and modulus != 1:
            times = "m" if modulus.numerator == 1 else f"{modulus.numerator}m"
            kind = times + ("" if modulus.denominator == 1 else f"/{modulus.denominator}")
            kind += f" + {self.residue}" if self.residue else ""
        least = self.modulus * self.start + self.residue
        return f"{kind}, ≥ {least}" if kind else f"≥ {least}"


class Floor(Atom):
    """⌊numerator / divisor⌋, the divisor a number > 1 or a formula."""

    __slots__ = ()

    @property
    def symbols(self) -> frozenset[Symbol]:
        from rfcalc.formulas.polynomials.poly import symbols_of

        return symbols_of(self.key[0]) | symbols_of(self.key[1])

    def put(self, values: Mapping[str, Value]) -> Value:
        from rfcalc.formulas.polynomials.poly import put

        top, below = (put(v, values) for v in self.key)
        if below == 0:
            raise SymbolError("a division by zero", fix="put other numbers in")
        return top // below


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
        from rfcalc.formulas.polynomials.poly import symbols_of

        return frozenset().union(*(symbols_of(m) for m in self.members))

    def put(self, values: Mapping[str, Value]) -> Value:
        from rfcalc.formulas.polynomials.poly import put
        from rfcalc.formulas.polynomials.powers import extreme

        return extreme(self.which, [put(m, values) for m in self.members])


class Power(Atom):
    """base^t for a symbol's whole number t: key (base: a prime or a symbol, exponent: a symbol)."""

    __slots__ = ()

    @property
    def symbols(self) -> frozenset[Symbol]:
        base = self.key[0]
        return frozenset((self.key[1],)) | (base.symbols if isinstance(base, Atom) else frozenset())

    def put(self, values: Mapping[str, Value]) -> Value:
        from rfcalc.formulas.polynomials.powers import power

        base, exponent = self.key
        return power(base.put(values) if isinstance(base, Atom) else base, exponent.put(values))
