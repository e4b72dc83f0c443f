"""Chains of reshapes and permutations, as what they amount to: which factors of which axes end where.

Source code lays channels and positions side by side for a moment (``(c h) p w``) and takes them apart again. Read one
by one, such steps would lose where the positions are; together they split axes, exchange them and merge them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import NamedTuple

from rfcalc.core.layer import Layer
from rfcalc.core.shape import axis_groups
from rfcalc.layers.reshape import Flatten, Permute, Reshape
from rfcalc.readers.builder.graph import Builder
from rfcalc.readers.builder.values import Value
from rfcalc.receptive.chains import Axes, Factor, regrouped


def rearranges(layer: Layer) -> bool:
    """Whether a layer only moves values, all of them, each to one place."""
    return layer.row_major or layer.moves_axes is not None or bool(layer.packs)


class NodeChain(NamedTuple):
    """The node that a chain of views begins at, and the factors of its axes and of the axes at the chain's end."""

    root: int
    before: Axes
    after: Axes

    def permuted(self, order: Sequence[int]) -> NodeChain:
        return self._replace(after=tuple(self.after[i] for i in order))

    def regrouped(self, dims: Sequence[int]) -> NodeChain | None:
        """With a row-major reshape to `dims` at its end; None where no factors say it."""
        axes = regrouped(self.before, self.after, dims)
        return axes and NodeChain(self.root, *axes)

    def packed(self, dims: Sequence[int], factor: int, into: bool) -> NodeChain | None:
        """With the places in patches of `factor` positions an axis put into the channels (``c y x``), or back."""
        c, *space = dims
        rank = len(space)
        if into:
            apart = self.regrouped((c, *(n for size in space for n in (size // factor, factor))))
            order = (0, *range(2, 2 * rank + 1, 2), *range(1, 2 * rank, 2))
            ended = (c * factor**rank, *(size // factor for size in space))
        else:
            apart = self.regrouped((c // factor**rank, *[factor] * rank, *space))
            order = (0, *(i for k in range(1, rank + 1) for i in (rank + k, k)))
            ended = (c // factor**rank, *(size * factor for size in space))
        return apart and apart.permuted(order).regrouped(ended)

    def tidy(self) -> NodeChain:
        """Factors that stand side by side at both ends as one."""
        follows = {id(a): b for axis in self.before for a, b in pairwise(axis)}
        joined: dict[int, Factor] = {}  # a factor → the one that it goes with
        after: list[tuple[Factor, ...]] = []
        for axis in self.after:
            found: list[Factor] = []
            last = None
            for f in axis:
                if last is not None and follows.get(id(last)) is f:
                    found[-1].size *= f.size
                    joined[id(f)] = found[-1]
                else:
                    found.append(Factor(f.size))
                    joined[id(f)] = found[-1]
                last = f
            after.append(tuple(found))
        before = tuple(tuple(dict.fromkeys(joined[id(f)] for f in axis)) for axis in self.before)
        return NodeChain(self.root, before, tuple(after))


def holds_patches(graph: Builder, node: int) -> bool:
    """Whether the channels of a node hold the places in patches, of which nothing but views came after."""
    count = len(graph.inputs)
    while is_view(graph, node):
        if graph.nodes[node - count].layer.packs == "in":
            return True
        (node,) = graph.nodes[node - count].inputs
    return False


def start(graph: Builder, node: int) -> NodeChain:
    axes = tuple((Factor(n),) if n > 1 else () for n in graph.shapes[node].dims)
    return NodeChain(node, axes, axes)


def behind(graph: Builder, node: int) -> NodeChain:
    """The chain of views that ends with a node; it begins at the node itself where that is none."""
    count = len(graph.inputs)
    back: list[int] = []
    while is_view(graph, node):
        back.append(node)
        (node,) = graph.nodes[node - count].inputs
    chain = start(graph, node)
    for position in reversed(back):
        layer = graph.nodes[position - count].layer
        if layer.moves_axes is not None:
            chain = chain.permuted(layer.moves_axes)
        elif layer.packs:
            (before,) = graph.nodes[position - count].inputs
            packed = chain.packed(graph.shapes[before].dims, layer.given["factor"], layer.packs == "in")
            chain = packed or start(graph, position)
        else:
            chain = chain.regrouped(graph.shapes[position].dims) or start(graph, position)
    return chain


def undone(graph: Builder, chain: NodeChain | None) -> int | None:
    """The node that a chain of views begins at, where they come to nothing; else None."""
    if chain is None or len(chain.before) != len(chain.after):
        return None
    same = all([id(f) for f in a] == [id(f) for f in b] for a, b in zip(chain.before, chain.after, strict=True))
    return chain.root if same else None


def is_view(graph: Builder, node: int) -> bool:
    """Whether a node only moves values."""
    count = len(graph.inputs)
    return node >= count and rearranges(graph.nodes[node - count].layer)


def channel_of(graph: Builder, chain: NodeChain) -> int | None:
    """The axis at the end that only channels of the beginning lie along; None where there is none, or where positions
    that were merged into them would come apart."""
    own = {id(f) for f in chain.before[graph.shapes[chain.root].channel]}
    found = [j for j, axis in enumerate(chain.after) if axis and all(id(f) in own for f in axis)]
    apart = sum(1 for axis in chain.after if any(id(f) in own for f in axis))
    if not found or (graph.dirty[chain.root] and apart > 1):
        return None
    return found[-1]


def split(graph: Builder, chain: NodeChain) -> int:
    """How many axes that positions lie along are split."""
    return sum(1 for i in graph.carriers[chain.root] if len(chain.before[i]) > 1)


def laid_out(graph: Builder, chain: NodeChain | None, dims: tuple[int, ...], batch: int | None) -> Value | None:
    """The value at the end of a chain, made from its beginning: split, permuted, merged; None where channels and
    positions lie along one axis at its end."""
    if chain is None or (channel := channel_of(graph, chain)) is None:
        return None
    factors = [f for axis in chain.before for f in axis]
    order = [f for axis in chain.after for f in axis]
    sizes = tuple(f.size for f in factors)
    at = factors.index(chain.after[channel][-1])
    node = chain.root
    layers: list[Layer] = []
    if (sizes, at) != (graph.shapes[node].dims, graph.shapes[node].channel):
        layers.append(Reshape(sizes, at))
    permutation = tuple(factors.index(f) for f in order)
    if permutation != tuple(range(len(permutation))):
        layers.append(Permute(permutation))
    ended = tuple(f.size for f in order)
    wanted = tuple(prod(f.size for f in axis) for axis in chain.after)
    if ended != wanted:
        layers.append(merging(ended, wanted, order.index(factors[at]), channel))
    if not layers:
        return Value(node, dims, batch)
    for k, layer in enumerate(layers, 1):
        last = k == len(layers)
        y = layer.output(graph.shapes[node])
        made = graph.add(layer, (node,), dims if last else y.dims, batch if last else None, helper=not last)
        node = made.node
    return made


def merging(before: tuple[int, ...], after: tuple[int, ...], channel: int, new: int) -> Layer:
    """`Flatten` where neighbouring axes are merged, else `Reshape`."""
    gap = len(before) - len(after)
    if gap > 0:
        for start in range(len(after)):
            stop = start + gap
            same = before[:start] == after[:start] and before[stop + 1 :] == after[start + 1 :]
            if same and prod(before[start : stop + 1]) == after[start]:
                kept = channel if channel < start else start if channel <= stop else channel - gap
                if kept == new:
                    return Flatten() if len(after) == 1 else Flatten(start, stop - len(before) if start else stop)
    return Reshape(after, new)


def kept_together(before: tuple[int, ...], after: tuple[int, ...], channel: int) -> bool:
    """Whether an axis is still one axis after a reshape, perhaps merged with more."""
    return any(channel in b and sum(1 for i in a if after[i] != 1) <= 1 for b, a in axis_groups(before, after))
