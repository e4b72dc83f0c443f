"""What the rules of the core need of sympy's expressions, and sympy does not do by itself.

1. One canonical form (`forms`), and comparisons of polynomials from the least values of their symbols (`bounds`).
2. The largest of many terms, compared as polynomials, never by ``sympy.Max``.
3. Sizes are walked in the whole numbers behind their symbols (H = 32m), and told in the symbols themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sympy
from sympy.core.relational import Relational

from rfcalc.core.size import settler
from rfcalc.formulas.bounds import least_of, lowest
from rfcalc.formulas.forms import NotClosed, apart, canonical, expanded, plain, replaced, terms_of, told
from rfcalc.formulas.symbols import Declared
from rfcalc.formulas.writing import show

EXTREMES = {"max": sympy.Max, "min": sympy.Min}


class SympyAlgebra:
    """The algebra that the rules walk with (`rfcalc.core.size.Algebra`).

    Args:
        declared: the symbols.
        even: divisions that are taken to be even, as quotients; what is learned is added.
    """

    def __init__(self, declared: Iterable[Declared] = (), even: dict[Any, None] | None = None) -> None:
        self.declared = {d.quotient: d for d in declared}
        self.even = {} if even is None else even
        self._settled: dict[Any, Any] = {}
        self._shown: dict[Any, Any] = {}
        self._coefficients: dict[Any, dict[Any, Any] | None] = {}

    def settle(self, size: Any) -> Any:
        """The size in its one form; a plain number where no symbol is left."""
        if not isinstance(size, sympy.Basic):
            return size
        found = self._settled.get(size)
        if found is None:
            found = self._settled[size] = plain(canonical(size, self.even))
        return found

    def decide(self, comparison: Any) -> bool | None:
        """What follows from the least values of the symbols."""
        if not isinstance(comparison, Relational) or not hasattr(comparison, "gts"):
            return None
        difference, strict = sides(comparison)
        low = self.lowest(difference)
        if low is not None and (low > 0 if strict else low >= 0):
            return True
        high = self.lowest(-difference)
        if high is not None and (high >= 0 if strict else high > 0):
            return False
        return None

    def lowest(self, value: Any) -> Any:
        """A number that a formula is never below, or None if none is found."""
        return lowest(value, self.declared)

    def least(self, a: Any, b: Any) -> Any:
        return self.extreme("min", (a, b))

    def most(self, a: Any, b: Any) -> Any:
        return self.extreme("max", (a, b))

    def extreme(self, which: str, values: Iterable[Any]) -> Any:
        """The largest or smallest of formulas; those that can never be it are left out."""
        kind = EXTREMES[which]
        found: list[Any] = []
        for value in values:
            if isinstance(value, NotClosed):
                return value
            for one in value.args if isinstance(value, kind) else (value,):
                if any(self._beyond(other, one, which) for other in found):
                    continue
                found = [other for other in found if not self._beyond(one, other, which)]
                found.append(one)
        return found[0] if len(found) == 1 else kind(*found, evaluate=False)

    def _beyond(self, a: Any, b: Any, which: str) -> bool:
        """Whether a is never below b (for a minimum: never above it)."""
        if a is b:
            return True
        if which == "min":
            a, b = b, a
        one, other = self._above(a), self._above(b)
        if one is None or other is None:
            low = self.lowest(a - b)
            return low is not None and bool(low >= 0)
        return all(one.get(t, 0) >= c for t, c in other.items()) and all(c >= 0 or t in other for t, c in one.items())

    def _above(self, value: Any) -> dict[Any, Any] | None:
        """The coefficients of a polynomial in what its symbols are above their least values; None for others."""
        if value not in self._coefficients:
            self._coefficients[value] = self._counted(sympy.sympify(value))
        return self._coefficients[value]

    def _counted(self, value: Any) -> dict[Any, Any] | None:
        if not all(p.is_Symbol or p.is_Rational or p.is_Add or p.is_Mul or _is_square(p) for p in _parts(value)):
            return None
        lows = {s: least_of(s, self.declared) for s in value.free_symbols}
        if None in lows.values():
            return None
        return terms_of(expanded(value.xreplace({s: s + low for s, low in lows.items() if low})))

    def more(self, a: Any, b: Any) -> Any:
        """a > b: True where it holds for all values, else the comparison as it stands."""
        difference = self._above(a - b)
        if difference is not None and all(c > 0 for c in difference.values()) and difference.get(sympy.S.One, 0) > 0:
            return True
        return sympy.Gt(a, b, evaluate=False)

    def evenly(self, divisor: Any, size: Any) -> None:
        """From now on size / divisor is taken to be whole."""
        if isinstance(divisor, sympy.Basic) and divisor.free_symbols:
            self.even[sympy.cancel(size / divisor)] = None
            self._settled.clear()

    def shown(self, value: Any) -> Any:
        """A formula in the symbols themselves, as an expanded expression of sympy; None stays."""
        if value is None or isinstance(value, NotClosed):
            return value
        value = sympy.sympify(value)
        found = self._shown.get(value)
        if found is None:
            found = self._shown[value] = self._told(value)
        return found

    def _told(self, value: Any) -> Any:
        if value.is_Number:
            return value
        if value.has(sympy.Max, sympy.Min):
            return apart(value, self.shown)
        return told(canonical(value, self.even))

    def inside(self, value: Any) -> Any:
        """A formula that is told in the symbols, in the whole numbers behind them."""
        put = {d.symbol: d.value for t, d in self.declared.items() if t is not d.symbol}
        return canonical(replaced(sympy.sympify(value), put), {})

    def write(self, size: Any) -> str:
        """A size, or a comparison of two, as people read it."""
        if isinstance(size, Relational):
            sign = {">=": "≥", "<=": "≤", "==": "=", "!=": "≠"}.get(size.rel_op, size.rel_op)
            return f"{self.write(size.lhs)} {sign} {self.write(size.rhs)}"
        return show(self.shown(size)) if isinstance(size, sympy.Basic) else str(size)

    def source(self, size: Any) -> str:
        """A size as it is typed."""
        return show(self.shown(size), "python") if isinstance(size, sympy.Basic) else str(size)


def settled(value: Any) -> Any:
    """A size in its one form, with what the walk that it belongs to takes for granted."""
    settle = settler()
    value = sympy.sympify(value)
    return plain(canonical(value, {})) if settle is None else settle(value)


def sides(comparison: Any) -> tuple[Any, bool]:
    """A comparison as ``difference ≥ 0``, or > 0 where it is strict."""
    return comparison.gts - comparison.lts, isinstance(comparison, (sympy.StrictGreaterThan, sympy.StrictLessThan))


def _parts(value: Any) -> Any:
    return sympy.preorder_traversal(value)


def _is_square(value: Any) -> bool:
    """Whether it is a power with a whole positive exponent."""
    return bool(value.is_Pow and value.exp.is_Integer and value.exp > 0)
