"""The symbolic view of a network as data: lines, totals, what the symbols are, what was assumed of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from rfcalc.core.cost import OPERATIONS, Cost
from rfcalc.core.size import prod
from rfcalc.formulas.polynomials.analysis import exactly
from rfcalc.formulas.polynomials.bounds import least
from rfcalc.formulas.polynomials.chain import FIELD, Account, of_field
from rfcalc.formulas.polynomials.chain import Row as ChainRow
from rfcalc.formulas.polynomials.declare import spelled
from rfcalc.formulas.polynomials.poly import Missing, Poly, Symbol, SymbolError, put, symbols_of
from rfcalc.formulas.polynomials.show import show
from rfcalc.graph.autograd import Kept
from rfcalc.report.report import Report, Row

FIGURES = ("weights", "biases", "buffers", "params", "macs", "flops", "values", "bytes", "saved_bytes")


class Meaning(NamedTuple):
    """What a symbol stands for, and as what it was declared."""

    symbol: Symbol
    told: str

    @property
    def name(self) -> str:
        return self.symbol.name


class Line(NamedTuple):
    """One node (or a whole repetition of unknown count): its figures as formulas.

    `field` has the receptive field from the first input: `status`, and `size`, `stride`, `padding`, `center` with an
    entry an axis; `ops` the operations that are no multiply-adds.
    """

    name: str
    kind: str
    notation: str
    stage: str
    output_shape: tuple[Any, ...]
    field: dict[str, Any]
    figures: dict[str, Any]
    ops: dict[str, Any]
    folds: bool = False

    def put(self, values: Mapping[str, Any]) -> Line:
        """The line with numbers put in."""
        given = {spelled(name): v for name, v in values.items()}
        return self._replace(
            output_shape=numbers(self.output_shape, given),
            field={k: numbers(v, given) for k, v in self.field.items()},
            figures={k: numbers(v, given) for k, v in self.figures.items()},
            ops={k: numbers(v, given) for k, v in self.ops.items()},
        )


def numbers(value: Any, given: Mapping[str, Any]) -> Any:
    """A figure, or several, with numbers put in."""
    if isinstance(value, (tuple, list)):
        return tuple(numbers(v, given) for v in value)
    return put(value, given)


class Formulas:
    """The figures of a network as formulas. Iterates over its lines; found by name.

    Args:
        target: how the network was named.
        inputs: shapes by name.
        lines: the network, node by node.
        totals: sums by name, as `Totals` has them; a figure without a closed form is missing.
        meanings: what the symbols are.
        assumptions: what was taken for granted, in sentences.
        unknown: what has no closed form here, and why.
        report: where the network has a definite number of nodes, its report.
        even: divisions that were taken to be even.
        dtype: of the values.
        peaks: whether the peak of memory is worked out (with floors it is the largest of very many terms).
    """

    def __init__(
        self,
        target: str,
        inputs: Mapping[str, tuple[Any, ...]],
        lines: tuple[Line, ...],
        totals: Mapping[str, Any],
        meanings: tuple[Meaning, ...],
        assumptions: tuple[str, ...] = (),
        unknown: tuple[str, ...] = (),
        report: Report | None = None,
        even: dict[Any, None] | None = None,
        dtype: str = "float32",
        peaks: bool = True,
    ) -> None:
        self.target = target
        self.inputs = dict(inputs)
        self.lines = lines
        self._totals = dict(totals)
        self.meanings = meanings
        self.assumptions = assumptions
        self.unknown = unknown
        self.report = report
        self._even = even if even is not None else {}
        self.dtype = dtype
        self.peaks = peaks

    @property
    def symbols(self) -> dict[str, Symbol]:
        """The symbols by name."""
        return {m.name: m.symbol for m in self.meanings}

    @property
    def totals(self) -> dict[str, Any]:
        """Sums over the network by name, the peak of memory among them where it is known."""
        if "peak_bytes" not in self._totals and self.report is not None and self.peaks:
            with exactly(self._even):
                self._totals["peak_bytes"] = self.report.totals.peak_bytes
        return self._totals

    def __iter__(self) -> Iterator[Line]:
        return iter(self.lines)

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, name: str) -> Line:
        from rfcalc.core.errors import UnknownName

        found = next((line for line in self.lines if line.name == name), None)
        if found is None and self.report is not None:  # a stage or block means its last node
            found = self.lines[self.report.network.position(name) - self.report.network.arity]
        if found is None:
            raise UnknownName("node", name, [line.name for line in self.lines])
        return found

    def with_numbers(self, values: Mapping[str, Any]) -> Formulas:
        """The same with numbers (or other formulas) put in for some symbols.

        Raises:
            SymbolError: a name that is no symbol here, or a number that the symbol was declared not to be.
        """
        given = self._given(values)
        left = {s for v in given.values() for s in symbols_of(v)}
        meanings = tuple(m for m in self.meanings if m.name not in given or m.symbol in left)
        told = tuple(f"{name} = {show(v)}" for name, v in given.items())
        totals = {k: numbers(v, given) for k, v in self.totals.items() if k != "ops"}
        totals["ops"] = {k: numbers(v, given) for k, v in self.totals["ops"].items()}
        inputs = {name: numbers(dims, given) for name, dims in self.inputs.items()}
        lines = tuple(line.put(given) for line in self)
        return Formulas(
            self.target,
            inputs,
            lines,
            totals,
            meanings,
            (*told, *self.assumptions),
            self.unknown,
            None,
            None,
            self.dtype,
        )

    def _given(self, values: Mapping[str, Any]) -> dict[str, Any]:
        given = {spelled(name): v for name, v in values.items()}
        for name in given:
            if name not in self.symbols:
                known = ", ".join(self.symbols) or "none"
                raise SymbolError(f"{name} is not among the symbols", why=f"they are {known}")
        return given

    def put(self, **values: Any) -> dict[str, Any]:
        """The totals with numbers put in for symbols.

        Raises:
            SymbolError: a name that is no symbol here, or a number that the symbol was declared not to be.
        """
        given = self._given(values)
        return {k: numbers(v, given) for k, v in self.totals.items() if not isinstance(v, dict)}


def of_report(report: Report) -> tuple[tuple[Line, ...], dict[str, Any]]:
    """The lines and totals of a report."""
    lines = tuple(_line(row) for row in report)
    totals = {name: getattr(report.totals, name) for name in FIGURES}
    totals["weight_layers"] = report.totals.weight_layers
    totals["ops"] = {k: v for k, v in report.totals.ops.items() if k != "macs"}
    return lines, totals


def _line(row: Row) -> Line:
    return Line(
        row.name,
        row.kind,
        row.notation,
        row.stage,
        row.output_shape,
        of_field(row.receptive_field),
        {name: getattr(row, name) for name in FIGURES},
        {k: v for k, v in row.ops.items() if k != "macs"},
        row.node.layer.folds,
    )


def of_account(
    found: Account, dims: tuple[Any, ...], batch: Any, itemsize: int
) -> tuple[tuple[Line, ...], dict[str, Any]]:
    """The lines and totals of a chain with repetitions of unknown count."""
    lines = tuple(_counted(row, batch, itemsize) for row in found.rows)
    cost = found.cost
    layers = found.layers
    for shared, count in found.once.values():
        cost, layers = cost + shared, layers + count
    image = prod(dims)
    values = (found.new + image) * batch
    kept = [found.kept[0] + (image if found.keeps_input else 0), *found.kept[1:]]
    totals = {
        **_costs(cost, batch),
        "values": values,
        "bytes": values * itemsize,
        "saved_bytes": Kept(*kept).total(itemsize, batch),
        "weight_layers": layers,
        "ops": {name: getattr(cost, name) * batch for name in OPERATIONS if name != "macs"},
    }
    return lines, totals


def _costs(cost: Cost, batch: Any) -> dict[str, Any]:
    found = {name: getattr(cost, name) for name in ("weights", "biases", "buffers", "params")}
    return {**found, "macs": cost.macs * batch, "flops": cost.macs * 2 * batch}


def _counted(row: ChainRow, batch: Any, itemsize: int) -> Line:
    values = row.values * batch
    field: dict[str, Any]
    if row.span is not None:
        first = tuple(Missing("") if f is None else f for f in row.span.first)
        center = tuple((2 * f + n - 1) / 2 for f, n in zip(first, row.span.size, strict=True))
        shown: dict[str, Any] = {"size": row.span.size, "stride": row.span.stride, "padding": tuple(-f for f in first)}
        field = {"status": "exact", "whole": False, **shown, "center": center}
    else:
        status = row.field.get("status", "unknown")
        status = "not_closed" if status in ("exact", "unknown") else status
        none = (None,) * (len(row.dims) - 1)
        field = {"status": status, "whole": None, **dict.fromkeys(FIELD, none)}
    figures = {**_costs(row.cost, batch), "values": values, "bytes": values * itemsize}
    ops = {name: getattr(row.cost, name) * batch for name in OPERATIONS if name != "macs"}
    return Line(row.name, row.kind, row.notation, row.stage, row.dims, field, figures, ops, row.folds)


def missing(totals: Mapping[str, Any], lines: tuple[Line, ...]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The totals that have a closed form, and a sentence for each reason why others have none."""
    kept = {k: v for k, v in totals.items() if not isinstance(v, Missing)}
    reasons: dict[str, list[str]] = {}
    for name, value in totals.items():
        if isinstance(value, Missing):
            reasons.setdefault(value.why, []).append(name)
    for line in lines:
        for d in line.output_shape:
            if isinstance(d, Missing):
                reasons.setdefault(d.why, [])
    told = [f"{', '.join(names)}: {why}" if names else why for why, names in reasons.items()]
    if any(line.field["status"] == "not_closed" for line in lines):
        told.append("the receptive field where windows have phases, or strides differ from copy to copy")
    return kept, tuple(told)


def single(lines: Iterable[Line]) -> tuple[str, ...]:
    """What is said of maps that may be one position: there a layer that reads the whole map is not global."""
    told: dict[str, None] = {}
    before: Line | None = None
    for line in lines:
        if before is not None and line.field["status"] == "global" and before.field["status"] != "global":
            for d in before.output_shape[1:]:
                if isinstance(d, Poly) and (least(d) or 0) <= 1:
                    told[f"{show(d)} > 1: what reads the whole map of {before.name} reads more than one position"] = (
                        None
                    )
        before = line
    return tuple(told)
