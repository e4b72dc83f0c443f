"""The vocabulary of figures, numbers with units, the constraint language."""

from __future__ import annotations

from fractions import Fraction

import pytest

import rfcalc
from rfcalc.core.errors import ConstraintFailed
from rfcalc.report.constraints import check, parse
from rfcalc.report.metrics import METRICS, metric
from rfcalc.report.units import binary, bytes_short, read, short


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.00K"),
        (1728, "1.73K"),
        (36864, "36.9K"),
        (999_999, "1.00M"),
        (138_357_544, "138M"),
        (15_470_264_320, "15.5G"),
        (10**13, "10.0T"),
    ],
)
def test_short_numbers(value, text) -> None:
    assert short(value) == text


def test_bytes_are_what_they_say() -> None:
    assert bytes_short(60_950_432) == "61.0 MB"
    assert binary(60_950_432) == "58.13 MiB"
    assert binary(1023) == "1023 B"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("200k", 200_000),
        ("1.5GMac", 1_500_000_000),
        ("58MiB", 58 * 2**20),
        ("1,728", 1728),
        ("1_000", 1000),
        ("2.5", Fraction(5, 2)),
        ("138M", 138_000_000),
        ("12 MB", 12_000_000),
        ("30.9GFLOPs", 30_900_000_000),
    ],
)
def test_numbers_as_printed(text, value) -> None:
    assert read(text) == value


@pytest.mark.parametrize("text", ["", "k", "12q", "1.2.3", "-", "nan", "1e5x"])
def test_what_is_no_number(text) -> None:
    with pytest.raises(rfcalc.RfcalcError, match="not a number"):
        read(text)


def test_names_and_aliases() -> None:
    assert metric("rf") is metric("Receptive-Field") is METRICS["receptive_field"]
    with pytest.raises(rfcalc.RfcalcError, match="did you mean"):
        metric("recptive_field")


def holds(text: str, target: object = "vgg16") -> list[bool]:
    return [ok for _, ok, _ in check(rfcalc.analyze(target), text)]


def test_constraints_hold() -> None:
    assert holds("rf@pool5 >= 200, params < 140M and macs <= 15.5G") == [True, True, True]
    assert holds("rf@pool5 = 212x212, rf@pool5 != 211, stride@pool5 = 32, padding@pool5 = 90") == [True] * 4
    assert (
        holds("count(conv) = 13, count(pool) = 5, count(maxpool kernel=2) = 5, none(avgpool), some(relu)") == [True] * 5
    )
    assert holds("count(conv stride=2) = 0, some(conv dilation>1), values@conv1_1 = 3,211,264") == [True, False, True]
    assert holds("bytes < 58MiB, bytes < 59MiB, weight_layers = 16") == [False, True, True]


def test_a_missing_receptive_field_satisfies_no_bound() -> None:
    assert holds("rf@fc6 > 0, rf@fc6 < 1000000") == [False, False]


def test_require_names_every_failure_with_its_figure() -> None:
    with pytest.raises(ConstraintFailed) as caught:
        rfcalc.require("vgg16", "rf@pool5 > 300, params < 100M, macs > 1")
    text = str(caught.value)
    assert "2 constraints do not hold" in text
    assert "rf@pool5 > 300: receptive_field is 212" in text
    assert "params < 100M: params is 138,357,544" in text
    assert rfcalc.require("conv3-8", "params = 224", input="3x8x8").totals.params == 224


def test_shares_are_bounded_in_percent_and_are_none_where_there_is_nothing_to_share() -> None:
    rfcalc.require("vgg16", "params_share@fc6 >= 74%, params_share@fc6 < 0.75, params_share = 100 %")
    with pytest.raises(rfcalc.RfcalcError, match="params_share is 74"):
        rfcalc.require("vgg16", "params_share@fc6 >= 75%")
    assert rfcalc.explain("relu > maxpool2", "params_share", input="3x8x8").value is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["no constraint"]),
        ("rf@pool5", ["cannot read", "metric [@node] relation value"]),
        ("rrf > 3", ["rrf", "did you mean"]),
        ("rf@pool5 > many", ["'many' is not a number"]),
        ("rf@pool77 > 3", ["pool77"]),
        ("params@fc6 > 74%", ["'74%' is a percentage", "params_share"]),
        ("rf@pool5 > 74%", ["is a percentage", "give a number"]),
        ("count(conv)", ["count(conv) = 3"]),
        ("none(conv) = 3", ["none(…) alone"]),
        ("count(cnov) = 3", ["cnov", "did you mean conv"]),
        ("peak_bytes@pool5 > 3", ["whole network"]),
        ("seen > 3", ["belongs to a node"]),
        ("__import__('os')", ["cannot read"]),
    ],
)
def test_what_cannot_be_read_is_told(text, words) -> None:
    with pytest.raises(rfcalc.RfcalcError) as caught:
        check(rfcalc.analyze("vgg16"), text)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_constraints_print_as_written() -> None:
    assert [str(c) for c in parse("rf>=3 and params<1,000, count(conv) = 2")] == [
        "rf>=3",
        "params<1,000",
        "count(conv) = 2",
    ]
