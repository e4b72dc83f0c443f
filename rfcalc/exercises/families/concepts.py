"""Statements, true or false, each decided by a witness: two networks whose figures the item shows.

Nobody says here whether a statement is true: it has a claim about the figures of its two networks, and the figures,
computed by both roads, decide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rfcalc.exercises.draw import Draw
from rfcalc.exercises.item import Blank, Option, Question, Text
from rfcalc.exercises.patterns import Subject, pattern
from rfcalc.exercises.subject import confirmed, written
from rfcalc.exercises.words import SHORT, convention

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
        Option(word, right, "Right. " + found.because if right else f"{found.because} {witness}")
        for word, right in (("true", true), ("false", not true))
    )
    targets = [f"rfcalc table '{s.target}' --input {s.input}" for s in (found.a, found.b)]
    return Question(
        "A statement",
        (Text(f"True or false? {found.statement}"),),
        (Blank("answer", "choice", "true or false", "true" if true else "false", options, "", "", found.a.ask),),
        convention((found.a.figure,), found.a.batch, found.a.dtype, found.a.report.itemsize),
        (f"The statement is {'true' if true else 'false'}. {found.because}", *shown, *targets),
        ("witness",),
    )


def _rf(target: str, n: int = 64, at: str = "") -> Subject:
    return Subject("", target, f"3x{n}x{n}", "receptive_field", at)


def _of(figure: str, target: str, n: int = 32, c: int = 3) -> Subject:
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
        _rf(f"conv{k}-8 p0"),
        _rf(f"conv{k}-8 p{p}"),
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
        _rf(f"{before} > conv{k}-8"),
        _rf(f"{before} > conv{k}-8/{s}"),
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
        _rf(f"conv{k}-8 > conv{k}-8"),
        _rf(f"conv{k}-8/{s} > conv{k}-8"),
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
        _rf(f"conv{k}-8 > conv{k}-8", at="conv2"),
        _rf(f"conv{k}-8 > maxpool{s} > conv{k}-8", at="conv2"),
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
        _of("params", f"conv3-{m}"),
        _of("params", f"conv3-{m} > {kind}{k}"),
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
                "Pooling layers have no parameters, and still a network with one passes its gradients through a map of "
                "another size.",
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
            _rf("conv3-8"),
            _rf("conv3-8 > conv1-8"),
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


@statement("two-paths", (2, 3))
def two_paths(draw: Draw) -> Witness:
    (short, long), same_centre = draw.pick(
        (
            (("conv3-8", "conv5-8"), True),
            (("conv3-8", "conv3-8 conv3-8"), True),
            (("conv1-8", "conv7-8"), True),
            (("conv3-8 p0:2", "conv3-8 p2:0"), False),
            (("conv3-8 p1", "conv3-8 p2:0"), False),
        )
    )
    if same_centre:
        said, claim = draw.pick(
            (
                (
                    "Two paths with equal strides and centres are added: the receptive field of the sum is that of "
                    "the wider "
                    "path.",
                    same,
                ),
                (
                    "Two paths with equal strides and centres are added: the receptive fields of the paths add too.",
                    differ,
                ),
            )
        )
        because = "The unit sees the union of two windows around one centre, which is the wider one."
    else:
        said, claim = draw.pick(
            (
                (
                    "Two paths with equal strides but different centres are added: the receptive field of the sum "
                    "is that of the "
                    "wider path.",
                    same,
                ),
                (
                    "Two paths with equal strides but different centres are added: the receptive field of the sum "
                    "can be wider "
                    "than that of either path.",
                    differ,
                ),
            )
        )
        because = "Windows that are shifted against each other span more together than each alone."
    return Witness(
        said,
        _rf(f"conv3-8 > {long}"),
        _rf(f"conv3-8 > ({short} + {long})"),
        ("the wider path alone", "both paths added"),
        claim,
        because,
    )


@statement("larger-image", (1, 2))
def larger_image(draw: Draw) -> Witness:
    k, m, n = draw.pick((3, 5)), draw.pick((8, 16, 64)), draw.pick((32, 56, 112))
    figure, factor, said = draw.pick(
        (
            (
                "values",
                2,
                f"Doubling the side of an image of {n}×{n} doubles the activations of a {k}×{k} convolution.",
            ),
            (
                "values",
                4,
                f"Doubling the side of an image of {n}×{n} makes the activations of a convolution four times as many.",
            ),
            (
                "macs",
                4,
                f"Doubling the side of an image of {n}×{n} makes the multiply-adds of a convolution four "
                f"times as many.",
            ),
            (
                "params",
                1,
                f"Doubling the side of an image of {n}×{n} leaves the parameters of a convolution as they are.",
            ),
            (
                "params",
                4,
                f"Doubling the side of an image of {n}×{n} makes the parameters of a convolution four times as many.",
            ),
        )
    )
    return Witness(
        said,
        Subject("", f"conv{k}-{m}", f"3x{n}x{n}", figure),
        Subject("", f"conv{k}-{m}", f"3x{2 * n}x{2 * n}", figure),
        (f"on {n}×{n}", f"on {2 * n}×{2 * n}"),
        lambda a, b: bool(b == factor * a),
        "Both axes double: four times as many positions, at which the same filters are used.",
    )


@statement("where-vgg-is-heavy", (3,))
def where_vgg_is_heavy(draw: Draw) -> Witness:
    figure, part, said = draw.pick(
        (
            ("params", "fc6", "The first fully connected layer holds more than half of the parameters of VGG-16."),
            ("values", "fc6", "The first fully connected layer makes more than half of the activations of VGG-16."),
            (
                "params",
                "conv1_2",
                "The first block's second convolution holds more than a tenth of the parameters of VGG-16.",
            ),
            ("values", "conv1_2", "One map of VGG-16's first block holds more than a tenth of all its activations."),
        )
    )
    share = 2 if "half" in said else 10
    return Witness(
        said,
        Subject("", "vgg16", "3x224x224", figure, part),
        Subject("", "vgg16", "3x224x224", figure, whole=True),
        (part, "VGG-16 in all"),
        lambda a, b: bool(share * a > b),
        "Parameters lie in the fully connected layers, which have a weight for every pair of values; activations "
        "lie where "
        "maps are large.",
    )


@statement("bias-before-normalisation", (2,))
def bias_before_normalisation(draw: Draw) -> Witness:
    k, m = draw.pick((1, 3, 5)), draw.pick((8, 16, 32, 64))
    said, claim = draw.pick(
        (
            (
                f"A bias of a {k}×{k} convolution with {m} filters directly before batch normalisation adds "
                f"parameters.",
                grows,
            ),
            (
                f"Leaving out the bias of a {k}×{k} convolution with {m} filters before batch normalisation changes "
                f"nothing about the number of "
                "parameters.",
                same,
            ),
        )
    )
    return Witness(
        said,
        _of("params", f"conv{k}-{m} nobias > bn"),
        _of("params", f"conv{k}-{m} > bn"),
        ("without bias", "with bias"),
        claim,
        "The bias is one more parameter for each channel; normalisation subtracts it again with the mean, so it "
        "adds no "
        "expressive power.",
    )


@statement("larger-than-the-image", (2,))
def larger_than_the_image(draw: Draw) -> Witness:
    count, n = draw.between(4, 6), draw.pick((16, 24, 32))
    target = " > ".join(["conv3-8 > maxpool2"] * 2 + ["conv3-8"] * count)
    said, claim = draw.pick(
        (
            (
                f"A receptive field larger than the image ({n}×{n}) is an error: such a network cannot be run.",
                lambda a, b: bool(a < 1),
            ),
            (
                f"A network on {n}×{n} may have units whose receptive field is larger than the image.",
                lambda a, b: bool(a >= 1 and b > n),
            ),
        )
    )
    return Witness(
        said,
        Subject("", target, f"3x{n}x{n}", "values"),
        _rf(target, n),
        (f"values of the last map on {n}×{n}", "the same network's receptive field"),
        claim,
        "The rest of the window lies in the padding: the unit sees the whole image. It is no error.",
    )


@statement("normalisation-and-field", (1,))
def normalisation_and_field(draw: Draw) -> Witness:
    words, what = draw.pick(
        (("bn", "batch normalisation (in evaluation mode)"), ("relu", "a ReLU"), ("dropout", "dropout"))
    )
    said, claim = draw.pick(
        (
            (f"Putting {what} between two convolutions changes the receptive field.", differ),
            (f"Putting {what} between two convolutions leaves the receptive field as it is.", same),
        )
    )
    return Witness(
        said,
        _rf("conv3-8 > conv3-8", at="conv2"),
        _rf(f"conv3-8 > {words} > conv3-8", at="conv2"),
        ("without it", "with it"),
        claim,
        "It works on every position alone, so no further position is looked at.",
    )


@statement("dilation-and-parameters", (1, 2))
def dilation_and_parameters(draw: Draw) -> Witness:
    k, d = draw.pick((3, 5)), draw.between(2, 4)
    figure, said, claim = draw.pick(
        (
            ("params", f"A {k}×{k} convolution with dilation {d} has more parameters than without.", grows),
            ("params", f"A {k}×{k} convolution has as many parameters with dilation {d} as without.", same),
            ("receptive_field", f"A {k}×{k} convolution with dilation {d} sees farther than without.", grows),
        )
    )
    return Witness(
        said,
        Subject("", f"conv{k}-8", "3x32x32", figure),
        Subject("", f"conv{k}-8 d{d}", "3x32x32", figure),
        ("without dilation", f"dilation {d}"),
        claim,
        "Dilation moves the taps of the kernel apart; it adds none.",
    )


@statement("depth-or-kernel", (2,))
def depth_or_kernel(draw: Draw) -> Witness:
    c, count = draw.pick((16, 32, 64)), draw.between(2, 3)
    k = 2 * count + 1
    figure, said, claim = draw.pick(
        (
            ("receptive_field", f"{count} convolutions of 3×3 in a row see as much as one of {k}×{k}.", same),
            (
                "params",
                f"{count} convolutions of 3×3 in a row have fewer parameters than one of {k}×{k}, with {c} channels "
                "throughout.",
                grows,
            ),
            (
                "params",
                f"{count} convolutions of 3×3 in a row have more parameters than one of {k}×{k}, with {c} channels "
                "throughout.",
                lambda a, b: bool(a > b),
            ),
        )
    )
    whole = figure == "params"
    return Witness(
        said,
        Subject("", f"conv3-{c} x{count}", f"{c}x32x32", figure, whole=whole),
        Subject("", f"conv{k}-{c}", f"{c}x32x32", figure, whole=whole),
        (f"{count} convolutions of 3×3", f"one of {k}×{k}"),
        claim,
        f"{count}·9·C² weights against {k * k}·C², and {count}·2 + 1 = {k}.",
    )
