"""Random graphs along one axis: grids and the paths through or around a node, against sets of positions."""

from __future__ import annotations

import random
from fractions import Fraction
from functools import cache

import pytest

import rfcalc
from rfcalc import RfcalcError

PERIOD = 1296  # a multiple of every period that is drawn: 2⁴·3⁴
Graph = dict[str, tuple[str, tuple[str, ...], int]]  # name: the layer as written, what it reads, its extent


def taps(text: str, u: int) -> list[int]:
    """The positions that unit u reads, by the definition of each layer."""
    name, *numbers = text.split()
    n = [int(x) for x in numbers]
    if name == "window":
        k, s, p, d = n
        return [u * s - p + d * i for i in range(k)]
    if name == "transposed":
        k, s, p = n
        return [(u + p - i) // s for i in range(k) if (u + p - i) % s == 0]
    return [u // n[0]] if name == "up" else [u + n[0]] if name == "crop" else [u]


def written(text: str) -> str:
    """The same layer in the notation."""
    name, *n = text.split()
    if name == "window":
        return f"conv{n[0]}-2/{n[1]} p{n[2]} d{n[3]}"
    if name == "transposed":
        return f"convT{n[0]}-2/{n[1]} p{n[2]}"
    return f"up{n[0]}" if name == "up" else f"slice axis1 at{n[0]}:-{n[1]}" if name == "crop" else "add"


def extent(text: str, n: int) -> int:
    name, *numbers = text.split()
    v = [int(x) for x in numbers]
    if name == "window":
        return (n + 2 * v[2] - v[3] * (v[0] - 1) - 1) // v[1] + 1
    if name == "transposed":
        return (n - 1) * v[1] - 2 * v[2] + v[0]
    return n * v[0] if name == "up" else n - v[0] - v[1] if name == "crop" else n


def drawn(draw: random.Random) -> Graph:
    graph: Graph = {"x": ("", (), draw.randint(20, 40))}
    while len(graph) < 8:
        names = list(graph)
        pairs = [(a, b) for i, b in enumerate(names) for a in names[:i] if graph[a][2] == graph[b][2]]
        if pairs and draw.random() < 0.4:
            text, reads = "add", draw.choice(pairs[-4:])
        else:
            reads, k, d, s = (
                (draw.choice(names[-3:]),),
                draw.choice([1, 2, 3, 5]),
                draw.choice([1, 1, 2]),
                draw.choice([2, 3]),
            )
            windows = [f"window {k} {t} {draw.choice([0, d * (k - 1) // 2])} {d}" for t in (1, 1, s)]
            text = draw.choice(
                [*windows, f"transposed {s + draw.choice([-1, 0, 1])} {s} 0", f"up {s}", "crop 1 2", "crop 0 1"]
            )
        if 2 <= (n := extent(text, graph[reads[0]][2])) <= 150:
            graph[f"n{len(graph)}"] = (text, tuple(reads), n)
    return graph


def network(graph: Graph) -> rfcalc.Network:
    layers = {
        text: rfcalc.analyze(written(text), "2x99").network.nodes[0].layer
        for text, *_ in graph.values()
        if text not in ("", "add")
    }
    nodes = [(name, layers.get(text, rfcalc.Add()), reads) for name, (text, reads, _) in graph.items() if reads]
    outputs = tuple(name for name in graph if name != "x")
    return rfcalc.Network.from_nodes(nodes, {"x": f"2x{graph['x'][2]}"}, outputs=outputs)


@pytest.mark.parametrize("seed", range(12))
def test_grids_are_those_of_intervals_without_borders(seed: int) -> None:
    graph = drawn(random.Random(seed))

    @cache
    def hull(name: str, u: int) -> tuple[int, int] | None:
        text, reads, _ = graph[name]
        ends = [e for r in reads for t in taps(text, u) if (e := hull(r, t))] if reads else [(u, u)]
        return (min(e[0] for e in ends), max(e[1] for e in ends)) if ends else None

    for level in rfcalc.grid(network(graph)).levels:
        grid = level.grids[0]
        if grid is None:
            assert "strides meet" in level.why
            continue
        seen = {u: e for u in range(PERIOD) if (e := hull(level.name, u))}
        first, last = min(seen), max(seen)
        again = hull(level.name, first + PERIOD)
        assert again is not None
        stride = Fraction(again[0] - seen[first][0], PERIOD)
        middle = Fraction(min(e[0] for e in seen.values()) + max(e[1] for e in seen.values()), 2)
        assert (grid.stride, grid.size) == (stride, graph[level.name][2])
        assert grid.offset == middle - stride * Fraction(first + last, 2)
        far = [(u * stride.numerator // stride.denominator, e) for u, e in seen.items()]
        assert grid.reach == (max(place - e[0] for place, e in far), max(e[1] - place for place, e in far))


@pytest.mark.parametrize("seed", range(12))
def test_paths_are_those_of_marked_positions(seed: int) -> None:
    """Each position carries whether the path went through the node; what the other node held is forgotten."""
    draw = random.Random(seed)
    graph = drawn(draw)
    names = [name for name in graph if name != "x"]
    net = network(graph)
    for _ in range(5):
        at, via, without = draw.choice(names[-3:]), draw.choice([None, *names]), draw.choice(names)
        held: dict[str, list[set[tuple[int, bool]]]] = {"x": [{(u, via is None)} for u in range(graph["x"][2])]}
        for name in names:
            text, reads, n = graph[name]
            places = [[(r, t) for r in reads for t in taps(text, u) if 0 <= t < graph[r][2]] for u in range(n)]
            held[name] = [set().union(*(held[r][t] for r, t in found)) for found in places]
            if name == via:
                held[name] = [{(p, True) for p, _ in found} for found in held[name]]
            if name == without:
                held[name] = [set() for _ in range(n)]
        wanted = [{p for p, marked in found if marked} for found in held[at]]
        try:
            told = rfcalc.receptive_field(net, at, via=via, without=without).regions
        except RfcalcError:
            assert not any(wanted)
            continue
        assert [{p for (p,) in told.unit((u,)).pixels()} for u in range(len(wanted))] == wanted
