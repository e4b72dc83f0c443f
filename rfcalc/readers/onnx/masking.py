"""Fixed masks before a softmax: which keys each query is left with, so that the product behind it reads no others."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import NamedTuple

from rfcalc.core.masks import Mask, Several, of_flags
from rfcalc.readers.builder.facts import LOW, MOST_MASKS, PERHAPS
from rfcalc.readers.onnx.model import FLOATING, Node
from rfcalc.readers.onnx.reading import Reader
from rfcalc.readers.onnx.values import MOST_OF_MASKS, Const, sample
from rfcalc.readers.onnx.weights import is_learned

Flags = list[bool]  # of queries x keys, in a row
MOST_STEPS = 12
MOST_SCORES = 1 << 22


class Low(NamedTuple):
    """Which scores are so low that a softmax makes them 0: one table of flags, or one for each position of an axis."""

    axis: int | None
    tables: list[Flags]

    def common(self) -> Flags:
        """Where all tables are low."""
        return [all(flags) for flags in zip(*self.tables, strict=True)]

    def joined(self, other: Low) -> Low:
        """Where one of two is low; of tables along two axes those of the first, and what all of the second have."""
        if self.axis is None and other.axis is not None:
            return other.joined(self)
        own = [other.common()] if other.axis != self.axis else other.tables
        own = own * len(self.tables) if len(own) == 1 else own
        tables = [[p or q for p, q in zip(x, y, strict=True)] for x, y in zip(self.tables, own, strict=True)]
        return Low(self.axis, tables)


def mask_of(reader: Reader, name: str, dims: tuple[int, ...]) -> Mask:
    """The mask of weights of these dims (… queries × keys) that a softmax has made of scores with fixed low places."""
    node = _maker(reader, name)
    if node is None or node.op != "Softmax" or len(dims) < 2:
        return None
    axis = int(node.attributes.get("axis", -1 if reader.opset >= 13 else 1))
    return score_mask(reader, node, dims) if axis in (-1, len(dims) - 1) else None


def score_mask(reader: Reader, softmax: Node, dims: tuple[int, ...]) -> Mask:
    """The mask of a softmax over the last axis of scores of these dims."""
    key = softmax.outputs[0]
    if key not in reader.scored:  # asked by the softmax and by the product behind it
        low = _low(reader, softmax.inputs[0], dims, MOST_STEPS)
        reader.scored[key] = None if low is None else as_mask(low, dims)
    return reader.scored[key]


def fixed_mask(reader: Reader, fixed: Const | None, dims: tuple[int, ...], causal: bool) -> Mask:
    """The mask of scores of these dims to which a constant is added, or which it allows where it is true; with `causal`
    a query reads no keys after its own position."""
    low: Low | None = None
    if fixed is not None and fixed.floating:
        low = _low_numbers(reader, fixed, dims, 1)
    elif fixed is not None and (spread := _looked_at(reader, fixed, dims)) is not None:
        low = Low(spread[0], [[not v for v in table] for table in spread[1]])
    if causal:
        after = Low(None, [[k > q for q in range(dims[-2]) for k in range(dims[-1])]])
        low = after if low is None else low.joined(after)
    return None if low is None else as_mask(low, dims)


def as_mask(low: Low, dims: tuple[int, ...]) -> Mask:
    """Low scores as a mask; a row without keys is a softmax of equal scores, which reads all."""
    keys = dims[-1]

    def rows(flags: Flags) -> list[list[bool]]:
        apart = [flags[i : i + keys] for i in range(0, len(flags), keys)]
        return [[True] * keys if all(row) else [not gone for gone in row] for row in apart]

    if low.axis is None or len({tuple(t) for t in low.tables}) == 1:
        return of_flags(rows(low.tables[0]))
    masks = [tuple(tuple(k for k, on in enumerate(row) if on) for row in rows(t)) for t in low.tables]
    if len(set(masks)) > MOST_MASKS:
        return of_flags(rows(low.common()))
    return Several(low.axis, tuple(masks))


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


def _low(reader: Reader, name: str, dims: tuple[int, ...], left: int) -> Low | None:
    """Where scores are so low, whatever the input is, that a softmax makes them 0; None where nowhere."""
    node = _maker(reader, name)
    if node is None or left == 0:
        return None
    found: Low | None = None
    if node.op in ("Add", "Sub"):
        for i, one in enumerate(node.inputs):
            fixed, sign = reader.value(one), -1 if i and node.op == "Sub" else 1
            low = None
            if isinstance(fixed, Const):
                low = _low_numbers(reader, fixed, dims, sign)
            elif sign > 0:
                low = _low(reader, one, dims, left - 1)
            if low is not None:
                found = low if found is None else found.joined(low)
    elif node.op == "Where":
        flags, first, second = (reader.value(n) for n in node.inputs)
        spread = None
        if isinstance(flags, Const) and any(is_low(v) for v in (first, second)):
            spread = _looked_at(reader, flags, dims)
        for value, other, wanted in ((first, second, True), (second, first, False)) if spread is not None else ():
            if is_low(value):
                assert spread is not None
                found = Low(spread[0], [[bool(c) is wanted for c in table] for table in spread[1]])
                before = None
                if not isinstance(other, Const):
                    before = _low(reader, node.inputs[2 if wanted else 1], dims, left - 1)
                found = found if before is None else found.joined(before)
    return found if found is not None and any(map(any, found.tables)) else None


def _spread(fixed: Const, dims: tuple[int, ...]) -> tuple[int | None, list[list[object]]] | None:
    """The values of a constant, for queries x keys, perhaps for each position of one axis before them; None where they
    differ along several, or are not known."""
    rank = len(dims)
    own = (1,) * (rank - len(fixed.dims)) + fixed.dims
    if fixed.values is None or len(own) > rank or dims[-2] * dims[-1] > MOST_SCORES:
        return None
    if any(n not in (1, m) for n, m in zip(own, dims, strict=True)):
        return None
    wide = [i for i, n in enumerate(own[:-2]) if n != 1]
    if len(wide) > 1 or prod(own[:-2]) * dims[-2] * dims[-1] > MOST_SCORES:
        return None
    rows, columns = own[-2:]
    at = [i % rows * columns + j % columns for i, j in product(range(dims[-2]), range(dims[-1]))]
    count = own[wide[0]] if wide else 1
    values = fixed.values
    tables: list[list[object]] = [[values[t * rows * columns + p] for p in at] for t in range(count)]
    return (wide[0] if wide else None), tables


def is_low(value: object) -> bool:
    """Whether it is a constant so low that a softmax makes it 0."""
    return isinstance(value, Const) and value.values is not None and all(v <= LOW for v in value.values)


def _looked_at(reader: Reader, fixed: Const, dims: tuple[int, ...]) -> tuple[int | None, list[list[object]]] | None:
    """`_spread`; it is said where a mask is passed over, so that attention counts with all keys."""
    spread = _spread(fixed, dims)
    if spread is None and _forbids(reader, fixed):
        reader.notes[
            f"masks of more than {MOST_OF_MASKS:,} values or {MOST_SCORES:,} scores, and masks that differ along "
            "several axes, are not looked at: their attention counts with all keys, at most that is seen"
        ] += 1
    return spread


def _forbids(reader: Reader, fixed: Const) -> bool:
    """Whether a constant may be a mask: flags, numbers of which some are very low, what is computed of no parameter."""
    if not fixed.floating:
        return True
    if fixed.values is not None:
        return any(abs(float(v)) >= -LOW for v in fixed.values)
    found = [reader.model.graph.tensors[name] for name in fixed.origin if name in reader.model.graph.tensors]
    known = [sample(tensor, reader.model.wire, reader.folder, 1 << 16) for tensor in found if tensor.dtype in FLOATING]
    return not is_learned(reader, fixed) or any(abs(v) >= -LOW for values in known for v in values or ())


def _low_numbers(reader: Reader, fixed: Const, dims: tuple[int, ...], sign: int) -> Low | None:
    """Numbers that are added or taken away: far below the largest of their row, or one of two values that is low."""
    if not fixed.floating:
        return None
    spread = _looked_at(reader, fixed, dims)
    if spread is None:
        return None
    axis, keys = spread[0], dims[-1]
    tables = [[sign * float(v) for v in table] for table in spread[1]]  # type: ignore[arg-type]
    least, most = min(map(min, tables)), max(map(max, tables))
    if most != most or least != least:
        return None
    if least <= most + LOW:
        found = []
        for table in tables:
            flags: Flags = []
            for i in range(0, len(table), keys):
                top = max(table[i : i + keys])
                flags += [v <= top + LOW for v in table[i : i + keys]] if top > -1e300 else [True] * keys
            found.append(flags)
        return Low(axis, found)
    if least <= PERHAPS and len({v for table in tables for v in table}) == 2:
        return Low(axis, [[v == least for v in table] for table in tables])
    return None
