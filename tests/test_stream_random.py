"""Streams of random networks in exact arithmetic: equal by == to the whole run, as late and as large as stated."""

from __future__ import annotations

import copy
from random import Random

import pytest
import torch
from streams import network, whole_numbers

import rfcalc
from rfcalc import Conv, Network, ReLU, series, to_torch
from rfcalc.backend.stream import to_stream
from rfcalc.backend.stream.tape import Tape
from rfcalc.core.errors import RfcalcError


def chunks(x: torch.Tensor, axis: int, size: int, r: Random) -> list[torch.Tensor]:
    """Random whole numbers of blocks."""
    blocks, at, found = x.shape[axis] // size, 0, []
    while at < blocks:
        count = min(r.choice([1, 2, 5, 11, 40]), blocks - at)
        found.append(x.narrow(axis, at * size, count * size))
        at += count
    return found


def streamed(stream, x: torch.Tensor, axis: int, r: Random) -> torch.Tensor:
    stream.reset()
    out = stream.lines[stream.output].axis
    parts = []
    for chunk in chunks(x, axis, stream.block["in"], r):
        parts.append(stream(chunk))
        assert parts[-1].shape[out] == chunk.shape[axis] // stream.block["in"] * stream.block["out"]
    stream.last_held = stream.held_bytes()
    return torch.cat([*parts, stream.flush()], out)


def full_after(stream) -> int:
    """After how many blocks the state has its full size.

    A map of which n(m) positions are known after m blocks stands on its line if n(m) is as far behind n(M) as the rates
    say, for a block M long after the beginning. Where all maps do, each gets the same positions with every further
    block (how many are known depends on the numbers before it by floors, which whole blocks do not change), so they
    stay there; before, they are behind it. What is kept then is what the plan lists, counted back from n(m), less what
    would lie before position 0: so nothing is missing once the lowest of it is 0 or more.
    """
    line, keeps = stream.plan.timeline, stream.plan.schedule.keeps
    size, holds, late = stream.block["in"], stream.plan.schedule.holds, 1 << 16
    end, m = line.counts(late * size, holds), 1
    while True:
        now = line.counts(m * size, holds)
        steady = all(
            at.axis is None or (n == e - (late - m) * size * at.rate and n + min(kept, default=0) >= 0)
            for at, n, e, kept in zip(line.lines, now, end, keeps, strict=True)
        )
        if steady:
            return m
        m += 1


def exact(seed: int) -> None:
    torch.set_num_threads(1)
    net = network(seed)
    whole = whole_numbers(to_torch(net), seed)
    stream = to_stream(whole)
    size, r = stream.block["in"], Random(seed)
    blocks = max(24, 240 // size, full_after(stream))
    x = torch.randint(
        -5, 6, (2, net.inputs["input"].dims[0], blocks * size), generator=torch.Generator().manual_seed(seed)
    ).double()
    with torch.no_grad():
        y = whole(x)
    assert y.isfinite().all() and y.abs().max() < 2**53
    for _ in range(2 if blocks < 60 else 1):
        got = streamed(stream, x, 2, r)
        assert got.shape[2] == y.shape[2] + stream.latency
        assert torch.equal(got[..., stream.latency :], y)
        assert not got[..., : stream.latency].any()
        assert stream.last_held == 2 * stream.state_bytes


@pytest.mark.parametrize("group", range(20))
def test_equal_to_the_whole_run(group: int) -> None:
    for seed in range(group * 100, group * 100 + 100):
        try:
            exact(seed)
        except RfcalcError as error:
            pytest.fail(f"{seed}: {error}")


@pytest.mark.exhaustive
@pytest.mark.parametrize("group", range(100))
def test_equal_to_the_whole_run_of_thousands(group: int) -> None:
    for seed in range(2000 + group * 200, 2000 + group * 200 + 200):
        exact(seed)


def test_steps_that_are_alike_are_played_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps played from tapes, in any order of chunks, after a reset and in a copy; a wrong tape would be seen."""
    torch.set_num_threads(1)
    played = []
    play = Tape.play
    monkeypatch.setattr(Tape, "play", lambda self, given: played.append(self) or play(self, given))
    for seed in range(40):
        whole = whole_numbers(to_torch(network(seed)), seed)
        stream = to_stream(whole)
        size = stream.block["in"]
        made = torch.Generator().manual_seed(seed)
        x = torch.randint(-5, 6, (1, stream.lines[0].shape[0], 60 * size), generator=made).double()
        with torch.no_grad():
            y = whole(x)
        for turn in range(3):
            stream.reset()
            if turn == 2:
                stream = copy.deepcopy(stream)
            parts = [stream(c) for c in x.split([size] * 30 + [10 * size] * 2 + [size] * 10, 2)]
            assert stream.held_bytes() == stream.state_bytes
            assert torch.equal(torch.cat([*parts, stream.flush()], 2)[..., stream.latency :], y), seed
    assert len(played) > 2000
    monkeypatch.setattr(Tape, "play", lambda self, given: play(self, [given[0] + 1, *given[1:]]))
    stream = to_stream(whole_numbers(to_torch(Network(Conv(2, 3, padding=1), "1x60"))))
    x = torch.ones(1, 1, 60).double()
    right = torch.cat([stream(x[..., :59]), stream(x[..., :1])], 2)
    stream.reset()
    assert not torch.equal(torch.cat([stream(c) for c in x.split(1, 2)], 2), right)


def changed_by_the_future(seed: int) -> bool:
    """Whether what would leave with one block less of latency still changes with what comes later."""
    net = network(seed)
    whole = whole_numbers(to_torch(net), seed)
    stream = to_stream(whole)
    size, out, late = stream.block["in"], stream.block["out"], stream.latency
    if late < out:
        return True  # there is no block less
    first, made = late // out, torch.Generator().manual_seed(seed)
    blocks = first + max(40, 200 // size)
    shape = (1, net.inputs["input"].dims[0], blocks * size)
    for m in range(first, first + 12):
        units = slice(m * out - late, m * out - late + out)
        for _ in range(3):
            x = torch.randint(-5, 6, shape, generator=made).double()
            other = torch.randint(-5, 6, shape, generator=made).double()
            other[..., : m * size] = x[..., : m * size]
            with torch.no_grad():
                runs = [whole(v)[..., units] for v in (x, other)]
            if not torch.equal(*runs):
                return True
    return False


@pytest.mark.parametrize("group", range(4))
def test_one_block_less_fails(group: int) -> None:
    torch.set_num_threads(1)
    for seed in range(group * 15, group * 15 + 15):
        assert changed_by_the_future(seed), seed


def read_by_the_framework(net: Network, size: int, out: int) -> tuple[int, int]:
    """Look-back and look-ahead by running the network: what is no number goes wherever it is read."""
    whole = whole_numbers(to_torch(net))
    (shape,) = (net.inputs[name].dims for name in net.inputs)
    middle = shape[1] // 2 // size * size
    x = torch.ones(size, *shape, dtype=torch.float64)
    for item in range(size):
        x[item, :, middle + item] = torch.nan
    with torch.no_grad():
        read = whole(x).isnan().any(1).nonzero().tolist()
    ahead = [middle + item - unit * size // out for item, unit in read]
    return max(-a for a in ahead), max(ahead)


def looks_as_far_as_it_says(seed: int) -> None:
    net = network(seed)
    plan = rfcalc.stream(net)
    assert plan.block is not None
    back, ahead = read_by_the_framework(net, plan.block["in"], plan.block["out"])
    assert (plan.lookback, plan.lookahead) == (back, ahead)
    rfcalc.require(net, f"lookback = {back}, lookahead = {ahead}")
    if ahead > 0:
        rfcalc.require(net, f"lookahead <= {ahead}ms@1kHz, lookahead <= {ahead * 1000}ms@1Hz")
        with pytest.raises(RfcalcError, match="lookahead"):
            rfcalc.require(net, f"lookahead < {ahead}ms@1kHz")


def test_look_back_and_look_ahead_by_running_the_network() -> None:
    torch.set_num_threads(1)
    for seed in range(100_000, 100_010):
        looks_as_far_as_it_says(seed)


@pytest.mark.exhaustive
def test_look_back_and_look_ahead_of_many_by_running_the_network() -> None:
    torch.set_num_threads(1)
    for seed in range(100_010, 100_200):
        looks_as_far_as_it_says(seed)


def least(widths: list[list[int]], windows: list[tuple[int, int, int]]) -> int:
    """The least state of a chain by trying every map that each window's input can be kept as.

    Args:
        widths: for each window the channels of the maps before it that are made position by position, its input last.
        windows: kernel, stride, dilation of each, without padding.
    """
    moment = 10_000  # blocks of the product of the strides
    count = moment
    for _, stride, _ in windows:
        count *= stride
    total = 0
    for maps, (k, s, d) in zip(widths, windows, strict=True):
        made = max(0, (count - 1 - d * (k - 1)) // s + 1)
        later = {s * u + d * t for u in range(made, made + k * d + 2) for t in range(k)}
        total += min(width * sum(1 for p in later if p < count) for width in maps)
        count = made
    return total


def test_no_smaller_state_is_possible_for_chains() -> None:
    r = Random(0)
    for _ in range(150):
        parts: list[object] = []
        widths, windows = [], []
        maps = [r.choice([1, 2, 8])]
        channels = maps[0]
        for _ in range(r.randint(1, 4)):
            for _ in range(r.randint(0, 3)):
                if r.random() < 0.4:
                    parts.append(ReLU())
                else:
                    parts.append(Conv(channels := r.choice([1, 2, 4, 16]), 1))
                    maps.append(channels)
            s = r.choice([1, 1, 2, 3])
            k, d = r.randint(max(2, s), 5), 1 if s > 1 else r.choice([1, 2, 3])
            parts.append(Conv(channels := r.choice([1, 4, 16]), k, stride=s, dilation=d))
            widths.append(maps)
            windows.append((k, s, d))
            maps = [channels]
        net = Network(series(parts), f"{widths[0][0]}x4000")
        plan = rfcalc.stream(net)
        late = sum(d.values for d in plan.delays if d.node == d.input)  # an output that waits for its block
        assert plan.state["values"] - late == least(widths, windows), net
