"""The closed formulas of the textbooks, from the parameters of layers: sizes, costs, memory, receptive fields.

Nothing of rfcalc is imported here; whoever computes says what the layers are.
"""

from __future__ import annotations

from math import prod
from typing import Any

Dims = tuple[int, ...]


def per(values: Any, i: int) -> Any:
    return values[i] if len(values) > 1 else values[0]


def sides(layer: Any, n: int, i: int) -> tuple[int, int]:
    k, d = per(layer.kernel, i), per(getattr(layer, "dilation", (1,)), i)
    if layer.padding == "same":
        total = d * (k - 1)
        return total // 2, total - total // 2
    assert not isinstance(layer.padding, str)
    return per(layer.padding, i)


def length(layer: Any, n: int, i: int) -> int:
    k, s, d = per(layer.kernel, i), per(layer.stride, i), per(getattr(layer, "dilation", (1,)), i)
    a, b = sides(layer, n, i)
    rest = n + a + b - d * (k - 1) - 1
    assert rest >= 0
    if getattr(layer, "rounding", "floor") == "floor":
        return rest // s + 1
    found = (rest + s - 1) // s + 1
    return found - 1 if (found - 1) * s >= n + a else found


class Sums:
    """Shapes, costs, memory and receptive fields of a network on one input."""

    def __init__(self, network: Any, shape: Dims) -> None:
        self.network = network
        (self.source,) = network.inputs
        self.shapes: dict[str, Dims] = {self.source: shape}
        for node in network.nodes:
            self.shapes[node.name] = self.output(node.layer, [self.shapes[s] for s in node.inputs])

    def output(self, layer: Any, xs: list[Dims]) -> Dims:
        x, kind = xs[0], layer.kind
        if kind in ("conv", "depthwise", "maxpool", "avgpool"):
            channels = layer.out_channels if kind == "conv" else x[0] * getattr(layer, "multiplier", 1)
            return (channels, *[length(layer, n, i) for i, n in enumerate(x[1:])])
        if kind == "conv_transpose":
            found = []
            for i, n in enumerate(x[1:]):
                k, s, d = per(layer.kernel, i), per(layer.stride, i), per(layer.dilation, i)
                found.append((n - 1) * s + d * (k - 1) + 1 - sum(per(layer.padding, i)) + per(layer.output_padding, i))
            return (layer.out_channels, *found)
        if kind == "upsample":
            return (x[0], *[n * per(layer.factor, i) for i, n in enumerate(x[1:])])
        if kind == "pad":
            return (x[0], *[n + sum(per(layer.padding, i)) for i, n in enumerate(x[1:])])
        if kind == "adaptive_pool":
            return (x[0], *[1 if per(layer.size, i) == 1 else per(layer.size, i) or n for i, n in enumerate(x[1:])])
        if kind == "flatten":
            return (prod(x),)
        if kind == "linear":
            return (layer.out_features,)
        if kind == "concat":
            return (sum(y[0] for y in xs), *x[1:])
        assert kind in ("activation", "batchnorm", "lrn", "dropout", "add", "identity", "softmax"), kind
        return x

    def cost(self, name: str) -> dict[str, int]:
        """weights, biases, buffers, macs of a node, and what tools count besides."""
        node = self.network.node(name)
        layer, x, y = node.layer, self.shapes[node.inputs[0]], self.shapes[name]
        kind: str = layer.kind
        weights = biases = buffers = macs = 0
        if kind in ("conv", "conv_transpose", "depthwise"):
            kernel = prod(per(layer.kernel, i) for i in range(len(x) - 1))
            table = getattr(layer, "table", None)
            if kind == "depthwise":
                weights = kernel * y[0]
            elif table is not None:
                weights = kernel * sum(map(len, table))
            else:
                weights = kernel * x[0] * y[0] // layer.groups
            biases = y[0] if layer.bias else 0
            macs = weights * prod(x[1:] if kind == "conv_transpose" else y[1:])
        elif kind == "linear":
            weights, biases = x[0] * y[0], y[0] if layer.bias else 0
            macs = weights
        elif kind == "batchnorm":
            weights = biases = y[0]
            buffers = 2 * y[0]
        return {"weights": weights, "biases": biases, "params": weights + biases, "buffers": buffers, "macs": macs}

    def total(self, figure: str) -> int:
        if figure == "values":
            return prod(self.shapes[self.source]) + sum(
                prod(self.shapes[n.name])
                for n in self.network.nodes
                if n.layer.kind not in ("flatten", "identity", "activation", "dropout")
            )
        if figure == "peak":
            return self.peak(4)
        factor = 2 if figure == "flops" else 1
        name = "macs" if figure == "flops" else figure
        return factor * sum(self.cost(n.name)[name] for n in self.network.nodes)

    def peak(self, itemsize: int) -> int:
        """Run it, free every map after its last reader, and note the most that is held."""
        home: dict[str, str] = {self.source: self.source}
        for node in self.network.nodes:
            alias = node.layer.kind in ("flatten", "identity", "activation", "dropout")
            home[node.name] = home[node.inputs[0]] if alias else node.name
        uses: dict[str, int] = dict.fromkeys(set(home.values()), 0)
        for node in self.network.nodes:
            for name in {home[s] for s in node.inputs}:
                uses[name] += 1
        for name in self.network.outputs:
            uses[home[self.network.nodes[self.network.position(name) - 1].name]] += 10**9
        held, most = {self.source}, itemsize * prod(self.shapes[self.source])
        for node in self.network.nodes:
            held.add(home[node.name])
            beside = 8 * prod(self.shapes[node.name]) if "max" in node.layer.kind else 0
            most = max(most, itemsize * sum(prod(self.shapes[name]) for name in held) + beside)
            for name in {home[s] for s in node.inputs}:
                uses[name] -= 1
                # a map that is written in place is read on under another name
                if uses[name] == 0:
                    held.discard(name)
        return most

    def seen(self, at: str) -> list[tuple[int, int]]:
        """(receptive field, stride) on each axis: lines lo(u) = j·u + a and hi(u) = j·u + b, or masks where units
        differ."""
        rank = len(self.shapes[self.source]) - 1
        if any(n.layer.kind in ("conv_transpose", "upsample") for n in self.network.nodes):
            return [self.masks(at, axis) for axis in range(rank)]
        found = []
        for axis in range(rank):
            lines: dict[str, tuple[int, int, int] | None] = {self.source: (1, 0, 0)}
            for node in self.network.nodes:
                parts = [p for s in node.inputs if (p := self.line(node.layer, lines[s], s, axis)) is not None]
                if len(parts) < len(node.inputs) or len({p[0] for p in parts}) != 1:
                    lines[node.name] = None
                else:
                    lines[node.name] = (parts[0][0], min(p[1] for p in parts), max(p[2] for p in parts))
            line = lines[at]
            assert line is not None
            found.append((line[2] - line[1] + 1, line[0]))
        return found

    def line(self, layer: Any, line: tuple[int, int, int] | None, read: str, axis: int) -> tuple[int, int, int] | None:
        if line is None or layer.kind in ("flatten", "linear", "adaptive_pool"):
            return None
        j, a, b = line
        if layer.kind == "pad":
            p = per(layer.padding, axis)[0]
            return (j, a - j * p, b - j * p)
        if layer.kind not in ("conv", "depthwise", "maxpool", "avgpool"):
            return line
        k, s, d = per(layer.kernel, axis), per(layer.stride, axis), per(getattr(layer, "dilation", (1,)), axis)
        p = sides(layer, self.shapes[read][axis + 1], axis)[0]
        return (j * s, a - j * p, b + j * (d * (k - 1) - p))

    def masks(self, at: str, axis: int) -> tuple[int, int]:
        """Forward, on a long line: the set of pixels of every unit, as bits; units of the middle are looked at."""
        size = 512
        rows: dict[str, list[int]] = {self.source: [1 << i for i in range(size)]}
        for node in self.network.nodes:
            parts = [self.forward(node.layer, rows[s], axis) for s in node.inputs]
            rows[node.name] = [_any(masks) for masks in zip(*parts, strict=True)]
            if node.name == at:
                break
        row = rows[at]
        middle = range(len(row) * 3 // 8 // 16 * 16, len(row) * 3 // 8 // 16 * 16 + 17)
        ends = [((row[u] & -row[u]).bit_length() - 1, row[u].bit_length() - 1) for u in middle]
        return max(b - a + 1 for a, b in ends), (ends[16][0] - ends[0][0]) // 16

    def forward(self, layer: Any, row: list[int], axis: int) -> list[int]:
        if layer.kind in ("conv", "depthwise", "maxpool", "avgpool"):
            k, s, d = per(layer.kernel, axis), per(layer.stride, axis), per(getattr(layer, "dilation", (1,)), axis)
            a, b = sides(layer, len(row), axis)
            padded = [0] * a + row + [0] * b
            count = (len(padded) - d * (k - 1) - 1) // s + 1
            return [_any(padded[u * s + d * t] for t in range(k)) for u in range(count)]
        if layer.kind == "upsample":
            return [m for m in row for _ in range(per(layer.factor, axis))]
        if layer.kind == "conv_transpose":
            k, s, a = per(layer.kernel, axis), per(layer.stride, axis), per(layer.padding, axis)[0]
            spread = [0] * ((len(row) - 1) * s + k)
            for i, m in enumerate(row):
                for t in range(k):
                    spread[i * s + t] |= m
            return spread[a : len(spread) - a]
        return row

    def figure(self, figure: str, at: str, batch: int, itemsize: int) -> Any:
        """A figure as an item's key has it."""
        if not at:
            if figure in ("bytes", "values"):
                return self.total("values") * batch * (itemsize if figure == "bytes" else 1)
            return self.peak(itemsize) * batch if figure == "peak_bytes" else self.total(figure)
        dims = self.shapes[at]
        if figure == "output_shape":
            return "x".join(map(str, dims))
        if figure == "side":
            return dims[1]
        if figure in ("receptive_field", "stride"):
            values = [s[0 if figure == "receptive_field" else 1] for s in self.seen(at)]
            return values[0] if len(set(values)) == 1 else "x".join(map(str, values))
        if figure in ("values", "bytes"):
            return prod(dims) * batch * (itemsize if figure == "bytes" else 1)
        costs = self.cost(at)
        return 2 * costs["macs"] if figure == "flops" else costs[figure]


def _any(masks: Any) -> int:
    found = 0
    for m in masks:
        found |= m
    return found
