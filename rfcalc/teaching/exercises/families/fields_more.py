"""Receptive fields: areas, places of the stride, intervals of one unit, temporal networks, notations."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from rfcalc.teaching.exercises.draw import Draw
from rfcalc.teaching.exercises.item import AnswerSlot, Blank, ExerciseTable, Question, Text
from rfcalc.teaching.exercises.patterns import Mistake, Subject, Unfit, agree, decimal, numeric, pattern
from rfcalc.teaching.exercises.pictures import stack_of
from rfcalc.teaching.exercises.subject import confirmed, number_blank, report_of, second_of
from rfcalc.teaching.exercises.variants import duel
from rfcalc.teaching.exercises.words import convention, listing

FAMILY = "receptive-field"


def seen_by(target: str, shape: str = "3x512x512", at: str = "") -> int:
    """The receptive field of the last node (or another), confirmed by the second road."""
    return int(confirmed(Subject("", target, shape, "receptive_field", at)))


@pattern(FAMILY, "area", "one-layer", (1,))
def area(draw: Draw, level: int) -> Question:
    k, count = draw.pick((3, 3, 5)), draw.between(2, 6)
    side = seen_by(f"conv{k}-8 x{count}")
    by_hand = count * (k - 1) + 1
    return numeric(
        draw,
        "How many pixels does a unit see?",
        f"{count} convolutions of {k}×{k}, stride 1, follow one another. How many input pixels of one channel are "
        f"in the "
        "receptive field of a unit of the last one?",
        key=side * side,
        second=by_hand**2,
        wrongs=[
            (side, "This is the side; the pixels are its square.", "side-as-radius"),
            ((count * k) ** 2, "fields-added"),
            (k ** (2 * count), "fields-multiplied"),
            (k * k, "kernel-as-field"),
            ((side - k + 1) ** 2, "off-by-one-layer"),
        ],
        conventions=("receptive_field",),
        told=(f"side: {count}·({k} − 1) + 1 = {side}", f"pixels: {side}·{side} = {side * side}"),
    )


@pattern(FAMILY, "place-of-the-stride", "compare", (2,))
def place_of_the_stride(draw: Draw, level: int) -> Question:
    count, k, s = draw.between(2, 4), draw.pick((3, 5)), draw.pick((2, 3))

    def target(place: int) -> str:
        return " > ".join(f"conv{k}-8/{s if i == place else 1}" for i in range(count))

    a = Subject("Where the stride stands", target(0), "3x128x128", "receptive_field")
    b = a.other(target(count - 1))
    text = f"{count} convolutions of {k}×{k} follow one another; one of them has stride {s}, the others stride 1."
    return duel(a, b, text, ("the first one has the stride", "the last one has the stride"), draw)


@pattern(FAMILY, "fifth-layer", "table", (2, 3))
def fifth_layer(draw: Draw, level: int) -> Question:
    count = draw.between(3, 4) if level == 2 else draw.between(5, 6)
    k = draw.pick((3, 3, 5, 7))
    designs = {
        f"{count} convolutions of {k}×{k}": f"conv{k}-8 x{count}",
        "the same, a 2×2 pool (stride 2) between each two": " > maxpool2 > ".join([f"conv{k}-8"] * count),
        f"the same without pools, dilations {', '.join(str(2**i) for i in range(count))}": " > ".join(
            f"conv{k}-8 d{2**i}" for i in range(count)
        ),
    }
    plain = count * (k - 1) + 1
    blanks: list[Blank] = []
    rows: list[tuple[str | AnswerSlot, ...]] = []
    told = []
    for i, (words, target) in enumerate(designs.items()):
        key = seen_by(target, "3x256x256")
        wrongs: list[Mistake] = [(count * k, "fields-added"), (k, "kernel-as-field")]
        if i:
            wrongs.append((plain, "Strides and dilations before a layer widen its steps.", "strides-before-ignored"))
        made = [(w[0], w[1] if len(w) == 3 else _feedback(w[1])) for w in wrongs]
        blanks.append(number_blank(draw, key, made, name=f"d{i + 1}", label=words))
        rows.append((words, AnswerSlot(f"d{i + 1}")))
        told.append(f"{words}: {key}")
    return Question(
        "Three ways to see more",
        (
            Text("How large is the receptive field of a unit of the last convolution of each design?"),
            ExerciseTable(("design", "receptive field"), tuple(rows)),
        ),
        tuple(blanks),
        convention(("receptive_field",)),
        tuple(told),
    )


def _feedback(name: str) -> str:
    from rfcalc.teaching.misconceptions import MISCONCEPTIONS

    return MISCONCEPTIONS[name].feedback


@pattern(FAMILY, "dense-as-convolution", "one-layer", (3,))
def dense_as_convolution(draw: Draw, level: int) -> Question:
    pools, k = draw.pick(((5, 7), (4, 7), (5, 3), (3, 4), (3, 8), (4, 6), (2, 8)))
    convs = draw.pick((1, 2, 3))
    front = " > ".join([*["conv3-8"] * convs, "maxpool2"] * pools)
    key = seen_by(f"{front} > conv{k}-32 p0", "3x512x512")
    before = seen_by(front, "3x512x512")
    return numeric(
        draw,
        "A fully connected layer as a convolution",
        f"A network has {pools} blocks, each of {'one' if convs == 1 else convs} 3×3 "
        f"convolution{'s' if convs > 1 else ''} and a 2×2 pool with "
        f"stride 2. After them a fully connected layer, written as a {k}×{k} convolution, reads the map. How large "
        f"is the "
        "receptive field of one of its units?",
        key=key,
        second=before + (k - 1) * 2**pools,
        wrongs=[
            (before, "off-by-one-layer"),
            (before + k - 1, "strides-before-ignored"),
            (k * 2**pools, "The units before it see more than one step of the stride.", ""),
            (before + k * 2**pools, "fields-added"),
        ],
        conventions=("receptive_field",),
        told=(
            f"before it: r = {before}, stride j = 2^{pools} = {2**pools}",
            f"r = {before} + ({k} − 1)·{2**pools} = {key}",
        ),
        tags=("vgg",),
    )


def _interval_network(draw: Draw, level: int) -> tuple[str, str, str]:
    """A target, its input shape, the node: short chains by hand, VGG-16 and branches at level 3."""
    if level == 3:
        if draw.below(3) == 0:
            return "vgg16", "3x224x224", draw.pick(("pool5", "conv5_3", "pool4"))
        target = "(conv5-8/2 p2:1 + conv3-8 p1 conv3-8/2 p1)"
        n = draw.pick((16, 20, 24))
        return (f"{target} > conv3-8 p1" if draw.below(2) else target), f"3x{n}x{n}", ""
    parts = []
    for _ in range(draw.between(2, 3)):
        k, s = draw.pick(((3, 1), (3, 2), (3, 3), (2, 2), (5, 2)))
        parts.append(f"conv{k}-8/{s} p{draw.between(0, k // 2)}")
    n = draw.between(20, 40)
    return " > ".join(parts), f"1x{n}x{n}", ""


@pattern(FAMILY, "interval", "table", (2, 3))
def interval(draw: Draw, level: int) -> Question:
    target, shape, at = _interval_network(draw, level)
    report, second = report_of(target, shape), second_of(target, shape)
    position = report.network.position(at or report.network.outputs[0])
    node = report.network.nodes[position - report.network.arity].name
    units = report.shapes[position].spatial[0]
    if units < 3:
        raise Unfit
    from rfcalc.report.field_report import FieldReport

    window = report.receptive_field(position).windows[0]
    if window is None or window.period > 1:
        raise Unfit
    field_report = FieldReport(report, node)
    chosen_units = sorted({0, draw.between(1, units - 2), units - 1})
    blanks: list[Blank] = []
    rows: list[tuple[str | AnswerSlot, ...]] = []
    told = []
    for unit in chosen_units:
        ends = window.unit(unit)
        first, last = agree(ends, second.hull(node, 0, unit), f"interval of unit {unit}")
        seen = second.pixels(node, 0, unit)
        hull = field_report.unit((unit,) * report.shapes[position].rank).hull
        if hull is None:
            raise Unfit
        real = agree(hull[0], (seen[0], seen[-1]), f"pixels of unit {unit}")
        row: list[str | AnswerSlot] = [str(unit)]
        for name, key, wrong, said in (
            ("first", first, real[0], "Padding is counted here: the interval may begin before pixel 0."),
            ("last", last, real[1], "Padding is counted here: the interval may end after the last pixel."),
            ("first_real", real[0], first, "Only real pixels are asked for here."),
            ("last_real", real[1], last, "Only real pixels are asked for here."),
        ):
            slot = f"u{unit}_{name}"
            label = f"unit {unit}, {name.replace('_', ' ')}"
            blanks.append(number_blank(draw, key, [(wrong, said)], name=slot, label=label))
            row.append(AnswerSlot(slot))
        rows.append(tuple(row))
        told.append(f"unit {unit}: {first} … {last}, real pixels {real[0]} … {real[1]}")
    body: list[Any] = []
    if target == "vgg16":
        body.append(Text(f"The network is VGG-16 on 224×224, the map is `{node}`."))
    else:
        body += [listing(report), Text(f"The map is the output of `{node}`, with {units} units on an axis.")]
    body.append(
        Text(
            "On one axis, pixel 0 is the first. Which input positions does each unit depend on: from the first to the "
            "last with padding counted, and which of them are real pixels of the image?"
        )
    )
    header = ("unit", "first", "last", "first real pixel", "last real pixel")
    begin, step = second.hull(node, 0, 0)[0], window.advance
    told.insert(0, f"unit u begins at {begin} + {step}·u and spans {window.size}; maps between are cut at their ends")
    return Question(
        "What one unit sees",
        (*body, ExerciseTable(header, tuple(rows))),
        tuple(blanks),
        "Positions count from 0 at the first pixel; in the first two columns padding is counted, in the last two only "
        "real pixels that have an influence through every map between.",
        tuple(told),
        picture=None if target == "vgg16" else stack_of(target, shape, at),
    )


@pattern(FAMILY, "centre-and-spacing", "one-layer", (2, 3))
def centre_and_spacing(draw: Draw, level: int) -> Question:
    if level == 3:
        target, shape, at = "vgg16", "3x224x224", draw.pick(("pool3", "pool4", "pool5", "conv4_3"))
        what = f"`{at}` of VGG-16"
    else:
        k, s, p = draw.pick(((3, 2, 1), (5, 2, 2), (7, 2, 3), (3, 1, 1), (5, 1, 2), (4, 2, 1), (3, 2, 0), (6, 2, 2)))
        target, shape, at = f"conv{k}-8/{s} p{p} > maxpool2 > conv3-8 p1 > maxpool2", "3x64x64", ""
        what = f"a {k}×{k} convolution (stride {s}, padding {p}), a 2×2 pool, a 3×3 convolution (padding 1), a 2×2 pool"
    report, second = report_of(target, shape), second_of(target, shape)
    row = report.outputs[0] if not at else report[at]
    field = row.receptive_field
    size = field.size[0] or 0
    centre, stride = (Fraction(figure[0] or 0) for figure in (field.center, field.stride))
    first, last = second.hull(row.name, 0, 0)
    return decimal(
        draw,
        "The centre of the first unit",
        f"Consider the map after {what}. Where on the image is the centre of the receptive field of its unit 0, if "
        f"pixel 0 "
        "has its centre at 0? Give one decimal place.",
        key=centre,
        second=Fraction(first + last, 2),
        places=1,
        wrongs=[
            (centre + Fraction(1, 2), "Pixel 0 has its centre at 0, not at 0.5."),
            (Fraction(size - 1, 2), "padding-forgotten"),
            (stride, "This is the distance between neighbouring units."),
            (Fraction(0), "Unit 0 looks at more than pixel 0; half its interval lies to the right."),
        ],
        conventions="Pixel 0 has its centre at 0; padding is counted.",
        told=(f"unit 0 spans {first} … {last}", f"its centre: ({first} + {last}) / 2 = {float(centre):g}"),
    )


@pattern(FAMILY, "wavenet", "one-layer", (2, 3))
def wavenet(draw: Draw, level: int) -> Question:
    k, count = draw.pick((2, 2, 3)), draw.pick((4, 5, 6)) if level == 2 else draw.pick((8, 10))
    stacks = draw.between(1, 3)
    target = " > ".join([f"conv{k}-8 d(2**i) valid x{count}:i"] * stacks)
    key = seen_by(target, "1x16384")
    total = sum(2**i for i in range(count))
    dilations = "1, 2, 4, 8" if count == 4 else f"1, 2, 4, …, {2 ** (count - 1)}"
    times = "" if stacks == 1 else f", and this stack {stacks} times in a row"
    one = (k - 1) * total + 1
    milliseconds = draw.below(3) == 0
    text = f"A network on a signal has convolutions of length {k} with dilations {dilations}{times}. "
    if milliseconds:
        rate = draw.pick((8000, 16000))
        return decimal(
            draw,
            "Milliseconds of a signal",
            text
            + f"The signal has {rate} samples a second. How many milliseconds does one output see? Give one decimal "
            "place.",
            key=Fraction(1000 * key, rate),
            second=Fraction(1000 * (stacks * (one - 1) + 1), rate),
            places=1,
            unit="ms",
            wrongs=[
                (Fraction(1000 * one * stacks, rate), "fields-added"),
                (Fraction(1000 * (count * stacks * (k - 1) + 1), rate), "kernel-not-widened"),
                (Fraction(key, rate), "A second has 1000 milliseconds."),
            ],
            conventions=("receptive_field",),
            told=(f"{stacks}·({k} − 1)·{total} + 1 = {key} samples", f"{key} / {rate} s"),
            tags=("wavenet",),
        )
    return numeric(
        draw,
        "Dilated stacks on a signal",
        text + "How many samples does one output see?",
        key=key,
        second=stacks * (one - 1) + 1,
        wrongs=[
            (stacks * one, "fields-added"),
            (count * stacks * (k - 1) + 1, "kernel-not-widened"),
            (stacks * (k - 1) * (total + count) + 1, "dilation-from-zero"),
            (one**stacks, "fields-multiplied"),
            (2**count * stacks, "fields-added"),
        ],
        conventions=("receptive_field",),
        told=(f"one stack: ({k} − 1)·{total} + 1 = {one}", f"{stacks}·({one} − 1) + 1 = {key}"),
        tags=("wavenet",),
    )


@pattern(FAMILY, "temporal-blocks", "one-layer", (2, 3))
def temporal_blocks(draw: Draw, level: int) -> Question:
    k, stacks = draw.pick((2, 3, 4, 8)), draw.pick((1, 1, 2, 3)) if level == 3 else 1
    dilations = draw.pick(((1, 2, 4), (1, 3, 5), (1, 2, 4, 8), (1, 2, 4, 8, 16, 32)))
    one = " > ".join(f"conv{k}-8 d{d} valid > conv{k}-8 d{d} valid" for d in dilations)
    key = seen_by(" > ".join([one] * stacks), "1x4096")
    total = sum(dilations)
    times = "" if stacks == 1 else f" The whole is stacked {stacks} times."
    return numeric(
        draw,
        "Blocks of two convolutions",
        f"A temporal network has residual blocks of two causal convolutions each, of length {k}; both convolutions "
        f"of a "
        f"block have the same dilation. The blocks have dilations {', '.join(map(str, dilations))}.{times} How many "
        "samples does one output see?",
        key=key,
        second=2 * (k - 1) * total * stacks + 1,
        wrongs=[
            ((k - 1) * total * stacks + 1, "one-convolution-a-block"),
            (2 * (k - 1) * total + 1, "off-by-one-layer") if stacks > 1 else (k * total * 2, "fields-added"),
            (stacks * (2 * (k - 1) * total + 1), "fields-added"),
            (2 * (k - 1) * len(dilations) * stacks + 1, "kernel-not-widened"),
            (2 * k * total * stacks, "fields-added"),
        ],
        conventions=("receptive_field",),
        told=(f"each block adds 2·({k} − 1)·d", f"1 + 2·({k} − 1)·{total}·{stacks} = {key}"),
        tags=("tcn",),
    )
