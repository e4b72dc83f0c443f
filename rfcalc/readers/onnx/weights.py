"""Constants that stand among maps: learned ones become `Parameter`, fixed ones `Constant`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rfcalc.layers.general import Constant
from rfcalc.layers.learned import Parameter
from rfcalc.readers.builder.values import Value, inner
from rfcalc.readers.onnx.lengths import gives
from rfcalc.readers.onnx.model import FLOATING, Tensor
from rfcalc.readers.onnx.names import invented
from rfcalc.readers.onnx.values import Const, checked

if TYPE_CHECKING:
    from rfcalc.readers.onnx.reading import Entry, Reader

MOST_LOOKED_AT = 1 << 16  # values of a constant that are looked at one by one


def is_learned(reader: Reader, const: Const) -> bool:
    """Whether a constant holds parameters: it comes from floating-point tensors of the file that are no masks."""
    return bool(tensors(reader, const))


def has_gaps(reader: Reader, entry: Entry | None) -> bool:
    """Whether a constant has zeros and one other number, or, where it is no parameter, zeros and whatever else."""
    if not isinstance(entry, Const) or not entry.values or len(entry.values) > MOST_LOOKED_AT:
        return False
    found = set(entry.values)
    return 0 in found and (len(found) == 2 or not is_learned(reader, entry))


def tensors(reader: Reader, const: Const) -> list[Tensor]:
    """The parameters that a constant was computed from."""
    if not const.floating:
        return []
    found = []
    for name in const.origin:
        tensor = reader.model.graph.tensors.get(name)
        if tensor is None or tensor.dtype not in FLOATING or tensor.size <= 1:
            continue
        if reader.written(name) and reader.model.producer.startswith("pytorch"):
            continue  # PyTorch writes parameters beside the graph, and what `forward` made up into it
        if not (reader.mask(name) or (invented(name) and reader.equal(name))):
            found.append(tensor)
    return found


def solid(reader: Reader, entry: Entry | None) -> Value:
    """A value or a constant, as a node that can be read like others."""
    assert isinstance(entry, (Value, Const))
    return entry if isinstance(entry, Value) else learned(reader, entry)


def learned(reader: Reader, const: Const) -> Value:
    """A node for a constant that stands among maps; what reads it lays it out."""
    dims = checked(const.dims)
    gives(reader, const.extents or ())
    found = tensors(reader, const)
    if len(found) == 1 and found[0].size == const.size:
        key = (found[0].name, dims)
        known = reader.graph.made.get(key)
        if known is not None and not reader.equal(found[0].name):
            return known
        name = "" if "::" in found[0].name or found[0].name.startswith("/") else found[0].name
        label = name or f"{reader.own_name()}.parameter"
        made = reader.graph.add(Parameter(inner(dims, None)), (), dims, None, label=label)
        reader.uses(made, "weight", const)
        reader.graph.made[key] = made
        return made
    sources = []
    for tensor in found:  # a table that is picked from, a product of learned factors
        sources.append(learned(reader, Const(tensor.dims, tensor.dtype, None, (tensor.name,))).node)
    if not found:
        reader.notes["constants that are no parameters (masks, numbers written in the graph) are not counted"] += 1
    label = f"{reader.own_name()}.constant"
    return reader.graph.add(Constant(inner(dims, None)), sources, dims, None, label=label)
