"""From a file to a network: opens it, binds open axes, reads the graph, counts what its tensors were used for."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable
from pathlib import Path
from stat import S_ISREG
from typing import Any

from rfcalc.core.errors import NetworkError, RfcalcError, plural
from rfcalc.graph.network import Network
from rfcalc.layers.pointwise import Identity
from rfcalc.readers.builder.heard import source_of
from rfcalc.readers.builder.naming import expression, pruned
from rfcalc.readers.builder.values import BatchMixed, Value
from rfcalc.readers.imported import Imported, imported, input_shapes
from rfcalc.readers.onnx.accounts import grouped, notes_on
from rfcalc.readers.onnx.entrance import BoundInputs, bind
from rfcalc.readers.onnx.given import computed
from rfcalc.readers.onnx.graphs import inlined, needed, ordered
from rfcalc.readers.onnx.model import Model, Node
from rfcalc.readers.onnx.naming import node_names, paths
from rfcalc.readers.onnx.parsing import read_model
from rfcalc.readers.onnx.patterns import recognised
from rfcalc.readers.onnx.reading import Reader
from rfcalc.readers.onnx.values import Missing
from rfcalc.readers.onnx.wire import Wire, broken

OLDEST = 6


def load(path: str, inputs: Any = None) -> Imported:
    """The network of an ONNX file; `target` calls this."""
    return from_onnx(path, inputs)


def from_onnx(source: str | os.PathLike[str] | bytes, inputs: Any = None) -> Imported:
    """Read a network from an ONNX file, without the onnx package and without reading its weights.

    Args:
        source: the file, or its bytes; weights in files beside it need not be there.
        inputs: shapes of inputs whose axes the file leaves open, without the batch: one shape, or shapes by input name.

    Raises:
        RfcalcError: the file cannot be read or is damaged; an input's axes are open; a shape in the file disagrees.
    """
    if isinstance(source, bytes):
        return _from_bytes(source, inputs, "the model", ".", "model")
    if not isinstance(source, str | os.PathLike):
        fix = "give the path of an .onnx file, or its bytes (model.SerializeToString())"
        raise RfcalcError(f"{type(source).__name__} is no ONNX file", fix=fix)
    file = Path(source)
    where = str(source)
    try:
        if not S_ISREG(os.stat(file).st_mode):
            raise RfcalcError("this is no file", where=where, fix="give the path of an .onnx file")
        with open(file, "rb") as handle:
            if os.fstat(handle.fileno()).st_size == 0:
                raise broken("it is empty", 0).at(where)
            with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
                if hasattr(mmap, "MADV_RANDOM"):
                    data.madvise(mmap.MADV_RANDOM)  # weights between what is read are not wanted
                return _from_bytes(data, inputs, where, str(file.parent), file.stem)
    except RfcalcError as error:
        error.asked = (where, inputs)
        raise
    except ValueError as error:  # what cannot be mapped, or is no path
        raise RfcalcError(f"cannot read: {error}", where=where) from None
    except OSError as error:
        raise RfcalcError(f"cannot read: {error.strerror}", where=where) from None


def _from_bytes(data: Any, inputs: Any, where: str, folder: str, name: str) -> Imported:
    wire = Wire(data)
    try:
        return _read(read_model(wire, (0, len(data))), folder, inputs, name)
    except RfcalcError as error:
        if error.where is not None:
            error.where = f"{where}, {error.where}"
        raise error.at(where) from None
    except RecursionError:
        raise RfcalcError("the values are nested too deeply", where=where) from None
    finally:
        wire.data = b""  # errors keep what was read alive, and the file must be closed


def _read(model: Model, folder: str, inputs: Any, name: str) -> Imported:
    if model.opset < OLDEST:
        raise NetworkError(
            f"the file is written in opset {model.opset}",
            why="operators meant other things then",
            fix="convert it: onnx.version_converter.convert_version(model, 13)",
        )
    nodes = ordered(inlined(model))
    wanted = needed(nodes, [o.name for o in model.graph.outputs])
    graph_inputs = [i.name for i in model.graph.inputs if i.name not in model.graph.tensors]
    given = input_shapes(inputs, graph_inputs) if graph_inputs else {}
    wanted, found = recognised(model, wanted, folder)
    try:
        bound = bind(model, wanted, given)
        reader = _walked(model, wanted, folder, bound)
    except BatchMixed:
        bound = bind(model, wanted, given, batch=False)
        reader = _walked(model, wanted, folder, bound)
    reader.notes.update(found)
    reader.notes.update(bound.notes)
    if len(wanted) < len(nodes):
        dead = [n for n in nodes if n.op != "Constant"]
        count = len(dead) - sum(1 for n in _kept(dead, [o.name for o in model.graph.outputs]))
        if count:
            reader.notes[f"{plural(count, 'operator')} that no output needs left out"] += 1
    return _finished(reader, name)


def _kept(nodes: list[Node], outputs: Iterable[str]) -> list[Node]:
    return needed(nodes, outputs)


def _walked(model: Model, nodes: list[Node], folder: str, bound: BoundInputs) -> Reader:
    reader = Reader(model, nodes, folder)
    reader.compare = bound.compare
    for name, given in bound.inputs.items():
        reader.names.taken.add(given.name)
        reader.values[name] = reader.graph.input(given.name, given.shape, given.dims, given.batch, given.extra)
    try:
        reader.read()
    except (TypeError, ValueError, IndexError, AttributeError, OverflowError, KeyError, ZeroDivisionError):
        raise RfcalcError("its attributes or inputs are malformed", where=reader.where) from None
    return reader


def _finished(reader: Reader, name: str) -> Imported:
    graph = reader.graph
    outputs: list[int] = []
    for info in reader.model.graph.outputs:
        value = reader.value(info.name)
        if isinstance(value, Value) and value.node < len(graph.inputs):  # an input is passed on
            value = graph.add(Identity(), (value.node,), value.dims, value.batch, label=info.name)
        if isinstance(value, (Value, Missing)):
            outputs.append(value.node)
        else:
            reader.notes["an output of the file is a constant, and left out"] += 1
    outputs = list(dict.fromkeys(outputs))
    if not graph.nodes:
        raise NetworkError("the graph computes nothing from its inputs", fix="export a model with at least one layer")
    gone = pruned(graph, outputs)
    kept = [p for p in range(len(graph.inputs), len(graph.shapes)) if p not in gone]
    named = node_names(reader, kept)
    groups = grouped(reader, named)
    for node, first in groups.items():
        graph.nodes[node - len(graph.inputs)].group = named[first]
    told = [named[p] for p in outputs]
    source = source_of(graph, {**dict(enumerate(graph.inputs)), **named}, kept)
    network = Network(
        expression(graph, kept, named, paths(reader, kept, named), aliases=False),
        {n: graph.shapes[i] for i, n in enumerate(graph.inputs)},
        outputs=told if told and told != [named[kept[-1]]] else (),
        name=name,
        source=source,
    )
    notes, params, unused = notes_on(reader, groups, named)
    shapes = {named[p]: dims for p, dims in reader.shapes.items() if p in named}
    about: dict[str, Any] = {"shapes": shapes, "params": params, "unused": unused, "given": computed(reader, named)}
    return imported(network, notes=notes, unknown=graph.report(named), **about)
