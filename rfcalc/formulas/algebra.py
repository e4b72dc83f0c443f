"""What the rules of the core need of sympy's expressions, and sympy does not do by itself.

1. One canonical form: sums of products, nested floors collapsed, powers of numbers over their primes, so that equal
   sizes are equal values and no text depends on what was computed before.
2. Comparisons of polynomials from the least values of their symbols; floors are bounded by what stands in them.
3. The largest of many terms, compared as polynomials, never by ``sympy.Max``.
4. Sizes are walked in the whole numbers behind their symbols (H = 32m), and told in the symbols themselves.

Sound, not complete: a comparison that is answered holds for all values; where no answer is found it stays open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

import sympy
from sympy.core.relational import Relational

from rfcalc.core.size import settler
from rfcalc.formulas.symbols import Declared, Whole

EXTREMES = {"max": sympy.Max, "min": sympy.Min}


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

    def _open(self, other: Any) -> Any:
        return sympy.Symbol("?") >= 0

    __lt__ = __le__ = __gt__ = __ge__ = _open

    def __str__(self) -> str:
        return "?"


class SympyAlgebra:
    """The algebra that the rules walk with (`rfcalc.core.size.Algebra`).

    Args:
        declared: the symbols.
        even: divisions that are taken to be even, as quotients; what is learned is added.
    """

    def __init__(self, declared: Iterable[Declared] = (), even: dict[Any, None] | None = None) -> None:
        self.declared = {d.whole: d for d in declared}
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
            if isinstance(value, Missing):
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
        known = self._coefficients.get(value, 0)
        if known == 0:
            known = self._coefficients[value] = self._counted(sympy.sympify(value))
        return known  # type: ignore[no-any-return]

    def _counted(self, value: Any) -> dict[Any, Any] | None:
        if not all(p.is_Symbol or p.is_Rational or p.is_Add or p.is_Mul or _is_square(p) for p in _parts(value)):
            return None
        lows = {s: _low(s, self.declared) for s in value.free_symbols}
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
        if value is None or isinstance(value, Missing):
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
        from rfcalc.formulas.writing import show

        if isinstance(size, Relational):
            sign = {">=": "≥", "<=": "≤", "==": "=", "!=": "≠"}.get(size.rel_op, size.rel_op)
            return f"{self.write(size.lhs)} {sign} {self.write(size.rhs)}"
        return show(self.shown(size)) if isinstance(size, sympy.Basic) else str(size)

    def source(self, size: Any) -> str:
        """A size as it is typed."""
        from rfcalc.formulas.writing import show

        return show(self.shown(size), "python") if isinstance(size, sympy.Basic) else str(size)


def settled(value: Any) -> Any:
    """A size in its one form, with what the walk that it belongs to takes for granted."""
    settle = settler()
    value = sympy.sympify(value)
    return plain(canonical(value, {})) if settle is None else settle(value)


def sides(comparison: Any) -> tuple[Any, bool]:
    """A comparison as ``difference ≥ 0``, or > 0 where it is strict."""
    return comparison.gts - comparison.lts, isinstance(comparison, (sympy.StrictGreaterThan, sympy.StrictLessThan))


def told(value: Any) -> Any:
    """A formula in the symbols that stand for the whole numbers in it."""
    back = {t: t.back for t in value.free_symbols if isinstance(t, Whole)}
    return canonical(replaced(value, back), {}) if back else value


def plain(value: Any) -> Any:
    """A number of sympy as Python has it."""
    if isinstance(value, sympy.Integer):
        return int(value)
    if isinstance(value, sympy.Rational):
        return Fraction(int(value.p), int(value.q))
    return value


def replaced(value: Any, values: Mapping[Any, Any]) -> Any:
    """A formula with others put in for symbols of sympy."""
    if value.has(sympy.Max, sympy.Min):
        return apart(value, lambda v: replaced(v, values))
    return value.xreplace(values)


def apart(value: Any, each: Any) -> Any:
    """A formula with maxima and minima, each of their members (and what is around them) treated by `each`."""
    inside: dict[Any, Any] = {}

    def outer(part: Any) -> Any:
        if isinstance(part, (sympy.Max, sympy.Min)):
            known = sympy.Symbol(f"_{len(inside)}", nonnegative=True, integer=True)
            members = [each(a) for a in part.args]
            inside[known] = type(part)(*members, evaluate=all(m.is_Number for m in members))
            return known
        if part.args and part.has(sympy.Max, sympy.Min):
            return part.func(*map(outer, part.args))
        return part

    return each(outer(value)).xreplace(inside)


def expanded(value: Any) -> Any:
    """A formula as a sum of products; powers of sums in the exponent only where there are symbols in one."""
    if value.is_Atom:
        return value
    exponents = any(p.exp.free_symbols for p in value.atoms(sympy.Pow))
    return sympy.expand(value, power_base=False, power_exp=exponents, log=False, basic=False)


def canonical(value: Any, even: Mapping[Any, None]) -> Any:
    """A formula as a sum of products; nested floors collapse, and divisions that are taken to be even are quotients."""
    if value.is_Atom:
        return value
    inside = {type(part) for part in sympy.preorder_traversal(value)}
    if inside & {sympy.Max, sympy.Min}:
        return apart(value, lambda v: canonical(v, even))
    if sympy.Mod in inside:
        value = value.replace(sympy.Mod, lambda a, b: a - b * sympy.floor(a / b, evaluate=False))
    if inside & {sympy.floor, sympy.ceiling, sympy.Mod}:
        value = value.replace(sympy.ceiling, lambda x: -_floor(-x, even)).replace(
            sympy.floor, lambda x: _floor(x, even)
        )
    value = expanded(value)
    if sympy.Pow in inside and any(map(_composed, value.atoms(sympy.Pow))):
        value = expanded(value.replace(_composed, _over_primes))
    return value


def _composed(value: Any) -> bool:
    """Whether it is a power of a composite number with symbols in the exponent: 4^N, not 2^N."""
    return bool(value.is_Pow and value.base.is_Rational and value.exp.free_symbols and not sympy.isprime(value.base))


def _over_primes(value: Any) -> Any:
    return sympy.Mul(*(sympy.Pow(p, e * value.exp) for p, e in sympy.factorrat(value.base).items()))


def _parts(value: Any) -> Any:
    return sympy.preorder_traversal(value)


def _is_square(value: Any) -> bool:
    """Whether it is a power with a whole positive exponent."""
    return bool(value.is_Pow and value.exp.is_Integer and value.exp > 0)


def terms_of(value: Any) -> dict[Any, Any]:
    """The products of an expanded formula with their coefficients."""
    return {term: c for c, term in (t.as_coeff_Mul() for t in sympy.Add.make_args(value))}


def floor(value: Any) -> Any:
    """⌊value⌋: ⌊(⌊x⌋ + b)/c⌋ is ⌊(x + b)/c⌋, and what divides evenly comes out.

    >>> H = sympy.Symbol("H", integer=True, positive=True)
    >>> floor((floor((H + 1) / 2) + 1) / 2), floor((6 * H + 5) / 3), floor((3 - H) / 4)
    (floor(H/4 + 3/4), 2*H + 1, -floor(H/4))
    """
    return _floor(value, {})


def _floor(value: Any, even: Mapping[Any, None]) -> Any:
    if value.is_integer:
        return value
    value = sympy.expand(value)
    if even or any(not c.is_Rational for c in _denominators(value)):
        ratio = sympy.cancel(value)
        if ratio in even or ratio.is_integer:
            return ratio
        top, below = sympy.fraction(sympy.together(ratio))
        if below.free_symbols:
            return sympy.floor(top / below, evaluate=False)
    terms = terms_of(value)
    d = sympy.ilcm(1, *(c.q for c in terms.values()))
    if d == 1:
        return sympy.floor(value)
    top = {t: int(c * d) for t, c in terms.items()}
    inner = [t for t, c in top.items() if c == 1 and isinstance(t, sympy.floor)]
    if len(inner) == 1 and all(t.is_integer for t in top):
        rest = sympy.Add(*(t * c for t, c in top.items() if t is not inner[0]))
        return _floor((inner[0].args[0] + rest) / d, even)
    out, left = [], {}
    for t, c in top.items():
        if t is sympy.S.One:
            out.append(c // d * t)
            left[t] = c % d
        elif c % d == 0 and t.is_integer:
            out.append(c // d * t)
        else:
            left[t] = c
    moving = [t for t in left if t is not sympy.S.One]
    if not moving:
        return sympy.Add(*out)
    constant = left.get(sympy.S.One, 0)
    if left[max(moving, key=_rank)] < 0:  # ⌊−x/d⌋ = −⌊(x + d − 1)/d⌋
        rest = sympy.Add(*(-left[t] * t for t in moving), d - 1 - constant)
        return sympy.Add(*out) - _floor(rest / d, even)
    common = int(sympy.igcd(d, *(left[t] for t in moving)))
    if common > 1 and all(t.is_integer for t in moving):  # the constant rounds down: the rest is whole
        rest = sympy.Add(*(left[t] // common * t for t in moving), constant // common)
        return sympy.Add(*out) + _floor(rest / (d // common), even)
    return sympy.Add(*out, sympy.floor(sympy.Add(*(left[t] * t for t in moving), constant) / d, evaluate=False))


def _rank(term: Any) -> Any:
    return term.sort_key()


def _denominators(value: Any) -> list[Any]:
    return [sympy.fraction(t)[1] for t in sympy.Add.make_args(value)]


def lowest(value: Any, declared: Mapping[Any, Declared]) -> Any:
    """A number that a formula is never below, from the least values of its symbols; None if none is found."""
    value = sympy.sympify(value)
    if value.is_Number:
        return value
    if isinstance(value, (sympy.Max, sympy.Min)):
        lows = [lowest(v, declared) for v in value.args]
        known = [v for v in lows if v is not None]
        if isinstance(value, sympy.Max):
            return max(known) if known else None
        return min(known) if len(known) == len(lows) else None
    direct = _shifted(value, declared)
    if direct is None and value.has(sympy.floor):
        return _shifted(_unfloored(expanded(value), declared), declared)
    return direct


def _shifted(value: Any, declared: Mapping[Any, Declared]) -> Any:
    """The constant after every atom has been written as its least value plus something ≥ 0, if no other coefficient is
    negative then."""
    moved: dict[Any, Any] = {}
    for atom in _atoms(value):
        low = _low(atom, declared)
        if low is None:
            return None
        moved[atom] = _above(atom) + low
    constant = sympy.S.Zero
    for term, c in terms_of(expanded(value.xreplace(moved))).items():
        if term is sympy.S.One:
            constant = c
        elif c < 0 or any(f.as_base_exp()[1].is_negative for f in sympy.Mul.make_args(term)):
            return None
    return constant


@lru_cache(maxsize=4096)
def _above(atom: Any) -> Any:
    return sympy.Dummy(nonnegative=True)


def _atoms(value: Any) -> set[Any]:
    """What a polynomial is made of: symbols, floors, extrema, powers with symbols in the exponent."""
    found: set[Any] = set()
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if one.is_Add or one.is_Mul:
            waiting += one.args
        elif one.is_Pow and one.exp.is_Integer:
            waiting.append(one.base)
        elif not one.is_Number:
            found.add(one)
    return found


def _low(atom: Any, declared: Mapping[Any, Declared]) -> Any:
    """A number that an atom is never below, or None."""
    if atom.is_Number:
        return atom
    if atom.is_Symbol:
        known = declared.get(atom)
        return known.start if known is not None else 1 if atom.is_positive else 0 if atom.is_nonnegative else None
    if isinstance(atom, sympy.floor):
        low = lowest(atom.args[0], declared)
        if low is None:
            top, below = sympy.fraction(atom.args[0])
            under = lowest(below, declared) if below.free_symbols else None
            over = lowest(top, declared) if under is not None and under > 0 else None
            return 0 if over is not None and over >= 0 else None
        return low // 1
    if isinstance(atom, (sympy.Max, sympy.Min)):
        return lowest(atom, declared)
    if atom.is_Pow:
        base, exponent = lowest(atom.base, declared), lowest(atom.exp, declared)
        if base is not None and exponent is not None and base >= 1 and exponent >= 0:
            return base**exponent
    return None


def _unfloored(value: Any, declared: Mapping[Any, Declared]) -> Any:
    """A formula that is never larger, without floors: ⌊x/d⌋ ≥ (x − d + 1)/d where it counts up, ≤ x/d where down.

    Only where what stands beside the floor is never negative, and one floor a term where it counts up.
    """
    found = []
    for term, c in terms_of(value).items():
        pairs = [f.as_base_exp() for f in sympy.Mul.make_args(term)]
        floors = [b for b, e in pairs if isinstance(b, sympy.floor) and e == 1 and _step(b) is not None]
        lows = [_low(b, declared) if e.is_positive else None for b, e in pairs]
        if floors and all(low is not None and low >= 0 for low in lows) and (c < 0 or len(floors) == 1):
            less = sympy.S.One if c > 0 else sympy.S.Zero
            term = term.xreplace({f: f.args[0] - less + less / _step(f) for f in floors})
        found.append(c * term)
    return sympy.Add(*found)


def _step(value: Any) -> int | None:
    """d where a floor is ⌊x/d⌋ of a whole x."""
    terms = terms_of(sympy.expand(value.args[0]))
    return int(sympy.ilcm(1, *(c.q for c in terms.values()))) if all(t.is_integer for t in terms) else None
