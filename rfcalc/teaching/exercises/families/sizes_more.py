"""Output sizes, turned round: does it fit, which layer does it, how small may the image be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rfcalc.core.errors import RfcalcError
from rfcalc.report import Report
from rfcalc.teaching.exercises.draw import Draw
from rfcalc.teaching.exercises.item import Question
from rfcalc.teaching.exercises.patterns import Unfit, agree, chosen, numeric, pattern
from rfcalc.teaching.exercises.recount import Second
from rfcalc.teaching.exercises.subject import network_of, report_of
from rfcalc.teaching.exercises.words import listing, say

FAMILY = "output-size"


def sides_of(target: str, n: int, channels: int = 3) -> tuple[int, ...]:
    """The spatial sizes of a network's output, by the rules.

    Raises:
        ShapeError: it does not take such an image.
    """
    return Report(network_of(target), f"{channels}x{n}x{n}").shapes[-1].spatial


def counted(target: str, n: int, channels: int = 3) -> tuple[int, ...]:
    """The same by counting; an empty map where nothing fits."""
    network = network_of(target)
    return Second(network, {"input": (channels, n, n)}).shapes[network.nodes[-1].name][1:]


@pattern(FAMILY, "does-it-fit", "one-layer", (1, 2))
def does_it_fit(draw: Draw, level: int) -> Question:
    n, k, s, p = draw.between(8, 40), draw.pick((2, 3, 5)), draw.between(2, 4), draw.between(0, 1)
    kind, name = draw.pick((("conv", "convolution"), ("maxpool", "max pooling")))
    if kind == "maxpool" and 2 * p > k:
        raise Unfit
    word = f"conv{k}-8/{s} p{p}" if kind == "conv" else f"maxpool{k}/{s} p{p}"
    down, rest = divmod(n + 2 * p - k, s)
    low = agree(sides_of(word, n)[0], counted(word, n)[0], "size")
    high = agree(-(-(n + 2 * p - k) // s) + 1, low + (rest > 0), "size")
    fits, not_fits = "The windows fit exactly", f"The windows leave {rest} of {n + 2 * p} positions over"
    key = f"{fits}: {low} outputs." if not rest else f"{not_fits}; rounding down gives {low} outputs."
    wrongs: list[Any] = [
        (f"{fits}: {low + 1} outputs.", "Count the windows: the last one ends at or before the end.", "rounded-up"),
        (f"{fits}: {low - 1} outputs.", "one-forgotten"),
        ("Libraries refuse such a layer.", "They round down; the positions that are left over are not read.", ""),
        (f"The windows leave {s - 1} positions over; libraries give {high} outputs.", "rounded-up"),
    ]
    if rest:
        wrongs.append((f"The map has {(n + 2 * p - k) / s + 1:.4g} outputs.", "not-rounded"))
    told = (
        f"({n} + 2·{p} − {k}) / {s} = {down}, remainder {rest}; {down} + 1 = {low} windows.",
        "With a remainder the last positions are not read; ceil mode would add a window that sticks out."
        if rest
        else "Without a remainder rounding up or down gives the same.",
    )
    return chosen(
        draw,
        "Does the window fit?",
        f"A {name} with a window of {k}, stride {s} and padding {p} goes over {n} positions of an axis.",
        "Does it fit, and how many outputs do libraries give unless ceil mode is asked for?",
        key=key,
        wrongs=wrongs,
        conventions="Libraries (PyTorch, Keras) round down unless ceil mode is asked for; padding is on both sides.",
        told=told,
    )


@pattern(FAMILY, "same-padding", "setting", (1, 2))
def same_padding(draw: Draw, level: int) -> Question:
    k, d = (draw.pick((3, 5, 7, 9, 11)), 1) if level == 1 else (draw.pick((2, 3, 4, 5, 6, 7)), draw.between(1, 4))
    n = draw.pick((28, 32, 56, 64))
    total = d * (k - 1)
    found = next(t for t in range(100) if counted(f"pad{t // 2}:{t - t // 2} > conv{k}-4 p0 d{d}", n) == (n, n))
    dilated = f" and dilation {d}" if d > 1 else ""
    half = f"{total // 2} on each side" if total % 2 == 0 else f"{total // 2} before and {total - total // 2} behind"
    return numeric(
        draw,
        "Padding that keeps the size",
        f"A convolution with a kernel of {k}×{k}{dilated}, stride 1, is to keep the size of its input, {n}×{n}.",
        "How many positions of padding does an axis need in all, before and behind together?",
        key=total,
        second=found,
        wrongs=[
            (total // 2, "This is one side; both sides together are asked for.", "padding-once"),
            (d * k, "The kernel's own centre position needs no padding: d(k − 1) in all.", ""),
            (k - 1, "kernel-not-widened"),
            ((d + 1) * (k - 1), "dilation-from-zero"),
            (k // 2, "This is one side; both sides together are asked for.", "padding-once"),
        ],
        conventions="Padding of an axis is counted on both sides together; dilation 1 is the ordinary convolution.",
        told=(
            f"n + P − d(k − 1) = n at stride 1, so P = {d}·({k} − 1) = {total}: {half}.",
            *(("An odd total cannot be split evenly, so the map shifts by half a position.",) if total % 2 else ()),
        ),
    )


@pattern(FAMILY, "which-layer", "setting", (2,))
def which_layer(draw: Draw, level: int) -> Question:
    n = draw.pick((32, 48, 64, 96, 128))
    goal = n // draw.pick((2, 4))
    words = [f"conv{k}-8/{s} p{p}" for k in (1, 2, 3, 4, 5, 7) for s in (1, 2, 3, 4) for p in range(k // 2 + 1)] + [
        "maxpool2/2",
        "maxpool3/2",
        "maxpool4/4",
        "maxpool3/3",
        "avgpool2/2",
    ]
    right: list[tuple[Any, int]] = []
    wrong: list[tuple[Any, int]] = []
    for word in draw.shuffled(words)[:24]:
        side = agree(sides_of(word, n), counted(word, n), word)[0]
        (right if side == goal else wrong).append((word, side))
    near = sorted(wrong, key=lambda w: abs(w[1] - goal))[:6]
    if not right or len(near) < 3:
        raise Unfit

    def sentence(word: str) -> str:
        text = say(network_of(word).nodes[0].layer)
        return text[:1].upper() + text[1:]

    key = draw.pick(right)[0]
    return chosen(
        draw,
        "Which layer makes this size?",
        f"Which of these layers maps {n}×{n} to {goal}×{goal}?",
        key=sentence(key),
        wrongs=[(sentence(w), f"This one gives {side}×{side}.") for w, side in near],
        conventions=("side",),
        told=[f"{sentence(w)}: {side}" for w, side in [(key, goal), *near]],
    )


@pattern(FAMILY, "doubling", "setting", (2, 3))
def doubling(draw: Draw, level: int) -> Question:
    n, times = draw.pick((7, 8, 14, 16, 28)), draw.pick((2, 2, 3, 4)) if level == 3 else 2
    right: list[tuple[Any, int]] = []
    wrong: list[tuple[Any, int]] = []
    for k in range(2, 8):
        for p in range(3):
            for op in range(2):
                word = f"convT{k}-8/{times} p{p} op{op}"
                try:
                    side = agree(sides_of(word, n), counted(word, n), word)[0]
                except RfcalcError:
                    continue
                (right if side == n * times else wrong).append(((k, p, op), side))
    near = sorted(wrong, key=lambda w: abs(w[1] - n * times))[:8]

    def sentence(setting: tuple[int, int, int]) -> str:
        k, p, op = setting
        return f"kernel {k}, stride {times}, padding {p}" + (f", output padding {op}" if op else "")

    key = draw.pick(right)[0]
    word = {2: "doubles", 3: "triples", 4: "makes four times"}[times]
    return chosen(
        draw,
        "A transposed convolution for an exact factor",
        f"Which setting of a transposed convolution {word} the side of a map of {n}×{n}, exactly?",
        key=sentence(key),
        wrongs=[(sentence(w), f"This one gives {side}.") for w, side in near],
        conventions="The padding of a transposed convolution is cut off from both ends of its result; output padding "
        "is added to one end.",
        told=[
            f"({n} − 1)·{times} + ({key[0]} − 1) + 1 − 2·{key[1]} + {key[2]} = {n * times}",
            "Every setting with k − 2p + output padding = stride does it.",
            *[f"{sentence(w)}: {side}" for w, side in near[:3]],
        ],
    )


BACKBONES = {
    "in the style of VGG-16 (five 2×2 pools, 3×3 convolutions padded to keep the size)": (
        "(conv3-8 > maxpool2) x5",
        7,
        32,
    ),
    "of four 2×2 pools and 3×3 convolutions padded to keep the size": ("(conv3-8 > maxpool2) x4", 4, 16),
}


@pattern(FAMILY, "dense-sliding", "one-layer", (2, 3))
def dense_sliding(draw: Draw, level: int) -> Question:
    told_as, (body, k, stride) = draw.pick(list(BACKBONES.items()))
    trained = k * stride
    n = trained + stride * draw.between(1, 9)
    target = f"{body} > conv{k}-32 p0"
    side = agree(sides_of(target, n)[0], counted(target, n)[0], "map")
    crops = level == 3
    key = side * side if crops else side
    count = sum(1 for _ in range(0, n - trained + 1, stride))
    what = (
        f"How many crops of {trained}×{trained}, taken every {stride} pixels, does one pass over the image equal?"
        if crops
        else "What is the side of its output map then?"
    )
    return numeric(
        draw,
        "Fully connected layers as convolutions",
        f"A classifier {told_as} was trained on {trained}×{trained}: its last map is {k}×{k}, flattened into a fully "
        f"connected layer. That layer is now a {k}×{k} convolution without padding, and an image of {n}×{n} is run.",
        what,
        key=key,
        second=count * count if crops else count,
        wrongs=[
            (n // stride, "This is the map before the convolution; a k×k window slides over it.", ""),
            ((n // stride) ** 2, "This is the map before the convolution; a k×k window slides over it.", ""),
            (side - 1, "one-forgotten"),
            (side, "This is one side; crops lie on both axes.", "side-as-radius"),
            (n // trained, "Neighbouring crops overlap: they are a stride apart, not a crop apart.", "stride-ignored"),
        ],
        conventions="Sizes are rounded down; pools halve, convolutions before them keep the size.",
        told=(
            f"{n} / {stride} = {n // stride}: the map before the last convolution",
            f"({n // stride} − {k}) + 1 = {side} on a side" + (f"; {side}·{side} = {key} crops" if crops else ""),
        ),
    )


@pattern(FAMILY, "too-small", "one-layer", (3,))
def too_small(draw: Draw, level: int) -> Question:
    n = draw.pick((32, 64, 96, 128, 160, 192, 256, 288))
    name, title = draw.pick((("vgg16", "VGG-16"), ("vgg11", "VGG-11"), ("vgg13", "VGG-13"), ("vgg19", "VGG-19")))
    report = report_of(name, "3x224x224")
    last = report["pool5"].shape
    side = n // 32
    try:
        Report(network_of(name), f"3x{n}x{n}")
        raise Unfit
    except RfcalcError as error:
        where = (error.where or "").split(" ")[0]
    agree(where, "fc6", "the layer that fails")
    agree(counted("(conv3-8 > maxpool2) x5", n)[0], side, "map")
    flat = 512 * side * side
    return chosen(
        draw,
        "A network on another image size",
        f"{title} as published (without adaptive pooling; it was trained on 224×224) is given an image of 3×{n}×{n}. "
        "Where does it fail first?",
        key=f"fc6: it expects {last.values} values and gets {flat}",
        wrongs=[
            ("nowhere: convolutions take any size", "The convolutions do, but fc6 has one weight for each value.", ""),
            (f"pool5: its map would have a side of {n / 32:g}, less than 7", "A smaller map is still a map.", ""),
            ("the first convolution: its weights are made for 224×224", "params-grow-with-image"),
            (f"fc6: it expects {last.values} values and gets {side * side}", "channels-forgotten"),
            ("fc8: it has 1000 outputs", "The number of classes has nothing to do with the image.", ""),
        ],
        conventions=("output_shape",),
        told=(
            f"Five pools: {n} / 32 = {side}; pool5 is 512x{side}x{side}, flattened {flat}.",
            f"fc6 was made for 512x7x7 = {last.values}.",
            f"conv1's maps shrink by (224 / {n})² against training; its weights stay.",
        ),
        tags=("vgg",),
    )


LEAST: dict[str, tuple[str, str, int]] = {
    "the convolutions of LeNet-5": ("conv5-6 p0 > avgpool2 > conv5-16 p0 > avgpool2", "LeNet", 1),
    "the convolutions of AlexNet (torchvision)": (
        "conv11-64/4 p2 > maxpool3/2 > conv5-192 p2 > maxpool3/2 > conv3-384 p1 > conv3-256 p1 x2 > maxpool3/2",
        "AlexNet",
        3,
    ),
    "the convolutions of VGG-16": ("(conv3-8 > maxpool2) x5", "VGG", 3),
    "a stem with padded convolutions and pools": (
        "conv7-64/2 p3 > maxpool3/2 p1 > conv3-192 p1 > maxpool3/2 p1",
        "GoogLeNet",
        3,
    ),
}


def smallest(works: Callable[[int], bool]) -> int:
    """The smallest image side that works."""
    return next(n for n in range(1, 400) if works(n))


@pattern(FAMILY, "least-input", "setting", (2, 3))
def least_input(draw: Draw, level: int) -> Question:
    if level == 3 and draw.below(3):
        told_as, (target, _, channels) = draw.pick(list(LEAST.items()))
    else:
        ks = [draw.pick((3, 5)) for _ in range(draw.between(2, 3))]
        pool = draw.pick(("maxpool2", "avgpool2", "maxpool3/2"))
        told_as, channels = "this network", 3
        target = f" > {pool} > ".join(f"conv{k}-8 p0" for k in ks)

    def by_rules(n: int) -> bool:
        try:
            return min(sides_of(target, n, channels)) >= 1
        except RfcalcError:
            return False

    def by_counting(n: int) -> bool:
        network = network_of(target)
        shapes = Second(network, {"input": (channels, n, n)}).shapes
        return all(min(shapes[node.name][1:]) >= 1 for node in network.nodes)

    key = smallest(by_rules)
    report = Report(network_of(target), f"{channels}x{key}x{key}")
    sizes = [report.shapes[p].spatial[0] for p in range(len(report.shapes))]
    return numeric(
        draw,
        "The smallest image that works",
        f"What is the smallest side of a square image for which {told_as} still gives at least one output position?",
        listing(report, given=f"{channels} x n x n"),
        key=key,
        second=smallest(by_counting),
        wrongs=[
            (key - 1, "Here some window does not fit any more: go through the layers.", "rounded-up"),
            (key + 1, "One less still works: rounding down leaves a position unused.", "rounded-down"),
            (report.receptive_field(len(sizes) - 1).size[0], "image-as-field"),
            (1, "A window of k positions needs k positions, padding counted.", ""),
        ],
        conventions=("side",),
        told=(f"With {key}: " + " → ".join(map(str, sizes)), f"With {key - 1} a layer gets less than its window."),
    )
