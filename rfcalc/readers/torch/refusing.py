"""Why a run was refused, as conditions on lengths: what an operator demands of the shapes that it was given, or that a
statement of the code refuses what it has asked for.

The conditions are enough: wherever the code comes here by the same answers, and they hold, it is refused. A refusal of
which that is not known says nothing of other sizes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from rfcalc.core.expressions import OPERATIONS
from rfcalc.core.lengths import Condition, Expression, Length, lose, made_of, plain
from rfcalc.readers.guards import LAYERS, raised
from rfcalc.readers.torch.asking import cut_out
from rfcalc.readers.torch.disguise import Disguise
from rfcalc.readers.torch.recorder import Operation, memory_of, tensors
from rfcalc.readers.torch.unchecked import NORMALISING

ASSERTS = frozenset((torch._assert, torch._check))


def refusing(disguise: Disguise, error: BaseException) -> None:
    """Note, beside what the code asked, the conditions that refused it; none where they are not known."""
    watched = disguise.watched
    if watched is None:
        return
    calling = disguise.calling
    if not any(code is Disguise.__torch_function__.__code__ for code, _ in _frames(error.__traceback__)):
        if _by_statements(error, disguise.outer):
            watched.refusal.append(_always(_place(error)))
    elif calling is not None and calling[0] in ASSERTS:
        watched.refusal.append(_always(_place(error)))
    else:
        watched.refusal.extend(_demanded(disguise))


def caught(disguise: Disguise) -> None:
    """Note that a call was refused that the code caught: as what it asked where it is known why, else as something that
    hangs on all lengths of what was given."""
    if (watched := disguise.watched) is None or disguise.calling is None:
        return
    if found := _demanded(disguise):
        watched.conditions.extend(found)
        return
    for tensor in tensors((*disguise.calling[1], *(disguise.calling[2] or {}).values())):
        made: Any = None
        for length in disguise.lengths(tensor):
            made = Expression("lost", made, made_of(length)) if type(length) is Length else made
        lose(made)


def _demanded(disguise: Disguise) -> list[Condition]:
    """What an operator demands of what it was given, such that it refuses; empty where that is not known."""
    if disguise.unmet:
        return disguise.unmet
    calling, stopped = disguise.calling, disguise.refused or disguise.recorder.refused
    rule = _RULES.get(stopped.name.rstrip("_") if stopped.writes else stopped.name) if stopped is not None else None
    rule = _copied if calling is not None and calling[0] is torch.Tensor.__setitem__ else rule
    if calling is None or stopped is None or rule is None:
        return []
    asking = _Asking(disguise, stopped, calling)
    try:
        return asking.asked if rule(asking, stopped.args) else []
    except (KeyError, IndexError, TypeError, AttributeError, ZeroDivisionError):
        return []  # called in a form that the rule does not know


def _frames(at: TracebackType | None) -> Iterator[tuple[Any, int]]:
    while at is not None:
        yield at.tb_frame.f_code, at.tb_lineno
        at = at.tb_next


def _by_statements(error: BaseException | None, outer: BaseException | None) -> bool:
    """Whether statements of the code raised an error, and each one that it caught before."""
    while error is not None and error is not outer:
        at = error.__traceback__
        while at is not None and at.tb_next is not None:
            at = at.tb_next
        name = at.tb_frame.f_globals.get("__name__", "") if at is not None else "torch."
        if (name.startswith("torch.") and not name.startswith(LAYERS)) or not raised(error):
            return False
        error = error.__cause__ or error.__context__
    return True


def _place(error: BaseException) -> str:
    frames = [*_frames(error.__traceback__)]
    code, line = ([f for f in frames if not f[0].co_filename.startswith(_OURS)] or frames)[-1]
    return f"{Path(code.co_filename).name}, line {line}"


_OURS = (str(torch.__file__).removesuffix("__init__.py"), str(Path(__file__).parents[2]))


def _always(where: str) -> Condition:
    return Condition(where, Expression("==", 0, 0), True)


class _Asking:
    """What an operator that refuses compares.

    Attributes:
        asked: the comparisons, with their answers.
    """

    def __init__(self, disguise: Disguise, stopped: Operation, calling: tuple[Any, Any, Any]) -> None:
        self.disguise, self.stopped = disguise, stopped
        self.args, self.kwargs = calling[1], calling[2] or {}  # as the code gave them
        self.asked: list[Condition] = []

    def shape(self, tensor: torch.Tensor) -> tuple[Any, ...]:
        return tuple(tensor.shape) if self._is_fixed(tensor) else self.disguise.lengths(tensor)

    def _is_fixed(self, tensor: torch.Tensor) -> bool:
        """Whether no input, and no length, is in what a tensor was computed from: a table that is left without data."""
        steps, given, hanging = self.disguise.recorder.steps, self.disguise.given, self.disguise.watched
        made: dict[int, list[Operation]] = {}
        for step in steps:
            for out in step.outs:
                made.setdefault(id(out), []).append(step)
        left, seen = [tensor], set()
        while left:
            one = left.pop()
            memory = memory_of(one)
            lengths = hanging is not None and (memory in hanging.hanging or id(one) in hanging.hanging)
            if id(one) in given or lengths or memory in self.disguise.recorder.written:
                return False
            if id(one) not in seen:
                seen.add(id(one))
                left += [t for step in made.get(id(one), ()) for t in step.given]
                if any(not step.given for step in made.get(id(one), ())):
                    return False  # of sizes alone
        return True

    def __call__(self, how: str, left: Any, right: Any) -> bool:
        holds = bool(OPERATIONS[how](plain(left), plain(right)))
        asked = Expression(how, made_of(left), made_of(right))
        self.asked.append(Condition(f"{self.stopped.operator} that refuses", asked, holds))
        return holds

    @property
    def fixed(self) -> bool:
        """Whether the code gave no number that follows a length."""
        return not any(type(n) is Length for n in _numbers((*self.args, self.kwargs)))

    def given(self, numbers: Any, at: int, *names: str) -> list[Any] | None:
        """The numbers that an operator was given, as the code gave them, alone or one by one; None where these are
        others."""
        value = next((self.kwargs[name] for name in names if name in self.kwargs), None)
        if value is None:
            value = self.args[at] if isinstance(self.args[at], (tuple, list)) else self.args[at:]
        found = list(value)
        return found if [plain(n) for n in found] == [int(n) for n in numbers] else None


def _numbers(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        value = [*value.values()]
    if isinstance(value, (tuple, list)):
        for part in value:
            yield from _numbers(part)
    else:
        yield value


Rule = Callable[[_Asking, Mapping[str, Any]], bool]


def _sizes(args: Mapping[str, Any]) -> Any:
    """What a view is given, or what the tensor has whose lengths it takes."""
    return args["other"].shape if "other" in args else args["size"] if "size" in args else args["shape"]


def _view(asks: _Asking, args: Mapping[str, Any]) -> bool:
    sizes = asks.given(_sizes(args), 1, "size", "shape")
    if sizes is None or not all(asks(">=", n, 0) for n in sizes if type(n) is Length):
        return False
    left_open = [n for n in sizes if type(n) is int and n < 0]
    known = math.prod([n for n in sizes if type(n) is Length or n >= 0])
    values = math.prod(asks.shape(args["self"]))
    if not left_open:
        return asks("!=", values, known)
    if len(left_open) > 1 or left_open[0] != -1:
        return False
    return asks("==", known, 0) if plain(known) == 0 else asks("!=", values % known, 0)


def _expand(asks: _Asking, args: Mapping[str, Any]) -> bool:
    sizes = asks.given(_sizes(args), 1, "size")
    for n, size in zip(asks.shape(args["self"])[::-1], (sizes or ())[::-1], strict=False):
        if plain(n) != 1 and plain(size) not in (-1, plain(n)):
            return all((asks("!=", size, -1), asks("!=", n, 1), asks("!=", n, size)))
    return False


def _unlike(asks: _Asking, one: Sequence[Any], other: Sequence[Any], stretched: bool = True) -> bool:
    """Whether two shapes do not go together by broadcasting; `stretched`: the first one may be, too."""
    for a, b in zip(one[::-1], other[::-1], strict=False):
        if plain(a) != plain(b) and plain(b) != 1 and not (stretched and plain(a) == 1):
            return all((asks("!=", a, b), asks("!=", b, 1), not stretched or asks("!=", a, 1)))
    return False


def _pointwise(asks: _Asking, args: Mapping[str, Any]) -> bool:
    shapes = [asks.shape(t) for t in asks.stopped.given]
    if asks.stopped.writes:
        return any(_unlike(asks, shapes[0], other, False) for other in shapes[1:])
    return any(_unlike(asks, a, b) for i, a in enumerate(shapes) for b in shapes[i + 1 :])


def _joined(asks: _Asking, args: Mapping[str, Any]) -> bool:
    if not asks.stopped.given:  # nothing is joined, whatever the sizes
        return asks("==", 0, 0)
    first, *others = [asks.shape(t) for t in asks.stopped.given]
    axis = args["dim"] % len(first) if asks.stopped.name != "stack" else None
    for other in others:
        if len(other) != len(first) or len(first) < 2:
            return False
        for i, (a, b) in enumerate(zip(first, other, strict=True)):
            if i != axis and plain(a) != plain(b):
                return asks("!=", a, b)
    return False


def _product(asks: _Asking, args: Mapping[str, Any]) -> bool:
    x, y = [asks.shape(t) for t in asks.stopped.given][-2:]
    if len(x) < 2 or len(y) < 2:
        return False
    if plain(x[-1]) != plain(y[-2]):
        return asks("!=", x[-1], y[-2])
    if asks.stopped.name == "matmul":
        return _unlike(asks, x[:-2], y[:-2])
    return len(x) == len(y) == 3 and asks("!=", x[0], y[0])


def _attention(asks: _Asking, args: Mapping[str, Any]) -> bool:
    q, k, v = (asks.shape(args[name]) for name in ("query", "key", "value"))
    if len(q) < 2 or not len(q) == len(k) == len(v) or args.get("enable_gqa"):
        return False
    if _unlike(asks, q[:-2], k[:-2]) or _unlike(asks, k[:-2], v[:-2]):
        return True
    if plain(q[-1]) != plain(k[-1]) or plain(k[-2]) != plain(v[-2]):
        return asks("!=", q[-1], k[-1]) if plain(q[-1]) != plain(k[-1]) else asks("!=", k[-2], v[-2])
    mask = args.get("attn_mask")
    return mask is not None and _unlike(asks, (*q[:-1], k[-2]), asks.shape(mask))


def _linear(asks: _Asking, args: Mapping[str, Any]) -> bool:
    return asks("!=", asks.shape(args["input"])[-1], asks.shape(args["weight"])[-1])


def _convolution(asks: _Asking, args: Mapping[str, Any]) -> bool:
    x, kernel = asks.shape(args["input"]), asks.shape(args["weight"])
    if not asks.fixed or len(x) != len(kernel) or isinstance(args["padding"], str):
        return False
    if plain(x[1]) != plain(kernel[1]) * args["groups"]:
        return asks("!=", x[1], kernel[1] * args["groups"])
    return _window(asks, x[2:], kernel[2:], args)


def _window(
    asks: _Asking, sizes: Sequence[Any], kernel: Sequence[Any], args: Mapping[str, Any], round_up: int = 0
) -> bool:
    """Whether no window fits into a map; `round_up`: by how much it may end beyond the padding."""
    padding, dilation = (_each(args.get(name, 1), len(sizes)) for name in ("padding", "dilation"))
    for n, k, p, d in zip(sizes, kernel, padding, dilation, strict=False):
        if plain(n) + 2 * p + round_up < d * (plain(k) - 1) + 1:
            return asks("<", n + 2 * p + round_up, d * (k - 1) + 1)
    return False


def _each(value: Any, axes: int) -> list[Any]:
    found = [*value] if isinstance(value, (tuple, list)) else [value]
    return found * axes if len(found) == 1 else found


def _pool(asks: _Asking, args: Mapping[str, Any]) -> bool:
    axes = int(asks.stopped.name.partition("pool")[2][0])
    kernel = _each(args["kernel_size"], axes)
    strides = _each(args.get("stride") or kernel, axes)
    round_up = min(strides) - 1 if args.get("ceil_mode") else 0
    alike = not args.get("ceil_mode") or len(set(strides)) == 1
    return asks.fixed and alike and _window(asks, asks.shape(args["self"])[-axes:], kernel, args, round_up)


def _layer_norm(asks: _Asking, args: Mapping[str, Any]) -> bool:
    """Its own extents, from the last one."""
    for n, own in zip(asks.shape(args["input"])[::-1], args["normalized_shape"][::-1], strict=False):
        if asks.fixed and plain(n) != own:
            return asks("!=", n, own)
    return False


def _copied(asks: _Asking, args: Mapping[str, Any]) -> bool:
    """What is written over is as long as what is written, or stretches it."""
    x, at, value = asks.args
    at = at if isinstance(at, tuple) else (at,)
    if not isinstance(value, torch.Tensor) or any(isinstance(i, (list, torch.Tensor)) for i in at):
        return False
    return _unlike(asks, tuple(cut_out(at, asks.shape(x))), asks.shape(value), False)


def _batch_norm(asks: _Asking, args: Mapping[str, Any]) -> bool:
    held = next(args[name] for name in ("running_mean", "weight") if args.get(name) is not None)
    return asks("!=", asks.shape(args["input"])[1], held.numel())


def _narrow(asks: _Asking, args: Mapping[str, Any]) -> bool:
    start, length = asks.args[2:] if len(asks.args) > 3 else (asks.kwargs["start"], asks.kwargs["length"])
    return plain(start) >= 0 and asks("<", asks.shape(args["self"])[args["dim"]], start + length)


def _pad(asks: _Asking, args: Mapping[str, Any]) -> bool:
    amounts, mode = asks.given(args["pad"], 1, "pad"), args["mode"]
    for i, n in enumerate(asks.shape(args["self"])[::-1]):
        before, after = (amounts or ())[2 * i : 2 * i + 2] or (0, 0)
        if mode == "constant" and plain(n + before + after) < 0:
            return asks("<", n + before + after, 0)
        for p in (before, after) if mode in ("reflect", "circular") else ():
            if plain(p) > plain(n) - (mode == "reflect"):
                return asks(">=" if mode == "reflect" else ">", p, n)
    return False


def _einsum(asks: _Asking, args: Mapping[str, Any]) -> bool:
    terms = args["equation"].replace(" ", "").partition("->")[0].split(",")
    known: dict[str, Any] = {}
    for letters, tensor in zip(terms, asks.stopped.given, strict=True):
        for letter, n in zip(letters, asks.shape(tensor), strict=True):
            if letter in known and plain(known[letter]) != 1 and _unlike(asks, (known[letter],), (n,)):
                return True
            if plain(known.get(letter, 1)) == 1:
                known[letter] = n
    return False


def _split(asks: _Asking, args: Mapping[str, Any]) -> bool:
    sizes = asks.given(args["split_sizes" if "split_sizes" in args else "split_size"], 1, "split_size_or_sections")
    x = asks.shape(args["self"])
    return bool(sizes) and asks("!=", sum(sizes or ()), x[args["dim"]])


_RULES: dict[str, Rule] = {
    **dict.fromkeys(("view", "reshape", "_unsafe_view", "view_as", "reshape_as"), _view),
    **dict.fromkeys(("add", "sub", "rsub", "mul", "div", "pow", "maximum", "minimum"), _pointwise),
    **dict.fromkeys(("where", "masked_fill", "eq", "ne", "lt", "le", "gt", "ge", "fmod", "copy"), _pointwise),
    **dict.fromkeys(("cat", "concat", "concatenate", "stack"), _joined),
    **dict.fromkeys(("matmul", "mm", "bmm", "baddbmm", "addmm"), _product),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution"), _convolution),
    **dict.fromkeys(("split_with_sizes", "split"), _split),
    **dict.fromkeys([f"{kind}_pool{n}d" for kind in ("max", "avg") for n in (1, 2, 3)], _pool),
    **dict.fromkeys([f"max_pool{n}d_with_indices" for n in (1, 2, 3)], _pool),
    **dict.fromkeys(("layer_norm", "rms_norm"), _layer_norm),
    **dict.fromkeys(("expand", "expand_as"), _expand),
    "linear": _linear, "scaled_dot_product_attention": _attention, "pad": _pad, "einsum": _einsum,
    "narrow": _narrow, **dict.fromkeys(NORMALISING, _batch_norm),
}  # fmt: skip
