"""`rfcalc verify`: computed beside measured; what disagrees is seen; the zoo on meta tensors; bytes kept."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import torch
from graphs import ORDER, Pick, grow

import rfcalc
from rfcalc import Activation, Conv, ConvTranspose, LpPool, MaxPool, Network, ReLU, Report, ref, to_torch, zoo
from rfcalc.backend.verify import CHECKS, chosen_device, counted, gradient, live, saved, verify
from rfcalc.backend.verify.document import document
from rfcalc.backend.verify.finding import BOUNDED, DISAGREES, EQUAL, UNSEEN
from rfcalc.cli import run
from rfcalc.core.errors import RfcalcError, UnknownName, Unsupported
from rfcalc.render import render
from rfcalc.report import schemas

torch.set_num_threads(1)
pytestmark = [
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel"),
    pytest.mark.filterwarnings("ignore:var.*degrees of freedom is <= 0"),  # statistics of a map of one value
]
SMALL = Network(Conv(4, 3, padding=1) >> ReLU() >> MaxPool(2) >> ConvTranspose(3, 2, stride=2), "2x12x12")
SAMPLE = [  # of every family; the exhaustive tier has all
    *("vgg16", "lenet5", "alexnet", "googlenet", "resnet50", "densenet121", "mobilenet-v2", "shufflenet-v2"),
    *("xception", "swin-t", "vit-b-16", "efficientnet-b0", "convnext-t", "inception-v3", "unet", "wavenet-block"),
    *("patchgan-70", "se-resnet50", "fpn-resnet50", "deeplabv3-resnet50", "tcn", "nin", "zfnet", "squeezenet"),
]


def quiet(doing: str) -> None: ...


def test_everything_of_a_small_network() -> None:
    found = verify(SMALL, what=CHECKS, as_is=True, draws=3)
    assert found.passed, render(document(found))
    assert found.checks == ("shapes", "macs", "params", "receptive_field", "as_is", "saved_bytes", "peak_bytes", "erf")
    schema = schemas.schema("verify")
    jsonschema.validate(json.loads(json.dumps(found.to_dict())), schema)


@pytest.mark.parametrize("what", ["shapes", "params", "macs", "saved_bytes"])
def test_control_a_wrong_figure_disagrees(what: str) -> None:
    """The module of another network beside this one's report."""
    other = Network(
        Conv(4, 5, padding=2, bias=False) >> ReLU() >> MaxPool(2) >> ConvTranspose(3, 4, stride=4), "2x12x12"
    )
    report, graph = Report(SMALL), to_torch(other)
    if what in ("shapes", "macs"):
        found = list(counted.shapes_and_macs(report, to_torch(other, device="meta"), frozenset((what,)), quiet))
    elif what == "params":
        found = list(counted.parameters(report, graph))
    else:
        found = list(saved.training(report, graph, "cpu", quiet))
    assert any(f.verdict == DISAGREES for f in found)
    assert any(f.verdict == EQUAL for f in found) or what in ("macs", "saved_bytes")


def test_control_a_wrong_region_disagrees(monkeypatch: pytest.MonkeyPatch) -> None:
    report = Report(SMALL)
    assert all(f.verdict == EQUAL for f in gradient.receptive(report, quiet))
    wider = Report(Network(Conv(4, 5, padding=2) >> ReLU() >> MaxPool(2) >> ConvTranspose(3, 2, stride=2), "2x12x12"))
    monkeypatch.setattr(gradient, "regions", lambda walked, name: rfcalc.receptive.region_walk.regions(wider, name))
    assert any(f.verdict == DISAGREES for f in gradient.receptive(report, quiet))


def test_phases_borders_and_the_middle_are_looked_at() -> None:
    units = gradient.chosen_units((9, 9), (4, 1))
    assert units[:3] == [(0, 0), (8, 8), (4, 4)]
    assert {(5, 5), (6, 6), (7, 7), (0, 4), (4, 8)} <= set(units)


def test_fields_larger_than_the_input_are_measured_on_thin_ones() -> None:
    report = rfcalc.analyze("conv3-8/2 x4 > conv3-8", "3x16x16")
    found = list(gradient.receptive(report, quiet))
    assert {f.figure.partition(" on ")[2] for f in found} == {"3x16x16", "3x70x1", "3x1x70"}
    assert all(f.verdict == EQUAL for f in found)


def zoo_on_meta(name: str) -> None:
    report = rfcalc.analyze(name)
    graph = to_torch(report.network, device="meta")
    found = [
        *counted.shapes_and_macs(report, graph, frozenset(("shapes", "macs")), quiet),
        *counted.parameters(report, graph),
    ]
    assert not [f for f in found if f.verdict == DISAGREES]
    assert sum(f.what == "shapes" for f in found) == len(report.network.nodes)


@pytest.mark.parametrize("name", [n for n in SAMPLE if n in zoo.networks()])
def test_the_zoo_on_meta_tensors(name: str) -> None:
    zoo_on_meta(name)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", zoo.networks())
def test_the_whole_zoo_on_meta_tensors(name: str) -> None:
    zoo_on_meta(name)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", zoo.networks())
def test_the_whole_zoo_by_gradient(name: str) -> None:
    assert not [f for f in gradient.receptive(rfcalc.analyze(name), quiet) if f.verdict == DISAGREES]


@pytest.mark.parametrize("name", ["vgg16", "resnet18"])
def test_receptive_fields_of_the_zoo(name: str) -> None:
    found = list(gradient.receptive(rfcalc.analyze(name), quiet))
    assert found
    assert all(f.verdict == EQUAL for f in found)


BYTES = {
    "vgg16-torchvision": 73_355_264,
    "vgg16": None,
    "alexnet": None,
    "alexnet-torchvision": None,
    "resnet18": None,
    "resnet50": None,
    "googlenet": None,
    "mobilenet-v2": None,
    "densenet121": None,
    "swin-t": None,
}


@pytest.mark.parametrize("name", BYTES)
def test_bytes_kept_for_backward_to_the_byte(name: str) -> None:
    report = rfcalc.analyze(name)
    graph = to_torch(report.network, in_place=True).train()
    measured, _ = saved.kept_bytes(graph, saved.examples(report, "cpu"))
    assert measured == report.totals.saved_bytes == (BYTES[name] or measured)


# A map may be a view of another's memory behind the first of these, and the others copy what does not lie in memory as
# they want it (a learned table is stretched over the batch): what is kept then follows from the layout too.
VIEWS = {"permute", "slice", "split", "pad", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "window_partition"}
LAYOUTS = VIEWS | {
    "parameter",
    "constant",
    "matmul",
    "attention_product",
    "self_attention",
    "window_attention",
    "recurrent",
}


def kept_bytes_of_random_graphs(cases: int, first: int, batch: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for seed in range(first, first + cases):
        network = grow(Pick(random.Random(seed).randbytes(400)), ORDER, 15, 8).network
        report = Report(network, batch=batch)
        if any(not any(getattr(n.layer, "table", None) or [1]) for n in network.nodes):
            continue  # a map that nothing feeds needs no gradient
        try:
            graph = to_torch(network, in_place=True)
        except Unsupported:
            found["unsupported"] += 1
            continue
        verdict = next(saved.training(report, graph, "cpu", quiet))
        layouts = LAYOUTS & {n.layer.kind for n in network.nodes}
        found[f"{verdict.verdict}{' with layouts' if layouts else ''}"] += 1
        assert verdict.verdict != DISAGREES or layouts, (seed, verdict, network)
    return found


def verified(cases: int, first: int) -> Counter[tuple[str, str]]:
    """Random graphs, everything that meta tensors show."""
    found: Counter[tuple[str, str]] = Counter()
    for seed in range(first, first + cases):
        network = grow(Pick(random.Random(seed).randbytes(400)), ORDER, 15, 8).network
        try:
            checked = verify(network, what=("shapes", "params", "macs", "peak_bytes"), device="cpu")
        except Unsupported:
            continue
        except RfcalcError as error:
            assert "statistics of a single value" in str(error)  # noqa: PT017
            continue
        for f in checked.findings:
            found[f.what, f.verdict] += 1
            # where nothing moves, a view keeps what it is a view of alive
            excused = f.what == "peak_bytes" and any(n.layer.lends for n in network.nodes)
            assert f.verdict != DISAGREES or excused, (seed, f, network)
    return found


def test_random_graphs_on_meta_tensors() -> None:
    found = verified(300, 50_000)
    assert found["macs", EQUAL] > 600, found
    assert found["peak_bytes", DISAGREES] <= 0.03 * 300
    assert found["peak_bytes", EQUAL] > 180, found


@pytest.mark.exhaustive
@pytest.mark.parametrize("part", range(4))
def test_many_random_graphs_on_meta_tensors(part: int) -> None:
    found = verified(3_000, 1_000_000 * (part + 1))
    assert found["peak_bytes", DISAGREES] <= 0.03 * 3_000


@pytest.mark.parametrize("batch", [1, 2])
def test_bytes_kept_by_random_graphs(batch: int) -> None:
    """To the byte, or a difference that is laid at nodes which PyTorch has no layer for."""
    found = kept_bytes_of_random_graphs(250, 4000 * batch, batch)
    assert found[EQUAL] + found[f"{EQUAL} with layouts"] >= 150, found
    assert found[f"{DISAGREES} with layouts"] <= (0.06 if batch == 1 else 0.12) * 250, found


@pytest.mark.exhaustive
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_bytes_kept_by_many_random_graphs(batch: int) -> None:
    found = kept_bytes_of_random_graphs(5_000, 100_000 * batch, batch)
    assert found[f"{DISAGREES} with layouts"] <= (0.06 if batch == 1 else 0.12) * 5_000, found


def test_where_bytes_differ_is_told() -> None:
    odd = Report(Network(Conv(4, 3, padding=1) >> LpPool(2, 4, rounding="ceil-onnx") >> Conv(2, 1), "1x9x9"))
    told = next(saved.training(odd, to_torch(odd.network), "cpu", quiet))
    assert told.verdict == BOUNDED
    assert "PyTorch has no layer for lppool1" in told.note
    wrong = Report(Network(Conv(4, 3, padding=1) >> Conv(2, 1), "1x9x9"))
    other = to_torch(Network(Conv(4, 3, padding=((1, 1), (0, 2))) >> Conv(2, 1), "1x9x9"))
    told = next(saved.training(wrong, other, "cpu", quiet))
    assert told.verdict == DISAGREES
    padded = 4 * 11 * 11  # the copy that unequal padding makes, kept in place of the input
    assert told.note == f"input 324 predicted, 0 kept; conv1 1,296 predicted, {1296 + padded:,} kept"


def test_slopes_keep_their_input_where_a_skip_reads_it_too() -> None:
    for function, kept in (("leaky_relu", 2), ("relu", 2), ("silu", 2)):
        skip = Network(
            Conv(2, 1).named("a") >> Activation(function).named("b") >> (ref("a") + ref("b")) >> Conv(1, 1), "2x5x5"
        )
        report = Report(skip)
        told = next(saved.training(report, to_torch(skip, in_place=True), "cpu", quiet))
        assert told.verdict == EQUAL, told
        assert report.totals.saved_bytes == (kept + 1) * 200
    alone = Report(Network(Conv(2, 1) >> Activation("leaky_relu") >> Conv(1, 1), "2x5x5"))
    assert alone.totals.saved_bytes == 2 * 200


def test_statistics_of_one_value_are_not_measured(capsys: pytest.CaptureFixture[str]) -> None:
    pooled = "globalavgpool > conv1-4 nobias bn relu"
    assert run(["verify", pooled, "--input", "3x8x8", "--what", "saved_bytes"]) == 0
    assert "takes no statistics of a single value" in " ".join(capsys.readouterr().out.split())
    assert run(["verify", pooled, "--input", "3x8x8", "--what", "saved_bytes", "--batch", "2"]) == 0
    assert "4 equal" in capsys.readouterr().out


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", zoo.networks())
def test_the_whole_zoos_bytes_kept_for_backward(name: str) -> None:
    report = rfcalc.analyze(name)
    if report.totals.saved_bytes > 3e9:
        pytest.skip("larger than this machine's memory allows")
    found = list(saved.training(report, to_torch(report.network, in_place=True), "cpu", quiet))
    if found[0].verdict == UNSEEN:  # batch statistics of one value
        report = Report(report.network, batch=2)
        found = list(saved.training(report, to_torch(report.network, in_place=True), "cpu", quiet))
    assert all(f.verdict == EQUAL for f in found)


def test_nothing_is_allocated_for_what_needs_no_values() -> None:
    report = rfcalc.analyze("vgg19")
    graph = to_torch(report.network, device="meta")
    assert all(p.is_meta for p in graph.parameters())
    found = verify(report, what=("shapes", "params", "macs"))
    assert found.passed


def test_what_a_plain_gradient_misses_is_explained() -> None:
    torch.manual_seed(3)
    network = Network(Conv(1, 3, padding=1) >> ReLU() >> MaxPool(2) >> Conv(1, 3, padding=1), "1x24x24")
    found = verify(network, what=("receptive_field",), as_is=True).of("as_is")
    assert found[-1].verdict == EQUAL
    assert found[0].verdict != EQUAL
    assert any("losing candidates" in f.note or "activations that are off" in f.note for f in found)


def test_bad_input() -> None:
    with pytest.raises(UnknownName, match="receptive_field"):
        verify(SMALL, what=("receptive",))
    with pytest.raises(RfcalcError, match="there is no device"):
        chosen_device("cuda:77")
    with pytest.raises(RfcalcError, match="no such file"):
        verify(SMALL, what=("saved_bytes",), weights="nothing.pt")


def test_a_picture_is_written_whole_or_refused_before_the_work(tmp_path: Path) -> None:
    done: list[str] = []
    with pytest.raises(RfcalcError, match="there is no folder"):
        verify(SMALL, what=("erf",), picture=tmp_path / "none" / "erf.png", tick=done.append)
    assert not done
    verify(SMALL, what=("erf",), draws=1, picture=tmp_path / "erf.png")
    assert [p.name for p in tmp_path.iterdir()] == ["erf.png"]
    with pytest.raises(RfcalcError, match="changes none of these checks"):
        verify(SMALL, what=("shapes",), weights="some.pt")


def test_out_of_memory_says_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(saved, "training", full)
    with pytest.raises(RfcalcError, match=r"(?s)out of memory on cpu.*GB"):
        verify(SMALL, device="cpu", what=("saved_bytes",))


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", "conv3-4 > maxpool2", "--input", "1x8x8"]) == 0
    told = capsys.readouterr().out
    assert "= multiply-adds that flop_counter sees  2,304" in told
    assert "\x1b" not in told
    assert run(["verify", "conv3-4", "--input", "1x8x8", "--what", "shapes", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["passed"]
    for wrong in (["--device", "tpu"], ["--what", "foo"], ["--batch", "0"], ["--picture", "x.png"], ["--format", "x"]):
        assert run(["verify", "conv3-4", *wrong]) == 2
        assert "Traceback" not in capsys.readouterr().err


def test_a_disagreement_is_exit_code_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    right = counted.parameters
    monkeypatch.setattr(counted, "parameters", lambda r, g: (f._replace(verdict=DISAGREES) for f in right(r, g)))
    assert run(["verify", "conv3-4", "--input", "1x8x8", "--what", "params"]) == 1
    assert "≠" in capsys.readouterr().out


def test_what_an_allocator_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """The path of a GPU, with an allocator that only says what it was asked for."""
    doings: list[int] = []

    def holds(amount: int) -> Callable[[Callable[[], None]], int]:
        def said(doing: Callable[[], None]) -> int:
            doing()
            doings.append(amount)
            return amount

        return said

    report = rfcalc.analyze("resnet18")
    for amount, verdict in ((30_000_000, BOUNDED), (0, DISAGREES), (1 << 40, DISAGREES)):
        monkeypatch.setitem(live.ALLOCATORS, "cpu", holds(amount))
        found = verify(report, device="cpu", what=("peak_bytes",)).of("peak_bytes")
        assert [f.verdict for f in found[1:]] == [verdict] * 2, found
        kept = sum(k.total(4, 1, "cpu") for k in report.kept)
        assert found[2].predicted == kept + 4 * report.totals.params
    assert len(doings) == 6


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ["vgg16", "resnet50", "mobilenet-v2", "swin-t"])
def test_on_a_gpu(name: str) -> None:
    found = verify(rfcalc.analyze(name), device="cuda")
    assert found.passed, render(document(found))
