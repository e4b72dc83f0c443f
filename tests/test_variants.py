"""Networks like a given one: what is kept, dense evaluation in exact arithmetic, nearest bounds, sorts of targets."""

from __future__ import annotations

import itertools
import json
import random
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from torch import nn

import rfcalc
from rfcalc import Network, Report, RfcalcError, to_torch
from rfcalc.cli import run
from rfcalc.comparison.equivalents import equivalents
from rfcalc.comparison.likes import like
from rfcalc.plan.variants import MOVES, CannotChange, MoveRequest, NetworkDraft
from rfcalc.report import schemas

torch.set_num_threads(1)
SCHEMA, COMPARED = (schemas.schema(name) for name in ("design", "compare"))


def every(report: Report, move: str) -> dict[str, tuple[Report, NetworkDraft]]:
    """All variants of one move that can be made."""
    found = {}
    for choice in MOVES[move].choices(report, MoveRequest(60)):
        for option in choice.options[1:]:
            draft = NetworkDraft(report)
            try:
                option.change(draft)
                found[option.told] = (Report(draft.network(), report.inputs), draft)
            except (CannotChange, RfcalcError):
                continue
    return found


NETS = ["alexnet-torchvision", "resnet18", "mobilenet-v2", "convnext-t", "unet-padded", "squeezenet1.0", "lenet5"]


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("move", ["stacks", "strides", "width"])
def test_the_output_is_kept(name: str, move: str) -> None:
    report = rfcalc.analyze(name)
    for told, (made, _) in every(report, move).items():
        assert [r.output_shape for r in made.outputs] == [r.output_shape for r in report.outputs], told
        if move == "stacks":
            assert made.outputs[0].receptive_field.size == report.outputs[0].receptive_field.size
        if move == "strides":
            assert made.totals.params == report.totals.params


def test_known_variants() -> None:
    found = every(rfcalc.analyze("resnet50"), "strides")
    paper = rfcalc.analyze("resnet50-v1").totals.macs
    earlier = next(made for told, (made, _) in found.items() if "earlier" in told and told.count(" to ") == 3)
    assert earlier.totals.macs == paper, "strides one convolution earlier make PyTorch's ResNet-50 the paper's"
    stem = every(rfcalc.analyze("conv7-64/2 nobias bn relu", "3x224x224"), "stacks")
    made = next(made for told, (made, _) in stem.items() if "3 of 3" in told)
    assert [row.notation for row in made if row.params] == [
        *("conv3-64 nobias", "bn", "conv3-64 nobias", "bn", "conv3-64/2 nobias", "bn"),
    ]
    assert made.outputs[0].output_shape == (64, 112, 112)


def test_stages_are_scaled_apart() -> None:
    """Channels of the layers of a stage alone; of what reads them the weights; sums keep equal channels."""
    report = rfcalc.analyze("resnet18")
    found = every(report, "width")
    (made, _) = found["channels of 7x7 × 1/2"]
    changed = [row.name for row in made if row.params != report[row.name].params]
    assert all(name.startswith("layer4") or name == "fc" for name in changed)
    assert made["layer4.0.conv1"].params == 9 * 256 * 256
    assert made["fc"].params == 256 * 1000 + 1000
    assert made.outputs[0].output_shape == report.outputs[0].output_shape
    (both, _) = found["channels of 28x28 × 1/2, 7x7 × 1/2"]
    assert {row.shape.channels for row in both if row.kind == "conv"} == {64, 256}
    assert both["layer3.0.conv1"].params == 9 * 64 * 256


def test_parts_of_a_stack_are_scaled_as_the_layer() -> None:
    net = "conv5-32 > conv3-64/2 > conv1-10"
    asked = "weight_layers = 4, params < 8k"
    found = rfcalc.variants(net, asked, "3x32x32", moves=["stacks", "width"], factors=["1/2"])
    words = {v.changes: [r.shape.channels for r in v.report if r.kind == "conv"] for v in found.designs}
    assert words == {("conv1: kernel 5 as 2 of 3", "channels × 1/2"): [16, 16, 32, 10]}


def test_factors_are_those_that_are_given(capsys) -> None:
    net = "conv3-32 relu > maxpool2 > conv3-64 relu > maxpool2 > conv3-64 relu > conv1-10"
    found = rfcalc.variants(net, "params < 30k", "3x32x32", moves=["width"], factors=["1/2", 0.75])
    assert found.optimal
    assert found.size == 1 + 2 + 3**3 - 3, "all alike once, by one factor"
    words = " ".join(o.told for c in found.choices for o in c.options)
    assert "32x32 × 1/2, 16x16 × 3/4" in words
    assert "5/8" not in words
    best = min(v.figures["params"] for v in found.designs)
    assert best == rfcalc.analyze(net.replace("64", "32").replace("-32 relu > max", "-16 relu > max", 1)).totals.params
    code, out, err = call(capsys, "--like", net, "--input", "3x32x32", "--set", "width=0", "params < 1k")
    assert (code, out) == (2, "")
    assert "no factor of channels" in err


def test_dilations_are_tried_only_where_they_can_be_an_answer() -> None:
    report = rfcalc.analyze("conv3-8/2 > conv3-8/2 > conv1-4", "3x32x32")
    assert "dense" not in [m.name for m in like(report, "params < 1M, macs <= 1G").moves]
    assert "dense" in [m.name for m in like(report, "stride <= 2").moves]
    assert "dense" in [m.name for m in like(report, "macs >= 1k").moves]
    every_ = like(report, "params < 1k, macs < 80k", ["stacks", "strides", "dense", "width"])
    few = like(report, "params < 1k, macs < 80k")
    assert [v.figures for v in every_.designs] == [v.figures for v in few.designs]


def test_stacks_are_those_of_equivalents() -> None:
    for k in (5, 7, 9, 11):
        report = rfcalc.analyze(f"conv{k}-8", "8x40x40")
        mine = {made.totals.weights for made, _ in every(report, "stacks").values()}
        listed = [e.figures["weights"] for e in equivalents(f"conv{k}-8", input="8x40x40", limit=3).designs]
        assert sorted(mine) == sorted(set(listed))


# dense evaluation


def strided(draw: random.Random, rank: int) -> str:
    """Convolutions and pools, some with strides, with or without padding and a skip; means are of powers of two."""
    steps = []
    for _ in range(draw.randint(2, 5)):
        k, s = draw.choice([1, 2, 3, 5]), draw.choice([1, 1, 2, 3])
        p = draw.choice(["", f" p{draw.randint(0, k // 2)}"])
        kind = draw.choice(["conv", "conv", "conv", "pool", "skip", "depthwise", "mean"])
        up = draw.choice(["", "", " ceil"])
        if kind == "conv":
            d = f" d{draw.choice([1, 2])}" if s == 1 and k > 1 else ""
            steps.append(f"conv{k}-{draw.choice([2, 3])}/{s}{p}{d} relu")
        elif kind == "pool":
            steps.append(f"maxpool{draw.choice([2, 3])}/{draw.choice([1, 2])}{up}")
        elif kind == "mean":
            pads = draw.choice(["", " p1", " p1 nopadcount"])
            steps.append(f"avgpool{draw.choice([2, 4])}/{draw.choice([1, 2, 3])}{pads}{up}")
        elif kind == "depthwise":
            steps.append("dwconv3/2 p0")
        else:
            steps.append("((conv3-2 relu conv3-2) + conv1-2) relu")
    return " > ".join(steps)


def dense_of(network: Network, shape: rfcalc.Shape) -> list[tuple[str, Report, tuple[int, ...]]]:
    report = Report(network, shape)
    return [(told, made, draft.finer) for told, (made, draft) in every(report, "dense").items()]


def equal_to_all_shifts(network: Network, shape: rfcalc.Shape, dense: Report, finer: tuple[int, ...], seed: int) -> int:
    """How many units of the dense network were compared with those of the strided one on shifted images."""
    generator = torch.Generator().manual_seed(seed)
    one, other = to_torch(network, shape).double().eval(), to_torch(dense.network, shape).double().eval()
    with torch.no_grad():
        for p in one.parameters():
            p.copy_(torch.randint(-2, 3, p.shape, generator=generator).double())
        other.load_state_dict(one.state_dict())
        x = torch.randint(-3, 4, (1, *shape.dims), generator=generator).double()
        whole = other(x)[0]
        field = dense.outputs[0].receptive_field
        seen = 0
        for shift in itertools.product(*[range(f) for f in finer]):
            try:
                part = one(x[(..., *[slice(s, None) for s in shift])])[0]
            except RuntimeError:  # what is left is smaller than a kernel
                continue
            # the shifted image begins at `shift`, its unit u is the dense unit finer·u + shift·(units for a pixel)
            steps = [int(s) for s in field.stride]
            if any(s % step for s, step in zip(shift, steps, strict=True)):
                continue
            offsets = [s // step for s, step in zip(shift, steps, strict=True)]
            for unit in itertools.product(*[range(n) for n in part.shape[1:]]):
                at = tuple(f * u + o for f, u, o in zip(finer, unit, offsets, strict=True))
                if any(a >= n for a, n in zip(at, whole.shape[1:], strict=True)):
                    continue
                lows = [int(step * a - pad) for a, step, pad in zip(at, steps, field.padding, strict=True)]
                highs = [low + int(size) for low, size in zip(lows, field.size, strict=True)]
                inside = all(
                    low >= s and high <= n for low, high, s, n in zip(lows, highs, shift, shape.spatial, strict=True)
                )
                if inside:  # its field touches no padding, in either image
                    assert torch.equal(part[(slice(None), *unit)], whole[(slice(None), *at)])
                    seen += 1
        return seen


def check_dense(seeds: range) -> int:
    compared = 0
    for seed in seeds:
        draw = random.Random(seed)
        rank = draw.choice([1, 2, 2])
        shape = rfcalc.Shape(2, *[draw.randint(24, 40) for _ in range(rank)])
        try:
            network = rfcalc.load(f"input: {shape}; {strided(draw, rank)}")
            found = dense_of(network, shape)
        except RfcalcError:
            continue
        for _, made, finer in found:
            compared += equal_to_all_shifts(network, shape, made, finer, seed)
    return compared


def test_dense_evaluation_equals_all_shifts() -> None:
    assert check_dense(range(25)) > 3_000


@pytest.mark.exhaustive
def test_dense_evaluation_equals_all_shifts_of_many() -> None:
    assert check_dense(range(100, 400)) > 50_000


def test_the_check_sees_a_dilation_that_is_left_out() -> None:
    network = rfcalc.load("input: 2x30x30; conv3-2/2 > conv3-2")
    wrong = Report(rfcalc.load("input: 2x30x30; conv3-2/1 p1 > conv3-2"), "2x30x30")
    with pytest.raises((AssertionError, RfcalcError)):
        equal_to_all_shifts(network, rfcalc.Shape(2, 30, 30), wrong, (2, 2), 0)


@pytest.mark.parametrize(
    "text",
    [
        "conv3-2/2 SAME relu > conv3-3/2 SAME relu > conv3-2 SAME", "conv5-2/3 SAME > maxpool3/2 SAME > conv3-2 SAME",
        "conv4-2/2 SAME relu > conv2-2/2 SAME", "conv3-2/2 SAME > dwconv3/2 SAME relu > conv1-2",
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [29, 30, 31, 32])
def test_dense_evaluation_of_same_padding_equals_all_shifts(text: str, size: int) -> None:
    """Images of the same size out of a larger one, as `SAME` pads other sizes otherwise."""
    shape = rfcalc.Shape(2, size, size)
    network = rfcalc.load(f"input: {shape}; {text}")
    generator = torch.Generator().manual_seed(size)
    seen = 0
    for _, made, finer in dense_of(network, shape):
        one, other = to_torch(network, shape).double().eval(), to_torch(made.network, shape).double().eval()
        with torch.no_grad():
            for p in one.parameters():
                p.copy_(torch.randint(-2, 3, p.shape, generator=generator).double())
            other.load_state_dict(one.state_dict())
            wide = torch.randint(-3, 4, (1, 2, size + 12, size + 12), generator=generator).double()
            whole, field = other(wide[..., :size, :size])[0], made.outputs[0].receptive_field
            ((step, _), (pad, _), (side, _)) = field.stride, field.padding, field.size
            for shift in range(0, finer[0] * int(step), int(step)):
                part = one(wide[..., shift : size + shift, shift : size + shift])[0]
                for u, v in itertools.product(range(part.shape[1]), repeat=2):
                    at = [finer[0] * n + shift // int(step) for n in (u, v)]
                    lows = [int(step * a - pad) for a in at]
                    if max(at) < whole.shape[1] and min(lows) >= shift and max(lows) + int(side) <= size:
                        assert torch.equal(part[:, u, v], whole[:, at[0], at[1]])
                        seen += 1
    assert seen > (2 if "/3" in text else 40)


TRANSPOSED = [
    ("conv3-2/3 relu > convt4-2/2 p1 > conv3-2", 3, 2),
    ("conv3-2/2 relu > convt5-2/3 p1 op1 relu > conv3-2", 2, 3),
    ("maxpool2/2 > convt3-2 p1 > conv3-2", 2, 1),
    ("conv3-2/2 > maxpool2/2 > convt4-2/3 d2 p2 > avgpool2/1", 4, 3),
    ("conv5-2/4 p0 > convt3-3/3 g1 nobias relu > dwconv3", 4, 3),
]


def transposed_equals_all_shifts(network: Network, shape: rfcalc.Shape, dense: Report, m: int, t: int) -> int:
    """Output v of the network whose image begins r pixels later is unit m·v + t·r of the dense network; how many
    were compared."""
    generator = torch.Generator().manual_seed(m)
    one, other = to_torch(network, shape).double().eval(), to_torch(dense.network, shape).double().eval()
    with torch.no_grad():
        for p in one.parameters():
            p.copy_(torch.randint(-2, 3, p.shape, generator=generator).double())
        other.load_state_dict(one.state_dict())
        x = torch.randint(-3, 4, (1, *shape.dims), generator=generator).double()
        whole, field = other(x)[0], dense.outputs[0].receptive_field
        (size, n), (step, pad) = (field.size[0], shape.dims[1]), (field.stride[0], field.padding[0])
        assert None not in (size, step, pad) and step == Fraction(1, t)
        seen = 0
        for r in range(m):
            part = one(x[..., r:, r:])[0]
            inside = [
                v for v in range(part.shape[1]) if m * v + t * r < whole.shape[1]
                and (low := (m * v + t * r) * step - pad) >= r + m and low + size <= n - m
            ]  # fmt: skip
            for u, v in itertools.product(inside, repeat=2):
                assert torch.equal(part[:, u, v], whole[:, m * u + t * r, m * v + t * r])
                seen += 1
    return seen


@pytest.mark.parametrize(("text", "m", "t"), TRANSPOSED)
def test_dense_transposed_convolutions_equal_all_shifts(text: str, m: int, t: int) -> None:
    """Where their stride has no factor in common with that by which their map has become finer."""
    shape = rfcalc.Shape(2, 40, 40)
    network = rfcalc.load(f"input: {shape}; {text}")
    found = {told: (made, finer) for told, made, finer in dense_of(network, shape)}
    made, finer = found["dilations for all strides"]
    assert finer == (m, m)
    assert transposed_equals_all_shifts(network, shape, made, m, t) > 100


def test_the_check_of_transposed_convolutions_sees_another_dilation() -> None:
    shape = rfcalc.Shape(2, 40, 40)
    network = rfcalc.load(f"input: {shape}; conv3-2/3 relu > convt4-2/2 p1 > conv3-2")
    wrong = Report(rfcalc.load(f"input: {shape}; conv3-2 relu > convt4-2/2 p2 d2 > conv3-2 d3 p3"), shape)
    with pytest.raises(AssertionError):
        transposed_equals_all_shifts(network, shape, wrong, 3, 2)


def test_what_cannot_be_dense_is_told() -> None:
    everywhere, beyond = "dilations for all strides", "dilations for strides beyond 2"
    no_dilation = ["lppool1", "has no dilation", "a convolution of stride 2", "after it"]
    no_stride = ["lppool1", "a stride that no dilation replaces"]
    not_followed = ["conv_transpose1", "does not follow", "2 times finer", "after it"]
    for text, reasons in (
        ("conv3-8/2 > lppool2 > conv3-8", {everywhere: no_dilation, beyond: no_stride}),
        ("conv3-8/2 > convt2-8/4 > conv3-8", {everywhere: not_followed}),
        ("lppool2 > conv3-8", {everywhere: no_stride}),
        ("pixelunshuffle2 > conv3-8", {everywhere: ["pixel_unshuffle1", "a stride that no dilation replaces"]}),
        ("conv3-8/2 > up2 > conv3-8", {everywhere: ["upsample1", "does not follow", "after it"]}),
    ):
        found = like(rfcalc.analyze(text, "3x32x32"), "", ["dense"])
        assert found.unfit.keys() == reasons.keys()
        for told, words in reasons.items():
            assert all(word in found.unfit[told] for word in words), found.unfit
    padded = like(rfcalc.analyze("conv3-8/2 > conv3-8 SAME", "3x32x32"), "stride <= 1", ["dense"])
    assert padded.designs
    assert not padded.unfit
    pool = rfcalc.analyze("conv3-8/2 > globalavgpool > flatten > fc10", "3x32x32")
    pooled = like(pool, "stride@conv1 <= 1", ["dense"])
    assert "4 times as many positions" in pooled.designs[0].notes[0]


# searches


def at_output(constraint: str) -> str:
    """A constraint on a node's figure, of the output."""
    name, rest = constraint.split(" ", 1)
    return f"{name}@output {rest}" if name in ("rf", "stride") else constraint


CASES = [
    ("conv7-16/2 bn relu > conv5-16 relu > conv3-10", "3x48x48", "params < 4k"),
    ("conv7-16 relu > conv7-16 relu > conv3-4", "3x48x48", "params < 30k, rf >= 15"),
    ("squeezenet1.1", "3x96x96", "params < 600k, macs < 20M"),
    ("resnet18", "3x64x64", "params < 8M, macs < 100M"),
    ("(conv3-8/2 relu > conv3-8) > conv1-4", "3x32x32", "stride <= 1"),
]


@pytest.mark.parametrize(("target", "given", "text"), CASES)
def test_every_variant_holds_what_was_asked(target: str, given: str | None, text: str) -> None:
    found = rfcalc.variants(target, text, given)
    assert found.designs
    assert found.optimal
    shape = next(iter(rfcalc.analyze(target, given).inputs.values()))
    for variant in found.designs:
        asked = ", ".join(at_output(c) for c in found.constraints)
        rfcalc.require(variant.notation, asked, input=shape)
        again = rfcalc.analyze(variant.notation, shape)
        assert again.totals.params == variant.figures["params"]
    json_ = found.to_dict()
    jsonschema.validate(json_, SCHEMA)
    params = rfcalc.analyze(target, given).totals.params
    for variant, told in zip(found.designs, json_["designs"], strict=True):
        jsonschema.validate(told["comparison"], COMPARED)
        figures = {f["name"]: f["values"] for f in told["comparison"]["figures"]}
        assert figures["params"] == [params, variant.figures["params"]]
        added = sum(change["params"] for change in told["comparison"]["comparisons"][0]["changes"])
        assert added == variant.figures["params"] - params


def test_each_shows_what_it_changes(capsys) -> None:
    net = ["--like", "conv7-64/2 relu > conv5-64 relu > conv1-10", "params < 80k", "--input", "3x64x64"]
    code, out, _ = call(capsys, *net)
    assert (code, out.count("against conv7-64/2"), "Variant 1 (" in out) == (0, 1, True)
    code, out, _ = call(capsys, *net, "--show", "2,4..5")
    assert [f"Variant {i} (" in out for i in range(1, 7)] == [False, True, False, True, True, False]
    code, out, _ = call(capsys, *net, "--show", "all")
    found = rfcalc.variants(net[1], net[2], "3x64x64")
    assert out.count("what differs") == len(found.designs) > 5


def test_relaxing_a_constraint_never_loses_a_variant() -> None:
    net = "conv7-32/2 bn relu > ((conv5-32 relu > conv3-32) + identity) relu > conv3-64/2 relu > conv1-10"
    for tight, loose in (("params < 20k", "params < 30k"), ("macs < 8M", "macs < 12M, rf >= 10")):
        few, many = (rfcalc.variants(net, t, "3x48x48") for t in (tight, loose))
        assert few.designs
        names = list(few.objectives)
        for v in few.designs:
            assert any(
                len(w.changes) <= len(v.changes) and all(w.figures[n] <= v.figures[n] for n in names)
                for w in many.designs
            )


def test_nothing_that_fits() -> None:
    found = rfcalc.variants("squeezenet1.1", "params < 100, weight_layers >= 10")
    assert not found.designs
    assert found.tightest[-1].constraint == "params < 100"
    bound = found.tightest[-1].bound
    assert rfcalc.variants("squeezenet1.1", f"params <= {bound}").designs
    assert not rfcalc.variants("squeezenet1.1", f"params < {bound}").designs


def test_a_search_that_is_stopped_says_so() -> None:
    found = like(rfcalc.analyze("resnet18", "3x64x64"), "params < 8M", most=50)
    assert (found.searched, found.optimal) == (50, False)
    assert found.size > 50


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 7, stride=2, padding=3), nn.BatchNorm2d(16), nn.ReLU())
        self.body = nn.Conv2d(16, 16, 5, padding=2)
        self.head = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.body(self.stem(x))).mean((2, 3)))


def test_every_sort_of_target(tmp_path: Path) -> None:
    module = Small().eval()
    notation = tmp_path / "net.toml"
    net = "conv7-16/2 bn relu > conv5-16 relu > conv1-4"
    assert run(["export", net, "--input", "3x32x32", "--to", "spec", "--output", str(notation)]) == 0
    exported = tmp_path / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no further package
        torch.onnx.export(module, (torch.zeros(1, 3, 32, 32),), str(exported), dynamo=False, opset_version=17)
    targets: list[tuple[Any, Any]] = [
        ("conv7-16/2 bn relu > conv5-16 relu > conv1-4", "3x32x32"),
        (str(notation), None),
        (module, "3x32x32"),
        (str(exported), None),
        ("squeezenet1.0", None),
    ]
    for target, given in targets:
        found = rfcalc.variants(target, "", given, moves=["stacks"])
        assert any("kernel 7 as 3 of 3" in o.told for c in found.choices for o in c.options), target


# the command line


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["design", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--like", "conv7-16/2 relu > conv3-16", "--input", "3x32x32", "params < 3k"], 0),
        (["--like", "lenet5", "params < 30"], 1),
        (["--like", "conv7-8 > relu", "--input", "3x32x32", "--moves", "stacks"], 0),
        (["--like", "conv3-8", "--input", "3x32x32", "--moves", "stacks,dense"], 0),
    ],
)
def test_json_follows_its_schema(capsys, arguments: list[str], code: int) -> None:
    found, out, _ = call(capsys, *arguments, "--json")
    assert found == code
    jsonschema.validate(json.loads(out), SCHEMA)
    for form in ("plain", "markdown", "latex", "html", "csv"):
        assert call(capsys, *arguments, "--format", form)[0] == code


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--like", "vgg61"], ["did you mean vgg"]),
        (["--like", "vgg16", "--moves", "stack"], ["did you mean stacks"]),
        (["--like", "vgg16", "parms < 3M"], ["did you mean params"]),
        (["--like", "conv3-C"], ["symbol"]),
        (["--like", "vgg16", "--minimize", "parms"], ["did you mean params"]),
        (["--like", "conv7-8 > relu", "--input", "3x32x32", "--show", "99"], ["no variant 99", "there are"]),
        (["--like", "conv7-8 > relu", "--input", "3x32x32", "--show", "x"], ["names no variants"]),
        (["rf >= 7", "--show", "1"], ["--show", "--like"]),
    ],
)
def test_bad_input(capsys, arguments: list[str], words: list[str]) -> None:
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    assert all(word in err for word in words), err


class Twins(nn.Module):
    """Two images through the same layers."""

    def __init__(self) -> None:
        super().__init__()
        self.f = nn.Sequential(nn.Conv2d(3, 18, 5, padding=2), nn.ReLU(), nn.Conv2d(18, 20, 3, 2, 1))
        self.d = nn.Conv2d(40, 2, 1)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.d(torch.cat([self.f(x), self.f(y)], 1))


def test_layers_that_share_weights_are_scaled_together() -> None:
    inputs = ["3x16x16", "3x16x16"]
    report = rfcalc.analyze(Twins().eval(), inputs)
    found = rfcalc.variants(Twins().eval(), "params < 6k", inputs, moves=["width"])
    assert found.designs
    for variant in found.designs:
        assert variant.report["f.0"].shape.channels == variant.report["f.0_1"].shape.channels
    odd = rfcalc.lint(Twins().eval(), inputs, rules=["channels"]).findings
    assert [f.node for f in odd] == ["f.0", "f.2"]
    for one, changed in zip(odd, ((24, 20), (18, 24)), strict=True):
        wider = Twins()
        wider.f[0], wider.f[2] = nn.Conv2d(3, changed[0], 5, padding=2), nn.Conv2d(changed[0], changed[1], 3, 2, 1)
        wider.d = nn.Conv2d(2 * changed[1], 2, 1)
        more = sum(p.numel() for p in wider.parameters()) - report.totals.params
        assert f"{more:,} parameters more" in one.remedy


def test_what_is_reshaped_with_its_channels_follows_them() -> None:
    """An embedding of a time step that is added to a map: `e[:, :, None, None]`."""
    text = "conv3-32/2 > (identity * (globalavgpool flatten > fc32 relu > reshape32x1x1)) > conv1-5"
    found = rfcalc.variants(text, "params < 1k", "3x16x16", moves=["width"])
    assert found.designs
    assert not found.unfit
    for design in found.designs:
        again = rfcalc.analyze(design.notation, "3x16x16")
        assert again.totals.params == design.figures["params"] < 1_000


class Halves(nn.Module):
    """Two halves of the channels, one of which is convolved, cut as `how` says."""

    def __init__(self, width: int, how: str) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width // 2, width // 2, 3, padding=1)
        self.c, self.how, self.half = nn.Conv2d(width, 10, 1), how, width // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.a(x)
        if self.how == "chunk":
            one, other = x.chunk(2, 1)
        elif self.how == "split":
            one, other = x.split([self.half, self.half], 1)
        else:
            one, other = x[:, : self.half], x[:, self.half :]
        return self.c(torch.cat([one, self.b(other)], 1))


class Heads(nn.Module):
    """Attention whose queries, keys and values are one layer, behind a class token and positions."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.e, self.q, self.p = nn.Conv2d(3, width, 4, 4), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.token, self.places = nn.Parameter(torch.zeros(1, 1, width)), nn.Parameter(torch.zeros(1, 10, width))
        self.norm, self.h, self.heads = nn.LayerNorm(width), nn.Linear(width, 5), heads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.e(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.places
        b, n, c = x.shape
        q, k, v = self.q(self.norm(x)).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = (q @ k.transpose(-2, -1)).softmax(-1) @ v
        return self.h(x + self.p(mixed.transpose(1, 2).reshape(b, n, c)))


class Fused(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.e, self.h = nn.Linear(16, width), nn.Linear(width, 5)
        self.m = nn.MultiheadAttention(width, 4, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.e(x)
        return self.h(x + self.m(x, x, x, need_weights=False)[0])


SCALED: dict[str, tuple[Any, str]] = {
    **{how: (lambda width, how=how: Halves(width, how), "3x12x12") for how in ("chunk", "split", "slice")},
    "heads": (Heads, "3x12x12"),
    "fused": (Fused, "10x16"),
}


@pytest.mark.parametrize("name", SCALED)
@pytest.mark.parametrize("factor", ["1/2", "3/4", "3/2"])
def test_channels_are_scaled_through_heads_and_cuts(name: str, factor: str) -> None:
    """The module itself, made with another width, has as many parameters and multiply-adds."""
    make, given = SCALED[name]
    found = rfcalc.variants(make(64).eval(), "params != 0", given, moves=["width"], factors=[factor])
    assert not found.unfit
    one = next(v for v in found.designs if v.changes == (f"channels × {factor}",)) if found.designs[1:] else None
    if Fraction(factor) > 1:  # it costs more, so that it is none of those that are listed
        (choice,) = found.choices
        draft = NetworkDraft(found.report)
        next(o for o in choice.options if o.told == f"channels × {factor}").change(draft)  # type: ignore[misc]
        totals = Report(draft.network(), found.report.inputs).totals
    else:
        assert one is not None
        totals = one.report.totals
    other = rfcalc.analyze(make(int(64 * Fraction(factor))).eval(), given).totals
    assert (totals.params, totals.macs, totals.values) == (other.params, other.macs, other.values)


def test_heads_that_cannot_be_scaled_are_named() -> None:
    found = rfcalc.variants(Heads(24, 8).eval(), "params != 0", "3x12x12", moves=["width"], factors=["1/2"])
    (why,) = {w for told, w in found.unfit.items() if told == "channels × 1/2"}
    assert "reshape" in why
    assert "channels on an axis of" in why
