"""Searches of all families with constraints of every sort: small spaces by walking every network, large ones timed."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from test_design import brute

from rfcalc.core.errors import RfcalcError
from rfcalc.core.shape import Shape
from rfcalc.plan.design import OBJECTIVES, design
from rfcalc.plan.families import FAMILIES, DesignFamily, limited
from rfcalc.plan.figures import FamilyFigures
from rfcalc.plan.search import FamilySearch
from rfcalc.report import Report
from rfcalc.report.constraints import parse

VALUES: dict[str, dict[str, Any]] = {
    "stack": {"kernel": [3, 5, 7, 9, 11, 4], "width": range(1, 400), "depth": range(1, 400)},
    "dilated": {"kernel": [2, 3, 5, 7], "base": [2, 3, 4, 5], "width": range(1, 3000), "depth": range(1, 15)},
    "tcn": {"kernel": [2, 3, 5, 7], "base": [2, 3, 4, 5], "width": range(1, 3000), "depth": range(1, 15)},
    "hybrid": {
        "kernel": [2, 3, 5],
        "second": range(1, 9),
        "third": range(1, 13),
        "width": range(1, 400),
        "cycles": range(1, 60),
    },
    "patchgan": {"width": range(1, 10_001), "depth": range(1, 8)},
    "pyramid": {"kernel": [3, 5, 7, 2], "width": range(1, 3000), "convs": range(1, 9), "stages": range(1, 8)},
    "strided": {
        "first": [3, 5, 7, 10, 2],
        "step": [1, 2, 3, 4, 5],
        "kernel": [2, 3, 5],
        "stride": [1, 2, 3],
        "width": range(1, 600),
        "depth": range(1, 10),
    },
    "unet": {"kernel": [3, 5, 7], "width": range(1, 5000), "convs": range(1, 6), "depth": range(1, 5)},
    "volume": {"spacing": [1, 2, 3, 5, 6], "width": range(1, 3000), "convs": range(1, 5), "depth": range(1, 7)},
}
SHAPES = {1: ["{c}x96", "{c}x400", "{c}x1600"], 2: ["{c}x24x64", "{c}x64x64", "{c}x224x17"], 3: ["{c}x16x16x32"]}
OWN = {"patchgan": ["{c}x256x128"], "volume": ["{c}x20x64x32", "{c}x8x32x48"], "unet": ["{c}x64x128"]}
PATTERNS = (
    "none(pool)", "some(relu)", "none(conv stride=2)", "some(conv dilation>1)", "none(conv kernel=3)", "dense(rf)",
    "some(conv out_channels>=32)", "count(conv out_channels=8) = 2", "count(conv out_channels=16) <= 3",
    "count(conv out_channels=24) != 3", "count(conv out_channels=64) > 1", "center >= 1", "center <= 0.5",
)  # fmt: skip
WHOLE = ("params", "macs", "peak_bytes", "saved_bytes", "weight_layers", "biases", "values", "training_flops")
OF_NODES = ("params_share", "macs_share", "memory_share")
SMALL: list[tuple[str, ...]] = [
    OBJECTIVES,
    OBJECTIVES,
    ("params",),
    ("macs", "weight_layers"),
    ("peak_bytes", "params"),
]


def space(draw: random.Random, most: int) -> tuple[DesignFamily, Shape, dict[str, Any]]:
    """A family with some of its values, of at most so many networks, and an input."""
    name = draw.choice(sorted(VALUES))
    family = FAMILIES[name]
    shapes = OWN.get(name) or SHAPES[draw.choice(family.ranks)]
    values: dict[str, Any] = {}
    for number, given in VALUES[name].items():
        listed = list(given)
        if len(listed) < 13:
            values[number] = sorted(draw.sample(listed, draw.randint(1, len(listed))))
        else:
            low = draw.randint(0, 8)
            values[number] = listed[low : low + draw.randint(2, len(listed))]
    while limited([family], values)[0].size > most:
        longest = max(values, key=lambda n: len(values[n]))
        values[longest] = values[longest][: len(values[longest]) // 2]
    return limited([family], values)[0], Shape.parse(draw.choice(shapes).format(c=draw.randint(1, 4))), values


def asked(draw: random.Random, report: Report) -> str:
    """Constraints with bounds near the figures of a network of the family."""
    rf = report.outputs[-1].receptive_field

    def near(value: Any) -> int:
        return max(1, int(int(value) * draw.choice([1, 1, 1, 0.7, 1.3, 0.5, 2])) + draw.choice([0, 0, 1, -1]))

    def one() -> str:
        sort, relation = draw.randrange(8), draw.choice([">=", "<=", ">", "<", ">=", "<=", "=", "!="])
        node = draw.choice([n.name for n in report.network.nodes])
        if sort == 0:
            return draw.choice(PATTERNS)
        if sort == 1:
            return (
                f"{draw.choice(OF_NODES)}@{node} {draw.choice(['<', '>', '<=', '>='])} {draw.choice([5, 10, 20, 40])}%"
            )
        if sort == 2:
            return f"rf@{node} {relation} {near(report[node].receptive_field.size[0])}"
        if sort == 3:
            return "rf >= " + "x".join(str(near(s)) for s in rf.size)
        if sort == 4:
            return f"values@{node} {relation} {near(report[node].values)}"
        if sort == 5:
            return draw.choice([f"stride {relation} {near(rf.stride[0])}", f"lookahead <= {draw.randint(0, 50)}"])
        name = draw.choice(WHOLE)
        return f"{name} {relation} {near(getattr(report.totals, name, report.totals.macs))}"

    return ", ".join(one() for _ in range(draw.randint(1, 4)))


def case(seed: int, most: int) -> tuple[DesignFamily, Shape, dict[str, Any], str, tuple[str, ...]]:
    draw = random.Random(seed)
    family, shape, values = space(draw, most)
    report = None
    for _ in range(40):
        numbers = tuple([draw.choice(p.values[:30]) for p in family.parameters])
        report = FamilyFigures(family, shape).report(numbers)
        if report is not None:
            break
    text = "rf >= 5" if report is None else asked(draw, report)
    return family, shape, values, text, draw.choice(SMALL)


@pytest.mark.parametrize("seed", range(12))
def test_searches_of_all_families_equal_a_walk_of_every_network(seed: int) -> None:
    compare(seed, 150)


def compare(seed: int, most: int) -> None:
    family, shape, _, text, objectives = case(seed, most)
    search = FamilySearch(family, shape, parse(text, output=True), objectives)
    search.run()
    found = sorted({tuple(d.figures[n] for n in objectives) for d in search.found})
    assert found == brute(search, text), (seed, family.name, text)


@pytest.mark.exhaustive
def test_many_searches_of_all_families_equal_a_walk_of_every_network() -> None:
    for seed in range(100, 300):
        compare(seed, 300)


@pytest.mark.exhaustive
def test_times_of_searches_of_all_families() -> None:
    """The time of each, the nearest bounds included, is printed (`pytest -s`): docs/design.md has them."""
    times = []
    for seed in range(300):
        family, shape, values, text, objectives = case(seed, 10**6)
        begun = time.process_time()
        try:
            found = design(text, [family.name], shape, objectives, values)
            assert found.optimal, (seed, text)
        except RfcalcError as error:  # constraints that contradict each other
            if "wrongly" in str(error):
                raise
        times.append((time.process_time() - begun, seed, family.name, text))
    times.sort()
    print(f"\n{len(times)} searches: median {times[len(times) // 2][0]:.3f} s; the longest: {times[-5:]}")
    assert times[-20][0] < 1


@pytest.mark.parametrize("seed", range(400, 424))
def test_a_constraint_less_loses_no_design(seed: int) -> None:
    """Each design that was found is found again, or one that is as good in every objective."""
    family, shape, _, text, objectives = case(seed, 3000)
    constraints = parse(text, output=True)

    def best(asked: list[Any]) -> list[list[Any]]:
        search = FamilySearch(family, shape, asked, objectives)
        search.run()
        assert search.exhausted
        return [[d.figures[n] for n in objectives] for d in search.found]

    before = best(list(constraints))
    for left_out in constraints:
        after = best([c for c in constraints if c is not left_out])
        for one in before:
            assert any(all(a <= b for a, b in zip(other, one, strict=True)) for other in after), (seed, text)


def test_a_search_that_is_stopped_says_what_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    import rfcalc.plan.figures as figures

    text = "rf >= 100, params < 10000"
    whole = design(text, ["stack"], Shape.parse("3x64x64"))
    assert whole.tightest and "No network of these families holds all of" in str(whole.document().sections)
    monkeypatch.setattr(figures, "MOST_BOXES", 2)
    stopped = str(design(text, ["stack"], Shape.parse("3x64x64")).document().sections)
    assert "The nearest bounds are not all known, since the search was stopped." in stopped
