"""Variants of a given network: what may be changed, a file a kind of change, which holds a `MOVE`.

A move looks at a network and gives choices; a choice has options, each a change of a `NetworkDraft` and words for it.
Any combination of options is a variant, one for each choice. A change that cannot be made says why (`CannotChange`);
whether the result runs and keeps the output is seen by walking it. Adding a move is adding a file with a `MOVE` in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from rfcalc.core import Registry
from rfcalc.core.expr import Series
from rfcalc.core.layer import POINTWISE, Layer
from rfcalc.core.window import Slide
from rfcalc.graph.forward import relation
from rfcalc.graph.network import Network
from rfcalc.report import Report


class CannotChange(Exception):
    """A change that cannot be made; says why."""


class Piece(NamedTuple):
    """A node while a network is changed: its layer, what it reads, its weight group."""

    layer: Layer
    reads: tuple[str, ...]
    group: str = ""


class NetworkDraft:
    """The nodes of a network, to be changed in place.

    Attributes:
        pieces: the nodes by name, in order.
        finer: by how much the outputs' grid has become finer (dilations for strides), for each spatial axis.
        notes: what is to be said beside the change.
        parts: of nodes that stand for one of the network, together with it: that one.
        written, seen: of a stack in place of the whole network, its notation, and how many positions it depends on.
    """

    def __init__(self, report: Report) -> None:
        self.report = report
        network = report.network
        self.pieces = {n.name: Piece(n.layer, n.inputs, n.group) for n in network.nodes}
        self.outputs = list(network.outputs)
        self.finer: tuple[int, ...] = (1,)
        self.notes: list[str] = []
        self.parts: dict[str, str] = {}
        self.written = ""
        self.seen: int | None = None

    def replace(self, name: str, layer: Layer) -> None:
        """The node with another layer."""
        self.pieces[name] = self.pieces[name]._replace(layer=layer)

    def chain(self, name: str, layers: list[Layer]) -> None:
        """Layers one after another in place of a node; the last has its name."""
        found: dict[str, Piece] = {}
        for key, piece in self.pieces.items():
            if key == name:
                reads = piece.reads
                for i, layer in enumerate(layers[:-1], 1):
                    inner = f"{name}_{i}"
                    if inner in self.pieces:
                        raise CannotChange(f"there is a node {inner} already")
                    found[inner] = Piece(layer, reads)
                    self.parts[inner] = name
                    reads = (inner,)
                piece = Piece(layers[-1], reads, piece.group)
            found[key] = piece
        self.pieces = found

    def become(self, layers: list[Layer]) -> None:
        """Layers one after another in place of the whole network."""
        network = Network(Series(tuple(layers)), dict(self.report.inputs))
        self.pieces = {n.name: Piece(n.layer, n.inputs) for n in network.nodes}
        self.outputs = list(network.outputs)

    def add(self, name: str, layer: Layer, reads: tuple[str, ...]) -> None:
        """A further node."""
        if name in self.pieces:
            raise CannotChange(f"there is a node {name} already")
        self.pieces[name] = Piece(layer, reads)

    def readers(self, name: str) -> list[str]:
        """The nodes that read a node."""
        return [key for key, piece in self.pieces.items() if name in piece.reads]

    def follower(self, name: str) -> str | None:
        """The only node that reads a node, if it reads nothing else and the node is no output."""
        readers = self.readers(name)
        if len(readers) != 1 or name in self.outputs or len(self.pieces[readers[0]].reads) != 1:
            return None
        return readers[0]

    def network(self) -> Network:
        """The changed network."""
        listed = [(name, piece.layer, piece.reads) for name, piece in self.pieces.items()]
        groups = {name: piece.group for name, piece in self.pieces.items() if piece.group}
        return Network.from_nodes(listed, self.report.inputs, groups=groups, outputs=tuple(self.outputs))


class VariantOption(NamedTuple):
    """One way to change a network: words for it, and the change; without a change everything stays.

    `amount`: of changes that are larger or smaller, how far this one leads away from the network; `changes`: how many
    it counts as.
    """

    told: str
    change: Callable[[NetworkDraft], None] | None = None
    amount: Fraction = Fraction(0)
    changes: int = 1


STAYS = VariantOption("as it is")


class MoveRequest(NamedTuple):
    """What is asked of a move: how many options there is room for, whether it is the only move, factors of channels."""

    room: int
    alone: bool = False
    factors: tuple[Fraction, ...] = ()


@dataclass(frozen=True)
class VariantChoice:
    """What may be chosen at one place of a network; the first option leaves it as it is. `more`: how many options there
    are beside, all of which are known to come after these."""

    name: str
    options: tuple[VariantOption, ...]
    more: int = 0


@dataclass(frozen=True)
class Move:
    """A kind of change: its name, what it is, its choices for a network; in which order changes are made, and asked for
    choices (each with the room that those before leave); whether all that it changes costs more."""

    name: str
    told: str
    choices: Callable[[Report, MoveRequest], list[VariantChoice]]
    order: int
    costs_more: bool = False


def windowed(report: Report, position: int) -> bool:
    """Whether a node slides a window over its input, with numbers of its own that can be changed."""
    node = report.network.nodes[position - report.network.arity]
    x = report.shapes[report.network.sources[position - report.network.arity][0]]
    if not x.rank or not all(hasattr(node.layer, name) for name in ("kernel", "stride", "padding")):
        return False
    (alternatives,) = relation(report, position)
    return all(isinstance(reads[a][1], Slide) for reads in alternatives for a in x.axes if reads != POINTWISE)


def readers_of(report: Report) -> dict[int, list[int]]:
    """For each position those that read it, in order."""
    found: dict[int, list[int]] = {}
    for position, sources in enumerate(report.network.sources, report.network.arity):
        for s in sources:
            found.setdefault(s, []).append(position)
    return found


def along(values: tuple[Any, ...], rank: int) -> tuple[Any, ...]:
    """An entry for each axis, where one may stand for all."""
    return tuple(values) * rank if len(values) == 1 else tuple(values)


def with_geometry(layer: Layer, **changed: Any) -> Layer:
    """A layer with other numbers of its window; what is alike on all axes stands once."""
    once = {n: v[:1] if isinstance(v, tuple) and len(set(v)) == 1 else v for n, v in changed.items()}
    return layer.changed(**once)


def _load() -> None:
    for name in _files():
        move = import_module(f"rfcalc.plan.variants.{name}").MOVE
        MOVES.add(move.name, move)


@cache
def _files() -> tuple[str, ...]:
    return tuple(sorted(p.stem for p in Path(__file__).parent.glob("*.py") if not p.stem.startswith("_")))


MOVES: Registry[Move] = Registry("move", _load)
