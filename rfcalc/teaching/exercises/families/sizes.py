"""Output sizes: windows that slide over one layer or several."""

from __future__ import annotations

from rfcalc.teaching.exercises.draw import Draw
from rfcalc.teaching.exercises.patterns import Subject, Unfit, subject

FAMILY = "output-size"
ALL_ONE = {"one-layer": (1, 2), "setting": (2,), "compare": (2,)}
CHAIN = {"one-layer": (2,), "table": (2,), "setting": (2, 3), "compare": (2,), "error": (2, 3)}


def pad(p: int) -> str:
    """Padding in the notation; none is said too."""
    return f"p{p}"


@subject(FAMILY, "window-on-square", ALL_ONE)
def window_on_square(draw: Draw, level: int) -> Subject:
    n = draw.between(5, 16) if level == 1 else draw.between(17, 64)
    k, s, p = draw.pick((2, 3, 5)), draw.between(1, 3), draw.between(0, 2) if level > 1 else draw.between(0, 1)
    target = f"conv{k}-{draw.pick((1, 4, 8))}/{s} {pad(p)}"
    return Subject("One filter on a square map", target, f"{draw.pick((1, 3))}x{n}x{n}", "side")


@subject(FAMILY, "alexnet-conv1", {"one-layer": (1, 2), "setting": (2,), "compare": (2,)})
def alexnet_conv1(draw: Draw, level: int) -> Subject:
    n = draw.pick((227, 224, 231, 195, 259, 256))
    k, s = draw.pick(((11, 4), (11, 4), (7, 2), (9, 4), (7, 3)))
    figure = draw.pick(("output_shape", "side"))
    target = f"conv{k}-{draw.pick((48, 64, 96, 128))}/{s} {pad(draw.pick((0, 0, 1, 2)))}"
    return Subject("A first layer like AlexNet's", target, f"3x{n}x{n}", figure, tags=("alexnet",))


@subject(FAMILY, "volume", {"one-layer": (1, 2), "setting": (2,)})
def volume(draw: Draw, level: int) -> Subject:
    k, s = draw.pick(((7, 2), (4, 3), (5, 2), (3, 2), (5, 3), (3, 1)))
    n = s * draw.between(5, 30) + k - draw.pick((0, 0, 1))
    c, m = draw.pick((3, 8, 16, 24)), draw.pick((10, 20, 32, 64))
    target = f"conv{k}-{m}/{s} {pad(0 if level == 1 else draw.between(0, 2))}"
    return Subject("The output volume of a convolution", target, f"{c}x{n}x{n}", "output_shape")


@subject(FAMILY, "zero-padding", {"one-layer": (1,)})
def zero_padding(draw: Draw, level: int) -> Subject:
    n, c, p = draw.between(7, 40), draw.pick((3, 8, 16, 32)), draw.between(1, 4)
    return Subject("A padded volume", f"pad{p}", f"{c}x{n}x{n}", "output_shape")


@subject(FAMILY, "pooling", {"one-layer": (1, 2), "setting": (2,), "compare": (2,)})
def pooling(draw: Draw, level: int) -> Subject:
    k, s = draw.pick(((2, 2), (4, 4), (3, 3))) if level == 1 else draw.pick(((2, 2), (3, 2), (3, 1), (5, 3), (4, 2)))
    n = draw.pick((7, 12, 14, 16, 28, 32, 33, 55, 64, 112, 128))
    up = " ceil" if level == 2 and draw.below(3) == 0 else ""
    kind = draw.pick(("maxpool", "avgpool"))
    c = draw.pick((8, 12, 16, 32, 64))
    return Subject("Pooling a volume", f"{kind}{k}/{s}{up}", f"{c}x{n}x{n}", "output_shape")


@subject(FAMILY, "rectangular-kernel", {"one-layer": (2, 3)})
def rectangular_kernel(draw: Draw, level: int) -> Subject:
    h, w = draw.between(8, 24), draw.between(8, 24)
    kh, kw = draw.some((1, 3, 5, 7), 2)
    sh, sw = draw.between(1, 3), draw.between(1, 4)
    ph, pw = draw.between(0, 1), draw.between(0, 2)
    target = f"conv{kh}x{kw}-{draw.pick((4, 8, 16))}/{sh}x{sw} p{ph}x{pw}"
    return Subject("A rectangular kernel", target, f"{draw.pick((1, 3))}x{h}x{w}", "output_shape")


@subject(FAMILY, "rectangular-input", {"one-layer": (1, 2), "setting": (2,)})
def rectangular_input(draw: Draw, level: int) -> Subject:
    h, w = draw.between(20, 60), draw.between(20, 60)
    if h == w:
        raise Unfit
    k = draw.pick((3, 5, 7))
    target = f"conv{k}-{draw.pick((4, 6, 12))}/{1 if level == 1 else draw.between(1, 3)} {pad(0)}"
    return Subject("A rectangular image", target, f"{draw.pick((1, 3))}x{h}x{w}", "output_shape")


@subject(FAMILY, "dilated", {"one-layer": (2, 3), "setting": (2, 3), "compare": (2, 3)})
def dilated(draw: Draw, level: int) -> Subject:
    k, s, p = draw.pick(((7, 2, 3), (3, 1, 0), (3, 1, 1), (5, 2, 2), (3, 2, 1), (5, 1, 0)))
    n, d = draw.pick((224, 64, 56, 48, 33, 128)), draw.between(2, 4)
    target = f"conv{k}-{draw.pick((8, 16, 64))}/{s} {pad(p)} d{d}"
    return Subject("A dilated convolution", target, f"3x{n}x{n}", "side", vary=("dilation",))


@subject(FAMILY, "transposed", {"one-layer": (2, 3), "setting": (3,), "compare": (2, 3)})
def transposed(draw: Draw, level: int) -> Subject:
    k, s = draw.pick(((3, 1), (2, 2), (3, 2), (4, 2), (5, 3), (4, 4)))
    p = 0 if level == 2 else draw.between(0, min(1, k - 1))
    extra = f" op{draw.between(0, s - 1)}" if level == 3 and s > 1 else ""
    n, c, m = draw.between(2, 28), draw.pick((3, 16, 64)), draw.pick((2, 4, 8, 32))
    target = f"convT{k}-{m}/{s} {pad(p)}{extra}"
    return Subject("A transposed convolution", target, f"{c}x{n}x{n}", "output_shape")


def random_chain(draw: Draw, layers: int, *, least: int = 1) -> tuple[str, int]:
    """A chain of convolutions and pools in the notation, and an image side that it works for."""
    found = []
    wide = draw.pick((4, 8, 16))
    for i in range(layers):
        if i and draw.below(3) == 0:
            found.append(draw.pick(("maxpool2", "maxpool2", "maxpool3/2", "avgpool2")))
        else:
            k = draw.pick((3, 3, 5, 7 if i == 0 else 3))
            s = draw.pick((1, 1, 2))
            p = draw.pick((0, (k - 1) // 2, (k - 1) // 2))
            found.append(f"conv{k}-{wide}/{s} {pad(p)}")
            wide = min(2 * wide, 128) if draw.below(2) else wide
    return " > ".join(found), draw.pick((32, 48, 64, 96, 100, 127, 128))


@subject(FAMILY, "chain", CHAIN)
def chain(draw: Draw, level: int) -> Subject:
    target, n = random_chain(draw, draw.between(3, 4) if level == 2 else draw.between(4, 7))
    return Subject("A chain of layers", target, f"3x{n}x{n}", "output_shape")


@subject(FAMILY, "lenet", {"table": (2,), "error": (2,), "one-layer": (2,)})
def lenet(draw: Draw, level: int) -> Subject:
    n, k = draw.pick(((32, 5), (28, 5), (36, 5), (40, 3), (44, 5)))
    a, b = draw.pick(((6, 16), (20, 50), (8, 24), (10, 30)))
    pool = draw.pick(("avgpool2", "maxpool2"))
    target = f"conv{k}-{a} p0 > {pool} > conv{k}-{b} p0 > {pool} > flatten > fc{draw.pick((84, 100, 120))} > fc10"
    at = draw.pick(("conv2", "flatten1", "flatten1"))
    return Subject("A network like LeNet-5", target, f"1x{n}x{n}", "output_shape", at, tags=("lenet",))


@subject(FAMILY, "encoder-decoder", {"table": (3,), "one-layer": (3,), "error": (3,)})
def encoder_decoder(draw: Draw, level: int) -> Subject:
    n, c = draw.pick((32, 40, 48, 64)), draw.pick((8, 16))
    down = draw.pick(("maxpool2", f"conv3-{c}/2 p1"))
    up = draw.pick((f"convT2-{c}/2", f"convT4-{c}/2 p1", "up2", f"convT3-{c}/2"))
    target = f"conv3-{c} p1 > {down} > conv3-{2 * c} p{draw.below(2)} > {up} > conv3-{c} p1"
    return Subject("Down and up again", target, f"3x{n}x{n}", "output_shape")


@subject(FAMILY, "branches", {"one-layer": (2, 3), "error": (3,), "table": (3,)})
def branches(draw: Draw, level: int) -> Subject:
    a, b, c, d = draw.pick((8, 16, 64)), draw.pick((16, 24, 128)), draw.pick((4, 32)), draw.pick((8, 16, 32))
    n, wide = draw.pick((14, 28, 32)), draw.pick((32, 64, 192))
    paths = [f"conv1-{a}", f"conv3-{b} p1", f"conv5-{c} p2", f"maxpool3/1 p1 conv1-{d}"]
    if level == 2:
        paths = draw.some(paths[:3], 2)
    return Subject("Branches side by side", " | ".join(paths), f"{wide}x{n}x{n}", "output_shape", tags=("inception",))


@subject(FAMILY, "zoo", {"one-layer": (3,)})
def zoo(draw: Draw, level: int) -> Subject:
    name, title, n, at = draw.pick(
        (
            ("vgg16", "VGG-16", draw.pick((224, 256, 320)), draw.pick(("conv3_3", "pool3", "conv4_3", "pool5"))),
            ("alexnet-torchvision", "AlexNet (torchvision)", draw.pick((224, 256)), ""),
            ("resnet18", "ResNet-18 (torchvision)", draw.pick((224, 256, 288)), draw.pick(("conv3_x", "conv5_x"))),
            ("googlenet", "GoogLeNet", draw.pick((224, 256)), draw.pick(("3a", "4a", "5b"))),
        )
    )
    if name.startswith("alexnet"):
        at = draw.pick(("conv1", "conv2", "conv3", "conv5"))
    story = f"The network is {title}; its layers are in the paper, or `rfcalc table {name}`. The input is 3x{n}x{n}."
    target = name if n == 224 or name != "vgg16" else "vgg16-torchvision"  # (the adaptive pool takes any size)
    story = story.replace(f"table {name}", f"table {target}")
    return Subject(f"{title} on {n}", target, f"3x{n}x{n}", "output_shape", at, story, False, tags=(name,))
