"""Padding, resizing, pixel shuffles."""

from __future__ import annotations

from rfcalc.backend.kinds.conv import each, padded
from rfcalc.backend.twin import At, Twin, call, measuring, same_everywhere, spatial, text_only, twin

LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


@twin("pad")
def pad(at: At) -> Twin:
    if at.layer.mode != "zeros":
        spatial(at, "padding with values of the map")
    return text_only(padded("{0}", each(at.layer.padding, at.x.rank), at.layer.mode))


@twin("upsample")
def upsample(at: At) -> Twin:
    rank = spatial(at)
    layer = at.layer
    if layer.mode == "cubic" and rank != 2:  # PyTorch has it for images only: axis by axis
        return text_only(f"cubic({{0}}, {_target(at)}, {layer.align_corners})")
    mode = LINEAR[rank] if layer.mode == "linear" else "bicubic" if layer.mode == "cubic" else layer.mode
    given = each(layer.factor, rank) if layer.factor else each(layer.size, rank)
    return Twin(
        call(
            "nn.Upsample",
            size=None if layer.factor else same_everywhere(given),
            scale_factor=same_everywhere(given) if layer.factor else None,
            mode=None if mode == "nearest" else mode,
            align_corners=True if layer.align_corners else None,
        )
    )


def _target(at: At) -> str:
    """The new size: fixed, or that of whatever map comes times the factors."""
    if at.layer.factor is None:
        return repr(at.y.dims[1:])
    factors = each(at.layer.factor, at.x.rank)
    return "(" + "".join(f"{{0}}.shape[{i + 2}] * {f}, " for i, f in enumerate(factors)).rstrip() + ")"


@measuring("upsample")
def weights_without_sign(at: At) -> Twin:
    """Interpolation with the absolute values of its weights: cubic ones may cancel."""
    if at.layer.mode.startswith("nearest"):
        return upsample(at)
    return text_only(f"touched({{0}}, {at.y.dims[1:]}, {at.layer.mode!r}, {at.layer.align_corners})")


@twin("pixel_shuffle")
def pixel_shuffle(at: At) -> Twin:
    if at.x.rank == 2:
        return Twin(call("nn.PixelShuffle", at.layer.factor))
    return text_only(f"pixel_shuffle({{0}}, {at.layer.factor})")


@twin("pixel_unshuffle")
def pixel_unshuffle(at: At) -> Twin:
    if at.x.rank == 2:
        return Twin(call("nn.PixelUnshuffle", at.layer.factor))
    return text_only(f"pixel_unshuffle({{0}}, {at.layer.factor})")
