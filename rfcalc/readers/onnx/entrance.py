"""The inputs of a graph: which axis is the batch, which counts channels, and numbers for axes that are left open."""

from __future__ import annotations

from typing import NamedTuple

from rfcalc.core.errors import NetworkError, plural
from rfcalc.core.shape import USUAL, Shape, mistaken
from rfcalc.readers.builder.values import inner
from rfcalc.readers.onnx.model import Info, Model, Node
from rfcalc.readers.onnx.values import checked

# Operators that leave the axes where they are, on the way to one that tells which are the channels.
PASSES = frozenset(
    [
        "Identity",
        "Cast",
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Relu",
        "Clip",
        "Dropout",
        "QuantizeLinear",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "Neg",
        "Abs",
        "Pow",
        "Sqrt",
        "Pad",
    ]
)
SLIDES = frozenset(
    [
        "Conv",
        "ConvTranspose",
        "MaxPool",
        "AveragePool",
        "LpPool",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "BatchNormalization",
        "InstanceNormalization",
        "Resize",
        "Upsample",
        "LRN",
        "DepthToSpace",
        "SpaceToDepth",
        "QLinearConv",
        "ConvInteger",
    ]
)
LAST = frozenset(
    [
        *("MatMul", "Gemm", "LayerNormalization", "SkipLayerNormalization", "MatMulInteger", "QLinearMatMul"),
        *("DynamicQuantizeMatMul", "MatMulIntegerToFloat"),
        *("LSTM", "GRU", "RNN"),
    ]
)


class Entering(NamedTuple):
    """An input as it is read: its name in the network, its shape, its extents in the file, its batch axis."""

    name: str
    shape: Shape
    dims: tuple[int, ...]
    batch: int | None
    extra: bool = False  # a signal: its map has an axis for channels that the tensor has not


class BoundInputs(NamedTuple):
    """Inputs by their names in the file; whether the file's own shapes still hold; what was assumed."""

    inputs: dict[str, Entering]
    compare: bool
    notes: tuple[str, ...]


def bind(model: Model, nodes: list[Node], given: dict[str, Shape], batch: bool = True) -> BoundInputs:
    """Shapes for all inputs.

    Args:
        given: what the user said, without the batch.
        batch: whether axis 0 is one; if not, all axes belong to the shape.

    Raises:
        NetworkError: an axis is open.
    """
    infos = [i for i in model.graph.inputs if i.name not in model.graph.tensors]
    if not infos:
        raise NetworkError("the graph has no inputs", why="it computes nothing from anything", fix="export it with one")
    size, symbol = _batch(infos, given) if batch else (1, None)
    found: dict[str, Entering] = {}
    taken: set[str] = set()
    notes: list[str] = []
    compare = True
    for info in infos:
        if not info.tensor:
            raise NetworkError(f"the input {info.name!r} is no tensor", fix="export the model with tensors as inputs")
        if batch and info.name in given:
            _refuse(model, nodes, info.name, given[info.name])
        dims, own = _dims(info, given.get(info.name), size, symbol, batch)
        channel = _channel(model, nodes, info.name, dims, own)
        if info.name in given:
            dims = _given(info, given[info.name], size, own, channel)
        if any(isinstance(t, int) and t != n for t, n in zip(info.dims or (), dims, strict=False)):
            compare = False
            told = "x".join(map(str, info.dims or ()))
            notes.append(f"the file was made for {info.name} = {told}: its own shapes are not compared")
        checked(dims)
        seen = inner(dims, own)
        if min(seen) < 1:
            raise NetworkError(f"the input {info.name!r} is empty: {'x'.join(map(str, dims))}")
        place = 0 if own is None and not dims else channel if own is None or channel < own else channel - 1
        shape = Shape(*seen, channel=min(place, len(seen) - 1))
        signal = own == 0 and len(dims) == 2 and _is_signal(nodes, info.name)
        if signal:
            shape = Shape(1, *seen)
        found[info.name] = Entering(_name(info.name, taken), shape, dims, own, signal)
    if size != 1:
        notes.append(f"the file has a batch of {size}: figures are for one of its items")
    return BoundInputs(found, compare, tuple(notes))


def _refuse(model: Model, nodes: list[Node], name: str, given: Shape) -> None:
    """Refuse a shape of another rank, order or number of channels than the first convolution takes.

    Raises:
        NetworkError: with the shape that is meant.
    """
    names = {name}
    for node in nodes:
        if not node.inputs or node.inputs[0] not in names:
            continue
        if node.op == "Conv" and (weights := model.graph.tensors.get(node.inputs[1])) is not None:
            axes = len(weights.dims) - 2
            takes = weights.dims[1] * int(node.attributes.get("group") or 1)
            fault = mistaken(given, takes, axes) if axes in USUAL else None
            if fault is None:
                return
            why, meant = fault
            first = f"the first convolution takes {plural(takes, 'channel')} ({axes}-D)"
            raise NetworkError(
                f"the input {name!r} cannot be {given}",
                why=f"{why}; {first}" if why else first,
                fix=f"did you mean {meant}?",
            )
        if node.op not in PASSES:
            return
        names.update(node.outputs)


def _name(text: str, taken: set[str]) -> str:
    """An input's name as it may be shown and typed."""
    name = "".join(c if c.isprintable() else "?" for c in text)[:100].strip() or "input"
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _batch(infos: list[Info], given: dict[str, Shape]) -> tuple[int, str | None]:
    """The size of the batch (1 where it is open), and its symbol."""
    for info in infos:
        dims = info.dims
        if dims is None or (len(dims) < 2 and not (dims and isinstance(dims[0], str))):
            continue
        if _whole(given.get(info.name), dims):
            continue
        first = dims[0]
        named = next((str(n) for n in dims[1:] if _is_batch(n)), None) if isinstance(first, int) else None
        if named is not None:  # positions come first, as recurrent layers want them
            return 1, named
        return (first, None) if isinstance(first, int) and first > 0 else (1, first if isinstance(first, str) else None)
    return 1, None


def _is_batch(extent: int | str | None) -> bool:
    """Whether a symbol is what people call the batch."""
    return isinstance(extent, str) and (extent.lower() in ("n", "b", "bs") or "batch" in extent.lower())


def _whole(given: Shape | None, dims: tuple[int | str | None, ...]) -> bool:
    """Whether all axes of a matrix are told, so that none is the batch; a map is always told without its batch."""
    return given is not None and len(given.dims) == len(dims) <= 2


def _dims(
    info: Info, given: Shape | None, size: int, symbol: str | None, batch: bool
) -> tuple[tuple[int, ...], int | None]:
    """The extents of an input, with open ones as 1 where they are told later, and where its batch stands."""
    dims = info.dims
    if dims is None:
        if given is None:
            raise NetworkError(
                f"the file does not say the shape of the input {info.name!r}",
                fix=f"give it without the batch: --input {info.name}=3x224x224",
            )
        return ((size, *given.dims), 0) if batch else (given.dims, None)
    own: int | None = None
    first = dims[0] if dims else None
    may = batch and bool(dims) and (len(dims) > 1 or not isinstance(first, int)) and not _whole(given, dims)
    if batch and isinstance(first, int) and symbol is not None and symbol in dims[1:] and not _whole(given, dims):
        own = dims.index(symbol)  # positions, or layers, come first
    elif may and (first == size or first is None or (isinstance(first, str) and symbol in (None, first))):
        own = 0
    elif batch and given is not None and own is None and len(given.dims) == len(dims) - 1:
        open_ones = [i for i, n in enumerate(dims) if not isinstance(n, int)]
        own = open_ones[0] if len(open_ones) == 1 else None
    if given is not None:
        wanted = len(dims) - (own is not None)
        if len(given.dims) != wanted:
            told = "x".join("?" if n is None else str(n) for n in (dims if own is None else dims[1:]))
            raise NetworkError(
                f"the input {info.name!r} has {wanted} axes without the batch, {given} has {len(given.dims)}",
                why=f"the file says {told}",
                fix="give channels first, without the batch",
            )
    elif any(not isinstance(n, int) for i, n in enumerate(dims) if i != own):
        told = "x".join("?" if n is None else str(n) for i, n in enumerate(dims) if i != own)
        raise NetworkError(
            f"the input {info.name!r} has open axes: {told}",
            why="what reads it depends on their sizes",
            fix=f"give them, without the batch: --input {_example(dims, own)}",
        )
    found = tuple(size if i == own else n if isinstance(n, int) else 1 for i, n in enumerate(dims))
    return found, own


def _example(dims: tuple[int | str | None, ...], own: int | None) -> str:
    rest = [n for i, n in enumerate(dims) if i != own]
    return "x".join(str(n) if isinstance(n, int) else "224" for n in rest)


def _given(info: Info, given: Shape, size: int, own: int | None, channel: int) -> tuple[int, ...]:
    """The extents in the file's order, from what the user gave: channels first.

    Where the file has its channels last, a shape that has them last as the file does is understood too.
    """
    wanted = given.dims
    place = channel if own is None or channel < own else channel - 1
    if place and len(wanted) > 2:
        known = None if info.dims is None else info.dims[channel]
        if not (isinstance(known, int) and wanted[place] == known and wanted[0] != known):
            wanted = (*wanted[1 : place + 1], wanted[0], *wanted[place + 1 :])
    return wanted if own is None else (*wanted[:own], size, *wanted[own:])


def _is_signal(nodes: list[Node], name: str) -> bool:
    """Whether an input of batch × samples gets an axis for its channels, and something slides over it then."""
    names, opened = {name}, set[str]()
    for node in nodes:
        if not any(i in names for i in node.inputs[:1] if i) and not (node.op == "Concat" and names & set(node.inputs)):
            continue
        if node.op in SLIDES:
            return node.inputs[0] in opened
        if node.op not in PASSES and node.op not in ("Unsqueeze", "Slice", "Concat", "Split"):
            continue
        names.update(node.outputs)
        if node.op == "Unsqueeze" or node.inputs[0] in opened:
            opened.update(node.outputs)
    return False


def _is_state(nodes: list[Node], name: str) -> bool:
    """Whether an input is the first state of a recurrent layer, or a part of it is: features are its last axis."""
    names = {name}
    for node in nodes:
        if node.op in ("LSTM", "GRU", "RNN") and names & set(node.inputs[5:7]):
            return True
        if node.op in ("Slice", "Gather", "Unsqueeze", "Squeeze", "Split", "Identity") and node.inputs[0] in names:
            names.update(node.outputs)
    return False


def _channel(model: Model, nodes: list[Node], name: str, dims: tuple[int, ...], own: int | None) -> int:
    """Which axis of the file counts channels: what the first operators that care read as channels."""
    usual = min(1 if own == 0 else 0, max(len(dims) - 1, 0))
    if len(dims) < 3:
        return usual
    if (own is not None and own > 0) or _is_state(nodes, name):
        return len(dims) - 1
    ones = [i for i, n in enumerate(dims) if n == 1 and i != own]
    if dims[usual] != 1 and len(ones) == 1:  # no position is lost where that counts channels
        usual = ones[0]
    readers: dict[str, list[Node]] = {}
    for node in nodes:
        for i in node.inputs[:2]:
            readers.setdefault(i, []).append(node)
    order = list(range(len(dims)))
    current = name
    for _ in range(20):
        found = readers.get(current, ())
        for node in found:
            if node.op in SLIDES:
                return order[1]
        for node in found:
            if node.op in LAST and node.inputs[0] == current:
                return order[-1]
        step = next((n for n in found if n.op == "Transpose" or n.op in PASSES), None)
        if step is None or not step.outputs:
            return usual
        if step.op == "Transpose":
            perm = step.attributes.get("perm") or list(range(len(order) - 1, -1, -1))
            if sorted(perm) != list(range(len(order))):
                return usual
            order = [order[p] for p in perm]
        current = step.outputs[0]
    return usual
