"""The symbolic view of a network as data: rows, totals, what the symbols are, what was assumed of them.

Every figure is an expression of sympy in the user's own symbols, worked out when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from importlib import import_module
from typing import TYPE_CHECKING, Any

import sympy

from rfcalc.core.cost import OPERATIONS, Cost
from rfcalc.core.displayed import displayed
from rfcalc.core.errors import UnknownName, plural
from rfcalc.core.size import prod, walking_with
from rfcalc.formulas.account import FIELD, ChainSum, of_field
from rfcalc.formulas.account import ShownRow as ChainRow
from rfcalc.formulas.algebra import SympyAlgebra
from rfcalc.formulas.forms import NotClosed, canonical, plain, replaced
from rfcalc.formulas.symbols import Declared, SymbolError, spelled
from rfcalc.formulas.writing import show
from rfcalc.graph.autograd import Kept
from rfcalc.report import Report, Row

if TYPE_CHECKING:
    from rfcalc.report.document import Document

FIGURES = ("weights", "biases", "buffers", "params", "macs", "flops", "values", "bytes", "saved_bytes")
OPS = tuple(name for name in OPERATIONS if name != "macs")
TOTALS = (*FIGURES, "weight_layers", "peak_bytes")


class Figures(Mapping[str, Any]):
    """Figures by name, as items and as attributes; each is worked out once.

    Args:
        names: which there are.
        compute: gives a figure by its name.
        gone: what has no closed form, and why.
    """

    weights: sympy.Expr
    biases: sympy.Expr
    buffers: sympy.Expr
    params: sympy.Expr
    macs: sympy.Expr
    flops: sympy.Expr
    values: sympy.Expr
    bytes: sympy.Expr
    saved_bytes: sympy.Expr
    peak_bytes: sympy.Expr
    weight_layers: sympy.Expr
    ops: dict[str, sympy.Expr]

    def __init__(
        self, names: Iterable[str], compute: Callable[[str], Any], gone: Mapping[str, str] | None = None
    ) -> None:
        self._names = dict.fromkeys(names)
        self._compute = compute
        self._gone = dict(gone or {})
        self._known: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._known:
            self._known[name] = self._compute(name)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getattribute__(self, name: str) -> Any:
        if name == "values":  # the figure, not the mapping's method
            return self[name]
        return super().__getattribute__(name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self._names:
            return self[name]
        if name in self._gone:
            raise SymbolError(f"{name} has no closed form", why=self._gone[name])
        raise AttributeError(f"there is no figure {name!r}; there are {', '.join(self._names)}")

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{n}: {self[n]}" for n in self) + "}"


class SymbolicRow:
    """One node (or a whole repetition of unknown count): its figures as formulas.

    `figures` are attributes, too: `weights`, `params`, `macs`, `values`, …; `ops` the operations that are no
    multiply-adds; `copies` the number of copies, of a repetition. `field` has the receptive field from the first input:
    `status`, and `size`, `stride`, `padding`, `center` with an entry an axis.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        notation: str,
        stage: str,
        output_shape: tuple[Any, ...],
        field: Mapping[str, Any],
        figures: Figures,
        folds: bool = False,
        copies: Any = None,
    ) -> None:
        self.name, self.kind, self.notation, self.stage = name, kind, notation, stage
        self.output_shape = output_shape
        self.field = dict(field)
        self.figures = figures
        self.folds = folds
        self.copies = copies

    def __getattr__(self, name: str) -> Any:
        if name in ("figures", "field") or name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.figures, name)

    @property
    def receptive_field(self) -> tuple[Any, ...]:
        """The size of the receptive field, an entry an axis."""
        return tuple(self.field["size"])

    @property
    def ops(self) -> dict[str, Any]:
        return {name: self.figures[name] for name in OPS}

    def __repr__(self) -> str:
        shape = "×".join(f"({d})" if getattr(d, "is_Add", False) else str(d) for d in self.output_shape)
        return f"<{self.name}, {self.notation}: {shape}>"

    def replaced(self, put: Callable[[Any], Any]) -> SymbolicRow:
        """The row with something done to every formula."""
        return SymbolicRow(
            self.name,
            self.kind,
            self.notation,
            self.stage,
            put(self.output_shape),
            {k: put(v) for k, v in self.field.items()},
            Figures(self.figures, lambda name: put(self.figures[name])),
            self.folds,
            put(self.copies),
        )


class Symbolic:
    """The figures of a network as formulas.

    Attributes:
        target: how the network was named.
        inputs: shapes by name.
        rows: the nodes by name, in order.
        totals: sums over the network, as attributes and items; a figure without a closed form is missing.
        symbols: the symbols of sympy by name.
        declared: as what they were declared, by name; `meanings` what they stand for.
        assumptions: what was taken for granted, in sentences.
        unknown: what has no closed form here, and why.
        report: where the network has a definite number of nodes, its report in the whole numbers behind the symbols.
        algebra: the algebra that the network was walked with.
        dtype: of the values.
    """

    def __init__(
        self,
        target: str,
        inputs: Mapping[str, tuple[Any, ...]],
        rows: Iterable[SymbolicRow],
        totals: Figures,
        declared: Mapping[str, Declared],
        meanings: Mapping[str, str],
        algebra: SympyAlgebra,
        assumptions: tuple[str, ...] = (),
        unknown: tuple[str, ...] = (),
        report: Report | None = None,
        dtype: str = "float32",
    ) -> None:
        self.target = target
        self.inputs = dict(inputs)
        self.rows: dict[str, SymbolicRow] = {}
        for row in rows:
            taken = sum(1 for name in self.rows if name == row.name or name.startswith(f"{row.name} #"))
            self.rows[row.name if not taken else f"{row.name} #{taken + 1}"] = row
        self.totals = totals
        self.declared = dict(declared)
        self.meanings = dict(meanings)
        self.algebra = algebra
        self.assumptions = assumptions
        self.unknown = unknown
        self.report = report
        self.dtype = dtype

    @property
    def symbols(self) -> dict[str, sympy.Symbol]:
        return {name: d.symbol for name, d in self.declared.items()}

    def __iter__(self) -> Iterator[SymbolicRow]:
        return iter(self.rows.values())

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def last(self) -> SymbolicRow:
        """The last row."""
        return list(self.rows.values())[-1]

    def __getitem__(self, name: str) -> SymbolicRow:
        found = self.rows.get(name)
        if found is None and self.report is not None:  # a stage or block means its last node
            position = self.report.network.position(name) - self.report.network.arity
            found = list(self.rows.values())[position] if position >= 0 else None
        if found is None:
            raise UnknownName("node", name, list(self.rows))
        return found

    def __repr__(self) -> str:
        return f"<formulas of {self.target} in {', '.join(self.declared) or 'no symbols'}: {plural(len(self), 'row')}>"

    _repr_html_ = displayed

    def document(self) -> Document:
        """The formulas as a document, spelled for pages; `rfcalc.formulas.table` spells them for other formats."""
        made: Document = import_module("rfcalc.formulas.table").document(self, "html")
        return made

    def __str__(self) -> str:
        document = import_module("rfcalc.formulas.table").document(self)
        return str(import_module("rfcalc.render").render(document, "terminal"))

    def with_numbers(self, values: Mapping[str, Any]) -> Symbolic:
        """The same with numbers (or other formulas) put in for some symbols.

        Raises:
            SymbolError: a name that is no symbol here, or a number that the symbol was declared not to be.
        """
        given = self._given(values)
        put = self._putting(given)
        left = {s for v in given.values() for s in getattr(v, "free_symbols", ())}
        sizes = {text: put(d) for text, d in single(self, self.algebra).items()}
        known = {text: d for text, d in sizes.items() if d.is_Number}
        broken = tuple(
            f"{text}; here it is {show(d)}: along this axis, the fields behind it are its own, not all"
            for text, d in known.items()
            if d <= 1
        )
        declared = {n: d for n, d in self.declared.items() if n not in given or d.symbol in left}
        told = tuple(f"{name} = {show(v)}" for name, v in given.items())
        return Symbolic(
            self.target,
            {name: put(dims) for name, dims in self.inputs.items()},
            [row.replaced(put) for row in self],
            Figures(self.totals, lambda name: put(self.totals[name])),
            declared,
            {n: self.meanings[n] for n in declared},
            self.algebra,
            (*told, *(text for text in self.assumptions if text not in known), *broken),
            self.unknown,
            None,
            self.dtype,
        )

    def put(self, **values: Any) -> dict[str, Any]:
        """The totals with numbers put in for symbols.

        Raises:
            SymbolError: a name that is no symbol here, or a number that the symbol was declared not to be.
        """
        put = self._putting(self._given(values))
        return {name: plain(put(value)) for name, value in self.totals.items() if name != "ops"}

    def _given(self, values: Mapping[str, Any]) -> dict[str, Any]:
        given = {spelled(name): v for name, v in values.items()}
        for name, value in given.items():
            if name not in self.declared:
                known = ", ".join(self.declared) or "none"
                raise SymbolError(f"{name} is not among the symbols", why=f"they are {known}")
            if not getattr(value, "free_symbols", None):
                self.declared[name].behind(Fraction(value) if isinstance(value, float) else plain(value))
        return given

    def _putting(self, given: Mapping[str, Any]) -> Callable[[Any], Any]:
        values = {
            self.declared[n].symbol: sympy.sympify(Fraction(v) if isinstance(v, float) else v) for n, v in given.items()
        }

        def put(value: Any) -> Any:
            if isinstance(value, dict):
                return {k: put(v) for k, v in value.items()}
            if isinstance(value, (tuple, list)):
                return tuple(put(v) for v in value)
            if not isinstance(value, sympy.Basic) or not value.free_symbols & values.keys():
                return value
            return canonical(replaced(value, values), {})

        return put


def of_report(
    report: Report, algebra: SympyAlgebra, peak: bool
) -> tuple[Iterable[SymbolicRow], Figures, dict[str, str]]:
    """The rows and totals of a report, and what has no closed form."""

    def shown(name: str, value: Any) -> Any:
        with walking_with(algebra):
            found = value()
        return {k: algebra.shown(v) for k, v in found.items() if k in OPS} if name == "ops" else algebra.shown(found)

    def compute(name: str) -> Any:
        return shown(name, lambda: getattr(report.totals, name))

    names = [*FIGURES, "weight_layers", "ops", *(["peak_bytes"] if peak else [])]
    gone = {} if peak else {"peak_bytes": "with floors it is the largest of very many terms"}
    return (_row(row, algebra) for row in report), Figures(names, compute, gone), gone


def _row(row: Row, algebra: SympyAlgebra) -> SymbolicRow:
    def compute(name: str) -> Any:
        with walking_with(algebra):
            return algebra.shown(row.op(name) if name in OPS else getattr(row, name))

    with walking_with(algebra):
        notation = row.notation
        field = of_field(row.receptive_field)
    return SymbolicRow(
        row.name,
        row.kind,
        notation,
        row.stage,
        tuple(algebra.shown(d) for d in row.output_shape),
        _told(field, algebra),
        Figures((*FIGURES, *OPS), compute),
        row.node.layer.folds,
    )


def _told(field: Mapping[str, Any], algebra: SympyAlgebra) -> dict[str, Any]:
    """A receptive field in the symbols themselves."""
    return {k: tuple(algebra.shown(x) for x in v) if isinstance(v, tuple) else v for k, v in field.items()}


def of_account(
    found: ChainSum, dims: tuple[Any, ...], batch: Any, itemsize: int, algebra: SympyAlgebra
) -> tuple[list[SymbolicRow], Figures, dict[str, str]]:
    """The rows and totals of a chain with repetitions of unknown count, and what has no closed form."""
    rows = [_counted(row, batch, itemsize, algebra) for row in found.rows]
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
    }
    gone = {name: value.why for name, value in totals.items() if isinstance(value, NotClosed)}
    gone |= found.gone
    gone.setdefault("peak_bytes", "which maps live together is not followed through the copies")
    told = {name: algebra.shown(value) for name, value in totals.items() if name not in gone}
    told["ops"] = {name: algebra.shown(getattr(cost, name) * batch) for name in OPS}
    return rows, Figures(told, told.__getitem__, gone), gone


def _costs(cost: Cost, batch: Any) -> dict[str, Any]:
    found = {name: getattr(cost, name) for name in ("weights", "biases", "buffers", "params")}
    return {**found, "macs": cost.macs * batch, "flops": cost.macs * 2 * batch}


def _counted(row: ChainRow, batch: Any, itemsize: int, algebra: SympyAlgebra) -> SymbolicRow:
    values = row.values * batch
    field: dict[str, Any]
    if row.span is not None:
        first = tuple(NotClosed("") if f is None else f for f in row.span.first)
        center = tuple((2 * f + n - 1) * sympy.Rational(1, 2) for f, n in zip(first, row.span.size, strict=True))
        shown: dict[str, Any] = {"size": row.span.size, "stride": row.span.stride, "padding": tuple(-f for f in first)}
        field = {"status": "exact", "whole": False, **shown, "center": center}
    else:
        status = row.field.get("status", "unknown")
        status = "not_closed" if status in ("exact", "unknown") else status
        none = (None,) * (len(row.dims) - 1)
        field = {"status": status, "whole": None, **dict.fromkeys(FIELD, none)}
    figures = {**_costs(row.cost, batch), "values": values, "bytes": values * itemsize}
    figures |= {name: getattr(row.cost, name) * batch for name in OPS}
    return SymbolicRow(
        row.name,
        row.kind,
        row.notation,
        row.stage,
        tuple(algebra.shown(d) for d in row.dims),
        _told(field, algebra),
        Figures(figures, lambda name: algebra.shown(figures[name])),
        row.folds,
        algebra.shown(row.copies),
    )


def missing(gone: Mapping[str, str], rows: Iterable[SymbolicRow]) -> tuple[str, ...]:
    """A sentence for each reason why something has no closed form."""
    reasons: dict[str, list[str]] = {}
    for name, why in gone.items():
        reasons.setdefault(why, []).append(name)
    open_fields = False
    for row in rows:
        open_fields = open_fields or row.field["status"] == "not_closed"
        for d in row.output_shape:
            if isinstance(d, NotClosed):
                reasons.setdefault(d.why, [])
    told = [f"{', '.join(names)}: {why}" if names else why for why, names in reasons.items()]
    if open_fields:
        told.append("the receptive field where windows have phases, or strides differ from copy to copy")
    return tuple(told)


def single(rows: Iterable[SymbolicRow], algebra: SympyAlgebra) -> dict[str, sympy.Expr]:
    """What is said of maps that may be one position: there a layer that reads the whole map is not global.

    With each sentence goes the size that has to be more than one.
    """
    told: dict[str, sympy.Expr] = {}
    before: SymbolicRow | None = None
    for row in rows:
        if before is not None and row.field["status"] == "global" and before.field["status"] != "global":
            for d in before.output_shape[1:]:
                if isinstance(d, sympy.Basic) and not d.is_Number and (algebra.lowest(algebra.inside(d)) or 0) <= 1:
                    text = f"{show(d)} > 1: what reads the whole map of {before.name} reads more than one position"
                    told[text] = d
        before = row
    return told
