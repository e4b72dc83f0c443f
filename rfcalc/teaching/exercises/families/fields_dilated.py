"""Receptive fields: dilation or not, notations, what changes them."""

from __future__ import annotations

from rfcalc.teaching.exercises.draw import Draw
from rfcalc.teaching.exercises.families.fields_more import seen_by
from rfcalc.teaching.exercises.item import Question
from rfcalc.teaching.exercises.patterns import chosen, numeric, pattern

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
