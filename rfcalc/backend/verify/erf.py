"""The effective receptive field: squared gradients over random initialisations, beside the closed form.

For a linear network with independent weights of mean zero the expected squared gradient of a pixel is the sum over its
paths of the product of variances: the closed form's mass. With activations the two are close, not equal, so the
finding states its bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from rfcalc.backend.build import to_torch
from rfcalc.backend.initial import initialise
from rfcalc.backend.verify.finding import BOUNDED, DISAGREES, UNSEEN, Finding
from rfcalc.backend.verify.gradient import chosen_nodes
from rfcalc.core.atomic import draft
from rfcalc.receptive.effective import Spread, effective
from rfcalc.report import Report

BOUND = 0.25  # of the closed form's standard deviation
DRAWS = 12


class Mass(NamedTuple):
    """Mean squared gradients of one unit by pixel, and the closed form along each axis."""

    node: str
    measured: torch.Tensor
    closed: tuple[Spread, ...]


def masses(report: Report, device: str, draws: int, tick: Callable[[str], None]) -> Iterator[Mass]:
    """The middle unit of each chosen node."""
    network, shapes = report.network, report.shapes
    for name in chosen_nodes(report):
        unit = tuple(n // 2 for n in report[name].shape.spatial)
        closed = effective(report, network.position(name), unit)
        if any(s is None for s in closed):
            continue
        graph = to_torch(network, dict(zip(report.inputs, shapes, strict=False))).to(device).eval()
        total: torch.Tensor | None = None
        for draw in range(draws):
            tick(f"{name}: initialisation {draw + 1} of {draws}")
            initialise(graph, "kaiming-fan-in", seed=draw)
            generator = torch.Generator().manual_seed(draw)
            inputs = [torch.randn(1, *s.dims, generator=generator).to(device) for s in shapes[: network.arity]]
            inputs[0].requires_grad_()
            value = graph.run(*inputs, keep=(name,))[name]
            flat = value[0].movedim(shapes[network.position(name)].channel, 0)
            signs = torch.randint(0, 2, (len(flat),), generator=generator).to(device) * 2.0 - 1
            (found,) = torch.autograd.grad((flat[(slice(None), *unit)] * signs).sum(), inputs[0])
            mass = found[0].double().movedim(shapes[0].channel, 0).square().sum(0)
            total = mass if total is None else total + mass
        assert total is not None
        yield Mass(name, (total / total.sum().clamp(min=1e-300)).cpu(), tuple(s for s in closed if s is not None))


def spread(mass: torch.Tensor, axis: int) -> Spread:
    """The mass along one axis."""
    line = mass.movedim(axis, 0).reshape(mass.shape[axis], -1).sum(1)
    return Spread({i: float(m) for i, m in enumerate(line.tolist())})


def findings(found: list[Mass], draws: int) -> Iterator[Finding]:
    """Standard deviations and the intervals that hold 95 %, axis by axis."""
    for mass in found:
        for axis, closed in enumerate(mass.closed):
            measured = spread(mass.measured, axis)
            near = abs(measured.sigma - closed.sigma) <= BOUND * closed.sigma
            low, high = closed.interval()
            a, b = measured.interval()
            yield Finding(
                "erf",
                mass.node,
                f"axis {axis}: standard deviation",
                round(closed.sigma, 3),
                round(measured.sigma, 3),
                BOUNDED if near else DISAGREES,
                f"± {BOUND:.0%}",
                f"95 % within {high - low + 1} by the closed form, {b - a + 1} measured over {draws} initialisations",
            )
    if not found:
        yield Finding("erf", "", "effective receptive field", None, None, UNSEEN, "", "no gradient reaches a map")


def picture(found: list[Mass], file: Path) -> None:
    """Measured beside closed form, one row a node (needs matplotlib)."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(len(found), 2, figsize=(9, 4.2 * len(found)), squeeze=False)
    for (left, right), mass in zip(axes, found, strict=True):
        if mass.measured.dim() == 2:
            left.imshow(mass.measured.sqrt().numpy(), cmap="magma")
            left.set_title(f"{mass.node}: |gradient|, root mean square")
        else:
            left.axis("off")
        for axis, closed in enumerate(mass.closed):
            measured = spread(mass.measured, axis).shares
            right.plot(list(measured), list(measured.values()), label=f"measured, axis {axis}")
            right.plot(list(closed.shares), list(closed.shares.values()), "--", label=f"closed form, axis {axis}")
        right.set_title("share of the squared gradient along each axis")
        right.set_xlabel("position")
        right.legend()
    figure.tight_layout()
    with draft(file) as made:
        figure.savefig(made, dpi=120, format="png")
    plt.close(figure)
