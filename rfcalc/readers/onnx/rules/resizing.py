"""Resizing and pixel shuffles."""

from __future__ import annotations

from fractions import Fraction

from rfcalc.core.errors import RfcalcError
from rfcalc.layers.resample import PixelShuffle, PixelUnshuffle, Upsample
from rfcalc.readers.builder.maps import back, mapped
from rfcalc.readers.builder.values import NotUnderstood
from rfcalc.readers.onnx.extents import given_by_factors, sizes_of
from rfcalc.readers.onnx.model import Node
from rfcalc.readers.onnx.reading import Reader, rule

HALF = ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric")


@rule("Resize", "Upsample")
def resize(reader: Reader, node: Node) -> None:
    given = reader.map(node)
    x, leading = mapped(reader.graph, given, len(given.dims) - 2)
    mode = node.attributes.get("mode", "nearest") or "nearest"
    sizes, exact = sizes_of(reader, node, given.dims, given)
    if sizes[:2] != given.dims[:2]:
        raise NotUnderstood("it resizes channels or the batch")
    if not exact:
        raise NotUnderstood("its factor does not fit the size, so what it reads is not where the sizes say")
    if node.attributes.get("antialias", 0) or node.attributes.get("exclude_outside", 0):
        raise NotUnderstood("it is smoothed")
    factors = [Fraction(m, n) for n, m in zip(given.dims[2:], sizes[2:], strict=True)]
    asked_for = reader.watched is not None and reader.watched.sized and not given_by_factors(reader, node)
    if sizes == given.dims and not asked_for:
        reader.give(node, given)
        return
    whole = all(f.denominator == 1 for f in factors) and not asked_for
    told = [Fraction(3, 2)] * len(factors) if asked_for else factors  # which are whole at some sizes only
    named, corners = _rule(node, mode, told, reader.opset < 11)
    if whole:
        by = (*[1] * leading, *(int(f) for f in factors))
        layer = Upsample(by[:1] if len(set(by)) == 1 else by, None, named, corners)
    else:
        layer = Upsample(None, (*given.dims[:1], *sizes[2:]) if leading else sizes[2:], named, corners)
    reader.give(node, back(reader.graph, reader.place(layer, [x], batch=x.batch), leading))


def _rule(node: Node, mode: str, factors: list[Fraction], older: bool) -> tuple[str, bool]:
    """The mode as `Upsample` calls it, and whether corners are aligned."""
    where = node.attributes.get("coordinate_transformation_mode", "half_pixel") or "half_pixel"
    rounding = node.attributes.get("nearest_mode", "round_prefer_floor") or "round_prefer_floor"
    if node.op == "Upsample" or older:
        where, rounding = "asymmetric", "floor"
    if mode == "nearest":
        if where == "asymmetric" and (
            rounding == "floor" or (rounding == "round_prefer_floor" and set(factors) == {2})
        ):
            return "nearest", False
        whole = all(f.denominator == 1 for f in factors)
        if where in HALF and (rounding == "round_prefer_ceil" or (rounding == "round_prefer_floor" and whole)):
            return "nearest-exact", False
        raise NotUnderstood(f"nearest with {where} and {rounding}")
    if mode in ("linear", "cubic"):
        if where == "align_corners":
            return mode, True
        if where in HALF:
            return mode, False
        if where == "asymmetric" and mode == "linear" and all(f.numerator == 1 for f in factors):
            return "nearest", False  # every position falls on one of the input
        raise NotUnderstood(f"{mode} with {where}")
    raise RfcalcError(f"there is no mode {mode!r}")


@rule("DepthToSpace", "SpaceToDepth")
def pixel_shuffle(reader: Reader, node: Node) -> None:
    given = reader.map(node)
    block = int(node.attributes.get("blocksize", 0))
    if len(given.dims) != 4:
        raise RfcalcError(f"it needs four axes, and gets {len(given.dims)}")
    x, leading = mapped(reader.graph, given, 2)
    if leading:
        raise NotUnderstood("the batch is merged with other axes")
    layer = PixelShuffle(block) if node.op == "DepthToSpace" else PixelUnshuffle(block)
    reader.give(node, reader.place(layer, [x], batch=x.batch))
