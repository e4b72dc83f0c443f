"""Comparisons: the lesson's designs with exact ratios, what differs layer by layer, a family's own pairings."""

from __future__ import annotations

import random
import re
from fractions import Fraction
from itertools import pairwise
from time import process_time

import pytest
from sympy import expand, sympify

import rfcalc
from rfcalc import Conv, Network, ReLU, zoo
from rfcalc.cli import run
from rfcalc.comparison.align import align
from rfcalc.comparison.comparison import compare
from rfcalc.comparison.family import family, names
from rfcalc.formulas.symbols import Declared

C, H, W, M, N = (Declared(name).symbol for name in "CHWMN")


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(list(arguments))
    said = capsys.readouterr()
    return code, said.out, said.err


# --- the lesson's designs ---------------------------------------------------------------------------------------------


def test_three_small_kernels_against_a_large_one() -> None:
    found = compare("conv3-C x3", "conv7-C")
    assert found["receptive_field"].values == ((7, 7), (7, 7))
    assert found["weights"].values == (27 * C**2, 49 * C**2)
    assert found["macs"].values == (27 * C**2 * H * W, 49 * C**2 * H * W)
    assert found["weight_layers"].values == (3, 1)
    for name in ("weights", "macs"):
        (against,) = found[name].against
        assert against.ratio == Fraction(27, 49)
        assert against.change == Fraction(2200, 27)
    assert found.sentences == (
        "both see 7×7",
        "conv7-C has 81 % more weights than conv3-C x3",
        "conv7-C has 81 % more multiply-adds than conv3-C x3",
        "3 weight layers against 1: 3 non-linearities against 1, when each is followed by one",
    )


def test_as_it_is_printed(capsys) -> None:
    code, out, _ = call(capsys, "compare", "conv3-C x3", "conv7-C")
    assert code == 0
    rows = {re.split(r"\s{2,}", line)[0]: re.split(r"\s{2,}", line)[1:] for line in out.split("\n")}
    assert rows["receptive field"] == ["7", "7", "same"]
    assert rows["weights"] == ["27C²", "49C²", "27/49 = 0.551", "+81 %"]
    assert rows["macs"] == ["27C²HW", "49C²HW", "27/49 = 0.551", "+81 %"]
    assert rows["weight layers"][:2] == ["3", "1"]


def test_non_linearities_that_are_written_are_counted() -> None:
    found = compare("conv3-C relu x3", "conv7-C relu")
    assert found["non_linearities"].values == (3, 1)
    assert not any("followed by" in s for s in found.sentences)


def test_biases_unequal_channels_and_numbers_on_request(capsys) -> None:
    found = compare("conv3-C x3", "conv7-C", biases=True)
    assert found["biases"].values == (3 * C, C)
    assert found["params"].values == (27 * C**2 + 3 * C, 49 * C**2 + C)
    assert found["params"].against[0].change is None
    found = compare("conv3-C x3", "conv7-C", input="MxHxW")
    assert found["weights"].values == (9 * C * M + 18 * C**2, 49 * C * M)
    assert str(found["weights"].against[0].ratio) in ("(18*C + 9*M)/(49*M)", "18*C/(49*M) + 9/49")
    found = compare("conv3-C x3", "conv7-C", numbers={"C": 64, "H": 56, "W": 56})
    assert found["weights"].values == (27 * 64**2, 49 * 64**2)
    assert found["macs"].values == (27 * 64**2 * 56**2, 49 * 64**2 * 56**2)
    code, out, _ = call(capsys, "compare", "conv3-C x3", "conv7-C", "--set", "C=64,H=56", "--set", "W=56", "--biases")
    assert code == 0
    assert "346,816,512" in out
    assert "110,784" in out


# First, other, input, the two weights as they follow from the definition (k·k·C_in·C_out), computed here by hand.
DESIGNS = [
    ("conv3-C x2", "conv5-C", None, 2 * 9 * C**2, 25 * C**2),
    ("conv1x7-C > conv7x1-C", "conv7-C", None, 2 * 7 * C**2, 49 * C**2),
    ("conv1x3-C > conv3x1-C", "conv3-C", None, 2 * 3 * C**2, 9 * C**2),
    ("dwconv3 > conv1-N", "conv3-N", "CxHxW", 9 * C + C * N, 9 * C * N),
    ("conv3-N g4", "conv3-N", "64xHxW", 9 * 16 * N, 9 * 64 * N),
    ("conv1-64 > conv3-64 > conv1-256", "conv3-256 x2", "256xHxW", 256 * 64 * 2 + 9 * 64**2, 2 * 9 * 256**2),
    ("conv1-(C//4) > conv3-(C//4) > conv1-C", "conv3-C x2", "CxHxW", None, 18 * C**2),
]


@pytest.mark.parametrize(("first", "other", "given", "one", "two"), DESIGNS, ids=[d[0] for d in DESIGNS])
def test_designs(first, other, given, one, two) -> None:
    found = compare(first, other, input=given)
    weights, macs = found["weights"], found["macs"]
    assert one is None or str(weights.values[0]) == str(one)
    assert str(weights.values[1]) == str(two)
    # Every weight is used once at every position of a map that keeps its size.
    assert list(map(str, macs.values)) == [str(expand(v * H * W)) for v in weights.values]
    assert weights.against[0].ratio == macs.against[0].ratio
    for numbers in ({"C": 64, "N": 128}, {"C": 12, "N": 4}):
        values = {**numbers, "H": 14, "W": 9}
        symbols = {n: v for n, v in values.items() if n in str((*weights.values, *macs.values))}
        exact = compare(first, other, input=given, numbers=symbols)
        at = {Declared(n).symbol: v for n, v in values.items()}
        assert exact["weights"].values == tuple(sympify(v).subs(at) for v in weights.values)
        assert exact["macs"].values == tuple(sympify(v).subs(at) for v in macs.values)
        assert exact["weights"].against[0].ratio == Fraction(*exact["weights"].values)


def test_depthwise_separable_costs_one_over_n_plus_one_over_k_squared() -> None:
    for k in (3, 5):
        found = compare(f"dwconv{k} > conv1-N", f"conv{k}-N", input="CxHxW", numbers={"C": 32, "N": 64, "H": 8, "W": 8})
        assert found["weights"].against[0].ratio == Fraction(1, 64) + Fraction(1, k * k)
    text = compare("dwconv3 > conv1-N", "conv3-N", input="CxHxW")["weights"].against[0].ratio
    assert str(text) == "(N + 9)/(9*N)"
    assert str(compare("conv3-N gG", "conv3-N", input="CxHxW")["weights"].against[0].ratio) == "1/G"
    assert str(compare("conv1xK-C > convKx1-C", "convK-C")["macs"].against[0].ratio) == "2/K"


def test_letters_that_are_symbols_are_not_used() -> None:
    found = compare("conv1-B > conv3-B > conv1-C", "conv3-C x2", input="CxHxW")
    assert [s.label for s in found.subjects] == ["#1", "#2"]
    assert found.sentences[0] == "#2 sees 5×5 against 3×3"


def test_the_inception_module_with_and_without_reductions() -> None:
    found = compare("inception-module", "inception-module-reduced")
    assert found["macs"].values == (854_196_224, 271_351_808)
    reductions, others = found.changes[0]
    assert reductions.where == ("3x3_reduce", "5x5_reduce", "pool_proj")
    assert others.where == ("3x3", "5x5", "output")
    assert others.told == "the same layer on another input"


def test_two_networks_that_are_the_same() -> None:
    found = compare("vgg16", rfcalc.load("vgg16"))
    assert found.changes == ((),)
    assert all(f.equal for f in found.figures)
    assert [s.label for s in found.subjects] == ["A", "B"]


# --- layer by layer ---------------------------------------------------------------------------------------------------

PAIRS = [
    ("resnet50", "resnet50-v1"),
    ("vgg16", "vgg19"),
    ("vgg16", "vgg16-bn"),
    ("vgg16", "resnet50"),
    ("resnet18", "resnet34"),
    ("googlenet", "bn-inception"),
    ("alexnet", "zfnet"),
    ("densenet121", "densenet169"),
    ("mobilenet-v1", "mobilenet-v2"),
]


def add_up(first: str, other: str) -> None:
    """What differs adds up to the difference of the totals, and every layer of both has its place."""
    found = compare(first, other, own_inputs=True)
    for name in ("weights", "params", "macs"):
        a, b = (getattr(s.report.totals, name) for s in found.subjects)
        assert sum(c.added(name) for c in found.changes[0]) == b - a
    matched = found.matched[0]
    for side, subject in enumerate(found.subjects):
        steps = [s for m in matched if (s := (m.first, m.other)[side]) is not None]
        assert [row.name for s in steps for row in s.rows] == [row.name for row in subject.report]


@pytest.mark.parametrize(("first", "other"), PAIRS)
def test_differences_add_up_to_the_difference_of_the_totals(first: str, other: str) -> None:
    add_up(first, other)


@pytest.mark.exhaustive
def test_differences_add_up_over_the_whole_zoo() -> None:
    for first, other in pairwise(zoo.networks()):
        add_up(first, other)


def test_where_the_stride_of_a_bottleneck_is() -> None:
    found = compare("resnet50", "resnet50-v1")
    told = {c.told: len(c.matches) for c in found.changes[0]}
    assert told == {"conv1: stride 1 → 2": 3, "conv3: stride 2 → 1": 3}
    assert found["receptive_field"].values == ((427, 427), (483, 483))
    # The first 1×1 of three stages works on a quarter of the positions: 3/4 of what they cost before is saved.
    before = sum(found.subjects[0].report[f"layer{i}.0.conv1"].macs for i in (2, 3, 4))
    assert found["macs"].against[0].difference == -before * 3 // 4 == -231_211_008
    assert found["params"].against[0].ratio == 1


def test_more_than_two_networks() -> None:
    found = compare("vgg16", "vgg19", "vgg16-c")
    assert [a.difference for a in found["weight_layers"].against] == [3, 0]
    assert len(found.changes) == 2
    assert {c.told for c in found.changes[1]} == {"conv3: kernel 3 → 1"}


def test_what_follows_a_layer_differs() -> None:
    body = Conv(8, 3, padding=1)
    found = compare(Network(body >> ReLU() >> body), Network(body >> rfcalc.Activation("gelu") >> body), input="8x9x9")
    assert [c.told for c in found.changes[0]] == ["conv3: relu → gelu"]


def test_a_node_of_both(capsys) -> None:
    found = compare("vgg16", "vgg16-c", at="pool3")
    assert found["receptive_field"].values == ((44, 44), (36, 36))
    code, _, err = call(capsys, "compare", "vgg16", "resnet18", "--at", "pool3")
    assert (code, "resnet18" in err, "pool3" in err) == (2, True, True)


def keys(text: str) -> list[tuple[str, ...]]:
    return [(c, c.lower()) for c in text]


def test_alignment_of_small_words() -> None:
    pairs = align(keys("abcxyz"), keys("abXyz"))
    assert pairs == [(0, 0), (1, 1), (2, None), (3, 2), (4, 3), (5, 4)]
    assert align([], keys("ab")) == [(None, 0), (None, 1)]
    assert align([], []) == []


def test_alignment_laws() -> None:
    chance = random.Random(3)
    for _ in range(300):
        a = [chance.choice("abcdeABC") for _ in range(chance.randrange(12))]
        b = [chance.choice("abcdeABC") for _ in range(chance.randrange(12))]
        pairs = align(keys("".join(a)), keys("".join(b)))
        assert [i for i, _ in pairs if i is not None] == list(range(len(a)))
        assert [j for _, j in pairs if j is not None] == list(range(len(b)))
        both = [(i, j) for i, j in pairs if i is not None and j is not None]
        assert all(a[i].lower() == b[j].lower() for i, j in both)
        assert align(keys("".join(a)), keys("".join(a))) == [(i, i) for i in range(len(a))]


def test_what_is_left_of_a_sequence_of_different_layers_is_found_again() -> None:
    chance = random.Random(5)
    whole = [(str(i),) for i in range(400)]
    for _ in range(20):
        kept = sorted(chance.sample(range(400), 300))
        pairs = align(whole, [whole[i] for i in kept])
        assert [i for i, j in pairs if j is not None] == kept


def test_alignment_takes_no_square_of_the_time() -> None:
    def seconds(n: int) -> float:
        a = [(f"conv{i}", f"conv3-{i % 7}") for i in range(n)]
        b = [(f"conv{i + i // 9}", f"conv3-{i % 5}") for i in range(n)]
        start = process_time()
        align(a, b)
        return process_time() - start

    tries = [(seconds(24_000), seconds(6_000)) for _ in range(2)]
    assert min(large for large, _ in tries) < 8 * max(min(small for _, small in tries), 0.01)


# --- a family's pairings ----------------------------------------------------------------------------------------------


def test_the_five_pairings_of_vgg() -> None:
    found = family("vgg")
    assert [p.name for p in found.pairs] == ["A/A-LRN", "A/B", "B/C", "C/D", "D/E"]
    told = [{c.told: len(c.matches) for c in p.comparison.changes[0]} for p in found.pairs]
    assert told == [
        {"+ lrn": 1},
        {"+ conv3-64 relu": 1, "+ conv3-128 relu": 1},
        {"+ conv1-256 relu": 1, "+ conv1-512 relu": 2},
        {"conv1: kernel 1 → 3": 3},
        {"+ conv3-256 relu": 1, "+ conv3-512 relu": 2},
    ]
    added = [p.comparison["params"].against[0].difference for p in found.pairs]
    assert added[0] == 0
    assert added[1] == 9 * 64 * 64 + 64 + 9 * 128 * 128 + 128
    assert added[3] == 8 * (256**2 + 2 * 512**2)


def test_quotes_come_from_the_data_with_their_source() -> None:
    found = family("vgg")
    assert "Table 3" in found.quoted
    assert "arXiv:1409.1556" in found.citation
    for pair in found.pairs:
        assert pair.where.startswith("§")
        assert {q.what for q in pair.quotes} >= {"top-1 error, S=256 Q=256", "top-5 error, S=256 Q=256"}
    by_name = {p.name: {q.what: (q.first, q.other) for q in p.quotes} for p in found.pairs}
    assert by_name["A/A-LRN"]["top-1 error, S=256 Q=256"] == ("29.6", "29.7")
    assert by_name["D/E"]["top-5 error, S=[256;512] Q=384"] == ("8.1", "8.0")
    assert len(by_name["C/D"]) == 6


def test_every_family_names_networks_that_exist() -> None:
    for name in names():
        for pair in family(name).pairs:
            assert all(zoo.find(s.name) is not None for s in pair.comparison.subjects)


def test_shared_weights_and_other_joins_are_no_equality() -> None:
    shared = compare("conv3-8 ~a > conv3-8 ~a", "conv3-8 x2", input="8x9x9")
    assert [c.told for c in shared.changes[0]] == ["conv3: weights shared → own"]
    assert shared.changes[0][0].added("params") == 9 * 8 * 8 + 8
    straight, around = "a=conv3-8 > b=conv3-8 > @b + @a", "a=conv3-8 > b=conv3-8 > @b + @b"
    found = compare(straight, around, input="8x9x9")
    assert found.sentences[-1] == "A and B have the same layers, joined differently"
    assert compare(straight, straight, input="8x9x9").sentences[-1] == "A and B have the same layers"


def test_a_layer_of_another_kind_under_the_same_name() -> None:
    found = compare("vgg16", "vgg16-dense")
    told = {c.told: c.where for c in found.changes[0]}
    assert told["fc4096 relu dropout → conv7-4096 p0 relu dropout"] == ("fc6",)
