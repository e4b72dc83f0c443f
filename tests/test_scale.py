"""Size: long chains, dense graphs, limits. Ratios only, so that a slow machine changes nothing."""

from __future__ import annotations

from time import process_time

import rfcalc
from rfcalc import Concat, Conv, Network, ReLU, Report, series


def seconds(network: Network) -> float:
    start = process_time()
    report = Report(network)
    assert report.rows[-1].receptive_field.size[0] > 0
    assert report.totals.peak_bytes > 0
    return process_time() - start


def dense(layers: int) -> Network:
    nodes = [("conv0", Conv(1, 3, padding=1), ["input"])]
    for i in range(1, layers):
        before = [f"conv{j}" for j in range(i)]
        nodes += [(f"cat{i}", Concat(), before), (f"conv{i}", Conv(1, 3, padding=1), [f"cat{i}"])]
    return Network.from_nodes(nodes, "1x8x8")


def test_a_hundred_thousand_layers_in_a_chain() -> None:
    network = Network(series([Conv(1, 3, padding=1), ReLU()] * 50_000), "1x9x9")
    report = Report(network)
    assert report.rows[-1].receptive_field.size == (100_001, 100_001)
    assert len(repr(network)) > 100_000
    assert rfcalc.analyze(Network(Conv(1, 3, padding=1) * 100_000, "1x9x9")).totals.params == 1_000_000


def test_time_grows_with_the_edges() -> None:
    seconds(dense(20))
    edges = (600 * 601) / (150 * 151)  # sixteen times the edges; what else runs on the machine only slows a try down
    assert any(seconds(dense(600)) < edges * 3 * min(seconds(dense(150)) for _ in range(3)) for _ in range(4))


def test_a_dense_block_of_a_thousand_layers() -> None:
    report = Report(dense(1000))
    assert report["conv999"].receptive_field.size == (2001, 2001)


def test_ten_times_the_layers_take_ten_times_as_long() -> None:
    """With the collector of cyclic garbage on it would be 22 times. Each try measures both, side by side: what else
    runs on the machine only slows a try down."""

    def chain(layers: int) -> Network:
        return Network(series([Conv(1, 3, padding=1), ReLU()] * (layers // 2)), "1x9x9")

    small, large = chain(10_000), chain(100_000)
    seconds(small)
    assert any(seconds(large) < 16 * min(seconds(small) for _ in range(3)) for _ in range(6))


def test_the_collector_is_on_after_a_walk_and_after_an_error() -> None:
    import gc

    import pytest

    rfcalc.analyze("conv3-8", "3x8x8")
    assert gc.isenabled()
    with pytest.raises(rfcalc.RfcalcError):
        rfcalc.analyze("conv9-8 p0", "3x4x4")
    assert gc.isenabled()


def test_a_wide_distribution_spreads_as_a_narrow_one() -> None:
    from math import comb

    spread = rfcalc.receptive_field("conv2-4 p0 x200", input="4x400x400").effective_field((90, 90))[0]
    assert spread is not None
    assert all(abs(share - comb(200, p - 90) / 2**200) < 1e-12 for p, share in spread.shares.items())
    assert abs(spread.sigma - 50**0.5) < 1e-9


def test_layers_that_are_put_off_spread_as_one_by_one() -> None:
    """Kernels 2, 3 and 5 with dilations, through joins: against the convolution of the shares, one layer at a time."""
    text = "conv3-4 p0 x40 > conv2-4 p0 d3 x30 > (conv3-4 p0 x2 | conv5-4 p0) > conv5-4 p0 d2 x20 > conv3-4 p0 x40"
    line = {0: 1.0}
    kernels = [(3, 1)] * 40 + [(5, 2)] * 20
    both = [[(3, 1)] * 2, [(5, 1)]]
    for kernel, dilation in kernels:
        line = _spread_by(line, kernel, dilation)
    ways = []
    for branch in both:
        way = line
        for kernel, dilation in branch:
            way = _spread_by(way, kernel, dilation)
        ways.append(way)
    line = {p: (ways[0].get(p, 0.0) + ways[1].get(p, 0.0)) / 2 for p in sorted({*ways[0], *ways[1]})}
    for kernel, dilation in [(2, 3)] * 30 + [(3, 1)] * 40:
        line = _spread_by(line, kernel, dilation)
    spread = rfcalc.receptive_field(text, input="4x600x600").effective_field((0, 0))[0]
    assert spread is not None
    assert all(abs(share - line[p]) < 1e-12 for p, share in spread.shares.items())
    assert abs(sum(spread.shares.values()) - 1) < 1e-9


def _spread_by(line: dict[int, float], kernel: int, dilation: int) -> dict[int, float]:
    found: dict[int, float] = {}
    for p, m in line.items():
        for t in range(kernel):
            found[p + dilation * t] = found.get(p + dilation * t, 0.0) + m / kernel
    return found


def test_the_whole_description_of_a_long_chain_is_linear() -> None:
    def seconds(count: int) -> float:
        begun = process_time()
        rfcalc.receptive_field(f"conv3-8 x{count}", input="3x32x32").to_dict()
        return process_time() - begun

    seconds(200)
    assert any(seconds(8_000) < 16 * min(seconds(800) for _ in range(3)) for _ in range(4))
