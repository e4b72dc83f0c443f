"""Shapes, costs and memory by counting: windows that fit, connected triples, maps that are alive.

Uses layer parameters only; none of rfcalc's formulas.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count, product, takewhile
from math import prod
from typing import Any

from oracle_edges import gathered
from oracle_rules import per, space

from rfcalc.core.shape import Shape
from rfcalc.graph.network import Network

SLIDING = ("conv", "depthwise", "maxpool", "avgpool", "lppool")
VIEWS = ("flatten", "reshape", "permute", "slice", "split", "identity", "parameter", "constant")
IN_PLACE = ("activation", "dropout", "stochastic_depth")


def how_many(things: Iterable[object]) -> int:
    return sum(1 for _ in things)


# --- shapes ----------------------------------------------------------------------------------------------------


def placements(layer: Any, n: int, i: int) -> int:
    """How many windows fit on axis i."""
    k, s, d = (per(getattr(layer, name, (1,)), i) for name in ("kernel", "stride", "dilation"))
    extent = d * (k - 1) + 1
    padding = getattr(layer, "padding", ((0, 0),))
    if padding == "same":
        return n
    if padding == "SAME":
        return how_many(u for u in range(n) if u * s < n)
    a, b = per(padding, i)
    rounding = getattr(layer, "rounding", "floor")

    def fits(u: int) -> bool:
        if rounding == "floor":
            return u * s + extent <= n + a + b
        hangs_over = (u - 1) * s + extent < n + a + b
        return hangs_over and (rounding == "ceil-onnx" or u * s < n + a)

    return how_many(takewhile(fits, count()))


def output(layer: Any, xs: tuple[Shape, ...]) -> Shape:
    """The shape that the layer makes."""
    kind = layer.kind
    if kind in ("parameter", "constant", "unknown"):
        return Shape(*layer.dims, channel=getattr(layer, "channel", 0))
    x = xs[0]
    dims = list(x.dims)
    if kind in SLIDING:
        channels = {"conv": lambda: layer.out_channels, "depthwise": lambda: dims[0] * layer.multiplier}
        first = channels.get(kind, lambda: dims[0])()
        return Shape(first, *(placements(layer, n, i) for i, n in enumerate(dims[1:])))
    if kind == "conv_transpose":
        found = []
        for i, n in enumerate(dims[1:]):
            k, s, d, e = (per(getattr(layer, a), i) for a in ("kernel", "stride", "dilation", "output_padding"))
            fed = {p * s + t * d for p in range(n) for t in range(k)}
            found.append(max(fed) + 1 - sum(per(layer.padding, i)) + e)
        return Shape(layer.out_channels, *found)
    if kind == "adaptive_pool":
        return Shape(dims[0], *(m if (m := per(layer.size, i)) is not None else n for i, n in enumerate(dims[1:])))
    if kind == "upsample":
        return Shape(
            dims[0], *(n * per(layer.factor, i) if layer.factor else per(layer.size, i) for i, n in enumerate(dims[1:]))
        )
    if kind == "pad":
        return Shape(dims[0], *(n + sum(per(layer.padding, i)) for i, n in enumerate(dims[1:])))
    if kind == "pixel_shuffle":
        return Shape(dims[0] // layer.factor ** (len(dims) - 1), *(n * layer.factor for n in dims[1:]))
    if kind == "pixel_unshuffle":
        return Shape(dims[0] * layer.factor ** (len(dims) - 1), *(n // layer.factor for n in dims[1:]))
    if kind == "recurrent":
        return Shape(*dims[:-1], (layer.projection or layer.hidden) * (1 + layer.bidirectional), channel=x.channel)
    if kind in ("linear", "rbf"):
        return Shape(*dims[:-1], layer.out_features, channel=x.channel)
    if kind == "glu":
        dims[x.channel] //= 2
    elif kind in ("mean", "reduce"):
        return _mean(layer, x)
    elif kind in ("add", "multiply", "elementwise"):
        dims = [max(column) for column in zip(*(other.dims for other in xs), strict=True)]
    elif kind == "concat":
        axis = x.channel if layer.axis is None else layer.axis % len(dims)
        dims[axis] = sum(other.dims[axis] for other in xs)
    elif kind == "max_unpool":
        return xs[1]
    elif kind == "matmul":
        dims[-1] = xs[1].dims[-2 if layer.transpose else -1]
    elif kind == "attention_product":
        dims[-1] = xs[2].dims[-1]
    elif kind == "flatten":
        return _flatten(layer, x)
    elif kind == "reshape":
        known = prod(d for d in layer.dims if d != -1)
        return Shape(*(x.values // known if d == -1 else d for d in layer.dims), channel=layer.channel)
    elif kind == "permute":
        return Shape(*(dims[i] for i in layer.order), channel=list(layer.order).index(x.channel))
    elif kind == "class_token":
        dims[0] += layer.count
    elif kind == "slice":
        axis = layer.axis % len(dims)
        dims[axis] = len(range(dims[axis])[layer.start : layer.stop : layer.step])
    elif kind == "along" and layer.keep:
        dims[layer.axis % len(dims)] = layer.keep
    elif kind == "index_sum":
        dims[layer.axis % len(dims)] = how_many(layer.rows) if layer.length is None else layer.length
    elif kind == "gather":
        dims[layer.axis % len(dims)] = how_many(gathered(layer, x))
    elif kind == "split":
        axis = x.channel if layer.axis is None else layer.axis % len(dims)
        dims[axis] = layer.parts[layer.part] if isinstance(layer.parts, tuple) else dims[axis] // layer.parts
    elif kind == "window_partition":
        sizes = [per(layer.window, i) for i in range(len(dims) - 1)]
        return Shape(dims[0], prod(n // w for n, w in zip(dims[1:], sizes, strict=True)), prod(sizes))
    return Shape(*dims, channel=x.channel)


def _mean(layer: Any, x: Shape) -> Shape:
    rank = len(x.dims)
    gone = {i for i in range(rank) if i != x.channel} if layer.axes is None else {a % rank for a in layer.axes}
    if layer.keep:
        return Shape(*(1 if i in gone else n for i, n in enumerate(x.dims)), channel=x.channel)
    stay = [i for i in range(rank) if i not in gone]
    return Shape(*([x.dims[i] for i in stay] or [1]), channel=stay.index(x.channel) if x.channel in stay else 0)


def _flatten(layer: Any, x: Shape) -> Shape:
    rank = len(x.dims)
    first, last = layer.start % rank, layer.end % rank
    groups = [[i] for i in range(first)] + [list(range(first, last + 1))] + [[i] for i in range(last + 1, rank)]
    channel = next(j for j, g in enumerate(groups) if x.channel in g)
    return Shape(*(prod(x.dims[i] for i in g) for g in groups), channel=channel)


# --- costs -----------------------------------------------------------------------------------------------------


def cost(layer: Any, xs: tuple[Shape, ...], y: Shape) -> dict[str, int]:
    """Parameters and operations, term by term; what is not named is 0."""
    found = COSTS.get(layer.kind)
    return {} if found is None else found(layer, xs, y)


def triples(layer: Any, c: int, m: int, rank: int) -> int:
    """Connected (output map, input map, tap) triples of a convolution."""
    groups = c if layer.kind == "depthwise" else layer.groups
    table = getattr(layer, "table", None)

    def connected(o: int, i: int) -> bool:
        return i in table[o] if table is not None else o // (m // groups) == i // (c // groups)

    taps = list(product(*(range(per(layer.kernel, a)) for a in range(rank))))
    return how_many((o, i, t) for o in range(m) for i in range(c) if connected(o, i) for t in taps)


def _convolution(layer: Any, xs: tuple[Shape, ...], y: Shape) -> dict[str, int]:
    (x,) = xs
    weights = triples(layer, x.dims[0], y.dims[0], x.rank)
    # A convolution uses each weight at every output position, a transposed one at every input position.
    where = x if layer.kind == "conv_transpose" else y
    macs = sum(weights for _ in product(*map(range, space(where))))
    if not layer.bias:
        return {"weights": 0 if getattr(layer, "fixed", False) else weights, "macs": macs}
    return {"weights": weights, "macs": macs, "biases": y.dims[0], "conv_bias_adds": y.values}


def _pool(layer: Any, xs: tuple[Shape, ...], y: Shape) -> dict[str, int]:
    found = {"pool_inputs": xs[0].values, "pool_outputs": y.values}
    if getattr(layer, "trainable", False):
        found |= {"weights": y.dims[0], "biases": y.dims[0], "norm": y.values}
    return found


def _dense(layer: Any, xs: tuple[Shape, ...], y: Shape) -> dict[str, int]:
    (x,) = xs
    weights = how_many(product(range(x.dims[-1]), range(layer.out_features)))
    rows = how_many(product(*map(range, x.dims[:-1])))
    found = {"weights": weights, "macs": weights * rows}
    if layer.kind == "rbf":
        return found if layer.trainable else {"macs": weights * rows}
    if layer.bias:
        found |= {"biases": layer.out_features, "linear_bias_adds": y.values}
    return found


def _recurrent(layer: Any, xs: tuple[Shape, ...], y: Shape) -> dict[str, int]:
    """Every gate of every hidden value is a row over the features and the state; one cell a direction."""
    (x,) = xs
    gates = {"lstm": "ifgo", "gru": "rzn", "rnn": "h"}[layer.cell]
    cells = list(product(range(1 + layer.bidirectional), range(layer.hidden)))
    rows = how_many(product(cells, gates))
    steps = how_many(product(*map(range, x.dims[:-1])))
    weights = rows * (x.dims[-1] + (layer.projection or layer.hidden)) + len(cells) * (layer.projection or 0)
    applied = len(gates) + (layer.cell == "lstm")  # the state that is given on
    found = {"weights": weights, "macs": weights * steps, "activation": len(cells) * applied * steps}
    return found | {"biases": 2 * rows, "linear_bias_adds": 2 * rows * steps} if layer.bias else found


def _norm(
    features: int, y: Shape, affine: bool, bias: bool = True, buffers: int = 0, gamma: bool = True
) -> dict[str, int]:
    learned = features if affine else 0
    found = {"weights": learned if gamma else 0, "biases": learned if bias else 0}
    return {**found, "buffers": buffers, "norm": y.values}


def _layernorm(layer: Any, xs: tuple[Shape, ...], y: Shape) -> dict[str, int]:
    rank = len(y.dims)
    axes = {"channels": [y.channel], "all": list(range(rank))}.get(layer.over)
    if axes is None:
        axes = list(range(rank))[rank - layer.over :]
    return _norm(prod(y.dims[i] for i in axes), y, layer.affine, layer.bias, gamma=layer.gamma)


def _attention(layer: Any, xs: tuple[Shape, ...], y: Shape) -> dict[str, int]:
    """Four projections; in every window each token attends to each."""
    c = y.dims[y.channel]
    extents = space(y)
    if layer.kind == "window_attention":
        sizes = [per(layer.window, i) for i in range(len(extents))]
    else:
        sizes = list(extents)
    windows = how_many(product(*(range(0, n, w) for n, w in zip(extents, sizes, strict=True))))
    tokens = list(product(*map(range, sizes)))
    pairs = windows * how_many(product(tokens, tokens))
    count = windows * len(tokens)
    weights = 4 * c * c
    biases = 3 * c * layer.bias + c * layer.out_bias
    more = 0  # units of the layer that makes position biases
    if getattr(layer, "cosine", 0):
        more = layer.cosine * layer.relative
        weights += layer.heads + more * len(sizes) + more * layer.heads
    elif getattr(layer, "relative", False):
        offsets = {tuple(a - b for a, b in zip(p, q, strict=True)) for p, q in product(tokens, tokens)}
        weights += len(offsets) * layer.heads
    return {
        "weights": weights,
        "biases": biases + more,
        "macs": count * 4 * c * c + 2 * pairs * c,
        "linear_bias_adds": count * biases,
        "activation": pairs * layer.heads,
    }


def _activation(layer: Any, xs: tuple[Shape, ...], y: Shape) -> dict[str, int]:
    return {"activation": y.values}


COSTS = {
    **dict.fromkeys(("conv", "depthwise", "conv_transpose"), _convolution),
    **dict.fromkeys(("maxpool", "avgpool", "lppool"), _pool),
    "attention_product": lambda layer, xs, y: {
        "macs": how_many(product(*map(range, y.dims[:-1]), range(xs[1].dims[-2]), range(xs[0].dims[-1] + y.dims[-1]))),
        "activation": how_many(product(*map(range, y.dims[:-1]), range(xs[1].dims[-2]))),
    },
    **dict.fromkeys(("adaptive_pool", "mean", "reduce"), lambda layer, xs, y: {"adaptive_pool_inputs": xs[0].values}),
    **dict.fromkeys(("linear", "rbf"), _dense),
    "recurrent": _recurrent,
    **dict.fromkeys(("activation", "softmax", "glu"), _activation),
    **dict.fromkeys(("self_attention", "window_attention"), _attention),
    "prelu": lambda layer, xs, y: {"weights": y.dims[y.channel] if layer.per_channel else 1, "activation": y.values},
    "scale": lambda layer, xs, y: _norm(y.dims[y.channel], y, True, layer.bias),
    "batchnorm": lambda layer, xs, y: _norm(
        y.dims[y.channel], y, layer.affine, layer.bias, 2 * y.dims[y.channel] if layer.track else 0, layer.gamma
    ),
    "instancenorm": lambda layer, xs, y: _norm(
        y.dims[y.channel], y, layer.affine, buffers=2 * y.dims[y.channel] if layer.track else 0
    ),
    "groupnorm": lambda layer, xs, y: _norm(y.dims[y.channel], y, layer.affine, layer.bias, gamma=layer.gamma),
    "layernorm": _layernorm,
    "rmsnorm": lambda layer, xs, y: _norm(y.dims[-1], y, layer.affine, False),
    "lrn": lambda layer, xs, y: {"norm": y.values},
    "matmul": lambda layer, xs, y: {"macs": how_many(product(*map(range, y.dims), range(xs[0].dims[-1])))},
    "class_token": lambda layer, xs, y: {"weights": layer.count * y.dims[1]},
    "position_table": lambda layer, xs, y: {"weights": y.values},
    "parameter": lambda layer, xs, y: {"weights": y.values},
}

FREE = (
    *("dropout", "stochastic_depth", "identity", "add", "multiply", "concat", "flatten", "reshape", "permute"),
    *("slice", "gather", "split", "channel_shuffle", "roll", "window_partition", "pad", "upsample", "pixel_shuffle"),
    *("pixel_unshuffle", "unknown", "elementwise", "constant", "along", "index_sum", "max_unpool"),
)


# --- memory ----------------------------------------------------------------------------------------------------


def roots(network: Network) -> list[int]:
    """For each position the position in whose memory it lives.

    A view lives in its input's. So does an activation whose input nobody wants as it was: no node after it reads, and
    no output of the network is, anything that lived there before.
    """
    arity = len(network.inputs)
    kept = [network.position(name) for name in network.outputs]
    root: list[int] = list(range(arity))
    for position, sources in enumerate(network.sources, arity):
        layer = network.nodes[position - arity].layer
        kind = layer.kind
        lends = kind in VIEWS or getattr(layer, "view", False)
        if kind in IN_PLACE:
            before = [p for p in range(position) if root[p] == root[sources[0]]]
            wanted = [s for later in network.sources[position - arity + 1 :] for s in later] + kept
            home = root[sources[0]]
            given = home >= arity and network.nodes[home - arity].layer.kind in ("parameter", "constant")
            lends = not given and not any(p in wanted for p in before)
        root.append(root[sources[0]] if lends and sources else position)
    return root


def own_values(network: Network, shapes: list[Shape]) -> list[int]:
    """Elements that each position adds: none where it lives in another's memory, or is given with the weights."""
    arity = len(network.inputs)
    given = [False] * arity + [node.layer.kind in VIEWS or getattr(node.layer, "view", False) for node in network.nodes]
    owned = [at == p and not g for p, (at, g) in enumerate(zip(roots(network), given, strict=True))]
    return [s.values if mine else 0 for s, mine in zip(shapes, owned, strict=True)]


def total_values(network: Network, shapes: list[Shape]) -> int:
    """Elements of the inputs and of every output that needs memory of its own."""
    return sum(own_values(network, shapes))


def peak_bytes(network: Network, shapes: list[Shape], itemsize: int = 4) -> int:
    """The most bytes alive at any step: a map is alive if it exists and somebody reads it or a view of it later on.

    Step t runs node t; its inputs and its output are alive. Inputs of the network exist from the start, its outputs
    are kept to the end. What looks for maxima holds an int64 for each while it runs.
    """
    arity = len(network.inputs)
    root = roots(network)
    held = {root[network.position(name)] for name in network.outputs}
    sizes = own_values(network, shapes)
    most = itemsize * sum(sizes[:arity])
    for step in range(arity, len(shapes)):
        layer = network.nodes[step - arity].layer
        looks = layer.kind == "maxpool" or (layer.kind in ("adaptive_pool", "reduce") and layer.op in ("max", "min"))
        looks |= layer.kind == "along" and layer.function in ("cummax", "cummin", "sort", "topk")
        needed = set(held) | {step} | {root[step]}
        for later in range(step, len(shapes)):
            needed |= {root[s] for s in network.sources[later - arity]} | {root[later]}
        alive = sum(sizes[p] for p in range(step + 1) if p in needed)
        maxima = shapes[network.sources[step - arity][0]] if layer.kind == "max_unpool" else shapes[step]
        most = max(most, itemsize * alive + 8 * (looks or layer.kind == "max_unpool") * maxima.values)
    return most
