"""What a reader works with: tensors of the source, nodes before they have names, and where in the source they are from.

A `Value` is a tensor of the source: its dims with the batch, which axis of it is the batch (None where it is merged
with others), and the node that makes it. The node's shape is the tensor's without the batch axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from rfcalc.core.layer import Layer


class NotUnderstood(Exception):
    """An operator, or a way to use it, that has no translation; the argument says why."""


class BatchMixed(Exception):
    """A batch of several items is mixed with other axes, so that figures for one item cannot be told."""


class Value(NamedTuple):
    """A tensor that depends on an input: its node (by position), its dims, its batch axis.

    `extra`: the node's map has one axis more, of size 1 and in front, for the channels that the tensor has lost.
    """

    node: int
    dims: tuple[int, ...]
    batch: int | None
    extra: bool = False

    @property
    def inner(self) -> tuple[int, ...]:
        """The dims without the batch."""
        return inner(self.dims, self.batch)


class Frame(NamedTuple):
    """One call of a module (told apart by identity): its path, and whether it has no modules inside."""

    path: str
    leaf: bool


class Origin(Protocol):
    """An operator of the source, as far as names are made of it."""

    @property
    def name(self) -> str: ...

    @property
    def frame(self) -> Frame: ...


@dataclass(slots=True)
class Made:
    """A node before it has a name."""

    layer: Layer
    inputs: tuple[int, ...]
    step: int  # the step it was made for; its last node bears the step's name
    stem: str = ""
    label: str = ""  # a name that goes before all others
    group: str = ""
    helper: bool = False
    batch: int = 0  # the axis along which the items lie in its result; -1: they are part of an axis


def inner(dims: Sequence[int], batch: int | None) -> tuple[int, ...]:
    """Dims without the batch axis; a number by itself is a map of one value."""
    left = tuple(n for i, n in enumerate(dims) if i != batch)
    return left or (1,)
