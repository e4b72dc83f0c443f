"""Fixed masks before a softmax: which keys each query is left with, so that the product behind it reads no others."""

from __future__ import annotations

from math import prod

from rfcalc.core.masks import Mask, of_flags
from rfcalc.readers.builder.facts import LOW, PERHAPS
from rfcalc.readers.onnx.model import Node
from rfcalc.readers.onnx.reading import Reader
from rfcalc.readers.onnx.values import Const

Flags = list[bool]  # of queries x keys, in a row
MOST_STEPS = 12


def mask_of(reader: Reader, name: str, dims: tuple[int, ...]) -> Mask:
    """The mask of weights of these dims (… queries × keys) that a softmax has made of scores with fixed low places."""
    node = _maker(reader, name)
    if node is None or node.op != "Softmax" or len(dims) < 2:
        return None
    axis = int(node.attributes.get("axis", -1 if reader.opset >= 13 else 1))
    return score_mask(reader, node, dims) if axis in (-1, len(dims) - 1) else None


def score_mask(reader: Reader, softmax: Node, dims: tuple[int, ...]) -> Mask:
    """The mask of a softmax over the last axis of scores of these dims."""
    low = _low(reader, softmax.inputs[0], dims, MOST_STEPS)
    if low is None:
        return None
    keys = dims[-1]
    rows = [low[i : i + keys] for i in range(0, len(low), keys)]
    return of_flags([[True] * keys if all(row) else [not gone for gone in row] for row in rows])


def _maker(reader: Reader, name: str) -> Node | None:
    """The node that makes a value, behind those that leave it as it is."""
    for _ in range(MOST_STEPS):
        node = reader.makers.get(name)
        if node is None or node.op not in ("Identity", "Cast", "Dropout", "Where"):
            return node
        if node.op == "Where":  # exporters put 0 where a row without keys is not a number
            test = reader.makers.get(node.inputs[0])
            if test is None or test.op != "IsNaN" or test.inputs[0] != node.inputs[2]:
                return node
            name = node.inputs[2]
        else:
            name = node.inputs[0]
    return None


def _low(reader: Reader, name: str, dims: tuple[int, ...], left: int) -> Flags | None:
    """Where scores are so low, whatever the input is, that a softmax makes them 0; None where nowhere."""
    node = _maker(reader, name)
    if node is None or left == 0:
        return None
    found: Flags | None = None
    if node.op in ("Add", "Sub"):
        for i, one in enumerate(node.inputs):
            fixed, sign = reader.value(one), -1 if i and node.op == "Sub" else 1
            low = None
            if isinstance(fixed, Const):
                low = _low_numbers(fixed, dims, sign)
            elif sign > 0:
                low = _low(reader, one, dims, left - 1)
            if low is not None:
                found = low if found is None else [a or b for a, b in zip(low, found, strict=True)]
    elif node.op == "Where":
        flags, first, second = (reader.value(n) for n in node.inputs)
        condition = _spread(flags, dims) if isinstance(flags, Const) else None
        for value, wanted in ((first, True), (second, False)) if condition is not None else ():
            if isinstance(value, Const) and value.values is not None and all(v <= LOW for v in value.values):
                found = [bool(c) is wanted for c in condition or ()]
    return found if found is not None and any(found) else None


def _spread(fixed: Const, dims: tuple[int, ...]) -> tuple[object, ...] | None:
    """The values of a constant, for queries x keys; None where they differ from item to item, or are not known."""
    size, keys = dims[-2] * dims[-1], dims[-1]
    if fixed.values is None or prod(fixed.dims[:-2]) != 1 or size > 1 << 22:
        return None
    rows, columns = (1, 1, *fixed.dims)[-2:]
    if rows not in (1, dims[-2]) or columns not in (1, keys):
        return None
    values = fixed.values
    return tuple(
        values[(i if rows > 1 else 0) * columns + (j if columns > 1 else 0)]
        for i in range(dims[-2])
        for j in range(keys)
    )


def _low_numbers(fixed: Const, dims: tuple[int, ...], sign: int) -> Flags | None:
    """Numbers that are added, or taken away: below all others by far, or one of two values that is low."""
    values = _spread(fixed, dims)
    if values is None or not fixed.floating:
        return None
    numbers: list[float] = [sign * float(v) for v in values]  # type: ignore[arg-type]
    if min(numbers) <= LOW:
        return [v <= LOW for v in numbers]
    least = min(numbers)
    return [v == least for v in numbers] if least <= PERHAPS and len({*numbers}) == 2 else None
