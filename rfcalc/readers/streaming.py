"""Streams for what a user may name: `rfcalc.stream`."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rfcalc.core.dtypes import DTYPES
from rfcalc.core.errors import ShapeError, UnknownName, Unsupported
from rfcalc.core.shape import Shape
from rfcalc.graph.forward import Shaped, Walked, forward, shapes_of_inputs
from rfcalc.readers.target import analyze

if TYPE_CHECKING:
    from rfcalc.plan.stream import StreamPlan


def stream(
    target: Any,
    input: Any = None,  # noqa: A002
    axis: int = -1,
    *,
    rate: Any = None,
    at: str | None = None,
    dtype: str = "float32",
) -> StreamPlan:
    """How a network runs along one axis, block by block: look-ahead, latency, blocks, caches, delays, blockers.

    Args:
        target, input: as for `analyze`.
        axis: the spatial axis of the (first) input, from 0; -1 is the last.
        rate: positions of the input in a second (``16000``, ``"44.1kHz"``), for milliseconds.
        at: the node that is the output; the first output if left out.
        dtype: of the values that are kept.

    Raises:
        RfcalcError: what cannot be read, an axis that is not there, a rate that is not positive.

    >>> import rfcalc
    >>> plan = rfcalc.stream("conv3-16 p1 > relu > conv3-16 p1", "1x16000", rate=16000)
    >>> plan.lookahead, plan.latency, plan.latency_ms, plan.state
    (2, 2, 0.125, {'values': 34, 'bytes': 136})
    """
    from rfcalc.plan.attention import gathered
    from rfcalc.plan.blockers import Blocker
    from rfcalc.plan.stream import plan

    if dtype not in DTYPES:
        raise UnknownName("dtype", dtype, list(DTYPES))
    report = analyze(target, input, dtype=dtype)
    more = whole_blocks(report, axis)
    if more is not None:  # code may decide by its length: it is read at whole blocks
        with suppress(ShapeError):
            report = analyze(target, more, dtype=dtype)
    made = plan(
        report,
        axis,
        rate=rate,
        at=at,
        itemsize=DTYPES[dtype],
        dtype=dtype,
        name=report.target,
        assumptions=tuple(report.assumptions),
    )
    found = None if made.possible else gathered(report, at)
    torch = sys.modules.get("torch")
    if found is None or torch is None or not isinstance(target, torch.nn.Module):
        return made
    if made.blockers[0].node not in found.scores:
        return made
    try:  # the module runs, to see what it does to its scores
        walked = _with_numbers(target, input if more is None else more, at)
    except Unsupported as error:
        return replace(made, blockers=(Blocker(error.where or made.name, error.why or error.what, error.fix or ""),))
    name, told = made.name, tuple(report.assumptions)
    return plan(walked, axis, rate=rate, at=at, itemsize=made.itemsize, dtype=dtype, name=name, assumptions=told)


def _with_numbers(module: Any, given: Any, at: str | None) -> Walked:
    """The walk of a module with what it does to the scores of its attentions.

    Raises:
        Unsupported: it is more than a factor and a bias by distance.
    """
    from rfcalc.plan.attention import gathered
    from rfcalc.readers.torch.importer import from_torch
    from rfcalc.readers.torch.scores import with_scores

    read = from_torch(module, given)
    walked = forward(read.network, shapes_of_inputs(read.network))
    found = gathered(walked, at)
    assert found is not None
    network, _ = with_scores(module, read, found.network, found.scores, walked)
    return forward(network, shapes_of_inputs(network))


def whole_blocks(walked: Shaped, axis: int = -1) -> Any:
    """The inputs' shapes with the next length along the axis that is a whole number of blocks; None where it is one."""
    from rfcalc.plan.timeline import Timeline

    line = Timeline(walked, axis)
    if line.blockers or not line.moving:
        return None
    size, at = line.block[0], line.lines[0].axis
    assert at is not None
    if not line.length % size:
        return None
    shapes = dict(zip(walked.network.inputs, walked.shapes, strict=False))
    name, shape = next(iter(shapes.items()))
    length = -(-line.length // size) * size
    shapes[name] = Shape(*shape.dims[:at], length, *shape.dims[at + 1 :], channel=shape.channel)
    return shapes[name] if len(walked.network.inputs) == 1 else {n: shapes[n] for n in walked.network.inputs}
