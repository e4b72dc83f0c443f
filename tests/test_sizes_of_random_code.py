"""Valid sizes of random modules, whose code computes with lengths: every size is run on tensors without data.

`python tests/test_sizes_of_random_code.py FIRST LAST` tries as many as wanted.
"""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Callable
from typing import Any

import pytest

import rfcalc
from rfcalc import RfcalcError

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional

Amount = Callable[[Any, Any], Any]  # of a map, and of the input


def number(pick: random.Random, depth: int = 0) -> tuple[Amount, str]:
    """A whole number that code computes from a length, and how it is written."""
    axis, k = pick.choice((2, 3)), pick.choice((2, 3, 4, 5, 8))
    if depth == 2 or pick.random() < 0.3:
        of = pick.random() < 0.5
        how = pick.randrange(3)
        if how == 0:
            return (lambda y, x: (y if of else x).shape[axis]), f"{'yx'[not of]}.shape[{axis}]"
        if how == 1:
            return (lambda y, x: (y if of else x).size(axis - 4)), f"{'yx'[not of]}.size({axis - 4})"
        return (lambda y, x: (y if of else x).shape[-2:][axis - 2]), f"{'yx'[not of]}.shape[-2:][{axis - 2}]"
    (one, a), (two, b) = number(pick, depth + 1), number(pick, depth + 1)
    kinds: list[tuple[Amount, str]] = [
        (lambda y, x: one(y, x) // k, f"({a}) // {k}"),
        (lambda y, x: -(-one(y, x) // k), f"-(-({a}) // {k})"),
        (lambda y, x: one(y, x) + k, f"({a}) + {k}"),
        (lambda y, x: one(y, x) - one(y, x) % k, f"({a}) - ({a}) % {k}"),
        (lambda y, x: one(y, x) * k // (k + 1), f"({a}) * {k} // {k + 1}"),
        (lambda y, x: min(one(y, x), two(y, x)), f"min({a}, {b})"),
        (lambda y, x: max(one(y, x), 4 * k), f"max({a}, {4 * k})"),
        (lambda y, x: one(y, x) if one(y, x) > 5 * k else 5 * k, f"({a}) if ({a}) > {5 * k} else {5 * k}"),
        (lambda y, x: (one(y, x) + two(y, x)) // 2, f"(({a}) + ({b})) // 2"),
        (lambda y, x: one(y, x) // k * k + (one(y, x) % k > 0), f"({a}) // {k} * {k} + (({a}) % {k} > 0)"),
    ]
    return pick.choice(kinds)


def step(pick: random.Random) -> tuple[Amount, str]:
    """What is done to a map."""
    (m, a), (n, b) = number(pick), number(pick)
    k = pick.choice((2, 3, 4, 7))
    half = pick.random() < 0.5

    def padded(y: Any, x: Any) -> Any:
        rest = -y.shape[-1] % k, -y.shape[-2] % k
        return F.pad(y, [rest[0] // 2, rest[0] - rest[0] // 2, 0, rest[1]] if half else [0, rest[0], rest[1], 0])

    def padded_if(y: Any, x: Any) -> Any:
        right = (k - y.shape[-1] % k) % k
        return F.pad(y, [0, right]) if right else y

    def windows(y: Any, x: Any) -> Any:
        b, c, h, w = y.shape
        y = F.pad(y, [0, -w % k, 0, -h % k])
        p, q = y.shape[-2:]
        y = y.view(b, c, p // k, k, q // k, k).transpose(3, 4).flatten(4).mean(4)
        return F.interpolate(y, size=(h, w)) if half else y

    def tokens(y: Any, x: Any) -> Any:
        b, c, h, w = y.shape
        return y.flatten(2).transpose(1, 2).reshape(b, -1, c).transpose(1, 2).view(b, c, h, w)

    def asserted(y: Any, x: Any) -> Any:
        assert y.shape[2] >= k and m(y, x) % 2 < 2
        return y

    def refused(y: Any, x: Any) -> Any:
        if x.shape[3] % k == 1 and half:
            raise ValueError("not this width")
        return y

    kinds: list[tuple[Amount, str]] = [
        (lambda y, x: F.interpolate(y, size=(m(y, x), n(y, x))), f"interpolate(y, ({a}, {b}))"),
        (lambda y, x: y[:, :, : m(y, x)], f"y[:, :, :{a}]"),
        (lambda y, x: y[:, :, :, n(y, x) // 3 :], f"y[..., ({b}) // 3:]"),
        (lambda y, x: F.adaptive_avg_pool2d(y, (m(y, x), k)), f"adaptive(y, ({a}, {k}))"),
        (lambda y, x: y + F.interpolate(F.max_pool2d(y, 2), size=y.shape[-2:]), "y + interpolate(pool(y), y)"),
        (lambda y, x: F.max_pool2d(y, 2) if m(y, x) > 8 * k else y, f"pool(y) if {a} > {8 * k}"),
        (lambda y, x: F.max_pool2d(y, 3, 2, ceil_mode=half), "pool(y, 3, 2)"),
        (padded, f"pad to multiples of {k}"), (padded_if, f"pad if no multiple of {k}"), (windows, f"windows of {k}"),
        (tokens, "tokens"), (asserted, f"assert >= {k}"), (refused, f"refused % {k}"),
    ]  # fmt: skip
    return pick.choice(kinds)


class Code(nn.Module):
    def __init__(self, seed: int) -> None:
        super().__init__()
        pick = random.Random(seed)
        self.a = nn.Conv2d(1, 2, pick.choice((1, 2, 3, 4)), pick.choice((1, 2, 2, 4)), pick.choice((0, 1)))
        self.b = nn.Conv2d(2, 2, 3, pick.choice((1, 2)), 1)
        self.steps = [step(pick) for _ in range(pick.choice((1, 1, 2, 3)))]
        self.noting = self.empty = False
        self.told = [told for _, told in self.steps]

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        for one, _ in self.steps:
            y = one(y, x)
            self.empty |= self.noting and y.numel() == 0
        return self.b(y)


def compared(seed: int, largest: int) -> str:
    """What is told of a module, which must be what it does at every size."""
    pick = random.Random(-seed - 1)
    shape = (1, pick.choice((32, 48, 50, 64)), pick.choice((32, 45, 64)))
    module = Code(seed).eval()
    run = copy.deepcopy(module).to("meta")

    def ran(*dims: int) -> Any:
        try:
            with torch.no_grad():
                return tuple(run(torch.empty(1, *dims, device="meta")).shape)
        except (RuntimeError, ValueError, AssertionError, ZeroDivisionError, TypeError):
            return None

    if ran(*shape) is None:
        return "refused"
    try:
        found = rfcalc.sizes(module, shape)
    except RfcalcError as error:
        return f"not told: {error.where} {error.why or error.what}"
    for axis, solved in enumerate(found.axes):
        formula = found.output(axis)[found.network.outputs[0]]
        for n in range(1, largest):
            dims = list(shape)
            dims[axis + 1] = n
            run.noting, run.empty = True, False
            y = ran(*dims)
            if run.empty:  # maps without values are refused
                continue
            assert (n in solved.valid) == (y is not None), (seed, shape, module.told, axis, n, y)
            if y is not None and formula is not None:
                assert eval(formula, {}, {"n": n}) == y[axis + 2], (seed, shape, module.told, axis, n, y, formula)
    return f"told: {found.assumptions[-1] if found.assumptions else ''}"


@pytest.mark.parametrize(
    "seed", [*range(24), 7133, 7395, 8288, 11372, 20822, 21077, 21333]
)  # a slice that no reading cuts, padding that some lack, a min, padding twice, lengths that are equal in readings
def test_code_that_computes_with_lengths(seed: int) -> None:
    compared(seed, 70)


@pytest.mark.exhaustive
@pytest.mark.parametrize("first", range(100, 3100, 100))
def test_much_code_that_computes_with_lengths(first: int) -> None:
    for seed in range(first, first + 100):
        compared(seed, 131)


def main() -> None:
    torch.set_num_threads(1)
    first, last = map(int, sys.argv[1:3])
    for seed in range(first, last):
        try:
            told = compared(seed, 131)
        except AssertionError as error:
            told = f"WRONG {error}"
        except RfcalcError as error:
            told = f"ERROR {error}"
        print(seed, told.split("\n")[0][:220], flush=True)


if __name__ == "__main__":
    main()
