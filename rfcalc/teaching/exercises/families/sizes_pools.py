"""Output sizes where pools must stay even: U-Nets and their patches."""

from __future__ import annotations

from rfcalc.teaching.exercises.draw import Draw
from rfcalc.teaching.exercises.families.sizes_more import counted, sides_of
from rfcalc.teaching.exercises.item import AnswerSlot, Blank, ExerciseTable, Question, Text
from rfcalc.teaching.exercises.patterns import Unfit, agree, chosen, numeric, pattern
from rfcalc.teaching.exercises.subject import number_blank
from rfcalc.teaching.exercises.words import convention

FAMILY = "output-size"


@pattern(FAMILY, "unet-valid", "one-layer", (3,))
def unet_valid(draw: Draw, level: int) -> Question:
    levels = draw.between(2, 4)
    bottom = draw.between(6, 32)
    up = bottom
    for _ in range(levels):
        up = 2 * (up - 4) if up > 4 else 0
    n = bottom + 4
    for _ in range(levels):
        n = 2 * n + 4
    parts = ["conv3-8 p0 > conv3-8 p0 > maxpool2"] * levels + ["conv3-8 p0 > conv3-8 p0"]
    parts += ["convT2-8/2 > conv3-8 p0 > conv3-8 p0"] * levels
    target = " > ".join(parts)
    if up <= 4:
        raise Unfit
    side = agree(sides_of(target, n)[0], counted(target, n)[0], "output side")
    return numeric(
        draw,
        "A U-Net with valid convolutions",
        f"A U-Net has {levels} pools of 2×2. On every level down, at the bottom and on every level up there are two "
        f"3×3 convolutions without padding; going up, 2×2 transposed convolutions of stride 2 double the side. What is "
        f"the side of the output for an image of {n}×{n}?",
        key=side,
        second=_unet(n, levels),
        wrongs=[
            (n, "Without padding every 3×3 convolution takes 2 positions away.", "padding-forgotten"),
            (n - 4 * (2 * levels + 1), "Positions lost on lower levels count double for every pool above.", ""),
            (side + 4, "off-by-one-layer"),
            (bottom, "This is the side at the bottom.", "off-by-one-layer"),
        ],
        conventions=("side",),
        told=(f"down: {n}" + _trace(n, levels), f"the output: {side}, {n - side} less than the image"),
        tags=("u-net",),
    )


def _unet(n: int, levels: int) -> int:
    for _ in range(levels):
        n = (n - 4) // 2
    n -= 4
    for _ in range(levels):
        n = 2 * n - 4
    return n


def _trace(n: int, levels: int) -> str:
    text = ""
    for _ in range(levels):
        text += f" → {n - 4} → {(n - 4) // 2}"
        n = (n - 4) // 2
    text += f" → {n - 4}; up:"
    n -= 4
    for _ in range(levels):
        text += f" → {2 * n} → {2 * n - 4}"
        n = 2 * n - 4
    return text


@pattern(FAMILY, "even-pools", "setting", (3,))
def even_pools(draw: Draw, level: int) -> Question:
    levels = draw.between(2, 4)

    def fits(n: int) -> bool:
        for _ in range(levels):
            n -= 4
            if n <= 0 or n % 2:
                return False
            n //= 2
        return n > 4

    start = draw.between(60, 300) * 2
    right = next(n for n in range(start, start + 200) if fits(n))
    wrong = [n for n in range(right - 15, right + 16, 2) if not fits(n) and n != right]
    step = 2**levels
    agree(fits(right), all(fits(right + step * i) for i in range(3)), "even")
    return chosen(
        draw,
        "Which image keeps every pool even?",
        f"A U-Net has {levels} pools of 2×2, each after two 3×3 convolutions without padding. Skip connections only "
        "line up if every pool gets an even side. Which image side does that?",
        key=str(right),
        wrongs=[(str(n), f"{_where(n, levels)}") for n in draw.some(wrong, 6)],
        conventions=("side",),
        told=(
            f"{right}{_down(right, levels)}",
            f"With it every {right} ± {step}·i works: sides repeat with 2^{levels} = {step}.",
        ),
        tags=("u-net",),
    )


def _down(n: int, levels: int) -> str:
    text = ""
    for _ in range(levels):
        text += f" → {n - 4} → {(n - 4) // 2}"
        n = (n - 4) // 2
    return text


def _where(n: int, levels: int) -> str:
    for i in range(levels):
        n -= 4
        if n % 2:
            return f"Pool {i + 1} gets {n}, which is odd."
        n //= 2
    return "The last map is too small."


@pattern(FAMILY, "patch-divisor", "table", (2,))
def patch_divisor(draw: Draw, level: int) -> Question:
    pools = [draw.between(1, 6) for _ in range(3)]
    if len(set(pools)) < 2:
        raise Unfit
    axes = ("depth", "height", "width")
    blanks: list[Blank] = []
    for axis, p in zip(axes, pools, strict=True):
        key = 2**p
        found = next(m for m in range(1, 200) if _halves(m, p))
        agree(key, found, "divisor")
        wrongs = [(2 * p, "Each pool halves: the factors multiply."), (p, "Each pool halves the side.")]
        blanks.append(number_blank(draw, key, wrongs, name=axis, label=f"{axis}: divisible by"))
    rows = tuple((axis, str(p), AnswerSlot(axis)) for axis, p in zip(axes, pools, strict=True))
    return Question(
        "What must a patch be divisible by?",
        (
            Text(
                "A U-Net for volumes halves each axis as often as the table says. By what must the patch be divisible "
                "on each axis, so that every halving is exact?"
            ),
            ExerciseTable(("axis", "halvings", "divisible by"), rows),
        ),
        tuple(blanks),
        convention(("side",)),
        tuple(f"{axis}: 2^{p} = {2**p}" for axis, p in zip(axes, pools, strict=True)),
        ("u-net",),
    )


def _halves(m: int, times: int) -> bool:
    for _ in range(times):
        if m % 2:
            return False
        m //= 2
    return True


@pattern(FAMILY, "pools-allowed", "setting", (2,))
def pools_allowed(draw: Draw, level: int) -> Question:
    n, least = draw.pick((64, 80, 96, 112, 128, 144, 160, 192, 224, 256, 320)), draw.pick((4, 4, 6, 8))
    by_power = max(p for p in range(20) if n % 2**p == 0 and n // 2**p >= least)
    side, count = n, 0
    while side % 2 == 0 and side // 2 >= least:
        side //= 2
        count += 1
    any_size = max(p for p in range(20) if n // 2**p >= least)
    return numeric(
        draw,
        "How many poolings are allowed?",
        f"A network halves the side of a patch of {n} with every pooling. Every halving must be exact, and the side at "
        f"the bottom must not be less than {least}. How many poolings are allowed at most?",
        key=by_power,
        second=count,
        wrongs=[
            (by_power + 1, f"That would leave less than {least}, or an odd side would be halved."),
            (by_power - 1, "One more is still allowed."),
            (any_size, "The side has to be even before every pooling."),
            (n // 2 // least, "Sides are halved, not reduced by a fixed amount."),
        ],
        conventions=("side",),
        told=(f"{n} = {by_power}× halved: {' → '.join(str(n >> i) for i in range(by_power + 1))}",),
        tags=("nnu-net",),
    )
