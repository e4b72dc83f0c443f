"""Families of networks that `rfcalc design` searches: a file each, which holds data and a builder.

A family says which whole numbers make a network (`Parameter`), how the notation of it is written (`build`), and how
figures move when one number grows: ``+`` they never fall, ``-`` they never rise, ``0`` they stay; and which of them
are polynomials in it (`Law`). What is not said is not used to leave anything out of a search. Beside the metrics,
``count`` stands for how many layers fit any pattern, ``holes`` for the holes that a unit sees with, and ``before``
(``0`` only) for all that nodes are that are there already: what a larger number adds comes after them. Nodes are named
after their kind, with a number. Adding a family is adding a file with a `FAMILY` in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Literal, NamedTuple

from rfcalc.core import Registry
from rfcalc.core.errors import RfcalcError, UnknownName
from rfcalc.report.metrics import SHARES

Sign = Literal["+", "-", "0"]
FIELD = ("receptive_field", "lookback", "lookahead")
SIZE = ("weights", "biases", "params", "buffers", "macs", "flops", "values", "bytes", "saved_bytes", "peak_bytes")


TRAINING = ("input_gradient_macs", "weight_gradient_macs", "backward_macs", "training_flops")
POOLS = ("pool_inputs", "pool_outputs", "adaptive_pool_inputs")
OPERATIONS = ("activation", "conv_bias_adds", "linear_bias_adds", "norm", *POOLS)
COSTS = ("weights", "biases", "params", "macs", "flops")
# Figures of a node that are the same whatever comes after it
LOCAL = (*FIELD, *COSTS, *TRAINING, *OPERATIONS, "stride", "padding", "center", "values", "bytes", "saved_bytes")


class Law(NamedTuple):
    """A figure is a polynomial of a number, of at most this degree, from this value on; `convex`: it is the greatest of
    several such polynomials of degree 1; `each_axis`: the degree is for each axis of the maps."""

    degree: int
    start: int = 1
    convex: bool = False
    each_axis: bool = False

    def on(self, rank: int) -> Law:
        """The law for maps of so many axes."""
        return self._replace(degree=self.degree * rank, each_axis=False) if self.each_axis else self


CONVEX = Law(1, 1, True)
AREA = Law(1, each_axis=True)


@dataclass(frozen=True)
class FamilyParameter:
    """A whole number of a family: its values in rising order, and how figures move with it.

    `laws`: the figures that are polynomials in it; `touches`: the parameters of layers that it changes, of which
    patterns such as ``conv kernel=3`` may count other layers.
    """

    name: str
    told: str
    values: tuple[int, ...]
    moves: Mapping[str, Sign] = field(default_factory=dict)
    laws: Mapping[str, Law] = field(default_factory=dict)
    touches: tuple[str, ...] = ()


@dataclass(frozen=True)
class DesignFamily:
    """A family: its name, what it is, for maps of how many spatial axes, its numbers, and the notation they make."""

    name: str
    told: str
    ranks: tuple[int, ...]
    parameters: tuple[FamilyParameter, ...]
    build: Callable[..., str]
    input: str

    @property
    def size(self) -> int:
        """How many networks there are."""
        total = 1
        for parameter in self.parameters:
            total *= len(parameter.values)
        return total


def limited(families: Sequence[DesignFamily], values: Mapping[str, Sequence[int]]) -> list[DesignFamily]:
    """The families with these values of their numbers, where they have them.

    Args:
        values: for each number's name the values that are tried.

    Raises:
        UnknownName: no family has such a number.
        RfcalcError: no values, or values below 1.
    """
    known = list(dict.fromkeys(p.name for f in families for p in f.parameters))
    for name, given in values.items():
        if name not in known:
            raise UnknownName("number of a family", name, known)
        if not given or min(given) < 1:
            raise RfcalcError(f"{name} has no values", fix=f"give whole numbers from 1: {name}=3,5 or {name}=1..8")

    def of(parameter: FamilyParameter) -> FamilyParameter:
        given = values.get(parameter.name)
        return parameter if given is None else replace(parameter, values=tuple(sorted(set(given))))

    return [replace(f, parameters=tuple(of(p) for p in f.parameters)) for f in families]


def moving(**signs: str) -> dict[str, Sign]:
    """Which way figures move: ``size="+"`` stands for all of `SIZE` and what layers do, ``rf`` for look-back,
    look-ahead and padding too; an empty sign takes a figure out again. What no network of a family changes is said."""
    found: dict[str, Sign] = dict.fromkeys(FIXED, "0")
    for name, sign in signs.items():
        found.update(dict.fromkeys(_GROUPS.get(name, (name,)), sign))  # type: ignore[arg-type]
    found.setdefault("trainable", found.get("params", ""))  # type: ignore[arg-type]
    return {name: sign for name, sign in found.items() if sign}


def laws(**degrees: int | Law) -> dict[str, Law]:
    """Which figures are polynomials: a degree, or a law; ``costs`` stands for all of `COSTS`."""
    found: dict[str, Law] = {}
    for name, degree in degrees.items():
        law = Law(degree) if isinstance(degree, int) else degree
        found.update(dict.fromkeys(_GROUPS.get(name, (name,)), law))
    return found


FIXED = ("frozen", "seen", "runs", *SHARES)  # all layers are trained; of the output itself a unit sees one
_OWN = (*COSTS, *TRAINING, *OPERATIONS, "values", "bytes")
_GROUPS = {
    "size": (*SIZE, *TRAINING, *OPERATIONS), "rf": (*FIELD, "padding"), "costs": (*COSTS, "trainable", *TRAINING),
    "macs": ("macs", *TRAINING), "values": ("values", *OPERATIONS), "count": ("count", "nodes"),
    "output": tuple([f"{name}@output" for name in _OWN]),
}  # fmt: skip

# How figures move with the channels of all layers
WIDER = moving(stride="0", rf="0", center="0", size="+", weight_layers="0", count="0", holes="0")
WIDTHS = laws(costs=2, values=1, bytes=1, saved_bytes=1, peak_bytes=CONVEX)


def _load() -> None:
    for name in _files():
        family = import_module(f"rfcalc.plan.families.{name}").FAMILY
        FAMILIES.add(family.name, family)


@cache
def _files() -> tuple[str, ...]:
    return tuple(sorted(p.stem for p in Path(__file__).parent.glob("*.py") if not p.stem.startswith("_")))


FAMILIES: Registry[DesignFamily] = Registry("family", _load)
