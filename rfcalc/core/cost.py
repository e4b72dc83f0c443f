"""What a layer costs, as separate whole numbers that add; a convention is a named sum of them.

Imports `size` only.
"""

# mypy: no-warn-return-any
# Within the core a size may be a symbol, so that its type is Any; figures are told to be whole numbers.

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NamedTuple

from rfcalc.core.size import Figure, Size


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
