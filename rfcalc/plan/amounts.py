"""What each position of a network takes in a step of training: its map, copies, what it keeps, its gradients.

Amounts are affine in the batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rfcalc.core.cost import INDEX, Library, Passing
from rfcalc.core.errors import RfcalcError
from rfcalc.core.layer import IN_PLACE
from rfcalc.graph.autograd import saving
from rfcalc.graph.forward import Shaped
from rfcalc.graph.gradients import Learning, holders, learning
from rfcalc.graph.memory import overwriting, repeating, storages
from rfcalc.graph.strides import by_positions, layout, once
from rfcalc.plan.account import NONE, Amount, Precision
from rfcalc.plan.mixed import Mixed, mixed
from rfcalc.plan.splits import splits


class Amounts:
    """A run of a network: which positions have gradients, and what each takes and keeps.

    Args:
        walked: the network's forward walk.
        precision: bytes of a value.
        frozen: how many parameters of a position get no gradient; None: nothing learns, and only forward runs.
        single: whether the batch is a single item, of which PyTorch keeps some copies that it else spares.
        device: ``cpu`` or ``cuda``: how dropout keeps its masks.
        recomputed: runs of positions (first, last) of which only the input is kept, and which run again in backward.
        block: what an allocator rounds every tensor up to, in bytes.
        batch: the batch for which it is rounded; amounts are those of this batch then.
    """

    def __init__(
        self,
        walked: Shaped,
        precision: Precision,
        frozen: Mapping[int, int] | None = None,
        *,
        single: bool = False,
        device: str = "cpu",
        recomputed: Sequence[tuple[int, int]] = (),
        block: int = 1,
        batch: int = 1,
    ) -> None:
        self.block, self.batch = block, batch
        self.walked, self.precision, self.single, self.device = walked, precision, single, device
        # then an input ends with its last reader; in training whoever calls holds it
        self.only_forward = frozen is None
        self.network, self.arity = walked.network, walked.network.arity
        self.names = [*self.network.inputs, *(node.name for node in self.network.nodes)]
        self.in_place: Mapping[str, int] = getattr(self.network.source, "in_place", {})
        # of code it is known what writes over its input; elsewhere all does that may
        self.saved, over = saving(walked, done=getattr(self.network.source, "in_place", None))
        # what needs its input for backward keeps a copy of it, and writes its output into memory of its own
        if frozen is None:
            over = overwriting(walked)
        else:
            kinds = {p: node.layer.memory for p, node in enumerate(self.network.nodes, self.arity)}
            done = {p for p, kind in kinds.items() if kind == IN_PLACE and self.names[p] in self.in_place}
            over = frozenset(p for p in over | done if 0 not in self.saved[p].inputs)
        self.once, self.made = self._single_ones(self.only_forward)
        self.laid = layout(walked, 1 if single else 2, self.once)
        self.own = storages(walked, over, self.laid.reshaped)
        plain = Mixed((precision.maps,) * len(walked.shapes), {})
        widths, self.casts = mixed(walked, device) if precision.copies else plain
        whole: Mapping[str, int] = getattr(self.network.source, "whole", {})
        self.widths = tuple(whole.get(name, width) for name, width in zip(self.names, widths, strict=True))
        self._values = self._distinct()
        self.frozen = frozen
        self.recomputed = {last: first for first, last in recomputed}
        self._first = {p: first for first, last in recomputed for p in range(first, last + 1)}  # of the run it is in
        none = (False,) * len(walked.shapes)
        told = Learning(none, none, none, none) if frozen is None else learning(walked, frozen)
        self.learns, self._trained = told.maps, told.weights
        self._holder = holders(walked)
        self._keeping: dict[int, int] = {}  # by what holds weights, the first use that keeps their copy of two bytes
        for p in range(self.arity, len(self.names)):
            if self.learns[p] and self.lowered(p) and self._keeps_weights(p):
                self._keeping.setdefault(self._holder[p], p)
        self._splits = splits(walked, self.given)
        self._held = {self.own[self.network.position(name)] for name in self.network.outputs}  # by whoever calls

    def _distinct(self) -> tuple[int, ...]:
        """The values of each map; of learned ones that are stretched for a product, which PyTorch multiplies as they
        are, those that are stretched."""
        found = [int(shape.values) for shape in self.walked.shapes]
        spread = repeating(self.walked)
        for position in sorted(spread):
            if self.once[position]:
                found[position] = found[self.network.sources[position - self.arity][0]]
        return tuple(found)

    def _single_ones(self, runs: bool) -> tuple[tuple[bool, ...], dict[int, Amount]]:
        """The maps that are there once, whatever the batch; and the bytes of those that code computes in every step
        without its inputs. What has no input behind it may still be there for every item, as code may repeat it."""
        source, found = self.network.source, list(once(self.walked))
        made: Mapping[str, int] = getattr(source, "computed", {})
        steps: Mapping[str, int] = getattr(source, "steps", {})
        other = {-1, *(steps.get(self.names[p], -1) for p, alone in enumerate(found) if not alone)}
        run = [
            p for p, alone in enumerate(found)
            if alone and steps.get(self.names[p], -1) not in other and not self.drawn(p)
        ]  # fmt: skip
        if runs or not run:
            return tuple(found), {}
        try:
            alone = {} if self.single else source.scales(2)
        except RfcalcError:  # at another batch other operators run
            alone = dict.fromkeys(steps, None)
        for p in run:
            name = self.names[p]
            found[p] = self.single or (name in alone and (alone[name] is None or alone[name].values == 1))
        sizes = {p: made[self.names[p]] for p in run if self.names[p] in made}
        return tuple(found), {p: Amount(n) if found[p] else Amount(0, n) for p, n in sizes.items()}

    def params(self, position: int) -> int:
        """Parameters of a position, with those of its weight group counted where the group first appears."""
        return int(self.walked.costs[position].params)

    def size(self, position: int) -> Amount:
        """The map of a position."""
        if position in self.made:
            return self.rounded(self.made[position])
        return self.rounded(self.each(position, self._values[position] * self.widths[position]))

    def each(self, position: int, size: int) -> Amount:
        """So many bytes for each item; once, where no input is behind a position."""
        return Amount(size) if self.once[position] and not self.drawn(position) else Amount(0, size)

    def rounded(self, *tensors: Amount) -> Amount:
        """The sum of tensors, each as an allocator rounds it."""
        if self.block == 1:
            return sum(tensors, NONE)
        return Amount(sum(-(-t.at(self.batch) // self.block) * self.block for t in tensors))

    def gradient(self, position: int, width: int) -> Amount:
        """The gradient of a position's map at so many bytes a value; of a learned map summed over the batch."""
        return self.rounded(self.each(position, self._values[position] * width))

    def parameters(self, position: int) -> Amount:
        """The gradient of a position's parameters."""
        return sum(self.learned(position, self.precision.weights), NONE)

    def learned(self, position: int, width: int) -> tuple[Amount, Amount]:
        """The gradients of a position's weights and biases, at so many bytes a value."""
        if self.frozen is None:
            return NONE, NONE
        frozen, cost = self.frozen.get(position, 0), self.walked.costs[position]
        # of a part that is frozen, the source says how many parameters it has: the weights, if these are enough
        weights, biases = int(cost.weights), int(cost.biases)
        weights, biases = (0, biases - frozen + weights) if frozen >= weights else (weights - frozen, biases)
        return self.rounded(Amount(weights * width)), self.rounded(Amount(biases * width))

    def kept_beside(self, position: int) -> Amount:
        """What a position makes beside its map, for backward: statistics, indices, masks, copies of weights."""
        said = self.saved[position]
        if not self.learns[position]:
            return self.rounded(self.each(position, INDEX * int(said.indices)))  # made all the same
        library = self.library(position)
        if library is not None:
            return self.rounded(*map(Amount, library.kept))
        maps = self.widths[position]
        mask = maps if self.device == "cpu" else 1
        single = int(said.single_values) * maps if self.single else 0
        indexed: Mapping[str, int] = getattr(self.network.source, "indexed", {})
        copied = 0
        if self._keeping.get(self._holder[position]) == position:
            copied = int(self.walked.costs[self._holder[position]].weights) * self.precision.copies
        spared = self._spared(position)
        statistics = int(said.batch_values) * self.precision.weights  # mean and deviation
        extra = (int(said.extra_values) - int(said.statistics)) * maps + (
            int(said.statistics) - spared
        ) * self.precision.weights
        return self.rounded(
            *(Amount(part) for part in (statistics // 2, statistics - statistics // 2, copied)),
            Amount(indexed.get(self.names[position], 0)),
            *(self.each(position, n) for n in (extra, INDEX * int(said.indices), single, int(said.masks) * mask)),
            *self.copies(position, True),
        )

    def _spared(self, position: int) -> int:
        """Values that a position does not keep, because nothing trained would be told by them."""
        walked, layer = self.walked, self.network.nodes[position - self.arity].layer
        has = tuple([self.learns[s] for s in self.network.sources[position - self.arity]])
        return int(layer.spared(walked.input_shapes(position), walked.shapes[position], has, self._trained[position]))

    def copies(self, position: int, kept: bool) -> list[Amount]:
        """Copies of inputs that a position reads, because the maps do not lie as it needs: those that backward needs
        (`kept`), or those that go when it has run."""
        found, sources = [], self.network.sources[position - self.arity]
        layer, said = self.network.nodes[position - self.arity].layer, self.saved[position]
        has = tuple([self.learns[s] for s in sources])
        for i, s in enumerate(sources):
            cast, laid = self.casts.get((position, i)), (position, i) in self.laid.read
            needed = self.learns[position] and i in said.inputs and layer.needs(i, has, self._trained[position])
            made = self.rounded(self.each(s, self._values[s] * (cast or self.widths[s])))
            if cast and laid and not kept:
                found.append(made)  # what is cast lies as before, and is copied once more
            if (cast or laid) and needed == kept:
                found.append(made)
            if cast and layer.lowers_again and not kept:  # its output, before that is cast as well
                found.append(self.rounded(self.each(position, self._values[position] * cast)))
            if laid and not kept and self.walked.costs[position].biases:
                found.append(self.size(position))  # then biases are added apart
        return found

    def temporary(self, position: int) -> Passing:
        """What lives beside gradients for a moment while a node runs backward."""
        walked, layer = self.walked, self.network.nodes[position - self.arity].layer
        has = tuple([self.learns[s] for s in self.network.sources[position - self.arity]])
        shape, trained = walked.shapes[position], self._trained[position]
        made = layer.temporary(walked.input_shapes(position), shape, has, trained)
        base = self.in_place.get(self.names[position], 0)
        # of a view: the gradient of the whole map is copied, and that of the view out of it
        return made._replace(values=made.values + base + shape.values) if base else made

    def library(self, position: int) -> Library | None:
        """What a library takes that runs a whole layer; its bytes are those of the batch that is asked for."""
        layer = self.network.nodes[position - self.arity].layer
        plain = self.learns[position] and self.device == "cpu" and self.precision == Precision(4, 4)
        if not plain:
            return None
        sources = self.network.sources[position - self.arity]
        has, laid = tuple([self.learns[s] for s in sources]), self.laid.maps[sources[0]] if sources else None
        by_position = laid is not None and len(laid.dims) == 3 and laid == by_positions(laid.dims)
        return layer.library(self.walked.input_shapes(position), self.batch, has, by_position, self._trained[position])

    def passing(self, position: int, made: Passing) -> Amount:
        """The bytes of what lives for a moment."""
        library = self.library(position)
        whole = NONE
        if library is not None:
            whole = Amount(library.passing)
            if library.frozen_too:
                whole += Amount(self.params(position) * self.precision.weights) - self.parameters(position)
        return self.rounded(
            whole,
            self.each(position, int(made.values) * self.widths[position]),
            self.each(position, int(made.bytes)),
            self.each(position, int(made.precise) * self.precision.weights),
        )

    def kept_maps(self, position: int) -> list[int]:
        """The positions whose memory a position keeps for its backward."""
        if not self.learns[position]:
            return []
        said, sources = self.saved[position], self.network.sources[position - self.arity]
        layer, trained = self.network.nodes[position - self.arity].layer, self._trained[position]
        library = self.library(position)
        if library is not None:
            return [
                *([self.own[sources[0]]] if library.input else []),
                *([self.own[position]] if library.output else []),
            ]
        has = tuple([self.learns[s] for s in sources])
        copied = self.laid.read
        maps = [
            self.own[sources[i]]
            for i in said.inputs
            if sources
            and (position, i) not in copied
            and (position, i) not in self.casts
            and layer.needs(i, has, trained)
        ]
        return [*maps, self.own[position]] if said.output else maps

    def given(self, position: int) -> bool:
        """Whether a map is given with the weights: it takes no memory of its own."""
        return self.constant(position) and position not in self.made and not self.drawn(position)

    def constant(self, position: int) -> bool:
        """Whether a map depends on nothing."""
        return position >= self.arity and not self.network.sources[position - self.arity]

    def drawn(self, position: int) -> bool:
        """Whether a map is drawn in every step: one number for each item (by which branches are dropped)."""
        single = self.constant(position) and self.walked.shapes[position].values == 1
        return single and not self.walked.costs[position].params

    def lowered(self, position: int) -> bool:
        """Whether mixed precision casts a position's parameters."""
        return self.precision.copies > 0 and self.walked.costs[position].macs != 0

    def _keeps_weights(self, position: int) -> bool:
        has = tuple([self.learns[s] for s in self.network.sources[position - self.arity]])
        return self.network.nodes[position - self.arity].layer.needs_weights(has)
