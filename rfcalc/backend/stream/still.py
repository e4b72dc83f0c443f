"""What a module computes without its input (windows, kernels from formulas, normalised weights): held as tensors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from rfcalc.backend.twin import At, ConstructorCall, Learned, Twin, call, text_only, twin, twin_of
from rfcalc.core.errors import RfcalcError
from rfcalc.core.layer import Alternatives, Layer
from rfcalc.core.shape import Shape
from rfcalc.core.sliding import one
from rfcalc.core.window import STEP, All
from rfcalc.graph.forward import Walked, forward, shapes_of_inputs
from rfcalc.graph.network import Network
from rfcalc.layers.general import Elementwise
from rfcalc.layers.learned import Parameter
from rfcalc.layers.pointwise import Identity
from rfcalc.layers.resample import Pad
from rfcalc.readers.imported import Imported


class Kept(Parameter):
    """Values that are held, which are alike along some axes."""

    __slots__ = ("alike",)
    alike: tuple[int, ...]

    def __init__(self, dims: Any, channel: int = 0, alike: tuple[int, ...] = ()) -> None:
        super().__init__(dims, channel)
        object.__setattr__(self, "alike", alike)

    def even(self, axis: int) -> bool:
        return axis in self.alike


class Own(Elementwise):
    """A function of each position as the module's code calls it: its text, and what it works with."""

    __slots__ = ("dims", "held", "made", "text")
    kind = "own"
    dims: tuple[int, ...]
    held: torch.Tensor | None
    made: ConstructorCall | None
    text: str

    def __init__(
        self,
        function: str,
        text: str,
        held: torch.Tensor | None = None,
        dims: Any = (),
        made: ConstructorCall | None = None,
    ) -> None:
        super().__init__(function)
        object.__setattr__(self, "made", made)
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "held", held)
        object.__setattr__(self, "dims", tuple(dims))

    def output(self, *xs: Shape) -> Shape:
        """The first map's extents; `dims` says others, by axis."""
        dims = [new or old for old, new in zip(xs[0].dims, self.dims, strict=True)] if self.dims else xs[0].dims
        return Shape(*dims, channel=xs[0].channel)

    def reads(self, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
        pairs = enumerate(zip(xs[0].dims, y.dims, strict=True))
        return ((tuple([(i, STEP if a == b else All(a)) for i, (a, b) in pairs]),),)


@twin("own")
def own(at: At) -> Twin:
    held = at.layer.held
    return Twin(at.layer.made, at.layer.text, None if held is None else Learned(tuple(held.shape)))


class Filled(Pad):
    """Padding with a number that is not 0."""

    __slots__ = ("fill",)
    kind = "filled"
    fill: float

    def __init__(self, padding: Any, mode: Any = "zeros", fill: float = 0.0) -> None:
        super().__init__(padding, mode)
        object.__setattr__(self, "fill", fill)


@twin("filled")
def filled(at: At) -> Twin:
    sides = [one(at.layer.padding, i) for i in reversed(range(at.x.rank))]
    flat = ", ".join(str(n) for pair in sides for n in pair)
    return text_only(f'F.pad({{0}}, ({flat}), value=float("{at.layer.fill!r}"))')


def _own(layer: Any, step: Any, y: Shape, held: torch.Tensor | None) -> Own | Filled | None:
    """A node as the module's code calls it, where the network says less: a change of type, a look-up in a table."""
    if step is not None and isinstance(layer, Pad) and step.args.get("mode", "constant") == "constant":
        return Filled(layer.padding, layer.mode, float(step.args["value"])) if step.args.get("value") else None
    if step is not None and layer.kind == "along" and layer.function == "transform" and step.name == "stft":
        return _fourier(step, int(y.dims[0]), held)
    if step is None or layer.kind != "elementwise":
        return None
    if layer.function == "cast":
        return Own("cast", f"{{0}}.to({step.out.dtype})")
    if layer.function in ("imag", "conj_physical"):
        return Own(layer.function, f"torch.{layer.function}({{0}})")
    if layer.function == "one_hot":
        return Own("one_hot", f"({{0}} == torch.arange({y.dims[-1]}, device={{0}}.device)).long()")
    if layer.function == "expand" and step.name == "view_as_real":
        return Own("view_as_real", "torch.view_as_real({0}[..., 0])", None, (*(0,) * (len(y.dims) - 1), 2))
    if layer.function == "embedding" and step.name == "embedding":
        wide = (*(0,) * (len(y.dims) - 1), y.dims[-1])
        return Own("embedding", "{m}({0}[..., 0])", None, wide, call("nn.Embedding", *step.args["weight"].shape))
    return None


def _fourier(step: Any, frequencies: int, window: torch.Tensor | None) -> Own | None:
    """The transform of frames, of which those positions come where the window is not 0."""
    args = step.args
    size = args["n_fft"]
    width = args.get("win_length") or size
    first = (size - width) // 2
    if args.get("window") is not None:
        if window is None:
            return None
        used = window.nonzero()[:, 0].tolist()
        if not used or used[-1] - used[0] + 1 != len(used):
            return None
        first, width, window = first + used[0], len(used), window[used[0] : used[-1] + 1, None]
    frame = "{0}" if window is None else "{0} * {w}"
    sides, norm = (first, size - first - width), ', norm="ortho"' if args.get("normalized") else ""
    if any(sides):
        frame = f"F.pad({frame}, (0, 0, {sides[0]}, {sides[1]}))"
    function = "rfft" if frequencies == size // 2 + 1 else "fft"
    return Own("fourier", f"torch.fft.{function}({frame}, dim=1{norm})", window, (frequencies, 0))


def _even(values: torch.Tensor, dims: tuple[int, ...]) -> tuple[int, ...]:
    """The axes along which values are alike."""
    values = values.reshape(dims)
    return tuple([i for i in range(len(dims)) if bool((values == values.narrow(i, 0, 1)).all())])


def with_values(read: Imported) -> tuple[Imported, Walked]:
    """What was read of a module as a network that can run with the module's tensors, and its walk.

    A network does not keep what a fixed kernel or a constant is made of; the module does. So such kernels become
    weights, constants (and what is made of them by functions that cannot be built) tensors, which are found in
    `read.constants`. What only such values were computed from is left out.
    """
    walked = forward(read.network, shapes_of_inputs(read.network))
    network = walked.network
    names = [*network.inputs, *(n.name for n in network.nodes)]
    reached = [True] * network.arity
    for sources in network.sources:
        reached.append(any(reached[s] for s in sources))
    found: dict[str, tuple[Layer, tuple[str, ...]]] = {}
    held = dict(read.constants)
    needed = {network.position(name) for name in network.outputs}
    for position in range(len(names) - 1, network.arity - 1, -1):
        node = network.nodes[position - network.arity]
        sources = network.sources[position - network.arity]
        layer: Any = node.layer
        if not reached[position] and position not in needed:
            continue
        if not reached[position] and _held(read, walked, position):
            shape = walked.shapes[position]
            layer, sources = Kept(shape.dims, shape.channel, _even(read.constants[node.name], shape.dims)), ()
        elif (
            mine := _own(layer, read.origins.get(node.name), walked.shapes[position], held.get(node.name))
        ) is not None:
            layer, sources = mine, sources[:1]
            if isinstance(mine, Own) and mine.held is not None:
                held[node.name] = mine.held
        elif getattr(layer, "fixed", False):
            layer = replace(layer, fixed=False)
        elif layer.at_most and layer.kind == "elementwise":  # what is masked is zero already
            layer = Identity()
        needed.update(sources)
        found[node.name] = layer, tuple(names[s] for s in sources)
    unlike = _unlike(read)
    if not unlike and all(found.get(n.name) == (n.layer, n.inputs) for n in network.nodes):
        return read, walked
    nodes = [(name, *found[name]) for name in reversed(found)]
    groups = {n.name: n.group.rpartition(".")[0] for n in network.nodes if n.name in found and n.group not in unlike}
    groups = {name: group for name, group in groups.items() if group}
    inputs = dict(zip(network.inputs, walked.shapes, strict=False))
    made = Network.from_nodes(nodes, inputs, groups, outputs=network.outputs, name=network.name, source=network.source)
    return replace(read, network=made, constants=held), forward(made, shapes_of_inputs(made))


def _unlike(read: Imported) -> set[str]:
    """The groups of nodes that share parameters and are called with unlike tensors: turned, scaled, a part of them."""
    first: dict[str, Any] = {}
    found: set[str] = set()
    for node in read.network.nodes:
        step = read.origins.get(node.name)
        if not node.group or step is None:
            continue
        mine = {name: t for name, t in step.args.items() if name in ("weight", "bias") and isinstance(t, torch.Tensor)}
        others = first.setdefault(node.group, mine)
        if mine.keys() != others.keys() or not all(_alike(t, others[name]) for name, t in mine.items()):
            found.add(node.group)
    return found


def _alike(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a is b or (a.shape == b.shape and not (a.is_meta or b.is_meta) and torch.equal(a, b))


def _held(read: Imported, walked: Walked, position: int) -> bool:
    """Whether a node that no input reaches is to be held as its values: its function cannot be built, and they are
    there."""
    node = walked.network.nodes[position - walked.network.arity]
    tensor = read.constants.get(node.name)
    if tensor is None or tensor.is_meta or node.layer.stored == "learned":
        return False
    try:
        if node.layer.stored != "fixed":
            twin_of(At(node.layer, walked.input_shapes(position), walked.shapes[position]))
            return False
    except RfcalcError:
        pass
    return True
