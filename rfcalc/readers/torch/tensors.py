"""Tensors of a recording as values: which depend on an input, and which are parameters or fixed.

Tensors that depend on no input are kept as `Static` and become nodes only where a layer reads them as a map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rfcalc.core.layer import Layer
from rfcalc.core.masks import Mask
from rfcalc.layers.general import Constant
from rfcalc.layers.learned import Parameter
from rfcalc.layers.pool import MaxPool
from rfcalc.readers.builder.facts import Facts
from rfcalc.readers.builder.graph import Builder
from rfcalc.readers.builder.values import NotUnderstood, Value, inner
from rfcalc.readers.torch.recording import Operation

PRODUCTS = frozenset(
    ["matmul", "mm", "bmm", "einsum", "linear", "addmm", "baddbmm", "mv", "dot", "tensordot", "inner"]
)  # operations that count as multiply-adds


class Static(NamedTuple):
    """A tensor that depends on no input: a parameter, something fixed, or what a step makes of such."""

    dims: tuple[int, ...]
    parameter: str = ""
    step: Operation | None = None
    sources: Mapping[int, Any] = {}  # what the step's tensors stood for when it ran
    tensor: Any = None


class Stale(NamedTuple):
    """A view of memory that was written to through another view."""

    operator: str


@dataclass(slots=True)
class TensorBuilder(Builder):
    """A network that is built from the tensors of a recording."""

    names: Mapping[int, str] = field(default_factory=dict)  # parameters by identity
    uses: Mapping[str, int] = field(default_factory=dict)  # how many steps read a parameter
    translate: Callable[..., None] | None = None  # reads a step, also where a static tensor becomes nodes later
    uniform: Callable[..., bool] | None = None  # whether what depends on no input is one number everywhere
    env: dict[int, Any] = field(default_factory=dict)
    bases: dict[int, tuple[Any, Operation]] = field(default_factory=dict)  # view → (its base, how)
    keep: list[Any] = field(default_factory=list)
    origins: dict[int, Any] = field(default_factory=dict)  # nodes of what no input reaches → the step, None: none
    held: dict[int, Any] = field(default_factory=dict)  # the tensors of nodes of what no input reaches
    facts: dict[int, Facts] = field(default_factory=dict)  # of tensors that depend on an input: where they are zero
    static_facts: dict[int, Facts] = field(default_factory=dict)  # of entries that depend on none
    fact_memory: dict[int, tuple[int, Any]] = field(default_factory=dict)  # the memory of tensors in `facts`
    masks: dict[tuple[int, ...], tuple[Any, Mask, bool]] = field(default_factory=dict)  # of flags → these, their mask
    softmaxes: dict[tuple[int, int], tuple[Facts, Facts]] = field(
        default_factory=dict
    )  # of scores → these, what is left
    large: set[int] = field(default_factory=set)  # sums with what no input reaches and is too large to be looked at
    pooled: dict[int, tuple[Value, MaxPool, int]] = field(
        default_factory=dict
    )  # indices of maxima → map, pool, its axes
    notes: list[str] = field(default_factory=list)  # on what was taken for granted
    written: frozenset[int] = frozenset()  # memory that the source wrote to: its values changed meanwhile
    once: frozenset[int] = frozenset()  # memory that holds what its only write left there
    steps: Sequence[Operation] = ()
    apart: bool = False  # what is made now belongs to other modules than the one that reads it
    numbers: Mapping[int, int] = field(default_factory=dict)  # steps by identity → their places

    def entry(self, tensor: Any) -> Any:
        """What a tensor stands for: a `Value`, a `Static`, or `Stale`."""
        found = self.env.get(id(tensor))
        if found is None:
            self.keep.append(tensor)
            found = Static(dims_of(tensor), self.names.get(id(tensor), ""), tensor=tensor)
            self.env[id(tensor)] = found
        return found

    def back_to(self, count: int) -> None:
        """Take back the nodes after the first `count`."""
        Builder.back_to(self, count)
        self.held = {position: t for position, t in self.held.items() if position < count}

    def note(self, told: str) -> None:
        """Say what is taken for granted, once."""
        if told not in self.notes:
            self.notes.append(told)

    def is_static(self, tensor: Any) -> bool:
        return isinstance(self.entry(tensor), Static)

    def get(self, tensor: Any) -> Value:
        """The value of a tensor; what depends on no input becomes a node now.

        Raises:
            NotUnderstood: memory that was written to through a view.
        """
        found = self.entry(tensor)
        if isinstance(found, Stale):
            raise NotUnderstood(f"it reads memory that {found.operator} has written to through a view")
        return self.solid(found) if isinstance(found, Static) else found

    def leaves(self, tensor: Any) -> list[str]:
        """The parameters that a static tensor is computed from, in order."""
        found: dict[str, None] = {}
        stack, seen = [tensor if isinstance(tensor, Static) else self.entry(tensor)], set()
        while stack:
            entry = stack.pop()
            if not isinstance(entry, Static) or id(entry) in seen:
                continue
            seen.add(id(entry))
            if entry.parameter:
                found[entry.parameter] = None
            stack += list(entry.sources.values())
        return list(found)

    def multiplied(self, tensor: Any) -> list[Any]:
        """The products in what a static tensor is computed from, the last first; not those inside them."""
        stack, seen = [self.entry(tensor)], set()
        found: list[Any] = []
        while stack:
            entry = stack.pop()
            if not isinstance(entry, Static) or id(entry) in seen:
                continue
            seen.add(id(entry))
            if entry.step is not None and entry.step.name in PRODUCTS:
                found.append(entry)
            else:
                stack += list(entry.sources.values())
        return found

    def solid(self, static: Static) -> Value:
        """The node of a static tensor: a parameter, a constant, or the steps that make it."""
        if 0 in static.dims:
            raise NotUnderstood(f"a tensor without values ({'x'.join(map(str, static.dims))}) is read")
        key = static.parameter or id(static)
        found = self.made.get(key)
        if found is not None:
            wanted = inner(found.dims, found.batch)
            if self.shapes[found.node].dims == wanted:
                return found
            return Value(self.laid(found, wanted, 0), found.dims, found.batch)  # laid out as its first reader wanted
        self.keep.append(static)
        if static.parameter:
            value = self._parameter(static)
        elif static.step is not None and self._matters(static):
            value = self._computed(static)
        else:
            fixed = Constant(inner(static.dims, None), uniform=bool(self.uniform and self.uniform(self, static.tensor)))
            value = self.add(fixed, (), static.dims, None, stem="constant")
            self.origins[value.node] = static.step
        self.made[key] = value
        self.held[value.node] = static.tensor
        return value

    def _parameter(self, static: Static) -> Value:
        name = static.parameter
        dims = inner(static.dims, None)
        layer: Layer = Constant(dims) if name in self.counted else Parameter(dims)
        value = self.add(layer, (), static.dims, None, label=name)
        self.origins[value.node] = None
        self.counted.setdefault(name, value.node)
        return value

    def _matters(self, entry: Any) -> bool:
        """Whether parameters, or multiply-adds, are in what a static tensor is computed from; of empty ones nothing."""
        stack, seen = [entry], set()
        while stack:
            entry = stack.pop()
            if not isinstance(entry, Static) or id(entry) in seen or 0 in entry.dims:
                continue
            seen.add(id(entry))
            multiplies = entry.step is not None and entry.step.name in PRODUCTS
            if entry.parameter or (multiplies and not any(0 in getattr(e, "dims", ()) for e in entry.sources.values())):
                return True
            stack += list(entry.sources.values())
        return False

    def _computed(self, static: Static) -> Value:
        """A static tensor that is computed from parameters: its steps as nodes where they are understood."""
        step = static.step
        assert step is not None
        before, start, reader, apart = dict(self.env), len(self.shapes), self.step, self.apart
        self.env.update(static.sources)
        try:
            for source in static.sources.values():  # deep chains: the first steps first
                self._deepest(source)
            assert self.translate is not None
            if apart or not f"{step.frame.path}.".startswith(f"{self.steps[reader].frame.path}."):
                self.step, self.apart = self.numbers[id(step)], True
            self.translate(self, step, forced=True)
            found = self.env.get(id(static.tensor))
        except NotUnderstood:
            found = None
        finally:
            self.env, self.step, self.apart = before, reader, apart
        if isinstance(found, Value):
            for position in range(start, len(self.shapes)):
                self.origins.setdefault(position, step)
            return found
        sources = [self.solid(s).node for s in static.sources.values() if self._matters(s)]
        value = self.add(Constant(inner(static.dims, None)), sources, static.dims, None, stem=step.name)
        self.origins[value.node] = step
        return value

    def _deepest(self, entry: Any) -> None:
        """Make the nodes of a long chain of static steps without recursing through all of it."""
        chain = []
        while isinstance(entry, Static) and entry.step is not None and id(entry) not in self.made:
            chain.append(entry)
            entry = next((s for s in entry.sources.values() if self._matters(s)), None)
        for static in reversed(chain[50:][::50]):
            self.solid(static)

    def put_unknown(self, step: Operation, why: str) -> None:
        """Put an `Unknown` for each result of a step; parameters that it reads are counted."""
        sources: list[int] = []
        batched = everything = False
        for tensor in step.given:
            entry = self.entry(tensor)
            if isinstance(entry, Static):
                if self._matters(entry):
                    sources.append(self.solid(entry).node)
            elif isinstance(entry, Value):
                sources.append(entry.node)
                batched = batched or entry.batch == 0
            else:
                everything = True  # memory that was written to in a way that was not followed
        for out in step.outs:
            dims = dims_of(out)
            if 0 in dims:  # a result without values
                self.env[id(out)] = Static(dims, step=step, tensor=out)
                self.keep.append(out)
                continue
            batch = 0 if batched and len(dims) > 1 and dims[0] == 1 else None
            self.env[id(out)] = self.not_understood(
                step.operator, why, sources, dims, batch, stem=step.name, everything=everything
            )


def dims_of(tensor: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in tensor.shape)
