"""The summary that PyTorch and Keras users know: layer, output shape, parameters, line by line, and sizes below."""

from __future__ import annotations

from rfcalc.report import Report, Row
from rfcalc.report.document import Listing
from rfcalc.report.table import View
from rfcalc.report.units import binary, exact, megabytes, short

HEADS = ("Layer (type)", "Output shape", "Params", "Connected to")


def listing(report: Report, view: View) -> Listing:
    """The summary; every node has its line, the batch stands first in a shape."""
    lines = [(f"{name} (Input)", _shape(report, s.dims), "0", "") for name, s in report.inputs.items()]
    before = next(iter(report.inputs)) if len(report.inputs) == 1 else ""
    for row in [report[view.at]] if view.at else report:
        lines.append(_line(report, row, before))
        before = row.name
    columns = HEADS if any(line[3] for line in lines) else HEADS[:3]
    widths = [max(len(head), *(len(line[i]) for line in lines)) for i, head in enumerate(columns)]

    def line(cells: tuple[str, ...]) -> str:
        shown = zip(cells, widths, strict=False)
        return "  ".join(c.rjust(w) if i == 2 else c.ljust(w) for i, (c, w) in enumerate(shown)).rstrip()

    width = max(sum(widths) + 2 * (len(widths) - 1), 60)
    double, single = "=" * width, "-" * width
    lines_ = [double, line(columns), double, *map(line, lines), double, *_totals(report, single), double]
    return Listing("\n".join(lines_))


def _line(report: Report, row: Row, before: str) -> tuple[str, str, str, str]:
    params = exact(row.params)
    if row.shared_with and report[row.shared_with].params != 0:
        params = f"(of {row.shared_with})"
    connected = "" if row.inputs == (before,) or not row.inputs else ", ".join(row.inputs)
    return f"{row.name} ({type(row.node.layer).__name__})", _shape(report, row.output_shape), params, connected


def _shape(report: Report, dims: tuple[object, ...]) -> str:
    return f"[{', '.join(map(str, (report.batch, *dims)))}]"


def _totals(report: Report, rule: str) -> list[str]:
    totals = report.totals
    least = "" if report.complete else "at least "
    inputs = sum(s.values for s in report.inputs.values()) * report.batch * report.itemsize
    params = totals.params * report.itemsize
    buffers = [f"Non-trainable (running statistics): {least}{exact(totals.buffers)}"] if totals.buffers != 0 else []
    return [
        f"Total params: {least}{exact(totals.params)}",
        *buffers,
        f"Total mult-adds: {least}{short(totals.macs)}",
        rule,
        f"Input size: {megabytes(inputs)} ({binary(inputs)})",
        f"Forward size, input included: {least}{megabytes(totals.bytes)} ({binary(totals.bytes)})",
        f"Kept for backward: {least}{megabytes(totals.saved_bytes)} ({binary(totals.saved_bytes)})",
        f"Params size: {least}{megabytes(params)} ({binary(params)})",
        rule,
        f"{report.dtype}; MB = 10^6 bytes, MiB = 2^20; activations and dropout are written in place",
        *(f"assumed: {a}" for a in report.assumptions_of_memory),
    ]
