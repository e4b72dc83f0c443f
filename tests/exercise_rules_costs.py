"""Memory, operations, designs and statements: rules for `exercise_prose`, a sentence each."""

from __future__ import annotations

import re
from fractions import Fraction

from exercise_page import Page
from exercise_rules import BYTES, MEGA, Say, blanks, both, conv, decimals, least, number, option, rule, seen, size
from exercise_text import Told, told

# --- memory and operations --------------------------------------------------------------------------------------------


@rule(
    r"(A|\d+) convolutions? of \d+×\d+ (?:in a row, each )?with (\d+) filters, padded to keep the size, runs? on an image "
    r"of \d+x(\d+)x(\d+)\. (?:Its output is|The outputs of all of them are) kept in (\w+)"
    r"(, and a gradient of the same size (?:for each|too))?\. How many (MB|MiB)"
)
def _kept(_: Page, times: str, m: str, h: str, w: str, kind: str, gradient: str | None, unit: str) -> str:
    values = (1 if times == "A" else int(times)) * int(m) * int(h) * int(w) * BYTES[kind] * (2 if gradient else 1)
    return decimals(Fraction(values, MEGA[unit]), 2)


@rule(
    r"A convolution of (\d+)×\d+ with stride (\d+) and (?:no padding|padding (\d+)) on (\d+)x(\d+)x\d+ .*\(im2col\)\. How many times larger"
)
def _im2col(_: Page, k: str, s: str, p: str | None, _c: str, n: str) -> str:
    out = size(int(n), int(k), int(s), int(p or 0))
    return decimals(Fraction(out * out * int(k) ** 2, int(n) ** 2), 2)


@rule(
    r"A convolution of (\d+)×\d+ with stride (\d+) and (?:no padding|padding (\d+)) on (\d+)x(\d+)x\d+ .*\(im2col\)\. How many values"
)
def _columns(_: Page, k: str, s: str, p: str | None, c: str, n: str) -> str:
    out = size(int(n), int(k), int(s), int(p or 0))
    return str(out * out * int(k) ** 2 * int(c))


@rule(
    r"By the convention below, the network takes (\d+) multiply-adds\. A tool prints (\d+)\. What does it count besides"
)
def _counted(item: Page, macs: str, printed: str) -> str:
    found = told(item)
    counts = {"twice": int(macs), "bias": 0, "norm": 0, "ReLU": 0, "pool": 0}
    for node in found.network.nodes:
        values, read = 1, 1
        for d in found.shapes[node.name]:
            values *= d
        for d in found.shapes[node.inputs[0]]:
            read *= d
        kind = node.layer.kind
        counts["bias"] += values if kind in ("conv", "linear", "depthwise") and node.layer.bias else 0
        counts["norm"] += values if kind == "batchnorm" else 0
        counts["ReLU"] += values if kind == "activation" else 0
        counts["pool"] += read if kind.endswith("pool") else 0
    more = int(printed) - int(macs)
    (what,) = [word for word, n in counts.items() if n == more]
    return option(item, lambda t: what in t)


@rule(
    r"of (\d+)×\d+, stride (\d+), (?:no padding|padding (\d+)), runs on (\d+)×\d+ instead of (\d+)×\d+\. By what factor does the memory"
)
def _shrinks(_: Page, k: str, s: str, p: str | None, small: str, big: str) -> str:
    a, b = (size(int(n), int(k), int(s), int(p or 0)) for n in (big, small))
    return str(Fraction(a * a, b * b))


@rule(
    r"In training the outputs of all layers are kept .*How many bytes are that in (\w+) for a batch of (\d+), the input not counted"
)
def _training(item: Page, kind: str, batch: str) -> str:
    found: Told = told(item)
    values = 0
    for node in found.network.nodes:
        n = 1
        for d in found.shapes[node.name]:
            n *= d
        values += n
    return str(values * BYTES[kind] * int(batch))


@rule(
    r"A map of (\d+)x(\d+)x(\d+) is to become (\d+)x\d+x\d+\. A: a (\d+)×\d+ convolution\. B: a 1×1 convolution to (\d+) channels"
)
def _through(_: Page, *given: str) -> str:
    c, h, w, m, k, inner = map(int, given)
    return both(h * w * c * m * k * k, h * w * (c * inner + inner * m * k * k))


@rule(r"Two ways from (\d+)x(\d+)x(\d+) to (\d+)x\d+x\d+\. A: a standard (\d+)×")
def _standard(_: Page, *given: str) -> str:
    c, h, w, m, k = map(int, given)
    return both(h * w * c * m * k * k, h * w * (c * k * k + c * m))


@rule(r"a convolution with (\d+) filters has (\d+) parameters \(weights and biases\) and an output of \d+x(\d+)x(\d+)")
def _from_params(_: Page, m: str, params: str, h: str, w: str) -> str:
    return str((int(params) - int(m)) * int(h) * int(w))


@rule(
    r"the (channels are doubled, in and out|side of the image is doubled|number of filters is doubled)\. What happens to the number of (\w[\w -]*)\?"
)
def _doubling(_: Page, what: str, figure_: str) -> str:
    power = {
        "channels are doubled, in and out": {"weights": 2, "multiply-adds": 2, "output values": 1},
        "side of the image is doubled": {"weights": 0, "multiply-adds": 2, "output values": 2},
        "number of filters is doubled": {"weights": 1, "multiply-adds": 1, "output values": 1},
    }[what][figure_]
    return ("it stays", "it doubles", "four times")[power]


@rule(r"is quoted at (\d+)×\d+ and at (\d+)×\d+\. By what factor do its multiply-adds differ")
def _resolutions(_: Page, small: str, big: str) -> str:
    return decimals(Fraction(int(big) ** 2, int(small) ** 2), 2)


# --- designs ----------------------------------------------------------------------------------------------------------


@rule(r"How many convolutions of (\d+)×\d+, stride 1 and without pooling, .* sees (\d+)×")
def _layers(_: Page, k: str, field: str) -> str:
    return least(lambda n: seen(*[(int(k), 1, 1)] * n) >= int(field))


@rule(r"(\d+) convolutions of (\d+)×\d+ \(stride 1\) follow one another\. Which side must the kernel")
def _one_kernel(_: Page, times: str, k: str) -> str:
    return str(seen(*[(int(k), 1, 1)] * int(times)))


def _block(times: str, k: str) -> list[tuple[int, int, int]]:
    return [(int(k), 1, 1)] * number(times) + [(2, 2, 1)]


@rule(r"A block is (\d+|a|one) convolutions? of (\d+)×\d+ \(stride 1\), then a 2×2 pool with stride 2\. How large")
def _after_blocks(item: Page, times: str, k: str) -> Say:
    return {name: str(seen(*_block(times, k) * i)) for i, name in enumerate(blanks(item), 1)}


@rule(
    r"A block is (\d+|a|one) convolutions? of (\d+)×\d+ \(stride 1\) and a 2×2 pool with stride 2\. How many blocks .* sees (\d+)×"
)
def _blocks(_: Page, times: str, k: str, field: str) -> str:
    return least(lambda n: seen(*_block(times, k) * n) >= int(field))


@rule(
    r"has (blocks of two convolutions|layers) of length (\d+); the dilation of the first .* doubles .* to see (\d+) samples"
)
def _doubling_dilations(_: Page, what: str, k: str, field: str) -> str:
    each = 1 if what == "layers" else 2
    return least(lambda n: seen(*((int(k), 1, 2**i) for i in range(n) for _j in range(each))) >= int(field))


@rule(
    r"residual blocks of two convolutions of length (\d+); block i \(from 0\) has dilation (\d+)\^i\. Its input has (\d+) steps"
)
def _base(_: Page, k: str, base: str, steps: str) -> str:
    return least(lambda n: seen(*((int(k), 1, int(base) ** i) for i in range(n) for _j in (1, 2))) >= int(steps))


@rule(r"A network for images of (\d+)×\d+ has 3×3 convolutions without padding and 2×2 pools .*It ends at 1×1 or 2×2")
def _fewest(_: Page, side: str) -> str:
    best: list[int] = []

    def go(n: int, convs: int, since: int) -> None:
        if n in (1, 2) and since >= 2:
            best.append(convs)
        if n > 2:
            go(n - 2, convs + 1, since + 1)
        if since >= 2 and n >= 2 and n // 2 >= 1:
            go(n // 2, convs, 0)

    go(int(side), 0, 0)
    return str(min(best))


@rule(
    r"must have a receptive field of more than (\d+), fewer than (\d+) parameters, no pooling, exactly (\w+) convolutions with stride 2 and at least one dilated"
)
def _which_design(item: Page, field: str, params: str, strided: str) -> str:
    def holds(text: str) -> bool:
        c, total, layers = 3, 0, []
        for one in text.split(" > "):
            said = re.fullmatch(r"conv(\d+)-(\d+)(?:/(\d+))?(?: d(\d+))?", one)
            if said is None:
                return False  # a pool
            k, m, s, d = int(said[1]), int(said[2]), int(said[3] or 1), int(said[4] or 1)
            total, c = total + conv(c, m, k), m
            layers.append((k, s, d))
        bounds = seen(*layers) > int(field) and total < int(params)
        return bounds and sum(s == 2 for _, s, _ in layers) == number(strided) and any(d > 1 for *_, d in layers)

    return option(item, holds)


# --- statements -------------------------------------------------------------------------------------------------------

TRUE = (  # a statement is true where one of these stands in it, else false; the arithmetic is in the rules above
    r"Padding a .* leaves the size of its units' receptive fields as it is",
    r"stride of the last of \d+ convolutions does not matter for its own",
    r"Giving the first of two [2-9]\d*×\S+ convolutions stride [2-9]\d* enlarges the receptive field of the second",
    r"With a [2-9]×\d .*pooling between two [2-9]\d*×\S+ convolutions, a unit of the second sees more",
    r"pooling after a convolution adds no parameters",
    r"has none to update in training, and passes the gradients on all the same",
    r"With twice as many input channels, .* has more parameters",
    r"equal strides and centres are added: the receptive field of the sum is that of the wider",
    r"different centres are added: the receptive field of the sum can be wider",
    r"leaves the parameters of a convolution as they are",
    r"makes the (?:activations|multiply-adds) of a convolution four times as many",
    r"first fully connected layer holds more than half of the parameters of VGG-16",
    r"One map of VGG-16's first block holds more than a tenth of all its activations",
    r"A bias .* directly before batch normalisation adds parameters",
    r"may have units whose receptive field is larger than the image",
    r"Putting (?:batch normalisation .*|a ReLU|dropout) between two convolutions leaves the receptive field as it is",
    r"with dilation [2-9]\d* sees farther than without",
    r"has as many parameters with dilation \d+ as without",
)


@rule(r"True or false\? A 1×1 convolution with (\d+) filters can turn (\d+) channels into (\d+)\.")
def _turns(_: Page, m: str, _c: str, out: str) -> str:
    return "true" if m == out else "false"


@rule(
    r"True or false\? (\d+) convolutions of (\d+)×\d+ in a row (see as much as|have more parameters than|have fewer parameters than) one of (\d+)×"
)
def _depth_or_kernel(_: Page, times: str, k: str, verb: str, one: str) -> str:
    if verb == "see as much as":
        return "true" if seen(*[(int(k), 1, 1)] * int(times)) == int(one) else "false"
    a, b = int(times) * int(k) ** 2, int(one) ** 2
    return "true" if (a > b if "more" in verb else a < b) else "false"


@rule(r"True or false\? (.*)")
def _statement(_: Page, text: str) -> str:
    return "true" if any(re.search(one, text) for one in TRUE) else "false"
