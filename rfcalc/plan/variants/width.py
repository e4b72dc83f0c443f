"""Channels scaled: every layer inside of the network with a part or a multiple of its channels, the outputs' stay."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from math import lcm

from rfcalc.core.errors import RfcalcError
from rfcalc.core.layer import Layer
from rfcalc.core.size import is_number
from rfcalc.plan.variants import STAYS, Choice, Draft, Move, Option, Unfit, with_geometry
from rfcalc.report.report import Report

FACTORS = tuple(Fraction(n, 8) for n in (2, 3, 4, 5, 6, 7, 10, 12, 16))
MULTIPLE = 8  # of channels, where there are more than that


def scaled(channels: int, factor: Fraction, multiple: int = 1) -> int:
    """So many channels times a factor: a multiple of 8 (and of the groups) where there are enough.

    >>> scaled(64, Fraction(3, 8)), scaled(96, Fraction(1, 4)), scaled(6, Fraction(1, 2))
    (24, 24, 3)
    """
    wanted = channels * factor
    by = lcm(MULTIPLE, multiple) if channels >= 2 * MULTIPLE else multiple
    return max(by, int(wanted / by + Fraction(1, 2)) * by) if by > 1 else max(1, int(wanted))


def _out(layer: Layer) -> str | None:
    """The parameter that says how many channels come out."""
    return next((n for n in ("out_channels", "out_features") if is_number(getattr(layer, n, None))), None)


def ends(draft: Draft) -> set[str]:
    """The layers that make the channels of an output: none with weights of that kind stands behind them."""
    found: set[str] = set()
    waiting, seen = list(draft.outputs), set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in draft.pieces:
            continue
        seen.add(name)
        piece = draft.pieces[name]
        if _out(piece.layer) is not None and not _depthwise(draft, name):
            found.add(name)
        else:
            waiting += piece.reads
    return found


def _depthwise(draft: Draft, name: str) -> bool:
    groups = getattr(draft.pieces[name].layer, "groups", 1)
    if name not in draft.report.network.positions:
        return False
    xs = draft.report[name].input_shapes
    return bool(groups != 1 and xs and is_number(groups) and groups == xs[0].channels)


def _change(factor: Fraction, draft: Draft) -> None:
    stay = ends(draft)
    shapes = dict(draft.report.inputs)
    old = dict(draft.report.inputs)
    for name, piece in draft.pieces.items():
        layer, word = piece.layer, _out(piece.layer)
        xs = tuple([shapes[r] for r in piece.reads])
        before = tuple([old[r] for r in piece.reads])
        try:
            old[name] = layer.output(*before)
            if word is not None and layer.weight_layers:
                out, groups = int(getattr(layer, word)), int(getattr(layer, "groups", 1))
                changed: dict[str, int] = {}
                if groups != 1 and groups == before[0].channels:  # a depthwise layer has a group for each channel
                    changed = {"groups": int(xs[0].channels), word: int(xs[0].channels) * (out // groups)}
                elif name not in stay:
                    changed = {word: scaled(out, factor, groups)}
                if getattr(layer, "in_features", None) is not None:
                    changed["in_features"] = int(xs[0].dims[-1])
                layer = with_geometry(layer, **changed) if changed else layer
            shapes[name] = layer.output(*xs)
        except RfcalcError as error:
            raise Unfit(f"{name}: {error.what}") from None
        draft.replace(name, layer)


def choices(report: Report) -> list[Choice]:
    """One factor for the whole network."""
    draft = Draft(report)
    inside = [n for n, p in draft.pieces.items() if _out(p.layer) is not None and p.layer.weight_layers]
    if not set(inside) - ends(draft):
        return []
    options = [Option(f"channels × {f}", partial(_change, f), max(f, 1 / f) - 1) for f in FACTORS]
    return [Choice("channels", (STAYS, *options))]


MOVE = Move("width", "channels scaled, those of the outputs as they are", choices, 3)
