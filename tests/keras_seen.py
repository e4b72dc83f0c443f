"""What a Keras model's units really see: its own answer when one position of its input changes, beside the reading."""

from __future__ import annotations

import os
from itertools import permutations, product
from math import prod
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import torch

from rfcalc import Report, from_keras
from rfcalc.receptive.region_walk import regions

Places = frozenset[tuple[int, ...]]


def moved(model: Any, channel: int, seed: int = 0) -> tuple[Any, list[tuple[int, ...]]]:
    """Which values of the outcome change (places × the output's own axes) when one place of the input does.

    Args:
        channel: the axis of the input (without the batch) that counts channels.
    """
    chance = torch.Generator().manual_seed(seed)
    for w in model.weights:
        if "float" in str(w.dtype):
            drawn = torch.rand(tuple(w.shape), generator=chance, dtype=torch.float64) * 0.2 + 0.1
            w.assign(drawn / max(1, prod(w.shape[:-1]) / 6))
    shape = tuple(model.inputs[0].shape[1:])
    extents = [n for i, n in enumerate(shape) if i != channel]
    places = list(product(*map(range, extents)))
    changed: Any = None
    for _ in range(3):
        x = torch.rand((1, *shape), generator=chance, dtype=torch.float64)
        plain = x.repeat(len(places), *[1] * len(shape))
        batch = plain.clone()
        for i, place in enumerate(places):
            at = [*place[:channel], slice(None), *place[channel:]]
            batch[(i, *at)] = torch.rand(shape[channel], generator=chance, dtype=torch.float64) * 3
        with torch.no_grad():
            differs = model(batch) != model(plain)  # the same item of a batch is rounded in the same order
        changed = differs if changed is None else changed | differs
    return changed, places


def compared(model: Any, channel: int) -> str:
    """What differs between the reading of a model and the model itself; nothing where they agree."""
    found = from_keras(model)
    report = Report(found.network)
    if not found.complete:
        return f"not understood: {[str(u) for u in found.unknown]}"
    told = [prod(w.shape) for w in model.trainable_weights]
    if report.totals.params != sum(told):
        return f"{report.totals.params} parameters, Keras {sum(told)}"
    row = report[found.network.outputs[0]]
    own = tuple(model.outputs[0].shape[1:])
    changed, places = moved(model, channel)
    if len(own) < 2:
        return "" if prod(row.shape.dims) == prod(own) else f"{row.shape.dims}, Keras {own}"
    seen = regions(report, row.name)
    faults = ""
    bare = row.shape.dims == (1, *own) and row.shape.channel == 0  # the channels are gone
    orders = [p for p in permutations(range(len(own))) if tuple(own[i] for i in p) == row.shape.dims[bare:]]
    if not orders:
        return f"{row.shape.dims}, Keras {own}"
    for order in orders:
        gone = None if bare else order[row.shape.channel]
        kept = [i for i in order if i != gone]
        joined = changed if gone is None else changed.any(dim=1 + gone)  # places × the other axes, in Keras' order
        left = [k for k in range(len(own)) if k != gone]
        faults = ""
        for unit in product(*(range(own[i]) for i in kept)):
            at = dict(zip(kept, unit, strict=True))
            flags = joined[(slice(None), *(at[k] for k in left))]
            real = {p for p, on in zip(places, flags.tolist(), strict=True) if on}
            mine = set(seen.unit(unit).pixels())
            if mine != real:
                over, missed = sorted(mine - real)[:3], sorted(real - mine)[:3]
                faults = f"unit {unit}: {len(mine)} places, Keras {len(real)}; not real {over}, missed {missed}"
                break
        if not faults:
            return ""
    return faults
