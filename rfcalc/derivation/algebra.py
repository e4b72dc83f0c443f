"""Formulas as they stand on a blackboard: with names, or with the numbers put in; in Unicode, ASCII or LaTeX.

A formula's expression is read as Python reads it, and written with the signs of a style. A division that comes out even
is written as one; otherwise what rounds it stands around it: ⌊213 / 4⌋. Imports the model only.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from rfcalc.core.cost import Formula
from rfcalc.core.size import is_number

if TYPE_CHECKING:
    from rfcalc.derivation.model import Equation

MOST_FACTORS = 5  # of a product that is written out with names
MOST_TERMS = 8  # of a sum that is written out with numbers

# The lesson's names: what a walk carries from one map to the next
NAMED = {"F": "F(i+1)", "r": "r(i−1)", "S": "S(i−1)", "P": "P(i−1)", "c": "c(i−1)"}
HEADS = {"F": "F(i)", "r": "r(i)", "S": "S(i)", "P": "P(i)", "c": "c(i)"}
_INDEXED = re.compile(r"(\w)\(i([+−-]1)?\)")


class SignStyle(NamedTuple):
    """How signs are written."""

    times: str
    minus: str
    floor: tuple[str, str]
    ceil: tuple[str, str]
    dots: str
    latex: bool = False


UNICODE = SignStyle(" × ", "−", ("⌊", "⌋"), ("⌈", "⌉"), "…")
ASCII = SignStyle(" x ", "-", ("floor(", ")"), ("ceil(", ")"), "...")
LATEX = SignStyle(r" \times ", "-", (r"\lfloor ", r" \rfloor"), (r"\lceil ", r" \rceil"), r"\dots", latex=True)

_SUM, _PRODUCT, _POWER, _ATOM = 1, 2, 3, 4
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: Any, style: SignStyle = UNICODE) -> str:
    """A value as text: thousands grouped, fractions as 31/2, symbols as 27C².

    >>> number(138357544), number(Fraction(31, 2)), number(Fraction(-1000, 1001)), number(-3)
    ('138,357,544', '31/2', '−1,000/1,001', '−3')
    """
    if isinstance(value, (tuple, list)):
        return style.times.join(number(v, style) for v in value)
    if isinstance(value, Fraction) and value.denominator != 1:
        above, below = (number(n, style) for n in (abs(value.numerator), value.denominator))
        text = rf"\frac{{{above}}}{{{below}}}" if style.latex else f"{above}/{below}"
        return (style.minus if value < 0 else "") + text
    if isinstance(value, (int, Fraction)) or is_number(value):
        text = f"{abs(int(value)):,}"
        text = text.replace(",", "{,}") if style.latex else text
        return (style.minus if value < 0 else "") + text
    return "–" if value is None else symbol(value, style)


def symbol(value: Any, style: SignStyle) -> str:
    """A symbolic size: ``27*C**2`` as 27C²."""
    from rfcalc.formulas.writing import show

    return show(value, "latex" if style.latex else "plain" if style is ASCII else "unicode")


def named(equation: Equation, style: SignStyle) -> str:
    """The formula with its names: ``F(i) = (F(i+1) − 1) × s + k`` without what stands before the sign."""
    carried = equation.carried if equation.subject in HEADS else ()
    return _Writer(style, equation.operands, names={n: NAMED[n] for n in carried if n in NAMED}).text(
        equation.formula.expression
    )


def filled(equation: Equation, style: SignStyle) -> str:
    """The formula with the numbers put in: ``(2 − 1) × 1 + 3``."""
    return _Writer(style, equation.operands).text(equation.formula.expression)


def reduced(equation: Equation, style: SignStyle) -> str:
    """Where a division does not come out even: what is divided, worked out: ``⌊213 / 4⌋ + 1``; else nothing."""
    writer = _Writer(style, equation.operands, reduce=True)
    text = writer.text(equation.formula.expression)
    same = text.replace(" ", "") == number(equation.value, style).replace(" ", "")
    return text if writer.reduced and text != filled(equation, style) and not same else ""


def head(subject: str, style: SignStyle) -> str:
    """What stands before the sign in the formula with names."""
    return _styled(HEADS.get(subject, subject), style)


def marked(equation: Equation, style: SignStyle, mark: Callable[[str], str]) -> str:
    """As `filled`, with every carried operand marked: what changes from line to line."""
    return _Writer(style, equation.operands, marks=dict.fromkeys(equation.carried, mark)).text(
        equation.formula.expression
    )


def _styled(text: str, style: SignStyle) -> str:
    if style.latex:
        text = _INDEXED.sub(lambda m: f"{m[1]}_{{i{(m[2] or '').replace('−', '-')}}}", text)
        if re.fullmatch(r"[A-Za-z][\w ]+", text):
            text = r"\text{" + text.replace("_", r"\_") + "}"
        return text
    return text.replace("−", style.minus)


@lru_cache(maxsize=256)
def _parsed(expression: str) -> ast.expr:
    return ast.parse(expression, mode="eval").body


class _Writer:
    """Writes one expression; each method returns the text and how tightly it binds."""

    def __init__(
        self,
        style: SignStyle,
        operands: Mapping[str, Any],
        names: Mapping[str, str] | None = None,
        reduce: bool = False,
        marks: Mapping[str, Callable[[str], str]] | None = None,
    ) -> None:
        self.style, self.operands, self.names, self.reduce = style, operands, names, reduce
        self.marks = marks or {}
        self.reduced = False
        self.ways: dict[type, Callable[[Any], tuple[str, int]]] = {
            ast.BinOp: self.binary,
            ast.UnaryOp: self.negative,
            ast.Call: self.call,
            ast.Name: self.name,
            ast.Constant: lambda node: (number(node.value, style), _ATOM),
        }

    def text(self, expression: str) -> str:
        return self.write(_parsed(expression))[0]

    def write(self, node: ast.expr) -> tuple[str, int]:
        return self.ways[type(node)](node)

    def value(self, node: ast.expr) -> Any:
        """What a part of the expression comes to."""
        return Formula("", ast.unparse(node), "")(**self.operands)

    def bracketed(self, node: ast.expr, least: int) -> str:
        text, tight = self.write(node)
        return f"({text})" if tight < least else text

    def binary(self, node: ast.BinOp) -> tuple[str, int]:
        kind = type(node.op)
        if kind in (ast.Add, ast.Sub):
            sign = "+" if kind is ast.Add else self.style.minus
            right = self.bracketed(node.right, _SUM if kind is ast.Add else _PRODUCT)
            return f"{self.bracketed(node.left, _SUM)} {sign} {right}", _SUM
        if kind is ast.Mult:
            return f"{self.bracketed(node.left, _PRODUCT)}{self.style.times}{self.factor(node.right)}", _PRODUCT
        if kind in (ast.FloorDiv, ast.Div):
            return self.divided(node.left, node.right, self.style.floor if kind is ast.FloorDiv else None)
        assert kind is ast.Pow, node
        base, power = self.bracketed(node.left, _ATOM), self.write(node.right)[0]
        raised = f"^{{{power}}}" if self.style.latex else power.translate(_RAISED) if power.isdecimal() else f"^{power}"
        return base + (f"^{power}" if self.style is ASCII else raised), _POWER

    def factor(self, node: ast.expr) -> str:
        """The right side of a product: a quotient there needs brackets, as it binds as tightly."""
        text, tight = self.write(node)
        division = isinstance(node, ast.BinOp) and isinstance(node.op, (ast.FloorDiv, ast.Div))
        return f"({text})" if tight < _PRODUCT or (division and tight == _PRODUCT) else text

    def divided(self, above: ast.expr, below: ast.expr, rounded: tuple[str, str] | None) -> tuple[str, int]:
        top, bottom = self.value(above), self.value(below)
        even = rounded is None or (is_number(top) and is_number(bottom) and bottom != 0 and top % bottom == 0)
        if self.reduce and not even and not isinstance(above, (ast.Name, ast.Constant)):
            self.reduced = True
            upper, lower = number(top, self.style), number(bottom, self.style)
            if not self.style.latex:
                upper, lower = _bracketed(top, self.style), _divisor(bottom, self.style)
        elif self.style.latex:
            upper, lower = self.write(above)[0], self.write(below)[0]
        else:
            upper, lower = self.bracketed(above, _PRODUCT), self.bracketed(below, _ATOM)
            if not even and rounded is not None:
                upper = self.write(above)[0] if self.write(above)[1] >= _PRODUCT else upper
        quotient = rf"\frac{{{upper}}}{{{lower}}}" if self.style.latex else f"{upper} / {lower}"
        if even or rounded is None:
            return quotient, _ATOM if self.style.latex else _PRODUCT
        if self.style.latex:
            return rf"\left{rounded[0]}{quotient}\right{rounded[1].strip()}", _ATOM
        return f"{rounded[0]}{quotient}{rounded[1]}", _ATOM

    def negative(self, node: ast.UnaryOp) -> tuple[str, int]:
        return f"{self.style.minus}{self.bracketed(node.operand, _POWER)}", _SUM

    def name(self, node: ast.Name) -> tuple[str, int]:
        if self.names is not None:
            return _styled(self.names.get(node.id, node.id), self.style), _ATOM
        value = self.operands[node.id]
        text = number(value, self.style)
        loose = value is not None and not isinstance(value, tuple) and (_below_zero(value) or " " in text)
        mark = self.marks.get(node.id)
        text = text if mark is None else mark(text)
        return (f"({text})" if loose else text), _ATOM

    def call(self, node: ast.Call) -> tuple[str, int]:
        called = node.func.id if isinstance(node.func, ast.Name) else ""
        if called == "ceildiv":
            return self.divided(node.args[0], node.args[1], self.style.ceil)
        if called in ("min", "max"):
            sign = f"\\{called}" if self.style.latex else called
            return f"{sign}({', '.join(self.write(a)[0] for a in node.args)})", _ATOM
        (argument,) = node.args
        assert isinstance(argument, ast.Name), "prod and sum are of an operand"
        values = tuple(self.operands[argument.id])
        return self.sum(argument.id, values) if called == "sum" else self.product(argument.id, values)

    def product(self, name: str, values: tuple[Any, ...]) -> tuple[str, int]:
        tight = _ATOM if len(values) < 2 else _PRODUCT
        if self.names is None:
            return (self.style.times.join(_bracketed(v, self.style) for v in values) or "1"), tight
        if len(values) > MOST_FACTORS:
            return (rf"\prod {name}" if self.style.latex else f"∏{name}" if self.style is UNICODE else name), _PRODUCT
        if len(set(values)) == 1:
            return self.style.times.join([name] * len(values)), tight
        return self.style.times.join(_numbered(name, i, self.style) for i in range(1, len(values) + 1)) or "1", tight

    def sum(self, name: str, values: tuple[Any, ...]) -> tuple[str, int]:
        if self.names is not None:
            if self.style.latex:
                return rf"\sum {name}_i", _PRODUCT
            return (f"Σ{name}", _PRODUCT) if self.style is UNICODE else (f"sum({name})", _ATOM)
        shown = [_bracketed(v, self.style) if i else number(v, self.style) for i, v in enumerate(values)]
        if len(shown) > MOST_TERMS:
            shown = [*shown[: MOST_TERMS - 3], self.style.dots, shown[-1]]
        return (" + ".join(shown) or "0"), _SUM if len(shown) > 1 else _ATOM


def _numbered(name: str, i: int, style: SignStyle) -> str:
    if style.latex:
        return f"{name}_{i}"
    return f"{name}{i}" if style is ASCII else name + "₀₁₂₃₄₅₆₇₈₉"[i]


def _below_zero(value: Any) -> bool:
    return isinstance(value, (int, Fraction)) and value < 0


def _bracketed(value: Any, style: SignStyle) -> str:
    text = number(value, style)
    return f"({text})" if _below_zero(value) or " " in text else text


def _divisor(value: Any, style: SignStyle) -> str:
    """What stands below a line of text: in brackets where it has several parts, 2S as well as S + 1."""
    text = number(value, style)
    return text if is_number(value) or len(text) == 1 or text[0] in "⌊⌈(" else f"({text})"
