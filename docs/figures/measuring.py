"""Draws what gradients say of one unit beside what it sees: `python docs/figures/measuring.py` (needs PyTorch).

Every panel is measured by autograd on the module that `to_torch` builds; the counts are printed too, for the docs.
"""

from __future__ import annotations

from pathlib import Path

import torch
from make import FAINT, INK, SEEN, UNIT, page

import rfcalc
from rfcalc import BatchNorm, Conv, Expr, MaxPool, Network, ReLU, to_torch

HERE = Path(__file__).parent
SIDE, CELL = 20, 12
MISSED = "#d64545"


def chain(*, relu: bool = False, pool: bool = False, norm: bool = False, times: int = 1) -> Network:
    """Three 3 × 3 convolutions (or many), one of them with stride 2 unless a pool has it."""

    def conv(stride: int = 1) -> Expr:
        made: Expr = Conv(2, 3, stride=stride, padding=1)
        made = made >> BatchNorm() if norm else made
        return made >> ReLU() if relu else made

    net = conv()
    for _ in range(times - 1):
        net = net >> conv()
    return Network(net >> (MaxPool(2) if pool else conv(2)) >> Conv(2, 3, padding=1), f"1x{SIDE}x{SIDE}")


def seen(network: Network) -> set[tuple[int, int]]:
    """What the middle unit depends on, by rfcalc."""
    field_report = rfcalc.receptive_field(network)
    return {(y, x) for y, x in field_report.unit(field_report.centre_unit).pixels()}


def gradient(network: Network, dtype: torch.dtype, training: bool = False, scale: float = 1.0) -> set[tuple[int, int]]:
    """The pixels that the middle unit has a gradient for, with random weights."""
    torch.manual_seed(11)
    module = to_torch(network).to(dtype).train(training)
    with torch.no_grad():
        for weight in module.parameters():
            weight.mul_(scale)
    x = torch.randn(1, 1, SIDE, SIDE, dtype=dtype, requires_grad=True)
    y = module(x)
    y[0, :, y.shape[2] // 2, y.shape[3] // 2].sum().backward()
    assert x.grad is not None
    return {(i, j) for i, j in (x.grad[0, 0] != 0).nonzero().tolist()}


def stand_in(network: Network) -> set[tuple[int, int]]:
    x = torch.ones(1, 1, SIDE, SIDE, dtype=torch.float64, requires_grad=True)
    y = to_torch(network, measuring=True)(x)
    y[0, :, y.shape[2] // 2, y.shape[3] // 2].sum().backward()
    assert x.grad is not None
    return {(i, j) for i, j in (x.grad[0, 0] > 0).nonzero().tolist()}


def panels() -> list[tuple[str, set[tuple[int, int]], set[tuple[int, int]]]]:
    """Title, what is seen, what the gradient says."""
    plain, relu, pool = chain(), chain(relu=True), chain(pool=True)
    deep, norm = chain(times=5), chain(norm=True)
    return [
        ("stand-in, float64", seen(pool), stand_in(pool)),
        ("ReLU", seen(relu), gradient(relu, torch.float64)),
        ("max pooling", seen(pool), gradient(pool, torch.float64)),
        ("batch statistics", seen(norm), gradient(norm, torch.float64, training=True)),
        ("float32, small weights", seen(deep), gradient(deep, torch.float32, scale=1.3e-6)),
        ("plain, float64", seen(plain), gradient(plain, torch.float64)),
    ]


def main() -> None:
    body: list[str] = []
    for i, (title, right, measured) in enumerate(panels()):
        x0, y0 = 12 + i % 3 * (SIDE * CELL + 36), 34 + i // 3 * (SIDE * CELL + 84)
        body.append(f'<text x="{x0}" y="{y0 - 10}" class="title">{title}</text>')
        for y in range(SIDE):
            for x in range(SIDE):
                here, found = (y, x) in right, (y, x) in measured
                fill = SEEN if here and found else MISSED if here else UNIT if found else "white"
                place = f'x="{x0 + x * CELL}" y="{y0 + y * CELL}" width="{CELL}" height="{CELL}"'
                body.append(f'<rect {place} fill="{fill}" stroke="{FAINT}"/>')
        told = f"sees {len(right)}: found {len(right & measured)}"
        told += f", and {len(measured - right)} more" if measured - right else ""
        body.append(f'<text x="{x0}" y="{y0 + SIDE * CELL + 20}" fill="{INK}">{told}</text>')
        print(f"{title}: {told}")
    told = f'<tspan fill="{SEEN}">■</tspan> seen and found  <tspan fill="{MISSED}">■</tspan> missed'
    height = 34 + 2 * (SIDE * CELL + 84)
    body.append(
        f'<text x="12" y="{height - 24}">{told}  <tspan fill="{UNIT}">■</tspan> through batch statistics</text>'
    )
    (HERE / "measuring.svg").write_text(page(12 + 3 * (SIDE * CELL + 36), height, body), encoding="utf-8")


if __name__ == "__main__":
    main()
