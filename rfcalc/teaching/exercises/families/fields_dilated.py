"""Receptive fields: dilation or not, notations, what changes them."""

from __future__ import annotations

from dataclasses import replace

from rfcalc.teaching.exercises.draw import Draw
from rfcalc.teaching.exercises.families.fields_more import seen_by
from rfcalc.teaching.exercises.item import Question
from rfcalc.teaching.exercises.patterns import agree, chosen, grid, numeric, pattern
from rfcalc.teaching.exercises.pictures import figure, reads
from rfcalc.teaching.exercises.subject import report_of

FAMILY = "receptive-field"


@pattern(FAMILY, "dilated-or-not", "setting", (2,))
def dilated_or_not(draw: Draw, level: int) -> Question:
    k, count = draw.pick((2, 3, 4, 5)), draw.between(3, 6)
    key = seen_by(f"conv{k}-8 d(2**i) valid x{count}:i", "1x1024")
    layers = next(m for m in range(1, 400) if m * (k - 1) + 1 >= key)
    counted = next(m for m in range(1, 400) if seen_by(f"conv{k}-8 valid x{m}", "1x1024") >= key)
    return numeric(
        draw,
        "How many layers without dilation?",
        f"{count} convolutions of length {k} with dilations {', '.join(str(2**i) for i in range(count))} see {key} "
        f"samples. How many convolutions of length {k} without dilation does it take to see at least as many?",
        key=layers,
        second=counted,
        wrongs=[
            (-(-key // k), "fields-added"),
            (key, "Every layer adds k − 1, and the first sees k."),
            (2**count, "Count what each layer adds: k − 1."),
            (layers - 1, "One sample is still missing.", "off-by-one-layer"),
        ],
        conventions=("receptive_field",),
        told=(f"m·({k} − 1) + 1 ≥ {key}: m ≥ {(key - 1) / (k - 1):g}, so m = {layers}",),
        tags=("wavenet",),
    )


@pattern(FAMILY, "gap-notation", "one-layer", (2,))
def gap_notation(draw: Draw, level: int) -> Question:
    gap, k = draw.between(1, 7), draw.pick((2, 3, 3, 5, 7))
    key = seen_by(f"conv{k}-8 d{gap + 1}", "3x64x64")
    return numeric(
        draw,
        "Dilation as a gap",
        f"A text calls the number of positions left out between two taps of a kernel its dilation, so that an ordinary "
        f"convolution has dilation 0 (libraries call that 1). In this notation a convolution of {k}×{k} has dilation "
        f"{gap}. How many positions does it see on an axis?",
        key=key,
        second=k + (k - 1) * gap,
        wrongs=[
            (gap * (k - 1) + 1, "This reads the number as libraries do; here it is the gap.", "dilation-from-zero"),
            (k, "kernel-not-widened"),
            (k * (gap + 1), "The gaps lie between the taps: there are k − 1 of them.", "fields-multiplied"),
            (k + gap, "Each of the k − 1 gaps has so many positions."),
        ],
        conventions="Here dilation is the number of positions left out between two taps; the receptive field is the "
        "side of "
        "the hull of what is read.",
        told=(f"{k} taps and {k - 1} gaps of {gap}: {k} + {k - 1}·{gap} = {key}",),
    )


@pattern(FAMILY, "what-changes-it", "setting", (1, 2))
def what_changes_it(draw: Draw, level: int) -> Question:
    k = draw.pick((3, 5, 7))
    base = f"conv{k}-8 > conv3-8"
    inserted = {
        "batch normalisation (in evaluation mode)": "bn",
        "a ReLU": "relu",
        "a 1×1 convolution": "conv1-8",
        "dropout": "dropout",
        "a 2×2 max pooling with stride 2": "maxpool2",
        "a 3×3 average pooling with stride 1": "avgpool3/1 p1",
        "a 3×3 convolution": "conv3-8",
        "zero padding of 2": "pad2",
    }
    before = seen_by(base, "3x64x64")
    sizes = {words: seen_by(f"conv{k}-8 > {word} > conv3-8", "3x64x64") for words, word in inserted.items()}
    changing = [w for w, size in sizes.items() if size != before]
    keeping = [w for w, size in sizes.items() if size == before]
    key = draw.pick(changing)
    return chosen(
        draw,
        "What changes the receptive field?",
        f"A {k}×{k} convolution is followed by a 3×3 convolution. One thing is put between them. Which of these "
        f"changes the "
        "receptive field of the last layer's units?",
        key=key,
        wrongs=[(w, f"With it the receptive field stays {before}.") for w in keeping],
        conventions=("receptive_field",),
        told=[f"without: {before}", *[f"with {w}: {size}" for w, size in sizes.items() if w == key or w in keeping]],
    )


@pattern(FAMILY, "who-reads-what", "setting", (2, 3))
def who_reads_what(draw: Draw, level: int) -> Question:
    k, s, d = draw.between(2, 4), draw.between(1, 3), draw.between(1, 2 if level == 2 else 3)
    p = 0 if level == 2 else draw.between(0, min(2, (k - 1) * d))
    wide = (k - 1) * d + 1
    n = wide + 3 * s + draw.between(0, 2)

    def read(setting: tuple[int, int, int, int]) -> list[tuple[int, ...]]:
        kernel, stride, padding, dilation = setting
        if n + 2 * padding < (kernel - 1) * dilation + 1:
            return []
        return list(reads(report_of(f"conv{kernel}-1/{stride} p{padding} d{dilation}", f"1x{n}")))

    def told(setting: tuple[int, int, int, int]) -> str:
        return "kernel of length {}, stride {}, padding {}, dilation {}".format(*setting)

    right = (k, s, p, d)
    places = agree(
        read(right),
        [tuple(q for q in range(n) if (q + p - u * s) % d == 0 and 0 <= (q + p - u * s) // d < k) for u in range(4)],
        "what the units read",
    )
    stride = "From one unit to the next, the first position moves on by the stride."
    dilation = "Within one unit, neighbouring positions are a dilation apart."
    near = [
        ((k, s + 1, p, d), stride, ""),
        ((k, max(1, s - 1), p, d), stride, "stride-ignored" if s == 2 else ""),
        ((k, d, p, s), f"{dilation} {stride}", ""),
        ((k, s, p, d + 1), dilation, "dilation-from-zero"),
        ((wide, s, p, 1), "A unit reads only some of the positions from its first to its last.", "kernel-not-widened"),
        ((k + 1, s, p, d), "Count the positions of a unit that is away from the borders.", "one-forgotten"),
        ((k, s, p + 1, d), "With this padding unit 0 begins further to the left.", ""),
    ]
    question = chosen(
        draw,
        "Who reads what",
        f"A convolution goes over a signal of {n} positions, counted from 0. The table says which positions its first "
        "units read; padding is left out.",
        grid(
            ("unit", "positions that it reads"),
            [(f"unit {u}", ", ".join(map(str, q)) or "padding only") for u, q in enumerate(places)],
        ),
        "Which convolution is it?",
        key=told(right),
        wrongs=[(told(one), why, name) for one, why, name in near if read(one)[: len(places)] != places],
        conventions="Padding is on both sides; dilation is the distance between two taps of the kernel, 1 for an "
        "ordinary convolution.",
        told=(
            f"away from the borders a unit reads {k} positions: the kernel has length {k}",
            f"these are {d} apart: the dilation is {d}",
            f"the first position moves on by {s} from unit to unit: the stride is {s}",
            f"unit 0 begins at -{p}: the padding is {p}" if p else "unit 0 begins at 0: there is no padding",
        ),
        least=3,
    )
    return replace(question, picture=figure("taps", f"conv{k}-1/{s} p{p} d{d}", f"1x{n}"))
