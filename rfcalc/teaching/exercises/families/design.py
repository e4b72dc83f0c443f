"""Design: so many layers for a receptive field, a network that meets its bounds."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from rfcalc.report.constraints import check
from rfcalc.teaching.exercises.draw import Draw
from rfcalc.teaching.exercises.families.fields_more import seen_by
from rfcalc.teaching.exercises.item import AnswerSlot, Blank, ExerciseTable, Question, Text
from rfcalc.teaching.exercises.patterns import Mistake, Unfit, agree, chosen, numeric, pattern
from rfcalc.teaching.exercises.subject import network_of, number_blank, report_of, second_of
from rfcalc.teaching.exercises.words import convention

FAMILY = "design"
RF = ("receptive_field",)


def fewest(enough: Callable[[int], bool], most: int = 4000) -> int:
    """The smallest number for which something is enough."""
    return next(n for n in range(1, most) if enough(n))


def _counted(target: str, shape: str) -> int:
    """The receptive field of the last node by counting alone."""
    return second_of(target, shape).sees(network_of(target).nodes[-1].name)[0][0]


@pattern(FAMILY, "layers-for-a-field", "setting", (1, 2))
def layers_for_a_field(draw: Draw, level: int) -> Question:
    k = draw.pick((3, 3, 5, 7))
    goal = draw.between(9, 45) if level == 1 else draw.pick((56, 96, 112, 128, 160, 200, 224, 256))
    key = -(-(goal - 1) // (k - 1))
    target = f"conv{k}-8 x{key}"
    agree(seen_by(target, "3x300x300") >= goal, True, "enough")
    less = key > 1 and _counted(f"conv{k}-8 x{key - 1}", "3x300x300") >= goal
    agree(less, False, "too many")
    return numeric(
        draw,
        "How many layers for this receptive field?",
        f"How many convolutions of {k}×{k}, stride 1 and without pooling, does it take at least so that a unit of "
        f"the last "
        f"one sees {goal}×{goal} pixels or more?",
        key=key,
        second=fewest(lambda n: len({i + t for i in range(n) for t in range(k)}) >= 0 and 1 + n * (k - 1) >= goal),
        wrongs=[
            (-(-goal // k), "fields-added"),
            (goal // (k - 1) + 1, "The first layer starts from one pixel: r = 1 + L·(k − 1)."),
            (key - 1, "One layer less sees too little.", "off-by-one-layer"),
            (-(-(goal - 1) // k), "Each layer adds k − 1, not k."),
            (fewest(lambda n: k**n >= goal), "fields-multiplied"),
        ],
        conventions=RF,
        told=(f"1 + L·({k} − 1) ≥ {goal}", f"L = {key}: {1 + key * (k - 1)}; L = {key - 1}: {1 + (key - 1) * (k - 1)}"),
    )


@pattern(FAMILY, "one-kernel-for-a-stack", "setting", (1,))
def one_kernel_for_a_stack(draw: Draw, level: int) -> Question:
    k, count = draw.pick((3, 3, 5, 7)), draw.between(2, 8)
    key = seen_by(f"conv{k}-8 x{count}", "3x128x128")
    single = fewest(lambda big: _counted(f"conv{big}-8", "3x128x128") == key, 80)
    return numeric(
        draw,
        "One kernel for a stack",
        f"{count} convolutions of {k}×{k} (stride 1) follow one another. Which side must the kernel of a single "
        f"convolution "
        "have to see the same region?",
        key=key,
        second=single,
        wrongs=[
            (count * k, "fields-added"),
            (k**count, "fields-multiplied"),
            (key - (k - 1), "off-by-one-layer"),
            (count * (k - 1), "The first pixel counts too: + 1."),
        ],
        conventions=RF,
        told=(f"{count}·({k} − 1) + 1 = {key}",),
    )


@pattern(FAMILY, "blocks-with-pools", "table", (2,))
def blocks_with_pools(draw: Draw, level: int) -> Question:
    convs, k, count = draw.pick((1, 2, 3)), draw.pick((3, 3, 5)), draw.between(3, 4)
    block = " > ".join([*[f"conv{k}-8"] * convs, "maxpool2"])
    blanks: list[Blank] = []
    rows: list[tuple[str | AnswerSlot, ...]] = []
    told = []
    r, j = 1, 1
    for b in range(1, count + 1):
        key = seen_by(" > ".join([block] * b), "3x256x256")
        first = r
        r, j = r + convs * (k - 1) * j + j, 2 * j
        agree(key, r, "receptive field")
        wrongs: list[tuple[Any, str]] = [
            (1 + b * (convs * (k - 1) + 1), "After every pool the steps are twice as wide."),
            (first, "This is one block less."),
            (first * 2, "Double the steps, not the receptive field."),
        ]
        blanks.append(number_blank(draw, key, wrongs, name=f"b{b}", label=f"after block {b}"))
        rows.append((f"after block {b}", AnswerSlot(f"b{b}")))
        told.append(f"block {b}: {first} + {convs}·({k} − 1)·{j // 2} + 1·{j // 2} = {key}")
    many = "a convolution" if convs == 1 else f"{convs} convolutions"
    return Question(
        "Blocks with pools",
        (
            Text(
                f"A block is {many} of {k}×{k} (stride 1), then a 2×2 pool with stride 2. How large is the "
                f"receptive field "
                "after each block?"
            ),
            ExerciseTable(("place", "receptive field"), tuple(rows)),
        ),
        tuple(blanks),
        convention(RF),
        tuple(told),
        ("vgg",),
    )


@pattern(FAMILY, "doubling-dilations", "setting", (2, 3))
def doubling_dilations(draw: Draw, level: int) -> Question:
    k, convs = draw.pick((2, 3, 3, 4, 5)), 1 if level == 2 else 2
    goal = draw.pick((50, 100, 200, 500, 1000)) if level == 2 else draw.pick((1000, 2000, 4000, 8000, 16000))
    key = fewest(lambda n: 1 + convs * (k - 1) * (2**n - 1) >= goal, 40)
    one = f"conv{k}-4 d(2**i) valid"
    body = one if convs == 1 else f"({one} > {one})"
    seen = seen_by(f"{body} x{key}:i", "1x200000")
    fewer = _counted(f"{body} x{key - 1}:i", "1x200000")
    agree((seen >= goal, fewer >= goal), (True, False), "number of blocks")
    layer, each = ("layers", "layer") if convs == 1 else ("blocks of two convolutions", "block")
    return numeric(
        draw,
        "How many doubling dilations?",
        f"A network on a signal has {layer} of length {k}; the dilation of the first {each} is 1 and doubles with "
        f"every "
        f"{each}. How many {layer.split()[0]} does it take at least to see {goal} samples?",
        key=key,
        second=next(n for n in range(1, 40) if 1 + sum(convs * (k - 1) * 2**i for i in range(n)) >= goal),
        wrongs=[
            (key - 1, f"{key - 1} see {fewer} samples: too few.", "off-by-one-layer"),
            (key + 1, "One less is enough.", "one-convolution-a-block" if convs == 2 else ""),
            (fewest(lambda n: k**n >= goal), "fields-multiplied"),
            (fewest(lambda n: 1 + n * (k - 1) * convs >= goal, 20000), "kernel-not-widened"),
            (fewest(lambda n: 1 + (k - 1) * (2**n - 1) >= goal), "one-convolution-a-block"),
        ],
        conventions=RF,
        told=(
            f"n {layer.split()[0]}: 1 + {convs}·({k} − 1)·(2^n − 1) samples",
            f"n = {key - 1}: {fewer}; n = {key}: {seen} ≥ {goal}",
        ),
        tags=("wavenet", "tcn"),
    )


@pattern(FAMILY, "dilation-base", "setting", (3,))
def dilation_base(draw: Draw, level: int) -> Question:
    base, k = draw.pick(((2, 3), (3, 3), (4, 5), (5, 3), (5, 5), (3, 4)))
    if k < base:
        k = base
    goal = draw.pick((50, 60, 100, 125, 150, 200, 365))
    key = fewest(lambda n: 1 + 2 * (k - 1) * (base**n - 1) // (base - 1) >= goal)
    blocks = " > ".join(f"conv{k}-4 d{base**i} valid > conv{k}-4 d{base**i} valid" for i in range(key))
    seen = seen_by(blocks, "1x200000")
    agree(seen >= goal, True, "enough")
    single = fewest(lambda n: 1 + (k - 1) * (base**n - 1) // (base - 1) >= goal)
    return numeric(
        draw,
        "The depth of a temporal network",
        f"A temporal convolutional network has residual blocks of two convolutions of length {k}; block i (from 0) has "
        f"dilation {base}^i. Its input has {goal} steps. How many blocks does it take at least so that the output "
        f"depends "
        "on all of them?",
        key=key,
        second=next(n for n in range(1, 30) if 1 + sum(2 * (k - 1) * base**i for i in range(n)) >= goal),
        wrongs=[
            (single, "one-convolution-a-block"),
            (key + 1, "One less sees the whole input already."),
            (key - 1, "off-by-one-layer"),
            (fewest(lambda n: base**n >= goal), "Count what the kernels add, (k − 1) for each convolution."),
        ],
        conventions=RF,
        told=(
            f"n blocks see 1 + 2·({k} − 1)·({base}^n − 1)/({base} − 1)",
            f"n = {key}: {seen} ≥ {goal}; n = {key - 1}: {1 + 2 * (k - 1) * (base ** (key - 1) - 1) // (base - 1)}",
        ),
        tags=("tcn", "darts"),
    )


@lru_cache(maxsize=256)
def _fewest_convolutions(n: int, used: int, pooled: bool) -> int | None:
    """The fewest 3×3 convolutions from a side n to 1 or 2, if `used` stand since the last pool."""
    best: int | None = None
    if used >= 2 and n <= 2 and n >= 1:
        return 0
    if n >= 3:
        more = _fewest_convolutions(n - 2, min(used + 1, 2), pooled)
        best = None if more is None else more + 1
    if used >= 2 and n >= 2:
        more = _fewest_convolutions(n // 2, 0, True)
        if more is not None and (best is None or more < best):
            best = more
    return best


def _breadth_first(n: int) -> int:
    """The same by breadth-first search over (side, convolutions since the last pool)."""
    level = {(n, 0)}
    for count in range(200):
        spread = set(level)
        todo = list(level)
        while todo:
            side, used = todo.pop()
            if used >= 2 and side // 2 >= 1 and (side // 2, 0) not in spread:
                spread.add((side // 2, 0))
                todo.append((side // 2, 0))
        if any(side in (1, 2) and used >= 2 for side, used in spread):
            return count
        level = {(side - 2, min(used + 1, 2)) for side, used in spread if side >= 3}
    raise AssertionError("no design")


@pattern(FAMILY, "fewest-convolutions", "setting", (3,))
def fewest_convolutions(draw: Draw, level: int) -> Question:
    n = draw.between(30, 140, 2)
    key = _fewest_convolutions(n, 0, False)
    if key is None:
        raise Unfit
    plain = -(-(n - 2) // 2)
    return numeric(
        draw,
        "The fewest convolutions",
        f"A network for images of {n}×{n} has 3×3 convolutions without padding and 2×2 pools with stride 2 (rounded "
        f"down). "
        "Before every pool, and after the last one, stand at least two convolutions. It ends at 1×1 or 2×2. How many "
        "convolutions does it have at least?",
        key=key,
        second=_breadth_first(n),
        wrongs=[
            (plain, "Pools halve the map: fewer convolutions are needed."),
            (key - 1, "That leaves fewer than two before some pool, or more than 2×2."),
            (key + 1, "There is a design with one less."),
            (key + 2, "There is a design with two less: try another place for a pool."),
        ],
        conventions=("side",),
        told=_design(n, key),
    )


def _design(n: int, key: int) -> tuple[str, ...]:
    """One best design, as the sides that it goes through."""
    text, used, side, left = str(n), 0, n, key
    while not (used >= 2 and side <= 2):
        if used >= 2 and side >= 2 and _fewest_convolutions(side // 2, 0, True) == left:
            side, used = side // 2, 0
            text += f" ⇒ {side}"
        else:
            side, used, left = side - 2, min(used + 1, 2), left - 1
            text += f" → {side}"
    return (f"→ is a convolution, ⇒ a pool: {text}", f"{key} convolutions; no design has fewer (all were searched).")


@pattern(FAMILY, "which-design", "compare", (2, 3))
def which_design(draw: Draw, level: int) -> Question:
    field, most = draw.pick(((30, 100), (35, 150), (44, 200), (25, 60))), 0
    bound, budget = field
    most = budget * 1000
    designs: dict[str, None] = {}
    for _ in range(9):
        wide = draw.pick((8, 16, 24, 32, 48, 64))
        strides = draw.pick((2, 3, 3, 3, 4))
        parts = []
        for i in range(draw.between(4, 7)):
            d = draw.pick((1, 1, 2, 4)) if i >= strides else 1
            k = draw.pick((3, 3, 5))
            parts.append(f"conv{k}-{wide}{'/2' if i < strides else ''}{f' d{d}' if d > 1 else ''}")
            wide = min(wide * 2, 128) if draw.below(3) == 0 else wide
        if draw.below(4) == 0:
            parts.insert(2, "maxpool2")
        designs[" > ".join(parts)] = None
    wanted = f"rf > {bound}, params < {budget}k, none(pool), count(conv stride=2) = 3, some(conv dilation>1)"
    good: list[str] = []
    bad: list[tuple[str, str]] = []
    for target in designs:
        report = report_of(target, "3x32x32")
        failed = [f"{c} fails: {told}" for c, ok, told in check(report, wanted) if not ok]
        again = _meets(target, bound, most)
        agree(not failed, again, "the bounds")
        if failed:
            bad.append((target, "; ".join(failed)))
        else:
            good.append(target)
    bad.sort(key=lambda b: b[1].count(";"))
    if not good or len(bad) < 3:
        raise Unfit
    key = draw.pick(good)
    return chosen(
        draw,
        "Which design meets the bounds?",
        f"A network for images of 3x32x32 must have a receptive field of more than {bound}, fewer than {budget}000 "
        "parameters, no pooling, exactly three convolutions with stride 2 and at least one dilated convolution. "
        "Which of "
        "these does? (`conv3-16/2 d4` is a 3×3 convolution with 16 filters, stride 2, dilation 4; padding keeps the "
        "size "
        "at stride 1; all have biases.)",
        key=key,
        wrongs=bad[:8],
        conventions=("receptive_field", "params"),
        told=[f"{key}: " + "; ".join(told for _, _, told in check(report_of(key, "3x32x32"), wanted))],
    )


def _meets(target: str, bound: int, most: int) -> bool:
    second = second_of(target, "3x32x32")
    layers = [node.layer for node in second.nodes.values()]
    params = sum(c.weights + c.biases for c in second.counts.values())
    strided = sum(1 for layer in layers if layer.kind == "conv" and getattr(layer, "stride", None) == (2,))
    return (
        second.sees(list(second.nodes)[-1])[0][0] > bound
        and params < most
        and all(layer.kind == "conv" for layer in layers)
        and strided == 3
        and any(getattr(layer, "dilation", (1,)) != (1,) for layer in layers)
    )


@pattern(FAMILY, "downsampling-for-a-field", "setting", (2,))
def downsampling_for_a_field(draw: Draw, level: int) -> Question:
    k, convs = draw.pick((3, 5)), draw.pick((1, 2))
    goal = draw.pick((30, 40, 60, 100, 150, 200))
    block = " > ".join([*[f"conv{k}-4"] * convs, "maxpool2"])

    def field(count: int) -> int:
        return _counted(" > ".join([block] * count), "3x512x512")

    key = fewest(lambda n: field(n) >= goal, 12)
    agree(seen_by(" > ".join([block] * key), "3x512x512") >= goal, True, "enough")
    r = [1 + (convs * (k - 1) + 1) * (2**n - 1) for n in range(12)]
    many = "one convolution" if convs == 1 else f"{convs} convolutions"
    wrongs: list[Mistake] = [
        (key - 1, "off-by-one-layer"),
        (key + 1, "One block less is enough."),
        (fewest(lambda n: 1 + n * (convs * (k - 1) + 1) >= goal), "strides-before-ignored"),
        (fewest(lambda n: 2**n >= goal), "Count what the kernels add, not the stride alone."),
    ]
    return numeric(
        draw,
        "How many blocks for this receptive field?",
        f"A block is {many} of {k}×{k} (stride 1) and a 2×2 pool with stride 2. How many blocks does it take at "
        f"least until "
        f"a unit sees {goal}×{goal} pixels or more?",
        key=key,
        second=next(n for n in range(12) if r[n] >= goal),
        wrongs=wrongs,
        conventions=RF,
        told=(" → ".join(f"{n} blocks: {r[n]}" for n in range(1, key + 1)),),
    )
