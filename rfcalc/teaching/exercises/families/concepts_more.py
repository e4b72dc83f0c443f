"""More statements with witnesses: paths, image sizes, biases, depth."""

from __future__ import annotations

from rfcalc.teaching.exercises.draw import Draw
from rfcalc.teaching.exercises.families.concepts import Witness, differ, field_of, grows, same, statement, total_of
from rfcalc.teaching.exercises.patterns import Subject

FAMILY = "concepts"


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
        field_of(f"conv3-8 > {long}"),
        field_of(f"conv3-8 > ({short} + {long})"),
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
        total_of("params", f"conv{k}-{m} nobias > bn"),
        total_of("params", f"conv{k}-{m} > bn"),
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
        field_of(target, n),
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
        field_of("conv3-8 > conv3-8", at="conv2"),
        field_of(f"conv3-8 > {words} > conv3-8", at="conv2"),
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
