"""Questions that are not one figure of one network: answered here from their text alone, as a student would.

Numbers are read from what the item says, and put into the formula of the textbook.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from math import ceil

import pytest
from exercise_keys import Keys

from rfcalc.teaching.exercises import bank, patterns
from rfcalc.teaching.exercises.draw import seed_of
from rfcalc.teaching.exercises.item import ExerciseItem, ExerciseTable, Text
from rfcalc.teaching.exercises.patterns import rounded

Answer = Callable[[ExerciseItem, str], object]
ANSWERS: dict[str, Answer] = {}


def answers(name: str) -> Callable[[Answer], Answer]:
    def add(function: Answer) -> Answer:
        ANSWERS[name] = function
        return function

    return add


def said(text: str, pattern: str) -> list[int]:
    """The numbers of the first match, missing ones as 0."""
    found = re.search(pattern, text)
    assert found, f"{pattern} is not in: {text}"
    return [int(g) if g else 0 for g in found.groups()]


def only(item: ExerciseItem, right: Callable[[str], bool]) -> str:
    """The one option that is right."""
    (found,) = [o.text for o in item.blanks[0].options if right(o.text)]
    return found


# --- sizes -----------------------------------------------------------------------------------------------------


@answers("output-size.does-it-fit.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    k, s, p, n = said(text, r"window of (\d+), stride (\d+) and padding (\d+) goes over (\d+) positions")
    count, rest = divmod(n + 2 * p - k, s)
    exact = f"The windows fit exactly: {count + 1} outputs."
    return exact if not rest else only(item, lambda o: f"leave {rest} of" in o and f"gives {count + 1} outputs" in o)


@answers("output-size.same-padding.setting")
def _(item: ExerciseItem, text: str) -> object:
    k, d = said(text, r"kernel of (\d+)×\d+(?: and dilation (\d+))?")
    return max(d, 1) * (k - 1)


@answers("output-size.which-layer.setting")
def _(item: ExerciseItem, text: str) -> object:
    n, goal = said(text, r"maps (\d+)×\d+ to (\d+)×")

    def side(option: str) -> int:
        k = said(option, r"(?:of|pooling) (\d+)×")[0]
        s, p = said(option, r"stride (\d+)(?:.*padding (\d+))?")
        return (n + 2 * p - k) // s + 1

    return only(item, lambda o: side(o) == goal)


@answers("output-size.doubling.setting")
def _(item: ExerciseItem, text: str) -> object:
    n = said(text, r"map of (\d+)×")[0]
    times = {"doubles": 2, "triples": 3, "makes four times": 4}[re.search("doubles|triples|makes four times", text)[0]]  # type: ignore[index]

    def side(option: str) -> int:
        k, s, p, e = said(option, r"kernel (\d+), stride (\d+), padding (\d+)(?:, output padding (\d+))?")
        return (n - 1) * s + k - 2 * p + e

    return only(item, lambda o: side(o) == times * n)


@answers("output-size.dense-sliding.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    trained, k = said(text, r"trained on (\d+)×\d+: its last map is (\d+)×")
    n = said(text, r"image of (\d+)×")[0]
    side = n // (trained // k) - k + 1
    return side * side if "How many crops" in text else side


@answers("output-size.too-small.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    n = said(text, r"image of 3×(\d+)×")[0]
    return f"fc6: it expects 25088 values and gets {512 * (n // 32) ** 2}"


@answers("output-size.unet-valid.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    levels, n = said(text, r"has (\d+) pools .* for an image of (\d+)×")
    for _ in range(levels):
        n = (n - 4) // 2
    for _ in range(levels):
        n = 2 * (n - 4)
    return n - 4


@answers("output-size.even-pools.setting")
def _(item: ExerciseItem, text: str) -> object:
    levels = said(text, r"has (\d+) pools")[0]

    def even(n: int) -> bool:
        for _ in range(levels):
            n -= 4
            if n % 2 or n <= 0:
                return False
            n //= 2
        return n > 4

    return only(item, lambda o: even(int(o)))


@answers("output-size.patch-divisor.table")
def _(item: ExerciseItem, text: str) -> object:
    (grid,) = [b for b in item.body if isinstance(b, ExerciseTable)]
    return [2 ** int(str(row[1])) for row in grid.rows]


@answers("output-size.pools-allowed.setting")
def _(item: ExerciseItem, text: str) -> object:
    n, least = said(text, r"patch of (\d+) .* less than (\d+)\.")
    return max(p for p in range(12) if n % 2**p == 0 and n >> p >= least)


# --- parameters ------------------------------------------------------------------------------------------------


@answers("parameters.larger-image.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    m, k, c = said(text, r"with (\d+) filters of (\d+)×\d+ \(with biases\) ran on images of (\d+)x")
    return f"{k * k * c * m + m}, as before"


@answers("parameters.without-sharing.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    m, k, s, c, n = said(text, r"with (\d+) filters of (\d+)×\d+, stride (\d+), no padding, on (\d+)x(\d+)x")
    return m * ((n - k) // s + 1) ** 2 * (k * k * c + 1)


@answers("parameters.trained-and-not.table")
def _(item: ExerciseItem, text: str) -> object:
    n = said(text, r"3x(\d+)x")[0]
    a, b, f = said(text, r"with (\d+) filters \(same .* with (\d+) filters \(no .* connected (\d+);")
    side = (n // 2 - 2) // 2
    flat = b * side * side
    trained = 27 * a + a + 2 * a + 9 * a * b + b + 2 * b + flat * f + f + 10 * f + 10
    return [flat, trained, 2 * a + 2 * b]


VGG = {"VGG-11": 132_863_336, "VGG-13": 133_047_848, "VGG-16": 138_357_544, "VGG-19": 143_667_240}


@answers("parameters.share-of-first-dense.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    part = {"fc6": 102_764_544, "fc7": 16_781_312, "fc8": 4_097_000}[re.search(r"layer, (fc\d)", text)[1]]  # type: ignore[index]
    whole = VGG[re.search(r"VGG-\d+", text)[0]]  # type: ignore[index]
    return rounded(Fraction(100 * part, whole), 1)


@answers("parameters.megabytes-of-weights.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    a, b = said(text, r"(\d+)(?: values)? to (\d+)")
    size = 4 if "float32" in text else 2
    return rounded(Fraction((a * b + b) * size, 2**20 if "MiB" in text else 10**6), 2)


@answers("parameters.ratio-of-separable.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    k, n = said(text, r"depthwise (\d+)×.* convolution to (\d+) channels replaces")
    ratio = Fraction(1, n) + Fraction(1, k * k)
    return f"{ratio.numerator}/{ratio.denominator}"


@answers("parameters.alexnet-variants.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    return 60_965_224 if "two towers" in text else 61_100_840 if "torchvision" in text else 62_378_344


def pair(a: int, b: int) -> str:
    if a == b:
        return f"A and B: {a} each"
    return f"A: {a}, B: {b}; {'A' if a > b else 'B'} has {abs(a - b)} more"


@answers("parameters.stack-or-one-kernel.compare")
def _(item: ExerciseItem, text: str) -> object:
    c, count, k = said(text, r"have (\d+) channels[\s\S]*A: (\d+) convolutions[\s\S]*convolution of (\d+)×")
    bias = c * ("with biases" in text)
    return pair(count * (9 * c * c + bias), k * k * c * c + bias)


@answers("parameters.separable-or-not.compare")
def _(item: ExerciseItem, text: str) -> object:
    c, m, k = said(text, r"from (\d+) to (\d+) channels[\s\S]*standard (\d+)×")
    bias = "with biases" in text
    return pair(k * k * c * m + bias * m, k * k * c + bias * c + c * m + bias * m)


@answers("parameters.groups-or-not.compare")
def _(item: ExerciseItem, text: str) -> object:
    k, c, m, g = said(text, r"A (\d+)×\d+ convolution from (\d+) to (\d+)[\s\S]*in (\d+) groups")
    return pair(k * k * c * m + m, k * k * c * m // g + m)


@answers("parameters.basic-or-bottleneck.compare")
def _(item: ExerciseItem, text: str) -> object:
    c, small = said(text, r"maps of (\d+) channels[\s\S]*1×1 to (\d+) channels")
    return pair(18 * c * c, 2 * c * small + 9 * small * small)


@answers("parameters.flatten-or-average.compare")
def _(item: ExerciseItem, text: str) -> object:
    units, c, n = said(text, r"layer of (\d+) units.* map of (\d+)x(\d+)x")
    return pair(c * n * n * units + units, c * units + units)


@answers("parameters.convolutions-or-dense.compare")
def _(item: ExerciseItem, text: str) -> object:
    n, units = said(text, r"image of 3x(\d+)x[\s\S]*layers of (\d+) units")
    convs = 25 * 3 * 5 + 5 + 49 * 5 * 10 + 10 + 49 * 10 * 20 + 20
    return pair(convs, 3 * n * n * units + units + 4 * (units * units + units) + units + 1)


# --- receptive fields ------------------------------------------------------------------------------------------


@answers("receptive-field.area.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    count, k = said(text, r"(\d+) convolutions of (\d+)×")
    return (count * (k - 1) + 1) ** 2


@answers("receptive-field.place-of-the-stride.compare")
def _(item: ExerciseItem, text: str) -> object:
    count, k, s = said(text, r"(\d+) convolutions of (\d+)×.* one of them has stride (\d+)")
    return pair(k + (count - 1) * (k - 1) * s, count * (k - 1) + 1)


@answers("receptive-field.fifth-layer.table")
def _(item: ExerciseItem, text: str) -> object:
    (grid,) = [b for b in item.body if isinstance(b, ExerciseTable)]
    count, k = said(str(grid.rows[0][0]), r"(\d+) convolutions of (\d+)×")
    pooled = sum((k - 1) * 2**i for i in range(count)) + sum(2**i for i in range(count - 1)) + 1
    return [count * (k - 1) + 1, pooled, (k - 1) * (2**count - 1) + 1]


@answers("receptive-field.dense-as-convolution.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    pools, convs, k = said(text.replace("of one", "of 1"), r"has (\d+) blocks, each of (\d+) 3×3.* written as a (\d+)×")
    return 1 + (2 * convs + 1) * (2**pools - 1) + (k - 1) * 2**pools


@answers("receptive-field.centre-and-spacing.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    if "VGG" in text:
        level = {"pool3": 3, "conv4_3": 3, "pool4": 4, "pool5": 5}[re.search(r"pool\d|conv4_3", text)[0]]  # type: ignore[index]
        return rounded(Fraction(2**level - 1, 2), 1)
    k, s, p = said(text, r"a (\d+)×\d+ convolution \(stride (\d+), padding (\d+)\)")
    return rounded(Fraction(k - 1, 2) - p + Fraction(s, 2) + s, 1)


@answers("receptive-field.wavenet.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    k, last, stacks = said(text, r"length (\d+) with dilations .*, (\d+)(?:, and this stack (\d+) times)?")
    samples = max(stacks, 1) * (k - 1) * (2 * last - 1) + 1
    if "milliseconds" not in text:
        return samples
    return rounded(Fraction(1000 * samples, said(text, r"has (\d+) samples")[0]), 1)


@answers("receptive-field.temporal-blocks.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    k = said(text, r"of length (\d+);")[0]
    dilations = [int(d) for d in re.search(r"dilations ([\d, ]+)\.", text)[1].split(",")]  # type: ignore[index]
    stacks = said(text, r"samples|stacked (\d+) times")[0] if "stacked" not in text else said(text, r"stacked (\d+)")[0]
    return 1 + 2 * (k - 1) * sum(dilations) * max(stacks, 1)


@answers("receptive-field.dilated-or-not.setting")
def _(item: ExerciseItem, text: str) -> object:
    k, samples = said(text, r"length (\d+) with .* see (\d+) samples")
    return ceil((samples - 1) / (k - 1))


@answers("receptive-field.gap-notation.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    k, gap = said(text, r"convolution of (\d+)×\d+ has dilation (\d+)")
    return k + (k - 1) * gap


@answers("receptive-field.what-changes-it.setting")
def _(item: ExerciseItem, text: str) -> object:
    return only(item, lambda o: "2×2 max" in o or "3×3" in o)


# --- memory ----------------------------------------------------------------------------------------------------


@answers("receptive-field.who-reads-what.setting")
def _(item: ExerciseItem, text: str) -> object:
    """The setting whose units read what the table says: from unit to unit, along the signal."""
    (n,) = said(text, r"signal of (\d+) positions")
    (grid,) = [b for b in item.body if isinstance(b, ExerciseTable)]

    def right(option: str) -> bool:
        kernel, stride, padding, dilation = (int(w) for w in re.findall(r"\d+", option))
        for u, row in enumerate(grid.rows):
            first = u * stride - padding
            read = [q for q in range(first, first + kernel * dilation, dilation) if 0 <= q < n]
            if (", ".join(map(str, read)) or "padding only") != row[1]:
                return False
        return True

    return only(item, right)


@answers("memory.megabytes.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    one = text.replace("A convolution of 3×3 with", "1 convolutions of 3×3 in a row, each with")
    count, m, n = said(one, r"(\d+) convolutions of 3×3 in a row, each with (\d+) filters.* image of 3x(\d+)x")
    size = count * m * n * n * 4 * (2 if "gradient" in text else 1)
    return rounded(Fraction(size, 2**20 if "MiB is that" in text else 10**6), 2)


@answers("memory.optimizer.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    known = {"VGG-16": 138_357_544, "ResNet-18": 11_689_512, "AlexNet": 61_100_840}
    params = next((v for k, v in known.items() if k in text), 0) or said(text, r"with (\d+) parameters")[0]
    return params * 4 * (4 if "Adam" in text else 3 if "momentum" in text else 2)


@answers("memory.im2col.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    k, s, c, n = said(text, r"convolution of (\d+)×\d+ with stride (\d+) and no padding on (\d+)x(\d+)x")
    values = k * k * c * ((n - k) // s + 1) ** 2
    return rounded(Fraction(values, c * n * n), 2) if "times larger" in text else values


@answers("memory.smaller-image.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    small, big = said(text, r"on (\d+)×\d+ instead of (\d+)×")
    return (big // small) ** 2


@answers("memory.training.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    (grid,) = [b for b in item.body if isinstance(b, ExerciseTable)]
    n = said(str(grid.rows[0][1]), r"3x(\d+)x")[0]
    values = 0
    for row in grid.rows[1:]:
        n = (n + 1) // 2
        values += said(str(row[1]), r"(\d+) filters")[0] * n * n
    return values * 4 * said(text, r"batch of (\d+)")[0]


# --- operations ------------------------------------------------------------------------------------------------

DENSE = 102_760_448 + 16_777_216 + 4_096_000
MACS = {"VGG-11": 7_609_090_048, "VGG-16": 15_470_264_320, "VGG-19": 19_632_062_464}


@answers("operations.convolutions-or-dense.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    whole = MACS[re.search(r"VGG-\d+", text)[0]]  # type: ignore[index]
    return DENSE if "fully connected layers of" in text else whole - DENSE


ZOO = {
    "VGG-16": "vgg16",
    "VGG-11": "vgg11",
    "AlexNet (torchvision)": "alexnet-torchvision",
    "AlexNet as published": "alexnet",
    "ResNet-18": "resnet18",
    "ResNet-50": "resnet50",
}


@answers("operations.gigaflops.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    name = next(v for k, v in ZOO.items() if k in text)
    shape = re.search(r"\d+x\d+x\d+", text)
    assert shape
    return rounded(Fraction(2 * Keys(name, shape[0]).total("macs"), 10**9), 2)


@answers("operations.bottleneck.compare")
def _(item: ExerciseItem, text: str) -> object:
    c, n, m, k, small = said(
        text, r"map of (\d+)x(\d+)x\d+ .* (\d+)x\d+x\d+\.[\s\S]*A: a (\d+)×[\s\S]*1×1 convolution to (\d+)"
    )
    return pair(k * k * c * m * n * n, (c * small + k * k * small * m) * n * n)


@answers("operations.standard-or-separable.compare")
def _(item: ExerciseItem, text: str) -> object:
    c, n, m = said(text, r"from (\d+)x(\d+)x\d+ to (\d+)x")
    return pair(9 * c * m * n * n, (9 * c + c * m) * n * n)


@answers("operations.from-the-parameters.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    m, params, side = said(text, r"with (\d+) filters has (\d+) parameters .* output of \d+x(\d+)x")
    return (params - m) * side * side


@answers("operations.doubling.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    side = "the side of the image" in text
    what = re.search(r"number of (multiply-adds|weights|output values)", text)[1]  # type: ignore[index]
    factor = {"multiply-adds": 4, "weights": 1 if side else 4, "output values": 4 if side else 2}[what]
    return {1: "it stays", 2: "it doubles", 4: "four times"}[factor]


@answers("operations.two-resolutions.one-layer")
def _(item: ExerciseItem, text: str) -> object:
    a, b = said(text, r"quoted at (\d+)×\d+ and at (\d+)×")
    assert a % 4 == b % 4 == 0
    return rounded(Fraction(b, a) ** 2, 2)


@answers("operations.counting-tool.summary")
def _(item: ExerciseItem, text: str) -> object:
    (grid,) = [b for b in item.body if isinstance(b, ExerciseTable)]
    n, m = said(str(grid.rows[0][1]), r"3x(\d+)x")[0], said(str(grid.rows[1][1]), r"(\d+) filters")[0]
    first, second = m * n * n, 2 * m * (n // 2) ** 2
    takes, prints = said(text, r"takes (\d+) multiply-adds\. A tool prints (\d+)")
    assert takes == 27 * m * n * n + 18 * m * m * (n // 2) ** 2
    terms = {
        "the ReLUs": first + second,
        "batch normalisation": first,
        "the biases": first + second,
        "max pooling": first,
        "multiplications": takes,
    }
    return only(item, lambda o: next(v for k, v in terms.items() if o.startswith(k)) == prints - takes)


# --- design ----------------------------------------------------------------------------------------------------


@answers("design.layers-for-a-field.setting")
def _(item: ExerciseItem, text: str) -> object:
    k, goal = said(text, r"convolutions of (\d+)×.* sees (\d+)×")
    return ceil((goal - 1) / (k - 1))


@answers("design.one-kernel-for-a-stack.setting")
def _(item: ExerciseItem, text: str) -> object:
    count, k = said(text, r"(\d+) convolutions of (\d+)×")
    return count * (k - 1) + 1


@answers("design.blocks-with-pools.table")
def _(item: ExerciseItem, text: str) -> object:
    convs, k = said(text.replace("a convolution of", "1 convolutions of"), r"(\d+) convolutions of (\d+)×")
    return [1 + (convs * (k - 1) + 1) * (2**b - 1) for b in range(1, len(item.blanks) + 1)]


@answers("design.doubling-dilations.setting")
def _(item: ExerciseItem, text: str) -> object:
    convs = 2 if "blocks of two" in text else 1
    k, goal = said(text, r"of length (\d+);.* see (\d+) samples")
    return next(n for n in range(1, 30) if 1 + convs * (k - 1) * (2**n - 1) >= goal)


@answers("design.dilation-base.setting")
def _(item: ExerciseItem, text: str) -> object:
    k, base, goal = said(text, r"of length (\d+); .* dilation (\d+)\^i\. Its input has (\d+) steps")
    return next(n for n in range(1, 30) if 1 + 2 * (k - 1) * sum(base**i for i in range(n)) >= goal)


@answers("design.fewest-convolutions.setting")
def _(item: ExerciseItem, text: str) -> object:
    side = said(text, r"images of (\d+)×")[0]
    best = {}  # fewest convolutions for an image of n, by pools; built from the end

    def fewest(n: int) -> float:
        """At least two convolutions now, then a pool or the end."""
        if n not in best:
            found = [c for c in range(2, n) if n - 2 * c >= 1]
            ends = [float(c) for c in found if n - 2 * c in (1, 2)]
            pools = [c + fewest((n - 2 * c) // 2) for c in found if (n - 2 * c) // 2 >= 1]
            best[n] = min([*ends, *pools], default=float("inf"))
        return best[n]

    return int(fewest(side))


@answers("design.which-design.compare")
def _(item: ExerciseItem, text: str) -> object:
    bound, budget = said(text, r"field of more than (\d+), fewer than (\d+) parameters")

    def meets(option: str) -> bool:
        found = Keys(option, "3x32x32")
        layers = [n.layer for n in found.network.nodes]
        return (
            all(layer.kind == "conv" for layer in layers)
            and found.seen(found.network.nodes[-1].name)[0][0] > bound
            and found.total("params") < budget
            and sum(layer.stride == (2,) for layer in layers) == 3  # type: ignore[attr-defined]
            and any(layer.dilation != (1,) for layer in layers)  # type: ignore[attr-defined]
        )

    return only(item, meets)


@answers("design.downsampling-for-a-field.setting")
def _(item: ExerciseItem, text: str) -> object:
    convs, k, goal = said(
        text.replace("one convolution of", "1 convolutions of"), r"(\d+) convolutions of (\d+)×.* sees (\d+)×"
    )
    return next(n for n in range(1, 20) if 1 + (convs * (k - 1) + 1) * (2**n - 1) >= goal)


def ask(name: str, seed: int) -> ExerciseItem:
    item = bank._item(patterns.pattern_of(name), seed_of("customs", name, seed), None)
    assert item is not None
    return item


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_the_text_alone_leads_to_the_key(name: str) -> None:
    for seed in range(6):
        check(name, ask(name, seed))


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_the_text_alone_leads_to_many_keys(name: str) -> None:
    for seed in range(100, 200):
        check(name, ask(name, seed))


def check(name: str, item: ExerciseItem) -> None:
    text = "\n".join(b.text for b in item.body if isinstance(b, Text))
    found = ANSWERS[name](item, text)
    expected = [str(v) for v in found] if isinstance(found, list) else [str(found)]
    assert [b.key for b in item.blanks] == expected, f"{item.id}\n{text}"


def test_no_pattern_goes_without_a_third_road() -> None:
    """Every pattern's key is a figure that tests/exercise_keys.py computes, or is answered here."""
    searched = {"output-size.least-input.setting", "receptive-field.interval.table"}  # by both roads only
    for pattern in patterns.patterns():
        item = ask(pattern.name, 0)
        known = pattern.name in ANSWERS or pattern.name in searched
        assert known or all(b.ask is not None for b in item.blanks), pattern.name
