"""Networks: names, scopes, repetition, sharing, references, order, limits; and that they print as their source."""

from __future__ import annotations

import pickle

import pytest

import rfcalc
from rfcalc import (
    Add,
    Concat,
    Conv,
    Dropout,
    Expr,
    GlobalPool,
    Identity,
    Linear,
    MaxPool,
    Multiply,
    Network,
    ReLU,
    RfcalcError,
    Var,
    parallel,
    ref,
    repeat,
    series,
    side,
)


def names(network: Network) -> list[str]:
    return [node.name for node in network.nodes]


def rebuilt(network: Network) -> Network:
    scope: dict[str, object] = {}
    exec("from rfcalc import *", scope)
    return eval(repr(network), scope)  # type: ignore[no-any-return]


def test_combinators() -> None:
    a, b, c = Conv(4, 3, padding=1), Conv(8, 1), ReLU()
    assert a >> b >> c == series([a, b, c])
    assert (a | b | c) == parallel([a, b, c], Concat())
    assert a + b == parallel([a, b], Add())
    assert a * b == parallel([a, b], Multiply())
    assert (a >> c) * 3 == repeat(a >> c, 3)
    assert (a >> b | c) == parallel([a >> b, c], Concat())  # Python's own precedence, as documented


def test_names_kind_and_number() -> None:
    assert names(Network((Conv(8, 3) >> ReLU()) * 2 >> MaxPool(2))) == ["conv1", "relu1", "conv2", "relu2", "maxpool1"]


def test_scopes_and_copies() -> None:
    body = Conv(8, 3, padding=1) >> ReLU()
    assert names(Network((body * 2).block("layer1"))) == [f"layer1.{i}.{n}" for i in (0, 1) for n in ("conv1", "relu1")]
    assert names(Network(Conv(8, 3).named("conv5") * 3)) == ["conv5_1", "conv5_2", "conv5_3"]
    assert names(Network((body * 2).named("end"))) == ["conv1", "relu1", "conv2", "end"]
    assert names(Network(body.block("b") * 2)) == ["b_1.conv1", "b_1.relu1", "b_2.conv1", "b_2.relu1"]


def test_a_stage_or_block_means_its_last_node() -> None:
    network = Network((Conv(8, 3) >> ReLU()).stage("stem") >> (Conv(8, 3) >> MaxPool(2)).block("body"))
    assert network.node("stem").name == "relu1"
    assert network.node("body").name == "body.maxpool1"
    assert [n.stage for n in network.nodes] == ["stem", "stem", "", ""]


def test_references_find_the_nearest_scope() -> None:
    skip = Conv(8, 3, padding=1).named("a") >> ReLU() >> (Identity() + ref("a"))
    network = Network((skip * 2).block("b"))
    assert network.node("b.1.add1").inputs == ("b.1.identity1", "b.1.a")


def test_side_branches_and_outputs() -> None:
    network = Network(
        Conv(8, 3) >> side((GlobalPool() >> Conv(2, 1)).named("aux")) >> Conv(4, 3).named("main"),
        "3x16x16",
        outputs=("main", "aux"),
    )
    assert network.node("main").inputs == ("conv1",)
    assert [row.name for row in rfcalc.Report(network).outputs] == ["main", "aux"]


def test_several_inputs() -> None:
    two = Network(
        parallel([ref("left") >> Conv(8, 3), ref("right") >> Conv(8, 5, padding=1)], Add()),
        {"left": "3x9x9", "right": "1x9x9"},
    )
    report = rfcalc.Report(two)
    fields = report["add1"].receptive_fields
    assert (fields["left"].size, fields["right"].size) == ((3, 3), (5, 5))
    assert report["conv1"].receptive_fields["right"].status == "none"
    with pytest.raises(RfcalcError, match="has no input"):
        Network(Conv(8, 3), {"left": None, "right": None})


def test_sharing_counts_weights_once_and_operations_at_each_use() -> None:
    conv = Conv(8, 3, padding=1)
    apart = rfcalc.analyze(Network(conv * 3, "8x9x9")).totals
    tied = rfcalc.analyze(Network(conv.shared("w") * 3, "8x9x9"))
    assert apart.params == 3 * tied.totals.params
    assert apart.macs == tied.totals.macs
    assert [row.shared_with for row in tied] == [None, "conv1", "conv1"]
    assert (apart.weight_layers, tied.totals.weight_layers) == (3, 1)
    with pytest.raises(RfcalcError, match="cannot share the weights of conv1"):
        rfcalc.analyze(Network(Conv(8, 3).shared("w") >> Conv(8, 5).shared("w"), "8x9x9"))


def test_repetition_with_an_index() -> None:
    i = Var("i")
    wave = Network(repeat(Conv(8, 2, dilation=2**i), 10, i), "8x2000")
    assert rfcalc.analyze(wave).rows[-1].receptive_field.size == (1024,)
    assert rebuilt(wave) == wave
    assert "2**Var('i')" in repr(wave)


@pytest.mark.parametrize(
    "network",
    [
        Network((Conv(8, 3, padding=1) >> ReLU()) * 2 >> MaxPool(2), "3x8x8"),
        Network(Conv(8, 1) >> (Identity() + (Conv(8, 3, padding=1) >> ReLU()).block("b")) >> Dropout(0.1), name="n"),
        Network(Identity() * (GlobalPool() >> Conv(3, 1)) | MaxPool(3, 1, padding=1), {"x": "3x8x8"}, title="t"),
        Network(series([Conv(1, 1)] * 100), "1x4x4", citation="c"),
        Network((Conv(4, 3).shared("w") * 2).stage("s") >> side(Conv(2, 1).named("p")), outputs=("p",)),
        Network(parallel([ref("a"), ref("b")], Add()), {"a": None, "b": None}),
        Network((ReLU() + ReLU()) + ReLU()),
        Network(ReLU() + (ReLU() + ReLU())),
        Network(((ReLU() * 2) * 3).named("x") >> (ReLU() >> ReLU()) * 2),
    ],
    ids=lambda n: repr(n)[:50],
)
def test_prints_as_its_source(network) -> None:
    assert rebuilt(network) == network
    assert rebuilt(network).nodes == network.nodes
    assert pickle.loads(pickle.dumps(network)) == network


def test_from_nodes_in_any_order() -> None:
    network = Network.from_nodes(
        [("sum", Add(), ["a", "b"]), ("b", ReLU(), ["a"]), ("a", Conv(3, 1), ["input"]), ("c", ReLU(), ["a"])],
        "3x4x4",
        outputs=("sum", "c"),
    )
    assert {n.name: n.inputs for n in network.nodes} == {
        "a": ("input",),
        "b": ("a",),
        "sum": ("a", "b"),
        "c": ("a",),
    }
    assert rebuilt(network) == network


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: Network(series([])), ["empty"]),
        (lambda: Network(ref("input")), ["empty"]),
        (lambda: Network("vgg16"), ["not from str"]),
        (lambda: Network(Conv(8, 3).named("a") >> Conv(8, 3).named("a")), ["'a'", "two nodes"]),
        (lambda: Network(Conv(8, 3).named("skip1") >> ref("skip2") >> ReLU()), ["ref('skip2')", "did you mean skip1"]),
        (
            lambda: Network.from_nodes([("a", ReLU(), ["b"]), ("b", ReLU(), ["c"]), ("c", ReLU(), ["a"])]),
            ["cycle", "→"],
        ),
        (lambda: Network.from_nodes([("a", ReLU(), ["z"])]), ["a reads 'z'"]),
        (lambda: Network.from_nodes([("a", ReLU(), ["input"])] * 2), ["'a'", "two nodes"]),
        (lambda: Network(parallel([ReLU(), ReLU()], Conv(3, 1))), ["takes 1 inputs and gets 2"]),
        (lambda: Conv(8, 3) * 1_000_000_000, ["1,000,000,000 nodes", "limit"]),
        (lambda: Conv(8, 3) * 0, ["0 times"]),
        (lambda: Network(ReLU(), outputs=("relu2",)), ["relu2", "did you mean relu1"]),
        (lambda: Network(ReLU().named("")), ["not a name"]),
        (lambda: Network(ReLU(), {}), ["no inputs"]),
        (lambda: Network(ReLU(), "0x3"), ["not a shape"]),
    ],
)
def test_refuses_what_is_no_network(made, words) -> None:
    with pytest.raises(RfcalcError) as caught:
        made()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_deep_nesting_is_refused_before_python_does() -> None:
    def nested(levels: int) -> Expr:
        expr: Expr = ReLU()
        for _ in range(levels):
            expr = (expr + Identity()) >> ReLU()
        return expr

    assert len(Network(nested(70)).nodes) == 211
    with pytest.raises(RfcalcError, match="nested too deeply"):
        nested(1000)


@pytest.mark.parametrize(
    ("network", "shape", "words"),
    [
        (
            Conv(8, 7),
            "3x5x5",
            ["conv1 (conv7-8 p0)", "input 3x5x5", "(5 + 0 + 0 - 1 * (7 - 1) - 1) // 1 + 1", "at least 7"],
        ),
        (Conv(8, 3) + Identity(), "8x9x9", ["add1", "8x7x7", "8x9x9", "7 against 9"]),
        (Linear(10, in_features=100), "3x5x5", ["linear1", "100 features", "3x5x5 = 75 values", "flatten"]),
        (Conv(8, 3, groups=2), "3x5x5", ["3 input channels", "2 groups"]),
        (Conv(8, 3), "10", ["flat vector"]),
        (Conv(8, (3, 3)), "3x5", ["this network is 2-D", "did you mean 3x5x5?"]),
        (MaxPool(2) >> MaxPool(2), "3x3x3", ["maxpool2", "larger than the map"]),
    ],
)
def test_sizes_that_do_not_fit_name_node_shapes_rule_and_fix(network, shape, words) -> None:
    with pytest.raises(RfcalcError) as caught:
        rfcalc.analyze(network, shape)
    assert all(word in str(caught.value) for word in words), str(caught.value)
