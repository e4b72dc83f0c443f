"""A rule as data: its expression, the names in it, where it comes from. The number and its explanation share it.

Calling a formula with its operands computes the number. While `recording()` is on, each call is kept (`Evaluated`),
so that an explanation is the computation itself, seen: a layer kind is explained because it computes with formulas.
Imports only `size`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from rfcalc.core.size import Size, ceildiv, maximum, minimum, prod

_FUNCTIONS: dict[str, Any] = {"prod": prod, "sum": sum, "ceildiv": ceildiv, "min": minimum, "max": maximum}
_steps: ContextVar[list[Evaluated] | None] = ContextVar("steps", default=None)


class Evaluated(NamedTuple):
    """One evaluated rule: the formula, what was put in, what came out."""

    formula: Formula
    operands: dict[str, Size]
    value: Size


class Formula:
    """One rule: the `metric` it gives, its `expression` over named operands, its `source`.

    >>> out = Formula("output_size", "(n + a + b - d * (k - 1) - 1) // s + 1", "Dumoulin & Visin 2016")
    >>> out(n=227, a=0, b=0, d=1, k=11, s=4)
    55
    >>> out.names
    ('n', 'a', 'b', 'd', 'k', 's')
    >>> out.filled(n=227, a=0, b=0, d=1, k=11, s=4)
    '(227 + 0 + 0 - 1 * (11 - 1) - 1) // 4 + 1'
    """

    __slots__ = ("_evaluate", "expression", "metric", "source")

    def __init__(self, metric: str, expression: str, source: str) -> None:
        self.metric = metric
        self.expression = expression
        self.source = source
        self._evaluate: Callable[..., Size] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The operands, in the order in which the expression names them."""
        found = [n for n in ast.walk(ast.parse(self.expression, mode="eval")) if isinstance(n, ast.Name)]
        found.sort(key=lambda n: n.col_offset)
        return tuple(dict.fromkeys(n.id for n in found if n.id not in _FUNCTIONS))

    def __call__(self, **operands: Size) -> Size:
        evaluate = self._evaluate
        if evaluate is None:
            arguments = ", ".join(operands)
            # The text is the project's own, written beside the rule; nothing that a user types gets here.
            evaluate = self._evaluate = eval(f"lambda {arguments}: {self.expression}", dict(_FUNCTIONS))
        value = evaluate(**operands)
        heard = _steps.get()
        if heard is not None:
            heard.append(Evaluated(self, operands, value))
        return value

    def filled(self, **operands: Size) -> str:
        """The expression with the operands put in: `(227 + 0 + 0 - 1 * (11 - 1) - 1) // 4 + 1`."""
        tree = ast.parse(self.expression, mode="eval")
        names = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id in operands]
        text = self.expression
        for name in sorted(names, key=lambda n: -n.col_offset):
            value = operands[name.id]
            shown = "(" + ", ".join(map(str, value)) + ")" if isinstance(value, tuple) else str(value)
            if shown.startswith("-"):
                shown = f"({shown})"
            text = text[: name.col_offset] + shown + text[name.end_col_offset :]
        return text

    def __repr__(self) -> str:
        return f"Formula({self.metric!r}, {self.expression!r}, {self.source!r})"


@contextmanager
def recording() -> Iterator[list[Evaluated]]:
    """Keep every formula that is evaluated while the block runs, in order."""
    heard: list[Evaluated] = []
    token = _steps.set(heard)
    try:
        yield heard
    finally:
        _steps.reset(token)
