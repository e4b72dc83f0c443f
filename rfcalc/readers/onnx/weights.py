"""Constants that stand among maps: learned ones become `Parameter`, fixed ones `Constant`."""

from __future__ import annotations

from rfcalc.layers.general import Constant
from rfcalc.layers.reshape import Parameter
from rfcalc.readers.onnx.model import FLOATING, Tensor
from rfcalc.readers.onnx.names import invented
from rfcalc.readers.onnx.reading import Reader
from rfcalc.readers.onnx.values import Const, Map, NotUnderstoodError, visible


def is_learned(reader: Reader, const: Const) -> bool:
    """Whether a constant holds parameters: it comes from floating-point tensors of the file that are no masks."""
    return bool(tensors(reader, const))


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


def learned(reader: Reader, const: Const, dims: tuple[int, ...], batch: int | None, channel: int) -> Map:
    """A node for a constant that stands among maps, laid out as they are."""
    if batch is not None and dims[batch] != 1:
        raise NotUnderstoodError("a constant has a batch of its own")
    seen = visible(dims, batch)
    channel = min(channel, len(seen) - 1)
    found = tensors(reader, const)
    if len(found) == 1 and found[0].size == const.size:
        known = reader.parameters.get(found[0].name)
        if known is not None and not reader.equal(found[0].name):
            return reader.reshaped(known, dims, batch, channel)
        name = "" if "::" in found[0].name or found[0].name.startswith("/") else found[0].name
        layer = Parameter(seen, channel)
        made = reader.place(layer, [], batch=batch, dims=dims, name=name or f"{reader.own_name()}.parameter")
        reader.uses(made.node, "weight", const)
        reader.parameters[found[0].name] = made
        return made
    sources = []
    for tensor in found:  # a table that is picked from, a product of learned factors
        part = Const(tensor.dims, tensor.dtype, None, (tensor.name,), False)
        sources.append(learned(reader, part, tensor.dims or (1,), None, len(tensor.dims) - 1))
    if not found:
        reader.notes["constants that are no parameters (masks, numbers written in the graph) are not counted"] += 1
    return reader.place(Constant(seen, channel), sources, batch=batch, dims=dims, name=f"{reader.own_name()}.constant")
