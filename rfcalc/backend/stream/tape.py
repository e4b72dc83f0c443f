"""What a stream does in one step, recorded: in the same state a chunk of the same length needs the same calls again.

It stands by itself on PyTorch: written streams carry this source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class Tape:
    """The calls of one step on tensors, played again with other values: no positions are computed anew.

    Slots hold tensors: the chunk first, then what is kept (in the order of the maps), then what every call makes. A
    step in which the beginning of the stream plays a part is played again at the same place only (`early`); one that
    reads tensors from elsewhere is not (`lost`).
    """

    def __init__(self, given: Sequence[Tensor]) -> None:
        self.calls: list[tuple[Callable[..., Any], tuple[int, ...], tuple[Any, ...], int, tuple[int, ...]]] = []
        self.early = self.lost = False
        self.count = 0
        self.given = len(given)
        self.slots: dict[int, int] = {}
        self.held: list[Tensor] = []  # so that no other tensor gets the same id while this is recorded
        self.products: set[int] = set()  # calls that are made as products of matrices
        self.kept: tuple[tuple[int, int, tuple[int, ...] | None], ...] = ()  # map, start behind its own place, gaps
        self.next: tuple[int, ...] = ()
        self.left = self.out = 0
        self.ends: tuple[int, ...] = ()
        self.after = 0  # the number of the state in which it ends
        self.written: Callable[[Sequence[Tensor]], tuple[Tensor, list[Tensor]]] | None = None
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
            self.lost = True
            return
        if isinstance(function, (nn.Conv1d, nn.ConvTranspose1d)) and is_product(function, tensors[0]):
            self.products.add(len(self.calls))
        self.calls.append((function, read, rest, self._new(made), ()))

    def end(self, out: Tensor, kept: Sequence[Tensor]) -> None:
        """What the step gives and keeps; which tensors can be let go after each call."""
        if any(id(t) not in self.slots for t in (out, *kept)):
            self.lost = True
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
        if self.written is None:
            self.written = self._write()
        return self.written(given)

    def _write(self) -> Callable[[Sequence[Tensor]], tuple[Tensor, list[Tensor]]]:
        """The calls as a function with a line for each, which is faster than a loop over them."""
        known: dict[str, Any] = {"cat": torch.cat, "product": product}
        lines = ["def play(given):", f"    {', '.join(f'v{i}' for i in range(self.given))}, = given"]
        for i, (function, read, rest, made, done) in enumerate(self.calls):
            xs = ", ".join(f"v{slot}" for slot in read)
            if function is narrow or function is piece:
                made_by = f"{xs}.narrow{'_copy' if function is piece else ''}{rest}"
            elif function is cat:
                made_by = f"cat(({xs}), {rest[0]})"
            elif i in self.products:
                known[f"f{i}"] = function
                made_by = f"product(f{i}, {xs})"
            elif isinstance(function, Run) and not (function.learned or rest):
                known[f"f{i}"], known[f"m{i}"] = function.run, function.module
                made_by = f"f{i}(m{i}, None, {xs})"
            else:
                known[f"f{i}"], known[f"r{i}"] = function, rest
                made_by = f"f{i}({xs}{f', *r{i}' if rest else ''})"
            lines.append(f"    v{made} = {made_by}")
            if done:
                lines.append(f"    del {', '.join(f'v{slot}' for slot in done)}")
        lines.append(f"    return v{self.out}, [{', '.join(f'v{slot}' for slot in self.ends)}]")
        exec("\n".join(lines), known)  # noqa: S102  (nothing in it but the names above and whole numbers)
        return known["play"]  # type: ignore[no-any-return]


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


def zeros(like: Tensor, axis: int, count: int, fill: float = 0.0) -> Tensor:
    """Positions of zeros, or of what else stands beyond the ends of a map."""
    shape = list(like.shape)
    shape[axis] = count
    return like.new_full(shape, fill)


def widened(x: Tensor, axis: int, count: int) -> Tensor:
    """So many positions of a map whose positions are alike."""
    return x.narrow(axis, 0, 1).expand(*x.shape[:axis], count, *x.shape[axis + 1 :])


def blank(like: Tensor, size: tuple[int, ...], kind: Any) -> Tensor:
    """A map of zeros of this size and type."""
    return like.new_zeros(size, dtype=kind)


def piece(x: Tensor, axis: int, start: int, count: int) -> Tensor:
    """Some positions without the memory of the others."""
    return x.narrow(axis, start, count).clone()


def is_product(conv: Any, x: Tensor) -> bool:
    """Whether a convolution on the processor costs less as products: of matrices, or of numbers tap by tap.

    PyTorch hands small dense ones to its own kernel; others to one that takes some 50 µs for each call and computes 16
    channels at once, and dilated and strided ones to one that is slower. The matrix of all windows must stay in the
    cache: 2¹⁸ values, 2²⁰ where few channels come out (measured for kernels of 2 to 16, 1 to 64 channels).
    """
    if x.device.type != "cpu" or len(x) > 1 or conv.padding != (0,):
        return False
    thin = conv.out_channels <= 8
    if isinstance(conv, nn.ConvTranspose1d):
        return thin and conv.groups == 1 and conv.output_padding == (0,)
    (kernel,), (dilation,), (stride,) = conv.kernel_size, conv.dilation, conv.stride
    if kernel == 1:
        return False
    if stride > 1:
        return bool(conv.in_channels <= 8 and conv.groups == 1 and x.numel() * kernel <= 2**18 * stride)
    if by_taps(conv):
        return x.numel() <= 2**18
    values = x.shape[1] * kernel * (x.shape[2] - dilation * (kernel - 1))
    return (dilation > 1 or conv.groups > 1 or x.numel() > 20480) and values <= 2 ** (20 if thin else 18)


def by_taps(conv: Any) -> bool:
    """Whether every channel has a kernel of its own, which is short."""
    return bool(conv.groups == conv.in_channels == conv.out_channels > 1 and conv.kernel_size[0] <= 7)


def product(conv: Any, x: Tensor) -> Tensor:
    """A convolution of one signal, without padding, as products."""
    if isinstance(conv, nn.ConvTranspose1d):
        return spread_product(conv, x)
    (_, channels, length), (kernel,), (dilation,), (stride,) = x.shape, conv.kernel_size, conv.dilation, conv.stride
    weight, bias, groups = conv.weight, conv.bias, conv.groups
    each, count = channels // groups, (length - 1 - dilation * (kernel - 1)) // stride + 1
    if stride == 1 and by_taps(conv):
        made: Tensor = x.narrow(2, 0, count) * weight[:, 0, :1]
        for tap in range(1, kernel):
            made.addcmul_(x.narrow(2, tap * dilation, count), weight[:, 0, tap : tap + 1])
        return made if bias is None else made.add_(bias[:, None])
    _, row, step = x.stride()
    shape, steps = (groups, each, kernel, count), (row * each, row, dilation * step, stride * step)
    windows = x.as_strided(shape, steps, x.storage_offset()).reshape(groups, each * kernel, count)
    weights = weight.reshape(groups, -1, each * kernel)
    if bias is None:
        return torch.bmm(weights, windows).view(1, -1, count)
    return torch.baddbmm(bias.view(groups, -1, 1), weights, windows).view(1, -1, count)


def spread_product(conv: Any, x: Tensor) -> Tensor:
    """A transposed convolution of one signal: what every position adds to the positions that it reaches."""
    (_, channels, length), (kernel,), (dilation,), (stride,) = x.shape, conv.kernel_size, conv.dilation, conv.stride
    weight, bias, out = conv.weight, conv.bias, conv.out_channels
    if dilation == 1 and kernel % stride == 0:  # whole turns of the stride: position by position within the turn
        turns = kernel // stride
        rows, parts = length + turns - 1, weight.view(channels, out, turns, stride)
        first = weight.new_zeros(out) if bias is None else bias
        made: Tensor = first.view(out, 1, 1).expand(out, stride, rows).clone(memory_format=torch.contiguous_format)
        made = made.view(out * stride, rows)
        for turn in range(turns):
            made.narrow(1, turn, length).addmm_(parts[:, :, turn].reshape(channels, -1).t(), x[0])
        return made.view(out, stride, rows).transpose(1, 2).reshape(1, out, -1)
    added = torch.mm(weight.reshape(channels, -1).t(), x[0])
    size = (1, (length - 1) * stride + dilation * (kernel - 1) + 1)
    made = F.fold(added[None], size, (1, kernel), (1, dilation), 0, (1, stride))[:, :, 0]
    return made if bias is None else made + bias[:, None]


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
