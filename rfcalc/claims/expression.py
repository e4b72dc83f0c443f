"""Expressions over metrics: a declared grammar, parsed and walked, never run as code.

::

    expression = term { ("+" | "-") term }
    term       = factor { ("*" | "/") factor }
    factor     = number | figure | sum | "(" expression ")" | "-" factor
    figure     = [network ":"] metric ["[" axis "]"] ["@" node]
    sum        = ("sum" | "max" | "min" | "count") "(" [network ":"] metric "@" nodes ")"
    number     = 24, 0.5, 24M, 4K
    nodes      = a node, a stage or block (all nodes in it), or a pattern with * and ?

Names with signs or spaces stand in single quotes: ``'resnet34-a':macs``, ``sum(values@'block 1')``. A figure of a node
means that node; ``sum`` adds what a stage holds. A figure with an axis each (``rf``) is a number where all agree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import NamedTuple

from rfcalc.core.errors import RfcalcError, UnknownName
from rfcalc.report import Report, Row
from rfcalc.report.metrics import metric

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d[\d_]*(?:\.\d+)?[KMGT]?(?![\w.]))|(?P<quoted>'[^']*')|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<at>@\s*(?:'[^']*'|[\w.*?]+))|(?P<sign>[-+*/():\[\]]))"
)
_SCALES = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_OVER: dict[str, Callable[[list[Fraction]], Fraction]] = {
    "sum": lambda v: sum(v, Fraction(0)),
    "max": max,
    "min": min,
    "count": lambda v: Fraction(sum(1 for x in v if x)),
}


class Setting(NamedTuple):
    """What an expression is evaluated under: the network and input that are meant unless one is named, and conventions.

    `biases`: whether params has biases. `flops`: whether macs are told as FLOPs, two for a multiply-add.
    """

    network: str
    input: str | None = None
    biases: bool = True
    flops: bool = False


Lookup = Callable[[str, "str | None"], Report]


@dataclass(frozen=True, slots=True)
class WrittenNumber:
    """A number that is written out."""

    value: Fraction

    def evaluate(self, setting: Setting, lookup: Lookup) -> Fraction:
        return self.value


@dataclass(frozen=True, slots=True)
class MetricTerm:
    """A metric of a network, of a node, or over several nodes."""

    metric: str
    node: str | None = None
    network: str | None = None
    axis: int | None = None
    over: str | None = None

    def evaluate(self, setting: Setting, lookup: Lookup) -> Fraction:
        report = lookup(self.network or setting.network, setting.input)
        asked = metric(self._conventional(setting))
        factor = 2 if setting.flops and asked.name == "macs" else 1
        if self.over is not None:
            if asked.row is None:
                raise RfcalcError(f"{asked.name} belongs to the whole network, not to its nodes")
            row = asked.row
            return factor * _OVER[self.over]([self._one(row(r), r.name) for r in nodes(report, self.node or "*")])
        if self.node is not None:
            if asked.row is None:
                raise RfcalcError(f"{asked.name} belongs to the whole network, not to {self.node}")
            return factor * self._one(asked.at(report, self.node), self.node)
        if asked.whole is None:
            raise RfcalcError(f"{asked.name} belongs to a node", fix=f"name one: {asked.name}@{report.outputs[0].name}")
        return factor * self._one(asked.whole(report), report.target)

    def _conventional(self, setting: Setting) -> str:
        return "weights" if metric(self.metric).name == "params" and not setting.biases else self.metric

    def _one(self, value: object, where: str) -> Fraction:
        if isinstance(value, tuple):
            if self.axis is not None:
                if self.axis >= len(value):
                    raise RfcalcError(f"{self.metric}@{where} has no axis {self.axis}", why=f"it is {value}")
                value = value[self.axis]
            elif len(set(value)) == 1:
                value = value[0]
            else:
                raise RfcalcError(
                    f"{self.metric}@{where} has an axis each: {'x'.join(map(str, value))}",
                    fix=f"choose one: {self.metric}[0]@{where}",
                )
        if value is None:
            raise RfcalcError(f"{self.metric} has no value at {where}")
        if isinstance(value, (int, Fraction)):
            return Fraction(value)
        raise RfcalcError(f"{self.metric} at {where} is {value}, not a number")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two expressions and the sign between them."""

    sign: str
    left: Expression
    right: Expression

    def evaluate(self, setting: Setting, lookup: Lookup) -> Fraction:
        a, b = self.left.evaluate(setting, lookup), self.right.evaluate(setting, lookup)
        if self.sign == "/":
            if b == 0:
                raise RfcalcError("the expression divides by zero", why=f"{a} / {b}")
            return a / b
        return a + b if self.sign == "+" else a - b if self.sign == "-" else a * b


Expression = WrittenNumber | MetricTerm | Pair


def figures(expression: Expression) -> Iterator[MetricTerm]:
    """The figures in an expression."""
    if isinstance(expression, Pair):
        yield from figures(expression.left)
        yield from figures(expression.right)
    elif isinstance(expression, MetricTerm):
        yield expression


def nodes(report: Report, pattern: str) -> list[Row]:
    """The rows of a node, of all nodes in a stage or block, or of a pattern.

    Raises:
        UnknownName: nothing is called so.
    """
    rows = report.rows
    found = [r for r in rows if pattern in (r.name, r.stage) or r.name.startswith(f"{pattern}.")]
    if not found:
        found = [r for r in rows if fnmatchcase(r.name, pattern)]
    if not found:
        known = dict.fromkeys([r.stage for r in rows] + [r.name for r in rows])
        raise UnknownName("node or stage", pattern, [k for k in known if k])
    return found


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        at = 0
        text = text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None or match.lastgroup is None:
                raise self.error(f"does not go on with {text[at:].strip()!r}")
            self.tokens.append((match.lastgroup, match[match.lastgroup]))
            at = match.end()
        self.at = 0

    def error(self, why: str) -> RfcalcError:
        return RfcalcError(
            f"cannot read the expression {self.text!r}",
            why=f"it {why}",
            fix="write it like params, sum(params@3a) / params, 'resnet34-a':macs - macs",
        )

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def next(self) -> tuple[str, str]:
        token = self.peek()
        self.at += 1
        return token

    def expect(self, sign: str) -> None:
        kind, text = self.next()
        if text != sign:
            raise self.error(f"needs {sign!r}, and has {text!r}" if kind != "end" else f"ends where {sign!r} is needed")

    def complete(self) -> Expression:
        found = self.expression()
        if self.peek()[0] != "end":
            raise self.error(f"does not go on with {self.peek()[1]!r}")
        return found

    def expression(self) -> Expression:
        found = self.term()
        while self.peek()[1] in ("+", "-"):
            found = Pair(self.next()[1], found, self.term())
        return found

    def term(self) -> Expression:
        found = self.factor()
        while self.peek()[1] in ("*", "/"):
            found = Pair(self.next()[1], found, self.factor())
        return found

    def factor(self) -> Expression:
        kind, text = self.next()
        if kind == "number":
            scale = _SCALES.get(text[-1], 1)
            return WrittenNumber(Fraction(text.rstrip("KMGT").replace("_", "")) * scale)
        if text == "(":
            found = self.expression()
            self.expect(")")
            return found
        if text == "-":
            return Pair("-", WrittenNumber(Fraction(0)), self.factor())
        if kind == "name" and text in _OVER and self.peek()[1] == "(":
            self.next()
            figure = self.figure(*self.next())
            self.expect(")")
            if figure.node is None or figure.axis is not None:
                raise self.error(f"has {text}(…) without nodes: write {text}(params@pattern)")
            return MetricTerm(figure.metric, figure.node, figure.network, None, text)
        if kind in ("name", "quoted"):
            return self.figure(kind, text)
        raise self.error(f"needs a number, a metric or a bracket{f', and has {text!r}' if text else ' at its end'}")

    def figure(self, kind: str, text: str) -> MetricTerm:
        network = axis = node = None
        if self.peek()[1] == ":":
            network = text.strip("'")
            self.next()
            kind, text = self.next()
        if kind != "name":
            raise self.error(f"needs a metric, and has {text!r}")
        metric(text)
        if self.peek()[1] == "[":
            self.next()
            number = self.next()
            if number[0] != "number" or not number[1].isdecimal():
                raise self.error("needs an axis number in [ ]")
            axis = int(number[1])
            self.expect("]")
        if self.peek()[0] == "at":
            node = self.next()[1][1:].strip().strip("'")
        return MetricTerm(text, node, network, axis)


def parse(text: str) -> Expression:
    """Read an expression.

    Raises:
        RfcalcError: what cannot be read; `UnknownName` for a metric that does not exist.

    >>> parse("27 / 49").evaluate(Setting("vgg16"), lambda name, shape: None)
    Fraction(27, 49)
    """
    return _Parser(text).complete()
