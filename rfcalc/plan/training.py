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
from collections.abc import Callable, Iterator

from rfcalc.graph.strides import Laid, dense, gradient
from rfcalc.plan.account import NONE, Account, Amount, Gradients, Item, Moment
from rfcalc.plan.amounts import Amounts


class Run(Amounts):
    """The moments of a step, from what each position takes."""

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
            library = self.library(position)
            made = self.copies(position, False) if library is None else [Amount(library.forward)]
            passing = self.rounded(*made)
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
                if self.single and gradients.amount(mine).at(1) > self.parameters(position).at(1) > 0:
                    continue  # a part of another gradient, in whose memory it stays
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
            library = self.library(position)
            if library is not None and library.late is not None:
                account.add(("temporary", position), item, self.rounded(Amount(library.late)))
                yield moment(position, "backward")
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
