"""From constraints to networks: against brute force, known answers, and rules that read a design."""

from __future__ import annotations

import itertools
import json
import random
import re
import time
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

import rfcalc
from rfcalc.cli import run
from rfcalc.core.errors import RfcalcError, UnknownName
from rfcalc.core.shape import Shape
from rfcalc.plan.design import OBJECTIVES, design
from rfcalc.plan.families import FAMILIES, LOCAL, DesignFamily, FamilyParameter, limited
from rfcalc.plan.figures import ADDED, EACH, NODES, PLACED, FamilyFigures, SearchFigure, figure_of, no_less
from rfcalc.plan.lint import RULES, out_of_step
from rfcalc.plan.lint import lint as read_design
from rfcalc.plan.search import NOWHERE, FamilySearch, least_side
from rfcalc.plan.variants import NetworkDraft, with_geometry
from rfcalc.report import schemas
from rfcalc.report.constraints import check, parse
from rfcalc.report.field_report import misaligned
from rfcalc.report.metrics import SHARES, metric


def smaller(family: DesignFamily, draw: random.Random, most: int = 3) -> DesignFamily:
    """The family with a few values of each number."""
    parameters = []
    for p in family.parameters:
        values = sorted(draw.sample(p.values[:8], min(most, len(p.values[:8]))))
        parameters.append(replace(p, values=tuple(values)))
    return DesignFamily(family.name, family.told, family.ranks, tuple(parameters), family.build, family.input)


def shape_of(family: DesignFamily) -> Shape:
    return {1: Shape(1, 64), 2: Shape(1, 32, 32), 3: Shape(1, 8, 16, 16)}[
        family.ranks[0] if 2 not in family.ranks else 2
    ]


def every(search: FamilySearch) -> list[tuple[tuple[int, ...], Any]]:
    return [(p, search.report(p)) for p in itertools.product(*[range(high + 1) for _, high in search.whole])]


@pytest.mark.parametrize("name", FAMILIES.names())
def test_figures_move_as_a_family_says(name: str) -> None:
    """The claim on which parts of a search are left out; every pair of neighbours in a box is compared."""
    draw = random.Random(3)
    family = smaller(FAMILIES[name], draw)
    search = FamilySearch(family, shape_of(family), [], OBJECTIVES)
    reports = dict(every(search))
    for i, parameter in enumerate(family.parameters):
        for point, report in reports.items():
            further = (*point[:i], point[i] + 1, *point[i + 1 :])
            other = reports.get(further)
            if further in reports:
                runs = int(report is not None), int(other is not None)
                assert runs[0] == runs[1] or (runs == (1, 0) and parameter.moves["runs"] == "-"), (point, further)
            if report is None or other is None:
                continue
            for figure, sign in parameter.moves.items():
                if figure in ("count", "holes", "before", "runs"):
                    continue
                a, b = whole(figure)(report), whole(figure)(other)
                pairs = list(zip(a, b, strict=True)) if isinstance(a, tuple) else [(a, b)]
                for x, y in pairs:
                    assert (y >= x) if sign == "+" else (y <= x) if sign == "-" else x == y, (figure, point, further)


@pytest.mark.parametrize("name", FAMILIES.names())
def test_nodes_that_are_there_stay_as_a_family_says(name: str) -> None:
    """What a larger number puts behind them changes no figure of theirs; that the most layers have all names."""
    family = smaller(FAMILIES[name], random.Random(11))
    search = FamilySearch(family, shape_of(family), [], OBJECTIVES)
    reports = dict(every(search))
    largest = search.figures.largest
    assert largest is not None
    for i, parameter in enumerate(family.parameters):
        for point, report in reports.items():
            other = reports.get((*point[:i], point[i] + 1, *point[i + 1 :]))
            assert report is None or set(report.network.positions) <= set(largest.positions)
            if report is None or other is None or parameter.moves.get("before") is None:
                continue
            for row in report:
                for figure in LOCAL:
                    if (read := metric(figure).row) is not None:
                        assert read(row) == read(other[row.name]), (figure, row.name, point)


def test_a_node_that_no_network_has_is_told_without_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FamilyFigures, "report", lambda *a: pytest.fail("a network was walked"))
    with pytest.raises(RfcalcError) as told:
        rfcalc.design("params < 1M, rf@conv300 >= 10", "stack")
    assert "rf@conv300 >= 10: no network of these families has a node 'conv300'" in str(told.value)
    assert "did you mean conv30" in str(told.value)


def whole(name: str) -> Any:
    asked = metric(name.partition("@")[0])
    if "@" in name:
        return lambda r: asked.row(r.outputs[-1])  # type: ignore[misc]
    return asked.whole or (lambda r: asked.row(r.outputs[-1]))  # type: ignore[misc]


PATTERNS = (
    "count(conv) > 0", "count(*) > 0", "some(pool)", "none(relu)", "count(conv kernel=3) > 0", "dense(rf)",
    "count(conv stride=2) > 0", "count(conv out_channels>=32) > 0", "count(conv dilation>1) = 3", "count(bn) < 4",
    "count(conv out_channels<32) > 0", "count(conv kernel<=3 stride=1) > 0", "count(* dilation!=2) > 0",
    "count(conv kernel>=3 padding=1) > 0", "count(pool stride=2) > 0",
)  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES.names())
def test_counts_and_holes_move_as_a_family_says(name: str) -> None:
    """What patterns count and the holes of a field, for every pair of neighbours in a box."""
    family = smaller(FAMILIES[name], random.Random(5))
    search = FamilySearch(family, shape_of(family), [], OBJECTIVES)
    reports = dict(every(search))
    for constraint in parse(", ".join(PATTERNS), output=True):
        of = figure_of(constraint)
        values = {p: of.read(r) for p, r in reports.items() if r is not None}
        for i, parameter in enumerate(family.parameters):
            sign = of.sign(parameter)
            for point, a in values.items():
                b = values.get((*point[:i], point[i] + 1, *point[i + 1 :]))
                if b is not None and sign is not None:
                    assert (b >= a) if sign == "+" else (b <= a) if sign == "-" else a == b, (str(constraint), point)
            for other in no_less(of):
                assert all(a <= other.read(r) for p, a in values.items() if (r := reports[p]) is not None)


@pytest.mark.parametrize("name", FAMILIES.names())
def test_figures_are_the_polynomials_that_a_family_says(name: str) -> None:
    """At random numbers, beyond those that the polynomials are taken from; the check sees a degree too few."""
    draw, family = random.Random(name), FAMILIES[name]
    most = {"kernel": 12, "width": 80, "depth": 30, "convs": 7, "base": 4, "stages": 4, "second": 6, "third": 8}
    most |= {"cycles": 9, "first": 12, "step": 4, "stride": 3, "spacing": 5}
    if name not in ("stack", "dilated", "tcn"):
        most["depth"] = 3
    most |= {"depth": 5, "kernel": 4} if name in ("dilated", "tcn") else {}
    claimed = {n for p in family.parameters for n in p.laws}
    assert claimed
    claimed |= {*PLACED, *ADDED}  # from parts of one network, where it grows
    on_nodes = [f"{n}@{node}" for n in (*EACH, *LOCAL, *SHARES) for node in ("conv2", "relu3", "output")]
    on_nodes = draw.sample(on_nodes, 20)
    less = replace(family, parameters=tuple(
        replace(p, laws={n: law._replace(degree=max(0, law.degree - 1)) for n, law in p.laws.items()})
        for p in family.parameters
    ))  # fmt: skip
    wrong = 0
    for _ in range(12):
        numbers = tuple(draw.randint(1, most[p.name]) for p in family.parameters)
        figures, false = (FamilyFigures(f, shape_of(family)) for f in (family, less))
        report = FamilyFigures(family, shape_of(family)).report(numbers)
        if report is None:
            continue
        for figure in sorted(claimed):
            of = (
                NODES
                if figure == "nodes"
                else SearchFigure(figure, figure, len if figure == "count" else whole(figure))
            )
            assert figures.value(of, numbers) == of.read(report), (figure, numbers)
            wrong += false.value(of, numbers) != of.read(report)
        for text in on_nodes:
            of = figure_of(parse(f"{text} >= 1", output=True)[0])
            if of.key.endswith("@output") or of.key.partition("@")[2] in report.network.positions:
                assert figures.value(of, numbers) == of.read(report), (text, numbers)
    assert wrong


def held(report: Any, parsed: list[Any]) -> bool:
    """Whether all constraints hold; not those on a node that the network has not."""
    try:
        return all(ok for _, ok, _ in check(report, parsed))
    except UnknownName:
        return False


def brute(search: FamilySearch, constraints: str) -> list[tuple[int, ...]]:
    """The objectives of all networks of which none is better in all, without leaving anything out."""
    parsed = parse(constraints, output=True)
    fits = []
    for _, report in every(search):
        if report is not None and held(report, parsed):
            fits.append(tuple(metric(n).whole(report) for n in search.objectives))  # type: ignore[misc]
    return sorted({a for a in fits if not any(b != a and all(x <= y for x, y in zip(b, a, strict=True)) for b in fits)})


CONSTRAINTS = [
    "rf >= {rf}",
    "rf >= {rf}, params < {params}",
    "rf <= {rf}, params >= {params}",
    "rf >= {rf}, macs < {macs}, none(pool)",
    "rf >= {rf}, dense(rf)",
    "weight_layers <= 4",
    "params > {params}, count(conv) > 2",
    "rf@conv3 >= {rf}, params < {params}",
    "rf@relu2 <= {rf}, weight_layers >= 3",
    "params@conv2 < {params}, rf >= {rf}",
    "macs@conv3 > {macs}",
    "params_share@conv2 >= 30%, rf >= {rf}",
    "macs_share@conv1 < 0.2, weight_layers != 5",
    "memory_share@output = 0.1, params < {params}",
    "center >= 1, padding < {rf}",
    "frozen != 0",
    "count(conv out_channels=16) > 2, rf >= {rf}",
    "none(conv kernel=3), saved_bytes@relu2 < 9k",
    "values@output <= 2048, conv_bias_adds > {params}",
    "seen@conv2 >= {rf}, pool_outputs < {macs}",
    "nodes = 9, training_flops > {macs}",
    "dense(rf), params@output < {params}, rf != {rf}",
]


def test_bounds_of_counts_and_shares_hold_in_every_box() -> None:
    """What is left out follows from bounds: no network of a box is beyond them, whatever they are made of."""
    texts = (
        "count(conv out_channels=16) > 1", "count(conv out_channels=8) < 2", "memory_share@conv2 > 0.2",
        "macs_share@conv1 < 0.3", "params_share@conv3 >= 0.1", "rf@relu3 > 7",
    )  # fmt: skip
    told = 0
    for seed in range(24):
        draw = random.Random(seed)
        family = smaller(FAMILIES[draw.choice(FAMILIES.names())], draw, 4)
        search = FamilySearch(family, shape_of(family), parse(draw.choice(texts), output=True), ("params",))
        of = figure_of(search.constraints[0])
        sides = [sorted(draw.choices(range(high + 1), k=2)) for _, high in search.whole]
        box = tuple([(low, high) for low, high in sides])
        inside = list(itertools.product(*[range(low, high + 1) for low, high in box]))
        values = [v for point in inside if (v := search.value(of, point)) is not None]
        for most, beyond in ((True, max), (False, min)):
            bound = search.extreme_of(box, of, most, 1)
            if bound is None:
                continue
            told += 1
            if bound == NOWHERE:
                assert not values, (seed, family.name, of.key)
            elif values:
                ends = (bound, *values)
                assert least_side(bound) == beyond(map(least_side, ends)), (seed, family.name, of.key, most)
    assert told > 20


@pytest.mark.parametrize("family", ["dilated", "unet", "tcn"])
def test_the_greatest_share_lies_where_it_turns(family: str) -> None:
    """Of many widths few are looked at; every one is walked to compare."""
    given = {"dilated": "3x32x32", "unet": "2x32x32", "tcn": "1x64"}[family]
    values = {"kernel": [3], "base": [2], "convs": [2], "depth": [2], "width": range(1, 400)}
    known = {p.name for p in FAMILIES[family].parameters}
    (one,) = limited([FAMILIES[family]], {n: v for n, v in values.items() if n in known})
    for text in ("params_share@conv2 >= 99%", "memory_share@conv1 <= 0.1%", "macs_share@conv1 >= 99%"):
        search = FamilySearch(one, Shape.parse(given), parse(text, output=True), ("params",))
        (c,) = search.constraints
        found = search.nearest(c)
        every_ = [c.value(report) for _, report in every(search) if report is not None]  # type: ignore[misc]
        assert found == [max(every_) if ">=" in text else min(every_)]
        again = FamilySearch(one, Shape.parse(given), parse(text, output=True), ("params",))
        again.nearest(c)
        assert again.figures.work.walked < 40


def test_a_node_that_only_some_networks_have_is_not_unknown() -> None:
    """What another constraint left out before it was looked at is there all the same."""
    values = {"spacing": [1, 2], "width": range(7, 60), "convs": [3], "depth": [1, 2, 3]}
    found = rfcalc.design("rf@relu19 >= 33, rf@conv21 <= 26, rf@relu14 <= 30", "volume", "1x20x64x48", values=values)
    assert not found.designs
    with pytest.raises(RfcalcError, match="relu99"):
        rfcalc.design("rf@relu99 >= 33, params > 1", "volume", "1x20x64x48", values=values)


def test_the_number_on_which_nothing_depends_is_not_searched() -> None:
    """The nearest parameters: dilations change none, so that one of each is enough."""
    values = {"kernel": [3], "second": range(1, 30), "third": range(1, 30), "width": range(1, 90), "cycles": [1, 2, 3]}
    (hybrid,) = limited([FAMILIES["hybrid"]], values)
    search = FamilySearch(hybrid, Shape(1, 64), parse("params = 20001", output=True), ("params",))
    near = search.nearest(search.constraints[0])
    counts = [w * 3 + w + (3 * n - 1) * (3 * w * w + w) for w in range(1, 90) for n in (1, 2, 3)]
    assert sorted(near) == [max(c for c in counts if c <= 20001), min(c for c in counts if c >= 20001)]
    assert search.figures.work.boxes < 200


def check_searches(seeds: range) -> None:
    for seed in seeds:
        draw = random.Random(seed)
        family = smaller(FAMILIES[draw.choice(FAMILIES.names())], draw)
        text = draw.choice(CONSTRAINTS).format(
            rf=draw.randint(2, 60), params=draw.choice([200, 2_000, 20_000]), macs=draw.choice([10**5, 10**6, 10**7])
        )
        objectives = draw.choice([OBJECTIVES, ("params",), ("macs", "weight_layers"), ("params", "peak_bytes")])
        search = FamilySearch(family, shape_of(family), parse(text, output=True), objectives)
        search.run()
        expected = brute(search, text)
        assert sorted({tuple(d.figures[n] for n in objectives) for d in search.found}) == expected, (seed, text)
        for found in search.found:
            rfcalc.require(found.notation, text, input=shape_of(family))


def test_searches_equal_brute_force() -> None:
    check_searches(range(40))


@pytest.mark.parametrize("name", ["stack", "pyramid", "strided", "dilated"])
def test_even_kernels_are_not_left_out(name: str) -> None:
    """Their unequal sides are padded in maps of their own, so that backward may keep more than for larger odd ones."""
    values = {"kernel": (4, 5), "width": (4, 8), "depth": (1, 2, 3), "stages": (1, 2), "first": (3, 4), "step": (1, 2)}
    family = FAMILIES[name]
    family = replace(family, parameters=tuple(
        replace(p, values=values.get(p.name, p.values[:2])) for p in family.parameters
    ))  # fmt: skip
    for most in (6_000, 12_000, 30_000):
        text = f"saved_bytes <= {most}"
        search = FamilySearch(family, Shape(1, 61), parse(text, output=True), ("weight_layers", "biases"))
        search.run()
        assert sorted({tuple(d.figures[n] for n in search.objectives) for d in search.found}) == brute(search, text)


@pytest.mark.exhaustive
def test_many_searches_equal_brute_force() -> None:
    check_searches(range(1_000, 1_500))


def test_the_check_sees_a_wrong_claim() -> None:
    """A family that says a figure falls where it rises loses designs."""
    stack = FAMILIES["stack"]
    wrong = tuple([FamilyParameter(p.name, p.told, p.values[:4], {"receptive_field": "-"}) for p in stack.parameters])
    family = DesignFamily("wrong", "", stack.ranks, wrong, stack.build, stack.input)
    search = FamilySearch(family, Shape(1, 32, 32), parse("rf >= 9", output=True), ("params",))
    search.run()
    assert [tuple(d.figures.values())[:1] for d in search.found] != brute(search, "rf >= 9")


@pytest.mark.parametrize("seed", range(4))
def test_a_million_networks(seed: int) -> None:
    """Against the closed forms of a stack, point by point; few networks are walked."""
    draw = random.Random(seed)
    rf, params, layers = draw.randint(3, 1500), draw.choice([10**4, 10**6, 10**8]), draw.randint(5, 900)
    text = draw.choice(
        [f"rf >= {rf}", f"rf >= {rf}, params < {params}", f"params > {params}, weight_layers <= {layers}"]
    )
    family = limited([FAMILIES["stack"]], {"kernel": [3], "width": range(1, 1001), "depth": range(1, 1001)})[0]
    assert family.size == 10**6
    search = FamilySearch(family, Shape(3, 8, 8), parse(text, output=True), ("params", "weight_layers"))
    search.run()
    fits = []
    for w in range(1, 1001):
        for d in range(1, 1001):
            count = 28 * w + (d - 1) * (9 * w * w + w)
            held = {"rf": 1 + 2 * d >= rf, "params <": count < params, "params >": count > params, "w": d <= layers}
            if all(ok for name, ok in held.items() if name in text):
                fits.append((count, d))
    best: list[tuple[int, int]] = []
    for one in sorted(set(fits)):
        if not best or one[1] < best[-1][1]:
            best.append(one)
    assert sorted(tuple(d.figures[n] for n in ("params", "weight_layers")) for d in search.found) == best
    assert search.figures.work.walked < 100


def test_signals_have_a_look_ahead_to_be_small(capsys: pytest.CaptureFixture[str]) -> None:
    found = rfcalc.design("rf >= 100", input="1x400")
    assert found.objectives[-1] == "lookahead"
    least = min(d.figures["lookahead"][0] for d in found.designs)
    assert least == 0, "causal blocks"
    one = rfcalc.design("rf >= 100, lookahead <= 2ms", "dilated", "1x400", rate="8kHz", minimize=["params"])
    assert all(d.figures["lookahead"][0] <= 16 for d in one.designs)
    code, out, _ = call(capsys, "rf >= 9", "--family", "stack", "--set", "kernel=5", "--set", "depth=1..4", "--json")
    assert code == 0
    document = json.loads(out)
    assert document["space"][0]["parameters"]["kernel"] == [5]
    assert document["space"][0]["parameters"]["depth"] == [1, 2, 3, 4]


def depth(text: str, family: str, given: str, **fixed: int) -> int:
    """The least layers or blocks of a family with some numbers fixed."""
    found = FAMILIES[family]
    parameters = tuple(replace(p, values=(fixed[p.name],)) if p.name in fixed else p for p in found.parameters)
    one = DesignFamily(found.name, found.told, found.ranks, parameters, found.build, found.input)
    search = FamilySearch(one, Shape.parse(given), parse(text, output=True), ("weight_layers",))
    search.run()
    (best,) = search.found
    names = [p.name for p in one.parameters]
    every_ = itertools.product(*[p.values for p in one.parameters])
    at = next(n for n in every_ if search.figures.notation(n) == best.notation)
    return at[names.index("depth")]


@pytest.mark.parametrize(
    ("rf", "family", "given", "fixed", "expected"),
    [
        (21, "stack", "3x32x32", {"kernel": 3, "width": 8}, 10),
        (224, "stack", "3x32x32", {"kernel": 3, "width": 8}, 112),
        (16_000, "dilated", "1x64", {"kernel": 2, "base": 2, "width": 8}, 14),
        (16_000, "dilated", "1x64", {"kernel": 3, "base": 2, "width": 8}, 13),
        (16_000, "tcn", "1x64", {"kernel": 3, "base": 2, "width": 8}, 12),
        (125, "tcn", "1x64", {"kernel": 3, "base": 5, "width": 8}, 3),
        (70, "patchgan", "3x128x128", {"width": 16}, 3),
        (142, "patchgan", "3x128x128", {"width": 16}, 4),
        (400, "strided", "1x400", {"first": 10, "step": 5, "kernel": 3, "stride": 2, "width": 8}, 6),
    ],
)
def test_known_answers(rf: int, family: str, given: str, fixed: dict[str, int], expected: int) -> None:
    assert depth(f"rf >= {rf}", family, given, **fixed) == expected


def test_the_rule_of_nnunet_for_axes_of_other_spacing() -> None:
    """Worked out by hand: slices 6 times as far apart as pixels (20 × 320 × 256 at 3.6 × 0.62 × 0.62 mm) wait for two
    halvings of the others (6 < 2 · 4), and kernels do not reach across them in the first two stages."""
    family = FAMILIES["volume"]
    text = family.build(spacing=6, width=8, convs=1, depth=6, shape=(20, 320, 256))
    assert re.findall(r"maxpool(\S+)/", text)[:2] == ["1x2x2", "1x2x2"]
    report = rfcalc.analyze(text, "1x20x320x256")
    kernels = [row.node.layer.kernel for row in report if row.kind == "conv"]
    assert kernels[:3] == [(1, 3, 3), (1, 3, 3), (3,)]
    assert [row.node.layer.kernel for row in report if row.kind == "maxpool"][2] == (2, 2, 2)


def test_hybrid_dilations_without_holes() -> None:
    """1, 2, 5 leaves none with kernels of 3, 1, 2, 9 does (Wang et al. 2018)."""
    for third, fits in ((5, True), (9, False)):
        values = {"kernel": [3], "second": [2], "third": [third], "width": [8], "cycles": [1]}
        found = rfcalc.design("dense(rf)", "hybrid", "1x64x64", values=values)
        assert bool(found.designs) == fits


def test_relaxing_a_constraint_never_loses_a_design() -> None:
    for tight, loose in (
        ("rf >= 40, params < 5k", "rf >= 30, params < 50k"),
        ("weight_layers <= 3", "weight_layers <= 5"),
    ):
        few, many = (design(t, ["stack", "dilated"], Shape(1, 32, 32)) for t in (tight, loose))
        for d in few.designs:
            assert any(all(e.figures[n] <= d.figures[n] for n in OBJECTIVES) for e in many.designs)


@pytest.mark.parametrize("seed", range(20))
def test_relaxing_any_constraint_never_loses_a_design(seed: int) -> None:
    """Random families and bounds; for each design there is one that is as good in everything with looser bounds."""
    draw = random.Random(seed)
    family = smaller(FAMILIES[draw.choice(FAMILIES.names())], draw)
    rf, params, layers = draw.randint(2, 60), draw.choice([300, 3_000, 30_000]), draw.randint(3, 12)
    bounds = [(rf, params, layers)]
    bounds.append((rf - draw.randint(0, rf - 1), params * draw.randint(1, 9), layers + draw.randint(0, 5)))
    few, many = (
        FamilySearch(
            family, shape_of(family), parse(f"rf >= {r}, params < {p}, weight_layers <= {n}", output=True), OBJECTIVES
        )
        for r, p, n in bounds
    )
    few.run()
    many.run()
    for d in few.found:
        assert any(all(e.figures[n] <= d.figures[n] for n in OBJECTIVES) for e in many.found)


def test_where_nothing_fits_the_nearest_bounds_hold() -> None:
    found = rfcalc.design("rf >= 1000, params < 10k", "stack", "3x32x32")
    assert not found.designs
    assert [t.constraint for t in found.tightest] == ["rf >= 1000", "params < 10k"]
    near = {t.constraint: t.bound for t in found.tightest}
    rf = near["rf >= 1000"][0]
    assert rfcalc.design(f"rf >= {rf}, params < 10k", "stack", "3x32x32").designs
    assert not rfcalc.design(f"rf >= {rf + 1}, params < 10k", "stack", "3x32x32").designs
    params = near["params < 10k"]
    assert rfcalc.design(f"rf >= 500, params <= {params}", "stack", "3x32x32") is not None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rf >= 10 and rf <= 5", ["rf >= 10 and rf <= 5 contradict each other"]),
        ("params > 5, macs < 1G, params < 6", ["params > 5 and params < 6 contradict each other"]),
        ("params < 0", ["params < 0 contradicts what params is", "never less than 0"]),
        ("rf < 1", ["rf < 1 contradicts", "never less than 1"]),
        ("none(conv), count(conv) >= 2", ["none(conv) and count(conv) >= 2"]),
        ("some(pool), none(pool)", ["some(pool) and none(pool)"]),
        ("rf >= 7x5, rf <= 9x4", ["contradict each other"]),
        ("rf = 7, receptive_field@output != 7, rf = 9", ["rf = 7 and rf = 9"]),
        ("rf >= 10^9", ["rf >= 10^9 is out of reach", "10,000,000"]),
    ],
)
def test_contradictions_are_named(text: str, words: list[str]) -> None:
    with pytest.raises(RfcalcError) as told:
        rfcalc.design(text, "stack")
    assert all(word in str(told.value) for word in words), str(told.value)


@pytest.mark.parametrize(
    "text",
    [
        "rf >= 5 and rf <= 5",
        "rf >= 7x5, rf <= 9x9",
        "params > 4, params < 6",
        "padding < 0",
        "center >= -3",
        "center >= -3x-1",
    ],
)
def test_what_can_be_is_no_contradiction(text: str) -> None:
    rfcalc.design(text, "stack", "3x16x16", values={"depth": [1, 2], "width": [8]})


def test_what_excludes_each_other_in_a_family_is_named() -> None:
    (one,) = rfcalc.design("none(conv)", "stack").conflicts
    assert one.constraints == ("none(conv)",)
    assert "contradicts the family stack" in one.told
    assert "nearest is 1" in one.told
    found = rfcalc.design("rf >= 1000, params < 10k, macs < 100G", "stack", "3x32x32").conflicts
    assert [c.constraints for c in found] == [("rf >= 1000", "params < 10k")]
    (exact,) = rfcalc.design("rf = 20", "stack", values={"kernel": [3]}).tightest
    assert exact.bound in ([19, 19], [21, 21])


def test_a_space_too_large_is_said_with_what_was_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rfcalc.plan.figures.MOST_BOXES", 3)
    found = rfcalc.design("params > 40k, rf > 30", "pyramid", "3x32x32", values={"width": range(1, 4001)})
    assert not found.optimal
    told = " ".join(found.document().notes)
    assert "of 288,000 networks" in told
    assert "the search was stopped there" in told


def test_a_family_that_says_what_is_not_so_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Designs are walked again before they are shown."""
    stack = FAMILIES["stack"]
    wrong = replace(stack, parameters=tuple(
        replace(p, laws={"params": p.laws["params"]._replace(degree=1)} if p.name == "width" else p.laws)
        for p in stack.parameters
    ))  # fmt: skip
    monkeypatch.setattr("rfcalc.plan.design._chosen", lambda *a: [wrong])
    with pytest.raises(RfcalcError, match="says wrongly how params moves"):
        rfcalc.design("params >= 20k, weight_layers <= 2", "stack", "3x32x32")


def test_notations_in_lines_are_read_as_they_are() -> None:
    found = rfcalc.design("rf >= 100", "unet", "1x64x64", minimize=["params"])
    listed = next(s for s in found.document().sections if hasattr(s, "language"))
    assert max(map(len, listed.text.split("\n"))) <= 104
    text = listed.text.partition("  ")[2]
    assert rfcalc.analyze(text, "1x64x64").network == rfcalc.analyze(found.designs[0].notation, "1x64x64").network


def test_holes() -> None:
    assert check(rfcalc.analyze("conv3-8 d2", "1x9x9"), "dense(rf)")[0][1] is False
    assert check(rfcalc.analyze("conv3-8 > conv3-8 d2", "1x19x19"), "dense(rf)")[0][1] is True
    assert check(rfcalc.analyze("conv3-8 > conv3-8 d4", "1x29x29"), "dense(rf@conv1)")[0][1] is True


# rules


@pytest.mark.parametrize(
    ("text", "given", "rule", "words"),
    [
        (
            "conv3-16 > bn > relu > conv1-8",
            "3x16x16",
            "bias",
            ["conv1", "16 biases before batchnorm1", "16 parameters"],
        ),
        ("conv3-16 > conv3-16 d4 p4", "3x32x32", "gridding", ["conv2", "holes", "a dilation of 3 leaves none"]),
        ("conv5-16 x8 > conv1-8", "3x9x9", "unproductive", ["from here on", "images of 33 pixels use all of them"]),
        ("conv4-16 p1 > conv1-8", "3x16x16", "even", ["kernel of 4", "3 or 5"]),
        ("conv3-16 p0 > maxpool2", "3x16x15", "unseen", ["16 pixels of 240"]),
        ("conv3-18 > conv1-8", "3x16x16", "channels", ["18 channels", "24"]),
        ("conv3-16", "3x64x64", "reach", ["3 of 64"]),
        ("(conv3-8 p0:2 | conv3-8 p1) > conv1-8", "3x16x16", "joins", ["out of step by up to 1 pixel"]),
    ],
)
def test_rules_find_what_is_odd(text: str, given: str, rule: str, words: list[str]) -> None:
    found = [f for f in rfcalc.lint(text, given).findings if f.rule == rule]
    assert found
    told = " ".join(map(str, found))
    assert all(word in told for word in words), told


@pytest.mark.parametrize("rule", ["unproductive", "gridding", "joins", "unseen", "bias", "channels", "reach", "even"])
def test_rules_are_silent_on_a_plain_design(rule: str) -> None:
    plain = "conv3-16 nobias > bn > relu > conv3-16/2 nobias > bn > relu > conv3-32/2"
    assert not rfcalc.lint(plain, "3x15x15", rules=[rule]).findings


def test_the_remedy_of_gridding_is_computed() -> None:
    for first, second in ((3, 9), (5, 7), (3, 4)):
        (found,) = rfcalc.lint(f"conv{first}-8 > conv3-8 d{second}", "1x64x64", rules=["gridding"]).findings
        best = int(found.remedy.split("dilation of ")[1].split()[0])
        assert not rfcalc.lint(f"conv{first}-8 > conv3-8 d{best}", "1x64x64", rules=["gridding"]).findings
        assert rfcalc.lint(f"conv{first}-8 > conv3-8 d{best + 1}", "1x64x64", rules=["gridding"]).findings


@pytest.mark.parametrize(
    ("text", "given"),
    [("conv3-16 p0 > maxpool2", "3x16x15"), ("conv3-8/2 p0 > conv3-8/2 p0", "3x33x40"), ("conv5-4/3 p0", "2x51")],
)
def test_the_remedy_of_unseen_pixels_is_computed(text: str, given: str) -> None:
    (found,) = rfcalc.lint(text, given, rules=["unseen"]).findings
    sizes = found.remedy.split("of ")[1].split(" pixels")[0].split(" or ")
    assert sizes
    rank = rfcalc.Shape.parse(given).rank
    for one in sizes:
        sides = one.split(" x ") if " x " in one else [one] * rank
        assert not rfcalc.lint(text, "x".join([given.split("x")[0], *sides]), rules=["unseen"]).findings


def odd_design(draw: random.Random) -> str:
    """A network in which rules find something, mostly."""
    steps = []
    for _ in range(draw.randint(2, 5)):
        k, c = draw.choice([2, 3, 3, 4, 5]), draw.choice([8, 16, 18, 22, 24])
        d, s = draw.choice([1, 1, 2, 4, 7]), draw.choice([1, 1, 2])
        plain = draw.choice([f" d{d} p{d * (k - 1) // 2}", " p0", f" p{k // 2}:{(k - 1) // 2}", ""])
        conv = f"conv{k}-{c}{'/2' if s == 2 and 'd' not in plain else ''}{plain}"
        join = f"(conv3-{c} p0:2 | conv{draw.choice([1, 3])}-{c})"
        skip = f"((conv3-{c} relu conv3-{c}) + conv1-{c})"
        steps.append(draw.choice([conv, conv, f"{conv} bn relu", join, skip, "maxpool2", "maxpool2/1"]))
    return " > ".join([*steps, *draw.choice([[], [f"conv3-8 d{draw.choice([4, 9])}"]]), "conv1-5"])


def test_every_remedy_mends_what_was_found() -> None:
    """The network after a remedy has the finding no more, whatever else it has; every rule comes up."""
    mended = dict.fromkeys(RULES, 0)
    for seed in range(60):
        draw = random.Random(seed)
        text, given = odd_design(draw), f"3x{draw.choice([12, 17, 40, 120])}x{draw.choice([12, 17, 40, 120])}"
        try:
            found = rfcalc.lint(text, given)
        except RfcalcError:
            continue  # nothing is left of the map
        document = found.to_dict()
        for one, written in zip(found.findings, document["findings"], strict=True):
            if one.mended is None:
                assert written["mended"] is None
                continue
            after = read_design(one.mended, [one.rule]).findings
            assert one.node not in [f.node for f in after if f.what == one.what or one.rule != "joins"], (text, one)
            mended[one.rule] += 1
            data = document["mended"][written["mended"]]
            again = rfcalc.analyze(data["notation"], one.mended.inputs)
            assert (again.totals.params, again.totals.macs) == (one.mended.totals.params, one.mended.totals.macs)
    assert min(mended.values()) > 1, mended


@pytest.mark.parametrize("name", ["unet", "unet-padded", "unet-3d", "unet-3d-padded"])
def test_unets_are_in_step_whose_units_do_not_see_alike(name: str) -> None:
    """Everything in them is symmetric, so the maps of their joins are; the middle of a period would say 4 pixels."""
    assert not out_of_step(rfcalc.analyze(name))


def test_causal_networks_are_not_out_of_step() -> None:
    for name in ("wavenet", "tcn"):
        assert not rfcalc.lint(name, rules=["joins", "even"]).findings
    assert not rfcalc.lint("unet-padded", rules=["joins"]).findings


def test_biases_are_taken_away_together_and_counted_apart() -> None:
    """One walk for all of them, however many: a walk each made it quadratic."""
    found = rfcalc.lint("conv3-8 bn > conv1-16 bn > conv1-4", "3x16x16", rules=["bias"]).findings
    assert [f.remedy.split()[-3] for f in found] == ["8", "16"]
    assert found[0].mended is found[1].mended
    assert found[0].mended is not None
    assert not rfcalc.lint(found[0].mended, rules=["bias"]).findings
    data = rfcalc.lint("conv3-8 bn > conv1-18 bn > conv1-4", "3x16x16", rules=["bias", "channels"]).to_dict()
    assert [(f["rule"], f["mended"]) for f in data["findings"]] == [("bias", 0), ("bias", 0), ("channels", 1)]
    assert "nobias" in data["mended"][0]["notation"]
    assert len(data["mended"]) == 2


def test_thousands_of_joins_are_put_in_step_at_once() -> None:
    """Every branch that is moved on its own; a walk for each took minutes."""
    text = " > ".join(
        ["(conv3-8 p0:2 | conv3-8 p1) > conv1-8", "((conv3-8/1 p2:0 relu conv3-8) + identity) relu"] * 300
    )
    began = time.process_time()
    (found,) = rfcalc.lint(text, "3x16x16", rules=["joins"]).findings
    assert found.what.startswith("600 joins")
    assert "and 594 layers more (before:after) put them in step" in found.remedy
    assert not found.remedy.endswith("left")
    assert found.mended is not None
    assert not out_of_step(found.mended)
    assert time.process_time() - began < 5


def test_no_size_sees_all_where_windows_leave_gaps() -> None:
    (found,) = rfcalc.lint("conv3-16/4 p0", "3x64", rules=["unseen"]).findings
    assert "leave gaps" in found.remedy


def test_the_remedies_of_joins_and_reach_are_computed() -> None:
    (found,) = rfcalc.lint("(conv3-8 p0:2 | conv3-8 p1) > conv1-8", "3x16x16", rules=["joins"]).findings
    assert "conv1 with padding 1:1" in found.remedy
    assert not rfcalc.lint("(conv3-8 p1:1 | conv3-8 p1) > conv1-8", "3x16x16", rules=["joins"]).findings
    many = " > ".join(["(conv3-8 p0:2 | conv3-8 p1) > conv1-8", "(conv5-8 p1:3 | conv3-8 p1) > conv1-8"] * 2)
    (found,) = rfcalc.lint(many, "3x16x16", rules=["joins"]).findings
    assert found.what.startswith("4 joins")
    assert found.remedy.endswith("put them in step")
    paddings = re.findall(r"(conv\d+) with padding (\d:\d)", found.remedy)
    assert len(paddings) == 4
    mended = rfcalc.analyze(many, "3x16x16").network
    draft = NetworkDraft(rfcalc.Report(mended, "3x16x16"))
    for name, pads in paddings:
        one = tuple(int(n) for n in pads.split(":"))
        draft.replace(name, with_geometry(draft.pieces[name].layer, padding=(one,)))
    after = rfcalc.Report(draft.network(), "3x16x16")
    assert not out_of_step(after) and not list(misaligned(after))
    (found,) = rfcalc.lint("conv3-16/2", "3x64x64", rules=["reach"]).findings
    assert "16 more 3 × 3 layers at its stride of 2 see all of them, or 5 with dilations" in found.remedy
    assert rfcalc.analyze("conv3-16/2 > conv3-16 x16", "3x64x64").outputs[0].receptive_field.size[0] >= 64
    assert rfcalc.analyze("conv3-16/2 > conv3-16 x15", "3x64x64").outputs[0].receptive_field.size[0] < 64
    assert rfcalc.analyze("conv3-16/2 > conv3-16 d(2**i) x5:i", "3x64x64").outputs[0].receptive_field.size[0] >= 64


# the command line


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["design", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize(
    ("arguments", "code", "schema"),
    [
        (["rf >= 21", "--family", "stack", "--input", "3x32x32"], 0, "design"),
        (["rf >= 21, params < 10", "--family", "stack", "--input", "3x32x32"], 1, "design"),
        (["rf >= 31, dense(rf)", "--family", "tcn", "--minimize", "weight_layers", "--input", "1x64"], 0, "design"),
        (["center >= 0.5", "--input", "3x32x32", "--family", "stack", "--set", "kernel=2,4"], 0, "design"),
        (["center = 0.25", "--input", "3x32x32", "--family", "stack", "--set", "kernel=2,4"], 1, "design"),
        (["--lint", "conv3-16 > bn", "--input", "3x16x16"], 0, "lint"),
        (["--lint", "conv3-16 > bn", "--input", "3x16x16", "--rules", "bias"], 1, "lint"),
        (["--lint", "conv3-16 > bn", "--input", "3x16x16", "--rules", "even,unseen"], 0, "lint"),
    ],
)
def test_json_follows_its_schema(capsys, arguments: list[str], code: int, schema: str) -> None:
    found, out, _ = call(capsys, *arguments, "--json")
    assert found == code
    jsonschema.validate(json.loads(out), schemas.schema(schema))
    for form in ("plain", "markdown", "latex", "html", "csv"):
        assert call(capsys, *arguments, "--format", form)[0] == code


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["what is wanted", "rfcalc design"]),
        (["rf >= 3", "--lint", "resnet18"], ["a constraint has no meaning with --lint"]),
        (["--like", "resnet18", "--lint", "resnet18"], ["--lint and --like are two questions"]),
        (["rf >= 3", "--moves", "width"], ["--moves has no meaning with a search", "use --moves with --like"]),
        (["rf >= 3", "--rules", "bias"], ["--rules has no meaning", "with --lint"]),
        (["--like", "resnet18", "--family", "stack"], ["--family has no meaning with --like"]),
        (["macs < 5MiB"], ["'5MiB' is a number of bytes, and macs is none"]),
        (["rf >= 10,000,000,000"], ["out of reach", "10,000,000"]),
        (["rf >= =3"], ["is not a number"]),
        (["rff >= 3"], ["did you mean rf"]),
        (["count(con) > 2"], ["did you mean conv"]),
        (["rf >= -3"], ["is not a number"]),
        (["rf >= 21", "--family", "unett"], ["did you mean unet"]),
        (["rf >= 21", "--family", "tcn", "--input", "3x32x32"], ["tcn", ["1", "spatial", "axes"][0]]),
        (["rf >= 31x31x31", "--input", "3x32x32"], ["each of 3 axes", "have 2 spatial axes", "one bound for all"]),
        (["rf >= 3x3", "--input", "1x16"], ["each of 2 axes", "have 1 spatial axis"]),
        (["rf >= 21", "--minimize", "parms"], ["did you mean params"]),
        (["--lint", "vgg16", "--rules", "bais"], ["did you mean bias"]),
        (["--lint", "vgg61"], ["did you mean vgg"]),
        (["rf >= 21", "--set", "kernl=3"], ["did you mean kernel"]),
        (["rf >= 21", "--set", "kernel"], ["sets nothing", "kernel=3,5"]),
        (["rf >= 21", "--set", "kernel=0"], ["kernel has no values"]),
        (["rf >= 21", "--set", "kernel=1..99999999"], ["more than 10,000 values"]),
        (["lookahead <= 5ms", "--input", "1x400"], ["has no rate"]),
        (["lookahead <= 5ms", "--input", "1x400", "--rate", "fast"], ["fast"]),
    ],
)
def test_bad_input(capsys, arguments: list[str], words: list[str]) -> None:
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    assert all(word in err for word in words), err


def test_families_are_listed(capsys) -> None:
    code, out, _ = call(capsys, "--families")
    assert code == 0
    assert all(name in out for name in FAMILIES)
    with pytest.raises(RfcalcError):
        rfcalc.design("rf >= 3", "stack", "4")
