"""Remedies for what is odd about a design, applied to the network and walked again before they are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from typing import Any, NamedTuple

from rfcalc.core.errors import RfcalcError, plural
from rfcalc.core.layer import Layer
from rfcalc.core.shape import Shape
from rfcalc.layers.conv import Conv
from rfcalc.plan.variants import CannotChange, NetworkDraft, along, readers_of, windowed, with_geometry
from rfcalc.plan.variants.width import Ties, parameters_added, rescaled
from rfcalc.report import Report, Row

MOST_BEYOND = 64  # positions beyond a size, among which one that the network takes is looked for
MOST_LAYERS = 100_000  # that are put behind a network, to see all of its image


class Remedy(NamedTuple):
    """What helps: words for it, and the report of the network (or of its input) after it; None where nothing was found
    that does."""

    told: str
    report: Report | None = None


def walked(report: Report, draft: NetworkDraft, inputs: Mapping[str, Shape] | None = None) -> Report | None:
    """A changed network, walked; None where it does not run."""
    about = {"batch": report.batch, "dtype": report.dtype, "target": report.target}
    try:
        return Report(draft.network(), inputs or report.inputs, **about)
    except (RfcalcError, CannotChange):
        return None


def replaced(report: Report, layers: Mapping[str, Layer]) -> Report | None:
    """The network with other layers at some of its nodes."""
    draft = NetworkDraft(report)
    for name, layer in layers.items():
        draft.replace(name, layer)
    return walked(report, draft)


def at_size(report: Report, spatial: Sequence[int]) -> Report | None:
    """The network at another size of its first input, where it runs there with as many parameters."""
    name, shape = next(iter(report.inputs.items()))
    other = Shape(*_sized(shape, spatial), channel=shape.channel)
    made = walked(report, NetworkDraft(report), {**report.inputs, name: other})
    return made if made is not None and made.totals.params == report.totals.params else None


def _sized(shape: Shape, spatial: Sequence[int]) -> Iterable[int]:
    sizes = dict(zip(shape.axes, spatial, strict=True))
    return [int(sizes.get(axis, n)) for axis, n in enumerate(shape.dims)]


def larger_images(report: Report) -> Remedy:
    """The smallest images, at most a few positions beyond what is seen, at which every layer still sees more."""
    nodes, arity = report.network.nodes, report.network.arity
    fields = [report[nodes[p - arity].inputs[0]].receptive_field.size for p in sorted(report.unproductive)]
    least = [max(int(size[axis] or 1) for size in fields) for axis in range(len(fields[0]))]
    for more in range(MOST_BEYOND):
        made = at_size(report, [n + more for n in least])
        if made is not None and not made.unproductive:
            return Remedy(f"images of {by([n + more for n in least])} pixels use all of them", made)
    return Remedy("it takes no image so large that all of them see more")


def without_biases(report: Report, biases: Mapping[str, int]) -> dict[str, Remedy]:
    """Layers, each with its number of biases, without them: for each what it saves, and the network in which none of
    them has any. One walk proves all; where the network does not run so, each is tried by itself."""
    layers = {name: report[name].node.layer for name in biases}
    bare = {name: layer.changed(bias=False) for name, layer in layers.items() if "bias" in layer.given}
    made = replaced(report, bare) if bare else None
    if made is not None and report.totals.params - made.totals.params == sum(biases[name] for name in bare):
        told = {
            name: Remedy(f"without them (nobias) there are {plural(biases[name], 'parameter')} fewer", made)
            for name in bare
        }
    elif len(bare) > 1:
        told = {name: without_biases(report, {name: biases[name]})[name] for name in bare}
    else:
        told = {}
    return {name: told.get(name, Remedy("its kind has no form without them")) for name in biases}


def more_channels(report: Report, rows: Sequence[Row], ties: Ties) -> dict[str, Remedy]:
    """The next multiple of 8 for layers, and for those whose maps theirs are added to: for each what it costs, and the
    network in which all have so many. One walk proves all; where the network does not run so, each is tried by itself.
    """
    same = ties.classes
    readers = readers_of(report)
    tied = {row.name: same.get(ties.first(row.name), []) for row in rows}
    factors = {row.name: _to_multiple(row) for row in rows}
    added: dict[str, int] = {}
    for row in (row for row in rows if tied[row.name]):
        with suppress(CannotChange):
            added[row.name] = parameters_added(report, readers, dict.fromkeys(tied[row.name], factors[row.name]))
    fitting = [row for row in rows if row.name in added]
    made = _with_channels(report, fitting, tied, factors) if fitting else None
    told = {}
    for row in rows:
        wanted = int(row.shape.channels * factors[row.name])
        alone = made is None and row.name in added
        after = _with_channels(report, [row], tied, factors) if alone else made
        if after is None or row.name not in added:
            told[row.name] = Remedy(
                f"{wanted} channels are the next that are, but what reads them does not take as many"
            )
            continue
        others = len(tied[row.name]) - 1
        also = f" (and of {plural(others, 'layer')} with the same)" if others else ""
        more = plural(added[row.name], "parameter")
        told[row.name] = Remedy(f"{wanted} channels are the next that are{also}: {more} more", after)
    return told


def _to_multiple(row: Row) -> Fraction:
    """By how much its channels have to grow to be a multiple of 8."""
    n = int(row.shape.channels)
    return Fraction(-(-n // 8) * 8, n)


def _with_channels(
    report: Report, rows: Sequence[Row], tied: Mapping[str, Sequence[str]], factors: Mapping[str, Fraction]
) -> Report | None:
    """The network with more channels of layers and those that have the same; None where it does not run so."""
    draft = NetworkDraft(report)
    try:
        rescaled(draft, {name: factors[row.name] for row in rows for name in tied[row.name]})
        made = walked(report, draft)
    except CannotChange:
        return None
    kept = made is not None and all(made[r.name].shape.channels == r.shape.channels * factors[r.name] for r in rows)
    return made if kept else None


def smaller_dilation(report: Report, name: str, most: int) -> Report | None:
    """A layer with another dilation, padded so that its map keeps its size."""
    row = report[name]
    layer: Any = row.node.layer
    if not hasattr(layer, "dilation") or not windowed(report, row.position):
        return None
    rank = row.shape.rank
    kernel, dilation = along(layer.kernel, rank), along(layer.dilation, rank)
    changed: dict[str, Any] = {"dilation": (most,)}
    if not isinstance(layer.padding, str):
        sides = []
        for k, d, (a, b) in zip(kernel, dilation, along(layer.padding, rank), strict=True):
            total = max(0, a + b - (d - most) * (k - 1))
            before = total * a // (a + b) if a + b else 0
            sides.append((before, total - before))
        changed["padding"] = tuple(sides)
    return replaced(report, {name: with_geometry(layer, **changed)})


def odd_kernels(report: Report, rows: Sequence[Row]) -> dict[str, Remedy]:
    """Layers with odd kernels, one smaller or larger: what they cost, and the network in which all have them."""
    found = {
        row.name: [o for less in (True, False) if (o := _odd_kernel(report, row, less)) is not None] for row in rows
    }
    made = replaced(report, {name: options[0][0] for name, options in found.items() if options})
    return {
        name: Remedy("; ".join(told for _, told in options), made if options else None)
        for name, options in found.items()
    }


def _odd_kernel(report: Report, row: Row, less: bool) -> tuple[Layer, str] | None:
    """A layer whose even kernels are odd, padded so that its map keeps its size, and words for it; None where it cannot
    be. All other maps stay as they are, so that the layer alone is walked."""
    layer: Any = row.node.layer
    rank = row.shape.rank
    kernel, dilation = along(layer.kernel, rank), along(getattr(layer, "dilation", (1,)), rank)
    step = -1 if less else 1
    sizes = tuple(k + step if k % 2 == 0 else k for k in kernel)
    changed: dict[str, Any] = {"kernel": sizes}
    told = by(sizes)
    if not isinstance(layer.padding, str):
        pads = []
        for k, m, d, (a, b) in zip(kernel, sizes, dilation, along(layer.padding, rank), strict=True):
            total = a + b + d * (m - k)
            if total < 0:
                return None
            centre = min(total, d * (m - 1) // 2)
            pads.append((a, b) if m == k else (centre, total - centre))
        changed["padding"] = tuple(pads)
        told += f" with padding {by([f'{a}:{b}' for a, b in pads])}"
    made = with_geometry(layer, **changed)
    xs = row.input_shapes
    try:
        kept = not row.node.group and made.output(*xs) == row.shape
        more = int(made.cost(xs, row.shape).params - row.cost.params) if kept else 0
    except RfcalcError:
        return None
    if not kept:
        return None
    change = f"{plural(abs(more), 'parameter')} {'more' if more > 0 else 'fewer'}" if more else "as many parameters"
    return made, f"{told} keeps the size, with {change}"


def more_layers(report: Report, row: Row, image: Sequence[int]) -> tuple[int, Report | None, int]:
    """So many 3 × 3 layers behind a map as see all of the image, how many are needed where their dilations double, and
    the network with the latter; (0, None, 0) where its stride is not known."""
    field = row.receptive_field
    stride, size = field.stride, field.size
    sides = zip(size, stride, image, strict=True)
    known = [(s, j, n) for s, j, n in sides if s is not None and j is not None and j > 0]
    if len(known) < len(image) or not row.shape.rank:
        return 0, None, 0
    layers = max(-(-max(0, n - s) // (2 * step)) for s, step, n in known)
    doubling = next(k for k in range(64) if all(s + 2 * step * (2**k - 1) >= n for s, step, n in known))
    if not 0 < layers <= MOST_LAYERS:
        return 0, None, 0
    made = _behind(report, row, [1] * int(layers))
    spread = _behind(report, row, [2**i for i in range(doubling)])
    for found in (made, spread):
        if found is None or not _sees(found, image):
            return 0, None, 0
    return int(layers), spread, doubling


def _behind(report: Report, row: Row, dilations: Sequence[int]) -> Report | None:
    """The network with layers behind a node, which is its output then."""
    draft = NetworkDraft(report)
    at = row.name
    for i, d in enumerate(dilations, 1):
        name = f"{row.name}_more{i}"
        draft.add(name, Conv(row.shape.channels, 3, padding=d, dilation=d), (at,))
        at = name
    draft.outputs = [at]
    return walked(report, draft)


def _sees(report: Report, image: Sequence[int]) -> bool:
    size = report.outputs[0].receptive_field.size
    return all(s is not None and s >= n for s, n in zip(size, image, strict=True))


def by(values: Any) -> str:
    """One number where all are alike, else all."""
    if not isinstance(values, (tuple, list)):
        return str(values)
    shown = [str(v) for v in values]
    return shown[0] if len(set(shown)) == 1 else " x ".join(shown)
