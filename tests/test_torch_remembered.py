"""What an operator gives without data is remembered: it must be what the operator gives when it is asked again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from rfcalc import from_torch
from rfcalc.readers.torch import meta


def _made(*dims: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(dims, dtype=dtype, device="meta")


ATEN = torch.ops.aten
WHOLE = _made(2, 3, dtype=torch.int64)
CALLS: list[tuple[Any, tuple[Any, ...]]] = [
    (ATEN.add.Tensor, (WHOLE, 1)),
    (ATEN.add.Tensor, (WHOLE, 1.0)),
    (ATEN.add.Tensor, (WHOLE, True)),
    (ATEN.add.Tensor, (_made(2, 3), _made(3))),
    (ATEN.add.Tensor, (_made(2, 3), _made(3, dtype=torch.float64))),
    (ATEN.mul.Tensor, (_made(2, 3).t(), _made(3, 2))),
    (ATEN.mul.Tensor, (_made(3, 2).t(), _made(2, 3).contiguous())),
    (ATEN.gelu.default, (_made(1, 8, 5, 5).to(memory_format=torch.channels_last),)),
    (ATEN.gelu.default, (_made(1, 8, 5, 5),)),
    (ATEN.cat.default, ([_made(1, 2), _made(1, 3)], 1)),
    (ATEN.cat.default, ([_made(1, 2), _made(2, 2)], 0)),
    (ATEN.mean.dim, (_made(4, 5), [1], False)),
    (ATEN.mean.dim, (_made(4, 5), [1], True)),
]


def test_every_result_is_what_the_operator_gives_the_second_time_too() -> None:
    for _ in range(2):
        for func, args in CALLS:
            own, told = func(*args), meta.ran(func, args, {})
            assert (own.shape, own.stride(), own.dtype) == (told.shape, told.stride(), told.dtype), func
            assert told.is_meta


def test_results_are_objects_of_their_own_with_memory_of_their_own() -> None:
    x = _made(7, 7)
    a, b = (meta.ran(ATEN.relu.default, (x,), {}) for _ in range(2))
    assert a is not b
    assert a.untyped_storage()._cdata != b.untyped_storage()._cdata


def test_what_may_be_its_input_is_asked_each_time() -> None:
    x = _made(5, 7)
    for _ in range(2):
        same = meta.ran(ATEN.contiguous.default, (x,), {})
        assert same.untyped_storage()._cdata == x.untyped_storage()._cdata
        moved = meta.ran(ATEN.to.dtype, (x, torch.float32), {})
        assert moved.untyped_storage()._cdata == x.untyped_storage()._cdata


@pytest.mark.parametrize(
    ("func", "args"),
    [
        (ATEN.instance_norm.default, (_made(1, 4, 8, 8), None, None, None, None, True, 0.1, 1e-5, True)),
        (ATEN.linear.default, (_made(1, 4, 8, 3), _made(5, 3))),
        (ATEN.relu.default, (_made(1, 4),)),
    ],
)
def test_a_view_of_what_an_operator_made_stays_a_view(func: Any, args: tuple[Any, ...]) -> None:
    """What is written into one in place makes copies of the gradient of the whole."""
    own = func(*args)._base
    for _ in range(3):
        told = meta.ran(func, args, {})._base
        assert (own is None) == (told is None)
        assert own is None or (own.shape, own.stride()) == (told.shape, told.stride())


def test_the_default_type_is_part_of_what_a_result_hangs_on() -> None:
    meta.ran(ATEN.add.Tensor, (WHOLE, 1.0), {})
    torch.set_default_dtype(torch.float64)
    try:
        assert meta.ran(ATEN.add.Tensor, (WHOLE, 1.0), {}).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_what_is_refused_is_refused_again() -> None:
    for _ in range(2):
        with pytest.raises(RuntimeError):
            meta.ran(ATEN.add.Tensor, (_made(2, 3), _made(4)), {})


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(8), nn.Linear(8, 32), nn.Linear(32, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x.permute(0, 2, 3, 1))
        y = self.down(nn.functional.gelu(self.up(y)))
        return x + y.permute(0, 3, 1, 2)


def test_a_repeated_block_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meta, "_known", {})
    once, asked = _counted(lambda: from_torch(_Block(), "8x9x10"), monkeypatch)
    monkeypatch.setattr(meta, "_known", {})
    often, many = _counted(lambda: from_torch(nn.Sequential(*[_Block() for _ in range(9)]), "8x9x10"), monkeypatch)
    assert len(often.network.nodes) == 9 * len(once.network.nodes)
    assert 0 < asked <= many <= 2 * asked  # strides differ between the first block and the others


def _counted(call: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> tuple[Any, int]:
    with monkeypatch.context() as patched:
        found: list[Any] = []
        new = meta._is_new

        def noted(out: Any, given: Any) -> bool:
            found.append(out)
            return new(out, given)

        patched.setattr(meta, "_is_new", noted)
        return call(), len(found)
