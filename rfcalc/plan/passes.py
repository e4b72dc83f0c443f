"""Tiles in several passes, for layers that read a whole map only through statistics of it.

Group and instance normalisation, global pooling (squeeze-and-excitation) and means over space need sums over all
positions. The sums can be gathered tile by tile; once they are known, the layer works position by position (a
normalisation), or is one value a channel (a mean), and nothing stands in the way of tiles any more:

1. The *level* of such a node is the number of them one behind another on the way to it. Nodes of one level are gathered
   in the same pass, which runs each tile up to them, and takes each position of their maps from one tile only.
2. In the plan of a pass, and in the last one, every such node stands as what it is with its statistics known.
3. The last pass writes the output. Where the output has no positions (a classifier), it follows from one tile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from rfcalc.core.displayed import displayed
from rfcalc.core.errors import RfcalcError
from rfcalc.core.layer import Layer
from rfcalc.core.shape import Shape
from rfcalc.graph.forward import forward
from rfcalc.graph.network import Network, Node
from rfcalc.layers.learned import Parameter
from rfcalc.layers.norm import BatchNorm
from rfcalc.layers.pointwise import Identity
from rfcalc.plan.following import Following
from rfcalc.plan.lines import Barrier
from rfcalc.plan.run import Done, Job, OneTile, check_arrays, check_calls, each, run, sources_of
from rfcalc.plan.tile import TilePlan, pruned
from rfcalc.plan.together import Together
from rfcalc.report import Report

if TYPE_CHECKING:
    from rfcalc.report.document import Document

Listed = list[tuple[str, Layer, Sequence[str]]]


class Gathered(NamedTuple):
    """One pass: the nodes whose statistics it gathers, the map that each reads, and the tiles of these maps."""

    nodes: tuple[str, ...]
    maps: tuple[str, ...]
    plan: TilePlan


class Tokens(NamedTuple):
    """The part of a map whose rows and columns lie along its last axis: their numbers, and the index of the part."""

    sizes: tuple[int, ...]
    index: Any


class PassPlan:
    """Tiles in several passes: statistics first, the output last.

    >>> import rfcalc
    >>> plan = rfcalc.tile("conv3-4 > gn2 > relu > conv3-4", "1x64x64", tiles="2x2", passes=True)
    >>> [p.nodes for p in plan.passes], plan.last.axes[0].halo, plan.count
    ([('groupnorm1',)], (2, 2), 8)

    Attributes:
        barriers: nodes that no pass can gather (attention to everything); empty where there is a plan.
        passes: what is gathered before the last pass.
        last: the plan of the last pass; None where the output has no positions.
        calls: the names of all nodes of these kinds (``mean``, ``reduce:sum``), in the order in which they run.

    Args:
        report: the network, analysed for the whole image.
        at, tile, tiles, memory, following: as for `TilePlan`.
    """

    def __init__(
        self, report: Report, *, at: str | None = None, following: Following | None = None, **cut: Any
    ) -> None:
        self.report, self._cut = report, cut
        if following is not None and at is None:
            self.network = following.at(tuple(report.inputs.values()))
        else:
            self.network = pruned(report, report.network.outputs if at is None else (at,))
            following = None
        self.inputs = tuple(report.inputs[name] for name in self.network.inputs)
        self._following = following if following is not None and following.follows else None
        self._shapes = forward(self.network, self.inputs).shapes
        self.gathered = self._gathered()
        self.calls: dict[str, tuple[str, ...]] = {}
        for position, node in enumerate(self.network.nodes, self.network.arity):
            if len(node.inputs) == 1 and node.layer.is_met(self._read(position)):
                operation = getattr(node.layer, "op", "")
                kind = f"{node.layer.kind}:{operation}" if operation else node.layer.kind
                self.calls[kind] = (*self.calls.get(kind, ()), node.name)
        self.passes: tuple[Gathered, ...] = ()
        self.last: TilePlan | None = None
        self.barriers: tuple[Barrier, ...] = ()
        self._plan()

    def in_one_tile(self) -> PassPlan:
        """The same in one tile: what is gathered in it are the statistics of the whole."""
        report, rules = self._again()
        return PassPlan(report, following=rules)

    def _again(self) -> tuple[Report, Following | None]:
        """The report made again, and the sizes inside of code that it follows."""
        about: dict[str, Any] = {"target": self.report.target, "assumptions": self.report.assumptions}
        report = Report(self.network, batch=self.report.batch, dtype=self.report.dtype, **about)
        return report, self._of(self.network, len(self._shapes)) if self._following is not None else None

    def _of(self, network: Network, end: int) -> Following:
        """What is followed in a network whose nodes are those of this one before a position."""
        found = self._following
        assert found is not None
        rules = {p: r for p, r in found.rules.items() if p < end and (network is self.network or self._kept(p))}
        return Following(network, rules, found.guards, {p: c for p, c in found.checks.items() if p < end})

    # -- which nodes -----------------------------------------------------------------------------------------------

    def _known(self, names: Sequence[str]) -> Listed:
        """All nodes, those of these names with their statistics known."""
        listed: Listed = []
        arity = self.network.arity
        for position, node in enumerate(self.network.nodes, arity):
            if node.name not in names:
                listed.append((node.name, node.layer, node.inputs))
                continue
            y = self._shapes[position]
            if node.layer.gathers(self._read(position)) == "value":
                listed.append((node.name, Parameter(y.dims, y.channel), ()))
            else:
                listed.append((node.name, BatchNorm(), node.inputs))
        return listed

    def _inside(self, node: Node) -> bool:
        """Whether a node is a part of an operator that joins maps, such as a sum of products: no call of the code takes
        the statistics by themselves."""
        steps: Mapping[str, int] = getattr(self.report.network.source, "steps", {})
        step = steps.get(node.name, -1)
        return step >= 0 and any(len(n.inputs) > 1 and steps.get(n.name) == step for n in self.network.nodes)

    def _read(self, position: int) -> Shape:
        return self._shapes[self.network.sources[position - self.network.arity][0]]

    def _network(self, listed: Listed, outputs: Sequence[str]) -> Network:
        inputs = dict(zip(self.network.inputs, self.inputs, strict=True))
        return Network.from_nodes(listed, inputs, outputs=tuple(outputs), name=self.network.name)

    def _gathered(self) -> dict[str, int]:
        """The nodes whose statistics have to be gathered, and the level of each."""
        arity = self.network.arity
        able = {
            node.name: position
            for position, node in enumerate(self.network.nodes, arity)
            if len(node.inputs) == 1 and node.layer.gathers(self._read(position)) and not self._inside(node)
        }
        network = self._network(self._known(tuple(able)), self.network.outputs)
        views = [Together(network, self.inputs, axis).view for axis in range(self.rank)]
        for name, position in list(able.items()):  # what reads no position of the input needs no pass
            source = self.network.sources[position - arity][0]
            if any(v.carriers[source] is None for v in views):
                del able[name]
        levels = [0] * len(self._shapes)
        found = {}
        for position, (node, sources) in enumerate(zip(self.network.nodes, self.network.sources, strict=True), arity):
            levels[position] = max((levels[s] for s in sources), default=0)
            if node.name in able:
                found[node.name] = levels[position]
                levels[position] += 1
        return found

    # -- the passes ------------------------------------------------------------------------------------------------

    def _plan(self) -> None:
        passes = []
        for level in range(max(self.gathered.values(), default=-1) + 1):
            nodes = tuple(name for name, at in self.gathered.items() if at == level)
            maps = tuple(self._map(name) for name in nodes)
            plan = self._tiles(tuple(dict.fromkeys(maps)))
            if plan.barriers:
                self.barriers = plan.barriers
                return
            passes.append(Gathered(nodes, tuple(_made(self.network, m) for m in maps), plan))
        outputs = self.network.outputs
        moving = self._tiles(outputs) if self._has_positions(outputs) else None
        if moving is not None and moving.barriers:
            self.barriers = moving.barriers
            return
        self.passes, self.last = tuple(passes), moving

    def _map(self, name: str) -> str:
        """The map of which a node takes statistics; where its rows and columns lie along one axis, the map before."""
        read = self.network.node(name).inputs[0]
        return self.network.node(read).inputs[0] if self.tokens(name) else read

    def tokens(self, name: str) -> bool:
        """Whether a node reads a map that is laid out anew, with all positions along its last axis."""
        read = self.network.node(name).inputs[0]
        if read in self.network.inputs or not self.network.node(read).layer.row_major:
            return False
        y = self._shapes[self.network.position(read)]
        x = self._shapes[self.network.position(self.network.node(read).inputs[0])]
        return x.rank == self.rank > 1 and y.dims == (*x.dims[: -x.rank], prod(x.spatial))

    def _has_positions(self, outputs: Sequence[str]) -> bool:
        network = self._network(self._known(tuple(self.gathered)), outputs)
        one = Together(network, self.inputs, 0).view
        if one.barriers:
            return True
        return any(one.carriers[network.position(name)] is not None for name in outputs)

    def _tiles(self, maps: Sequence[str]) -> TilePlan:
        """The tiles of some maps, where all statistics before them are known."""
        listed = self._known(tuple(self.gathered))
        for name in maps:
            if name in self.network.inputs:
                listed.append((_made(self.network, name), Identity(), (name,)))
        network = self._network(listed, [_made(self.network, name) for name in maps])
        about: dict[str, Any] = {"target": self.report.target, "assumptions": self.report.assumptions}
        report = Report(network, batch=self.report.batch, dtype=self.report.dtype, **about)
        if self._following is None:
            return TilePlan(report, **self._cut)
        last = max(network.position(name) for name in network.outputs)
        cut = self._network(listed[: last + 1 - network.arity], network.outputs)
        return TilePlan(report, following=self._of(cut, last + 1), **self._cut)

    def _kept(self, position: int) -> bool:
        return self.network.nodes[position - self.network.arity].name not in self.gathered

    # -- the answer ------------------------------------------------------------------------------------------------

    @property
    def status(self) -> str:
        """``barrier`` (in passes), ``exact`` (nothing has to be gathered), ``impossible``."""
        return "impossible" if self.barriers else "barrier" if self.passes else "exact"

    @cached_property
    def plans(self) -> tuple[TilePlan, ...]:
        """The plans of all passes, the last one included."""
        return (*(p.plan for p in self.passes), *(() if self.last is None else (self.last,)))

    @cached_property
    def first(self) -> TilePlan:
        """What there is in a single pass: the barriers."""
        report, rules = self._again()
        found = TilePlan(report, following=rules, **self._cut)
        found.barriers = self.barriers or found.barriers
        return found

    @property
    def rank(self) -> int:
        return max(x.rank for x in self.inputs)

    @property
    def count(self) -> int:
        """How many tiles are run, over all passes."""
        return sum(plan.count for plan in self.plans)

    @property
    def macs(self) -> tuple[int, int]:
        """Multiply-adds of the whole, and of all tiles of all passes."""
        whole = sum(int(c.macs) for c in self.report.costs) * int(self.report.batch)
        return whole, sum(plan.macs[1] for plan in self.plans)

    @property
    def peak_bytes(self) -> tuple[int, int]:
        """The largest sum of live maps of the whole, and of the largest tile of any pass."""
        whole = int(self.report.totals.peak_bytes)
        return whole, max((plan.peak_bytes[1] for plan in self.plans), default=whole)

    def run(self, function: Any, source: Any, out: Any = None, map: Any = map, progress: Any = None) -> Any:  # noqa: A002
        """The whole output, computed in passes.

        Args:
            function: ``rfcalc.in_passes(module)``: runs a tile, gathers statistics, and uses them.
            source, out, map, progress: as for `TilePlan.run`; progress counts the tiles of all passes.

        Raises:
            RfcalcError: there is no plan; a function that gathers nothing; arrays of the wrong shape.
        """
        if self.barriers:
            raise RfcalcError("there are no tiles", where=self.barriers[0].node, why=self.barriers[0].why)
        if not hasattr(function, "gather"):
            raise RfcalcError(
                "the function gathers no statistics",
                why=f"{', '.join(self.gathered) or 'the plan'} needs passes",
                fix="give a PyTorch module: plan.run(rfcalc.in_passes(module), …)",
            )
        check_calls(function, map)
        if self.last is not None:
            check_arrays(self.last, source, out)
        ready = function.knowing(self, self.gather(function, source, map, progress))
        if self.last is None:
            tile = self.passes[-1].plan.tile(0)
            first = OneTile(self.passes[-1].plan, ready, sources_of(self.passes[-1].plan, source))
            return ready(first.taken(tile))
        done = self.count - self.last.count
        told = None if progress is None else lambda n, _: progress(done + n, self.count)
        return run(self.last, ready, source, out, map, told)

    def gather(self, function: Any, source: Any, map: Any = map, progress: Any = None) -> dict[str, Any]:  # noqa: A002
        """The statistics of all nodes, by name, pass after pass."""
        done = 0
        known: dict[str, Any] = {}
        for one in self.passes:
            check_arrays(one.plan, source, None)
            work = Part(self, one, function, sources_of(one.plan, source), known)
            found: dict[str, Any] = {}
            for partial in each(one.plan, work, map):
                for name, values in partial.found.items():
                    found[name] = function.merged(found[name], values) if name in found else values
                done += 1
                if progress is not None:
                    progress(done, self.count)
            known = {**known, **found}
        return known

    def to_dict(self) -> dict[str, Any]:
        """The JSON: schema rfcalc/tile/1, of the last pass, with the passes before it."""
        from rfcalc.plan.tile_shown import passes_dict

        return passes_dict(self)

    _repr_html_ = displayed

    def document(self, **given: Any) -> Document:
        """What `rfcalc tile --passes` shows."""
        from rfcalc.plan.tile_shown import passes_document

        return passes_document(self, **given)


class Part:
    """Gathers one tile's part of the statistics of a pass; can be sent to another process."""

    def __init__(self, plan: PassPlan, one: Gathered, function: Any, source: Any, known: dict[str, Any]) -> None:
        self.one = OneTile(one.plan, None, source)  # type: ignore[arg-type]  # it only reads and cuts here
        self.wanted = dict(zip(one.nodes, one.maps, strict=True))
        self.tokens = {name for name in one.nodes if plan.tokens(name)}
        self.ready = function.knowing(plan, known)

    def __call__(self, job: Job) -> Done:
        cuts: dict[str, Any] = {node: self.one.cut(job.tile, map_) for node, map_ in self.wanted.items()}
        for node in self.tokens:
            cuts[node] = Tokens(job.lengths[self.wanted[node]], cuts[node])
        return Done(job.number, job.tile, self.ready.gather(self.one.taken(job.tile), cuts))


def _made(network: Network, name: str) -> str:
    """The node that stands for a map: itself, or what stands for an input."""
    return f"map of {name}" if name in network.inputs else name
