"""Exact tiles: what a tile must read so that what it writes equals the whole, the least of it, and the cheapest plan.

On each axis, with `LineView`:

1. A tile begins on multiples of `align`, so that the grid of every map, and every fixed pattern, stays in place.
2. `need`: how far before (after) the place of what is written the tile must begin (end), so that it holds *every
   position at every map* that a written unit reads. `halo`: need on the left rounded up to `align`; on the right the
   least one for which the tile's length is a size that the network takes and reads as it reads the whole.
3. At the image's border there is no halo: the tile ends where the image does. Each tile of a plan is fitted by itself,
   so that it reads the least that is right there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise, product
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from rfcalc.core.displayed import displayed
from rfcalc.core.errors import LimitError, RfcalcError, plural
from rfcalc.core.shape import Shape
from rfcalc.core.window import Window
from rfcalc.graph.forward import Shaped, Walked, forward
from rfcalc.graph.memory import peak
from rfcalc.graph.network import Network
from rfcalc.plan.axis_tiles import AxisTiles, Part, Range
from rfcalc.plan.classes import Undecided
from rfcalc.plan.following import Following
from rfcalc.plan.grid import reach
from rfcalc.plan.lines import Barrier
from rfcalc.plan.solving import with_size
from rfcalc.plan.together import Size, first_of
from rfcalc.report import Report

if TYPE_CHECKING:
    from rfcalc.report.document import Document


class TooSmall(RfcalcError):
    """A tile that is smaller than its halo and one align."""


class TileAxis(NamedTuple):
    """One axis of a plan.

    Attributes:
        axis: the spatial axis, 0 first.
        period, advance: units 0 … period − 1 of the (first) output advance by `advance` input positions.
        reach: how far a unit sees before and after its own place; None where no window says it.
        need: how far a tile must read before and after what it writes, at least; may be negative.
        halo: the same, rounded so that tiles are aligned and have sizes that the network takes.
        align: tiles begin on multiples of it.
        step: output positions on whose multiples writes begin.
    """

    axis: int
    period: int
    advance: int
    reach: tuple[int, int] | None
    need: tuple[int, int]
    halo: tuple[int, int]
    align: int
    step: int


class Tile(NamedTuple):
    """What one tile reads (of each axis of the image; `TilePlan.reads`: of every input), writes (of each output's), and
    which part of its own output that is.

    All are half-open ranges, an entry an axis; `write` and `crop` are by output.
    """

    read: tuple[Range, ...]
    write: dict[str, tuple[Range, ...]]
    crop: dict[str, tuple[Range, ...]]


class TilePlan:
    """Tiles of a network's input whose outputs, put together, equal the whole output exactly.

    >>> import rfcalc
    >>> plan = rfcalc.tile("unet-padded", "1x1024x1024", tile=512)
    >>> plan.axes[0].need, plan.axes[0].halo, plan.axes[0].align, plan.axes[0].reach
    ((94, 94), (96, 96), 16, (107, 107))
    >>> plan.count, plan.tiles[0]
    (16, Tile(read=((0, 352), (0, 352)), write={'output': ((0, 256), (0, 256))}, crop={'output': ((0, 256), (0, 256))}))

    Args:
        report: the network, analysed for the whole image.
        at: the node whose map is wanted; the outputs if left out.
        tile: the largest number of positions that a tile may read, for all axes or for each.
        tiles: how many tiles each axis is cut into.
        memory: bytes that the maps of one tile may take (without weights): the cheapest plan within it is chosen.
        following: rules of the sizes that code has frozen into layers, for the outputs.
        multiple: tiles have sizes that differ from the image's by multiples of it (code does something else at others).
        unfollowed: why the network is known at the size of the whole image only.

    Raises:
        RfcalcError: a tile that is larger than the image, or too small; a memory that no tile fits into.
    """

    def __init__(
        self,
        report: Report,
        *,
        at: str | None = None,
        tile: Sequence[int] | None = None,
        tiles: Sequence[int] | None = None,
        memory: int | None = None,
        following: Following | None = None,
        multiple: int = 1,
        unfollowed: Barrier | None = None,
    ) -> None:
        given = [name for name, v in (("tile", tile), ("tiles", tiles), ("memory", memory)) if v is not None]
        if len(given) > 1:
            raise RfcalcError(f"{' and '.join(given)} are given together", fix="give one of them")
        self.source = report.network.source  # what the network was read from, if anything
        if following is not None and at is None:
            inputs = tuple(report.inputs.values())
            about: dict[str, Any] = {"target": report.target, "assumptions": report.assumptions}
            report = Report(following.at(inputs), batch=report.batch, dtype=report.dtype, **about)
            self.network, self.following = report.network, following
        else:
            self.network = pruned(report, report.network.outputs if at is None else (at,))
            self.following = Following(self.network, {}) if following is None else following.within(self.network)
        self.report = report
        self.inputs = tuple(report.inputs[name] for name in self.network.inputs)
        self.image = self.inputs[first_of(self.inputs)]
        self.rank = _rank(self.image)
        self.walked = forward(self.network, self.inputs)
        self.lines = tuple(
            AxisTiles(self.following, self.inputs, axis, self.walked, multiple) for axis in range(self.rank)
        )
        self.barriers: tuple[Barrier, ...] = self._barriers()
        if (
            following is not None and unfollowed is not None
        ):  # the sizes are known: only what lies behind the node is not
            unfollowed = unfollowed if any(n.name == unfollowed.node for n in self.network.nodes) else None
        if unfollowed is not None and not self.barriers:
            name = self.network.outputs[0]
            self.barriers = (unfollowed._replace(node=unfollowed.node or name),)
        self.parts: tuple[tuple[Part, ...], ...] = ()
        self.shown: int | None = None  # an axis, where only one is to be told
        self.axes: tuple[TileAxis, ...] = ()
        if self.barriers:
            self._checked(tile, tiles)
            return
        self.axes = tuple(self._axis(line) for line in self.lines)
        self.parts = tuple(self._cut(tile, tiles, memory))

    def _barriers(self) -> tuple[Barrier, ...]:
        found: dict[Barrier, None] = {}
        for line in self.lines:
            found |= dict.fromkeys(line.barriers)
            if line.barriers:
                continue
            if any(line.view.carriers[p] is None for p in line.outputs):
                name = self.network.outputs[0]
                found[Barrier(name, "output", "it does not depend on the input position by position")] = None
                continue
            laid = [n for n, p in zip(self.network.outputs, line.outputs, strict=True) if line.view.mixed(p)]
            if laid:
                found[Barrier(laid[0], "output", "positions of several axes lie along one axis of it, as tokens")] = (
                    None
                )
                continue
            turned = [n for n, p in zip(self.network.outputs, line.outputs, strict=True) if line.view.mirrored(p)]
            if turned:
                why = "it is the mirror image: what a unit reads is tied to the size of the whole map"
                found[Barrier(turned[0], "output", why)] = None
                continue
            try:
                halo = line.halo()
            except (Undecided, LimitError) as error:
                at = getattr(error, "position", None)
                name = self.network.outputs[0] if at is None else self.network.nodes[at - self.network.arity].name
                found[Barrier(name, "size", f"no formula tells its sizes: {error}")] = None
                continue
            if halo is None:
                found[self._tied(line)] = None
        if found and (node := self._global({b.node for b in found})) is not None:
            found[node] = None
        return tuple(found)

    def _global(self, told: set[str]) -> Barrier | None:
        """The first node that makes units read everything (attention), if it lies behind those that are told."""
        position = self.report.network.position(self.network.outputs[0])
        for field in self.report.receptive_fields(position).values():
            for name in field.through:
                if name in told:
                    return None
                if any(node.name == name for node in self.network.nodes):
                    kind = self.network.node(name).layer.kind
                    return Barrier(name, kind, "every unit reads the whole map")
        return None

    def _tied(self, line: AxisTiles) -> Barrier:
        """The node that does not read a smaller image as it reads the whole."""
        size = line.size - line.align
        while size > 0:
            if line.lengths(size) is not None:
                other = line.tile_view(size)
                at = None if other is None else line.view.difference(other)
                if at is not None:
                    node = self.network.nodes[at - self.network.arity]
                    return Barrier(node.name, node.layer.kind, "what it reads depends on the size of the whole map")
            size -= line.align
        refusing = [c.position for c in line.solved.found if c.position is not None]
        node = self.network.nodes[(refusing[-1] if refusing else self.network.arity) - self.network.arity]
        return Barrier(node.name, node.layer.kind, "it takes the size of the whole image only")

    def _axis(self, line: AxisTiles) -> TileAxis:
        period, advance = line.window()
        found = self.report.receptive_fields(self.report.network.position(self.network.outputs[0]))
        field = found[list(self.network.inputs)[line.together.image]]
        window: Window | None = field.windows[line.axis]
        halo = line.halo()
        assert halo is not None
        sees = None if window is None or window.empty else reach(window)
        if window is not None and window.advance:
            period, advance = window.period, int(window.advance)
        step = period * line.align // advance
        return TileAxis(line.axis, period, advance, sees, line.need(), halo, line.align, step)

    def _checked(self, tile: Sequence[int] | None, tiles: Sequence[int] | None) -> None:
        for name, given in (("tile", tile), ("tiles", tiles)):
            if given is not None and len(given) != self.rank:
                raise RfcalcError(
                    f"{name} {'x'.join(map(str, given))} has {plural(len(given), 'number')}",
                    why=f"the input {self.image} has {plural(self.rank, 'spatial axis', 'spatial axes')}",
                )
        for axis, size in enumerate(tile or ()):
            if size > self.lines[axis].size:
                raise RfcalcError(
                    f"a tile of {size} is larger than the image, {self.lines[axis].size} on axis {axis}",
                    fix=f"give at most {'x'.join(str(line.size) for line in self.lines)}, or run it whole",
                )

    def _cut(
        self, tile: Sequence[int] | None, tiles: Sequence[int] | None, memory: int | None
    ) -> Iterator[tuple[Part, ...]]:
        self._checked(tile, tiles)
        if memory is not None:
            yield from self._within(memory)
            return
        for axis, line in enumerate(self.lines):
            if tile is not None:
                yield self._of_size(line, tile[axis])
            elif tiles is not None:
                yield self._of_count(line, tiles[axis])
            else:
                yield self._of_count(line, 1)

    def _of_count(self, line: AxisTiles, count: int) -> tuple[Part, ...]:
        """An axis cut into this many tiles, as equal as the grid allows."""
        units = line.extent
        line.check_count(min(count, units))
        if count > units:
            raise RfcalcError(
                f"axis {line.axis} cannot be cut into {plural(count, 'tile')}",
                why=f"tiles begin on multiples of {line.align}, and the output stands for {units} of them",
                fix=f"give at most {units}",
            )
        ends = [i * units // count for i in range(count + 1)]
        return tuple(line.part(a, b) for a, b in pairwise(ends))

    def _of_size(self, line: AxisTiles, size: int) -> tuple[Part, ...]:
        """An axis cut into tiles that read at most `size` positions."""
        if size >= line.size:
            return (line.part(0, line.extent),)
        for count in range((size - sum(self.axes[line.axis].halo)) // line.align, 0, -1):
            halo = line.halo(count)
            if halo is not None and sum(halo) + count * line.align <= size:
                units = line.extent
                for parts in (
                    self._of_count(line, -(-units // count)),
                    self._every(line, count),
                ):  # alike, or full ones
                    if max(p.read[1] - p.read[0] for p in parts) <= size:
                        return parts
        before, after = self.axes[line.axis].halo
        raise TooSmall(
            f"a tile of {size} is too small on axis {line.axis}",
            why=f"it reads {before} before and {after} after what it writes, and writes multiples of {line.align}",
            fix=f"give at least {before + after + line.align}",
        )

    @staticmethod
    def _every(line: AxisTiles, count: int) -> tuple[Part, ...]:
        """Tiles of `count` aligns each; the last one is what is left."""
        units = line.extent
        line.check_count(units // count)
        return tuple(line.part(i, min(i + count, units)) for i in range(0, units, count))

    def _within(self, memory: int) -> tuple[tuple[Part, ...], ...]:
        """The plan with the fewest multiply-adds among those whose largest tile fits."""
        best: tuple[int, int, tuple[tuple[Part, ...], ...]] | None = None
        options = [_Options(self, line) for line in self.lines]
        for counts in product(*[o.counts for o in options[:-1]]):
            chosen = [o.parts(c) for o, c in zip(options, counts, strict=False)]
            last = options[-1]
            low, high = 0, len(last.counts)
            while low < high:  # fewer positions in a tile never take more memory
                middle = (low + high) // 2
                if self._bytes([*chosen, last.parts(last.counts[middle])]) <= memory:
                    high = middle
                else:
                    low = middle + 1
            if low == len(last.counts):
                continue
            plan = (*chosen, last.parts(last.counts[low]))
            cost = (self._macs(plan), prod(map(len, plan)))
            if best is None or cost < best[:2]:
                best = (*cost, plan)
        if best is None:
            least = self._bytes([o.parts(o.counts[-1]) for o in options])
            raise RfcalcError(
                f"no tile fits into {memory:,} bytes",
                why=f"the smallest one, which writes one align on each axis, takes {least:,} bytes of maps",
                fix=f"give at least {least:,} bytes, or another --dtype",
            )
        return best[2]

    # -- costs -----------------------------------------------------------------------------------------------------

    def shape_of(self, read_: Sequence[Range]) -> tuple[Shape, ...]:
        """The shapes of the inputs of one tile."""
        found = list(self.inputs)
        for line, (a, b) in zip(self.lines, read_, strict=True):
            for i, size in enumerate(line.together.sizes):
                if size is not None:
                    found[i] = with_size(found[i], line.axis, size.at(b - a))
        return tuple(found)

    def _forward(self, sizes: tuple[int, ...]) -> Walked:
        known: dict[tuple[int, ...], Walked] = self.__dict__.setdefault("_walks", {})
        if sizes not in known:
            if len(known) > 256:
                known.clear()
            inputs = self.shape_of([(0, n) for n in sizes])
            known[sizes] = forward(self.following.at(inputs), inputs)
        return known[sizes]

    def _bytes(self, parts: Sequence[Sequence[Part]]) -> int:
        sizes = tuple(max(p.read[1] - p.read[0] for p in line) for line in parts)
        return int(peak(self._forward(sizes), self.report.itemsize)[0]) * int(self.report.batch)

    def _macs(self, parts: Sequence[Sequence[Part]]) -> int:
        total = 0
        counted = []
        for line in parts:
            sizes: dict[int, int] = {}
            for p in line:
                sizes[p.read[1] - p.read[0]] = sizes.get(p.read[1] - p.read[0], 0) + 1
            counted.append(sizes)
        for chosen in product(*[sizes.items() for sizes in counted]):
            times = prod(n for _, n in chosen)
            total += times * sum(int(c.macs) for c in self._forward(tuple(size for size, _ in chosen)).costs)
        return total * int(self.report.batch)

    @cached_property
    def macs(self) -> tuple[int, int]:
        """Multiply-adds of the whole, and of all tiles."""
        whole = sum(int(c.macs) for c in self.walked.costs) * int(self.report.batch)
        return whole, self._macs(self.parts) if self.parts else whole

    @cached_property
    def peak_bytes(self) -> tuple[int, int]:
        """The largest sum of live maps of the whole, and of the largest tile; weights not counted."""
        whole = int(peak(self.walked, self.report.itemsize)[0]) * int(self.report.batch)
        return whole, self._bytes(self.parts) if self.parts else whole

    # -- the answer ------------------------------------------------------------------------------------------------

    @property
    def status(self) -> str:
        """``exact``; ``barrier`` (a node reads the whole map: nothing less is exact); ``impossible``."""
        return "barrier" if self.barriers else "exact"

    @property
    def count(self) -> int:
        return prod(map(len, self.parts)) if self.parts else 0

    @property
    def tiles(self) -> Tiles:
        """All tiles, row by row."""
        return Tiles(self)

    def tile(self, index: int) -> Tile:
        """One tile by its number."""
        chosen = []
        for line in reversed(self.parts):
            index, i = divmod(index, len(line))
            chosen.append(line[i])
        chosen.reverse()
        names = self.network.outputs
        return Tile(
            tuple(p.read for p in chosen),
            {name: tuple(p.write[i] for p in chosen) for i, name in enumerate(names)},
            {name: tuple(p.crop[i] for p in chosen) for i, name in enumerate(names)},
        )

    def reads(self, tile: Tile) -> dict[str, tuple[Range, ...]]:
        """What a tile reads of each input that has the image's axes."""
        named = {name: self.related(i) for i, name in enumerate(self.network.inputs)}
        return {
            name: tuple(size.part(read) for size, read in zip(sizes, tile.read, strict=True))
            for name, sizes in named.items()
            if sizes
        }

    def related(self, i: int) -> list[Size]:
        """How the sizes of an input follow the image's, of each axis; none, where it has other axes."""
        return [size for line in self.lines if (size := line.together.sizes[i]) is not None]

    def run(self, function: Any, source: Any, out: Any = None, map: Any = map, progress: Any = None) -> Any:  # noqa: A002
        """Compute the whole output tile by tile; see `rfcalc.plan.run.run`."""
        from rfcalc.plan.run import run

        return run(self, function, source, out, map, progress)

    def __repr__(self) -> str:
        return f"<tiles of {self.report.target}: {self.status}, {plural(self.count, 'tile')}>"

    def to_dict(self) -> dict[str, Any]:
        """The JSON: schema rfcalc/tile/1."""
        from rfcalc.plan.tile_shown import to_dict

        return to_dict(self)

    _repr_html_ = displayed

    def document(self, **given: Any) -> Document:
        """What `rfcalc tile` shows."""
        from rfcalc.plan.tile_shown import document

        return document(self, **given)


class Tiles(Sequence[Tile]):
    """The tiles of a plan, made when they are asked for."""

    def __init__(self, plan: TilePlan) -> None:
        self.plan = plan

    def __len__(self) -> int:
        return self.plan.count

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self.plan.tile(i) for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.plan.tile(index % len(self))


class _Options:
    """How an axis can be cut: numbers of tiles, the fewest first, and the tiles of each."""

    def __init__(self, plan: TilePlan, line: AxisTiles) -> None:
        self.line, self._known = line, {}  # type: ignore[var-annotated]
        units = line.extent
        self.counts = sorted({-(-units // -(-units // k)) for k in range(1, units + 1)})

    def parts(self, count: int) -> tuple[Part, ...]:
        if count not in self._known:
            self._known[count] = TilePlan._every(self.line, -(-self.line.extent // count))
        return self._known[count]  # type: ignore[no-any-return]


def pruned(walked: Shaped, outputs: Sequence[str]) -> Network:
    """The part of a network that some nodes need, with them as its outputs.

    Raises:
        UnknownName: there is no such node.
    """
    network, arity = walked.network, walked.network.arity
    wanted = [network.position(name) for name in outputs]
    needed = set(wanted)
    for position in range(max(wanted), arity - 1, -1):
        if position in needed:
            needed.update(network.sources[position - arity])
    names = [*network.inputs, *(node.name for node in network.nodes)]
    inputs = {name: x for p, (name, x) in enumerate(zip(network.inputs, walked.shapes, strict=False)) if p in needed}
    if len(needed) == len(walked.shapes) and tuple(outputs) == network.outputs:
        same = network.inputs == inputs
        return network if same else Network(network.expr, inputs, outputs=network.outputs, name=network.name)
    listed = [
        (node.name, node.layer, node.inputs) for position, node in enumerate(network.nodes, arity) if position in needed
    ]
    return Network.from_nodes(listed, inputs, outputs=tuple(names[p] for p in wanted), name=network.name)


def _rank(image: Shape) -> int:
    if image.rank == 0:
        raise RfcalcError(f"the input {image} has no spatial axes", fix="a flat vector has no tiles")
    return image.rank
