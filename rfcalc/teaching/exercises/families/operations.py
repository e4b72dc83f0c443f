"""Multiply-adds and FLOPs."""

from __future__ import annotations

from fractions import Fraction

from rfcalc.teaching.exercises.draw import Draw
from rfcalc.teaching.exercises.item import Question
from rfcalc.teaching.exercises.patterns import Subject, agree, chosen, decimal, numeric, pattern, subject
from rfcalc.teaching.exercises.subject import report_of, second_of
from rfcalc.teaching.exercises.variants import duel
from rfcalc.teaching.exercises.words import listing

FAMILY = "operations"
ONE = {"one-layer": (1, 2), "setting": (2,), "compare": (2,), "summary": (2,)}
WHOLE = {"one-layer": (2, 3), "table": (2,), "error": (2,), "summary": (2, 3), "compare": (3,), "setting": (3,)}


@subject(FAMILY, "convolution", ONE)
def convolution(draw: Draw, level: int) -> Subject:
    k, s = draw.pick((1, 3, 5)), draw.pick((1, 1, 2))
    if level == 1:
        c, m, n = draw.pick((1, 3)), draw.pick((4, 8, 10)), draw.pick((8, 10, 16))
    else:
        c, m, n = draw.pick((16, 64, 128)), draw.pick((32, 64, 128, 192)), draw.pick((14, 28, 49, 56))
    figure = draw.pick(("macs", "macs", "flops"))
    return Subject("The multiply-adds of a convolution", f"conv{k}-{m}/{s}", f"{c}x{n}x{n}", figure)


@subject(FAMILY, "strided-or-padded", {"one-layer": (2,), "compare": (2,), "summary": (2,)})
def strided_or_padded(draw: Draw, level: int) -> Subject:
    k, s = draw.pick((3, 5, 7, 11)), draw.pick((1, 2, 4))
    n, m = draw.pick((32, 64, 227, 224)), draw.pick((16, 64, 96))
    return Subject("Padding and stride count", f"conv{k}-{m}/{s} p0", f"3x{n}x{n}", "macs")


@subject(FAMILY, "grouped", {"one-layer": (2, 3), "setting": (3,), "summary": (3,)})
def grouped(draw: Draw, level: int) -> Subject:
    c, m, g = draw.pick(((64, 128, 4), (96, 256, 2), (32, 64, 8), (128, 128, 32)))
    n = draw.pick((14, 27, 28))
    return Subject("A grouped convolution", f"conv3-{m} g{g}", f"{c}x{n}x{n}", "macs")


@subject(FAMILY, "separable", {"one-layer": (2, 3), "table": (2,), "summary": (3,)})
def separable(draw: Draw, level: int) -> Subject:
    c, m, n = draw.pick((16, 32, 64)), draw.pick((64, 128)), draw.pick((14, 28, 56, 112))
    target = f"dwconv3/{draw.pick((1, 2))} > conv1-{m}"
    return Subject("A depthwise separable convolution", target, f"{c}x{n}x{n}", "macs", whole=True, tags=("mobilenet",))


@subject(FAMILY, "transposed", {"one-layer": (3,), "summary": (3,)})
def transposed(draw: Draw, level: int) -> Subject:
    c, m, n = draw.pick((16, 32, 64)), draw.pick((8, 16, 32)), draw.pick((7, 8, 14))
    return Subject(
        "A transposed convolution's multiply-adds", f"convT{draw.pick((2, 4))}-{m}/2", f"{c}x{n}x{n}", "macs"
    )


@subject(FAMILY, "network", WHOLE)
def network(draw: Draw, level: int) -> Subject:
    a, b = draw.pick(((8, 16), (16, 32), (10, 20)))
    n = draw.pick((16, 28, 32))
    target = f"conv3-{a} > maxpool2 > conv3-{b} > maxpool2 > "
    target += f"conv3-{b} > flatten > fc10" if level == 3 else "flatten > fc10"
    figure = draw.pick(("macs", "macs", "flops"))
    return Subject("A small classifier's multiply-adds", target, f"3x{n}x{n}", figure, whole=True)


@subject(FAMILY, "network-in-network", {"one-layer": (3,)})
def network_in_network(draw: Draw, level: int) -> Subject:
    a, b = draw.pick((32, 48, 64, 96)), draw.pick((128, 192, 256))
    target = (
        f"conv11-{a}/4 p0 > conv1-{a} > conv1-{a} > maxpool3/2 > conv5-{b} p2 > conv1-{b} > conv1-{b} > maxpool3/2 > "
        "conv3-10 p1 > conv1-10 > conv1-10 > globalavgpool"
    )
    return Subject("A network in network's multiply-adds", target, "1x224x224", "macs", whole=True, tags=("nin",))


ZOO = (
    ("vgg16", "VGG-16", "3x224x224"),
    ("vgg11", "VGG-11", "3x224x224"),
    ("alexnet-torchvision", "AlexNet (torchvision)", "3x224x224"),
    ("alexnet", "AlexNet as published", "3x227x227"),
    ("resnet18", "ResNet-18 (torchvision)", "3x224x224"),
    ("resnet50", "ResNet-50 (v1.5)", "3x224x224"),
)


@subject(FAMILY, "zoo", {"one-layer": (3,), "summary": (3,)})
def zoo(draw: Draw, level: int) -> Subject:
    name, title, shape = draw.pick(ZOO)
    figure = draw.pick(("macs", "flops"))
    story = f"The network is {title} on {shape}, 1000 classes; its layers are in the paper, or `rfcalc table {name}`."
    return Subject(f"What {title} computes", name, shape, figure, "", story, False, whole=True)


@pattern(FAMILY, "bottleneck", "compare", (2, 3))
def bottleneck(draw: Draw, level: int) -> Question:
    c, m, small, k = draw.pick(
        ((192, 32, 16, 5), (256, 96, 32, 5), (256, 256, 64, 3), (192, 128, 96, 3), (480, 48, 16, 5))
    )
    n = draw.pick((7, 14, 28))
    a = Subject("Through a bottleneck", f"conv{k}-{m}", f"{c}x{n}x{n}", "macs", whole=True, tags=("inception",))
    b = a.other(f"conv1-{small} > conv{k}-{m}")
    text = f"A map of {c}x{n}x{n} is to become {m}x{n}x{n}."
    names = (f"a {k}×{k} convolution", f"a 1×1 convolution to {small} channels, then the {k}×{k} convolution")
    return duel(a, b, text, names, draw)


@pattern(FAMILY, "standard-or-separable", "compare", (2,))
def standard_or_separable(draw: Draw, level: int) -> Question:
    c, m, n = draw.pick((32, 64, 128)), draw.pick((64, 128, 256)), draw.pick((14, 28, 56))
    a = Subject("Standard or separable", f"conv3-{m}", f"{c}x{n}x{n}", "macs", whole=True, tags=("mobilenet",))
    b = a.other(f"dwconv3 > conv1-{m}")
    names = ("a standard 3×3 convolution", "a depthwise 3×3 convolution, then a 1×1 convolution")
    return duel(a, b, f"Two ways from {c}x{n}x{n} to {m}x{n}x{n}.", names, draw)


@pattern(FAMILY, "two-networks", "compare", (3,))
def two_networks(draw: Draw, level: int) -> Question:
    (name, title, shape), (other, other_title, other_shape) = draw.some(ZOO, 2)
    a = Subject("Two networks of the literature", name, shape, "macs", whole=True)
    b = Subject(a.title, other, other_shape, "macs", whole=True)
    text = f"Two networks for 1000 classes, on {shape} and {other_shape}."
    return duel(a, b, text, (title, other_title), draw)


@pattern(FAMILY, "convolutions-or-dense", "one-layer", (3,))
def convolutions_or_dense(draw: Draw, level: int) -> Question:
    name, title = draw.pick((("vgg11", "VGG-11"), ("vgg16", "VGG-16"), ("vgg19", "VGG-19")))
    dense = draw.below(2) == 1
    report, second = report_of(name, "3x224x224"), second_of(name, "3x224x224")
    part = sum(r.macs for r in report if (r.kind == "linear") is dense)
    other = sum(second.counts[n].macs for n in second.nodes if (second.nodes[n].layer.kind == "linear") is dense)
    rest = report.totals.macs - part
    params = sum(r.params for r in report if (r.kind == "linear") is dense)
    what = "fully connected layers" if dense else "convolutions"
    return numeric(
        draw,
        f"What costs most in {title}",
        f"How many multiply-adds do the {what} of {title} (as published, 224×224, 1000 classes) take for one image?",
        key=part,
        second=other,
        wrongs=[
            (rest, "These are the other layers."),
            (report.totals.macs, "This is the whole network."),
            (2 * part, "flops-for-macs"),
            (params, "weights-used-once" if not dense else "bias-as-multiply-add"),
        ],
        conventions=("macs",),
        told=(f"{what}: {part} of {report.totals.macs} multiply-adds", f"their parameters: {params}"),
        tags=("vgg",),
    )


@pattern(FAMILY, "gigaflops", "one-layer", (3,))
def gigaflops(draw: Draw, level: int) -> Question:
    name, title, shape = draw.pick(ZOO)
    macs = report_of(name, shape).totals.macs
    counted = sum(c.macs for c in second_of(name, shape).counts.values())
    return decimal(
        draw,
        "In GFLOPs",
        f"How many GFLOPs does {title} take for one image of {shape}? Give two decimal places.",
        key=Fraction(2 * macs, 10**9),
        second=Fraction(2 * counted, 10**9),
        unit="GFLOPs",
        wrongs=[
            (Fraction(macs, 10**9), "flops-for-macs"),
            (Fraction(4 * macs, 10**9), "One multiply-add is 2 FLOPs, not 4."),
            (Fraction(2 * macs, 2**30), "G is 10^9 for operations."),
        ],
        conventions=("flops",),
        told=(f"{macs} multiply-adds", f"2 · {macs} / 10^9"),
    )


@pattern(FAMILY, "from-the-parameters", "one-layer", (1, 2))
def from_the_parameters(draw: Draw, level: int) -> Question:
    k, c, m = draw.pick(((3, 16, 8), (3, 8, 16), (5, 6, 16), (3, 16, 16), (3, 3, 10)))
    n, s = draw.pick((7, 8, 14, 10)), draw.pick((1, 1, 2))
    target = f"conv{k}-{m}/{s}"
    report, second = report_of(target, f"{c}x{n}x{n}"), second_of(target, f"{c}x{n}x{n}")
    row = report["conv1"]
    side = second.shapes["conv1"][1]
    return numeric(
        draw,
        "Operations from the number of parameters",
        f"A summary says that a convolution with {m} filters has {row.params} parameters (weights and biases) and an "
        f"output of {m}x{side}x{side}. How many multiply-adds does it take?",
        key=row.macs,
        second=(second.counts["conv1"].weights) * side * side,
        wrongs=[
            (row.params * side * side, "bias-as-multiply-add"),
            (row.weights, "weights-used-once"),
            (row.params, "weights-used-once"),
            (row.macs * m, "The filters are among the weights already."),
            (2 * row.macs, "flops-for-macs"),
        ],
        conventions=("macs",),
        told=(f"{row.params} − {m} = {row.weights} weights", f"each used at {side}·{side} positions: {row.macs}"),
    )


@pattern(FAMILY, "doubling", "one-layer", (1, 2))
def doubling(draw: Draw, level: int) -> Question:
    what = draw.pick(("side", "channels"))
    figure = draw.pick(("macs", "params", "values"))
    c, n, k = draw.pick((8, 16, 32)), draw.pick((16, 28, 32)), draw.pick((3, 5))
    bigger = (2 * c, n) if what == "channels" else (c, 2 * n)

    def of(channels: int, side: int) -> tuple[int, int]:
        target, shape = f"conv{k}-{channels} nobias", f"{channels}x{side}x{side}"
        row, second = report_of(target, shape)["conv1"], second_of(target, shape)
        counts = second.counts["conv1"]
        dims = second.shapes["conv1"]
        counted = {"macs": counts.macs, "params": counts.weights, "values": dims[0] * dims[1] * dims[2]}[figure]
        return getattr(row, figure), counted

    (before, b2), (after, a2) = of(c, n), of(*bigger)
    key = agree(Fraction(after, before), Fraction(a2, b2), "factor")
    assert key.denominator == 1
    said = "the side of the image is doubled" if what == "side" else "the channels are doubled, in and out"
    name = {"macs": "multiply-adds", "params": "weights", "values": "output values"}[figure]
    told = {
        ("side", 1): "The same filters are used at more positions; their number stays.",
        ("side", 4): "Both axes double: four times as many positions.",
        ("channels", 4): "Twice as many filters, each over twice as many channels.",
        ("channels", 2): "The map has twice as many channels.",
    }[what, int(key)]
    words = {1: "it stays", 2: "it doubles", 4: "four times", 8: "eight times", 16: "sixteen times"}
    return chosen(
        draw,
        "What happens when it is doubled?",
        f"In a convolution of {k}×{k} on {c}x{n}x{n} with {c} filters (stride 1, the size is kept, no bias), {said}. "
        f"What happens to the number of {name}?",
        key=words[int(key)],
        wrongs=[(w, told) for f, w in words.items() if f != key and f < 16],
        conventions=(figure if figure != "params" else "weights",),
        told=(f"{before} before, {after} after: a factor of {key}.", told),
    )


@pattern(FAMILY, "two-resolutions", "one-layer", (2, 3))
def two_resolutions(draw: Draw, level: int) -> Question:
    small, large = draw.pick(
        (
            (224, 640),
            (224, 384),
            (224, 448),
            (160, 224),
            (224, 320),
            (128, 256),
            (192, 256),
            (256, 320),
            (320, 640),
            (128, 192),
        )
    )
    target = "conv3-16/2 > conv3-32/2 > conv3-64 > conv3-64"
    low, high = (report_of(target, f"3x{n}x{n}").totals.macs for n in (small, large))
    counted = [sum(c.macs for c in second_of(target, f"3x{n}x{n}").counts.values()) for n in (small, large)]
    return decimal(
        draw,
        "The same network at two resolutions",
        f"A fully convolutional classifier (two convolutions with stride 2, then two with stride 1, all 3×3 and "
        f"padded) is "
        f"quoted at {small}×{small} and at {large}×{large}. By what factor do its multiply-adds differ? Give two "
        f"decimal "
        "places.",
        key=Fraction(high, low),
        second=Fraction(counted[1], counted[0]),
        wrongs=[
            (Fraction(large, small), "Both axes grow: the factor is squared."),
            (Fraction(large, small) ** 3, "The channels stay; two axes grow."),
            (Fraction(1), "The parameters stay; the operations do not."),
            (Fraction(2 * high, low), "Both are counted in the same unit."),
        ],
        conventions=("macs",),
        told=(f"({large} / {small})² = {float(Fraction(large, small) ** 2):.4f}", f"{high} / {low}"),
    )


COUNTERS = {
    "the ReLUs, one operation for each value": "relu",
    "batch normalisation, one operation for each value": "bn",
    "the biases, one addition for each output value": "bias",
    "max pooling, one operation for each value that it reads": "pool",
    "multiplications and additions apart, so twice as many": "double",
}


@pattern(FAMILY, "counting-tool", "summary", (2, 3))
def counting_tool(draw: Draw, level: int) -> Question:
    m, n = draw.pick((4, 8, 16, 32)), draw.pick((16, 24, 32, 64))
    target = f"conv3-{m} > bn > relu > maxpool2 > conv3-{2 * m} > relu"
    report, second = report_of(target, f"3x{n}x{n}"), second_of(target, f"3x{n}x{n}")
    macs = agree(report.totals.macs, sum(c.macs for c in second.counts.values()), "multiply-adds")
    ops = report.totals.ops
    shapes = second.shapes
    size = {name: d[0] * d[1] * d[2] for name, d in shapes.items()}
    terms = {
        "relu": agree(ops["activation"], size["relu1"] + size["relu2"], "ReLU"),
        "bn": agree(report["batchnorm1"].values, size["batchnorm1"], "batch normalisation"),
        "bias": agree(ops["conv_bias_adds"], size["conv1"] + size["conv2"], "bias additions"),
        "pool": agree(ops["pool_inputs"], size["relu1"], "pooling"),
        "double": macs,
    }
    distinct = {words: terms[term] for words, term in COUNTERS.items()}
    values = list(distinct.values())
    key = draw.pick([w for w in distinct if values.count(distinct[w]) == 1])
    return chosen(
        draw,
        "What does the tool count?",
        listing(report),
        f"By the convention below, the network takes {macs} multiply-adds. A tool prints {macs + distinct[key]}. "
        f"What does "
        "it count besides?",
        key=key,
        wrongs=[(w, f"That would give {macs + t}.") for w, t in distinct.items() if t != distinct[key]],
        conventions=("macs",),
        told=(f"{macs + distinct[key]} − {macs} = {distinct[key]}", *[f"{w}: {t}" for w, t in distinct.items()]),
        tags=("counting-tools",),
    )
