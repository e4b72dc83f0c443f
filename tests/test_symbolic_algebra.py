"""The algebra of formulas: every operation, on random formulas, is the operation on the numbers put in."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcalc.core.size import decide, maximum, minimum, walking_with
from rfcalc.formulas.algebra import SympyAlgebra
from rfcalc.formulas.forms import plain
from rfcalc.formulas.symbols import Declared, SymbolError, declarations
from rfcalc.formulas.writing import FORMS, show

SYMBOLS = (
    Declared("H"),
    Declared("W", 4, 3),
    Declared("K", 2, 1),
    Declared("α", Fraction(1, 8), 0, Fraction(1, 8)),
    Declared("N", 1, 0, 0),
)
NAMES = {"α": "alpha"}
ALGEBRA = SympyAlgebra(SYMBOLS)


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
            value, number = walked(work, value, d), with_number(work, number, d)
        else:
            work = BINARY[sign]
            value, number = walked(work, value, other), with_other(work, number, second)
    return value, number


def walked(work, *sizes):
    """What a rule computes, in one form."""
    with walking_with(ALGEBRA):
        return ALGEBRA.settle(work(*sizes))


def put(value: object, at: dict[str, object]) -> object:
    """A formula with numbers put in for the symbols by name."""
    told = ALGEBRA.shown(value)
    return plain(told.subs({d.symbol: sympy.sympify(at[d.name]) for d in SYMBOLS}))


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
    with walking_with(ALGEBRA):
        answers = decide(a >= b), decide(a > b), decide(a <= b), decide(a == b) or None
    truths = f(at) >= g(at), f(at) > g(at), f(at) <= g(at), f(at) == g(at)
    for answer, truth in zip(answers, truths, strict=True):
        assert answer is None or answer == truth
    low = ALGEBRA.lowest(a)
    assert low is None or f(at) >= low


@settings(max_examples=150, deadline=None)
@given(trees(), POINTS)
def test_what_is_printed_as_python_computes_it(tree, point) -> None:
    value, number = tree
    at = values(point)
    names = {NAMES.get(n, n): Fraction(v) if n == "α" else v for n, v in at.items()}
    told = ALGEBRA.shown(value)
    assert eval(show(told, "python"), {"max": max, "min": min}, names) == number(at)
    for form in FORMS:
        assert show(told, form)


ALPHA, HEIGHT = sympy.Symbol("α", positive=True), sympy.Symbol("H", integer=True, positive=True)


@pytest.mark.parametrize(
    ("formula", "told", "python"),
    [  # ⌊(x + d − 1)/d⌋ = ⌈x/d⌉ holds for whole numbers x alone
        (-sympy.floor(2 * ALPHA + sympy.Rational(1, 2)), "−⌊(4α + 1)/2⌋", "-((4*alpha + 1)//2)"),
        (sympy.floor(HEIGHT / 2 + sympy.Rational(1, 2)), "⌈H/2⌉", "(-(-H//2))"),
        (sympy.floor(32 * ALPHA), "⌊32α⌋", "(32*alpha//1)"),
        (sympy.ceiling(HEIGHT / 3), "⌈H/3⌉", "(-(-H//3))"),
    ],
)
def test_what_is_rounded(formula, told, python) -> None:
    assert (show(formula), show(formula, "python")) == (told, python)


@settings(max_examples=80, deadline=None)
@given(trees(), trees())
def test_formulas_are_canonical(one, two) -> None:
    (a, _), (b, _) = one, two
    settle = ALGEBRA.settle
    assert settle(a + b) == settle(b + a)
    assert settle(a * b) == settle(b * a)
    assert settle(settle(a + b) - b) == settle(a)
    assert show(ALGEBRA.shown(a + b)) == show(ALGEBRA.shown(b + a))
    assert isinstance(settle(a - a), int)


FIFTHS = ("5(H − 3)/4", "5 (H - 3)/4", r"\frac{5 \left(H - 3\right)}{4}", "5*(H - 3)//4")


@pytest.mark.parametrize(
    ("symbol", "work", "texts"),
    [
        (Declared("C"), lambda c: 27 * c**2, ("27C²", "27 C^2", "27 C^{2}", "27*C**2")),
        (Declared("H"), lambda h: h // 2, ("⌊H/2⌋", "floor(H/2)", r"\lfloor H/2 \rfloor", "(H//2)")),
        (Declared("H"), lambda h: -(-h // 2), ("⌈H/2⌉", "ceil(H/2)", r"\lceil H/2 \rceil", "(-(-H//2))")),
        (Declared("H", 4, 3), lambda h: h // 4 * 5, FIFTHS),
        (Declared("N"), lambda n: 2**n - 1, ("2^N − 1", "2^N - 1", "2^{N} - 1", "2**N - 1")),
        (Declared("α", Fraction(1, 32), 0, 1), lambda a: 32 * a, ("32α", "32 alpha", r"32 \alpha", "32*alpha")),
    ],
)  # fmt: skip
def test_how_formulas_are_written(symbol: Declared, work, texts: tuple[str, ...]) -> None:
    told = SympyAlgebra([symbol]).shown(work(symbol.value))
    assert tuple(show(told, form) for form in FORMS) == texts


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
    odd = Declared("K", 2, 1)
    assert odd.behind(5) == 2
    assert odd.value.free_symbols == {odd.quotient}
    for wrong in (4, -1):
        with pytest.raises(SymbolError, match="odd"):
            odd.behind(wrong)


def test_divisions_in_python_are_exact_behind_powers() -> None:
    c, n = sympy.symbols("C N", integer=True, positive=True)
    for formula in (c * (4 - 3 / 4**n) * 4**5, 56 * c * (4**n - 1) / (3 * 4**n) * 3 * 4**5, c - c / 2**n * 32):
        for count in (1, 2, 5):
            told = eval(show(formula, "python"), {"C": 7, "N": count})
            assert told == formula.subs({c: 7, n: count}), show(formula, "python")


def test_texts_depend_on_no_order_of_calls_and_no_hash_seed() -> None:
    first = "import rfcalc; rfcalc.symbolic('{}').totals.macs; print(rfcalc.symbolic('{}'))"
    texts = set()
    for seed, code in (
        ("1", first.format("resnet18", "vgg16")),
        ("2", "import rfcalc; print(rfcalc.symbolic('vgg16'))"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
            encoding="utf-8",
        )
        texts.add(done.stdout)
    assert len(texts) == 1
