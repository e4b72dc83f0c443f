"""Streams of random networks in exact arithmetic: equal by == to the whole run, as late and as large as stated."""

from __future__ import annotations

from random import Random

import pytest
import torch
from streams import network, whole_numbers

from rfcalc import to_torch
from rfcalc.backend.stream import to_stream
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


def exact(seed: int) -> None:
    torch.set_num_threads(1)
    net = network(seed)
    whole = whole_numbers(to_torch(net), seed)
    stream = to_stream(whole)
    size, r = stream.block["in"], Random(seed)
    blocks = max(24, 240 // size)
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


@pytest.mark.parametrize("group", range(10))
def test_equal_to_the_whole_run(group: int) -> None:
    for seed in range(group * 30, group * 30 + 30):
        try:
            exact(seed)
        except RfcalcError as error:
            pytest.fail(f"{seed}: {error}")


@pytest.mark.exhaustive
@pytest.mark.parametrize("group", range(100))
def test_equal_to_the_whole_run_of_thousands(group: int) -> None:
    for seed in range(1000 + group * 200, 1000 + group * 200 + 200):
        exact(seed)
