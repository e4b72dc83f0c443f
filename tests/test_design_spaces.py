"""Searches of spaces of up to a million networks, against closed forms that are worked out at every point (NumPy)."""

from __future__ import annotations

import operator
import random
import time
from typing import Any, NamedTuple

import numpy as np
import pytest

from rfcalc.core.shape import Shape
from rfcalc.plan.families import FAMILIES, DesignFamily, limited
from rfcalc.plan.search import FamilySearch
from rfcalc.report.constraints import RELATIONS, parse

OBJECTIVES = ("params", "macs", "weight_layers", "peak_bytes")
Arrays = dict[str, Any]


class Space(NamedTuple):
    """A family with some of its values, an input, and the figures of all its networks."""

    family: DesignFamily
    shape: Shape
    figures: Arrays


def stack(k: Any, w: Any, n: Any, shape: Shape, field: Any) -> Arrays:
    """The figures of n equal convolutions, one after another, the first from the input's channels."""
    c, places = shape.dims[0], int(np.prod(shape.spatial))
    size = k ** len(shape.spatial)
    weights = size * c * w + (n - 1) * size * w * w
    peak = 4 * places * np.maximum(c + w, np.where(n > 1, 2 * w, 0))
    return {
        "rf": field, "params": weights + n * w, "macs": places * weights, "weight_layers": n, "peak_bytes": peak,
        "count(conv)": n, "count(relu)": n, "biases": n * w,
    }  # fmt: skip


def powers(k: Any, b: Any, n: Any, each: int) -> Any:
    return 1 + each * (k - 1) * ((b**n - 1) // (b - 1))


def tcn(k: Any, b: Any, w: Any, n: Any, shape: Shape) -> Arrays:
    c, length = shape.dims
    weights = c * w + 2 * n * k * w * w
    return {
        "rf": powers(k, b, n, 2), "params": weights + w + 2 * n * w, "macs": length * weights,
        "weight_layers": 1 + 2 * n, "count(conv)": 1 + 2 * n, "count(relu)": 3 * n, "count(add)": n,
        "peak_bytes": 4 * length * np.maximum(c + w, 3 * w),
    }  # fmt: skip


def pyramid(k: Any, w: Any, convs: Any, stages: Any, shape: Shape) -> Arrays:
    zero = 0 * (k + w + convs + stages)
    rf, params, macs, peak = zero + 1, zero, zero, zero
    before, sides = shape.dims[0] + zero, list(shape.spatial)
    values = int(np.prod(shape.dims)) + zero
    for i in range(int(stages.max())):
        inside = i < stages
        channels = w * 2**i
        sides = [-(-n // 2) for n in sides]
        places = int(np.prod(sides))
        size = k ** len(sides)
        weights = size * before * channels + (convs - 1) * size * channels**2
        rf = rf + np.where(inside, (k - 1) * (2**i + (convs - 1) * 2 ** (i + 1)), 0)
        params = params + np.where(inside, weights + convs * channels, 0)
        macs = macs + np.where(inside, places * weights, 0)
        peak = np.maximum(peak, np.where(inside, values + places * channels, 0))
        peak = np.maximum(peak, np.where(inside & (convs > 1), 2 * places * channels, 0))
        values, before = places * channels, channels
    return {
        "rf": rf, "params": params, "macs": macs, "weight_layers": convs * stages, "count(conv)": convs * stages,
        "count(relu)": convs * stages, "peak_bytes": 4 * peak,
    }  # fmt: skip


def space(draw: random.Random, most: int) -> Space:
    """A family with random values: at most so many networks."""
    name = draw.choice(["stack", "dilated", "tcn", "pyramid"])
    kernel = sorted(draw.sample([3, 5, 7, 9, 11], draw.randint(1, 4)))
    base = sorted(draw.sample([2, 3, 4, 5], draw.randint(1, 3)))
    few = {"stack": len(kernel), "dilated": len(kernel) * len(base) * 14, "tcn": len(kernel) * len(base) * 14}
    left = most // few.get(name, len(kernel) * 4 * 5)
    width = range(draw.randint(1, 9), 9 + (draw.randint(2, 600) if name == "stack" else min(left - 9, 3_000)))
    depth = range(1, left // len(width) + 1) if name == "stack" else range(1, 15)
    signal = name == "tcn" or draw.random() < 0.2
    shape = Shape(draw.randint(1, 3), 96) if signal else Shape(draw.randint(1, 3), 24, 17)
    values: dict[str, Any] = {"kernel": kernel, "base": base, "width": width, "depth": depth}
    values |= {"convs": range(1, 5), "stages": range(1, 6)}
    (plain,) = [FAMILIES[name]]
    (family,) = limited([plain], {p.name: values[p.name] for p in plain.parameters})
    grid = np.meshgrid(*[np.array(p.values, dtype=np.int64) for p in family.parameters], indexing="ij", sparse=True)
    at = dict(zip([p.name for p in family.parameters], grid, strict=True))
    figures: Arrays
    if name == "stack":
        figures = stack(at["kernel"], at["width"], at["depth"], shape, 1 + at["depth"] * (at["kernel"] - 1))
    elif name == "dilated":
        field = powers(at["kernel"], at["base"], at["depth"], 1)
        figures = stack(at["kernel"], at["width"], at["depth"], shape, field)
    else:
        figures = {"tcn": tcn, "pyramid": pyramid}[name](*[at[p.name] for p in family.parameters], shape)
    sizes = [len(p.values) for p in family.parameters]
    return Space(family, shape, {n: np.broadcast_to(a, sizes).ravel() for n, a in figures.items()})


def asked(draw: random.Random, figures: Arrays) -> str:
    """Constraints whose bounds are figures that occur, or nearly."""
    parts = []
    for name in draw.sample(sorted(figures), draw.randint(1, 3)):
        value = int(draw.choice(figures[name])) + draw.choice([0, 0, 1, -1])
        relation = draw.choice([">=", "<=", ">", "<", ">=", "<=", "=", "!="])
        parts.append(f"{name} {relation} {max(1, value) + 1}")
    return ", ".join(parts)


def front(rows: Any) -> list[tuple[int, ...]]:
    """The rows than which none is as good in all and better in one, each once, without comparing all with all."""
    kept: list[tuple[int, ...]] = []
    rows = np.unique(rows, axis=0)
    while len(rows):
        first = rows[0]  # the least in the first figure, then in the others: nothing is better
        kept.append(tuple(int(n) for n in first))
        rows = rows[~np.all(rows >= first, axis=1)]
    return sorted(kept)


def brute(one: Space, text: str) -> list[tuple[int, ...]]:
    fits = np.ones(one.family.size, dtype=bool)
    for c in parse(text, output=True):
        fits &= RELATIONS[c.relation](one.figures[c.subject], int(c.wanted))
    return front(np.stack([one.figures[n][fits] for n in OBJECTIVES], axis=1))


def check(seed: int, most: int) -> tuple[float, int, int]:
    """One search: its processor time, the networks that were walked, those that were found."""
    draw = random.Random(seed)
    one = space(draw, most)
    text = asked(draw, one.figures)
    search = FamilySearch(one.family, one.shape, parse(text, output=True), OBJECTIVES)
    begun = time.process_time()
    search.run()
    taken = time.process_time() - begun
    assert search.exhausted
    found = sorted(tuple(d.figures[n] for n in OBJECTIVES) for d in search.found)
    assert found == brute(one, text), (seed, one.family.name, text)
    if not found:
        for c in search.constraints:
            nearest(one, search, c, text)
    return taken, search.figures.work.walked, len(found)


def nearest(one: Space, search: FamilySearch, c: Any, text: str) -> None:
    """The nearest figure that there is with the other constraints as they are, at every point."""
    if c.relation == "!=":
        return
    fits = np.ones(one.family.size, dtype=bool)
    for other in parse(text, output=True):
        if other.text != c.text:
            fits &= RELATIONS[other.relation](one.figures[other.subject], int(other.wanted))
    have = one.figures[c.subject][fits]
    off = [abs((v if isinstance(v, int) else min(v)) - c.wanted) for v in search.nearest(c)]
    assert min(off, default=None) == (int(np.abs(have - int(c.wanted)).min()) if len(have) else None), (c.text, text)


@pytest.mark.parametrize("seed", range(6))
def test_figures_of_the_closed_forms_are_those_of_the_walk(seed: int) -> None:
    """The second road itself: every figure of some networks of a space."""
    draw = random.Random(seed)
    one = space(draw, 30_000)
    search = FamilySearch(one.family, one.shape, [], OBJECTIVES)
    sizes = [len(p.values) for p in one.family.parameters]
    for _ in range(8):
        at = tuple(min(draw.randrange(n), 30) for n in sizes)
        report = search.report(at)
        for name, values in one.figures.items():
            (c,) = parse(f"{name} >= 1", output=True)
            assert c.value is not None
            have = c.value(report)  # type: ignore[arg-type]
            have = have[0] if isinstance(have, tuple) else have
            assert have == values[np.ravel_multi_index(at, sizes)], (one.family.name, name, at)


@pytest.mark.parametrize("seed", range(25))
def test_searches_of_large_spaces_equal_brute_force(seed: int) -> None:
    """At most 10⁵ networks each; few of them are walked."""
    _, walked, _ = check(seed, 10**5)
    assert walked < 2_000


@pytest.mark.exhaustive
def test_searches_of_a_million_networks_equal_brute_force() -> None:
    """The time of each is printed (`pytest -s`): docs/design.md has them."""
    times = sorted(check(seed, 10**6) for seed in range(1_000, 1_200))
    taken = [t for t, *_ in times]
    print(f"\n{len(times)} searches: median {taken[len(taken) // 2]:.2f} s, at most {taken[-1]:.2f} s; {times[-3:]}")
    assert taken[-1] < 1


def test_the_comparison_sees_a_wrong_front() -> None:
    """A search without its second constraint, and a front without its last row."""
    draw = random.Random(3)
    one = space(draw, 3_000)
    wide = [tuple(r) for r in brute(one, "rf >= 5")]
    assert wide != brute(one, f"rf >= 5, params > {int(np.median(one.figures['params']))}")
    assert operator.ne(wide[:-1], brute(one, "rf >= 5"))
