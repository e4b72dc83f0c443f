"""The figures of a network in the making, as formulas.

The symbols of a network: H and W (L for one axis, D, H and W for three) for the sizes of its input, C for the channels
of its input, N for the classes of its last layer, B for the batch; α and ρ for the width and resolution multipliers of
a family that has them. In notation a name stands where a number could: ``convK-C xN``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rfcalc.core.dtypes import DTYPES
from rfcalc.core.errors import UnknownName
from rfcalc.core.expr import Expr
from rfcalc.core.shape import Shape
from rfcalc.core.size import walking_with
from rfcalc.formulas import chain
from rfcalc.formulas.account import ChainSum
from rfcalc.formulas.plan import Plan, asked_for, shapes_given
from rfcalc.formulas.result import Symbolic, missing, of_account, of_report, single
from rfcalc.formulas.source import SymbolicSource
from rfcalc.formulas.symbols import Declared, SymbolError, declarations, sentence
from rfcalc.formulas.walking import walk
from rfcalc.graph.network import Network
from rfcalc.report import Report


def formulas(
    source: SymbolicSource,
    given: Any = None,
    symbols: Iterable[str] | str | None = None,
    assume: Iterable[str] | str = (),
    general: bool = False,
    dtype: str = "float32",
) -> Symbolic:
    """The figures of a network as formulas in symbols.

    Args:
        source: the network in the making.
        given: an input shape, or shapes by name; a text may have names in it (``"CxHxW"``).
        symbols: which of the network's figures become symbols (``"H,W,C"``); all that it has if left out.
        assume: what is known of symbols: ``"K odd, H divisible by 32"``, or several such texts.
        general: keep the floors, and assume nothing about divisibility.
        dtype: of the values, for bytes.

    Raises:
        SymbolError: unknown or clashing symbols.
    """
    said = declarations(assume if isinstance(assume, str) else ", ".join(assume))
    plan = Plan(source, shapes_given(source, given), None if symbols is None else asked_for(symbols))
    for name in said:
        if name not in plan.symbols:
            raise SymbolError(f"--assume speaks of {name}, which is not a symbol here", why=plan.known())
    first = {n: said.get(n, s) if s.modulus == 1 else s for n, s in plan.symbols.items()}
    if dtype not in DTYPES:
        raise UnknownName("dtype", dtype, list(DTYPES))

    def build(declared: Mapping[str, Declared]) -> tuple[Report | ChainSum, dict[str, Shape], Any]:
        network, shapes, batch = plan.network(declared), plan.shapes(declared), plan.batch(declared)
        if isinstance(network, Network):
            report = Report(network, shapes, batch=batch, dtype=dtype)
            return report, report.inputs, batch
        return _account(network, shapes), shapes, batch

    found = walk(build, first, _sizes, _finish, plan.usual, () if general else plan.sizes)
    made, shapes, batch = found.result
    algebra = found.algebra
    also: tuple[str, ...] = ()
    report = None
    if isinstance(made, Report):
        report, also = made, made.assumptions
        listed, totals, gone = of_report(made, algebra, peak=not general)
        rows = list(listed)
        with walking_with(algebra):
            if "B" in found.symbols and batch != 1 and any(k.single_values != 0 for k in made.kept):
                also = (*also, "B > 1, for the bytes that are saved: of a batch of one more copies are kept")
    else:
        with walking_with(algebra):
            rows, totals, gone = of_account(made, next(iter(shapes.values())).dims, batch, DTYPES[dtype], algebra)
    own = [sentence(d, _fresh(i, found.symbols)) for i, d in enumerate(found.symbols.values())]
    told = [*source.assumptions, *filter(None, own), *also, *found.assumptions, *single(rows, algebra)]
    return Symbolic(
        source.target,
        {name: tuple(algebra.shown(d) for d in shape.dims) for name, shape in shapes.items()},
        rows,
        totals,
        found.symbols,
        {name: plan.told[name] for name in found.symbols},
        algebra,
        tuple(dict.fromkeys(told)),
        missing(gone, rows),
        report,
        dtype,
    )


def _sizes(made: Any) -> Iterable[Any]:
    """The sizes that are to be without floors."""
    found = made[0]
    if isinstance(found, Report):
        return (d for shape in found.shapes for d in shape.dims)
    return (d for row in found.rows for d in row.dims)


def _finish(made: Any) -> None:
    """Figures whose rules may take something for granted."""
    if isinstance(made[0], Report):
        _ = made[0].kept, made[0].fields


def _account(expr: Expr, shapes: Mapping[str, Shape]) -> ChainSum:
    """What an expression with repetitions of unknown count amounts to."""
    if len(shapes) > 1:
        raise SymbolError("a repetition of unknown count needs a network of one input")
    (shape,) = shapes.values()
    if shape.channel != 0:
        raise SymbolError("a repetition of unknown count needs an input with its channels first")
    return chain.account(expr, shape.dims)


def _fresh(number: int, taken: Mapping[str, Any]) -> str:
    """A letter for the whole number behind a symbol."""
    letters = [c for c in "mnpqrstuvwxyz" if c not in taken]
    return letters[number % len(letters)]
