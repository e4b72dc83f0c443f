"""Writes formulas: Unicode, plain ASCII, LaTeX, Python.

>>> C, H = sympy.symbols("C H", positive=True, integer=True)
>>> for form in FORMS:
...     print(show(27 * C**2 * (H // 2) + 1024, form))
27C²⌊H/2⌋ + 1,024
27 C^2 floor(H/2) + 1024
27 C^{2} \\lfloor H/2 \\rfloor + 1{,}024
27*C**2*(H//2) + 1024
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any

import sympy

from rfcalc.formulas.forms import NotClosed, told
from rfcalc.formulas.symbols import GREEK, LETTERS
from rfcalc.formulas.tree import Num, Product, Sum, SymbolName, TreeFunction, tree

FORMS = ("unicode", "plain", "latex", "python")
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")

MOST_BASE = 1024
ADD, MULTIPLY, POWER, TIGHT = range(4)


def show(value: Any, form: str = "unicode") -> str:
    """A formula or number as text.

    Args:
        value: a formula, a whole number or a fraction; None is a dash.
        form: one of `FORMS`; ``ratio`` is Python where a quotient need not be whole.
    """
    if value is None:
        return "–" if form != "plain" else "-"
    if isinstance(value, (str, NotClosed)):
        return str(value) if form != "python" else "None"
    return _written(told(sympy.sympify(value)), form)


@lru_cache(maxsize=4096)
def _written(value: Any, form: str) -> str:
    return _Writer(form).write(tree(value, form == "python"), ADD)


class _Writer:
    """One form; `write` puts parentheses where the place binds tighter than what stands in it."""

    def __init__(self, form: str) -> None:
        self.form = form
        self.latex, self.python = form == "latex", form in ("python", "ratio")

    def write(self, t: Any, place: int) -> str:
        ways: dict[type, Any] = {
            Num: self.num,
            SymbolName: self.name,
            TreeFunction: self.call,
            Product: self.product,
            Sum: self.sum,
        }
        text, binds = ways[type(t)](t)
        return self.brackets(text) if binds < place else str(text)

    def brackets(self, text: str) -> str:
        return rf"\left({text}\right)" if self.latex else f"({text})"

    def num(self, t: Num) -> tuple[str, int]:
        value = Fraction(int(t.value.p), int(t.value.q))
        text = self.digits(abs(value.numerator))
        sign = self.minus() if value < 0 else ""
        if value.denominator == 1:
            return sign + text, TIGHT if value >= 0 else ADD
        return sign + self.over(text, self.digits(value.denominator)), MULTIPLY if value >= 0 else ADD

    def digits(self, n: int) -> str:
        if self.form in ("python", "plain", "ratio"):
            return str(n)
        return f"{n:,}".replace(",", "{,}") if self.latex else f"{n:,}"

    def minus(self) -> str:
        return "−" if self.form == "unicode" else "-"

    def over(self, top: str, below: str) -> str:
        if self.latex:
            return rf"\frac{{{top}}}{{{below}}}"
        return f"{top}{'//' if self.form == 'python' else '/'}{below}"

    def name(self, t: SymbolName) -> tuple[str, int]:
        return self.spelled(t.name), TIGHT

    def spelled(self, name: str) -> str:
        letter = LETTERS.get(name, name)
        if self.form == "unicode":
            return letter
        word = GREEK.get(letter, name)
        if self.latex:
            word = word.rstrip("_")
            return f"\\{word}" if letter in GREEK else word if len(word) == 1 else rf"\mathrm{{{word}}}"
        return word

    def sum(self, t: Sum) -> tuple[str, int]:
        text = ""
        for i, term in enumerate(t.terms):
            negative = (isinstance(term, Num) and term.value < 0) or (isinstance(term, Product) and term.number < 0)
            if negative:
                term = Num(-term.value) if isinstance(term, Num) else Product(-term.number, term.factors)
            sign = self.minus() if negative else "+"
            text += ("" if i == 0 and not negative else sign if i == 0 else f" {sign} ") + self.write(term, MULTIPLY)
        return text, ADD

    def product(self, t: Product) -> tuple[str, int]:
        number = Fraction(int(t.number.p), int(t.number.q))
        above: list[tuple[str, bool]] = []
        below: list[tuple[str, bool]] = []
        if abs(number.numerator) != 1:
            above.append((self.digits(abs(number.numerator)), False))
        if number.denominator != 1:
            below.append((self.digits(number.denominator), False))
        tight = len(t.factors) + len(above) > 1
        for factor, e in t.factors:
            split = isinstance(factor, TreeFunction) and factor.name == "power" and isinstance(factor.parts[0], Num)
            word = isinstance(factor, SymbolName) and len(self.spelled(factor.name)) > 1
            word = word or (isinstance(factor, TreeFunction) and factor.name in ("max", "min"))
            (above if e > 0 else below).append((self.raised(factor, abs(e), tight), split or word))
        top = self.join(above) if above else "1"
        sign = self.minus() if number < 0 else ""
        if not below:
            return sign + top, MULTIPLY if not sign else ADD
        if len(above) == 1 and t.factors[0][1] == 1 and isinstance(t.factors[0][0], Sum) and not self.latex:
            top = self.write(t.factors[0][0], MULTIPLY)
        bottom = self.join(below)
        if len(below) > 1 and not self.latex:
            bottom = self.brackets(bottom)
        return sign + self.over(top, bottom), MULTIPLY if not sign else ADD

    def join(self, parts: list[tuple[str, bool]]) -> str:
        if self.python:
            return "*".join(text for text, _ in parts)
        if self.latex or self.form == "plain":
            times = r" \cdot " if self.latex else " * "
            return "".join(
                (times if i and t[0].isdecimal() else " " if i else "") + t for i, (t, _) in enumerate(parts)
            )
        text = ""
        apart = False
        for part, word in parts:
            digit = bool(text) and part[0].isdecimal()
            text += ("·" if text and (word or apart or digit) else "") + part
            apart = word
        return text

    def raised(self, t: Any, e: int, tight: bool) -> str:
        if isinstance(t, TreeFunction) and t.name == "power":
            base, exponent = t.parts
            if isinstance(base, Num) and base.value**e <= MOST_BASE:
                base, e = Num(base.value**e), 1  # 2^(2N) = 4^N
            inner = exponent if e == 1 else Product(sympy.Integer(e), ((exponent, 1),))
            return self.exponent(self.write(base, TIGHT), inner)
        if e == 1:
            return self.write(t, (POWER if isinstance(t, Sum) else MULTIPLY) if tight else ADD)
        return self.exponent(self.write(t, TIGHT), Num(sympy.Integer(e)))

    def exponent(self, base: str, e: Any) -> str:
        if self.latex:
            return f"{base}^{{{self.write(e, ADD)}}}"
        if self.python:
            return f"{base}**{self.write(e, TIGHT)}"
        if self.form == "unicode" and isinstance(e, Num):
            return base + str(e.value).translate(_RAISED)
        if self.form == "unicode" and isinstance(e, SymbolName) and e.name in _SMALL:
            return base + _SMALL[e.name]
        return f"{base}^{self.write(e, TIGHT)}"

    def call(self, t: TreeFunction) -> tuple[str, int]:
        if t.name == "power":
            return self.raised(t, 1, True), POWER
        if t.name in ("floor", "ceil"):
            top, below = t.parts
            if self.python:
                if t.name == "ceil":
                    return f"(-(-{self.write(top, POWER)}//{self.write(below, TIGHT)}))", TIGHT
                return f"({self.write(top, MULTIPLY)}//{self.write(below, TIGHT)})", TIGHT
            whole = isinstance(below, Num) and below.value == 1
            text = self.write(top, ADD) if whole else f"{self.write(top, MULTIPLY)}/{self.write(below, TIGHT)}"
            if self.latex:
                return rf"\l{t.name} {text} \r{t.name}", TIGHT
            return (
                f"{t.name}({text})"
                if self.form == "plain"
                else f"{'⌊⌈'[t.name == 'ceil']}{text}{'⌋⌉'[t.name == 'ceil']}",
                TIGHT,
            )
        inner = ", ".join(self.write(part, ADD) for part in t.parts)
        return (rf"\{t.name}\left({inner}\right)" if self.latex else f"{t.name}({inner})"), TIGHT


_SMALL = {"n": "ⁿ", "i": "ⁱ"}
