"""What a stream does in one step, recorded: in the same state a chunk of the same length needs the same calls again.

It stands by itself on PyTorch: written streams carry this source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Tape:
    """The calls of one step on tensors, played again with other values: no positions are computed anew.

    Slots hold tensors: the chunk first, then what is kept (in the order of the maps), then what every call makes. A
    step that the beginning of the stream still plays a part in is not worth keeping (`early`).
    """

    def __init__(self, given: Sequence[Tensor]) -> None:
        self.calls: list[tuple[Callable[..., Any], tuple[int, ...], tuple[Any, ...], int, tuple[int, ...]]] = []
        self.early = False
        self.count = 0
        self.slots: dict[int, int] = {}
        self.held: list[Tensor] = []  # so that no other tensor gets the same id while this is recorded
        self.kept: tuple[tuple[int, int, tuple[int, ...] | None], ...] = ()  # map, start behind its own place, gaps
        self.next: tuple[int, ...] = ()
        self.left = self.out = 0
        self.ends: tuple[int, ...] = ()
        self.after: Any = None
        for tensor in given:
            self._new(tensor)

    def _new(self, tensor: Tensor) -> int:
        self.slots[id(tensor)] = self.count
        self.held.append(tensor)
        self.count += 1
        return self.count - 1

    def add(self, function: Callable[..., Any], tensors: Sequence[Tensor], rest: tuple[Any, ...], made: Tensor) -> None:
        """Record a call that has been made."""
        read = tuple(self.slots.get(id(t), -1) for t in tensors)
        if -1 in read:
            self.early = True  # a tensor from elsewhere: not to be played again
            return
        self.calls.append((function, read, rest, self._new(made), ()))

    def end(self, out: Tensor, kept: Sequence[Tensor]) -> None:
        """What the step gives and keeps; which tensors can be let go after each call."""
        if any(id(t) not in self.slots for t in (out, *kept)):
            self.early = True
            return
        self.out, self.ends = self.slots[id(out)], tuple(self.slots[id(t)] for t in kept)
        used = {self.out, *self.ends}
        for i in range(len(self.calls) - 1, -1, -1):
            function, read, rest, made, _ = self.calls[i]
            done = tuple(sorted({*read, made} - used))
            used.update(read)
            self.calls[i] = (function, read, rest, made, done)
        self.slots, self.held = {}, []

    def play(self, given: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The same calls on another chunk and on what is kept now: what the step gives, and what it keeps."""
        slots: list[Any] = [*given, *[None] * (self.count - len(given))]
        for function, read, rest, made, done in self.calls:
            slots[made] = function(*[slots[i] for i in read], *rest)
            for i in done:
                slots[i] = None
        return slots[self.out], [slots[i] for i in self.ends]


class Run:
    """The call of a line on what it reads."""

    def __init__(self, run: Any, module: nn.Module | None, root: Any, learned: str) -> None:
        self.run, self.module, self.root, self.learned = run, module, root, learned

    def __call__(self, *xs: Tensor) -> Any:
        learned = self.root.get_parameter(self.learned) if self.learned else None
        return self.run(self.module, learned, *xs)


class Recur:
    """The call of a recurrent line, which hands on its state."""

    def __init__(self, run: Any, module: nn.Module, root: Any, number: int) -> None:
        self.run, self.module, self.root, self.number = run, module, root, number

    def __call__(self, *xs: Tensor) -> Tensor:
        states = self.root.states
        made, states[self.number] = self.step(states.get(self.number), *xs)
        return made

    def step(self, state: Any, *xs: Tensor) -> tuple[Tensor, Any]:
        """The same from a state, with the next one."""
        return self.run(self.module, state, *xs)  # type: ignore[no-any-return]


class Running:
    """The call of a line that goes on from its last result: a running sum, product or extreme."""

    def __init__(self, run: Any, root: Any, number: int, axis: int) -> None:
        self.run, self.root, self.number, self.axis = run, root, number, axis

    def __call__(self, x: Tensor) -> Tensor:
        states = self.root.states
        made, states[self.number] = self.step(states.get(self.number), x)
        return made

    def step(self, last: Any, x: Tensor) -> tuple[Tensor, Any]:
        """The same from the last result, with the next one."""
        made = self.run(None, None, x if last is None else torch.cat([last, x], self.axis))
        made = made if last is None else made.narrow(self.axis, 1, x.shape[self.axis])
        return made, made.narrow(self.axis, -1, 1).clone()


def narrow(x: Tensor, axis: int, start: int, count: int) -> Tensor:
    return x.narrow(axis, start, count)


def zeros(like: Tensor, axis: int, count: int) -> Tensor:
    shape = list(like.shape)
    shape[axis] = count
    return like.new_zeros(shape)


def copy(x: Tensor) -> Tensor:
    return x.clone()


def picked(x: Tensor, axis: int, at: Tensor) -> Tensor:
    return x.index_select(axis, at)


def spread(x: Tensor, axis: int, size: int, at: Tensor) -> Tensor:
    """Positions put where they belong, zeros between them."""
    return zeros(x, axis, size).index_copy_(axis, at, x)


def cat(*given: Any) -> Tensor:
    """Tensors, then the axis."""
    return torch.cat(given[:-1], given[-1])


def recurrence(module: nn.Module, state: Any, x: Tensor) -> tuple[Tensor, Any]:
    """A recurrent layer from the state it left; what lies before the positions is one batch."""
    y, left = module(x.flatten(0, -3), state)
    return y.unflatten(0, x.shape[:-2]), left
