"""Random graphs: how networks grow, which motifs they get, and how what was drawn is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any, NamedTuple

from hypothesis import strategies as st
from oracle import Oracle
from oracle_rules import space
from strategies import JOINS, LAYERS, SOURCES, Pick, a_shape, fits, layer_for, tapes

from rfcalc import (
    Activation,
    AdaptivePool,
    Add,
    AttentionProduct,
    ClassToken,
    Concat,
    Constant,
    Conv,
    ConvTranspose,
    Elementwise,
    Flatten,
    GlobalPool,
    Linear,
    MatMul,
    MaxPool,
    MaxUnpool,
    Multiply,
    Network,
    Pad,
    Parameter,
    Permute,
    PositionTable,
    Shape,
    Slice,
    Upsample,
)
from rfcalc.core.layer import Layer

EVERYTHING = tuple(k for k in LAYERS if k != "unknown")
QUIET = ("activation", "batchnorm", "scale", "dropout", "identity", "lrn", "prelu", "position_table", "glu")
DOWN = (
    "conv",
    "conv",
    "conv",
    "depthwise",
    "maxpool",
    "maxpool",
    "avgpool",
    "lppool",
    "pad",
    "slice",
    "pixel_unshuffle",
)
UP = ("conv_transpose", "conv_transpose", "conv_transpose", "upsample", "upsample", "pixel_shuffle")
TOKENS = ("linear", "layernorm", "self_attention", "activation", "rmsnorm", "position_table", "class_token", "dropout")
FLAVOURS: dict[str, tuple[str, ...]] = {
    "local": (*DOWN, *DOWN, *QUIET),
    "decoder": (*DOWN, *UP, *QUIET, *UP),
    "windows": (*DOWN, "window_attention", "window_attention", "adaptive_pool", "upsample", "split", "channel_shuffle"),
    "tokens": (*TOKENS, *TOKENS, "conv", "flatten", "permute", "reshape", "softmax", "stochastic_depth"),
    "anything": EVERYTHING,
    "strange": (*EVERYTHING, "unknown", "unknown", "unknown", "roll", "window_partition", "class_token", "mean"),
}
ORDER = (
    "local",
    "local",
    "local",
    "decoder",
    "decoder",
    "decoder",
    "windows",
    "tokens",
    "anything",
    "anything",
    "strange",
)


Listed = tuple[str, Layer, tuple[str, ...]]


class Case(NamedTuple):
    network: Network
    flavour: str
    listed: tuple[Listed, ...]


class Growing:
    """A graph that grows; values are known by name, with their shapes."""

    def __init__(self, pick: Pick, inputs: dict[str, Shape]) -> None:
        self.pick = pick
        self.nodes: list[Listed] = []
        self.shapes = dict(inputs)
        self.names = list(inputs)

    def put(self, layer: Layer | None, *sources: str) -> str | None:
        """Add a node if the layer takes the maps."""
        if layer is None or None in sources:
            return None
        y = fits(layer, *(self.shapes[s] for s in sources))
        if y is None:
            return None
        name = f"n{len(self.nodes)}"
        self.nodes.append((name, layer, sources))
        self.shapes[name] = y
        self.names.append(name)
        return name

    def any(self) -> str:
        """Mostly the last value."""
        return self.names[-1] if self.pick.chance(60) else self.pick.one(self.names)

    def some(self, good: Any) -> str | None:
        found = [n for n in self.names if good(self.shapes[n])]
        return None if not found else found[-1] if self.pick.chance(50) else self.pick.one(found)

    def step(self, kinds: Sequence[str]) -> str | None:
        at = self.any()
        found = layer_for(self.pick, self.shapes[at], kinds)
        return None if found is None else self.put(found[0], at)

    def fitted(self, name: str, extents: tuple[int, ...]) -> str | None:
        """The value cropped, padded, resized or pooled to these spatial extents."""
        pick, x = self.pick, self.shapes[name]
        at: str | None = name
        if space(x) == extents:
            return name
        how = pick.int(1, 6)
        if how == 1 and x.channel == 0:
            return self.put(AdaptivePool(extents), name)
        if how == 2 and x.channel == 0:
            return self.put(Upsample(None, extents, pick.one(("nearest", "linear"))), name)
        if x.channel == 0 and (how == 3 or any(n < m for n, m in zip(space(x), extents, strict=True))):
            gaps = [m - n for n, m in zip(space(x), extents, strict=True)]
            return self.put(Pad(tuple((g // 2, g - g // 2) for g in gaps)), name)
        for axis, m in zip(x.axes, extents, strict=True):
            n = x.dims[axis]
            if n < m:
                return None
            if n > m and at is not None:
                start = pick.int(0, n - m)
                at = self.put(Slice(axis, start, start + m), at)
        return at

    def projected(self, name: str | None, channels: int) -> str | None:
        """The value with this many channels."""
        if name is None or self.shapes[name].channels == channels:
            return name
        x = self.shapes[name]
        if x.channel == 0 and x.rank:
            return self.put(Conv(channels, 1, bias=False), name)
        return self.put(Linear(channels), name) if x.channel == x.rank else None

    def join(self) -> str | None:
        """Two (or three) values brought to one size and joined."""
        pick = self.pick
        a = self.any()
        x = self.shapes[a]
        b = self.some(lambda s: s.rank == x.rank and s.channel == x.channel)
        if b is None:
            return None
        how = pick.int(1, 10)
        if how <= 5:
            c = self.projected(self.fitted(b, space(x)), x.channels)
            if c is None:
                return None
            third = (pick.one((a, c)),) if pick.chance(10) else ()
            joined = Multiply() if how == 1 else Elementwise("sub") if how == 2 else Add()
            return self.put(joined, a, c, *third)
        if how <= 9 or not x.rank:
            c = self.fitted(b, space(x))
            return None if c is None else self.put(Concat(), a, c)
        axis = pick.one(x.axes)
        wanted = list(space(x))
        wanted[axis - (axis > x.channel)] = self.shapes[b].dims[axis]
        c = self.projected(self.fitted(b, tuple(wanted)), x.channels)
        return None if c is None else self.put(Concat(axis), a, c)

    # --- motifs ------------------------------------------------------------------------------------------------

    def unequal(self) -> str | None:
        """Two paths of different strides to one size: a strided layer beside a crop or a large kernel."""
        pick = self.pick
        at = self.some(lambda s: s.channel == 0 and s.rank and max(space(s)) >= 3)
        if at is None:
            return None
        x = self.shapes[at]
        k = pick.int(1, min(3, *space(x)))
        a = self.put(MaxPool(k, 2) if pick.chance(40) else Conv(x.dims[0], k, stride=pick.one((2, 2, 3))), at)
        if a is None:
            return None
        m = space(self.shapes[a])
        if pick.chance(50):
            kernel = tuple(n - w + 1 for n, w in zip(space(x), m, strict=True))
            b = self.put(Conv(x.dims[0], kernel), at)
        else:
            b = self.fitted(at, m)
        if pick.chance(40) and b is not None:
            b = self.put(Activation("relu"), b)
        return None if b is None or a == b else self.put(Add() if pick.chance(50) else Concat(), a, b)

    def crossed(self) -> str | None:
        """1×3 beside 3×1: what is touched is no product of axes."""
        at = self.some(lambda s: s.channel == 0 and s.rank == 2)
        if at is None:
            return None
        k, d = self.pick.int(2, 3), self.pick.int(1, 2)
        a = self.put(Conv(2, (1, k), dilation=(1, d), padding=((0, 0), (d * (k - 1), 0))), at)
        b = self.put(Conv(2, (k, 1), dilation=(d, 1), padding=((0, d * (k - 1)), (0, 0))), at)
        return None if a is None or b is None else self.put(Add() if self.pick.chance(70) else Concat(), a, b)

    def decoder(self) -> str | None:
        """Down, up again, and a skip beside it."""
        pick = self.pick
        at = self.some(lambda s: s.channel == 0 and s.rank and min(space(s)) >= 2)
        if at is None:
            return None
        pool = LAYERS["maxpool"](pick, self.shapes[at]) if pick.chance(25) else None
        a = self.put(pool or (MaxPool(2) if pick.chance(50) else Conv(2, 3, stride=2, padding=1)), at)
        if a is None:
            return None
        if isinstance(pool, MaxPool):
            back = MaxUnpool(pool.kernel, pool.stride, pool.padding, dilation=pool.dilation, rounding=pool.rounding)
            return self.put(back, self.put(Activation("tanh"), a) or a, at)
        up: Layer = (
            Upsample(2, None, pick.one(("nearest", "linear"))) if pick.chance(40) else ConvTranspose(2, 2, stride=2)
        )
        if pick.chance(25):
            up = ConvTranspose(2, pick.int(1, 3), stride=pick.int(2, 3), padding=0)
        b = self.put(up, a)
        if b is None:
            return None
        c = self.fitted(at, space(self.shapes[b]))
        return None if c is None else self.put(Concat(), b, c)

    def gate(self) -> str | None:
        """Squeeze and excitation."""
        at = self.some(lambda s: s.channel == 0 and s.rank)
        if at is None:
            return None
        a = self.put(GlobalPool(), at)
        b = a and self.put(Conv(self.shapes[at].dims[0], 1), a)
        c = b and self.put(Activation("sigmoid"), b)
        return c and self.put(Multiply(), at, c)

    def tokens(self) -> str | None:
        """A map turned into tokens, perhaps with a class token and positions."""
        at = self.some(lambda s: s.channel == 0 and s.rank)
        if at is None:
            return None
        a = at if self.shapes[at].rank == 1 else self.put(Flatten(1), at)
        b = a and self.put(Permute((1, 0)), a)
        if b and self.pick.chance(50):
            b = self.put(ClassToken(), b) or b
        return b and (self.put(PositionTable(), b) if self.pick.chance(40) else b)

    def products(self) -> str | None:
        """A matrix product of two values, one of them a learned map at times."""
        pick = self.pick
        at = self.some(lambda s: len(s.dims) >= 2)
        if at is None:
            return None
        x = self.shapes[at]
        if pick.chance(30):
            p = self.put(Parameter((*x.dims[:-2], x.dims[-1], pick.int(1, 3)) if x.channel == 0 else (x.dims[-1], 2)))
            return p and self.put(MatMul(), *((at, p) if pick.chance(70) else (p, at)))
        b = self.some(lambda s: s.dims[:-2] == x.dims[:-2] and s.dims[-1] == x.dims[-1] and len(s.dims) == len(x.dims))
        if not b or pick.chance(50):
            return b and self.put(MatMul(transpose=True), at, b)
        mask = self.put(Constant((*(1 for _ in x.dims[:-1]), self.shapes[b].dims[-2]))) if pick.chance(40) else None
        return self.put(AttentionProduct(), at, b, b, *([mask] if mask else ()))

    def learned(self) -> str | None:
        """A learned map added to a value, or joined to it."""
        at, pick = self.any(), self.pick
        x = self.shapes[at]
        if x.channel != 0:
            return None
        p = self.put(Parameter(x.dims) if pick.chance(70) else Constant(x.dims))
        return p and self.put(
            Add() if self.pick.chance(60) else Concat(), *((at, p) if self.pick.chance(50) else (p, at))
        )


MOTIFS: dict[str, tuple[str, ...]] = {
    "local": ("unequal", "crossed", "join", "join"),
    "decoder": ("decoder", "decoder", "unequal", "join", "crossed"),
    "windows": ("join", "unequal", "crossed"),
    "tokens": ("tokens", "products", "gate", "learned", "join"),
    "anything": ("unequal", "decoder", "gate", "tokens", "products", "learned", "join", "join", "crossed"),
    "strange": ("products", "learned", "join", "tokens", "unequal"),
}


def grow(pick: Pick, flavours: Sequence[str], most: int, two_inputs: int) -> Case:
    """A random network with concrete input shapes."""
    flavour = pick.one(flavours)
    first = a_shape(pick)
    inputs = {"input": first}
    if pick.chance(two_inputs):
        inputs = {"left": first, "right": first if pick.chance(50) else a_shape(pick, ranks=(first.rank,))}
    growing = Growing(pick, inputs)
    if len(inputs) == 2:
        growing.put(entrance(pick, inputs["left"]), "left")
        growing.put(entrance(pick, inputs["right"]), "right")
    wanted = min(pick.one((1, 4, *range(8, most + 1), *range(11, most + 1))), most)
    for _ in range(wanted * 2):
        if len(growing.nodes) >= wanted:
            break
        if growing.nodes and pick.chance(22):
            getattr(growing, pick.one(MOTIFS[flavour]))()
        else:
            growing.step(FLAVOURS[flavour])
    if not growing.nodes:
        growing.put(Activation("relu"), growing.names[0])
    outputs: tuple[str, ...] = ()
    if pick.chance(20):
        outputs = tuple(dict.fromkeys((pick.one(growing.nodes)[0], growing.nodes[-1][0])))
    return made(tuple(growing.nodes), inputs, flavour, outputs)


def made(nodes: Sequence[Listed], inputs: dict[str, Shape], flavour: str, outputs: tuple[str, ...] = ()) -> Case:
    given: Any = inputs["input"] if list(inputs) == ["input"] else inputs
    return Case(Network.from_nodes(nodes, given, outputs=outputs), flavour, tuple(nodes))


def graphs(flavours: Sequence[str] = ORDER, most: int = 15, two_inputs: int = 8) -> st.SearchStrategy[Case]:
    """Random networks with concrete input shapes."""
    return tapes(400).map(lambda pick: grow(pick, flavours, most, two_inputs))


def parts(case: Case) -> Iterator[Case]:
    """For each node the network of that node and what it depends on: the smallest that can show what is wrong there."""
    needs: dict[str, set[str]] = {name: set() for name in case.network.inputs}
    for name, _, reads in case.listed:
        needs[name] = {name}.union(*(needs[r] for r in reads))
        used = {n for n in case.network.inputs if any(n in r for m, _, r in case.listed if m in needs[name])}
        if used:
            nodes = [entry for entry in case.listed if entry[0] in needs[name]]
            shapes = {n: s for n, s in case.network.inputs.items() if n in used and s is not None}
            yield made(nodes, shapes, case.flavour)


def entrance(pick: Pick, x: Shape) -> Layer:
    return Conv(pick.int(1, 2), 1) if pick.chance(50) else Activation("relu")


# --- what was drawn --------------------------------------------------------------------------------------------


class Distribution:
    """Counts of what the cases held, and of what was compared."""

    PARTS = ("sizes", "kinds", "holding", "checked")

    def __init__(self) -> None:
        self.sizes: Counter[int] = Counter()
        self.kinds: Counter[str] = Counter()
        self.holding: Counter[str] = Counter()
        self.checked: Counter[str] = Counter()

    @property
    def cases(self) -> int:
        return sum(self.sizes.values())

    def add(self, case: Case, oracle: Oracle) -> None:
        network = case.network
        self.sizes[len(network.nodes)] += 1
        self.kinds.update(node.layer.kind for node in network.nodes)
        self.holding[f"flavour {case.flavour}"] += 1
        self.holding[f"{len(network.inputs)} inputs"] += 1
        self.holding[f"rank {oracle.shapes[0].rank}"] += 1
        layers = [node.layer for node in network.nodes]
        nodes = range(oracle.arity, len(oracle.shapes))
        gaps = [
            layer
            for layer in layers
            if isinstance(layer, ConvTranspose)
            and any(k < s for k, s in zip(layer.kernel, layer.stride * 3, strict=False))
        ]
        facts = {
            "joins": any(len(s) > 1 for s in network.sources),
            "upsampling": any(v.kind in ("upsample", "conv_transpose", "pixel_shuffle") for v in layers),
            "unequal strides at a join": any(oracle.unequal(p) for p in nodes),
            "attention windows": any(v.kind == "window_attention" for v in layers),
            "dilation": any(max(getattr(v, "dilation", (1,))) > 1 for v in layers),
            "unequal padding": any(
                not isinstance(p := getattr(v, "padding", ()), str) and any(a != b for a, b in p) for v in layers
            ),
            "even kernels": any(any(k % 2 == 0 for k in getattr(v, "kernel", ())) for v in layers),
            "ceil mode": any(getattr(v, "rounding", "floor") != "floor" for v in layers),
            "gaps in a transposed convolution": bool(gaps),
            "padding that is not zero": any(getattr(v, "border", getattr(v, "mode", "")) in BORDERS for v in layers),
            "several outputs": len(network.outputs) > 1,
        }
        self.holding.update(name for name, holds in facts.items() if holds)

    def merge(self, other: Distribution) -> None:
        for name in self.PARTS:
            getattr(self, name).update(getattr(other, name))

    def share(self, name: str) -> float:
        return self.holding[name] / max(self.cases, 1)

    @property
    def median_nodes(self) -> float:
        return median(self.sizes.elements()) if self.sizes else 0

    def check(self, least_of_a_kind: int) -> None:
        """The quotas that the issues ask for."""
        assert self.median_nodes >= 10, self.median_nodes
        for name in ("joins", "upsampling", "unequal strides at a join"):
            assert self.share(name) >= 0.2, (name, self.share(name))
        for name in ("attention windows", "dilation", "unequal padding", "even kernels", "ceil mode"):
            assert self.share(name) >= 0.05, (name, self.share(name))
        assert self.share("gaps in a transposed convolution") >= 0.02
        few = {k: self.kinds[k] for k in (*LAYERS, *JOINS, *SOURCES) if self.kinds[k] < least_of_a_kind}
        assert not few, few

    def lines(self) -> list[str]:
        told = [f"{self.cases} random graphs, {sum(self.kinds.values())} nodes, median {self.median_nodes} nodes"]
        told += [f"  {self.share(n):6.1%}  {n}" for n in sorted(self.holding)]
        told += ["  nodes of each kind:"]
        ranked = [f"{k} {n}" for k, n in self.kinds.most_common()]
        told += ["    " + ", ".join(ranked[i : i + 6]) for i in range(0, len(ranked), 6)]
        told += [f"  {n:>9,}  {what}" for what, n in sorted(self.checked.items())]
        return told


BORDERS = ("reflect", "replicate", "circular")
