"""Parameters: shares, megabytes, and two designs side by side."""

from __future__ import annotations

from fractions import Fraction

from rfcalc.teaching.exercises.draw import Draw
from rfcalc.teaching.exercises.item import AnswerSlot, ExerciseTable, Question, Text
from rfcalc.teaching.exercises.patterns import Subject, agree, chosen, decimal, numeric, pattern
from rfcalc.teaching.exercises.recount import Second
from rfcalc.teaching.exercises.subject import number_blank, report_of, second_of
from rfcalc.teaching.exercises.variants import duel
from rfcalc.teaching.exercises.words import convention

FAMILY = "parameters"


@pattern(FAMILY, "larger-image", "one-layer", (1,))
def larger_image(draw: Draw, level: int) -> Question:
    k, m, c, n = draw.pick((3, 5, 7)), draw.pick((16, 64, 100, 128)), draw.pick((1, 3)), draw.pick((32, 64, 150))
    target = f"conv{k}-{m}"
    small, large = (report_of(target, f"{c}x{s}x{s}").totals.params for s in (n, 2 * n))
    counts = second_of(target, f"{c}x{n}x{n}").counts["conv1"]
    agree(small, counts.weights + counts.biases, "parameters")
    assert small == large
    return chosen(
        draw,
        "The same filters on a larger image",
        f"A convolution with {m} filters of {k}×{k} (with biases) ran on images of {c}x{n}x{n}; now it runs on images "
        f"of {c}x{2 * n}x{2 * n}. How many parameters does it have now?",
        key=f"{small}, as before",
        wrongs=[
            (f"{2 * small}, twice as many", "params-grow-with-image"),
            (f"{4 * small}, four times as many", "params-grow-with-image"),
            (f"{small + 3 * m * n * n}, the biases grow", "bias-at-every-position"),
        ],
        conventions=("params",),
        told=(f"{k}·{k}·{c}·{m} + {m} = {small}; the size of the image does not enter.",),
    )


@pattern(FAMILY, "without-sharing", "one-layer", (2, 3))
def without_sharing(draw: Draw, level: int) -> Question:
    n, k, s, m = draw.pick(((227, 11, 4, 96), (32, 5, 1, 6), (28, 3, 1, 8), (64, 7, 2, 16), (99, 9, 3, 12)))
    c = draw.pick((1, 3))
    report = report_of(f"conv{k}-{m}/{s} p0", f"{c}x{n}x{n}")
    row = report["conv1"]
    second = Second(report.network, {"input": (c, n, n)})
    units = row.values
    key = units * (k * k * c + 1)
    counted = second.counts["conv1"].macs + second.values - c * n * n
    return numeric(
        draw,
        "Without weight sharing",
        f"A layer like a convolution with {m} filters of {k}×{k}, stride {s}, no padding, on {c}x{n}x{n}, but every "
        "output unit has weights and a bias of its own (a locally connected layer).",
        "How many parameters does it have?",
        key=key,
        second=counted,
        wrongs=[
            (row.params, "This is with sharing: one filter for all positions.", "operations-once"),
            (units * k * k * c, "bias-forgotten"),
            (units * (k * k + 1), "channels-forgotten"),
            (units * k * k * c + m, "Every unit has a bias of its own.", "bias-forgotten"),
        ],
        conventions="Every output unit has its own k·k·C weights and one bias; sizes are rounded down.",
        told=(
            f"{m}·{row.shape.spatial[0]}·{row.shape.spatial[1]} = {units} units",
            f"each has {k}·{k}·{c} + 1 = {k * k * c + 1} parameters: {key} in all",
            f"with sharing: {row.params}",
        ),
        tags=("alexnet",) if n == 227 else (),
    )


@pattern(FAMILY, "trained-and-not", "table", (2, 3))
def trained_and_not(draw: Draw, level: int) -> Question:
    a, b, n, f = draw.pick((16, 32)), draw.pick((32, 64)), draw.pick((32, 64)), draw.pick((64, 128, 256))
    target = f"conv3-{a} same > bn > relu > maxpool2 > conv3-{b} p0 > bn > relu > maxpool2 > flatten > fc{f} > fc10"
    shape = f"3x{n}x{n}"
    report, second = report_of(target, shape), second_of(target, shape)
    totals = report.totals
    flat = agree(report["flatten1"].shape.dims[0], second.shapes["flatten1"][0], "flatten")
    trained = agree(totals.params, sum(c.weights + c.biases for c in second.counts.values()), "parameters")
    buffers = agree(totals.buffers, sum(c.buffers for c in second.counts.values()), "buffers")
    side = report["maxpool2"].shape.spatial[0]
    blanks = (
        number_blank(
            draw,
            flat,
            [(side * side, "Channels count too."), (b * (side + 1) ** 2, "The second convolution has no padding.")],
            name="flat",
            label="values after flattening",
        ),
        number_blank(
            draw,
            trained,
            [
                (trained + buffers, "Running statistics are not trained."),
                (trained - 2 * (a + b), "γ and β of batch normalisation are trained."),
            ],
            name="trained",
            label="trainable parameters",
        ),
        number_blank(
            draw,
            buffers,
            [
                (2 * buffers, "γ and β are trained; mean and variance are not."),
                (a + b, "Each channel has a mean and a variance."),
            ],
            name="buffers",
            label="values that are not trained",
        ),
    )
    text = (
        f"A network on {shape}: 3×3 convolution with {a} filters (same size), batch normalisation, ReLU, 2×2 max "
        f"pooling; 3×3 convolution with {b} filters (no padding), batch normalisation, ReLU, 2×2 max pooling; "
        f"flatten; fully "
        f"connected {f}; fully connected 10. Convolutions and fully connected layers have biases."
    )
    rows = (
        ("values after flattening", AnswerSlot("flat")),
        ("trainable parameters", AnswerSlot("trained")),
        ("values that are not trained", AnswerSlot("buffers")),
    )
    told = [f"{r.name}: {r.params} trained, {r.buffers} not" for r in report if r.params or r.buffers]
    told.append(f"flatten: {b}·{side}·{side} = {flat}")
    return Question(
        "Trained and not trained",
        (Text(text), ExerciseTable(("what", "how many"), rows)),
        blanks,
        convention(("params", "buffers")),
        tuple(told),
        ("batch-normalisation",),
    )


VGGS = (("vgg11", "VGG-11"), ("vgg13", "VGG-13"), ("vgg16", "VGG-16"), ("vgg19", "VGG-19"))


@pattern(FAMILY, "share-of-first-dense", "one-layer", (3,))
def share_of_first_dense(draw: Draw, level: int) -> Question:
    name, title = draw.pick(VGGS)
    layer = draw.pick(("fc6", "fc6", "fc7", "fc8"))
    report, second = report_of(name, "3x224x224"), second_of(name, "3x224x224")
    part, whole = report[layer].params, report.totals.params
    counts = second.counts
    other = Fraction(counts[layer].weights + counts[layer].biases, sum(c.weights + c.biases for c in counts.values()))
    key = Fraction(100 * part, whole)
    said = {"fc6": "first", "fc7": "second", "fc8": "last"}[layer]
    return decimal(
        draw,
        f"The share of one layer in {title}",
        f"How many per cent of the parameters of {title} (as published, 1000 classes, 224×224) are in its {said} fully "
        f"connected layer, {layer}? Give one decimal place.",
        key=key,
        second=100 * other,
        places=1,
        unit="%",
        wrongs=[
            (Fraction(100 * (part - 4096), whole - part), "This divides by the rest, not by the whole."),
            (Fraction(100, report.totals.weight_layers), "Layers are not equally large."),
            (Fraction(100 * report["fc7"].params, whole), "off-by-one-layer"),
        ],
        conventions=("params",),
        told=(f"{layer}: {part} parameters", f"{title}: {whole} parameters", f"100 · {part} / {whole}"),
        tags=("vgg",),
    )


@pattern(FAMILY, "megabytes-of-weights", "one-layer", (2, 3))
def megabytes_of_weights(draw: Draw, level: int) -> Question:
    size, dtype = draw.pick(((4, "float32"), (4, "float32"), (2, "float16")))
    binary = draw.below(2) == 1
    unit, scale = ("MiB", 2**20) if binary else ("MB", 10**6)
    if level == 3:
        layer, n = draw.pick((("fc6", "25088 values to 4096"), ("fc7", "4096 values to 4096")))
        weights = report_of("vgg16", "3x224x224")[layer].params
        counts = second_of("vgg16", "3x224x224").counts[layer]
        what = f"The fully connected layer {layer} of VGG-16 ({n}, with biases)"
    else:
        a, b = draw.pick((1000, 2048, 4096)), draw.pick((500, 1000, 4096))
        weights = report_of(f"fc{b}", str(a)).totals.params
        counts = second_of(f"fc{b}", str(a)).counts["linear1"]
        what = f"A fully connected layer from {a} to {b} values, with biases,"
    other = counts.weights + counts.biases
    return decimal(
        draw,
        "Megabytes of weights",
        f"{what} is stored in {dtype}. How many {unit} does it take? Give two decimal places.",
        key=Fraction(weights * size, scale),
        second=Fraction(other * size, scale),
        unit=unit,
        wrongs=[
            (Fraction(weights * size, 10**6 if binary else 2**20), f"MB is 10^6 bytes, MiB is 2^20; {unit} is asked."),
            (Fraction(weights, scale), "values-for-bytes"),
            (Fraction(weights * size * 8, scale), "bits-for-bytes"),
            (Fraction(weights * size, 1000 * 1024), "K is 1000 or 1024, not both: MB is 10^6, MiB is 2^20."),
        ],
        conventions=f"Weights and biases are counted, {size} bytes each; MB is 10^6 bytes, MiB is 2^20 bytes.",
        told=(f"{weights} parameters · {size} bytes = {weights * size} bytes", f"{weights * size} / {scale} {unit}"),
    )


@pattern(FAMILY, "stack-or-one-kernel", "compare", (2,))
def stack_or_one_kernel(draw: Draw, level: int) -> Question:
    c, count = draw.pick((16, 32, 64, 128, 256)), draw.pick((2, 3, 4))
    big = 2 * count + 1
    bias = draw.pick(("", " nobias"))
    n = draw.pick((14, 28, 32))
    told = "with biases" if not bias else "without biases"
    a = Subject("Small kernels or a large one", f"conv3-{c}{bias} x{count}", f"{c}x{n}x{n}", "params", whole=True)
    b = a.other(f"conv{big}-{c}{bias}")
    text = f"Two designs see the same region; all maps have {c} channels, {told}."
    return duel(a, b, text, (f"{count} convolutions of 3×3 in a row", f"one convolution of {big}×{big}"), draw)


@pattern(FAMILY, "separable-or-not", "compare", (2,))
def separable_or_not(draw: Draw, level: int) -> Question:
    c, m, k = draw.pick((3, 32, 64, 128)), draw.pick((64, 128, 256)), draw.pick((3, 3, 5))
    bias = draw.pick(("", " nobias"))
    told = "with biases" if not bias else "without biases"
    a = Subject("Standard or separable", f"conv{k}-{m}{bias}", f"{c}x14x14", "params", whole=True)
    b = a.other(f"dwconv{k}{bias} > conv1-{m}{bias}")
    names = (f"a standard {k}×{k} convolution", f"a depthwise {k}×{k} convolution, then a 1×1 convolution")
    return duel(a, b, f"Two ways from {c} to {m} channels, {told}.", names, draw)


@pattern(FAMILY, "ratio-of-separable", "one-layer", (2,))
def ratio_of_separable(draw: Draw, level: int) -> Question:
    n, k, c = draw.pick((16, 32, 64, 128, 256)), draw.pick((3, 5, 7)), draw.pick((16, 32, 64))
    plain, split = (
        report_of(t, f"{c}x14x14").totals.macs for t in (f"conv{k}-{n} nobias", f"dwconv{k} nobias > conv1-{n} nobias")
    )
    key = agree(Fraction(split, plain), Fraction(1, n) + Fraction(1, k * k), "ratio")

    def text(value: Fraction) -> str:
        return f"{value.numerator}/{value.denominator}"

    return chosen(
        draw,
        "The cost of a separable convolution",
        f"A depthwise {k}×{k} convolution followed by a 1×1 convolution to {n} channels replaces a standard {k}×{k} "
        f"convolution to {n} channels. Which fraction of the multiply-adds is left?",
        key=text(key),
        wrongs=[
            (text(Fraction(1, k * k)), "The 1×1 convolution is left out of the sum."),
            (text(Fraction(1, n)), "The depthwise part is left out of the sum."),
            (text(Fraction(1, n) + Fraction(1, k)), "kernel-not-squared"),
            (text(Fraction(1, n * k * k)), "The two parts add; they do not multiply."),
        ],
        conventions=("macs",),
        told=(
            f"(k²·C + C·N) / (k²·C·N) = 1/N + 1/k² = 1/{n} + 1/{k * k} = {text(key)}",
            f"for C = {c} on 14×14: {split} / {plain}",
        ),
        tags=("mobilenet",),
    )


@pattern(FAMILY, "groups-or-not", "compare", (2,))
def groups_or_not(draw: Draw, level: int) -> Question:
    c, m, k, n = draw.pick(((96, 256, 5, 27), (64, 128, 3, 28), (384, 256, 3, 13), (32, 64, 3, 32)))
    g, k = draw.pick((2, 4, 8)), draw.pick((k, 3, 5))
    a = Subject("In groups or not", f"conv{k}-{m}", f"{c}x{n}x{n}", "params", whole=True)
    b = a.other(f"conv{k}-{m} g{g}")
    text = f"A {k}×{k} convolution from {c} to {m} channels, with biases."
    return duel(a, b, text, ("in one group", f"in {g} groups"), draw)


@pattern(FAMILY, "basic-or-bottleneck", "compare", (3,))
def basic_or_bottleneck(draw: Draw, level: int) -> Question:
    c = draw.pick((64, 128, 256, 512))
    small = c // draw.pick((2, 4, 8))
    a = Subject(
        "Basic block or bottleneck",
        f"conv3-{c} nobias conv3-{c} nobias + identity",
        f"{c}x14x14",
        "weights",
        whole=True,
        tags=("resnet",),
    )
    b = a.other(f"conv1-{small} nobias conv3-{small} nobias conv1-{c} nobias + identity")
    names = (
        f"two 3×3 convolutions of {c} channels",
        f"1×1 to {small} channels, 3×3 on {small} channels, 1×1 back to {c} channels",
    )
    text = (
        f"Two residual blocks on maps of {c} channels, without biases and normalisation; the shortcut is the identity."
    )
    return duel(a, b, text, names, draw)


@pattern(FAMILY, "flatten-or-average", "compare", (2, 3))
def flatten_or_average(draw: Draw, level: int) -> Question:
    c, n, units = draw.pick((128, 256, 512)), draw.pick((4, 7, 8)), draw.pick((10, 100, 256))
    a = Subject("Flatten or average", f"flatten > fc{units}", f"{c}x{n}x{n}", "params", whole=True)
    b = a.other(f"globalavgpool > flatten > fc{units}")
    text = f"A fully connected layer of {units} units, with biases, follows a map of {c}x{n}x{n}."
    return duel(
        a, b, text, ("the map is flattened", "the map is averaged over its positions (global average pooling)"), draw
    )


@pattern(FAMILY, "convolutions-or-dense", "compare", (3,))
def convolutions_or_dense(draw: Draw, level: int) -> Question:
    n, units = draw.pick((33, 55, 63, 71, 95)), draw.pick((5, 10, 20))
    a = Subject(
        "Convolutions or fully connected layers",
        "conv5-5 p0 > conv7-10/2 p0 > conv7-20/4 p0",
        f"3x{n}x{n}",
        "params",
        whole=True,
    )
    b = a.other(f"flatten > fc{units} x5 > fc1")
    text = f"Two networks on an image of 3x{n}x{n}, with biases."
    names = (
        "three convolutions without padding: 5 filters of 5×5; 10 of 7×7, stride 2; 20 of 7×7, stride 4",
        f"the image flattened, five fully connected layers of {units} units, and one output unit",
    )
    return duel(a, b, text, names, draw)


@pattern(FAMILY, "alexnet-variants", "one-layer", (3,))
def alexnet_variants(draw: Draw, level: int) -> Question:
    variants = {
        "alexnet": ("as published in 2012 (two towers: conv2, conv4 and conv5 in two groups; 227×227)", "3x227x227"),
        "alexnet-cs231n": ("in one tower (no groups; 227×227)", "3x227x227"),
        "alexnet-torchvision": ("as in torchvision (one tower, fewer filters; 224×224)", "3x224x224"),
    }
    totals = {}
    for name, (_, shape) in variants.items():
        counts = second_of(name, shape).counts.values()
        totals[name] = agree(
            report_of(name, shape).totals.params, sum(c.weights + c.biases for c in counts), "parameters"
        )
    asked = draw.pick(list(variants))
    return chosen(
        draw,
        "Which AlexNet?",
        f"Three networks are called AlexNet. How many parameters has the one {variants[asked][0]}, for 1000 classes?",
        key=str(totals[asked]),
        wrongs=[(str(totals[o]), f"This is the one {told}.", "") for o, (told, _) in variants.items() if o != asked]
        + [(str(report_of("vgg16", "3x224x224").totals.params), "This is VGG-16.", "")],
        conventions=("params",),
        told=[f"{told}: {totals[name]} (rfcalc table {name})" for name, (told, _) in variants.items()],
        tags=("alexnet",),
    )
