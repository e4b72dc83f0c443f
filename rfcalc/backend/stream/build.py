"""From a plan to a module that streams: every node's twin, without padding along the axis, with the same weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from math import prod
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import nn

from rfcalc.backend.build import make, to_torch
from rfcalc.backend.graph import NetworkModule, compiled
from rfcalc.backend.stream.chunks import hang
from rfcalc.backend.stream.reads import Read, StreamedMap
from rfcalc.backend.stream.runtime import Streamed
from rfcalc.backend.stream.step import StreamStep, step_of
from rfcalc.backend.stream.tape import recurrence
from rfcalc.backend.twin import At, ConstructorCall, Learned, Twin, text_only, twin_of
from rfcalc.core.errors import RfcalcError, Unsupported
from rfcalc.core.layer import Layer
from rfcalc.core.shape import Shape
from rfcalc.core.sliding import one
from rfcalc.core.window import Slide
from rfcalc.graph.forward import Walked, forward, shapes_of_inputs
from rfcalc.layers.index_sum import Ruled
from rfcalc.layers.resample import Pad
from rfcalc.plan.attention import gathered
from rfcalc.plan.blockers import NoStream
from rfcalc.plan.stream import StreamPlan, plan
from rfcalc.plan.timeline import Edge


class StreamError(RfcalcError, ValueError):
    """A chunk that a stream cannot take."""


class Stream(Streamed):
    """A streaming module of a plan, which it carries as `plan`."""

    refusal = StreamError
    plan: StreamPlan
    texts: dict[int, str]  # what is run for each line, as source
    calls: dict[str, ConstructorCall | Learned]  # what stands at each path
    ties: dict[str, str]  # paths of modules with the parameters of another
    own: frozenset[str] | None = None  # what a checkpoint of the module holds that it was made of

    @property
    def state_bytes(self) -> int:
        """Bytes of the state between two blocks, for a batch of one, in the module's own type; without what grows with
        every block (`plan.growth`)."""
        kind = self._kind() or (self._like.dtype if self.came else None)
        return self.plan.state_bytes(self.plan.itemsize if kind is None else kind.itemsize)

    def step(self, blocks: int = 1, batch: int = 1) -> StreamStep:
        """One step on a chunk of so many blocks as a function without memory, to be exported or traced.

        ``step(chunk, *step.state)`` gives the output and the next state. The beginning is over: the first `state` is
        that after silence, and what comes is what the stream gives for a signal behind zeros.

        >>> import torch
        >>> from rfcalc import to_stream
        >>> step = to_stream("conv3-4 p1 > relu > conv3-1 p1", "1x100").step(blocks=16)
        >>> exported = torch.export.export(step, (torch.zeros(1, 1, 16), *step.state))
        >>> out, *state = exported.module()(torch.randn(1, 1, 16), *step.state)
        >>> out.shape, [tuple(t.shape) for t in state]
        (torch.Size([1, 1, 16]), [(1, 1, 2), (1, 4, 2)])

        Raises:
            Unsupported: the state grows with every block.
        """
        kind = next((t.dtype for t in self.parameters() if t.is_floating_point()), torch.get_default_dtype())
        return step_of(self, blocks, batch, torch.empty(0, dtype=kind))


Made: TypeAlias = "tuple[NetworkModule, dict[str, torch.dtype]]"


class Way(NamedTuple):
    """How a node runs on a piece: the layer that is built for it, how it is called on, what it needs to know."""

    how: str
    twin: Twin
    cut: int = 0
    fill: float = 0.0
    taps: tuple[int, int, int] | None = None  # an axis of its kernel, the first tap that is used, how many


def to_stream(target: Any, input: Any = None, axis: int = -1, *, at: str | None = None) -> Stream:  # noqa: A002
    """A PyTorch module that takes a network's input in chunks and gives exactly what the whole run gives, late.

    >>> import torch
    >>> from rfcalc import Conv, Network, ReLU, to_stream, to_torch
    >>> whole = to_torch(Network(Conv(4, 3, padding=1) >> ReLU() >> Conv(1, 3, padding=1), "1x100"), seed=0)
    >>> stream = to_stream(whole)
    >>> stream.latency, stream.block, stream.state_bytes
    (2, {'in': 1, 'out': 1}, 40)
    >>> x = torch.randn(1, 1, 100)
    >>> parts = [stream(chunk) for chunk in x.split(7, dim=-1)] + [stream.flush()]
    >>> bool(torch.allclose(torch.cat(parts, dim=-1)[..., 2:], whole(x), atol=1e-6))
    True

    Args:
        target: a PyTorch module (its own weights are used, not copied), a network, or what names one.
        input: its input shape, as for `from_torch`; a network's own if left out.
        axis: the spatial axis of the stream, from 0; -1 is the last.
        at: the node that is the output; the first output if left out.

    Returns:
        A module with ``forward(chunk)``, ``flush()``, ``reset()``, `latency`, `block`, `state_bytes` and `plan`.
        Chunks have the batch first and are multiples of ``block["in"]`` along the axis.

    Raises:
        ConstraintFailed: no stream exists; every blocker is named, with what would remove it.
        Unsupported: a layer that cannot be run in pieces.
    """
    from rfcalc.backend.stream.own import same_frames

    dtype, walked, assumptions, build = _target(target, input, axis, at)
    size = torch.empty(0, dtype=dtype).element_size()
    found = plan(walked, axis, at=at, itemsize=size, dtype=str(dtype).removeprefix("torch."), assumptions=assumptions)
    if not found.possible:
        raise blocked(found)
    if isinstance(target, nn.Module) and not isinstance(target, NetworkModule):
        same_frames(target, found.timeline)
    graph, kinds = build()
    if kinds:
        sizes = {name: kind.itemsize for name, kind in kinds.items()}
        found = plan(walked, axis, at=at, itemsize=size, dtype=found.dtype, sizes=sizes, assumptions=assumptions)
    made = from_plan(found, graph, kinds)
    if isinstance(target, nn.Module) and not isinstance(target, NetworkModule):
        made.own = frozenset(target.state_dict())
    return made


def _target(
    target: Any, given: Any, axis: int, at: str | None
) -> tuple[torch.dtype, Walked, tuple[str, ...], Callable[[], Made]]:
    """The type of a target's values, its walk, what was assumed, and how the module that runs it whole is made, with
    the types of those of its maps that have another."""
    if isinstance(target, NetworkModule):
        shapes: Any = target.shapes if given is None else given
        graph = target
        own = forward(graph.network, shapes_of_inputs(graph.network, shapes))
        return _dtype(graph), own, (), lambda: (graph, {})
    if isinstance(target, nn.Module):
        from rfcalc.backend.stream.own import own_weights, read_blocks
        from rfcalc.readers.torch.scores import with_scores

        read, walked = read_blocks(target, given, axis)
        attention = gathered(walked, at)
        if attention is None:
            return _dtype(target), walked, read.assumptions, lambda: own_weights(target, read)
        network, tables = attention.network, dict[str, torch.Tensor]()
        if attention.scores and plan(forward(network, shapes_of_inputs(network)), axis).possible:
            network, tables = with_scores(target, read, network, attention.scores, walked)
        made = forward(network, shapes_of_inputs(network))
        return _dtype(target), made, read.assumptions, lambda: own_weights(target, read, network, tables)
    from rfcalc.readers.target import resolve, with_inputs

    found = resolve(target, given)
    shapes, assumptions = found.at(given)
    network = with_inputs(found.network, shapes)
    walked = forward(network, shapes_of_inputs(network))
    return torch.get_default_dtype(), walked, assumptions, lambda: (to_torch(network).eval(), {})


def _dtype(module: nn.Module) -> torch.dtype:
    held = (*module.parameters(), *module.buffers())
    return next((t.dtype for t in held if t.is_floating_point()), torch.get_default_dtype())


def blocked(plan: StreamPlan) -> NoStream:
    """What is told where no stream exists."""
    why = "\n".join(f"{b.node}: {b.why}" for b in plan.blockers)
    fixes = dict.fromkeys(b.fix for b in plan.blockers if b.fix)
    error = NoStream("no stream exists", where=plan.name, why=why, fix="\n".join(fixes) or None)
    error.blockers = plan.blockers
    return error


def from_plan(plan: StreamPlan, graph: NetworkModule, kinds: Mapping[str, torch.dtype] | None = None) -> Stream:
    """The streaming module of a plan, with the weights of the module that runs the whole network.

    Raises:
        ConstraintFailed, Unsupported: as for `to_stream`.
    """
    if not plan.possible:
        raise blocked(plan)
    line, schedule = plan.timeline, plan.schedule
    assert schedule is not None
    assert plan.block is not None
    assert plan.latency is not None
    network = line.walked.network
    lines: list[StreamedMap] = []
    kinds = kinds or {}
    held: dict[str, nn.Module | nn.Parameter] = {}
    texts: dict[int, str] = {}
    calls: dict[str, ConstructorCall | Learned] = {}
    ties: dict[str, str] = {}
    learned_at = {step.name: step.learned for step in graph.steps if step.learned}
    for position, at in enumerate(line.lines):
        axis = 0 if at.axis is None else at.axis + 1
        if position < network.arity and position and not line.reaches(position):
            lines.append(StreamedMap(at.name, 0, how="unused"))
            continue
        if position < network.arity:
            dims = tuple(int(n) for n in line.walked.shapes[position].dims)
            how = "signal" if at.name in graph.signals else "input" if position else "window"
            rate = (at.rate.numerator, at.rate.denominator)
            lines.append(StreamedMap(at.name, axis, rate, how=how, shape=dims, kind=kinds.get(at.name)))
            continue
        node = network.nodes[position - network.arity]
        needed = at.edges or position in _still(plan)
        if not needed:
            lines.append(StreamedMap(at.name, 0, how="unused"))
            continue
        way = way_of(plan, position, graph.eps)
        module = learned = ""
        if way.twin.module is not None:
            path = module = f"net.{graph.paths[node.name]}"
            while module in calls and calls[module] != way.twin.module:  # the same weights in another geometry
                module += "_"
                ties[module] = path
            calls[module] = way.twin.module
            own = twin_of(
                At(node.layer, line.walked.input_shapes(position), line.walked.shapes[position], eps=graph.eps)
            )
            whole = graph.get_submodule(graph.paths[node.name])
            same = own.module == way.twin.module
            if module not in held:
                held[module] = _again(whole) if same else _with_weights(way.twin.module, whole, node.name, way.taps)
        elif way.twin.learned is not None or (way.how == "attention" and node.name in learned_at):
            learned = f"net.{learned_at[node.name]}"
            whole_twin = twin_of(At(node.layer, line.walked.input_shapes(position), line.walked.shapes[position]))
            assert whole_twin.learned is not None
            calls[learned] = whole_twin.learned
            held[learned] = graph.get_parameter(learned_at[node.name])
        texts[position] = way.twin.text
        sources = network.sources[position - network.arity]
        run: Any = None  # the module alone
        if way.how == "recurrent":
            run = recurrence
        elif not way.twin.plain:
            run = compiled(way.twin.text, max(len(sources), 1) + (way.how == "attention"))
        edges = at.edges or tuple(Edge(s, None) for s in sources)
        lines.append(
            StreamedMap(
                at.name,
                axis,
                (at.rate.numerator, at.rate.denominator),
                line.extras[position],
                tuple(
                    _read(e, node.layer, line.lines[e.source].axis, e.source in at.before, line.heads[position])
                    for e in edges
                ),
                way.how,
                run,
                module,
                learned,
                way.fill,
                way.cut,
                schedule.holds.get(position, 0),
                bool(schedule.again.get(position)),
                max((e.after for e in at.edges), default=0),
                tuple(int(n) for n in line.walked.shapes[position].dims),
                kinds.get(at.name),
            )
        )
    made = Stream(lines, line.output, plan.block, plan.latency)
    made.plan, made.texts, made.calls, made.ties = plan, texts, calls, ties
    for path, leaf in held.items():
        hang(made, path, leaf)
    return made.eval()


def _still(plan: StreamPlan) -> set[int]:
    """Maps that depend on no position of the input, and are read."""
    line = plan.timeline
    network = line.walked.network
    found = {e.source for at in line.lines for e in at.edges if e.index is None}
    for position in range(len(line.lines) - 1, network.arity - 1, -1):
        if position in found:
            found.update(network.sources[position - network.arity])
    return found


def _read(edge: Edge, layer: Layer, axis: int | None, begins: bool = False, head: int = 0) -> Read:
    index = edge.index
    if index is None or axis is None:
        return Read(edge.source, even=0 if edge.even is None else edge.even + 1)
    if isinstance(index, Slide):
        where = (index.stride, index.first, index.kernel, index.dilation, index.border)
        return Read(edge.source, *where, begins=begins, head=head if index.border == "reflect" else 0)
    if hasattr(layer, "output_padding"):
        kernel, dilation = (one(getattr(layer, name), axis - 1) for name in ("kernel", "dilation"))
        return Read(edge.source, index.advance, 0, kernel, dilation, phases=index.phases)
    return Read(edge.source, index.advance, border=index.border, phases=index.phases, begins=begins)


def way_of(plan: StreamPlan, position: int, eps: float | None = None) -> Way:
    """How a node runs on a piece of its input.

    Raises:
        Unsupported: it cannot.
    """
    line = plan.timeline
    network = line.walked.network
    node, at = network.nodes[position - network.arity], line.lines[position]
    sources = network.sources[position - network.arity]
    layer: Any = at.layer
    xs, y = line.walked.input_shapes(position), line.walked.shapes[position]
    if at.axis is None:
        return Way("constant", twin_of(At(layer, xs, y, eps=eps)))
    if len(at.edges) != len(sources):
        raise Unsupported("what it reads cannot be given in pieces", where=node.name)
    if at.masked:
        offsets = getattr(node.layer, "offsets", None)
        made = twin_of(At(layer, (*xs, xs[0]), y, eps=eps))  # the mask comes as a fourth input
        return Way("attention", made, offsets[0] if offsets else 0)
    if at.carried:
        made = twin_of(At(layer, xs, y, eps=eps))
        return Way("recurrent" if made.module is not None else "running", made)
    if at.pointwise:
        piece = _open(layer, y, at.axis)
        if piece is not layer:
            return Way("window", twin_of(At(piece, xs, y, eps=eps)))
        geometry = getattr(layer, "geometry", None)
        if isinstance(layer, Pad):
            return Way("window", _padded(layer, xs, y, at.axis - 1))
        if geometry is None:
            cut = _cropped(layer, at.axis, len(y.dims))
            return Way("window", cut or twin_of(At(layer, xs, y, eps=eps)))
    moving = [e for e in at.edges if e.index is not None]
    if len(moving) != 1 or len(sources) != 1:
        raise Unsupported("several inputs cannot be read by windows", where=node.name)
    index = moving[0].index
    axis = line.lines[moving[0].source].axis
    assert axis is not None
    geometry = getattr(layer, "geometry", None)
    spatial = axis - 1
    if geometry is not None and hasattr(layer, "output_padding"):
        assert geometry.padding is not None
        a = geometry.around(xs[0].dims[axis], spatial)[0]
        piece = _without(layer, xs[0], axis, zero_extra=True)
        return Way("transposed", twin_of(At(piece, xs, y, eps=eps)), a)
    if isinstance(index, Slide):
        if geometry is not None:
            partial = getattr(layer, "count_padding", True) is False
            overhangs = geometry.rounding != "floor" and layer.outside == 0
            if partial or overhangs:
                return Way("whole", twin_of(At(layer, xs, y, eps=eps)), -index.first)
            piece, taps = _without(layer, xs[0], axis), None
            if getattr(layer, "taps", None):
                piece, taps = _used(piece, spatial, xs[0].rank)
            fill = layer.outside
            return Way("window", twin_of(At(piece, xs, y, eps=eps)), fill=fill, taps=taps)
        cut = _cropped(layer, axis, len(y.dims), index.stride)
        if cut is not None:
            return Way("window", cut)
        if isinstance(layer, Pad):
            return Way("window", _padded(layer, xs, y, spatial), fill=getattr(layer, "fill", 0.0))
        return Way("window", twin_of(At(_open(layer, y, at.axis), xs, y, eps=eps)))
    if isinstance(layer, Ruled):
        return Way("table", text_only(f"ruled({{0}}, {axis + 1}, {layer.rows}, {layer.by})"))
    if any(one(getattr(layer, "shift", (0,)), i) for i in range(len(getattr(layer, "shift", (0,))))):
        raise Unsupported("shifted windows cannot be run in pieces", where=node.name)
    return Way("table", twin_of(At(_open(layer, y, at.axis), xs, y, eps=eps)))


def _open(layer: Any, y: Shape, axis: int) -> Any:
    """The layer for any length of an axis; one axis may be left open, the others are told."""
    if layer.stretched(axis, -1) is layer:
        return layer
    return type(layer)(tuple(-1 if i == axis else int(n) for i, n in enumerate(y.dims)), layer.channel)


def _padded(layer: Any, xs: tuple[Shape, ...], y: Shape, axis: int) -> Twin:
    """The twin of padding (or cropping) along the other axes."""
    sides = [one(layer.padding, i) for i in range(xs[0].rank)]
    sides[axis] = (0, 0)
    if not any(a or b for a, b in sides):
        return Twin(None, "{0}")
    numbers = (layer.fill,) if hasattr(layer, "fill") else ()
    return twin_of(At(type(layer)(tuple(sides), layer.mode, *numbers), xs, y))


def _cropped(layer: Any, axis: int, rank: int, step: int = 1) -> Twin | None:
    """The expression of a layer that picks positions along the axis, once exactly these are given."""
    if layer.kind not in ("slice", "split", "gather"):
        return None
    own = getattr(layer, "axis", None)
    if own is None or own % rank != axis:
        return None
    return Twin(None, "{0}" if step == 1 else "{0}[" + ":, " * (axis + 1) + f"::{step}]")


def _without(layer: Any, x: Shape, axis: int, zero_extra: bool = False) -> Any:
    """The layer without padding along an axis; the other axes keep theirs, in numbers."""
    g = layer.geometry
    rank = x.rank
    sides = [g.around(n, i) for i, n in enumerate(x.dims[1:])]
    sides[axis - 1] = (0, 0)
    given = layer.given
    if "padding" in given:
        given["padding"] = tuple(sides)
    if zero_extra:
        extra = [one(layer.output_padding, i) for i in range(rank)]
        extra[axis - 1] = 0
        given["output_padding"] = tuple(extra)
    if "border" in given and not any(a or b for a, b in sides):
        given["border"] = "zeros"
    return type(layer)(**given)


def _used(layer: Any, axis: int, rank: int) -> tuple[Any, tuple[int, int, int]]:
    """A convolution of which some taps are not used with those along an axis from the first to the last that is, and
    which these are."""
    kernel = [one(layer.kernel, i) for i in range(rank)]
    inner, taps = prod(kernel[axis + 1 :]), layer.taps
    used = [t // inner % kernel[axis] for t, on in enumerate(taps) if on == "1"]
    first, count = min(used), max(used) - min(used) + 1
    left = "".join(on for t, on in enumerate(taps) if first <= t // inner % kernel[axis] < first + count)
    kernel[axis] = count
    made = type(layer)(**{**layer.given, "kernel": tuple(kernel), "taps": left})
    return made, (axis, first, count)


def _again(module: nn.Module) -> nn.Module:
    """The module once more, with the same parameters and buffers: the mode of the first one stays its own."""
    return deepcopy(module, {id(t): t for t in (*module.parameters(), *module.buffers())})


def _with_weights(
    made: ConstructorCall, whole: nn.Module, node: str, taps: tuple[int, int, int] | None = None
) -> nn.Module:
    """The module of a call with the parameters and buffers of the node's module in the whole network; of its kernel
    only some taps along an axis, where `taps` says which."""
    module = make(made)
    if type(module) is not type(whole):
        theirs = dict(whole.named_parameters())
        if {n: p.shape for n, p in theirs.items()} != {n: p.shape for n, p in module.named_parameters()}:
            raise Unsupported("its weights do not fit the piece", where=node)
    for inner, part in list(whole.named_modules()):
        mine = module.get_submodule(inner) if inner else module
        for name, parameter in part._parameters.items():
            if taps is not None and parameter is not None and name == "weight":
                used = parameter.detach().narrow(taps[0] + 2, *taps[1:])  # the same memory
                parameter = nn.Parameter(used, requires_grad=False)
            mine._parameters[name] = parameter
        for name, buffer in part._buffers.items():
            mine._buffers[name] = buffer
    return module
