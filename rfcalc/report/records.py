"""The report's figures as plain values, a record for each input and node: what CSV and data frames are made of.

Nothing is rounded or folded; a column's name is the metric's name, so that units are those of the vocabulary (bytes are
bytes). Values are whole numbers, texts or None, shares are floats; sizes are written 7x5 where the axes differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rfcalc.core.errors import MissingExtra
from rfcalc.core.size import is_number
from rfcalc.report import Report, Row
from rfcalc.report.metrics import SHARES, Metric, metric

USUAL = (
    *("name", "kind", "notation", "stage", "inputs", "output_shape"),
    *("receptive_field", "stride", "padding", "center", "status"),
    *("weights", "biases", "buffers", "params", "macs", "values", "bytes", "saved_bytes"),
)


def records(
    report: Report, columns: Sequence[str] | None = None, at: str | None = None
) -> tuple[list[str], list[list[Any]]]:
    """Column names, and for each input and node the values in that order.

    Raises:
        UnknownName: a column or node that does not exist.

    >>> import rfcalc
    >>> records(rfcalc.analyze("maxpool2", "3x8x8"), ["name", "rf", "bytes"])
    (['name', 'receptive_field', 'bytes'], [['input', None, 768], ['maxpool1', 2, 192]])
    """
    chosen = [m for m in (metric(name) for name in columns or USUAL) if m.row is not None]
    rows = [report[at]] if at else list(report)
    found = [] if at else [_input(report, name, chosen) for name in report.inputs]
    found += [[_value(column, row) for column in chosen] for row in rows]
    return [column.name for column in chosen], found


def _input(report: Report, name: str, columns: Sequence[Metric]) -> list[Any]:
    shape = report.inputs[name]
    values = shape.values * report.batch
    known = {
        "name": name,
        "kind": "input",
        "output_shape": str(shape),
        "values": plain(values),
        "bytes": plain(values * report.itemsize),
        "saved_bytes": plain(report.kept[list(report.inputs).index(name)].total(report.itemsize, report.batch)),
    }
    return [known.get(column.name) for column in columns]


def _value(column: Metric, row: Row) -> Any:
    assert column.row is not None
    value = column.row(row)
    if value is None or isinstance(value, str):
        return value
    if column.name in SHARES:
        return float(value)
    if column.name == "output_shape":
        return "x".join(map(str, value))
    if isinstance(value, (tuple, list)):
        sizes = list(dict.fromkeys(value))
        return plain(sizes[0]) if len(sizes) == 1 else "x".join("" if v is None else str(v) for v in value) or None
    return plain(value)


def plain(value: Any) -> Any:
    """A whole number as `int`; a fraction or a symbol as text."""
    return None if value is None else int(value) if is_number(value) else str(value)


def to_pandas(report: Report, columns: Sequence[str] | None = None) -> Any:
    """The records as a pandas DataFrame; whole numbers stay whole where some are missing (``Int64``).

    Raises:
        MissingExtra: pandas is not installed.
    """
    try:
        from pandas import DataFrame, array
    except ImportError:
        raise MissingExtra("pandas", "pandas") from None
    names, rows = records(report, columns)
    made = {name: _column(rows, i) for i, name in enumerate(names)}
    whole = {n for n, values in made.items() if any(type(v) is int for v in values) and _whole(values)}
    return DataFrame({name: array(values, "Int64") if name in whole else values for name, values in made.items()})


def to_polars(report: Report, columns: Sequence[str] | None = None) -> Any:
    """The records as a polars DataFrame.

    Raises:
        MissingExtra: polars is not installed.
    """
    try:
        from polars import DataFrame
    except ImportError:
        raise MissingExtra("polars", "polars") from None
    names, rows = records(report, columns)
    return DataFrame({name: _column(rows, i) for i, name in enumerate(names)}, strict=False)


def _column(rows: list[list[Any]], i: int) -> list[Any]:
    """One type a column: whole numbers where all are, or floats, else texts."""
    values = [row[i] for row in rows]
    if _whole(values) or all(v is None or isinstance(v, float) for v in values):
        return values
    return [None if v is None else str(v) for v in values]


def _whole(values: list[Any]) -> bool:
    """Whether all that is there is whole numbers (of 64 bits, as a column of a frame holds them)."""
    return all(v is None or (isinstance(v, int) and abs(v) < 2**63) for v in values)
