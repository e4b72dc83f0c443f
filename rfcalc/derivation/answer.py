"""The end of an explanation: the figure as it is printed, the answer in a sentence, what it rests on."""

from __future__ import annotations

from typing import Any

from rfcalc.core.size import is_number
from rfcalc.derivation.model import DerivationSection, Explanation
from rfcalc.report import Report
from rfcalc.report.data import CONVENTIONS
from rfcalc.report.metrics import Metric

SAID = {  # which conventions a metric rests on
    "params": ("params",),
    "weights": ("params",),
    "biases": ("params",),
    "buffers": ("params",),
    "macs": ("macs",),
    "flops": ("macs",),
    "values": ("values",),
    "bytes": ("values",),
    "receptive_field": ("receptive_field",),
    "seen": ("receptive_field",),
    "padding": ("padding",),
    "peak_bytes": ("peak_bytes",),
    "saved_bytes": ("saved_bytes",),
}


def finish(
    report: Report,
    chosen: Metric,
    node: str,
    value: Any,
    sections: tuple[DerivationSection, ...],
    source: str = "",
    said: str = "",
) -> Explanation:
    """The explanation, with what it rests on."""
    shown = said or _shown(chosen, value)
    of = f"of {node} in {report.target}" if node else f"of {report.target}"
    found = [f"{key}: {CONVENTIONS[key]}" for key in SAID.get(chosen.name, ())]
    if not (is_number(report.batch) and report.batch == 1):
        found.append(f"batch: {report.batch}")
    if chosen.name in ("bytes", "peak_bytes", "saved_bytes"):
        found.append(f"dtype: {report.dtype}, {report.itemsize} bytes a value; MB is 10^6 bytes, MiB 2^20")
    return Explanation(
        report.network.name,
        report.target,
        chosen.name,
        chosen.meaning,
        node,
        source,
        value,
        shown,
        f"{chosen.name.replace('_', ' ')} {of}: {shown}",
        sections,
        tuple(found),
        report.assumptions,
    )


def _shown(chosen: Metric, value: Any) -> str:
    """A figure for the answer: bytes in full and in a unit, the others in full."""
    from rfcalc.report.units import binary, bytes_short

    if value is None or value == "":
        return "none"
    if chosen.name.endswith("bytes") or chosen.name == "bytes":
        full = chosen.full(value)
        if is_number(value) and value >= 1000:
            return f"{full} bytes = {bytes_short(value)} = {binary(value)}"
        return f"{full} bytes"
    if isinstance(value, tuple) and any(hasattr(v, "subs") for v in value):
        from rfcalc.derivation.algebra import UNICODE, number

        texts = [number(v, UNICODE) for v in value]
        return "×".join(f"({t})" if getattr(v, "is_Add", False) else t for t, v in zip(texts, value, strict=True))
    if not is_number(value) and hasattr(value, "free_symbols"):
        from rfcalc.derivation.algebra import UNICODE, symbol

        return symbol(value, UNICODE)
    return chosen.full(value)
