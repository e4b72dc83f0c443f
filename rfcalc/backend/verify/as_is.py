"""What the gradient of the plain network says of a receptive field, and why it says less (or more).

The network is changed one step at a time, weights kept: double precision, activations as identities, means for maxima,
weights made positive, evaluation mode. What a step brings back was lost to what it takes away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from rfcalc.backend.build import to_torch
from rfcalc.backend.graph import NetworkModule
from rfcalc.backend.verify.finding import BOUNDED, EQUAL, Finding
from rfcalc.backend.verify.gradient import Unit, chosen_nodes, derivatives
from rfcalc.backend.verify.saved import DTYPES, examples
from rfcalc.core.layer import Layer
from rfcalc.graph.network import Network
from rfcalc.layers.pointwise import Activation, Identity
from rfcalc.layers.pool import AvgPool, MaxPool
from rfcalc.receptive.region_walk import regions
from rfcalc.report import Report


def without(network: Network, change: Callable[[Layer], Layer]) -> Network:
    """The network with its layers changed one by one; names and weights stay."""
    nodes = [(n.name, change(n.layer), n.inputs) for n in network.nodes]
    return Network.from_nodes(nodes, dict(network.inputs), outputs=network.outputs)


def linear(layer: Layer) -> Layer:
    return Identity() if isinstance(layer, Activation) else layer


def averaged(layer: Layer) -> Layer:
    if not isinstance(layer, MaxPool):
        return linear(layer)
    same = {name: getattr(layer, name) for name in ("kernel", "stride", "padding", "rounding")}
    return AvgPool(**same) if max(layer.dilation) == 1 else layer


def explained(report: Report, weights: NetworkModule, device: str, tick: Callable[[str], None]) -> Iterator[Finding]:
    """The middle unit of each chosen node: how many of its pixels the plain gradient finds, and what hides the rest."""
    for name in chosen_nodes(report):
        walk = regions(report, name)
        unit = tuple(n // 2 for n in report[name].shape.spatial)
        right = set(walk.unit(unit).pixels())
        dtype = DTYPES[report.dtype]
        steps = [
            (f"as it is, {report.dtype}, training mode", report.network, dtype, False, True),
            (f"evaluation mode, {report.dtype}", report.network, dtype, False, False),
            ("in float64", report.network, torch.float64, False, False),
            ("activations as identities", without(report.network, linear), torch.float64, False, False),
            ("means for maxima", without(report.network, averaged), torch.float64, False, False),
            ("positive weights", without(report.network, averaged), torch.float64, True, False),
        ]
        lost = (
            "",
            "pixels seen through batch statistics, or by dropout's draw",
            "underflow",
            "activations that are off",
            "losing candidates of max pooling",
            "products that cancel",
        )
        before: set[Unit] | None = None
        last = steps[-1][0]
        for (told, network, kind, positive, training), why in zip(steps, lost, strict=True):
            tick(f"{name}: {told}")
            found = _gradient(report, network, weights, name, unit, kind, positive, training, device)
            note = "" if before is None else _difference(before, found, why)
            if told == last and found != right:
                note += (
                    f"{'; ' * bool(note)}{len(found ^ right):,} pixels stay unexplained: layers that are not linear yet"
                )
            verdict = EQUAL if found == right else BOUNDED
            hit = f"{len(found & right):,} of them" + (f", {len(found - right):,} others" if found - right else "")
            figure = f"unit {','.join(map(str, unit))}: {told}"
            yield Finding(
                "as_is", name, figure, f"{len(right):,} pixels", hit, verdict, "what each step explains", note
            )
            before = found


def _difference(before: set[Unit], after: set[Unit], why: str) -> str:
    gained, gone = len(after - before), len(before - after)
    told = [f"{gained:,} more" * bool(gained), f"{gone:,} fewer" * bool(gone)]
    told = [t for t in told if t]
    return f"{' and '.join(told)}: {why}" if told else ""


def _gradient(
    report: Report,
    network: Network,
    weights: NetworkModule,
    name: str,
    unit: Unit,
    dtype: torch.dtype,
    positive: bool,
    training: bool,
    device: str,
) -> set[Unit]:
    shapes = report.shapes
    graph = to_torch(network, dict(zip(report.inputs, shapes, strict=False)))
    _copy(weights, graph)
    graph = graph.to(device=device, dtype=dtype).train(training)
    inputs = [x.to(dtype) for x in examples(report, device)]
    if positive:
        with torch.no_grad():
            for p in graph.parameters():
                p.abs_()
        inputs = [x.abs() for x in inputs]
    inputs[0].requires_grad_()
    value: Tensor = graph.run(*inputs, keep=(name,))[name]
    (found,) = derivatives(value, inputs[0], shapes[network.position(name)], shapes[0], [unit])
    return found


def _copy(given: NetworkModule, to: nn.Module) -> None:
    own = to.state_dict()
    with torch.no_grad():
        for key, tensor in given.state_dict().items():
            if key in own and own[key].shape == tensor.shape:
                own[key].copy_(tensor)
