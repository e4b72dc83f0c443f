"""What is told of operators directly is what PyTorch's own rules make, for random tensors and arguments; what PyTorch
refuses is not told.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch._dispatch.python import enable_python_dispatcher

from rfcalc.readers.torch import direct

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
TYPES = [torch.float32] * 12 + [torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool, torch.complex64]
LENGTHS = (1, 1, 2, 3, 4, 6, 7, 0)
ATEN = torch.ops.aten


class Draw(random.Random):
    def some(self, *values: Any) -> Any:
        return self.choice(values)

    def dims(self, least: int = 0, most: int = 5) -> list[int]:
        return [
            self.choice(LENGTHS[:-1] if self.random() < 0.97 else LENGTHS) for _ in range(self.randint(least, most))
        ]

    def tensor(self, dims: Any, dtype: torch.dtype | None = None) -> torch.Tensor:
        """A tensor without data, laid out in one of many ways."""
        dims, kind = list(dims), self.choice(TYPES) if dtype is None or self.random() < 0.03 else dtype
        way = self.randrange(12)
        if way < 6 or not dims:
            return torch.empty(dims, dtype=kind, device="meta")
        order = self.sample(range(len(dims)), len(dims))
        if way == 6:  # its axes in another order
            x = torch.empty([dims[i] for i in order], dtype=kind, device="meta")
            return x.permute([order.index(i) for i in range(len(dims))])
        if way == 7:  # each second position
            at = self.randrange(len(dims))
            longer = [2 * n if i == at else n for i, n in enumerate(dims)]
            return torch.empty(longer, dtype=kind, device="meta")[(*[slice(None)] * at, slice(None, None, 2))]
        if way == 8:  # a part of a longer axis
            at = self.randrange(len(dims))
            longer = [3 * n if i == at else n for i, n in enumerate(dims)]
            return torch.empty(longer, dtype=kind, device="meta").narrow(at, dims[at], dims[at])
        if way == 9:  # repeated
            shared = [1 if self.random() < 0.4 else n for n in dims]
            return torch.empty(shared, dtype=kind, device="meta").expand(dims)
        formats = {4: torch.channels_last, 5: torch.channels_last_3d}
        x = torch.empty(dims, dtype=kind, device="meta")
        if way == 10 and len(dims) in formats:
            return x.contiguous(memory_format=formats[len(dims)])
        stride = [
            n * self.some(1, 1, 1, 2) if d != 1 else self.randint(1, 9) for n, d in zip(x.stride(), dims, strict=True)
        ]
        return torch.empty_strided(dims, stride, dtype=kind, device="meta")

    def changed(self, dims: Any) -> list[int]:
        """The same dims, now and then with a mistake."""
        found = list(dims)
        if self.random() < 0.06 and found:
            found[self.randrange(len(found))] = self.choice(LENGTHS)
        if self.random() < 0.02:
            found = found[1:]
        return found


def _one(d: Draw) -> Arguments:
    return (d.tensor(d.dims()),), {}


def _numbers(least: int, most: int) -> Callable[[Draw], Arguments]:
    def drawn(d: Draw) -> Arguments:
        values = [
            d.some(0, 1, -1, 0.5, 2.5, -1e9) if d.random() < 0.95 else d.some(True, None, 1j) for _ in range(most)
        ]
        return (d.tensor(d.dims()), *values[: d.randint(least, most)]), {}

    return drawn


def _gelu(d: Draw) -> Arguments:
    return (d.tensor(d.dims()),), d.some({}, {"approximate": "tanh"}, {"approximate": "none"}, {"approximate": "no"})


def _two(d: Draw) -> Arguments:
    dims, kind = d.dims(), d.choice(TYPES)
    x = d.tensor(dims, kind)
    other: Any = d.some(1, 2.5, True, 1j)
    way = d.randrange(6)
    if way < 2:
        other = d.tensor(d.changed(dims), kind)
    elif way == 2:
        other = torch.empty_strided(x.shape, x.stride(), dtype=kind, device="meta")
    elif way < 5:
        small = [1 if d.random() < 0.3 else n for n in dims][d.randint(0, len(dims)) :]
        other = d.tensor(d.changed(small), kind)
        x, other = (x, other) if d.random() < 0.7 else (other, x)
    return (x, other), {}


def _sum(d: Draw) -> Arguments:
    args, _ = _two(d)
    return args, d.some({}, {}, {"alpha": 1}, {"alpha": 2}, {"alpha": 0.5}, {"alpha": True})


def _softmax(d: Draw) -> Arguments:
    dims = d.dims()
    return (d.tensor(dims), d.randint(-len(dims) - 1, len(dims)), *d.some((), (None,), (torch.float64,))), {}


def _vector(d: Draw, dims: Any, kind: torch.dtype) -> Any:
    return d.tensor(d.changed(dims), kind) if d.random() < 0.8 else None


def _layer_norm(d: Draw) -> Arguments:
    dims, kind = d.dims(1), d.choice(TYPES)
    own = d.changed(dims[d.randrange(len(dims)) :])
    return (d.tensor(dims, kind), own, _vector(d, own, kind), _vector(d, own, kind), 1e-5, d.some(True, False)), {}


def _group_norm(d: Draw) -> Arguments:
    groups, kind = d.some(1, 2, 3), d.choice(TYPES)
    dims = [d.some(1, 2), groups * d.some(1, 2, 3), *d.dims(0, 3)]
    own = dims[1:2]
    return (d.tensor(d.changed(dims), kind), groups, _vector(d, own, kind), _vector(d, own, kind), 1e-5, True), {}


def _batch_norm(d: Draw) -> Arguments:
    dims = [d.some(1, 2), d.some(2, 3), *d.dims(0, 3)]
    kind = d.some(torch.float32, torch.float16)
    held = [torch.empty(dims[1], device="meta") for _ in range(4)]
    return (d.tensor(dims, kind), *held, False, 0.1, 1e-5, True), {}


def _linear(d: Draw) -> Arguments:
    dims, kind, out = d.dims(1), d.choice(TYPES), d.some(1, 3, 5)
    weight = d.tensor(d.changed((out, dims[-1])), kind)
    return (d.tensor(dims, kind), weight, _vector(d, (out,), kind)), {}


def _matmul(d: Draw) -> Arguments:
    lead, kind = d.some(d.dims(1, 3), d.dims(1, 1)), d.choice(TYPES)
    i, j, k = (d.choice(LENGTHS[:-1]) for _ in range(3))
    return (d.tensor((*lead, i, j), kind), d.tensor(d.changed((*lead, j, k)), kind)), {}


def _attention(d: Draw) -> Arguments:
    lead, kind = d.dims(1, 2), d.choice(TYPES)
    long, keys, width, out = (d.choice(LENGTHS[:-1]) for _ in range(4))
    q, k, v = d.tensor((*lead, long, width), kind), d.changed((*lead, keys, width)), d.changed((*lead, keys, out))
    more = d.some({}, {}, {"scale": 0.5}, {"enable_gqa": True})
    mask = None
    if d.random() < 0.5:
        seen = [1 if d.random() < 0.3 else n for n in (*lead, long, keys)][d.randint(0, len(lead)) :]
        mask = d.tensor(d.changed(seen), d.some(kind, kind, torch.bool, torch.float32))
    dropout, causal = d.some(0.0, 0.0, 0.0, 0.5), d.some(True, False, False)
    return (q, d.tensor(k, kind), d.tensor(v, kind), mask, dropout, causal), more


def _cat(d: Draw) -> Arguments:
    dims, kind = d.dims(0, 5), d.choice(TYPES)
    at = d.randint(-len(dims) - (d.random() < 0.05), len(dims) - (d.random() < 0.95)) if dims else 0
    parts = []
    for _ in range(d.randint(1, 4)):
        own = d.changed(dims)
        if dims and len(own) == len(dims) and -len(dims) <= at < len(dims):
            own[at] = d.choice(LENGTHS[:-1])
        parts.append(d.tensor(own, kind))
    return (parts, at), {}


def _roll(d: Draw) -> Arguments:
    dims = d.dims()
    count = d.randint(0, 2)
    at = [d.randint(-len(dims), max(len(dims) - (d.random() < 0.95), 0)) for _ in range(count)]
    return (d.tensor(dims), [d.randint(-9, 9) for _ in range(count if d.random() < 0.9 else 1)], at), {}


def _adaptive(d: Draw) -> Arguments:
    return (d.tensor(d.changed(d.dims(3, 4))), d.some([1, 1], [2, 3], [1, 4], [7, 7], [0, 1], [2])), {}


def _up(axes: int, corners: bool) -> Callable[[Draw], Arguments]:
    def drawn(d: Draw) -> Arguments:
        x = d.tensor(d.changed([d.some(1, 2), d.some(1, 3, 4), *(d.choice(LENGTHS) for _ in range(axes))]))
        size: Any = [d.choice((1, 5, 8, 9, 0 if d.random() < 0.1 else 2)) for _ in range(axes)]
        scales: Any = [d.choice((2.0, 0.5, 1.7, 0.3)) for _ in range(axes)]
        way = d.random()
        size, scales = (
            (size, None) if way < 0.5 else (None, scales) if way < 0.95 else d.some((None, None), (size, scales))
        )
        return (x, size, *([d.some(True, False)] if corners else []), scales), {}

    return drawn


DRAWN: dict[Any, Callable[[Draw], Arguments]] = {
    ATEN.gelu.default: _gelu,
    **dict.fromkeys((ATEN.add.Tensor, ATEN.sub.Tensor, ATEN.add_.Tensor, ATEN.sub_.Tensor), _sum),
    **dict.fromkeys((ATEN.mul.Tensor, ATEN.div.Tensor, ATEN.mul_.Tensor, ATEN.div_.Tensor), _two),
    **dict.fromkeys((ATEN.leaky_relu.default, ATEN.leaky_relu_.default), _numbers(0, 1)),
    **dict.fromkeys((ATEN.hardtanh.default, ATEN.hardtanh_.default), _numbers(0, 2)),
    **dict.fromkeys((ATEN.elu.default, ATEN.elu_.default), _numbers(0, 3)),
    ATEN.softplus.default: _numbers(0, 2),
    ATEN.clamp.default: _numbers(0, 2),
    **dict.fromkeys((ATEN.clamp_min.default, ATEN.pow.Tensor_Scalar), _numbers(1, 1)),
    **dict.fromkeys((ATEN.softmax.int, ATEN.log_softmax.int), _softmax),
    ATEN.layer_norm.default: _layer_norm,
    ATEN.group_norm.default: _group_norm,
    ATEN.batch_norm.default: _batch_norm,
    ATEN.linear.default: _linear,
    **dict.fromkeys((ATEN.matmul.default, ATEN.bmm.default), _matmul),
    ATEN.scaled_dot_product_attention.default: _attention,
    ATEN.cat.default: _cat,
    ATEN.roll.default: _roll,
    ATEN.adaptive_avg_pool2d.default: _adaptive,
    **{
        getattr(ATEN, f"upsample_{n}{r}d").vec: _up(r, True)
        for n, r in (("linear", 1), ("bilinear", 2), ("bicubic", 2))
    },
    ATEN.upsample_trilinear3d.vec: _up(3, True),
    **{getattr(ATEN, f"upsample_nearest{r}d").vec: _up(r, False) for r in (1, 2, 3)},
}


def _told(x: Any) -> Any:
    base = x._base
    whole = None if base is None else (tuple(base.shape), base.stride(), base.dtype)
    return type(x), tuple(x.shape), x.stride(), x.dtype, x.storage_offset(), x.requires_grad, x.device.type, whole


def differing(func: Any, draw: Draw, count: int) -> tuple[Counter[str], list[str]]:
    """How often a result was told or left to PyTorch, and where it was not PyTorch's."""
    seen: Counter[str] = Counter()
    wrong = []
    for _ in range(count):
        args, kwargs = DRAWN.get(func, _one)(draw)
        with torch.no_grad(), enable_python_dispatcher(), torch._C._DisablePythonDispatcher():
            mine = direct.made(func, args, kwargs)
            if mine is None:
                seen["left"] += 1
                continue
            try:
                own = func(*args, **kwargs)
            except Exception as error:
                wrong.append(f"{func} {args} {kwargs}: refused: {error}"[:400])
                continue
        seen["told"] += 1
        if mine is args[0] or own is args[0]:
            if mine is not own:
                wrong.append(f"{func}: another object")
            continue
        memory = {t.untyped_storage()._cdata for t in args if isinstance(t, torch.Tensor)}
        if _told(mine) != _told(own) or mine.untyped_storage()._cdata in memory:
            shapes = [(tuple(t.shape), t.stride()) if isinstance(t, torch.Tensor) else t for t in args]
            wrong.append(f"{func} {shapes} {kwargs}: told {_told(mine)}, is {_told(own)}")
    return seen, wrong


@pytest.mark.parametrize("func", direct.RULES, ids=str)
def test_what_is_told_is_what_pytorch_makes(func: Any) -> None:
    seen, wrong = differing(func, Draw(str(func)), 60)
    assert not wrong
    assert seen["told"] > 4, "the rule is hardly reached"


@pytest.mark.exhaustive
@pytest.mark.parametrize("func", direct.RULES, ids=str)
def test_thousands_of_random_tensors(func: Any) -> None:
    _, wrong = differing(func, Draw(f"more {func}"), 5000)
    assert not wrong
