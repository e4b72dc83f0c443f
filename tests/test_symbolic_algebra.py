"""The algebra of formulas: every operation, on random formulas, is the operation on the numbers put in."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcalc.core.size import decide, maximum, minimum
from rfcalc.formulas.polynomials.bounds import least
from rfcalc.formulas.polynomials.declare import declarations
from rfcalc.formulas.polynomials.poly import Poly, Symbol, SymbolError, put, symbols_of
from rfcalc.formulas.polynomials.show import FORMS, show

SYMBOLS = (
    Symbol("H"),
    Symbol("W", 4, 3),
    Symbol("K", 2, 1),
    Symbol("α", Fraction(1, 8), 0, Fraction(1, 8)),
    Symbol("N", 1, 0, 0),
)
NAMES = {"α": "alpha"}


@st.composite
def formulas(draw: st.DrawFn) -> tuple[object, object]:
    """A formula, and the function that computes the same with numbers."""
    if draw(st.integers(0, 3)) == 0:
        value = draw(st.integers(-9, 12))
        return value, lambda _: value
    symbol = draw(st.sampled_from(SYMBOLS))
    if symbol.name == "α":
        return 8 * symbol.value, lambda v: int(8 * v["α"])
    return symbol.value, lambda v: v[symbol.name]


BINARY = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "m": minimum,
    "M": maximum,
}
BY_NUMBER = {"/": lambda a, d: a // d, "%": lambda a, d: a % d, "^": lambda a, _: a**2}


def with_number(work, f, d):
    return lambda v: work(f(v), d)


def with_other(work, f, g):
    return lambda v: work(f(v), g(v))


@st.composite
def trees(draw: st.DrawFn) -> tuple[object, object]:
    """A random expression of the operations that rules use."""
    value, number = draw(formulas())
    for _ in range(draw(st.integers(1, 5))):
        other, second = draw(formulas())
        sign = draw(st.sampled_from([*BINARY, *BY_NUMBER]))
        if sign in BY_NUMBER:
            work, d = BY_NUMBER[sign], draw(st.integers(1, 7))
            value, number = work(value, d), with_number(work, number, d)
        else:
            work = BINARY[sign]
            value, number = work(value, other), with_other(work, number, second)
    return value, number


def values(draw_t: list[int]) -> dict[str, object]:
    found = {}
    for symbol, t in zip(SYMBOLS, draw_t, strict=True):
        value = symbol.modulus * (symbol.start + t) + symbol.residue
        found[symbol.name] = int(value) if Fraction(value).denominator == 1 else value
    return found


POINTS = st.lists(st.integers(0, 40), min_size=len(SYMBOLS), max_size=len(SYMBOLS))


@settings(max_examples=250, deadline=None)
@given(trees(), POINTS)
def test_formulas_compute_what_numbers_compute(tree, point) -> None:
    value, number = tree
    at = values(point)
    assert put(value, at) == number(at)


@settings(max_examples=150, deadline=None)
@given(trees(), trees(), POINTS)
def test_what_is_decided_holds_everywhere(one, two, point) -> None:
    (a, f), (b, g) = one, two
    at = values(point)
    for answer, truth in (
        (decide(a >= b), f(at) >= g(at)),
        (decide(a > b), f(at) > g(at)),
        (decide(a <= b), f(at) <= g(at)),
        (decide(a == b) or None, f(at) == g(at)),
    ):
        assert answer is None or answer == truth
    low = least(a)
    assert low is None or f(at) >= low


@settings(max_examples=150, deadline=None)
@given(trees(), POINTS)
def test_what_is_printed_as_python_computes_it(tree, point) -> None:
    value, number = tree
    at = values(point)
    names = {NAMES.get(n, n): Fraction(v) if n == "α" else v for n, v in at.items()}
    assert eval(show(value, "python"), {"max": max, "min": min}, names) == number(at)
    for form in FORMS:
        assert show(value, form)


@settings(max_examples=80, deadline=None)
@given(trees(), trees())
def test_formulas_are_canonical(one, two) -> None:
    (a, _), (b, _) = one, two
    assert a + b == b + a
    assert a * b == b * a
    assert (a + b) - b == a
    assert hash(a + b) == hash(b + a)
    assert isinstance(a - a, int)


def test_sympy_agrees_on_polynomials() -> None:
    c, k = Symbol("C").value, Symbol("K").value
    formula = (3 * c + k) ** 3 - c * (k - 2) ** 2
    theirs = sympy.sympify(show(formula, "python"))
    assert sympy.expand(theirs - ((3 * sympy.Symbol("C") + sympy.Symbol("K")) ** 3)) == sympy.expand(
        -sympy.Symbol("C") * (sympy.Symbol("K") - 2) ** 2
    )


FIFTHS = ("5(H − 3)/4", "5 (H - 3)/4", r"\frac{5 \left(H - 3\right)}{4}", "5*(H - 3)//4")


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (27 * Symbol("C").value ** 2, ("27C²", "27 C^2", "27 C^{2}", "27*C**2")),
        (Symbol("H").value // 2, ("⌊H/2⌋", "floor(H/2)", r"\lfloor H/2 \rfloor", "(H//2)")),
        (-(-Symbol("H").value // 2), ("⌈H/2⌉", "ceil(H/2)", r"\lceil H/2 \rceil", "(-(-H//2))")),
        (Symbol("H", 4, 3).value // 4 * 5, FIFTHS),
        (2 ** Symbol("N").value - 1, ("2^N − 1", "2^N - 1", "2^{N} - 1", "2**N - 1")),
        (32 * Symbol("α", Fraction(1, 32)).value, ("32α", "32 alpha", r"32 \alpha", "32*alpha")),
    ],
)  # fmt: skip
def test_how_formulas_are_written(value: Poly, texts: tuple[str, ...]) -> None:
    assert tuple(show(value, form) for form in FORMS) == texts


def test_declarations() -> None:
    said = declarations("K odd, S even, H divisible by 32, W = 32m + 3, C >= 16, D > 2")
    assert {n: s.key[1:] for n, s in said.items()} == {
        "K": (2, True, 1),
        "S": (2, False, 1),
        "H": (32, 0, 1),
        "W": (32, 3, 1),
        "C": (1, 0, 16),
        "D": (1, 0, 3),
    }
    for wrong in ("odd K", "K odd, K even", "C >= 1, C >= 2", "H divisible by 0", "K ~ 3"):
        with pytest.raises(SymbolError):
            declarations(wrong)


def test_symbols_refuse_what_they_were_declared_not_to_be() -> None:
    odd = Symbol("K", 2, 1)
    assert odd.value.put({"K": 5}) == 5
    assert symbols_of(odd.value) == {odd}
    for wrong in (4, -1):
        with pytest.raises(SymbolError, match="odd"):
            odd.value.put({"K": wrong})
