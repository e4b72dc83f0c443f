"""Formulas for what a user may name: `rfcalc.symbolic`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import lcm
from typing import Any

from rfcalc.core.errors import RfcalcError
from rfcalc.derivation.sources import source_of
from rfcalc.formulas.formulas import formulas
from rfcalc.formulas.result import Symbolic
from rfcalc.formulas.solve import Solution
from rfcalc.formulas.solve import cheaper as settle
from rfcalc.formulas.symbols import spelled
from rfcalc.readers.target import analyze


def symbolic(
    target: Any,
    input: Any = None,  # noqa: A002
    symbols: Iterable[str] | str | None = None,
    assume: Iterable[str] | str = (),
    *,
    general: bool = False,
    dtype: str = "float32",
) -> Symbolic:
    """The figures of a network as formulas: expressions of sympy in the symbols H, W, C, N, B, or your own.

    Args:
        target: as for `analyze`; in notation, names may stand for numbers (``"convK-C xN"``).
        input: an input shape, or shapes by name; a text may have names in it (``"CxHxW"``).
        symbols: which of the network's figures become symbols (``"H,W,C"``); all that it has if left out.
        assume: what is known of symbols: ``"K odd, H divisible by 32"``, or several such texts.
        general: keep the floors, and assume nothing about divisibility.
        dtype: of the values, for bytes.

    Raises:
        RfcalcError: unknown or clashing symbols, and whatever `analyze` refuses.

    >>> stack = symbolic("conv3-C nobias x3")
    >>> stack.totals.weights, stack.totals.macs, stack.rows["conv3"].receptive_field
    (27*C**2, 27*C**2*H*W, (7, 7))
    >>> stack.totals.macs.subs(stack.symbols["C"], 64)
    110592*H*W
    """
    try:
        return formulas(source_of(target, input), input, symbols, assume, general, dtype)
    except RfcalcError as error:
        if (
            error.walk is not None
        ):  # its layers may have symbols: valid sizes are looked for with those that have numbers
            error.walk = _walk_of(target, input)
        raise


def _walk_of(target: Any, input: Any) -> Any:  # noqa: A002
    """What a walk with numbers refuses; None where it refuses nothing."""
    try:
        analyze(target, input)
    except RfcalcError as error:
        return error.walk
    return None


def cheaper(
    target: Any, other: Any, by: str = "weights", *, values: Mapping[str, Any] | None = None, **how: Any
) -> Solution:
    """For which values of a symbol one design has less of a figure than another.

    Args:
        target, other: as for `symbolic`; symbols of the same name are the same symbol.
        by: the metric.
        values: numbers to put in for symbols of either.
        how: for `symbolic`.

    Raises:
        SymbolError: it depends on several symbols, or has no closed form.

    >>> cheaper("conv1-64 > conv3-64 > conv1-C", "conv3-C x2").smallest
    49
    """
    both = [symbolic(t, **how) for t in (target, other)]
    classes: dict[str, int] = {}
    for found in both:
        for d in found.declared.values():
            if isinstance(d.modulus, int):
                classes[d.name] = lcm(classes.get(d.name, 1), d.modulus)
    unequal = [n for n in classes if len({f.declared[n].key[1:3] for f in both if n in f.declared}) > 1]
    if unequal:  # one class for both
        said = how.get("assume", ())
        parts = [
            *(said.split(",") if isinstance(said, str) else said),
            *(f"{n} divisible by {classes[n]}" for n in unequal),
        ]
        parts = [p.strip() for p in parts if p.strip()]
        both = [
            symbolic(t, **{**how, "assume": [p for p in parts if spelled(p.split()[0]) in f.declared]})
            for t, f in zip((target, other), both, strict=True)
        ]
    given = values or {}
    one, two = (f.with_numbers({n: v for n, v in given.items() if n in f.declared}) for f in both)
    return settle(one, two, by)
