"""Families of networks that `rfcalc design` searches: a file each, which holds data and a builder.

A family says which whole numbers make a network (`Parameter`), how the notation of it is written (`build`), and how
figures move when one number grows: ``+`` they never fall, ``-`` they never rise, ``0`` they stay. What is not said is
not used to leave anything out of a search. Adding a family is adding a file with a `FAMILY` in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Literal

from rfcalc.core.registry import Registry

Sign = Literal["+", "-", "0"]
SIZE = ("weights", "biases", "params", "buffers", "macs", "flops", "values", "bytes", "saved_bytes", "peak_bytes")


@dataclass(frozen=True)
class Parameter:
    """A whole number of a family: its values in rising order, and how figures move with it."""

    name: str
    told: str
    values: tuple[int, ...]
    moves: Mapping[str, Sign] = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """A family: its name, what it is, for maps of how many spatial axes, its numbers, and the notation they make."""

    name: str
    told: str
    ranks: tuple[int, ...]
    parameters: tuple[Parameter, ...]
    build: Callable[..., str]
    input: str

    @property
    def size(self) -> int:
        """How many networks there are."""
        total = 1
        for parameter in self.parameters:
            total *= len(parameter.values)
        return total


def moving(**signs: str) -> dict[str, Sign]:
    """Which way figures move: ``size="+"`` stands for all of `SIZE`, ``rf`` for reach and look-back too."""
    found: dict[str, Sign] = {}
    for name, sign in signs.items():
        group = SIZE if name == "size" else ("receptive_field",) if name == "rf" else (name,)
        found.update(dict.fromkeys(group, sign))  # type: ignore[arg-type]
    return found


def _load() -> None:
    for name in _files():
        family = import_module(f"rfcalc.plan.families.{name}").FAMILY
        FAMILIES.add(family.name, family)


@cache
def _files() -> tuple[str, ...]:
    return tuple(sorted(p.stem for p in Path(__file__).parent.glob("*.py") if not p.stem.startswith("_")))


FAMILIES: Registry[Family] = Registry("family", _load)
