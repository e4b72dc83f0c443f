"""Streams for what a user may name: `rfcalc.stream`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rfcalc.core.dtypes import DTYPES
from rfcalc.core.errors import RfcalcError, ShapeError, UnknownName, Unsupported
from rfcalc.graph.forward import Shaped
from rfcalc.graph.network import Network
from rfcalc.readers.target import analyze

if TYPE_CHECKING:
    from rfcalc.plan.stream import StreamPlan


MOST_RUN = 20_000_000_000  # multiply-adds of a module that is run to see


def stream(
    target: Any,
    input: Any = None,  # noqa: A002
    axis: int = -1,
    *,
    rate: Any = None,
    at: str | None = None,
    dtype: str | None = None,
) -> StreamPlan:
    """How a network runs along one axis, block by block: look-ahead, latency, blocks, caches, delays, blockers.

    Args:
        target, input: as for `analyze`.
        axis: the spatial axis of the (first) input, from 0; -1 is the last.
        rate: positions of the input in a second (``16000``, ``"44.1kHz"``), for milliseconds.
        at: the node that is the output; the first output if left out.
        dtype: of the values that are kept; the module's own, or float32, if left out.

    Raises:
        RfcalcError: what cannot be read, an axis that is not there, a rate that is not positive.

    >>> import rfcalc
    >>> plan = rfcalc.stream("conv3-16 p1 > relu > conv3-16 p1", "1x16000", rate=16000)
    >>> plan.lookahead, plan.latency, plan.latency_ms, plan.state
    (2, 2, 0.125, {'values': 34, 'bytes': 136})
    """
    from rfcalc.plan.attention import gathered
    from rfcalc.plan.blockers import PART, Blocker, NoStream
    from rfcalc.plan.stream import plan

    if dtype is not None and dtype not in DTYPES:
        raise UnknownName("dtype", dtype, list(DTYPES))
    kind = dtype or "float32"
    report = analyze(target, input, dtype=kind)
    more = whole_blocks(report, axis)
    if more is not None:  # code may decide by its length: it is read at whole blocks
        with suppress(ShapeError):
            report = analyze(target, more, dtype=kind)
    made = plan(
        report,
        axis,
        rate=rate,
        at=at,
        itemsize=DTYPES[kind],
        dtype=kind,
        name=report.target,
        assumptions=tuple(report.assumptions),
    )
    torch = sys.modules.get("torch")
    held = torch is not None and isinstance(target, torch.nn.Module)
    module = target if held else module_of(report.network)
    if module is None:
        return made if not made.possible else replace(made, assumptions=(*made.assumptions, *_unbuilt(report, made)))
    attention = None if made.possible else gathered(report, at)
    if not made.possible and (attention is None or made.blockers[0].node not in attention.scores):
        return made
    if made.possible and report.totals.macs > MOST_RUN:
        told = (
            f"it was not built to see, because it is large ({report.totals.macs:,} multiply-adds); to_stream builds it"
        )
        return replace(made, assumptions=(*made.assumptions, told))
    try:  # it is built, and runs, so that what is said to be possible is
        build = import_module("rfcalc.backend.stream.build")
        built = build.to_stream(module, input if more is None else more, axis, at=at).plan
    except NoStream as error:
        return made.refused(error.blockers)
    except Unsupported as error:
        return made.refused([Blocker(error.where or made.output, _told(error), error.fix or PART)])
    kind = dtype or built.dtype
    return plan(
        built.timeline.walked,
        axis,
        rate=rate,
        at=at,
        itemsize=DTYPES[kind],
        dtype=kind,
        sizes=built.sizes,
        name=made.name,
        assumptions=tuple(report.assumptions),
    )


def _told(error: RfcalcError) -> str:
    return f"{error.what}: {error.why}" if error.why else error.what


def module_of(network: Network) -> Any:
    """The PyTorch module that a network was read from, with its weights; None where it was not."""
    torch, source = sys.modules.get("torch"), getattr(network, "source", None)
    module = getattr(source, "module", None)
    if torch is None or source is None or not isinstance(module, torch.nn.Module):
        return None
    return module if source.make is None else source.make()


def _unbuilt(walked: Shaped, made: StreamPlan) -> Iterator[str]:
    """What is noted where a network, which has no weights of its own, holds layers that no module is built of."""
    twins = import_module("rfcalc.backend.twin")
    network = walked.network
    for position, node in enumerate(network.nodes, network.arity):
        try:
            twins.twin_of(twins.At(node.layer, walked.input_shapes(position), walked.shapes[position]))
        except RfcalcError as error:
            yield (
                f"{node.name} cannot be built of what this names ({error.what}): to_stream needs the PyTorch module,"
                " rfcalc.to_stream(module, …)"
            )
            return


def whole_blocks(walked: Shaped, axis: int = -1) -> Any:
    """The inputs' shapes with the next length along the axis that is a whole number of blocks; None where it is one."""
    from rfcalc.plan.even import with_length
    from rfcalc.plan.timeline import Timeline

    line = Timeline(walked, axis)
    if line.blockers or not line.moving:
        return None
    size = line.block[0]
    if not line.length % size:
        return None
    length = -(-line.length // size) * size
    shapes = {
        name: shape if along.axis is None else with_length(shape, along.axis, int(length * along.rate))
        for name, shape, along in zip(walked.network.inputs, walked.shapes, line.lines, strict=False)
    }
    return shapes if len(shapes) > 1 else next(iter(shapes.values()))
