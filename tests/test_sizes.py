"""Valid sizes: each n against the forward walk, PyTorch without data, and brute force; what is said of them."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

import jsonschema
import pytest
from graphs import graphs
from hypothesis import HealthCheck, given, settings

import rfcalc
from rfcalc import Conv, Flatten, Linear, Network, RfcalcError, Shape, zoo
from rfcalc.cli import run
from rfcalc.core.errors import LimitError
from rfcalc.core.layer import Layer
from rfcalc.graph.forward import Walked, forward, shapes_of_inputs
from rfcalc.layers.learned import Parameter, PositionTable
from rfcalc.layers.merge import Add
from rfcalc.plan.classes import Number, Range, Split, Undecided
from rfcalc.plan.formulas import Affine, Congruence, smallest, written
from rfcalc.plan.solving import axis_of, parts, with_size
from rfcalc.plan.unseen import Backward, count
from rfcalc.receptive.region_walk import regions
from rfcalc.report import schemas

SAMPLE = ["unet", "unet-padded", "unet-3d", "fpn-resnet18", "lenet5", "vgg11", "bn-inception", "deeplabv3-resnet50"]
SAMPLE += ["patchgan-70", "wavenet", "resnet18", "alexnet-torchvision", "swin-t", "vit-b16", "squeezenet-1.0"]
SCHEMA = schemas.schema("sizes")


def runs(network: Network, inputs: tuple[Shape, ...], axis: int, n: int) -> tuple[Shape, ...] | None:
    size, rank = inputs[0].spatial[axis], inputs[0].rank
    given_ = [with_size(x, axis, n) if x.rank == rank and x.spatial[axis] == size else x for x in inputs]
    plain = with_tables(network, inputs)
    try:
        walked = forward(plain, given_)
    except RfcalcError:
        return None
    # the weights are those of the network as it is: a flattened map of another size does not fit them
    if [c.params for c in walked.costs] != [c.params for c in walk_of(plain, inputs).costs]:
        return None
    names = [*network.inputs, *(node.name for node in network.nodes)]
    return tuple(walked.shapes[plain.position(name)] for name in names)


@cache
def walk_of(network: Network, inputs: tuple[Shape, ...]) -> Walked:
    return forward(network, inputs)


@cache
def with_tables(network: Network, inputs: tuple[Shape, ...]) -> Network:
    """The network with each table of positions as a parameter that is added: one of them may be stretched."""
    if not any(isinstance(node.layer, PositionTable) for node in network.nodes):
        return network
    nodes: list[tuple[str, Layer, tuple[str, ...]]] = []
    for node, shape in zip(network.nodes, walk_of(network, inputs).shapes[network.arity :], strict=True):
        if isinstance(node.layer, PositionTable):
            nodes.append((f"{node.name}.table", Parameter(shape.dims, shape.channel), ()))
            nodes.append((node.name, Add(), (*node.inputs, f"{node.name}.table")))
        else:
            nodes.append((node.name, node.layer, node.inputs))
    groups = {node.name: node.group for node in network.nodes if node.group}
    return Network.from_nodes(nodes, network.inputs, groups, outputs=network.outputs, name=network.name)


def against_the_walk(network: Network, sizes: range | list[int]) -> int:
    """Every size of every axis: valid where the walk runs, the formulas of the outputs where it does."""
    found = rfcalc.sizes(network)
    checked = 0
    for axis, solved in enumerate(found.axes):
        formulas = {name: f and compile(f, name, "eval") for name, f in found.output(axis).items()}
        for n in sizes:
            shapes = runs(network, found.inputs, axis, n)
            assert (n in solved.valid) == (shapes is not None), (network.name, axis, n)
            checked += 1
            for name, position in zip(network.outputs, found.outputs, strict=True):
                if shapes is not None and formulas[name]:
                    y = shapes[position]
                    assert eval(formulas[name], {}, {"n": n}) == y.dims[y.axes[axis]], (network.name, axis, n)
    return checked


@pytest.mark.parametrize("name", SAMPLE)
def test_sizes_of_the_zoo(name: str) -> None:
    network = rfcalc.load(name)
    pick = Random(name)
    rank = shapes_of_inputs(network)[0].rank
    several = [*range(1, 40), *(pick.randrange(40, 1025) for _ in range(30 if rank > 1 else 60))]
    assert against_the_walk(network, several)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", zoo.networks())
def test_every_size_of_the_zoo(name: str) -> None:
    network = rfcalc.load(name)
    if None in network.inputs.values():
        pytest.skip("it has no input of its own")
    against_the_walk(network, range(1, 1025))


def test_the_walk_would_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a congruence that is one off is seen."""
    monkeypatch.setattr(Congruence, "__contains__", lambda self, n: n % 16 == 11)
    with pytest.raises(AssertionError):
        against_the_walk(rfcalc.load("unet"), range(180, 210))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs())
def test_sizes_of_random_graphs(case: object) -> None:
    network: Network = case.network  # type: ignore[attr-defined]
    inputs = shapes_of_inputs(network)
    if inputs[0].rank == 0 or runs(network, inputs, 0, inputs[0].spatial[0]) is None:
        return
    for axis in range(inputs[0].rank):
        try:
            valid = axis_of(network, inputs, axis, made=walk_of(network, inputs)).valid
        except (LimitError, Undecided):
            return
        for n in range(1, 45):
            assert (n in valid) == (runs(network, inputs, axis, n) is not None), (network, axis, n)


@pytest.mark.parametrize("name", ["unet", "fpn-resnet18", "resnet18", "lenet5", "bn-inception"])
def test_sizes_in_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    network = rfcalc.load(name)
    found = rfcalc.sizes(network)
    module = rfcalc.to_torch(network).to("meta").eval()
    valid = found.axes[1].valid
    at = valid.start or valid.below[0]
    for n in [*range(max(1, at - 3), at + 35, 1 if name == "lenet5" else 5), at]:
        x = with_size(found.inputs[0], 1, n)
        try:
            with torch.no_grad():
                module(torch.empty(1, *x.dims, device="meta"))
            runs_there = True
        except RuntimeError:
            runs_there = False
        assert (n in valid) == runs_there, (name, n)


@pytest.mark.parametrize(
    "text",
    [
        "conv3-4/2 p0 > maxpool2",
        "conv3-4/4 p0 > conv1-2/2",
        "{conv1-4/2 p0, conv3-4/2 p1} add > maxpool3/2",
        "conv5-4/3 d2 p0 > convT2-4/2 > avgpool3/2 ceil",
        "conv3-2/2 p1 reflect > maxpool2 > up2 > conv3-1 p0",
        "conv2-4/5 p0 > slice axis1 at1:-1 > conv3-4 p1",
    ],
)
def test_unseen_pixels(text: str) -> None:
    """The formula against the regions of all units, position by position."""
    found = rfcalc.sizes(text, "1x40x40")
    formula = found.unseen(0)[found.network.outputs[0]]
    assert formula is not None
    for n in range(1, 64):
        if n in found.axes[0].valid:
            walked = forward(found.network, found.concrete(0, n))
            everything = regions(walked, len(walked.shapes) - 1).all
            seen = set()
            for box in everything.boxes:
                seen |= {p for p in range(n) if box[0] >> p & 1}
            assert eval(formula, {}, {"n": n}) == n - len(seen), (text, n, formula)


def test_known_sizes() -> None:
    unet = rfcalc.sizes("unet").axes
    assert all(a.valid == Congruence(188, 16, (12,), ()) for a in unet)
    assert rfcalc.sizes("unet").output(0) == {"output": "n - 184"}
    assert rfcalc.sizes("unet-padded").axes[0].valid == Congruence(16, 16, (0,), ())
    vgg = rfcalc.sizes("vgg16")
    assert vgg.axes[0].valid == Congruence(None, 1, (), tuple(range(224, 256)))
    assert vgg.joint is not None and (vgg.joint.product, vgg.joint.terms) == (49, ("n // 32", "n // 32"))


def test_nearest_sizes() -> None:
    padded, cropped = rfcalc.sizes("unet-padded", near="350x525").near
    assert padded.valid == (352, 528) and padded.pad == ((1, 1), (1, 2)) and padded.crop == ((0, 0), (0, 0))
    assert cropped.valid == (336, 512) and cropped.crop == ((7, 7), (6, 7))
    (valid,) = rfcalc.sizes("unet-padded", near=(352, 32)).near
    assert valid.pad == ((0, 0), (0, 0)) == valid.crop


def test_inputs_that_do_not_run_are_answered() -> None:
    found = rfcalc.sizes("unet", "1x350x525")
    assert found.axes[0].valid.modulus == 16 and "does not run" in str(found.document().notes)


def test_training_needs_more() -> None:
    (trained,) = rfcalc.sizes("conv3-64 > bn > globalavgpool > bn").training
    assert trained.size is None and trained.node == "batchnorm2"
    deep = rfcalc.sizes("conv3-8/2 > conv3-8/2 > bn", "3x4x4").training
    assert deep == () or all(t.node == "batchnorm1" for t in deep)
    one = rfcalc.sizes("conv3-8/2 > conv3-8/2 > bn", "3x4x3").training
    assert [t.size for t in one] == [1, 2, 3, 4]


@pytest.mark.parametrize("name", ["unet", "vgg16", "fpn-resnet18", "wavenet", "deeplabv3-resnet50"])
def test_json(name: str) -> None:
    jsonschema.validate(rfcalc.sizes(name, near=None).to_dict(), SCHEMA)


def test_bad_input() -> None:
    with pytest.raises(RfcalcError, match="no sizes"):
        rfcalc.sizes("unet", near="wide")
    with pytest.raises(RfcalcError, match="1 size"):
        rfcalc.sizes("unet", near="350")
    with pytest.raises(RfcalcError, match="no spatial axes"):
        rfcalc.sizes("fc10", "784")
    never = Network(Conv(4, 1) >> Flatten() >> Linear(3, in_features=7))  # a product of 4 is never 7
    with pytest.raises(RfcalcError, match="expects 7 features"):
        rfcalc.sizes(never, "3x5x5")


def test_numbers_of_classes() -> None:
    n = Number((0, 1), Range(1, None))
    with pytest.raises(Split) as asked:
        _ = n // 6
    assert asked.value.classes == 6
    with pytest.raises(Split) as asked:
        _ = n > 4
    assert asked.value.at == 5
    with pytest.raises(Split) as asked:
        _ = n * n == 49
    assert asked.value.at == 7
    assert n * (n + 3) // n == n + 3
    assert n + 2 - n == 2 and n > 0 and (6 * n + 3) // 3 == 2 * n + 1
    assert smallest(12, [0, 3, 6, 9]) == (3, (0,))


def test_quotients_of_classes() -> None:
    """What polynomials in t, divided by one another, are for every t: classes are split until they say one thing."""
    pick = Random(5)
    for _ in range(120):
        above, below = ([pick.randint(-9, 9) for _ in range(pick.randint(1, 3))] for _ in "ab")
        left = [(1, 0, Range(1, None))]
        while left:
            modulus, rest, values = left.pop()
            n: Any = Number((rest, modulus), values) if not values.single else modulus * values.first + rest
            a, b = (sum([c * power for c, power in zip(p, (1, n, n * n), strict=False)]) for p in (above, below))
            try:
                told = a // b, a % b
            except ZeroDivisionError:
                assert b == 0
            except Split as split:
                left += [(modulus * m, modulus * r + rest, v) for m, r, v in parts(values, split)]
            else:
                last = values.first + 9 if values.last is None else min(values.last, values.first + 9)
                for t in range(values.first, last + 1):
                    x, y, *there = (c.at(t) if isinstance(c, Number) else c for c in (a, b, *told))
                    assert there == [x // y, x % y], (above, below, t)


def test_formulas_are_right() -> None:
    pick = Random(7)
    for _ in range(300):
        modulus, up, add = pick.choice([1, 2, 3, 4, 6, 8]), pick.choice([1, 2, 3, 4]), pick.randrange(-9, 9)

        def value(n: int, m: int = modulus, u: int = up, a: int = add) -> int:
            return (n + a) // m * u + a

        lines = [Affine(modulus, r, up, value(r)) for r in range(modulus) if pick.random() < 0.8]
        if lines:
            formula = written(lines)
            for line in lines:
                for t in range(5):
                    n = modulus * t + line.rest
                    assert eval(formula, {}, {"n": n}) == value(n), formula


@pytest.mark.parametrize("name", ["alexnet-torchvision", "swin-t", "vit-b-16"])
def test_unseen_of_what_depends_on_the_size(name: str) -> None:
    """Windows of adaptive pools and attention: the formula against the walk at a size, where all windows are known."""
    found = rfcalc.sizes(name)
    formula = found.unseen(0)[found.network.outputs[0]]
    assert formula is not None
    for n in [n for n in range(1, 260) if n in found.axes[0].valid][::7]:
        inputs = found.concrete(0, n)
        shapes = forward(found.following.at(inputs), inputs).shapes
        parts = Backward(found.following, found.outputs[0]).read(shapes)[1]
        assert eval(formula, {}, {"n": n}) == n - count(parts), (name, n)


def test_what_only_training_refuses_is_one_sentence_of_a_node(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sizes", "inception-v3-aux"]) == 0
    out = capsys.readouterr().out
    assert out.count("training needs more") == 1 and "n = 299 … 346: aux.bn1" in out
    assert len(rfcalc.sizes("inception-v3-aux").training) == 48
