"""A network in the making: symbols may be put in for its names and for the sizes of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rfcalc.core.expr import Expr
from rfcalc.core.shape import Shape
from rfcalc.graph.network import Network


class SymbolicSource(NamedTuple):
    """A network in the making: `make(values)` puts formulas in for its names.

    `sizes` are those of its input that stand inside of it too, by name, as they were read; its formulas hold for sizes
    that differ from these by multiples of `modulus`.
    """

    target: str
    make: Callable[[Mapping[str, Any]], Network | Expr]
    inputs: dict[str, Shape | None]
    names: tuple[str, ...] = ()  # symbols that stand in the text
    options: tuple[str, ...] = ()  # what its family's builder can vary
    channel: str = "C"  # what the channels of the input are called
    assumptions: tuple[str, ...] = ()
    about: dict[str, Any] = {}  # noqa: RUF012 (never changed)
    roles: dict[str, str] = {}  # noqa: RUF012 (never changed)
    sizes: dict[str, int] = {}  # noqa: RUF012 (never changed)
    modulus: int = 1
