"""Values, bytes, peaks; gradients and optimizer state."""

from __future__ import annotations

from fractions import Fraction

from rfcalc.teaching.exercises.draw import Draw
from rfcalc.teaching.exercises.item import Question
from rfcalc.teaching.exercises.patterns import Subject, Unfit, agree, decimal, numeric, pattern, subject
from rfcalc.teaching.exercises.subject import report_of, second_of
from rfcalc.teaching.exercises.words import listing, say

FAMILY = "memory"
WHOLE = {"one-layer": (2, 3), "table": (2,), "error": (2,), "summary": (2, 3), "compare": (2, 3), "setting": (3,)}


@subject(FAMILY, "one-map", {"one-layer": (1, 2), "compare": (2,), "setting": (2,)})
def one_map(draw: Draw, level: int) -> Subject:
    m, n = draw.pick((16, 32, 64, 128)), draw.pick((10, 20, 28, 56)) if level == 1 else draw.pick((112, 224, 256))
    dtype = draw.pick(("float32", "float32", "float16"))
    figure = draw.pick(("bytes", "values"))
    target = f"conv{draw.pick((1, 3))}-{m}/{draw.pick((1, 1, 2))}"
    batch = 1 if level == 1 else draw.pick((1, 8, 32))
    return Subject("The memory of one map", target, f"3x{n}x{n}", figure, batch=batch, dtype=dtype)


@subject(FAMILY, "stack", WHOLE)
def stack(draw: Draw, level: int) -> Subject:
    m, n, count = draw.pick((16, 32, 64)), draw.pick((28, 32, 64, 112, 224)), draw.between(2, 3)
    target = " > ".join([f"conv3-{m} relu"] * count) if level == 3 else " > ".join([f"conv3-{m}"] * count)
    figure = draw.pick(("bytes", "values"))
    return Subject("Maps of a forward pass", target, f"3x{n}x{n}", figure, whole=True)


@subject(FAMILY, "strided", WHOLE)
def strided(draw: Draw, level: int) -> Subject:
    h, w = draw.pick(((200, 300), (128, 128), (96, 160), (64, 64)))
    a, b, c = draw.pick(((100, 200, 400), (16, 32, 64), (32, 64, 128)))
    batch = draw.pick((1, 1, 10, 50))
    target = f"conv3-{a}/2 > conv3-{b}/2 > conv3-{c}/2"
    figure = draw.pick(("bytes", "peak_bytes"))
    return Subject(
        "Three convolutions with stride 2", target, f"3x{h}x{w}", figure, batch=batch, whole=True, tags=("homl",)
    )


@subject(FAMILY, "peak", {"one-layer": (2, 3), "summary": (2, 3), "compare": (3,), "setting": (3,)})
def peak(draw: Draw, level: int) -> Subject:
    n, m = draw.pick((28, 32, 56, 64)), draw.pick((8, 16, 32))
    if level == 2:
        target = f"conv3-{m} > maxpool2 > conv3-{2 * m} > maxpool2"
    else:
        skip = draw.pick((f"(conv3-{m} conv3-{m} + identity)", f"(conv3-{m} relu conv3-{2 * m} conv3-{m} + identity)"))
        target = f"conv3-{m} > {skip} > maxpool2 > conv3-{2 * m}"
    return Subject("Peak memory while running forward", target, f"3x{n}x{n}", "peak_bytes", whole=True)


@subject(FAMILY, "doubling-channels", {"one-layer": (2, 3), "table": (2,)})
def doubling_channels(draw: Draw, level: int) -> Subject:
    n, m, count = draw.pick((16, 32, 64)), draw.pick((8, 16, 32)), draw.between(2, 4) + (2 if level == 3 else 0)
    target = " > ".join(f"conv3-{m * 2**i}" for i in range(count))
    return Subject("Channels that double before any pool", target, f"3x{n}x{n}", "values", whole=True)


@subject(FAMILY, "zoo", {"one-layer": (3,), "summary": (3,)})
def zoo(draw: Draw, level: int) -> Subject:
    name, title = draw.pick((("vgg11", "VGG-11"), ("vgg16", "VGG-16"), ("vgg19", "VGG-19")))
    batch = draw.pick((1, 1, 16, 32))
    story = (
        f"{title} as published runs on {'one image' if batch == 1 else f'a batch of {batch} images'} of 3x224x224; its "
        f"layers are in the paper, or `rfcalc table {name}`."
    )
    figure = draw.pick(("values", "bytes"))
    return Subject(
        f"The forward pass of {title}",
        name,
        "3x224x224",
        figure,
        "",
        story,
        False,
        batch=batch,
        whole=True,
        tags=("vgg",),
    )


@pattern(FAMILY, "megabytes", "one-layer", (2, 3))
def megabytes(draw: Draw, level: int) -> Question:
    m, n, count = draw.pick((32, 64, 128)), draw.pick((56, 112, 224)), draw.pick((1, 2, 3))
    binary, gradients = draw.below(2) == 1, level == 3
    unit, scale, other = ("MiB", 2**20, 10**6) if binary else ("MB", 10**6, 2**20)
    target = f"conv3-{m} x{count}"
    report, second = report_of(target, f"3x{n}x{n}"), second_of(target, f"3x{n}x{n}")
    values = report.totals.values - 3 * n * n
    counted = second.values - 3 * n * n
    times = 2 if gradients else 1
    more = f", and a gradient of the same size{' for each' if count > 1 else ' too'}" if gradients else ""
    given = "A convolution of 3×3 with" if count == 1 else f"{count} convolutions of 3×3 in a row, each with"
    kept = "Its output is" if count == 1 else "The outputs of all of them are"
    return decimal(
        draw,
        "Megabytes of activations",
        f"{given} {m} filters, padded to keep the size, {'run' if count > 1 else 'runs'} on an image of 3x{n}x{n}. "
        f"{kept} kept in float32{more}. How many {unit} is that? Give two decimal places.",
        key=Fraction(values * 4 * times, scale),
        second=Fraction(counted * 4 * times, scale),
        unit=unit,
        wrongs=[
            (Fraction(values * 4 * times, other), f"MB is 10^6 bytes, MiB is 2^20 bytes; {unit} is asked for."),
            (Fraction(values * times, scale), "values-for-bytes"),
            (
                Fraction(values * 4 * (3 - times), scale),
                "Gradients are counted where they are asked for, and only there.",
            ),
            (Fraction((values + 3 * n * n) * 4 * times, scale), "The input is not among the outputs."),
        ],
        conventions="Only the outputs of the convolutions are counted, in float32 (4 bytes each); MB is 10^6 bytes, "
        "MiB is "
        "2^20 bytes.",
        told=(f"{count}·{m}·{n}·{n} = {values} values", f"{values}·4{'·2' if gradients else ''} / {scale} {unit}"),
    )


@pattern(FAMILY, "optimizer", "one-layer", (2, 3))
def optimizer(draw: Draw, level: int) -> Question:
    name, shape, title = (
        draw.pick(
            (
                ("vgg16", "3x224x224", "VGG-16"),
                ("resnet18", "3x224x224", "ResNet-18 (torchvision)"),
                ("alexnet-torchvision", "3x224x224", "AlexNet (torchvision)"),
            )
        )
        if level == 3
        else (f"flatten > fc{draw.pick((50, 100, 200))} > fc10", "1x28x28", "")
    )
    states, rule = draw.pick(
        ((2, "Adam (two running means for each parameter)"), (1, "SGD with momentum"), (0, "plain SGD"))
    )
    report, second = report_of(name, shape), second_of(name, shape)
    params = agree(report.totals.params, sum(c.weights + c.biases for c in second.counts.values()), "parameters")
    copies = 2 + states
    key = params * 4 * copies
    what = title or f"a network with {params} parameters"
    return numeric(
        draw,
        "Weights, gradients, optimizer state",
        f"{what[:1].upper() + what[1:]} is trained in float32 with {rule}. How many bytes do its parameters, their "
        "gradients and the state of the optimizer take together?",
        key=key,
        second=sum(params * 4 for _ in range(copies)),
        wrongs=[
            (params * copies, "values-for-bytes"),
            (params * 4 * (1 + states), "Every parameter has a gradient too."),
            (params * 4, "These are the parameters alone."),
            (params * 4 * 4, "Count what this optimizer keeps for each parameter.")
            if states != 2
            else (params * 4 * 3, "Adam keeps two running means for each parameter."),
        ],
        conventions="Parameters (weights and biases), gradients and optimizer state are float32, 4 bytes each; "
        "activations "
        "and buffers are not counted.",
        told=(
            f"{params} parameters",
            f"1 + 1 + {states} = {copies} numbers each",
            f"{params}·{copies}·4 = {key} bytes",
        ),
        tags=("optimizer",),
    )


@pattern(FAMILY, "im2col", "one-layer", (2, 3))
def im2col(draw: Draw, level: int) -> Question:
    n, k, s, c = draw.pick(((227, 11, 4, 3), (32, 3, 1, 3), (28, 5, 1, 1), (64, 7, 2, 3), (56, 3, 1, 64)))
    target = f"conv{k}-8/{s} p0"
    report, second = report_of(target, f"{c}x{n}x{n}"), second_of(target, f"{c}x{n}x{n}")
    side = agree(report["conv1"].shape.spatial[0], second.shapes["conv1"][1], "side")
    key = k * k * c * side * side
    inputs = c * n * n
    if level == 3:
        return decimal(
            draw,
            "The blow-up of im2col",
            f"A convolution of {k}×{k} with stride {s} and no padding on {c}x{n}x{n} is computed as a matrix "
            f"product: every "
            "window becomes a column (im2col). How many times larger than the input is the matrix of columns? Give two "
            "decimal places.",
            key=Fraction(key, inputs),
            second=Fraction(second.counts["conv1"].macs // 8, inputs),
            wrongs=[
                (Fraction(k * k), "Strides leave windows out, and borders too."),
                (Fraction(key, inputs * c), "channels-forgotten"),
                (Fraction(k * k, s), "A stride counts on both axes."),
                (Fraction(k * k, s * s), "Count the windows: the map has as many positions as it has."),
            ],
            conventions="Sizes are rounded down; the matrix has a row for each value of a window, a column for each "
            "window.",
            told=(f"{k}·{k}·{c} rows, {side}·{side} columns: {key} values", f"the input: {inputs} values"),
            tags=("im2col",),
        )
    return numeric(
        draw,
        "The matrix of im2col",
        f"A convolution of {k}×{k} with stride {s} and no padding on {c}x{n}x{n} is computed as a matrix product: "
        f"every "
        "window becomes a column (im2col). How many values does the matrix of columns have?",
        key=key,
        second=second.counts["conv1"].macs // 8,
        wrongs=[
            (k * k * side * side, "channels-forgotten"),
            (k * k * c * n * n, "positions-of-the-input"),
            (inputs, "Neighbouring windows overlap: values are copied into several columns."),
            (k * k * c * side, "A column for each window of both axes."),
        ],
        conventions="Sizes are rounded down; the matrix has a row for each value of a window, a column for each "
        "window.",
        told=(f"rows: {k}·{k}·{c} = {k * k * c}", f"columns: {side}·{side} = {side * side}", f"values: {key}"),
        tags=("im2col",),
    )


@pattern(FAMILY, "smaller-image", "one-layer", (2,))
def smaller_image(draw: Draw, level: int) -> Question:
    big, small = draw.pick(((224, 32), (224, 112), (256, 64), (224, 56), (320, 64), (640, 160)))
    m = draw.pick((32, 64, 96))
    values = [
        agree(report_of(f"conv3-{m}", f"3x{n}x{n}")["conv1"].values, _values(f"conv3-{m}", n), "values")
        for n in (big, small)
    ]
    if values[0] % values[1]:
        raise Unfit
    key = values[0] // values[1]
    layer = say(report_of(f"conv3-{m}", f"3x{big}x{big}").network.nodes[0].layer)
    return numeric(
        draw,
        "A smaller image",
        f"A {layer}, runs on {small}×{small} instead of {big}×{big}. By what factor does the memory of its output "
        f"shrink?",
        key=key,
        second=(big // small) ** 2 if big % small == 0 else 0,
        wrongs=[
            (big // small, "Both axes shrink: the factor is squared."),
            (1, "The parameters stay; the map does not."),
            ((big // small) ** 2 * m, "The number of channels stays."),
            (2 * (big // small), "The factors of the two axes multiply."),
        ],
        conventions=("values",),
        told=(f"{values[0]} values against {values[1]}: {big // small}² = {key}",),
    )


def _values(target: str, n: int) -> int:
    c, h, w = second_of(target, f"3x{n}x{n}").shapes["conv1"]
    return c * h * w


@pattern(FAMILY, "training", "one-layer", (3,))
def training(draw: Draw, level: int) -> Question:
    m, n, batch = draw.pick((16, 32, 64)), draw.pick((32, 64)), draw.pick((10, 32, 50, 64))
    target = f"conv3-{m}/2 > conv3-{2 * m}/2 > conv3-{4 * m}/2"
    report, second = report_of(target, f"3x{n}x{n}"), second_of(target, f"3x{n}x{n}")
    outputs = agree(report.totals.values, second.values, "values") - 3 * n * n
    key = outputs * 4 * batch
    return numeric(
        draw,
        "Activations of a training step",
        listing(report),
        f"In training the outputs of all layers are kept until the backward pass. How many bytes are that in "
        f"float32 for a "
        f"batch of {batch}, the input not counted?",
        key=key,
        second=sum(_of(second.shapes[r.name]) for r in report) * 4 * batch,
        wrongs=[
            (outputs * 4, "batch-forgotten"),
            (outputs * batch, "values-for-bytes"),
            ((outputs + 3 * n * n) * 4 * batch, "The input is not counted here."),
            (max(r.values for r in report) * 4 * batch, "All outputs are kept, not the largest alone."),
        ],
        conventions="Outputs of all layers are counted in float32 (4 bytes each), the input, weights and gradients "
        "are not.",
        told=(*[f"{r.name}: {r.values} values" for r in report], f"{outputs}·4·{batch} = {key} bytes"),
        tags=("homl",),
    )


def _of(dims: tuple[int, ...]) -> int:
    total = 1
    for n in dims:
        total *= n
    return total
