"""Plans of streams: known values, rules of caches, latencies, blockers, the command."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import torch

import rfcalc
from rfcalc.backend.stream.runtime import Read
from rfcalc.cli import run
from rfcalc.core.errors import ConstraintFailed, RfcalcError
from rfcalc.core.window import Slide, Table
from rfcalc.plan.positions import kept, known
from rfcalc.plan.schedule import MOST_WORK, Tries, _again
from rfcalc.report import schemas

SCHEMA = schemas.schema("stream")


def stream(text: str, shape: str = "1x16000", **options):
    plan = rfcalc.stream(text, shape, **options)
    jsonschema.validate(plan.to_dict(), SCHEMA)
    return plan


def test_known_values() -> None:
    demucs = stream(" > ".join(["conv8-8/4 p0"] * 5), "1x65536")
    assert demucs.lookahead + demucs.lookback + 1 == 2388
    first = stream(" > ".join(["convT2-4 > slice axis1 at1:"] * 7), "4x1000")
    last = stream(" > ".join(["convT2-4 > slice axis1 at:-1"] * 7), "4x1000")
    assert (first.lookahead, last.lookahead) == (7, 0)
    strided = stream("conv3-1/2 p1")
    assert (strided.lookahead, strided.lookback, strided.latency) == (1, 1, 0)
    assert strided.block == {"in": 2, "out": 1}


@pytest.mark.parametrize(
    ("layer", "positions"),
    [
        ("conv5-1 p0", 4),
        ("conv3-1 d4 p0", 8),
        ("conv5-1/2 p0", 3),
        ("conv3-1/2 d2 p0", 2),
        ("conv4-1/3 d3 p0", 3),
        ("conv2-1/2 d3 p0", 1),
        ("conv2-1/2 p0", 0),
        ("maxpool3/2 p0", 1),
        ("convT4-1/2 p1", 1),
    ],
)
def test_a_window_keeps_what_later_windows_read(layer: str, positions: int) -> None:
    plan = stream(layer)
    assert sum(c.positions for c in plan.caches) == positions


def test_the_cache_stands_on_the_thinner_side() -> None:
    before = stream("conv1-64 > relu > conv3-64 p1", "2x16000")
    assert [(c.node, c.of, c.positions, c.channels) for c in before.caches] == [("conv1", "input", 2, 2)]
    after = stream("conv3-64 p1 > conv1-2 > conv3-64 p1", "64x16000")
    assert [(c.of, c.channels) for c in after.caches] == [("input", 64), ("conv2", 2)]


def test_what_two_nodes_read_is_kept_once() -> None:
    plan = stream("conv3-4 p1 + identity", "4x16000")
    assert [(d.node, d.positions, d.bytes) for d in plan.delays] == [("add1", 1, 0)]
    assert plan.state == {"values": 8, "bytes": 32}


def test_a_branch_waits_where_it_is_thin() -> None:
    """The earlier branch is made later, from two channels, instead of being kept with 64."""
    plan = stream("(conv9-64 p4 > relu) + (conv1-64 > conv3-64 p1)", "2x16000")
    assert [(d.input, d.positions) for d in plan.delays] == [("conv3", 3)]
    assert plan.state == {"values": 16, "bytes": 64}


def test_units_of_time() -> None:
    plan = stream("conv3-8 p1 > conv3-8/2 p1", rate="16kHz")
    assert (plan.lookahead_ms, plan.latency_ms) == (0.125, 0.125)
    assert rfcalc.stream("conv3-8 p1", "1x100").latency_ms is None


def test_reflection_waits_at_the_beginning() -> None:
    plan = stream("conv4-1 reflect p3:0")
    assert (plan.lookahead, plan.latency, plan.at_start) == (0, 3, 3)
    assert stream("conv4-1 replicate p3:0").latency == 0


@pytest.mark.parametrize(
    ("text", "node", "fix"),
    [
        ("conv3-8 p1 > gn2", "groupnorm1", "normalise over the channels"),
        ("conv3-8 p1 > in", "instancenorm1", "running statistics"),
        ("conv3-8 p1 > globalavgpool", "adaptive_pool1", "fixed window"),
        ("permute1x0 > lstm8 bidirectional", "lstm1", "one direction"),
        ("permute1x0 > attention1", "self_attention1", "window"),
        ("conv3-8 p1 circular", "conv1", "zeros"),
        ("conv3-8 p1 > fc10", "linear1", "convolution"),
        ("conv3-8 p1 > positions", "position_table1", "relative"),
        ("conv3-8 p1 > adaptiveavgpool400", "adaptive_pool1", "fixed window"),
        ("conv3-8 p1 > resize400", "upsample1", "whole factor"),
        ("conv3-8 p1 > softmax axis1", "softmax1", "channels"),
    ],
)
def test_blockers_are_named(text: str, node: str, fix: str) -> None:
    plan = stream(text, "4x400" if "attention" not in text else "4x40")
    assert not plan.possible
    assert plan.blockers[0].node == node
    assert fix in plan.blockers[0].fix
    assert plan.latency is None and plan.state is None


def test_every_blocker_is_named() -> None:
    plan = stream("conv3-8 p1 > gn2 > conv3-8 p1 > gn4", "4x400")
    assert [b.node for b in plan.blockers] == ["groupnorm1", "groupnorm2"]


def test_a_recurrence_looks_back_without_end() -> None:
    plan = stream("permute1x0 > lstm8 > permute1x0", "4x400")
    assert (plan.lookback, plan.lookahead, plan.latency) == (None, 0, 0)
    assert plan.state == {"values": 16, "bytes": 64}
    assert not plan.overlap(100).enough


def test_overlap() -> None:
    plan = stream("conv7-4 p3 > conv3-4 p1")
    assert plan.overlap(8).enough and not plan.overlap(7).enough
    assert plan.overlap(7).needed == 8
    with pytest.raises(RfcalcError, match="negative"):
        plan.overlap(-1)


def test_two_roads_to_what_is_known() -> None:
    """The counts of the plan and of the running stream, each beside the definition."""
    for index in (
        Slide(2, -1, 3),
        Slide(1, -2, 3, 2),
        Slide(3, 0, 2),
        Table(1, [[-1, 0], [0], []]),
        Table(2, [[0, 1], [1, 2]]),
    ):
        read = (
            Read(0, index.stride, index.first, index.kernel, index.dilation)
            if isinstance(index, Slide)
            else Read(0, index.advance, phases=index.phases)
        )
        for count in range(1, 30):
            expected = next(u for u in range(200) if any(t >= count for t in index.taps(u)))
            assert known(index, count) == read.known(count) == expected
            for start in range(expected + 1):
                taps = {t for u in range(start, 200) for t in index.taps(u) if 0 <= t < count}
                assert kept(index, start, count) == taps
                assert not taps or read.lowest(start) <= min(taps)


def test_bad_input() -> None:
    for rate in (0, -1, "fast", "0kHz"):
        with pytest.raises(RfcalcError, match="rate"):
            rfcalc.stream("conv3-8", "1x100", rate=rate)
    for axis in (1, -2, 7, "time", None):
        with pytest.raises(RfcalcError, match="no axis"):
            rfcalc.stream("conv3-8", "1x100", axis=axis)
    with pytest.raises(RfcalcError, match="no axis to stream"):
        rfcalc.stream("fc10", "100")


def test_chunks_that_are_refused() -> None:
    made = rfcalc.to_stream("conv3-2/2 p1", "1x100")
    for x in (torch.zeros(1, 1, 0), torch.zeros(1, 1, 3)):
        with pytest.raises(RfcalcError, match="block"):
            made(x)
    with pytest.raises(RfcalcError, match="nothing has come"):
        made.flush()
    made(torch.zeros(1, 1, 4))
    for x in (torch.zeros(1, 2, 4), torch.zeros(1, 4), torch.zeros(1, 1, 4, 1)):
        with pytest.raises(RfcalcError, match="takes N×1×…"):
            made(x)
    with pytest.raises(RfcalcError, match="batch"):
        made(torch.zeros(2, 1, 4))
    made.flush()
    for again in (lambda: made(torch.zeros(1, 1, 4)), made.flush):
        with pytest.raises(RfcalcError, match="has ended"):
            again()
    made.reset()
    assert made(torch.zeros(3, 1, 4)).shape == (3, 2, 2)


class Resampled(torch.nn.Module):
    """A low-pass filter that is no parameter, as in resamplers and in BigVGAN, between two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = torch.nn.Conv1d(1, 4, 3, padding=1), torch.nn.Conv1d(4, 1, 3, padding=1)
        self.register_buffer("taps", torch.hamming_window(12, periodic=False)[None, None] / 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.nn.functional.pad(self.first(x), (5, 6), mode="replicate")
        x = torch.nn.functional.conv1d(x, self.taps.expand(4, -1, -1), stride=2, groups=4)
        return self.last(x.relu())


def test_fixed_kernels_of_a_module() -> None:
    whole = Resampled().double()
    stream = rfcalc.to_stream(whole, "1x64")
    assert rfcalc.stream(whole, "1x64").latency == stream.latency
    x = torch.randn(1, 1, 128, dtype=torch.float64)
    with torch.no_grad():
        parts = [*(stream(c) for c in x.split(16, -1)), stream.flush()]
        assert torch.allclose(torch.cat(parts, -1)[..., stream.latency :], whole(x), rtol=0, atol=1e-12)


def test_a_refused_chunk_leaves_the_stream_where_it_stood() -> None:
    made = rfcalc.to_stream("conv3-2 p1 > relu > conv3-1 p1", "1x100")
    x = torch.randn(1, 1, 12)
    whole = torch.cat([made(x), made.flush()], -1)
    bad: list[Any] = [[1.0], None, x.numpy(), x.double(), x.long(), x[:0]]
    for begun in (False, True):
        made.reset()
        parts = [made(x[..., :5])] if begun else []
        for chunk in bad:
            with pytest.raises(RfcalcError):
                made(chunk)
        parts += [made(c) for c in x[..., 5 if begun else 0 :].split(1, -1)]
        assert torch.allclose(torch.cat([*parts, made.flush()], -1), whole, atol=1e-6)


def test_a_layer_that_fails_leaves_the_stream_where_it_stood() -> None:
    made = rfcalc.to_stream("conv3-2 p1 > relu > conv3-1 p1", "1x100")
    x = torch.randn(1, 1, 12)
    whole = torch.cat([made(x), made.flush()], -1)
    made.reset()
    parts = [made(x[..., :4])]
    for chunk in x[..., 4:].split(1, -1):
        hook = made.net.conv2.register_forward_pre_hook(lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            made(chunk)
        hook.remove()
        parts.append(made(chunk))
    assert torch.allclose(torch.cat([*parts, made.flush()], -1), whole, atol=1e-6)


def test_blocked_networks_are_not_built() -> None:
    with pytest.raises(ConstraintFailed, match="groupnorm1"):
        rfcalc.to_stream("conv3-8 p1 > gn2", "1x100")


def test_one_axis_of_images() -> None:
    whole = rfcalc.to_torch(rfcalc.load("conv3-4 p1 > relu > maxpool2 > conv3-2 p1"), "1x24x16", seed=0).double()
    x = torch.randn(2, 1, 24, 16, dtype=torch.float64)
    for axis in (0, 1, -1):
        made = rfcalc.to_stream(whole, axis=axis)
        at = 2 + axis % 2
        parts = [made(c) for c in x.split(made.block["in"], dim=at)]
        got = torch.cat([*parts, made.flush()], at)
        assert torch.allclose(got.narrow(at, made.latency, whole(x).shape[at]), whole(x))


def test_the_modules_mode_is_its_own() -> None:
    whole = rfcalc.to_torch(rfcalc.load("conv3-4 p1 > bn > relu"), "1x24").train()
    made = rfcalc.to_stream(whole)
    assert whole.training and all(m.training for m in whole.modules()) and not made.training
    assert {id(p) for p in made.parameters()} == {id(p) for p in whole.parameters()}


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(["stream", "conv3-8 p1 > conv3-8/2 p1", "--input", "1x16000", "--rate", "16000", "--check-overlap", "8"])
        == 0
    )
    told = capsys.readouterr().out
    assert "overlap of 8" in told and "0.125 ms" in told
    assert run(["stream", "conv3-8 p1", "--input", "1x16000", "--check-overlap", "1"]) == 1
    assert run(["stream", "conv3-8 p1 > gn2", "--input", "1x16000"]) == 1
    assert "groupnorm1" in capsys.readouterr().out
    assert run(["stream", "conv3-8 p1", "--input", "1x16000", "--rate", "0"]) == 2
    capsys.readouterr()
    assert run(["stream", "conv3-8 p1", "--input", "1x16000", "--check-overlap", "8", "-f", "json"]) == 0
    jsonschema.validate(json.loads(capsys.readouterr().out), SCHEMA)


def test_metrics_and_constraints() -> None:
    report = rfcalc.analyze("conv3-8 p1 > conv5-8/2 p2 > convT4-8/2 p1", "1x16000")
    row = report.outputs[0]
    plan = rfcalc.stream("conv3-8 p1 > conv5-8/2 p2 > convT4-8/2 p1", "1x16000")
    assert row.receptive_field.lookahead == (plan.lookahead,)
    assert row.receptive_field.lookback == (plan.lookback,)
    rfcalc.require(report, "lookahead <= 20ms@16kHz, lookback@conv1 = 1")
    with pytest.raises(ConstraintFailed, match="lookahead is 4"):
        rfcalc.require(report, "lookahead <= 0.2 ms @ 16000")
    with pytest.raises(RfcalcError, match="no rate"):
        rfcalc.require(report, "lookahead <= 20ms")
    with pytest.raises(RfcalcError, match="rate"):
        rfcalc.require(report, "lookahead <= 20ms@0")


def test_a_table_has_them_as_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["table", "conv3-8 p1 > conv3-8 p1", "--input", "1x100", "--columns", "name,lookahead,lookback"]) == 0
    assert "look-ahead" in capsys.readouterr().out


def test_small_inputs_and_several_outputs() -> None:
    made = rfcalc.to_stream("conv3-8 p1 > maxpool3/2 p1", "1x1")
    assert made(torch.zeros(1, 1, 2)).shape == (1, 8, 1)
    net = rfcalc.Network(
        rfcalc.Conv(2, 3, padding=1) >> rfcalc.Conv(2, 5, padding=2), "1x50", outputs=("conv1", "conv2")
    )
    plan = rfcalc.stream(net)
    assert plan.output == "conv1" and "conv1 that is streamed" in " ".join(plan.assumptions)
    assert rfcalc.stream(net, at="conv2").latency == 3


def test_the_search_for_the_least_state_looks_at_each_map_a_few_times() -> None:
    """Counted, not timed: what is made again is tried by looking at what it changes, not at the whole network."""
    looked = []
    for copies in (40, 400):
        plan = rfcalc.stream(f"conv3-8 > (conv3-8 bn relu + identity) x{copies}", "3x64x64")
        tries = Tries(plan.timeline, plan.latency)
        start = tries.schedule({})
        tries.left = MOST_WORK
        _again(tries, start)
        looked.append(MOST_WORK - tries.left)
    assert 0 < looked[1] <= 11 * looked[0]


def test_taking_every_improvement_finds_less_in_a_large_network() -> None:
    plan = rfcalc.stream("conv3-16 > (conv1-16 g4 shuffle4 conv3-16 g4 + identity) x60", "3x32x32")
    assert plan.schedule is not None
    tries = Tries(plan.timeline, plan.latency)
    assert plan.schedule.bytes < _again(tries, tries.schedule({})).bytes
    assert plan.schedule.bytes == sum(
        len(k) * m.weight for k, m in zip(plan.schedule.keeps, tries.line.lines, strict=True)
    )


def test_rf_tells_how_far_a_unit_looks_to_either_side(capsys: pytest.CaptureFixture[str]) -> None:
    from rfcalc.cli import run

    assert run(["rf", "conv5-8 p2 > conv3-8/2 p1", "--input", "1x100"]) == 0
    assert "From its own place a unit looks 3 back and 3 ahead." in capsys.readouterr().out
    assert run(["rf", "conv3-8 p1 > permute1x0 > gru8", "--input", "1x100"]) == 0
    assert "looks back to the beginning and 1 ahead" in capsys.readouterr().out
    assert run(["rf", "conv3-8", "--columns", "lookahead"]) == 2
    assert "did you mean --columns" not in capsys.readouterr().err
