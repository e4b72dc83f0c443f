"""Code whose valid sizes hang on its own decisions, drawn at random and written by hand: what `rfcalc.sizes` tells is
what PyTorch does at every size, or it says that it cannot be told."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

import pytest

import rfcalc
from rfcalc import RfcalcError

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional
SHAPE = (2, 40, 24)
SIZES = range(1, 121)
Step = Callable[[Any, Any, int], Any]


def to_multiple(net: Any, x: Any, k: int) -> Any:
    h, w = x.shape[-2:]
    return F.pad(x, (0, (k - w % k) % k, 0, (k - h % k) % k))


def to_multiple_of_bits(net: Any, x: Any, k: int) -> Any:
    k = 1 << (k % 5)
    return F.pad(x, (0, 0, 0, ((x.shape[-2] + k - 1) & ~(k - 1)) - x.shape[-2]))


def to_multiple_around(net: Any, x: Any, k: int) -> Any:
    more = math.ceil(x.shape[-2] / k) * k - x.shape[-2]
    return F.pad(x, (0, 0, more // 2, more - more // 2))


def to_least(net: Any, x: Any, k: int) -> Any:
    return F.pad(x, (0, 0, 0, max(0, 3 * k - int(x.shape[-2]))))


def same_as_tensorflow(net: Any, x: Any, k: int) -> Any:
    height = int(x.shape[-2])
    more = max(3 - 2, 0) if height % 2 == 0 else max(3 - (height % 2), 0)
    return net.valid(F.pad(x, (0, 2, more // 2, more - more // 2)))


def cropped_skip(net: Any, x: Any, k: int) -> Any:
    y = net.valid(x)
    skip = x[..., (x.shape[-2] - y.shape[-2]) // 2 :, :][..., : y.shape[-2], : y.shape[-1]]
    return skip + y


def cropped_to_multiple(net: Any, x: Any, k: int) -> Any:
    return x[..., : x.shape[-2] // k * k, :]


def first_rows(net: Any, x: Any, k: int) -> Any:
    return x[..., : 4 * k, :]


def behind_rows(net: Any, x: Any, k: int) -> Any:
    return torch.cat([x, x[..., 4 * k :, :]], -2)


def last_rows(net: Any, x: Any, k: int) -> Any:
    return x[..., -5 * k :, :]


def one_row(net: Any, x: Any, k: int) -> Any:
    return x[..., -k, None, :].expand_as(x) + x


def up_and_down(net: Any, x: Any, k: int) -> Any:
    return x + F.interpolate(net.down(x), size=x.shape[-2:])


def up_if_it_differs(net: Any, x: Any, k: int) -> Any:
    y = F.interpolate(net.down(x), scale_factor=2)
    return x + (F.interpolate(y, size=x.shape[-2:]) if y.shape != x.shape else y)


def up_by_two(net: Any, x: Any, k: int) -> Any:
    return x + F.interpolate(net.down(x), scale_factor=2)


def up_or_caught(net: Any, x: Any, k: int) -> Any:
    try:
        return x + F.interpolate(net.down(x), scale_factor=2)
    except RuntimeError:
        return x


def pooled_or_not(net: Any, x: Any, k: int) -> Any:
    try:
        return F.max_pool2d(x, k)
    except RuntimeError:
        return x


def larger(net: Any, x: Any, k: int) -> Any:
    return net.down(x) if x.shape[-2] > 11 * k else x


def at_one_size(net: Any, x: Any, k: int) -> Any:
    return net.down(x) if x.shape[-2] == 13 * k else x


def at_a_rest(net: Any, x: Any, k: int) -> Any:
    return net.down(x) if x.shape[-2] % (k + 3) == k else x


def above_a_fraction(net: Any, x: Any, k: int) -> Any:
    return net.down(x) if x.shape[-2] > 10.5 * k else x


def of_a_product(net: Any, x: Any, k: int) -> Any:
    return net.down(x) if x.shape[-2] * x.shape[-1] > 300 * k else x


def of_all_values(net: Any, x: Any, k: int) -> Any:
    return net.down(x) if x.numel() == 2 * 24 * 13 * k else x


def of_unequal_sides(net: Any, x: Any, k: int) -> Any:
    h, w = x.shape[-2:]
    return F.interpolate(x, size=(max(h, w),) * 2) if h != w else x


def of_a_set(net: Any, x: Any, k: int) -> Any:
    return net.down(x) if x.shape[-2] in {40, 50, 9 * k} else x


def of_a_table(net: Any, x: Any, k: int) -> Any:
    return F.avg_pool2d(x, {40: 1, 7 * k: 2}.get(x.shape[-2], 1))


def of_a_list(net: Any, x: Any, k: int) -> Any:
    return F.avg_pool2d(x, ([1] * 12 * k + [2])[min(x.shape[-2], 12 * k)])


def of_a_text(net: Any, x: Any, k: int) -> Any:
    return net.down(x) if f"{x.shape[-2]}".endswith(str(k)) else x


def of_a_count(net: Any, x: Any, k: int) -> Any:
    return net.down(x) if len(x[0, 0]) == 13 * k else x


def of_pieces(net: Any, x: Any, k: int) -> Any:
    return net.down(x) if len(x.split(5, -2)) == 3 * k else x


def of_a_tensor(net: Any, x: Any, k: int) -> Any:
    return net.down(x) if torch.tensor(x.shape)[-2].item() == 11 * k else x


def of_positions(net: Any, x: Any, k: int) -> Any:
    return net.down(x) if bool((torch.arange(x.shape[-2]) == 12 * k).any()) else x


def of_numpy(net: Any, x: Any, k: int) -> Any:
    import numpy

    return net.down(x) if numpy.int64(x.shape[-2]) == 13 * k else x


def of_a_part_that_nothing_reads(net: Any, x: Any, k: int) -> Any:
    return net.down(x) if x[..., 12 * k :, :].shape[-2] == 1 else x


@cache
def known(n: int, k: int) -> bool:
    return n % 16 == k


def of_what_is_remembered(net: Any, x: Any, k: int) -> Any:
    return net.down(x) if known(x.shape[-2], k) else x


def in_a_dictionary(net: Any, x: Any, k: int) -> Any:
    key = tuple(x.shape[-2:])
    if key not in net.kept:
        net.kept[key] = torch.zeros(key)
    return x + net.kept[key]


def in_turns(net: Any, x: Any, k: int) -> Any:
    while x.shape[-2] > 20 * k:
        x = net.down(x)
    return x


def in_pieces(net: Any, x: Any, k: int) -> Any:
    return torch.cat([F.avg_pool2d(x[..., i : i + 8, :], 2) for i in range(0, x.shape[-2], 8)], -2)


def asserted(net: Any, x: Any, k: int) -> Any:
    torch._assert(x.shape[-2] % k == 0, f"a height of {x.shape[-2]}")
    return x


def refused(net: Any, x: Any, k: int) -> Any:
    if x.shape[-2] < 3 * k or x.shape[-2] == 14 * k:
        raise ValueError(f"{x.shape[-2]} rows")
    return x


def refused_in_a_ratio(net: Any, x: Any, k: int) -> Any:
    assert x.shape[-2] / x.shape[-1] < k
    return x


def refused_without_a_power(net: Any, x: Any, k: int) -> Any:
    assert x.shape[-2] & (x.shape[-2] - 1) or k > 2
    return x


def another_map(net: Any, x: Any, k: int) -> Any:
    return (x, net.down(x)) if x.shape[-2] == 13 * k else x


def windows(net: Any, x: Any, k: int) -> Any:
    b, c, h, w = x.shape
    x = x.reshape(b, c, h // k, k, w).flip(3).reshape(b, c, h, w)
    return torch.roll(x, k // 2, -2) if h > k else x


def shuffled(net: Any, x: Any, k: int) -> Any:
    return F.pixel_unshuffle(x, 2)[:, :2]


def resized(net: Any, x: Any, k: int) -> Any:
    return F.interpolate(x, size=(x.shape[-2] * 3 // 4, int(x.shape[-1])))


STEPS: tuple[Step, ...] = (
    to_multiple, to_multiple_of_bits, to_multiple_around, to_least, same_as_tensorflow, cropped_skip,
    cropped_to_multiple, first_rows, behind_rows, last_rows, one_row, up_and_down, up_if_it_differs, up_by_two,
    up_or_caught, pooled_or_not, larger, at_one_size, at_a_rest, above_a_fraction, of_a_product, of_all_values,
    of_unequal_sides, of_a_set, of_a_table, of_a_list, of_a_text, of_a_count, of_pieces, of_a_tensor, of_positions,
    of_numpy, of_a_part_that_nothing_reads, of_what_is_remembered, in_a_dictionary, in_turns, in_pieces, asserted,
    refused, refused_in_a_ratio, refused_without_a_power, another_map, windows, shuffled, resized,
)  # fmt: skip


class Net(nn.Module):
    def __init__(self, steps: list[tuple[Step, int]], ends: bool = False) -> None:
        super().__init__()
        self.steps, self.ends, self.kept = steps, ends, dict[Any, Any]()
        self.same, self.down, self.valid = nn.Conv2d(2, 2, 3, 1, 1), nn.Conv2d(2, 2, 3, 2, 1), nn.Conv2d(2, 2, 3)

    def forward(self, x: Any) -> Any:
        for i, (step, k) in enumerate(self.steps):
            x = step(self, x, k)
            if isinstance(x, tuple):
                return x
            x = self.same(x) if not self.ends or i + 1 < len(self.steps) else x
        return x


def drawn(pick: Random) -> tuple[list[tuple[Step, int]], bool]:
    count = pick.choice((1, 1, 2, 2, 3))
    return [(pick.choice(STEPS), pick.choice((1, 2, 3, 4, 5, 7, 8))) for _ in range(count)], pick.random() < 0.5


def does(steps: list[tuple[Step, int]], ends: bool, axis: int, n: int) -> list[tuple[int, ...]] | None:
    """The shapes that a module that has not run yet gives; None where it refuses, or gives a map without values."""
    dims = [*SHAPE]
    dims[axis + 1] = n
    try:
        with torch.no_grad():
            y = Net(steps, ends).eval()(torch.zeros(1, *dims))
    except (RuntimeError, ValueError, AssertionError, IndexError, TypeError, KeyError, ZeroDivisionError):
        return None
    shapes = [tuple(t.shape) for t in (y if isinstance(y, tuple) else (y,))]
    return None if any(0 in shape for shape in shapes) else shapes


def judged(steps: list[tuple[Step, int]], ends: bool, sizes: Any = SIZES) -> str:
    """Whether sizes are told, and rightly; the first that is not."""
    if does(steps, ends, 0, SHAPE[1]) is None:
        return "does not run"
    try:
        found = rfcalc.sizes(Net(steps, ends).eval(), SHAPE)
    except RfcalcError:
        return "not told"
    for axis, solved in enumerate(found.axes):
        formulas = [*found.output(axis).values()]
        for n in sizes:
            y = does(steps, ends, axis, n)
            if (n in solved.valid) != (y is not None):
                return f"axis {axis}, {n}: told {'valid' if y is None else 'refused'}, PyTorch gives {y}"
            for formula, shape in zip(formulas, y or (), strict=False):
                if formula is not None and eval(formula, {}, {"n": n}) != shape[axis + 2]:
                    return f"axis {axis}, {n}: the output is told to be {formula}, PyTorch gives {shape}"
            if y is not None and len(y) != len(formulas):
                return f"axis {axis}, {n}: PyTorch gives {len(y)} maps"
    return "right"


def named(steps: list[tuple[Step, int]]) -> str:
    return ", ".join(f"{step.__name__} {k}" for step, k in steps)


@pytest.mark.parametrize(
    ("step", "k"),
    [
        (of_a_set, 8), (of_a_text, 7), (of_a_tensor, 7), (of_numpy, 5), (of_what_is_remembered, 5),
        (of_a_part_that_nothing_reads, 5), (of_a_count, 5), (behind_rows, 8), (one_row, 5), (pooled_or_not, 5),
        (another_map, 5), (of_all_values, 5), (at_one_size, 5), (to_multiple_of_bits, 4), (refused_in_a_ratio, 3),
    ],
)  # fmt: skip
def test_what_code_decides_by_a_size_is_told_or_said_to_be_unknown(step: Step, k: int) -> None:
    assert judged([(step, k)], True) in ("right", "not told")


def test_what_is_followed_is_told() -> None:
    for step, k in ((at_one_size, 5), (above_a_fraction, 5), (to_multiple_of_bits, 4), (same_as_tensorflow, 1)):
        assert judged([(step, k)], True) == "right", step


def test_code_drawn_at_random() -> None:
    pick = Random(18)
    for steps, ends in [drawn(pick) for _ in range(10)]:
        assert judged(steps, ends) in ("right", "not told", "does not run"), named(steps)


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(20))
def test_much_code_drawn_at_random(seed: int) -> None:
    """What it gave is in docs/sizes.md."""
    pick = Random(seed)
    told: Counter[str] = Counter()
    for steps, ends in [drawn(pick) for _ in range(100)]:
        result = judged(steps, ends)
        told[result] += 1
        assert result in ("right", "not told", "does not run"), named(steps)
    assert told["right"] > 10, told
