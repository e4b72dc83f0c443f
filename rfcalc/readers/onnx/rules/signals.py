"""Transforms, sampling, triangles, and maps cropped or padded around their middle."""

from __future__ import annotations

from rfcalc.core.errors import RfcalcError
from rfcalc.readers.builder.indexed import at_most, sampled, transformed
from rfcalc.readers.builder.joining import padded
from rfcalc.readers.builder.moves import sliced
from rfcalc.readers.builder.values import NotUnderstood
from rfcalc.readers.onnx.constants import axis_of
from rfcalc.readers.onnx.model import Node
from rfcalc.readers.onnx.reading import Reader, rule
from rfcalc.readers.onnx.values import Const
from rfcalc.readers.onnx.weights import is_learned, solid


@rule("GridSample")
def grid_sample(reader: Reader, node: Node) -> None:
    x, grid = solid(reader, reader.value(node.inputs[0])), reader.value(node.inputs[1])
    fixed = isinstance(grid, Const) and not is_learned(reader, grid)
    places = None if fixed else solid(reader, grid)
    told = grid.dims if isinstance(grid, Const) else solid(reader, grid).dims
    if len(told) != len(x.dims):
        raise RfcalcError(f"a grid of {len(told)} axes for a map of {len(x.dims)}")
    reader.give(node, sampled(reader.graph, x, places, (*x.dims[:2], *told[1:-1])))


@rule("Trilu")
def triangle(reader: Reader, node: Node) -> None:
    """What lies outside of a triangle is zero: units there see nothing."""
    reader.give(node, at_most(reader.graph, reader.map(node)))


@rule("DFT")
def fourier(reader: Reader, node: Node) -> None:
    """Every value is made of all positions of the axis; real and imaginary parts lie along the last one."""
    x = reader.map(node)
    rank = len(x.dims)
    told = reader.known(node, 2) if len(node.inputs) > 2 else None
    axis = axis_of(int(told[0]) if told else int(node.attributes.get("axis", 1 if reader.opset < 20 else -2)), rank)
    length = reader.known(node, 1) if len(node.inputs) > 1 else None
    n = int(length[0]) if length else x.dims[axis]
    if axis == rank - 1:
        raise RfcalcError("its axis is that of the real and the imaginary parts")
    one_sided = bool(node.attributes.get("onesided", 0))
    if one_sided and node.attributes.get("inverse", 0):
        raise NotUnderstood("back from one side")
    dims = (*x.dims[:axis], n // 2 + 1 if one_sided else n, *x.dims[axis + 1 : -1], 2)
    if n < x.dims[axis]:
        x = sliced(reader.graph, x, axis, 0, n)
    made = transformed(reader.graph, x, [axis, rank - 1], dims)
    reader.give(node, at_most(reader.graph, made) if x.dims[-1] == 1 else made)  # some imaginary parts of reals are 0


@rule("CenterCropPad")
def around_the_middle(reader: Reader, node: Node) -> None:
    x, sizes = reader.map(node), reader.known(node, 1) or ()
    rank = len(x.dims)
    axes = [axis_of(int(a), rank) for a in node.attributes.get("axes") or range(rank)]
    if len(axes) != len(sizes):
        raise RfcalcError(f"{len(sizes)} sizes for {len(axes)} axes")
    for axis, size in zip(axes, map(int, sizes), strict=True):
        more = size - x.dims[axis]
        if more < 0:
            x = sliced(reader.graph, x, axis, -more // 2, -more // 2 + size)
        elif more:
            amounts = [(more // 2, more - more // 2) if i == axis else (0, 0) for i in range(rank)]
            x = padded(reader.graph, x, amounts, "zeros")
    reader.give(node, x)
