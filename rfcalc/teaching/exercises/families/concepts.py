"""Statements, true or false, each decided by a witness: two networks whose figures the item shows.

Nobody says here whether a statement is true: it has a claim about the figures of its two networks, and the figures,
computed by both roads, decide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rfcalc.teaching.exercises.draw import Draw
from rfcalc.teaching.exercises.item import AnswerOption, Blank, Question, Text
from rfcalc.teaching.exercises.patterns import Subject, pattern
from rfcalc.teaching.exercises.subject import confirmed, written
from rfcalc.teaching.exercises.words import SHORT, convention

FAMILY = "concepts"


@dataclass(frozen=True)
class Witness:
    """Two networks, the figure that decides, and the claim about its two values."""

    statement: str
    a: Subject
    b: Subject
    names: tuple[str, str]
    claim: Callable[[Any, Any], bool]
    because: str

    def figures(self) -> tuple[Any, Any]:
        """Both figures, each confirmed by the second road."""
        return confirmed(self.a), confirmed(self.b)


Maker = Callable[[Draw], Witness]
_MAKERS: dict[str, Maker] = {}


def statement(name: str, levels: tuple[int, ...] = (1, 2)) -> Callable[[Maker], Maker]:
    """Declare a statement as a pattern."""

    def add(maker: Maker) -> Maker:
        _MAKERS[name] = maker

        @pattern(FAMILY, name, "statement", levels)
        def make(draw: Draw, level: int) -> Question:
            return _question(draw, maker(draw))

        return maker

    return add


def _question(draw: Draw, found: Witness) -> Question:
    first, second = found.figures()
    true = found.claim(first, second)
    figure = SHORT[found.a.figure]
    shown = (
        f"{found.names[0]}: {figure} {written('', first)}",
        f"{found.names[1]}: {figure} {written('', second)}",
    )
    witness = f"The witness: {'; '.join(shown)}."
    options = tuple(
        AnswerOption(word, right, "Right. " + found.because if right else f"{found.because} {witness}")
        for word, right in (("true", true), ("false", not true))
    )
    targets = [f"rfcalc table '{s.target}' --input {s.input}" for s in (found.a, found.b)]
    return Question(
        "A statement",
        (Text(f"True or false? {found.statement}"),),
        (Blank("answer", "choice", "true or false", "true" if true else "false", options, "", "", found.a.ask),),
        convention((found.a.figure,), found.a.batch, found.a.dtype, found.a.report.itemsize, found.a.whole),
        (f"The statement is {'true' if true else 'false'}. {found.because}", *shown, *targets),
        ("witness",),
    )


def field_of(target: str, n: int = 64, at: str = "") -> Subject:
    return Subject("", target, f"3x{n}x{n}", "receptive_field", at)


def total_of(figure: str, target: str, n: int = 32, c: int = 3) -> Subject:
    return Subject("", target, f"{c}x{n}x{n}", figure, whole=True)


def same(a: Any, b: Any) -> bool:
    """The figures are equal."""
    return bool(a == b)


def differ(a: Any, b: Any) -> bool:
    """The figures are not equal."""
    return bool(a != b)


def grows(a: Any, b: Any) -> bool:
    """The second is larger."""
    return bool(b > a)


@statement("padding-and-field")
def padding_and_field(draw: Draw) -> Witness:
    k, p = draw.pick((3, 5, 7)), draw.between(1, 3)
    said, claim = draw.pick(
        (
            (f"Padding a {k}×{k} convolution by {p} makes the receptive field of its units larger.", grows),
            (f"Padding a {k}×{k} convolution by {p} leaves the size of its units' receptive fields as it is.", same),
        )
    )
    return Witness(
        said,
        field_of(f"conv{k}-8 p0"),
        field_of(f"conv{k}-8 p{p}"),
        ("no padding", f"padding {p}"),
        claim,
        "Padding changes how many units there are and where they look, not how far one looks.",
    )


@statement("stride-of-the-last-layer")
def stride_of_the_last_layer(draw: Draw) -> Witness:
    count, s, k = draw.between(2, 4), draw.pick((2, 3, 4)), draw.pick((3, 5))
    before = " > ".join([f"conv{k}-8"] * (count - 1))
    said, claim = draw.pick(
        (
            (f"Giving the last of {count} convolutions stride {s} enlarges the receptive field of its units.", grows),
            (f"The stride of the last of {count} convolutions does not matter for its own receptive field.", same),
        )
    )
    return Witness(
        said,
        field_of(f"{before} > conv{k}-8"),
        field_of(f"{before} > conv{k}-8/{s}"),
        ("stride 1", f"stride {s}"),
        claim,
        "A layer's own stride spreads its outputs; only layers after it see farther for it.",
    )


@statement("stride-of-the-first-layer")
def stride_of_the_first_layer(draw: Draw) -> Witness:
    s, k = draw.pick((2, 3, 4)), draw.pick((3, 5))
    said, claim = draw.pick(
        (
            (
                f"Giving the first of two {k}×{k} convolutions stride {s} enlarges the receptive field of the second.",
                grows,
            ),
            (f"The stride of the first of two {k}×{k} convolutions does not change what the second sees.", same),
        )
    )
    return Witness(
        said,
        field_of(f"conv{k}-8 > conv{k}-8"),
        field_of(f"conv{k}-8/{s} > conv{k}-8"),
        ("stride 1", f"stride {s}"),
        claim,
        f"After a stride the taps of the next kernel are {s} pixels apart.",
    )


@statement("pooling-sees-more")
def pooling_sees_more(draw: Draw) -> Witness:
    k, s = draw.pick((3, 5)), draw.pick((2, 3))
    said, claim = draw.pick(
        (
            (
                f"With a {s}×{s} max pooling between two {k}×{k} convolutions, a unit of the second sees more of "
                f"the image.",
                grows,
            ),
            (
                f"A {s}×{s} max pooling between two {k}×{k} convolutions has no parameters, so it does not change "
                f"what the "
                "second sees.",
                same,
            ),
        )
    )
    return Witness(
        said,
        field_of(f"conv{k}-8 > conv{k}-8", at="conv2"),
        field_of(f"conv{k}-8 > maxpool{s} > conv{k}-8", at="conv2"),
        ("without pooling", "with pooling"),
        claim,
        "A pool reads a window and spreads its outputs; both widen what later layers see.",
    )


@statement("pooling-has-parameters", (1,))
def pooling_has_parameters(draw: Draw) -> Witness:
    k, m, kind = draw.pick((2, 3)), draw.pick((8, 16, 32)), draw.pick(("maxpool", "avgpool"))
    word = {"maxpool": "max", "avgpool": "average"}[kind]
    said, claim = draw.pick(
        (
            (f"Putting a {k}×{k} {word} pooling after a convolution adds parameters.", grows),
            (f"Putting a {k}×{k} {word} pooling after a convolution adds no parameters.", same),
        )
    )
    return Witness(
        said,
        total_of("params", f"conv3-{m}"),
        total_of("params", f"conv3-{m} > {kind}{k}"),
        ("without pooling", "with pooling"),
        claim,
        "A pool takes a maximum or a mean: nothing in it is trained.",
    )


@statement("pooling-and-backpropagation", (2, 3))
def pooling_and_backpropagation(draw: Draw) -> Witness:
    m, n, k = draw.pick((8, 16)), draw.pick((16, 32)), draw.pick((3, 5))
    said, claim = draw.pick(
        (
            (
                f"Pooling layers have no parameters, so leaving one out between two convolutions (on {n}×{n}) changes "
                f"nothing "
                "about the gradients.",
                same,
            ),
            (
                "A pooling layer has no parameters: it has none to update in training, and passes the gradients on all "
                "the same.",
                differ,
            ),
        )
    )
    return Witness(
        said,
        Subject("", f"conv{k}-{m} > conv3-{m}", f"3x{n}x{n}", "values", "conv2"),
        Subject("", f"conv{k}-{m} > maxpool2 > conv3-{m}", f"3x{n}x{n}", "values", "conv2"),
        ("values of the second convolution without the pool", "with the pool"),
        claim,
        "A pool has no weights, but gradients pass through it: max pooling sends each to the largest value of its "
        "window, "
        "and the maps after it have another size.",
    )


@statement("one-by-one")
def one_by_one(draw: Draw) -> Witness:
    c, m, n = draw.pick((64, 128, 256)), draw.pick((8, 16, 32)), draw.pick((14, 28))
    what = draw.pick(("size", "channels", "field"))
    if what == "channels":
        return Witness(
            f"A 1×1 convolution with {m} filters can turn {c} channels into {m}.",
            Subject("", f"conv1-{m}", f"{c}x{n}x{n}", "values"),
            Subject("", f"conv3-{m}", f"{c}x{n}x{n}", "values"),
            (f"values after the 1×1 convolution on {c}x{n}x{n}", "after a 3×3 convolution of as many filters"),
            lambda a, b: bool(a == m * n * n),
            "The number of filters is the number of output channels, whatever the kernel.",
        )
    if what == "field":
        return Witness(
            "A 1×1 convolution after a 3×3 convolution enlarges the receptive field.",
            field_of("conv3-8"),
            field_of("conv3-8 > conv1-8"),
            ("without it", "with it"),
            grows,
            "A 1×1 kernel looks at one position: (1 − 1)·j = 0.",
        )
    return Witness(
        "A 1×1 convolution with stride 1 reduces the height and width of its input.",
        Subject("", "conv1-8", f"8x{n}x{n}", "side"),
        Subject("", "conv1-8/2", f"8x{n}x{n}", "side"),
        (f"side after stride 1 on {n}×{n}", "after stride 2"),
        lambda a, b: bool(a < n),
        "At stride 1 a 1×1 kernel stands at every position; only a stride makes the map smaller.",
    )


@statement("filters-and-input")
def filters_and_input(draw: Draw) -> Witness:
    c, m, k = draw.pick((3, 8, 16)), draw.pick((8, 16, 32)), draw.pick((3, 5))
    figure, said, claim, because = draw.pick(
        (
            (
                "values",
                f"The number of filters of a convolution follows from the channels of its input: with twice as many "
                f"input channels a layer of {m} filters has a deeper output.",
                differ,
                "The number of filters is chosen; it decides the output's depth. Input channels decide the depth of "
                "a filter.",
            ),
            (
                "params",
                "With twice as many input channels, a convolution with the same number of filters has the same number "
                "of parameters.",
                same,
                "Every filter spans all input channels, so its weights double.",
            ),
            (
                "params",
                "With twice as many input channels, a convolution with the same number of filters has more parameters.",
                grows,
                "Every filter spans all input channels, so its weights double.",
            ),
        )
    )
    return Witness(
        said,
        Subject("", f"conv{k}-{m}", f"{c}x16x16", figure),
        Subject("", f"conv{k}-{m}", f"{2 * c}x16x16", figure),
        (f"{c} input channels", f"{2 * c} input channels"),
        claim,
        because,
    )
