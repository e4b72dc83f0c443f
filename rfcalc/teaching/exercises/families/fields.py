"""Receptive fields of chains, branches and networks of the literature."""

from __future__ import annotations

from rfcalc.teaching.exercises.draw import Draw
from rfcalc.teaching.exercises.families.sizes import random_chain
from rfcalc.teaching.exercises.patterns import Subject, subject

FAMILY = "receptive-field"
CHAIN = {"one-layer": (1, 2), "table": (2,), "setting": (2,), "compare": (2,), "error": (2,)}
LONG = {"one-layer": (2, 3), "table": (2, 3), "setting": (3,), "compare": (3,), "error": (2, 3)}


@subject(FAMILY, "stacked", {"one-layer": (1,), "setting": (2,), "compare": (2,), "error": (1,), "table": (1,)})
def stacked(draw: Draw, level: int) -> Subject:
    k = draw.pick((3, 3, 3, 5))
    target = " > ".join([f"conv{k}-8 p{draw.pick((0, k // 2))}"] * draw.between(2, 6))
    n = draw.pick((32, 48, 64))
    return Subject("Convolutions in a row", target, f"3x{n}x{n}", "receptive_field", vary=("kernel", "stride"))


@subject(FAMILY, "conv-and-pool", CHAIN)
def conv_and_pool(draw: Draw, level: int) -> Subject:
    parts = [f"conv{draw.pick((3, 5))}-8", "maxpool2", f"conv{draw.pick((3, 3, 5))}-16", "maxpool2"]
    if level == 2:
        parts += draw.pick((["conv3-16", "conv3-16", "maxpool2"], ["conv3-16"], ["conv3-16", "maxpool2"]))
    n = draw.pick((32, 64, 96))
    return Subject("Convolutions and pools", " > ".join(parts), f"3x{n}x{n}", "receptive_field")


@subject(FAMILY, "lenet", {"one-layer": (1, 2), "table": (2,), "compare": (2,), "setting": (2,)})
def lenet(draw: Draw, level: int) -> Subject:
    k, d = draw.pick((3, 5)), draw.pick((1, 1, 2)) if level > 1 else 1
    n = draw.pick((32, 40, 48))
    target = f"conv{k}-6 p0 d{d} > avgpool2 > conv5-16 p0 > avgpool2"
    return Subject("A network like LeNet-5", target, f"1x{n}x{n}", "receptive_field", "conv2", tags=("lenet",))


@subject(FAMILY, "strides", {"one-layer": (1, 2), "table": (2,), "setting": (2,), "compare": (2,), "error": (2,)})
def strides(draw: Draw, level: int) -> Subject:
    count = draw.between(2, 3) if level == 1 else draw.between(3, 4)
    target = " > ".join(f"conv{draw.pick((3, 3, 5))}-8/{draw.pick((1, 2, 2))}" for _ in range(count))
    figure = draw.pick(("receptive_field", "receptive_field", "stride"))
    return Subject("Strided convolutions", target, f"3x{draw.pick((64, 96, 128))}x128", figure)


@subject(FAMILY, "dilations", LONG)
def dilations(draw: Draw, level: int) -> Subject:
    count, k = draw.between(2, 3) if level == 2 else draw.between(4, 5), draw.pick((3, 3, 5))
    ds = [2**i for i in range(count)] if draw.below(2) else [draw.between(1, 4) for _ in range(count)]
    target = " > ".join(f"conv{k}-8 d{d}" for d in ds)
    return Subject("Dilated convolutions", target, "3x128x128", "receptive_field")


@subject(FAMILY, "mixed", LONG)
def mixed(draw: Draw, level: int) -> Subject:
    target, _ = random_chain(draw, draw.between(3, 4) if level == 2 else draw.between(5, 7))
    if draw.below(2):
        target += f" > conv3-16 d{draw.between(2, 4)}"
    figure = draw.pick(("receptive_field", "receptive_field", "stride"))
    return Subject("Layers of all kinds", target, "3x256x256", figure)


@subject(FAMILY, "blocks", {"table": (2, 3), "one-layer": (2,), "error": (3,)})
def blocks(draw: Draw, level: int) -> Subject:
    count, convs = draw.between(1, 3) if level == 2 else draw.between(2, 4), draw.pick((1, 2))
    k, pool = draw.pick((3, 3, 5)), draw.pick(("maxpool2", "avgpool2", "maxpool3/2 p1"))
    target = " > ".join([*[f"conv{k}-16"] * convs, pool] * count)
    return Subject("Blocks of convolutions and a pool", target, "3x224x224", "receptive_field", tags=("vgg", "ssd"))


@subject(FAMILY, "branches", {"one-layer": (2, 3), "error": (3,), "table": (3,)})
def branches(draw: Draw, level: int) -> Subject:
    paths = ["conv1-16", "conv3-16", "conv1-8 conv5-16", "maxpool3/1 p1 conv1-16", "conv3-8 conv3-16"]
    chosen = draw.some(paths, 3 if level == 2 else 4)
    stem = draw.pick(("conv3-16/2", "conv7-16/2", "conv3-16 > maxpool2"))
    return Subject(
        "Branches in parallel", f"{stem} > ({' | '.join(chosen)})", "3x64x64", "receptive_field", tags=("inception",)
    )


@subject(FAMILY, "residual", {"one-layer": (2, 3), "error": (3,), "compare": (3,)})
def residual(draw: Draw, level: int) -> Subject:
    count = draw.between(1, 2) if level == 2 else draw.between(2, 3)
    block = "(conv3-16 conv3-16 + identity)" if draw.below(2) else "(conv1-8 conv3-8 conv1-16 + identity)"
    stem = draw.pick(("conv3-16", "conv7-16/2", "conv5-16/2"))
    target = f"{stem} > " + " > ".join([block] * count)
    return Subject("Residual blocks", target, "3x64x64", "receptive_field", tags=("resnet",))


@subject(FAMILY, "causal", {"one-layer": (2, 3), "setting": (3,), "table": (2,), "compare": (3,)})
def causal(draw: Draw, level: int) -> Subject:
    k, count = draw.pick((2, 2, 3, 4)), draw.between(3, 5) if level == 2 else draw.between(5, 8)
    target = " > ".join(f"conv{k}-8 p{(k - 1) * 2**i}:0 d{2**i}" for i in range(count))
    story = "A signal goes through causal convolutions with doubling dilations."
    return Subject(
        "Doubling dilations on a signal",
        target,
        "1x1024",
        "receptive_field",
        "",
        story,
        vary=("kernel", "stride"),  # the doubling tells the dilations
        tags=("wavenet", "tcn"),
    )


@subject(FAMILY, "encoder-decoder", {"one-layer": (3,)})
def encoder_decoder(draw: Draw, level: int) -> Subject:
    up = draw.pick(("convT2-8/2", "up2", "convT4-8/2 p1"))
    levels = draw.between(1, 2)
    k, down = draw.pick((3, 5)), draw.pick(("maxpool2", "conv3-8/2"))
    target = " > ".join([f"conv{k}-8", *[f"{down} > conv{k}-8"] * levels, *[f"{up} > conv3-8"] * levels])
    story = "The size differs from unit to unit where a map is enlarged: give the largest."
    return Subject("Down and up again", target, "3x64x64", "receptive_field", "", story, tags=("u-net",))


@subject(FAMILY, "patch-discriminator", {"one-layer": (2, 3), "table": (3,), "setting": (3,)})
def patch_discriminator(draw: Draw, level: int) -> Subject:
    n, k = draw.between(1, 3) if level == 2 else draw.between(3, 6), draw.pick((4, 4, 3))
    target = " > ".join([f"conv{k}-8/2 p1"] * n + [f"conv{k}-8 p1", f"conv{k}-1 p1"])
    return Subject("A patch discriminator", target, "3x512x512", "receptive_field", tags=("patchgan",))


@subject(FAMILY, "deep-stack", {"one-layer": (2,)})
def deep_stack(draw: Draw, level: int) -> Subject:
    depth, k = draw.pick((5, 8, 10, 17, 20)), draw.pick((3, 3, 5))
    story = f"A denoising network is {depth} convolutions of {k}×{k} in a row, stride 1, padded to keep the size."
    target = f"conv{k}-64 x{depth}"
    return Subject("A deep stack", target, "1x64x64", "receptive_field", "", story, False, tags=("dncnn",))


ZOO = (
    ("vgg16", "VGG-16", ("conv2_2", "conv3_3", "conv4_3", "conv5_1", "conv5_3", "pool3", "pool4", "pool5")),
    ("vgg11", "VGG-11", ("pool2", "pool3", "pool5")),
    ("alexnet-slim", "AlexNet (TensorFlow-Slim's v2)", ("conv2", "conv3", "conv5", "pool5")),
    ("resnet18", "ResNet-18 (torchvision)", ("conv2_x", "conv3_x", "conv4_x", "conv5_x")),
    ("resnet34", "ResNet-34 (torchvision)", ("conv3_x", "conv4_x", "conv5_x")),
    ("resnet50", "ResNet-50 (v1.5: stride on the 3×3)", ("conv2_x", "conv3_x", "conv4_x", "conv5_x")),
    ("resnet50-v1", "ResNet-50 (v1: stride on the first 1×1)", ("conv2_x", "conv3_x", "conv4_x", "conv5_x")),
    ("googlenet", "GoogLeNet", ("3a", "3b", "4a", "4e", "5b")),
)


@subject(FAMILY, "zoo", {"one-layer": (3,)})
def zoo(draw: Draw, level: int) -> Subject:
    name, title, places = draw.pick(ZOO)
    figure = draw.pick(("receptive_field", "receptive_field", "stride"))
    at = draw.pick(places)
    story = f"The network is {title}; its layers are in the paper, or `rfcalc export {name}`."
    return Subject(f"What {title} sees", name, "3x224x224", figure, at, story, False, tags=(name,))


@subject(FAMILY, "detection-head", {"one-layer": (2, 3)})
def detection_head(draw: Draw, level: int) -> Subject:
    convs, name = draw.pick(((3, "conv3_3"), (4, "conv4_3")))
    front = "conv3-64 x2 > maxpool2 > conv3-128 x2 > maxpool2 > conv3-256 x3"
    if convs == 4:
        front += " > maxpool2 > conv3-512 x3"
    head = draw.pick((3, 3, 5, 7))
    story = f"A detector puts a {head}×{head} convolution on {name} of VGG-16."
    return Subject(
        "A detection head", f"{front} > conv{head}-4", "3x224x224", "receptive_field", "", story, tags=("vgg", "sfd")
    )


@subject(FAMILY, "vgg-column", {"table": (3,), "error": (3,)})
def vgg_column(draw: Draw, level: int) -> Subject:
    convs = draw.pick(((2, 2, 2), (1, 1, 2, 2), (2, 2, 3), (1, 2, 3), (1, 1, 2), (2, 3, 3), (1, 2, 2, 2)))
    pool, k = draw.pick(("maxpool2", "maxpool3/2 p1")), draw.pick((3, 3, 5))
    target = " > ".join(f"{' > '.join([f'conv{k}-16'] * c)} > {pool}" for c in convs)
    return Subject("The column of a VGG network", target, "3x224x224", "receptive_field", tags=("vgg",))
