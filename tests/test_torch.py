"""Every kind and random networks as PyTorch modules: shapes at every node, parameters, buffers, and what units see."""

from __future__ import annotations

import copy
import pickle
import random
import subprocess
import sys
from collections import Counter

import pytest
import sympy
import torch
from graphs import ORDER, grow
from measured import columns, regions
from oracle import Oracle
from strategies import JOINS, LAYERS, SOURCES, Pick, a_layer
from torch import nn

import rfcalc
from rfcalc import (
    LRN,
    Activation,
    AdaptivePool,
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    Dropout,
    Flatten,
    Identity,
    InstanceNorm,
    Linear,
    MaxPool,
    Network,
    Parameter,
    Permute,
    PositionTable,
    ReLU,
    Shape,
    Softmax,
    Unknown,
    WindowAttention,
    parallel,
    ref,
    series,
    to_torch,
)
from rfcalc.backend import counts
from rfcalc.backend.twin import MEASURES, TWINS, Twin, twin
from rfcalc.core.errors import LayerError, NetworkError, RfcalcError, UnknownName, Unsupported
from rfcalc.core.expr import LAYERS as REGISTERED
from rfcalc.core.layer import Layer, layer
from rfcalc.readers.builder.vocabulary import NUMBERED, UNARY

torch.set_num_threads(1)
pytestmark = [
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel"),
    pytest.mark.filterwarnings("ignore:var.*degrees of freedom is <= 0"),  # statistics of a map of one value
]
EACH = 25  # layers of each kind
GRAPHS = 250
BUILT = sorted(set(LAYERS) - {"unknown"})


def alone(made: Layer, x: Shape) -> Network:
    return Network.from_nodes([("node", made, ("input",))], x)


def drawn(kind: str, cases: int, first: int = 0) -> list[tuple[Layer, Shape]]:
    found = (a_layer(Pick(random.Random(seed).randbytes(120)), kind) for seed in range(first, first + cases))
    return [f for f in found if f is not None]


# --- every kind ------------------------------------------------------------------------------------------------


def test_every_kind_has_a_twin() -> None:
    missing = sorted(set(REGISTERED.names()) - set(TWINS.names()))
    assert not missing, f"kinds without a PyTorch twin: {missing}"
    assert set(BUILT) | {*JOINS, *SOURCES, "unknown"} == set(REGISTERED.names())
    assert set(MEASURES.names()) <= set(TWINS.names())


def agrees(network: Network) -> None:
    """Shapes at every node, parameters and buffers, of the plain module and (shapes) of the measuring one."""
    report = rfcalc.analyze(network)
    graph = to_torch(network)
    assert counts(graph) == (report.totals.params, report.totals.buffers)
    for training in (False, True):
        inputs = [torch.rand(2, *s.dims) for s in network.inputs.values() if s is not None]
        values = graph.train(training).run(*inputs)
        assert list(values) == [*network.inputs, *(row.name for row in report)]
        for row in report:
            assert tuple(values[row.name].shape) == (2, *row.shape.dims), (row.name, row.node.layer)


def depends(network: Network) -> int:
    """At every node and every unit: what the gradient of the measuring module says, against the oracle."""
    checked = 0
    for source in range(network.arity):
        oracle = Oracle(network, source)
        values, pixels = columns(network, source)
        for position, node in enumerate(network.nodes, oracle.arity):
            clipped = oracle.clipped(position)
            measured = regions(values[node.name], oracle.shapes[position], pixels)
            told = {u: set(c) for u, c in clipped.items()}
            if measured != told:
                assert channels_were_positions(network), (node.name, node.layer)
                assert all(pixels_seen <= told[u] for u, pixels_seen in measured.items()), (node.name, node.layer)
                raise Wider
            checked += len(measured)
    return checked


class Wider(Exception):
    """Positions have become channels, and channels are taken apart: a unit is told to see what all channels saw."""


def channels_were_positions(network: Network) -> bool:
    """Whether the channels of some map lie along an axis that was one of positions."""
    return any(n.layer.kind in ("mean", "reduce", "permute", "flatten", "reshape", "parameter") for n in network.nodes)


@pytest.mark.parametrize("kind", BUILT)
def test_kinds(kind: str) -> None:
    cases = drawn(kind, EACH)
    assert len(cases) >= EACH // 5
    for made, x in cases:
        agrees(alone(made, x))
        depends(alone(made, x))


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", BUILT)
def test_kinds_many_times(kind: str) -> None:
    refused = 0
    cases = drawn(kind, 40 * EACH, 1000)
    for made, x in cases:
        try:
            agrees(alone(made, x))
        except ValueError as error:  # PyTorch normalises no map of one value in training mode
            assert "Expected more than 1" in str(error)  # noqa: PT017
            refused += 1
            continue
        depends(alone(made, x))
    assert refused < len(cases) / 5


def random_graphs(cases: int, first: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for seed in range(first, first + cases):
        network = grow(Pick(random.Random(seed).randbytes(400)), ORDER, 15, 8).network
        unknown = [n for n in network.nodes if n.layer.kind == "unknown"]
        try:
            agrees(network)
        except Unsupported as error:
            named = unknown or "PyTorch's" in error.what or "cannot be built" in error.what
            assert named, (seed, error)  # noqa: PT017
            found["named as unsupported"] += 1
            continue
        except ValueError as error:  # PyTorch normalises no map of one value in training mode
            assert "Expected more than 1" in str(error), seed  # noqa: PT017
            continue
        assert not unknown, seed
        try:
            found["units"] += depends(network)
        except Wider:
            found["wider"] += 1
        found["graphs"] += 1
    assert found["wider"] <= max(1, cases // 1000)
    return found


@pytest.mark.parametrize("part", range(2))
def test_random_graphs(part: int) -> None:
    found = random_graphs(GRAPHS // 2, part * 10_000)
    assert found["graphs"] >= 0.85 * GRAPHS // 2
    assert found["units"] > 10_000


@pytest.mark.exhaustive
@pytest.mark.parametrize("part", range(4))
def test_many_random_graphs(part: int) -> None:
    random_graphs(2_500, 100_000 * (part + 1))


def test_control_a_wrong_twin_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(Conv(2, 3, padding=1) >> MaxPool(2), "1x6x6")
    right = TWINS["maxpool"]
    monkeypatch.setitem(TWINS._values, "maxpool", lambda at: Twin(None, "F.max_pool2d({0}, 3, 2)"))
    with pytest.raises(AssertionError):
        agrees(network)
    monkeypatch.setitem(TWINS._values, "maxpool", right)
    monkeypatch.setitem(MEASURES._values, "maxpool", lambda at: Twin(None, "{0}[:, :, ::2, ::2]"))
    with pytest.raises(AssertionError):
        depends(network)


def test_control_a_kind_without_a_twin_is_named() -> None:
    @layer("strange_kind")
    class Strange(Layer):
        pass

    try:
        with pytest.raises(Unsupported, match=r"(?s)middle.*'strange_kind'"):
            to_torch(Network(Conv(2, 1) >> Strange().named("middle"), "1x4x4"))

        @twin("strange_kind")
        def strange(at: object) -> Twin:
            return Twin(None, "{0} * 2")

        graph = to_torch(Network(Strange(), "1x4x4"))
        assert graph(torch.ones(1, 1, 4, 4)).unique().tolist() == [2.0]
    finally:
        REGISTERED.remove("strange_kind")
        if "strange_kind" in TWINS:
            TWINS.remove("strange_kind")


# --- graphs ----------------------------------------------------------------------------------------------------


def test_gradients_show_what_a_unit_sees() -> None:
    """The same by autograd: the gradient of one unit is positive exactly on its region."""
    network = Network(Conv(4, 3, stride=2, dilation=2) >> ReLU() >> MaxPool(2) >> Softmax(), "3x15x15")
    x = torch.ones(1, 3, 15, 15, dtype=torch.float64, requires_grad=True)
    y = to_torch(network, measuring=True)(x)
    y[0, :, 1, 0].sum().backward()
    assert x.grad is not None
    seen = {tuple(p) for p in (x.grad[0].sum(0) > 0).nonzero().tolist()}
    assert seen == set(Oracle(network).clipped(4)[(1, 0)])


def test_inputs_and_outputs() -> None:
    network = Network(
        parallel([ref("left") >> Conv(2, 1).named("a"), ref("right") >> Conv(2, 3, padding=1).named("b")], Add()),
        {"left": "1x4x4", "right": "3x4x4"},
        outputs=("a", "add1"),
    )
    graph = to_torch(network)
    left, right = torch.rand(2, 1, 4, 4), torch.rand(2, 3, 4, 4)
    a, total = graph(left, right)
    again = graph(left, right=right)
    assert torch.equal(total, again[1])
    assert torch.equal(total, a + graph.module("b")(right))
    seen: list[str] = []
    kept = graph.run(left, right, keep=("b",), see=lambda name, value: seen.append(name))
    assert list(kept) == ["b"]
    assert seen == ["a", "b", "add1"]
    for wrong in ((left,), (left, right, left)):
        with pytest.raises(NetworkError, match="left, right"):
            graph(*wrong)
    with pytest.raises(NetworkError):
        graph(left, right, left=left)
    with pytest.raises(UnknownName):
        graph.run(left, right, keep=("c",))


def test_values_are_freed() -> None:
    graph = to_torch(Network(series([Identity() >> Conv(1, 1) >> Flatten()] + [Activation("tanh")] * 6), "1x8"))
    alive: list[int] = []
    held: list[object] = []

    def see(name: str, value: torch.Tensor) -> None:
        import weakref

        held.append(weakref.ref(value))
        alive.append(sum(1 for r in held if r() is not None))  # type: ignore[operator]

    with torch.no_grad():
        graph.run(torch.rand(1, 1, 8), keep=(), see=see)
    assert max(alive[4:]) <= 3, alive  # the given input, what is read, what comes out


def test_shared_weights_are_one_module() -> None:
    network = Network((Conv(4, 3, padding=1) >> ReLU()).shared("w") * 3, "4x8x8")
    graph = to_torch(network)
    assert counts(graph)[0] == 9 * 16 + 4 == rfcalc.analyze(network).totals.params
    assert graph.module("conv1") is graph.module("conv3")
    assert [k for k in graph.state_dict() if "conv" in k] == ["conv1.weight", "conv1.bias"]
    loss = graph(torch.rand(1, 4, 8, 8)).sum()
    loss.backward()
    assert graph.module("conv2").weight.grad is not None


def test_shared_weights_under_other_geometry() -> None:
    """Atrous heads that share one kernel: two modules, one tensor."""
    one, two = Conv(4, 3, padding=1), Conv(4, 3, padding=2, dilation=2)
    network = Network(parallel([one.shared("k"), two.shared("k")], Add()), "4x8x8")
    graph = to_torch(network)
    assert counts(graph)[0] == rfcalc.analyze(network).totals.params
    assert graph.module("conv1").weight is graph.module("conv2").weight
    x = torch.rand(1, 4, 8, 8)
    assert torch.equal(graph(x), graph.module("conv1")(x) + graph.module("conv2")(x))


def test_partial_connections_waste_nothing() -> None:
    table = ((0, 1, 2), (3,), (), (0, 3))
    network = Network(Conv(4, 3, table=table), "4x6x6")
    graph = to_torch(network)
    assert counts(graph)[0] == 6 * 9 + 4
    dense = nn.Conv2d(4, 4, 3)
    partial = graph.module("conv1")
    with torch.no_grad():
        dense.weight.zero_()
        dense.bias.copy_(partial.bias)
        rows = iter(partial.weight)
        for out, row in enumerate(table):
            for channel in row:
                dense.weight[out, channel] = next(rows)
    x = torch.rand(2, 4, 6, 6)
    torch.testing.assert_close(graph(x), dense(x))


def test_names_nest_and_avoid_what_modules_have() -> None:
    expr = Conv(2, 1).named("forward") >> Conv(2, 1).named("a.b") >> Conv(2, 1).named("a") >> ReLU().named("training")
    graph = to_torch(Network(expr, "1x4"))
    assert set(graph.state_dict()) == {f"{n}.{w}" for n in ("forward_", "a.b", "a_") for w in ("weight", "bias")}
    assert graph(torch.rand(3, 1, 4)).shape == (3, 2, 4)


def test_stages_are_sequential_where_they_are_chains() -> None:
    graph = to_torch(rfcalc.load("vgg11"), names="own", device="meta")
    assert list(dict(graph.named_children())) == [f"block_{i}" for i in range(1, 6)] + ["classifier"]
    x = torch.empty(1, 3, 224, 224, device="meta")
    for stage in graph.children():
        assert isinstance(stage, nn.Sequential)
        x = stage(x)
    assert x.shape == (1, 1000)
    fork = Network(parallel([Conv(2, 1), Identity()], Add()).stage("fork") >> Conv(2, 1).stage("end"), "2x4")
    children = dict(to_torch(fork).named_children())
    assert not isinstance(children["fork"], nn.Sequential)
    assert isinstance(children["end"], nn.Sequential)


def test_a_replaced_module_takes_effect() -> None:
    graph = to_torch(Network(Flatten() >> Linear(10).named("head"), "2x3"))
    graph.head = nn.Linear(6, 4)
    assert graph(torch.rand(5, 2, 3)).shape == (5, 4)


def test_copies_and_pickles() -> None:
    network = Network(Conv(2, 3) >> BatchNorm() >> parallel([ReLU(), Identity()], Concat()), "1x6x6")
    graph = to_torch(network).eval()
    x = torch.rand(1, 1, 6, 6)
    for again in (copy.deepcopy(graph), pickle.loads(pickle.dumps(graph))):
        assert torch.equal(again(x), graph(x))
        assert again.network == network


def test_learned_tensors_stand_by_themselves() -> None:
    network = Network(
        parallel([PositionTable().named("table"), Parameter((2, 5)).named("extra")], Concat()) >> Flatten(), "3x5"
    )
    graph = to_torch(network)
    assert {k: tuple(v.shape) for k, v in graph.state_dict().items()} == {"table": (1, 3, 5), "extra": (2, 5)}
    assert graph(torch.rand(4, 3, 5)).shape == (4, 25)


def test_maps_that_do_not_lie_in_order_and_maps_of_one_position() -> None:
    agrees(Network(Permute((1, 2, 0)) >> LRN(3) >> Permute((1, 0, 2)) >> WindowAttention(1, 2), "4x5x6"))
    agrees(Network(AdaptivePool(1) >> InstanceNorm(affine=True), "4x5x6"))


def test_other_input_sizes() -> None:
    """What depends on the size is found while running: TensorFlow's SAME, ceil mode, adaptive pools."""
    expr = Conv(3, 3, stride=2, padding="SAME") >> MaxPool(3, 2, "SAME") >> AvgPool(2, rounding="ceil-onnx")
    graph = to_torch(Network(expr, "1x16x16"))
    for sizes in ((7, 7), (8, 9), (15, 22)):
        expected = rfcalc.analyze(expr, Shape(1, *sizes))["avgpool1"].shape
        assert tuple(graph(torch.rand(1, 1, *sizes)).shape[1:]) == expected.dims


# --- options ---------------------------------------------------------------------------------------------------


def test_in_place_where_nothing_else_needs_it() -> None:
    safe = Conv(4, 3, padding=1) >> BatchNorm() >> ReLU().named("safe") >> Dropout(0.2).named("kept_by_relu")
    read_twice = parallel([ReLU().named("shared_input") >> Conv(4, 1), Identity()], Add())
    network = Network(ReLU().named("first") >> safe >> read_twice >> Activation("silu").named("after_add"), "4x6x6")
    graph = to_torch(network, in_place=True)
    inplace = {name for name, path in graph.paths.items() if getattr(graph.get_submodule(path), "inplace", False)}
    assert inplace == {"safe", "after_add"}
    plain = to_torch(network)
    plain.load_state_dict(graph.state_dict())
    x = torch.randn(2, 4, 6, 6)
    given = x.clone()
    assert torch.equal(graph.eval()(x), plain.eval()(x))
    assert torch.equal(x, given)
    graph.train()(x).sum().backward()


def test_dropout_dtype_device() -> None:
    network = Network(Linear(4) >> Dropout(0.5), "8")
    graph = to_torch(network, dropout=0.1, dtype=torch.bfloat16, device="meta")
    assert graph.module("dropout1").p == 0.1
    weight = graph.module("linear1").weight
    assert (weight.dtype, weight.device.type) == (torch.bfloat16, "meta")


# --- what is refused -------------------------------------------------------------------------------------------


def test_bad_input_is_told() -> None:
    with pytest.raises(RfcalcError, match="7 is not a network"):
        to_torch(7)  # type: ignore[arg-type]
    with pytest.raises(Unsupported, match=r"(?s)unknown1.*'aten::foo'"):
        to_torch(Network(Unknown((4,), "aten::foo"), "4"))
    with pytest.raises(Unsupported, match="1 to 3 spatial axes"):
        to_torch(Network(Conv(2, 1), "1x2x2x2x2"))
    symbol = Network(Conv(2, 1), Shape(1, sympy.Symbol("n", integer=True, positive=True)))
    with pytest.raises(Unsupported, match="symbol"):
        to_torch(symbol)
    with pytest.raises(NetworkError, match="no shape"):
        to_torch(Network(Conv(2, 1)))
    with pytest.raises(UnknownName, match="conv9"):
        to_torch(Network(Conv(2, 1), "1x4"), names={"conv9": "features.0"})
    with pytest.raises(LayerError, match="own"):
        to_torch(Network(Conv(2, 1), "1x4"), names="theirs")


def test_without_torch_the_message_installs_it() -> None:
    code = (
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'torch' else find(name, *a)\n"
        "import rfcalc\n"
        "try: rfcalc.to_torch('conv3-8')\n"
        "except rfcalc.RfcalcError as e: print(e)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch is not installed" in done.stdout
    assert "pip install 'rfcalc[torch]'" in done.stdout


def test_functions_of_one_value_are_built() -> None:
    x = torch.rand(1, 3, 4, 4).double() + 1e-3
    for name in UNARY:
        text = f"elementwise fn:{name}"
        if name in NUMBERED:
            with pytest.raises(Unsupported, match="cannot be built"):
                rfcalc.to_torch(text, "3x4x4")
            continue
        own = getattr(torch.ops.aten if hasattr(torch.ops.aten, name) else nn.functional, name)
        torch.testing.assert_close(rfcalc.to_torch(text, "3x4x4").double()(x), own(x), rtol=0, atol=0, equal_nan=True)
