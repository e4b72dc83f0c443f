"""Parameters of layers and networks."""

from __future__ import annotations

from rfcalc.teaching.exercises.draw import Draw
from rfcalc.teaching.exercises.patterns import Subject, subject

FAMILY = "parameters"
ONE = {"one-layer": (1, 2), "setting": (2,), "compare": (2,), "summary": (2,)}
WHOLE = {"one-layer": (2, 3), "table": (2, 3), "error": (2, 3), "summary": (2, 3), "setting": (3,), "compare": (3,)}


@subject(FAMILY, "dense-on-image", {"one-layer": (1, 2), "compare": (2,)})
def dense_on_image(draw: Draw, level: int) -> Subject:
    n = draw.pick((28, 32, 64, 100)) if level == 1 else draw.pick((128, 200, 224, 300))
    c, units = draw.pick((1, 3)), draw.pick((1, 10, 64, 100, 256))
    figure = draw.pick(("params", "weights"))
    title = "A fully connected layer on an image"
    return Subject(title, f"flatten > fc{units}", f"{c}x{n}x{n}", figure, "linear1")


@subject(FAMILY, "convolution", ONE)
def convolution(draw: Draw, level: int) -> Subject:
    k, m = draw.pick((1, 3, 5, 7)), draw.pick((8, 10, 16, 32, 64, 100, 128))
    c, n = draw.pick((1, 3, 3, 16, 64)), draw.pick((28, 32, 49, 64, 224, 300))
    bias = " nobias" if level == 2 and draw.below(3) == 0 else ""
    figure = draw.pick(("params", "params", "weights"))
    return Subject("A convolution's parameters", f"conv{k}-{m}/{draw.pick((1, 2))}{bias}", f"{c}x{n}x{n}", figure)


@subject(FAMILY, "wide-convolution", ONE)
def wide_convolution(draw: Draw, level: int) -> Subject:
    c, m, k = draw.pick((128, 192, 256, 512)), draw.pick((128, 256, 384, 512)), draw.pick((1, 3, 3, 5))
    n = draw.pick((13, 14, 28, 49, 56))
    bias = draw.pick(("", " nobias"))
    return Subject("A wide convolution", f"conv{k}-{m}{bias}", f"{c}x{n}x{n}", "params")


@subject(FAMILY, "grouped", {"one-layer": (2, 3), "setting": (3,), "compare": (2, 3), "summary": (3,)})
def grouped(draw: Draw, level: int) -> Subject:
    c, m, k, g = draw.pick(((64, 128, 3, 4), (96, 256, 5, 2), (32, 64, 3, 8), (128, 128, 3, 32), (48, 96, 3, 2)))
    g = draw.pick((g, 2))
    return Subject("A grouped convolution", f"conv{k}-{m} g{g}", f"{c}x{draw.pick((14, 27, 28))}x27", "params")


@subject(FAMILY, "depthwise", {"one-layer": (2,), "summary": (2,)})
def depthwise(draw: Draw, level: int) -> Subject:
    c, k, n = draw.pick((16, 32, 64, 128, 512)), draw.pick((3, 3, 5, 7)), draw.pick((14, 28, 56, 112))
    bias = draw.pick(("", " nobias"))
    return Subject("A depthwise convolution", f"dwconv{k}{bias}", f"{c}x{n}x{n}", "params")


@subject(FAMILY, "transposed", {"one-layer": (1, 2), "summary": (2,), "compare": (2,)})
def transposed(draw: Draw, level: int) -> Subject:
    c, m, k, s = draw.pick(((3, 2, 3, 1), (3, 10, 3, 2), (3, 2, 4, 5), (3, 4, 3, 23), (64, 32, 2, 2), (16, 8, 4, 2)))
    n = draw.pick((2, 5, 7, 14))
    return Subject("A transposed convolution's parameters", f"convT{k}-{m}/{s}", f"{c}x{n}x{n}", "params")


@subject(FAMILY, "batch-normalisation", {"one-layer": (1, 2), "summary": (2,)})
def batch_normalisation(draw: Draw, level: int) -> Subject:
    c, n, m = draw.pick((3, 16, 32)), draw.pick((16, 32, 64)), draw.pick((16, 32, 64, 128))
    figure = draw.pick(("params", "buffers")) if level == 1 else "params"
    target = f"conv3-{m} bn relu" if level == 2 else f"conv3-{m} > bn"
    at, whole = ("", True) if level == 2 else ("batchnorm1", False)
    return Subject("Batch normalisation", target, f"{c}x{n}x{n}", figure, at, whole=whole)


@subject(FAMILY, "batch-normalised-network", {"table": (2, 3), "one-layer": (3,), "summary": (3,), "error": (3,)})
def batch_normalised_network(draw: Draw, level: int) -> Subject:
    a, b, n = draw.pick((16, 32)), draw.pick((32, 64)), draw.pick((32, 64))
    f, g = draw.pick((256, 512)), draw.pick((64, 128))
    target = f"conv3-{a} same > bn > maxpool2 > conv3-{b} p0 > bn > maxpool2 > flatten > fc{f} > fc{g} > fc10"
    figure = draw.pick(("params", "buffers"))
    return Subject(
        "Batch normalisation in a network",
        target,
        f"3x{n}x{n}",
        figure,
        whole=True,
        columns=("output_shape", "params", "buffers"),
    )


@subject(FAMILY, "network", WHOLE)
def network(draw: Draw, level: int) -> Subject:
    k = draw.pick((3, 5, 9))
    a, b = draw.pick(((32, 64), (16, 32), (20, 90), (8, 16), (10, 30)))
    n, units = draw.pick((28, 32, 64, 128)), draw.pick((10, 64, 100))
    pad = draw.pick(("", " p0"))
    kernels = (k, draw.pick((3, 5)))
    target = f"conv{kernels[0]}-{a}{pad} > maxpool2 > conv{kernels[1]}-{b}{pad} > maxpool2 > "
    if level == 3:
        target += f"conv3-{b}{pad} > maxpool2 > "
    target += f"flatten > fc{units} > fc{draw.pick((2, 3, 10))}"
    return Subject(
        "A small classifier",
        target,
        f"{draw.pick((1, 3))}x{n}x{n}",
        "params",
        whole=True,
        columns=("output_shape", "weights", "biases"),
    )


@subject(FAMILY, "tiny-classifier", {"one-layer": (1, 2), "summary": (2,), "table": (2,)})
def tiny_classifier(draw: Draw, level: int) -> Subject:
    n, m, k = draw.pick((8, 10, 28, 32)), draw.pick((4, 8, 10)), draw.pick((3, 5))
    target = f"conv{k}-{m} > flatten > fc{draw.pick((2, 3, 10))}"
    return Subject("One convolution and one fully connected layer", target, f"1x{n}x{n}", "params", whole=True)


@subject(FAMILY, "lenet", {"one-layer": (2,), "table": (2,), "error": (2,), "summary": (2,)})
def lenet(draw: Draw, level: int) -> Subject:
    a, b = draw.pick(((6, 16), (20, 50), (8, 24)))
    target = f"conv5-{a} p0 > avgpool2 > conv5-{b} p0 > avgpool2 > flatten > fc120 > fc84 > fc10"
    n = draw.pick((32, 28, 36))
    return Subject("A network like LeNet-5", target, f"1x{n}x{n}", "params", whole=True, tags=("lenet",))


@subject(FAMILY, "no-biases", {"table": (3,), "one-layer": (3,)})
def no_biases(draw: Draw, level: int) -> Subject:
    a, b, c = draw.pick(((100, 50, 30), (64, 32, 16), (20, 40, 80)))
    n, s = draw.pick((128, 256)), draw.pick((2, 3))
    target = (
        f"conv3-{a} nobias > conv5-{b}/{s} p0 nobias > maxpool2 > conv3-{c} nobias > avgpool2x4 > flatten > fc10 nobias"
    )
    return Subject(
        "A network without biases", target, f"3x{n}x{n}", "params", whole=True, columns=("output_shape", "params")
    )


@subject(FAMILY, "strided-stack", {"one-layer": (2, 3), "table": (2,), "error": (2,), "setting": (3,)})
def strided_stack(draw: Draw, level: int) -> Subject:
    a, b, c = draw.pick(((5, 10, 20), (8, 16, 32), (4, 8, 16)))
    n = draw.pick((55, 63, 64, 101))
    target = f"conv5-{a} p0 > conv7-{b}/2 p0 > conv{draw.pick((5, 7))}-{c}/{draw.pick((2, 4))} p0"
    return Subject("Three strided convolutions", target, f"3x{n}x{n}", "params", whole=True)


@subject(FAMILY, "inception", {"one-layer": (3,), "table": (3,), "error": (3,), "summary": (3,)})
def inception(draw: Draw, level: int) -> Subject:
    c, a, b1, b2, c1, c2, d = draw.pick(
        ((192, 64, 96, 128, 16, 32, 32), (256, 128, 128, 192, 32, 96, 64), (480, 192, 96, 208, 16, 48, 64))
    )
    n = draw.pick((14, 28))
    target = f"conv1-{a} | conv1-{b1} conv3-{b2} | conv1-{c1} conv5-{c2} | maxpool3/1 p1 conv1-{d}"
    return Subject("An inception module", target, f"{c}x{n}x{n}", "params", whole=True, tags=("inception",))


@subject(FAMILY, "zoo", {"one-layer": (3,), "summary": (3,)})
def zoo(draw: Draw, level: int) -> Subject:
    name, title, n = draw.pick(
        (
            ("vgg16", "VGG-16", "3x224x224"),
            ("vgg11", "VGG-11", "3x224x224"),
            ("vgg19", "VGG-19", "3x224x224"),
            ("alexnet", "AlexNet as published (two towers)", "3x227x227"),
            ("alexnet-torchvision", "AlexNet (torchvision)", "3x224x224"),
            ("resnet18", "ResNet-18 (torchvision)", "3x224x224"),
            ("googlenet", "GoogLeNet as published, without auxiliary heads", "3x224x224"),
        )
    )
    figure = draw.pick(("params", "weights"))
    story = f"The network is {title} for 1000 classes; its layers are in the paper, or `rfcalc table {name}`."
    return Subject(f"{title} in all", name, n, figure, "", story, False, whole=True)


@subject(FAMILY, "network-in-network", {"one-layer": (3,), "table": (3,), "error": (3,)})
def network_in_network(draw: Draw, level: int) -> Subject:
    a, b, classes = draw.pick((48, 96)), draw.pick((128, 256)), draw.pick((10, 100))
    target = (
        f"conv11-{a}/4 p0 > conv1-{a} > conv1-{a} > maxpool3/2 > conv5-{b} p2 > conv1-{b} > conv1-{b} > maxpool3/2 > "
        f"conv3-{classes} p1 > conv1-{classes} > conv1-{classes} > globalavgpool"
    )
    return Subject("A network in network", target, "1x224x224", "params", whole=True, tags=("nin",))
