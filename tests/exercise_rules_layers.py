"""Sizes, parameters and receptive fields: rules for `exercise_prose`, a sentence each."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

from exercise_page import Grid, Page, Slot
from exercise_rules import BYTES, MEGA, Say, blanks, both, conv, decimals, least, number, option, rule, seen, size
from exercise_rules_named import vgg
from exercise_sums import per, sides
from exercise_text import Told, told, words
from exercise_zoo import named

# --- sizes ------------------------------------------------------------------------------------------------------------


@rule(r"with a window of (\d+), stride (\d+) and padding (\d+) goes over (\d+) positions")
def _fits(item: Page, k: str, s: str, p: str, n: str) -> str:
    room = int(n) + 2 * int(p) - int(k)
    out, left = room // int(s) + 1, room % int(s)
    padded = int(n) + 2 * int(p)
    if left == 0:
        return option(item, lambda t: t == f"The windows fit exactly: {out} outputs.")
    return option(
        item, lambda t: t == f"The windows leave {left} of {padded} positions over; rounding down gives {out} outputs."
    )


@rule(r"kernel of (\d+)×\d+(?: and dilation (\d+))?, stride 1, is to keep the size .*in all")
def _same_padding(_: Page, k: str, d: str | None) -> str:
    return str((int(k) - 1) * int(d or 1))


@rule(r"Which of these layers maps (\d+)×\d+ to (\d+)×")
def _maps(item: Page, before: str, after: str) -> str:
    def holds(text: str) -> bool:
        k = re.search(r"(\d+)×", text)
        s, p = re.search(r"stride (\d+)", text), re.search(r"padding (\d+)", text)
        assert k and s
        return size(int(before), int(k[1]), int(s[1]), int(p[1]) if p else 0) == int(after)

    return option(item, holds)


@rule(r"transposed convolution (doubles|triples|makes four times) the side of a map of (\d+)×")
def _enlarges(item: Page, verb: str, n: str) -> str:
    factor = {"doubles": 2, "triples": 3, "makes four times": 4}[verb]

    def holds(text: str) -> bool:
        k, s, p = (int(re.search(rf"{w} (\d+)", text)[1]) for w in ("kernel", "stride", "padding"))  # type: ignore[index]
        more = re.search(r"output padding (\d+)", text)
        return (int(n) - 1) * s - 2 * p + k + (int(more[1]) if more else 0) == factor * int(n)

    return option(item, holds)


@rule(
    r"was trained on (\d+)×\d+: its last map is (\d+)×\d+.*image of (\d+)×\d+ is run\. (How many crops|What is the side)"
)
def _sliding(_: Page, trained: str, last: str, image: str, asked: str) -> str:
    stride = int(trained) // int(last)
    out = int(image) // stride - int(last) + 1
    return str(out * out if asked == "How many crops" else out)


@rule(r"What is the smallest side of a square image for which")
def _least_input(item: Page) -> str:
    def fits(n: int) -> bool:
        body = tuple(
            b._replace(rows=tuple(tuple(re.sub(r"\bn x n\b|\bn×n\b", f"{n}x{n}", c).replace(" x ", "x") if isinstance(c, str) else c for c in r) for r in b.rows))
            if isinstance(b, Grid) else b
            for b in item.body
        )  # fmt: skip
        try:
            found = told(replace(item, body=body))
        except AssertionError:  # a window larger than its map
            return False
        return all(d >= 1 for shape in found.shapes.values() for d in shape)

    return least(fits)


@rule(r"A U-Net has (\d+) pools of 2×2\. On every level .* image of (\d+)×")
def _unet(_: Page, pools: str, side: str) -> str:
    n = int(side)
    for _level in range(int(pools)):
        n = (n - 4) // 2
    n -= 4
    for _level in range(int(pools)):
        n = 2 * n - 4
    return str(n)


@rule(r"A U-Net has (\d+) pools of 2×2, each after two 3×3 convolutions without padding\. Skip")
def _even(item: Page, pools: str) -> str:
    def holds(text: str) -> bool:
        n = int(text)
        for _level in range(int(pools)):
            n -= 4
            if n % 2:
                return False
            n //= 2
        return n > 4

    return option(item, holds)


@rule(r"A U-Net for volumes halves each axis")
def _divisors(item: Page) -> Say:
    grid = next(b for b in item.body if isinstance(b, Grid))
    return {row[2].blank: str(2 ** int(str(row[1]))) for row in grid.rows if isinstance(row[2], Slot)}


@rule(r"halves the side of a patch of (\d+) with every pooling\. .* must not be less than (\d+)")
def _poolings(_: Page, side: str, bottom: str) -> str:
    n, times = int(side), 0
    while n % 2 == 0 and n // 2 >= int(bottom):
        n, times = n // 2, times + 1
    return str(times)


# --- parameters -------------------------------------------------------------------------------------------------------


@rule(r"A convolution with (\d+) filters of (\d+)×\d+ \(with biases\) ran on images of (\d+)x\d+x\d+; now")
def _larger(item: Page, m: str, k: str, c: str) -> str:
    return option(item, lambda t: t == f"{conv(int(c), int(m), int(k))}, as before")


@rule(
    r"like a convolution with (\d+) filters of (\d+)×\d+, stride (\d+), (?:no padding|padding (\d+)), on (\d+)x(\d+)x\d+, but every"
)
def _local(_: Page, m: str, k: str, s: str, p: str | None, c: str, n: str) -> str:
    out = size(int(n), int(k), int(s), int(p or 0))
    return str(out * out * conv(int(c), int(m), int(k)))


@rule(
    r"A network on (\d+)x(\d+)x\d+: 3×3 convolution with (\d+) filters \(same size\).*3×3 convolution with (\d+) filters \(no padding\).*flatten; fully connected (\d+); fully connected (\d+)\."
)
def _trained(item: Page, *given: str) -> Say:
    c, n, a, b, wide, classes = map(int, given)
    flat = b * ((n // 2 - 2) // 2) ** 2
    trained = conv(c, a, 3) + 2 * a + conv(a, b, 3) + 2 * b + (flat + 1) * wide + (wide + 1) * classes
    values = {"flat": flat, "trained": trained, "buffers": 2 * (a + b)}
    return {name: str(values[name]) for name in blanks(item)}


@rule(
    r"(?:\((\d+) values to (\d+), with biases\)|from (\d+) to (\d+) values, with biases,) is stored in (\w+)\. How many (MB|MiB)"
)
def _megabytes(_: Page, a: str | None, b: str | None, c: str | None, d: str | None, kind: str, unit: str) -> str:
    n, m = int(a or c or 0), int(b or d or 0)
    return decimals(Fraction((n + 1) * m * BYTES[kind], MEGA[unit]), 2)


@rule(
    r"all maps have (\d+) channels, (with|without) biases\. A: (\d+) convolutions of (\d+)×\d+ in a row\. B: one convolution of (\d+)×"
)
def _stack(_: Page, c: str, biases: str, times: str, k: str, one: str) -> str:
    n, bias = int(c), biases == "with"
    return both(int(times) * conv(n, n, int(k), bias), conv(n, n, int(one), bias))


@rule(
    r"Two ways from (\d+) to (\d+) channels, (with|without) biases\. A: a standard (\d+)×\d+ convolution\. B: a depthwise"
)
def _separable(_: Page, c: str, m: str, biases: str, k: str) -> str:
    a, b, bias = int(c), int(m), biases == "with"
    return both(conv(a, b, int(k), bias), conv(a, a, int(k), bias, a) + conv(a, b, 1, bias))


@rule(r"A depthwise (\d+)×\d+ convolution followed by a 1×1 convolution to (\d+) channels replaces")
def _ratio(_: Page, k: str, m: str) -> str:
    left = Fraction(1, int(m)) + Fraction(1, int(k) ** 2)
    return f"{left.numerator}/{left.denominator}"


@rule(
    r"A (\d+)×\d+ convolution from (\d+) to (\d+) channels, (with|without) biases\. A: in one group\. B: in (\d+) groups"
)
def _groups(_: Page, k: str, c: str, m: str, biases: str, g: str) -> str:
    one = [conv(int(c), int(m), int(k), biases == "with", groups) for groups in (1, int(g))]
    return both(*one)


@rule(r"Two residual blocks on maps of (\d+) channels, without biases .*1×1 to (\d+) channels")
def _bottleneck(_: Page, c: str, inner: str) -> str:
    n, i = int(c), int(inner)
    return both(2 * 9 * n * n, 2 * n * i + 9 * i * i)


@rule(r"A fully connected layer of (\d+) units, with biases, follows a map of (\d+)x(\d+)x(\d+)\.")
def _flatten(_: Page, units: str, c: str, h: str, w: str) -> str:
    m = int(units)
    return both((int(c) * int(h) * int(w) + 1) * m, (int(c) + 1) * m)


@rule(
    r"Two networks on an image of (\d+)x(\d+)x\d+, with biases\. A: three convolutions without padding: (.*?)\. B: the image flattened, (\w+) fully connected layers of (\d+) units"
)
def _convs_or_dense(_: Page, c: str, n: str, layers: str, times: str, units: str) -> str:
    total, channels = 0, int(c)
    for one in layers.split("; "):
        m, k = (int(v) for v in re.findall(r"(\d+)(?: filters)? of (\d+)×", one)[0])
        total, channels = total + conv(channels, m, k), m
    u = int(units)
    dense = (int(c) * int(n) ** 2 + 1) * u + (number(times) - 1) * (u + 1) * u + u + 1
    return both(total, dense)


# --- receptive fields -------------------------------------------------------------------------------------------------


@rule(
    r"network is (\d+) convolutions of (\d+)×\d+ in a row, stride 1.*How large is the receptive field of one unit of `conv(\d+)`"
)
def _deep(_: Page, _times: str, k: str, at: str) -> str:
    return str(seen(*[(int(k), 1, 1)] * int(at)))


@rule(r"(\d+) convolutions of (\d+)×\d+, stride 1, follow one another\. How many input pixels of one channel")
def _area(_: Page, times: str, k: str) -> str:
    return str(seen(*[(int(k), 1, 1)] * int(times)) ** 2)


@rule(
    r"(\d+) convolutions of (\d+)×\d+ follow one another; one of them has stride (\d+).*A: the (first|last) .*B: the (first|last)"
)
def _place(_: Page, times: str, k: str, s: str, a: str, b: str) -> str:
    def field(where: str) -> int:
        layers = [(int(k), 1, 1)] * int(times)
        layers[0 if where == "first" else -1] = (int(k), int(s), 1)
        return seen(*layers)

    return both(field(a), field(b))


@rule(r"How large is the receptive field of a unit of the last convolution of each design")
def _designs(item: Page) -> Say:
    grid = next(b for b in item.body if isinstance(b, Grid))
    said = re.match(r"(\d+) convolutions of (\d+)×", str(grid.rows[0][0]))
    assert said
    times, k = int(said[1]), int(said[2])
    pooled = [layer for i in range(times) for layer in ([(2, 2, 1)] if i else []) + [(k, 1, 1)]]
    dilated = [(k, 1, int(d)) for d in re.findall(r"\d+", str(grid.rows[2][0]).partition("dilations")[2])]
    fields = (seen(*[(k, 1, 1)] * times), seen(*pooled), seen(*dilated))
    return dict(zip(blanks(item), map(str, fields), strict=True))


@rule(
    r"has (\d+) blocks, each of (one|\d+) (\d+)×\d+ convolutions? and a 2×2 pool with stride 2\. After .* as a (\d+)×"
)
def _dense_as(_: Page, blocks: str, convs: str, k: str, last: str) -> str:
    return str(seen(*([(int(k), 1, 1)] * number(convs) + [(2, 2, 1)]) * int(blocks), (int(last), 1, 1)))


@rule(r"Consider the map after (.*?)\. Where on the image is the centre")
def _centre(_: Page, layers: str) -> str:
    chain = []
    if named := re.match(r"`(\w+)` of VGG-(\d+)", layers):
        for name, kind, _c, _m in vgg(named[2]):
            chain.append((3, 1, 1) if kind == "conv" else (2, 2, 0))
            if name == named[1]:
                break
    else:
        for one in re.findall(r"(\d+)×\d+ (convolution|pool)(?: \((.*?)\))?", layers):
            s, p = re.search(r"stride (\d+)", one[2]), re.search(r"padding (\d+)", one[2])
            stride = int(s[1]) if s else int(one[0]) if one[1] == "pool" else 1
            chain.append((int(one[0]), stride, int(p[1]) if p else 0))
    centre, step = Fraction(0), 1
    for k, s_, p_ in chain:
        centre, step = centre + (Fraction(k - 1, 2) - p_) * step, step * s_
    return decimals(centre, 1)


@rule(
    r"convolutions of length (\d+) with dilations 1, 2, 4, (?:…, )?(\d+)(?:, and this stack (\d+) times in a row)?\.(?: The signal has (\d+) samples)?"
)
def _wavenet(_: Page, k: str, last: str, times: str | None, rate: str | None) -> str:
    dilations = [2**i for i in range(int(last).bit_length())] * int(times or 1)
    field = seen(*((int(k), 1, d) for d in dilations))
    return str(field) if rate is None else decimals(Fraction(1000 * field, int(rate)), 1)


@rule(
    r"two causal convolutions each, of length (\d+);.*The blocks have dilations ([\d, ]+)\.(?: The whole is stacked (\d+) times)?"
)
def _temporal(_: Page, k: str, dilations: str, times: str | None) -> str:
    layers = [(int(k), 1, int(d)) for d in dilations.split(", ") for _i in (1, 2)]
    return str(seen(*layers * int(times or 1)))


@rule(r"(\d+) convolutions of length (\d+) with dilations ([\d, ]+) see \d+ samples\. How many")
def _undilated(_: Page, _times: str, k: str, dilations: str) -> str:
    field = seen(*((int(k), 1, int(d)) for d in dilations.split(", ")))
    return least(lambda n: seen(*[(int(k), 1, 1)] * n) >= field)


@rule(r"In this notation a convolution of (\d+)×\d+ has dilation (\d+)\. How many positions does it see")
def _gap(_: Page, k: str, d: str) -> str:
    return str(seen((int(k), 1, int(d) + 1)))


@rule(r"One thing is put between them\. Which of these changes the receptive field")
def _changes(item: Page) -> str:
    return option(item, lambda t: bool(re.search(r"(?<!1×)(?<!\d)[2-9]\d*×|1\d+×", t)))


@rule(r"On one axis, pixel 0 is the first\. Which input positions does each unit depend on: from the first to the last")
def _interval(item: Page) -> Say:
    """The hull of each unit, by hand: every layer widens it by its own window; then the same, cut to each map."""
    text, answers = words(item), {}
    network = re.search(r"The network is (VGG-\d+) on (\d+)×\d+, the map is `(\w+)`", text)
    found = named(network[1], (3, int(network[2]), int(network[2]))) if network else told(item)
    at = network[3] if network else re.search(r"The map is the output of `(\w+)`", text)[1]  # type: ignore[index]
    (grid,) = [b for b in item.body if isinstance(b, Grid) and b.header[0] == "unit"]
    assert grid.header[1:] == ("first", "last", "first real pixel", "last real pixel")
    for row in grid.rows:
        whole, real = read_by(found, at, int(str(row[0])), False), read_by(found, at, int(str(row[0])), True)
        values = (min(whole), max(whole), min(real), max(real))
        answers |= {cell.blank: str(v) for cell, v in zip(row[1:], values, strict=True) if isinstance(cell, Slot)}
    return answers


def read_by(found: Told, at: str, unit: int, cut: bool) -> set[int]:
    """The input positions that a unit reads on the first axis; with maps cut to what they hold, if asked."""
    wanted: dict[str, set[int]] = {at: {unit}}
    for node in reversed(found.network.nodes):
        units = wanted.pop(node.name, set())
        for source in node.inputs if units else ():
            n = found.shapes[source][1]
            read = units
            if node.layer.kind in ("conv", "maxpool"):
                k, s, d = (per(v, 0) for v in (node.layer.kernel, node.layer.stride, node.layer.dilation))
                first = sides(node.layer, n, 0)[0]
                read = {u * s - first + t * d for u in units for t in range(k)}
            else:
                assert node.layer.kind in ("activation", "add"), node.layer.kind
            wanted.setdefault(source, set()).update(q for q in read if not cut or 0 <= q < n)
    return wanted[found.source]


@rule(r"A convolution goes over a signal of (\d+) positions, counted from 0\. The table says")
def _who_reads(item: Page, n: str) -> str:
    grid = next(b for b in item.body if isinstance(b, Grid))
    shown = [{int(q) for q in re.findall(r"\d+", str(row[1]))} for row in grid.rows]

    def makes(text: str) -> bool:
        k, s, p, d = map(int, re.findall(r"\d+", text))
        reads = [{u * s - p + tap * d for tap in range(k)} & set(range(int(n))) for u in range(len(shown))]
        return reads == shown

    return option(item, makes)
