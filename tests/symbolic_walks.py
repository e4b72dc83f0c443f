"""Compares formulas with numbers put in against the integer walk, figure by figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import rfcalc
from rfcalc import symbolic
from rfcalc.formulas.forms import NotClosed
from rfcalc.formulas.result import FIGURES, Symbolic

NUMERIC = ("weights", "biases", "buffers", "macs", "values", "bytes", "saved_bytes")


def agree(found: Symbolic, values: Mapping[str, Any], exact: rfcalc.Report, peak: bool = True) -> int:
    """Assert that every figure of every layer, and every total, is the integer walk's; how many were compared."""
    count = 0
    single = False  # a map has shrunk to one position: of one position nothing is global
    numbered = found.with_numbers(values)
    told_of_one = any("; here it is 1: along this axis" in text for text in numbered.assumptions)
    for line, put, row in zip(found, numbered, exact, strict=True):
        where = (found.target, dict(values), line.name)
        assert put.output_shape == row.output_shape, where
        for name in NUMERIC:
            assert put.figures[name] == getattr(row, name), (*where, name)
        assert put.ops == {k: v for k, v in row.ops.items() if k != "macs"}, where
        field = row.receptive_field
        single = single or any(
            d == 1 and size != 1 for d, size in zip(put.output_shape, line.output_shape, strict=True)
        )
        if single and put.field["status"] != field.status:
            assert told_of_one, where  # at these very numbers
            continue
        if single and field.status == "global":  # of an axis with one position the integer walk knows a size
            pairs = list(zip(put.field["size"], field.size, strict=True))
            assert all(told in (None, size) for told, size in pairs), where
            if any(told is None and size is not None for told, size in pairs):
                assert told_of_one, where  # at these very numbers
                continue
        assert put.field["status"] == field.status or put.field["status"] == "needs_input_size", where
        if put.field["status"] != "needs_input_size":
            for name in ("size", "stride", "padding", "center"):
                assert put.field[name] == tuple(getattr(field, name)), (*where, name)
        count += 1
    totals = found.put(**values)
    for name in (*FIGURES, "weight_layers"):
        assert totals[name] == getattr(exact.totals, name), (found.target, dict(values), name)
    if peak:
        assert totals["peak_bytes"] == exact.totals.peak_bytes, (found.target, dict(values))
    return count


def closed(text: str, values: Mapping[str, int], unrolled: str, shape: tuple[int, ...], **how: Any) -> Symbolic:
    """Assert that a chain with repetitions of unknown count gives the figures of the unrolled one."""
    found = symbolic(text, **how)
    exact = rfcalc.analyze(unrolled, shape)
    given = {k: v for k, v in values.items() if k in found.symbols}
    for name, value in found.put(**given).items():
        assert not isinstance(value, NotClosed)
        assert value == getattr(exact.totals, name), (text, dict(values), name, value)
    last, row = found.with_numbers(given).last, exact.rows[-1]
    assert last.output_shape == row.output_shape, (text, dict(values))
    for name in ("size", "stride", "padding", "center"):
        have = last.field[name]
        if have and not any(v is None or isinstance(v, NotClosed) for v in have):
            assert have == tuple(getattr(row.receptive_field, name)), (text, dict(values), name)
    return found
