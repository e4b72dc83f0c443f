"""A device for tests: one array of bytes in which a network runs as a plan says, with real arithmetic.

What is dead is filled with bytes that are NaN when read, and a memory that is not said to live can be neither read nor
written. Maps are computed from what lies in the array, never from anything kept elsewhere.
"""

from __future__ import annotations

import random
from itertools import product
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

import rfcalc
from rfcalc import Network, Report, to_torch
from rfcalc.core.layer import VIEW
from rfcalc.plan.arena import Arena, Layout
from rfcalc.plan.patch import boxes, divided
from rfcalc.plan.rolling import Step, owners, steps

ITEM = 8  # bytes of a value (float64)
Key = int | str

TEXTS = [
    "input: 2x17x19; conv3-4/2 > relu > conv3-4 > maxpool3/2 p1 > conv5-4",
    "input: 2x16x16; conv3-4 > ((conv3-4 > relu > conv3-4) + identity) > relu > conv3-4/2 > conv3-2",
    "input: 3x20x14; conv3-4/2 > dwconv3 > relu > conv1-6 > dwconv3/2 > conv1-3",
    "input: 1x15; conv3-4 > (conv5-2 | conv1-3) > relu > maxpool2 > conv3-2 d2",
    "input: 2x16x16; conv3-4/2 > convt4-4/2 p1 > conv3-4",
    "input: 2x13x12; a=conv3-4 > conv3-4 p0 > up2 > conv3-2/2",
    "input: 2x24x9; conv1-2/3 > conv2-3/2 p0 > relu",
    "input: 2x12x12; conv3-4 > (identity + (conv3-4 > relu)) > conv3-4 > conv1-3",
    "input: 2x12x9; sigmoid > conv3-2 > (identity + (conv3-2 > sigmoid)) > relu",
]


class Parts:
    """Every node of a network as a module of its own, with whole-number weights."""

    def __init__(self, report: Report, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.report, self.modules = report, {}
        arity = report.network.arity
        for p, node in enumerate(report.network.nodes, arity):
            shapes = {f"x{i}": report.shapes[s] for i, s in enumerate(report.network.sources[p - arity])}
            one: nn.Module = to_torch(Network.from_nodes([(node.name, node.layer, tuple(shapes))], shapes), shapes)
            for name, value in one.double().state_dict().items():
                if name.endswith("running_var"):
                    value.fill_(1 - 1e-5)  # so that with epsilon it is 1, and results are exact
                elif value.is_floating_point():
                    value.copy_(torch.randint(-2, 3, value.shape, generator=generator))
            self.modules[p] = one.eval()
        self.input = torch.randint(-3, 4, report.shapes[0].dims, generator=generator).double()

    def run(self, position: int, given: list[Tensor]) -> Tensor:
        with torch.no_grad():
            made: Tensor = self.modules[position](*[g[None] for g in given])[0]
        return made

    def whole(self) -> list[Tensor]:
        found = [self.input]
        for p, sources in enumerate(self.report.network.sources, 1):
            found.append(self.run(p, [found[s] for s in sources]))
        return found


class Bytes:
    """One array; memories in it that do not overlap; the rest is poisoned.

    Args:
        size: bytes.
        refuses: whether reading what is dead is an error (a control turns it off, and then sees NaN).
    """

    def __init__(self, size: int, refuses: bool = True) -> None:
        self.bytes = bytearray(b"\xff" * size)
        self.refuses = refuses
        self.places: dict[Key, tuple[int, int]] = {}  # first byte, bytes
        self.dead: dict[Key, tuple[int, int]] = {}

    def claim(self, key: Key, values: int, offset: int | None = None) -> None:
        """A memory at an offset; without one, behind all others, which are moved together first."""
        if offset is None:
            offset = 0
            for other, (at, size) in sorted(self.places.items(), key=lambda item: item[1]):
                held = self.bytes[at : at + size]
                self.bytes[at : at + size] = b"\xff" * size
                self.bytes[offset : offset + size] = held
                self.places[other] = (offset, size)
                offset += size
        size = values * ITEM
        assert offset + size <= len(self.bytes), "the array is too small"
        for at, other in self.places.values():
            assert at + other <= offset or offset + size <= at, "two memories overlap"
        self.places[key] = (offset, size)

    def free(self, key: Key) -> None:
        at, size = self.dead[key] = self.places.pop(key)
        self.bytes[at : at + size] = b"\xff" * size

    def resize(self, key: Key, values: int, dropped: int) -> None:
        """A memory without so many of its first values, and of another size; what it grows by is poison."""
        at, size = self.places.pop(key)
        kept = self.bytes[at + dropped * ITEM : at + min(size, (dropped + values) * ITEM)]
        self.bytes[at : at + size] = b"\xff" * size
        self.claim(key, values)
        at, _ = self.places[key]
        self.bytes[at : at + len(kept)] = kept

    def view(self, key: Key, dims: tuple[int, ...]) -> Tensor:
        """The memory as a map that begins at its first byte."""
        if key not in self.places:
            assert not self.refuses, "it is dead"
        at, size = self.places.get(key) or self.dead[key]
        assert prod(dims) * ITEM <= size, "a map is larger than its memory"
        if not prod(dims):
            return torch.empty(dims, dtype=torch.float64)
        return torch.frombuffer(self.bytes, dtype=torch.float64, count=prod(dims), offset=at).view(dims)


def sides(box: Any) -> tuple[slice, ...]:
    return tuple(slice(*side) for side in box)


def computed(parts: Parts, position: int, given: list[Tensor], box: Any) -> Tensor:
    """A box of a map, from maps that are NaN wherever nothing lies."""
    made = parts.run(position, given)[sides(box)]
    assert not made.isnan().any(), "it reads what is not there"
    return made


def in_arena(report: Report, laid: Layout, placed: Arena, parts: Parts, refuses: bool = True) -> Tensor:
    """The last map of a network of which every map lies where the arena puts it."""
    names = [*report.network.inputs, *(node.name for node in report.network.nodes)]
    dims = [tuple(map(int, s.dims)) for s in report.shapes]
    store = Bytes(placed.bytes, refuses)
    end = len(names) - 1
    for position in range(end + 1):
        for place in placed.placed:
            if place.first == position:
                store.claim(place.node, place.bytes // ITEM, place.offset)
        mine = names[laid.own[position]]
        if not position:
            store.view(mine, dims[0])[:] = parts.input
            continue
        given = [store.view(names[laid.own[s]], dims[s]) for s in report.network.sources[position - 1]]
        box = tuple((0, n) for n in dims[position])
        if laid.beside[position]:  # channel by channel, each copied before it is written over
            beside = store.view(f"{names[position]}: a copy of one channel", dims[position][1:])
            for channel in range(dims[position][0]):
                beside[:] = given[0][channel]
                alone = torch.full(dims[position], torch.nan, dtype=torch.float64)
                alone[channel] = beside
                made = computed(parts, position, [alone], ((channel, channel + 1), *box[1:]))
                store.view(mine, dims[position])[channel] = made[0]
        else:
            store.view(mine, dims[position])[:] = computed(parts, position, given, box)
        for place in placed.placed:
            if place.node in store.places and place.last <= position < end:
                store.free(place.node)
    return store.view(names[laid.own[end]], dims[end]).clone()


def in_patches(
    report: Report, laid: Layout, cut: int, grid: tuple[int, ...], parts: Parts, size: int, careless: bool = False
) -> tuple[Tensor, int]:
    """The map at a cut, patch by patch, in an array of this many bytes; and the multiply-adds that it took.

    Args:
        careless: whether a patch's maps are dropped one node too early (a control), and read all the same.
    """
    dims = [tuple(map(int, s.dims)) for s in report.shapes]
    store = Bytes(size, refuses=not careless)
    store.claim("input", prod(dims[0]))
    store.claim("output", prod(dims[cut]))
    store.view("input", dims[0])[:] = parts.input
    made = [0] * (cut + 1)
    axes = report.shapes[cut].axes
    for chosen in product(*(divided(dims[cut][a], g) for a, g in zip(axes, grid, strict=True))):
        box = [(0, n) for n in dims[cut]]
        for axis, side in zip(axes, chosen, strict=True):
            box[axis] = side
        _one_patch(report, laid, cut, boxes(report, cut, tuple(box)), parts, store, made, careless)
    work = sum(int(report.costs[p].macs) * n // prod(dims[p]) for p, n in enumerate(made) if n)
    return store.view("output", dims[cut]).clone(), work


def _one_patch(
    report: Report, laid: Layout, cut: int, found: Any, parts: Parts, store: Bytes, made: list[int], careless: bool
) -> None:
    sources = report.network.sources
    dims = [tuple(map(int, s.dims)) for s in report.shapes]
    where: dict[int, Key] = {0: "input"}  # the memory of every map that lives
    root = list(range(cut + 1))  # the map as which it lies there: that of which it is a view

    def extent(p: int) -> tuple[int, ...]:
        return tuple(b - a for a, b in found[p])

    def later(s: int, after: int) -> list[int]:
        return [r for r in range(after, cut + 1) if found[r] is not None and s in sources[r - 1]]

    def leads_on(p: int) -> bool:
        """Whether a map is only rewritten in its place until it is the output."""
        return p == cut or (
            laid.own[p] == laid.own[cut] and all(leads_on(r) and not laid.beside[r] for r in later(p, p + 1))
        )

    def load(s: int, key: Key) -> Tensor:
        full = torch.full(dims[s], torch.nan, dtype=torch.float64)
        if key in ("input", "output"):
            full[sides(found[s])] = store.view(key, dims[0 if key == "input" else cut])[sides(found[s])]
        else:
            full[sides(found[root[s]])] = store.view(key, extent(root[s]))
        return full

    for p in range(1, cut + 1):
        if found[p] is None:
            continue
        made[p] += prod(extent(p))
        final = leads_on(p)
        key: Key = "output" if final else laid.own[p] if laid.own[p] else "over the input"
        over = [s for s in sources[p - 1] if where[s] == key]
        if not final and report.network.nodes[p - 1].layer.memory == VIEW:
            where[p], root[p] = where[sources[p - 1][0]], root[sources[p - 1][0]]
            continue
        if not final and not over:
            store.claim(key, prod(extent(p)))
        if careless and p > 1 and where[sources[p - 1][0]] not in ("input", "output"):
            dead = where[sources[p - 1][0]]
            if dead in store.places and dead != key:
                store.free(dead)
        given = [load(s, where[s]) for s in sources[p - 1]]
        if final:
            store.view("output", dims[cut])[sides(found[p])] = computed(parts, p, given, found[p])
        elif over and laid.beside[p]:  # a channel is computed beside its input, and then takes its place
            small = extent(p)[1:]
            source = root[over[0]]
            channels = extent(p)[0]
            larger = prod(small) > prod(extent(source)[1:])
            if prod(extent(p)) * ITEM > store.places[key][1]:
                store.resize(key, prod(extent(p)), 0)
            store.claim("beside", prod(small))
            held = store.view(key, extent(source))
            flat = store.view(key, (store.places[key][1] // ITEM,))
            for channel in reversed(range(channels)) if larger else range(channels):  # away from what is still to read
                alone = torch.full(dims[source], torch.nan, dtype=torch.float64)
                alone[(channel, *sides(found[source][1:]))] = held[channel]
                one = ((channel, channel + 1), *found[p][1:])
                store.view("beside", small)[:] = computed(parts, p, [alone], one)[0]
                flat[channel * prod(small) : (channel + 1) * prod(small)] = store.view("beside", small).flatten()
            store.free("beside")
        else:
            store.view(key, extent(p))[:] = computed(parts, p, given, found[p])
        where[p] = key
        for s in [s for s in where if where[s] not in ("input", "output")]:
            if where[s] in store.places and not any(later(q, p + 1) for q in where if where[q] == where[s]):
                store.free(where[s])


def in_strips(
    report: Report, laid: Layout, cut: int, strips: int, parts: Parts, size: int, *, own: Any = None,
    careless: bool = False,
) -> Tensor:  # fmt: skip
    """The map at a cut, strip by strip, in an array of this many bytes. Maps lie there row by row.

    Args:
        own: whose memory each position lives in (a control: as if it ran as a whole); as planned.
        careless: whether rows are dropped one node too early (a control), and read all the same.
    """
    plan = steps(report, cut, strips)
    own = own or owners(report, laid, cut, plan)
    dims = [tuple(map(int, s.dims)) for s in report.shapes]
    row = [prod(d) // d[1] for d in dims]
    store = Bytes(size, refuses=not careless)
    keys: list[Key] = ["input" if not m else "output" if m == own[cut] else m for m in own[: cut + 1]]
    store.claim("input", prod(dims[0]))
    store.claim("output", prod(dims[cut]))
    store.view("input", (dims[0][1], row[0]))[:] = parts.input.movedim(1, 0).flatten(1)
    begins: dict[Key, int] = {"input": 0, "output": 0}  # the first row of each memory that lives
    made = [0] * (cut + 1)
    for i, step in enumerate(plan):
        made[step.position] = step.makes[1]
        reads = _rows(step)
        alive = _rows(*plan[i + careless :])
        wanted: dict[Key, tuple[int, int, int]] = {}  # first row, end, values of a row
        for p, end in enumerate(made):
            first = min(alive.get(p, (end, end))[0], step.makes[0] if p == step.position else end)
            if first < end and keys[p] not in ("input", "output"):
                a, b, n = wanted.get(keys[p], (first, end, row[p]))
                assert n == row[p]
                wanted[keys[p]] = (min(a, first), max(b, end), n)
        for key in [k for k in begins if k not in ("input", "output", *wanted)]:
            store.free(key)
            del begins[key]

        def growth(item: tuple[Key, tuple[int, int, int]]) -> int:
            key, (a, b, n) = item
            return (b - a) * n * ITEM - (store.places[key][1] if key in begins else 0)

        for key, (a, b, n) in sorted(wanted.items(), key=growth):
            if key in begins:
                store.resize(key, (b - a) * n, (a - begins[key]) * n)
            else:
                store.claim(key, (b - a) * n)
            begins[key] = a
        given = []
        for s in report.network.sources[step.position - 1]:
            full = torch.full((dims[s][1], row[s]), torch.nan, dtype=torch.float64)
            if keys[s] in store.places:
                first, count = begins[keys[s]], store.places[keys[s]][1] // (row[s] * ITEM)
                held = store.view(keys[s], (count, row[s]))
                a, b = reads[s] if not careless else (max(reads[s][0], first), min(reads[s][1], first + count))
                assert careless or first <= a <= b <= first + count, "rows that are dead are read"
                full[a:b] = held[a - first : b - first] if a < b else full[a:b]
            else:
                assert careless, "it is dead"
            given.append(full.view(dims[s][1], dims[s][0], *dims[s][2:]).movedim(0, 1))
        p, (a, b) = step.position, step.makes
        box = tuple((a, b) if axis == 1 else (0, n) for axis, n in enumerate(dims[p]))
        first, count = begins[keys[p]], store.places[keys[p]][1] // (row[p] * ITEM)
        store.view(keys[p], (count, row[p]))[a - first : b - first] = (
            computed(parts, p, given, box).movedim(1, 0).flatten(1)
        )
    found = store.view("output", (dims[cut][1], row[cut])).clone()
    return found.view(dims[cut][1], dims[cut][0], *dims[cut][2:]).movedim(0, 1)


def _rows(*some: Step) -> dict[int, tuple[int, int]]:
    """Of each map the rows that some steps read."""
    found: dict[int, tuple[int, int]] = {}
    for step in some:
        for s, (a, b) in step.reads:
            c, d = found.get(s, (a, b))
            found[s] = (min(a, c), max(b, d))
    return found


def lopsided(seed: int) -> Report:
    """A random network of depthwise layers that keep the size, most of it padding on one side."""
    draw = random.Random(seed)
    n, m = draw.randint(3, 8), draw.randint(3, 7)
    steps_ = [f"conv3-{draw.randint(1, 3)}"]
    for _ in range(draw.randint(1, 2)):
        k, s = draw.choice([1, 2, 3]), draw.choice([1, 2, 2, 3])
        pads = [s * (extent - 1) + k - extent for extent in (n, m)]
        sides = "x".join(f"{a}:{p - a}" for p in pads for a in [draw.randint(0, p)])
        steps_ += [f"dwconv{k}/{s} p{sides}", *draw.choice([[], ["relu"], ["conv3-2"]])]
    return rfcalc.analyze(f"input: 2x{n}x{m}; {' > '.join([*steps_, 'conv1-2'])}")


def drawn(seed: int, small: bool = False) -> Report | None:
    """A random network; None where it does not run."""
    draw = random.Random(seed)
    steps = []
    if draw.random() < 0.2:
        steps.append("sigmoid")
    for _ in range(draw.randint(2, 5)):
        k, s = draw.choice([1, 2, 3, 5]), draw.choice([1, 1, 2, 3])
        steps.append(draw.choice([
            f"conv{k}-{draw.randint(1, 4)}/{s} > relu", f"maxpool{max(k, 2)}/{s} p{max(k, 2) // 2}", f"dwconv3/{s}",
            f"conv{k}-3 p0", "((conv3-3 > relu > conv1-3) + conv1-3) > relu", "(conv3-2 | conv1-1)", "up2",
            "conv1-2 > (identity + (conv3-2 > sigmoid))", "conv3-3 > dwconv3 > maxpool3/1 p1", "convt4-2/2 p1",
            "conv3-2 d2", f"conv1-2 p{draw.randint(1, 3)}",
        ]))  # fmt: skip
    size = f"{draw.randint(5, 14)}x{draw.randint(5, 12)}" if draw.random() < 0.8 else f"{draw.randint(9, 30)}"
    if small:
        steps, size = steps[:3], f"{draw.randint(3, 8)}x{draw.randint(3, 7)}"
    try:
        return rfcalc.analyze(f"input: 2x{size}; {' > '.join(steps)}")
    except rfcalc.RfcalcError:
        return None
