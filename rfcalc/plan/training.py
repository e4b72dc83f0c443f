"""A step of training, moment by moment: which maps, gradients and copies live while forward and backward run.

Amounts are affine in the batch, so that one simulation answers for every batch. The moments follow PyTorch's autograd:

1. Forward, node by node: a map lives until its last reader has run; what backward needs lives until backward used it.
2. Backward, in the reverse order. While a node runs, the gradient of its output, what it kept, the gradients that it
   makes for its inputs and for its parameters live together. Afterwards the gradient of its output and what it kept go.
3. Gradients for one map from several readers are added in memory of their own: then three of them live at once.
4. What makes its output a view, adds or concatenates, hands gradients through without memory of their own.

Weights, buffers and the optimizer's state live all the time; gradients of parameters from their node's backward on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from rfcalc.core.cost import INDEX, Library, Passing
from rfcalc.core.layer import IN_PLACE
from rfcalc.graph.autograd import saving
from rfcalc.graph.forward import Shaped
from rfcalc.graph.gradients import Learning, holders, learning
from rfcalc.graph.memory import overwriting, repeating, storages
from rfcalc.graph.strides import Laid, by_positions, dense, gradient, layout, once
from rfcalc.plan.account import NONE, Account, Amount, Gradients, Item, Moment, Precision
from rfcalc.plan.mixed import Mixed, mixed
from rfcalc.plan.splits import splits


class Run:
    """A run of a network: which positions have gradients, what each keeps, and the moments of a step.

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
        self.only_forward = (
            frozen is None
        )  # then an input ends with its last reader; in training whoever calls holds it
        self.network, self.arity = walked.network, walked.network.arity
        self.names = [*self.network.inputs, *(node.name for node in self.network.nodes)]
        self.in_place: Mapping[str, int] = getattr(self.network.source, "in_place", {})
        self.saved, over = saving(walked)
        # what needs its input for backward keeps a copy of it, and writes its output into memory of its own
        if frozen is None:
            over = overwriting(walked)
        else:
            kinds = {p: node.layer.memory for p, node in enumerate(self.network.nodes, self.arity)}
            done = {p for p, kind in kinds.items() if kind == IN_PLACE and self.names[p] in self.in_place}
            over = frozenset(p for p in over | done if 0 not in self.saved[p].inputs)
        self.laid = layout(walked, 1 if single else 2)
        self.own = storages(walked, over, self.laid.reshaped)
        plain = Mixed((precision.maps,) * len(walked.shapes), {})
        widths, self.casts = mixed(walked, device) if precision.copies else plain
        whole: Mapping[str, int] = getattr(self.network.source, "whole", {})
        self.widths = tuple(whole.get(name, width) for name, width in zip(self.names, widths, strict=True))
        self.once = once(walked)
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

    def params(self, position: int) -> int:
        """Parameters of a position, with those of its weight group counted where the group first appears."""
        return int(self.walked.costs[position].params)

    def size(self, position: int) -> Amount:
        """The map of a position."""
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
        return layer.library(self.walked.input_shapes(position), self.batch, has, by_position)

    def passing(self, position: int, made: Passing) -> Amount:
        """The bytes of what lives for a moment."""
        library = self.library(position)
        return self.rounded(
            Amount(library.passing if library is not None else 0),
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
        return self.constant(position) and not self.drawn(position)

    def constant(self, position: int) -> bool:
        """Whether a map depends on nothing."""
        return position >= self.arity and not self.network.sources[position - self.arity]

    def drawn(self, position: int) -> bool:
        """Whether a map is drawn in every step: one number for each item (by which branches are dropped)."""
        single = self.constant(position) and self.walked.shapes[position].values == 1
        return single and not self.walked.costs[position].params

    def moments(self, watch: Callable[[int, Account], None] | None = None) -> Iterator[Moment]:
        """The moments of a step, in order.

        Args:
            watch: is shown each moment's number and what lives then.
        """
        account = Account()
        count = 0

        def moment(position: int, phase: str) -> Moment:
            nonlocal count
            if watch is not None:
                watch(count, account)
            count += 1
            return Moment(position, self.names[position], phase, account.total)

        users = self._users()
        yield from self._forward(account, users, moment)
        yield from self._backward(account, users, moment)

    def _users(self) -> Counter[int]:
        """How many backward nodes still need each map."""
        users: Counter[int] = Counter()
        for position in range(self.arity, len(self.names)):
            first = self._first.get(position)
            if first is None:
                users.update(set(self.kept_maps(position)))
            elif position == first and self.learns[position]:  # a run that is recomputed keeps what it reads
                users.update({self.own[s] for s in self.network.sources[position - self.arity]})
        return users

    def _forward(self, account: Account, users: Counter[int], moment: Callable[[int, str], Moment]) -> Iterator[Moment]:
        last = list(range(len(self.names)))  # the last position that reads or rewrites each memory
        for position, sources in enumerate(self.network.sources, self.arity):
            for s in (position, *sources):
                last[self.own[s]] = max(last[self.own[s]], position)
        for memory in self._held:
            last[memory] = len(self.names)
        dies: dict[int, list[int]] = {}
        for memory, when in enumerate(last):
            if self.own[memory] == memory and (memory >= self.arity or self.only_forward):
                dies.setdefault(when, []).append(memory)
        for position in range(self.arity):
            self._born(account, users, position)
        for position in range(self.arity, len(self.names)):
            self._born(account, users, position)
            beside = ("beside", position)
            keeps = self.learns[position] and position not in self._first
            account.add(
                beside, Item("kept" if keeps else "activations", self.names[position]), self.kept_beside(position)
            )
            passing = self.rounded(*self.copies(position, False))
            account.add(("copy", position), Item("activations", f"{self.names[position]}, what it reads"), passing)
            if (keeps or self.only_forward) and self.lowered(position):
                self._copied(account, position)
            yield moment(position, "forward")
            account.drop(("copy", position))
            if not keeps:
                account.drop(beside)
            for memory in dies.get(position, ()):
                if not users[memory]:
                    account.drop(("map", memory))

        for position in range(self.arity, len(self.names)):
            account.drop(("copies", position))  # copies of parameters that nothing keeps go with autocast

    def _copied(self, account: Account, position: int) -> None:
        """Copies of parameters in lower precision, which all uses share; those that backward reads are counted with the
        first use that keeps them."""
        owner, width = self._holder[position], self.precision.copies
        weights, biases = self.learned(owner, width)
        if self.only_forward:
            cost = self.walked.costs[owner]
            weights, biases = (
                self.rounded(Amount(int(cost.weights) * width)),
                self.rounded(Amount(int(cost.biases) * width)),
            )
        if self._keeping.get(owner) == position:
            account.drop(("copies", owner))
            weights = NONE
        item = Item("activations", f"copies of parameters of {self.names[owner]}")
        account.add(("copies", owner), item, weights + biases)

    def lowered(self, position: int) -> bool:
        """Whether mixed precision casts a position's parameters."""
        return self.precision.copies > 0 and self.walked.costs[position].macs != 0

    def _keeps_weights(self, position: int) -> bool:
        has = tuple([self.learns[s] for s in self.network.sources[position - self.arity]])
        return self.network.nodes[position - self.arity].layer.needs_weights(has)

    def _born(self, account: Account, users: Counter[int], position: int) -> None:
        memory = self.own[position]
        if not self.given(memory):
            term = "kept" if users[memory] else "activations"
            account.add(("map", memory), Item(term, self.names[memory]), self.size(memory))

    def _backward(
        self, account: Account, users: Counter[int], moment: Callable[[int, str], Moment]
    ) -> Iterator[Moment]:
        outputs = {self.network.position(name) for name in self.network.outputs}
        gradients, laid = Gradients(account), dict[int, Laid]()
        for position in outputs:
            if self.learns[position]:  # whoever calls holds the gradient of the output
                gradients.hold(gradients.receive(position, gradients.made(self.names[position], self.size(position))))
        for position in range(len(self.names) - 1, self.arity - 1, -1):
            together = self._splits.get(position, (position,))
            if together[0] != position:
                continue  # one operator made several maps: it runs backward once, when all gradients are there
            held = [g for p in together if (g := gradients.of(p)) is not None]
            if not held or not self.learns[position]:
                continue
            mine = held[0]
            if position in self.recomputed:
                yield from self._again(self.recomputed[position], position, account, users, moment)
            node, sources = self.network.nodes[position - self.arity], self.network.sources[position - self.arity]
            if not sources:  # a learned map: its gradient is that of the parameters
                gradients.free(mine)
                account.add(("parameters", position), Item("gradients", node.name), self.parameters(position))
                continue
            lies = laid.get(position, self.laid.maps[position])
            rows = node.layer.read_as(0, lies.dims)
            if rows is not None and lies.viewed(rows) is None:  # copied before it is multiplied
                copy = gradients.made(self.names[position], self.size(position))
                yield moment(position, "backward")
                gradients.free(mine)
                held[0] = mine = copy
                lies = dense(lies.dims)
            parts = []
            for i, s in enumerate(sources):
                if self.learns[s]:
                    summed = self.once[s] and not self.once[position] and not self.single  # over the batch
                    hands_on = not summed and node.layer.hands_on(self.walked.shapes[s], self.walked.shapes[position])
                    handed = gradient(node.layer, self.laid.maps[s], lies, hands_on)
                    new = not hands_on or handed is None
                    laid[s] = handed or dense(self.laid.maps[s].dims)
                    width = self.casts.get((position, i), self.widths[position])
                    amount = self.gradient(s, width)
                    parts.append((s, width, gradients.made(self.names[s], amount) if new else gradients.hold(mine)))
            item = Item("activations", f"{self.names[position]}, for a moment")
            beside = self.temporary(position)
            account.add(("temporary", position), item, self.passing(position, beside))
            if beside.late:
                for given in held:
                    gradients.free(given)
            owner, lowered = self._holder[position], self.lowered(position)
            weights, biases = self.learned(owner, self.precision.copies if lowered else self.precision.weights)
            passing = Item("activations", f"gradient of {self.names[owner]} at this use")
            told = Item("gradients", self.names[owner])
            if lowered:  # made in two bytes, and cast when all uses of the parameters have theirs
                told = Item("activations", f"gradient of {self.names[owner]}, before it is cast")
            sofar = ("low" if lowered else "parameters", owner)
            again = sofar in account.items  # of shared parameters, at another use of them
            account.add(("use", position) if again else sofar, passing if again else told, weights + biases)
            yield moment(position, "backward")
            if not beside.late:
                for given in held:
                    gradients.free(given)
            account.drop(("temporary", position))
            account.drop(("beside", position))
            first = self._first.get(position)
            done = set(self.kept_maps(position)) if first is None else set()
            if first is not None:
                for memory in set(self.kept_maps(position)):
                    users[-1 - memory] -= 1
                    if not users[-1 - memory]:
                        account.drop(("again", memory))
                if position == first:
                    done = {self.own[s] for s in sources}
            for memory in done:
                users[memory] -= 1
                if not users[memory] and memory >= self.arity and memory not in self._held:
                    account.drop(("map", memory))
            for s, width, part in parts:
                if width != self.widths[s]:
                    uncast, part = part, gradients.made(self.names[s], self.gradient(s, self.widths[s]))
                    yield moment(position, "backward")
                    gradients.free(uncast)
                before = gradients.of(s)
                if before is None:
                    gradients.receive(s, part)
                    continue
                gradients.receive(s, gradients.made(self.names[s], self.gradient(s, self.widths[s])))
                yield moment(position, "backward")
                gradients.free(before)
                gradients.free(part)
            if again:  # weights and biases are added one after the other, in memory of their own
                early, later = (biases, weights) if node.layer.adds_biases_first else (weights, biases)
                for made, gone in ((early, NONE), (later, early)):
                    account.add(("sum", position), passing, made - gone)
                    yield moment(position, "backward")
                    account.drop(("sum", position))
                account.drop(("use", position))
            weights, biases = self.learned(owner, self.precision.weights)
            if lowered and position == owner:
                account.add(("parameters", owner), Item("gradients", self.names[owner]), weights + biases)
                account.add(("uncast", position), passing, NONE - biases)
                yield moment(position, "backward")
                account.drop(sofar)
                account.add(sofar, passing, self.learned(owner, self.precision.copies)[1])
            read = self.laid.maps[sources[0]]
            last = self._trained[position] and len(read.dims) > 3 and read.channels_last
            if last and node.layer.copies_gradient(self.walked.shapes[sources[0]]):
                account.add(("clone", position), passing, weights)
                yield moment(position, "backward")
                account.drop(("clone", position))
            account.drop(("uncast", position))
            if position == owner:
                account.drop(("low", owner))

    def _again(
        self, first: int, last: int, account: Account, users: Counter[int], moment: Callable[[int, str], Moment]
    ) -> Iterator[Moment]:
        """A run of positions forward once more, up to the last that keeps something; `users` counts readers of the maps
        made again under the negative of what stands for the maps themselves."""
        keeping = [p for p in range(first, last + 1) if self.kept_maps(p) or self.kept_beside(p) != NONE]
        reads = list(range(first, last + 1))  # the last position in the run that reads or rewrites each memory
        for p in range(first, last + 1):
            users.update({-1 - m for m in self.kept_maps(p)})
            for s in (p, *self.network.sources[p - self.arity]):
                if self.own[s] >= first:
                    reads[self.own[s] - first] = max(reads[self.own[s] - first], p)
        dies: dict[int, list[int]] = {}
        for memory, when in enumerate(reads, first):
            dies.setdefault(when, []).append(memory)
        for p in range(first, (keeping or [first])[-1] + 1):
            only_input = p == keeping[-1] and not self.saved[p].output and self.kept_beside(p) == NONE
            if not only_input:  # PyTorch stops where the last of what is needed is there
                memory = self.own[p]
                term = "kept" if users[-1 - memory] else "activations"
                account.add(("again", memory), Item(term, f"{self.names[memory]}, again"), self.size(memory))
                account.add(("beside", p), Item("kept", self.names[p]), self.kept_beside(p))
                yield moment(p, "backward")
            for memory in dies.get(p, ()):
                if not users[-1 - memory]:
                    account.drop(("again", memory))
        for memory in range(first, last + 1):  # what only those would read that do not run again
            if not users[-1 - memory]:
                account.drop(("again", memory))
