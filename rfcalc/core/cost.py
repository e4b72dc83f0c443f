"""What a layer costs, as separate whole numbers that add, and the formulas that give them.

A convention is a named sum of costs. A formula is a rule as data: its expression, the names in it, where it comes from;
the number and its explanation share it. Calling a formula with its operands computes the number. While `recording()` is
on, each call is kept (`Evaluated`), so that an explanation is the computation itself, seen: a layer kind is explained
because it computes with formulas. Imports `size` only.
"""

# mypy: no-warn-return-any
# Within the core a size may be a symbol, so that its type is Any; figures are told to be whole numbers.

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from rfcalc.core.size import Figure, Size, ceildiv, maximum, minimum, prod


@dataclass(frozen=True, slots=True)
class Cost:
    """Parameters (independent of the batch) and operations (for one item of the batch) of a node or a network.

    `weights` are multiplicative, `biases` additive, `buffers` running statistics. Operations: `macs` are the
    multiply-adds of convolutions, linear layers and attention products; the others are counted apart, so that every
    counting convention is a sum of these terms and no two are mixed.

    >>> Cost(weights=1728, biases=64) + Cost(weights=36864, biases=64)
    Cost(weights=38592, biases=128)
    """

    weights: Size = 0
    biases: Size = 0
    buffers: Size = 0
    macs: Size = 0
    conv_bias_adds: Size = 0
    linear_bias_adds: Size = 0
    norm: Size = 0
    activation: Size = 0
    pool_inputs: Size = 0
    pool_outputs: Size = 0
    adaptive_pool_inputs: Size = 0

    @property
    def params(self) -> Size:
        """weights + biases: what training changes."""
        return self.weights + self.biases

    def __add__(self, other: Cost) -> Cost:
        if other is NOTHING:
            return self
        if self is NOTHING:
            return other
        return Cost(*(getattr(self, n) + getattr(other, n) for n in TERMS))

    def __repr__(self) -> str:
        told = ", ".join(f"{n}={v}" for n in TERMS if (v := getattr(self, n)) != 0)
        return f"Cost({told})"


TERMS: tuple[str, ...] = tuple(f.name for f in fields(Cost))
OPERATIONS: tuple[str, ...] = TERMS[3:]
NOTHING = Cost()


def total(costs: Iterable[Cost]) -> Cost:
    """The sum, term by term, in one pass."""
    kept = [c for c in costs if c is not NOTHING]
    return Cost(*(sum(getattr(c, n) for c in kept) for n in TERMS)) if kept else NOTHING


INDEX = 8  # bytes of an index: int64


class Counted:
    """The figures of a row and of the totals that follow from others: from its `cost`, `frozen` and `op`."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def cost(self) -> Cost: ...
        @property
        def frozen(self) -> Figure: ...
        @property
        def input_gradient_macs(self) -> Figure: ...
        @property
        def weight_gradient_macs(self) -> Figure: ...
        def op(self, name: str) -> Figure: ...

    @property
    def weights(self) -> Figure:
        return self.cost.weights

    @property
    def biases(self) -> Figure:
        return self.cost.biases

    @property
    def buffers(self) -> Figure:
        return self.cost.buffers

    @property
    def params(self) -> Figure:
        return self.cost.params

    @property
    def trainable(self) -> Figure:
        """Parameters that get a gradient: all, where nothing else is said."""
        return self.params - self.frozen

    @property
    def macs(self) -> Figure:
        return self.op("macs")

    @property
    def flops(self) -> Figure:
        return 2 * self.macs

    @property
    def backward_macs(self) -> Figure:
        return self.input_gradient_macs + self.weight_gradient_macs

    @property
    def training_flops(self) -> Figure:
        """2 × (forward + backward) multiply-adds."""
        return 2 * (self.macs + self.backward_macs)

    @property
    def ops(self) -> dict[str, Figure]:
        return {name: self.op(name) for name in OPERATIONS}


class Saved(NamedTuple):
    """What PyTorch's autograd keeps of a node for the backward pass, in training mode, beyond its weights.

    `inputs`: which of its input maps (by position) are kept; `output`: whether its output map is; a map kept by two
    nodes is one tensor. `either`: the output where the node can write over its input, else the input. For each item of
    the batch: `extra_values` of the network's dtype (copies, statistics), `indices` (where maxima were: int64 whatever
    the dtype, made without gradients too), `masks` of dropout (a value each on a CPU, a byte each on a GPU).
    `batch_values` do not grow with the batch (batch statistics); `single_values` are kept in a batch of one only
    (where a copy is spared). `learning`: all of it is for the gradients of weights: where these get none, nothing is.
    `statistics`: how many of the extra values mixed precision holds in float32.
    """

    inputs: tuple[int, ...] = ()
    output: bool = False
    either: bool = False
    extra_values: Size = 0
    indices: Size = 0
    masks: Size = 0
    batch_values: Size = 0
    single_values: Size = 0
    statistics: Size = 0
    learning: bool = False


class Passing(NamedTuple):
    """What PyTorch makes for a moment while a node runs backward, for each item of the batch: values as wide as the
    node's map, bytes that do not follow it (masks of a byte each), and values that mixed precision leaves as they
    are (less than nothing: what it kept and has let go). `late`: the gradient of its output has gone by then."""

    values: Size = 0
    bytes: Size = 0
    precise: Size = 0
    late: bool = False


class Library(NamedTuple):
    """What a layer takes in training that runs as a whole, in a library or step by step, in bytes for a batch: what it
    keeps, tensor by tensor; what it makes in backward beside all gradients (or less, where these are not made at once);
    whether it keeps its input and its output themselves; what it makes in forward beside its map and what it keeps;
    what it makes in backward when the gradient of its output has gone; whether the gradients of frozen parameters are
    made too; whether all of that is followed (else what is put together of several layers or directions is not)."""

    kept: tuple[int, ...]
    passing: int
    input: bool
    output: bool
    forward: int = 0
    late: int | None = None
    frozen_too: bool = False
    followed: bool = True


NOTHING_PASSING = Passing()
KEEPS_NOTHING = Saved()
KEEPS_INPUT = Saved(inputs=(0,))
KEEPS_OUTPUT = Saved(output=True)
KEEPS_EITHER = Saved(either=True)


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
