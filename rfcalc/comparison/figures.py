"""The figures that are compared: each for every network, and against the first one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from rfcalc.comparison.ratio import change, difference, ratio
from rfcalc.comparison.subject import ComparedNetwork, walking
from rfcalc.core.errors import UnknownName
from rfcalc.core.size import Size, is_number, same
from rfcalc.report import Report, Row
from rfcalc.report.metrics import METRICS, Metric, size_text
from rfcalc.report.units import exact, megabytes

USUAL = ("receptive_field", "stride", "output_shape", "weights", "macs", "bytes", "weight_layers", "non_linearities")
WITH_BIASES = ("biases", "params")
TITLES = {
    "receptive_field": "receptive field",
    "output_shape": "output",
    "bytes": "memory",
    "saved_bytes": "kept for backward",
    "peak_bytes": "peak memory",
    "weight_layers": "weight layers",
}
PLACED = ("receptive_field", "stride", "padding", "center", "status", "output_shape")  # of one node, not of the whole


class Against(NamedTuple):
    """A figure of one network against the first one's: the difference (this − first), the ratio (first / this), the
    change in percent of the first."""

    difference: Any
    ratio: Any
    change: Any


class ComparedFigure(NamedTuple):
    """One figure of all networks: values as they are, texts for people, and each but the first against the first.

    `rows`: the nodes that it is a figure of, if it is one of nodes; `counts`: it is a number that adds up, so that
    ratios mean something.
    """

    metric: Metric
    values: tuple[Any, ...]
    rows: tuple[Row | None, ...]
    counts: bool
    against: tuple[Against, ...]

    def __repr__(self) -> str:
        return f"Figure({self.name}: {', '.join(map(str, self.values))})"

    @property
    def name(self) -> str:
        return self.metric.name

    @property
    def title(self) -> str:
        return TITLES.get(self.name, self.metric.title)

    @property
    def meaning(self) -> str:
        return self.metric.meaning

    @property
    def texts(self) -> tuple[str, ...]:
        """The values for people."""
        return tuple(_text(self.metric, v, row) for v, row in zip(self.values, self.rows, strict=True))

    @property
    def equal(self) -> bool:
        """Whether all networks have the same."""
        first, *others = self.values
        return all(o == first or same(o, first) for o in others)


def non_linearities(report: Report) -> Size:
    """Nodes that evaluate an activation function."""
    return sum(1 for row in report if row.ops["activation"] != 0)


NON_LINEARITIES = Metric(
    "non_linearities", "non-linearities", "nodes that evaluate an activation function", None, non_linearities
)


def find(name: str) -> Metric:
    """The metric of this name, of whole networks.

    Raises:
        UnknownName: there is none.
    """
    if name.strip().lower().replace("_", "-") in ("non-linearities", "nonlinearities", "activations"):
        return NON_LINEARITIES
    found = METRICS.get(name)
    if found is None or (found.whole is None and found.name not in PLACED):
        whole = [m.name for m in METRICS.values() if m.whole is not None or m.name in PLACED]
        raise UnknownName("figure", name, [*whole, NON_LINEARITIES.name])
    return found


def usual(subjects: Sequence[ComparedNetwork], biases: bool = False) -> tuple[str, ...]:
    """The figures that are compared unless others are asked for: weights alone for stacks that are written down, as the
    papers compare them; parameters for networks with a name; both where biases are asked for."""
    names = list(USUAL)
    if biases:
        names[names.index("macs") : names.index("macs")] = WITH_BIASES
    elif any(not s.written for s in subjects):
        names[names.index("weights")] = "params"
    return tuple(names)


def place(subject: ComparedNetwork, at: str | None) -> Row | None:
    """The node whose receptive field is compared: the one asked for, else the last that still has a place in the image.

    Raises:
        UnknownName: the network has no such node.
    """
    report = subject.report
    if at is not None:
        try:
            return report[at]
        except UnknownName as error:
            error.where = subject.name
            raise
    position = report.last_spatial
    return Row(report, position) if position else None


def figures(
    subjects: Sequence[ComparedNetwork], names: Sequence[str], at: str | None = None
) -> tuple[ComparedFigure, ...]:
    """The figures by name, in order."""
    rows = [place(s, at) for s in subjects]
    with walking(subjects[0]):
        return tuple(_figure(find(name), subjects, rows, at) for name in names)


def _figure(
    metric: Metric, subjects: Sequence[ComparedNetwork], rows: Sequence[Row | None], at: str | None
) -> ComparedFigure:
    placed = metric.name in PLACED
    values: tuple[Any, ...]
    if metric.name == "output_shape":
        outputs = [s.report.outputs[0] if at is None else s.report[at] for s in subjects]
        values = tuple(row.output_shape for row in outputs)
    elif placed:
        assert metric.row is not None
        values = tuple(None if row is None else metric.row(row) for row in rows)
    else:
        assert metric.whole is not None
        values = tuple(metric.whole(s.report) for s in subjects)
    values = tuple(_told(v) for v in values)
    first, *others = values
    counts = not placed
    against = tuple(
        Against(difference(first, o), ratio(first, o), change(first, o)) if counts else Against(None, None, None)
        for o in others
    )
    return ComparedFigure(metric, values, tuple(rows), counts, against)


def _told(value: Any) -> Any:
    """A figure, in the symbols of the user where there are symbols in it."""
    if isinstance(value, tuple):
        return tuple(map(_told, value))
    if not hasattr(value, "free_symbols"):
        return value
    from rfcalc.comparison.formulas import formula

    return formula(value)


def _text(metric: Metric, value: Any, row: Row | None) -> str:
    if value is None:
        return "–"
    if metric.name == "receptive_field" and row is not None:
        return size_text(row)
    if metric.name == "output_shape":
        return "×".join(map(size, value))
    if metric.name in ("bytes", "saved_bytes", "peak_bytes"):
        return megabytes(value) if is_number(value) else f"{size(value)} B"
    if metric.name in PLACED:
        return metric.short(value)
    return size(value)


def size(value: Size) -> str:
    """A size for people: all digits, or the formula."""
    if is_number(value):
        return exact(value)
    from rfcalc.comparison.formulas import written

    return written(value)
