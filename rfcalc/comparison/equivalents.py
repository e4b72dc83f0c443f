"""Stacks of smaller kernels that see as much: which there are, what they cost, how many more.

Layers of stride 1 add their reach, so the stacks with a receptive field of 2m + 1 are the partitions of m (see
`partitions`). Order does not matter to the receptive field; the stacks are unordered, the largest kernel stands first.
What each costs is not the partition's business: the cheapest are variants of the network (`rfcalc.comparison.likes`),
built and walked like any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

from rfcalc.comparison.figures import size
from rfcalc.comparison.layers import steps
from rfcalc.comparison.likes import Likes, search
from rfcalc.comparison.subject import ComparedNetwork, read
from rfcalc.core.errors import RfcalcError, UnknownName
from rfcalc.core.layer import Layer
from rfcalc.core.size import is_number, same
from rfcalc.notation.write import write
from rfcalc.plan.partitions import DilatedKernel, Stack, cheapest, count
from rfcalc.plan.variants import MOVES, NetworkDraft, VariantChoice, VariantOption
from rfcalc.plan.variants.stacks import layer_of
from rfcalc.report.constraints import parse

LARGEST = 257  # receptive field
LIMIT, MOST = 10, 1000
ORDERS = {"weights": "weights, then depth", "macs": "multiply-adds, then depth", "depth": "depth, then weights"}
FIGURES = ("weights", "biases", "params", "macs", "weight_layers")


def equivalents(
    target: Any,
    *,
    separable: bool = False,
    dilated: bool = False,
    limit: int = LIMIT,
    by: str = "weights",
    input: Any = None,  # noqa: A002
    numbers: Mapping[str, int] | None = None,
) -> Likes:
    """Stacks of smaller odd kernels with the receptive field of a network, as variants of it.

    Args:
        target: a layer or stack of stride 1: ``conv7-C``, ``conv3-64 x3``.
        separable: 1×k and k×1 too.
        dilated: dilated kernels too; with holes, the hull is what is the same.
        limit: how many are listed; all are counted (`size`).
        by: what comes first: fewest ``weights``, ``macs``, or least ``depth``.
        input, numbers: as for `rfcalc.comparison.compare`.

    Raises:
        RfcalcError: strides, an even or unknown receptive field, or one that is too large.

    >>> found = equivalents("conv7-64", input="64x32x32")
    >>> [(e.notation, e.figures["weights"]) for e in found.designs], found.size
    ([('conv3-64 x3', 110592), ('conv5-64 > conv3-64', 139264)], 2)
    """
    if by not in ORDERS:
        raise UnknownName("order", by, list(ORDERS))
    if not 1 <= limit <= MOST:
        raise RfcalcError(f"{limit} is not a possible limit", fix=f"give 1 to {MOST}")
    (subject,) = read([target], input, numbers=numbers)
    field = _field(subject)
    reaches = tuple((n - 1) // 2 for n in field)
    brick = _Brick(subject)
    if by == "macs" and not brick.keeps:
        raise RfcalcError(
            f"the stacks of {subject.name} cannot be ranked by multiply-adds",
            why="without padding they depend on the order of the layers",
            fix="rank them by weights",
        )
    separable = separable and len(field) > 1
    stacks = cheapest(reaches, separable, dilated, limit, *brick.channels, by_depth=by == "depth")
    options = tuple([brick.option(stack, field) for stack in stacks])
    total = count(reaches, separable, dilated)
    told = "x".join(map(str, field))
    asked = parse(f"rf = {told}", output=True)
    choice = VariantChoice(f"stacks that see {told}", options, total - len(options))
    found = search(subject, asked, FIGURES, (MOVES["stacks"],), (choice,), MOST, ORDERS[by])
    said = _sentence(field, total, len(options), separable, dilated, by)
    return replace(found, said=(said,), remarks=_remarks(subject, dilated))


def _sentence(field: tuple[int, ...], total: int, listed: int, separable: bool, dilated: bool, by: str) -> str:
    """How many there are, and of what."""
    sees = "×".join(map(str, field))
    kinds = "square" if len(field) == 2 else ""
    if separable:
        kinds = "square, 1×k and k×1" if len(field) == 2 else "cubic and one-axis"
    what = " ".join(w for w in ("smaller odd", kinds, "kernels") if w) + (", dilated too," if dilated else "")
    if not total:
        more = "; --separable adds 1×k and k×1" if len(set(field)) > 1 and not separable else ""
        return f"no stack of {what.rstrip(',')} sees {sees}{more}"
    verb = "stack sees" if total == 1 else "stacks see"
    end = "" if listed == total else f"; the first {listed} by {ORDERS[by]}, {total - listed:,} more"
    return f"{total:,} {verb} {sees} with {what.rstrip(',')}{end}"


def _remarks(subject: ComparedNetwork, dilated: bool) -> tuple[str, ...]:
    """Conventions, and what was taken for granted of the stacks."""
    first, rest = subject.report.shapes[0].channels, subject.report.outputs[0].shape.channels
    notes = [f"of {subject.name}: weights divided by those of {subject.name}"]
    notes.append(f"input {subject.input}; stride 1; unordered")
    if not same(first, rest):
        notes.append(
            f"the first layer reads {size(first)} channels, the others {size(rest)}: cheapest first layer shown"
        )
    notes.append(f"every layer of a stack has {size(rest)} channels")
    if dilated:
        notes.append("sees: positions of the receptive field that it depends on; dilation leaves holes")
    return (*notes, "weights: without biases; macs: multiply-adds")


def _field(subject: ComparedNetwork) -> tuple[int, ...]:
    """The receptive field of the output, if stacks can have it.

    Raises:
        RfcalcError: they cannot.
    """
    report = subject.report
    if report.network.arity > 1:
        raise RfcalcError(f"{subject.name} has several inputs", fix="name a stack with one")
    row = report.outputs[0]
    seen = row.receptive_field
    if seen.status != "exact":
        raise RfcalcError(
            f"the receptive field of {subject.name} is {seen.status}", fix="name a layer or a stack of layers: conv7-C"
        )
    if any(not same(s, 1) for s in seen.stride):
        strides = "×".join(map(str, seen.stride))
        raise RfcalcError(
            f"{subject.name} has stride {strides}",
            why="a stack of layers with stride 1 keeps the stride at 1",
            fix="leave the strides out",
        )
    field = tuple(int(n) for n in seen.size if n is not None and is_number(n))
    if len(field) < len(seen.size):
        raise RfcalcError(
            f"the receptive field of {subject.name} is {'×'.join(map(str, seen.size))}",
            why="partitions are counted for numbers",
            fix="give the kernel as a number, or --set its symbol",
        )
    told = "×".join(map(str, field))
    if any(n % 2 == 0 for n in field):
        raise RfcalcError(
            f"{subject.name} sees {told}, and that is even",
            why="a stack of odd kernels sees 1 + Σ(k − 1), which is odd",
            fix="name a layer with an odd kernel",
        )
    if max(field) > LARGEST:
        raise RfcalcError(f"a receptive field of {told} is too large to list stacks for", why=f"the limit is {LARGEST}")
    return field


class _Brick:
    """What stacks are built of: the network's own layer with other kernels, where it is one; else convolutions."""

    def __init__(self, subject: ComparedNetwork) -> None:
        report = self.report = subject.report
        self.subject = subject
        heads = [s.head.node.layer for s in steps(report) if s.head.node.layer.weight_layers]
        out, into = report.outputs[0].shape, report.shapes[0]
        if not heads or out.rank != into.rank:
            raise RfcalcError(f"{subject.name} has no layer with weights to build stacks of", fix="name one: conv7-C")
        layer = heads[0]
        slides = {"kernel", "padding", "dilation"} <= {*layer.given} and not getattr(layer, "table", None)
        single = len(heads) == 1 and slides
        if not single:
            from rfcalc.layers.conv import Conv

            layer = Conv(out.channels, 1, bias=getattr(layer, "bias", True))
        self.layer: Layer = layer
        self.keeps = all(same(a, b) for a, b in zip(into.spatial, out.spatial, strict=True))
        if not self.keeps and any(not same(p, 0) for p in report.outputs[0].receptive_field.padding):
            raise RfcalcError(
                f"{subject.name} has padding that neither keeps the size nor is 0",
                why="it could be split over the layers in many ways",
                fix="write it without p, or with p0",
            )
        again = layer.changed(kernel=(1,), padding=((0, 0),), dilation=(1,)).output(out)
        if not same(again.channels, out.channels):
            raise RfcalcError(
                f"{subject.name} multiplies its channels, and a stack of such layers would do so again",
                fix="name a layer that keeps its channels",
            )

    @property
    def channels(self) -> tuple[int, int]:
        """Input channels of the first layer and of the others, as far as they matter to the order.

        Raises:
            RfcalcError: symbols leave open which is more.
        """
        c = self.report.shapes[0].channels
        m = self.report.outputs[0].shape.channels
        if same(c, m):
            return (1, 1)
        if not is_number(c) or not is_number(m):
            raise RfcalcError(
                f"the stacks of {self.subject.name} cannot be ranked",
                why=f"the first layer has {size(c)} input channels, the others {size(m)}",
                fix="put numbers in (--set), or give an input with as many channels",
            )
        return (int(c), int(m))

    def option(self, stack: Stack, field: tuple[int, ...]) -> VariantOption:
        """The stack in place of the network."""
        rank = len(field)
        parts = list(stack.parts)
        first, rest = self.channels
        if first == rest:
            parts.sort(key=lambda p: _order(p, rank))
        else:
            parts[1:] = sorted(parts[1:], key=lambda p: _order(p, rank))
        layers = [layer_of(self.layer, p, rank, self.keeps) for p in parts]
        words = [write(layer, None) for layer in layers]
        seen = prod(_seen([p for p in parts if p.axis in (None, i)]) for i in range(rank))
        told = _folded(words)
        own = sorted(words) == sorted(s.words for s in steps(self.report))
        return VariantOption(told + (" (itself)" if own else ""), partial(_become, layers, told, seen))


def _become(layers: list[Layer], written: str, seen: int, draft: NetworkDraft) -> None:
    draft.become(layers)
    draft.written, draft.seen = written, seen


def _order(part: DilatedKernel, rank: int) -> tuple[int, int, int]:
    """Largest first, squares before lines."""
    return (-part.area(rank), -part.reach, -1 if part.axis is None else part.axis)


def _seen(parts: Sequence[DilatedKernel]) -> int:
    """How many positions of an axis a stack depends on: the sums of one tap of each layer."""
    mask = 1
    for part in parts:
        taps = 0
        for tap in range(part.kernel):
            taps |= mask << (tap * part.d)
        mask = taps
    return mask.bit_count()


def _folded(words: Sequence[str]) -> str:
    """The stack in the notation, equal neighbours once: ``conv5-C > conv3-C x2``."""
    found: list[list[Any]] = []
    for word in words:
        if found and found[-1][0] == word:
            found[-1][1] += 1
        else:
            found.append([word, 1])
    return " > ".join(word if n == 1 else f"{word} x{n}" for word, n in found)
