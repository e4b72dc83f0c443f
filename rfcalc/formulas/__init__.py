"""A network with symbols for what a user may name: the way in to `rfcalc.formulas.polynomials`.

The symbols of a network: H and W (L for one axis, D, H and W for three) for the sizes of its input, C for the channels
of its input, N for the classes of its last layer, B for the batch; α and ρ for the width and resolution multipliers of
a family that has them. In notation a name stands where a number could: ``convK-C xN``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import lcm
from typing import TYPE_CHECKING, Any

from rfcalc.core.errors import UnknownName
from rfcalc.core.expr import Expr
from rfcalc.core.shape import Shape
from rfcalc.formulas.plan import Plan, asked_for, shapes_given
from rfcalc.formulas.polynomials import chain
from rfcalc.formulas.polynomials.analysis import walk
from rfcalc.formulas.polynomials.declare import declarations, sentence, spelled
from rfcalc.formulas.polynomials.poly import Missing, Poly, Symbol, SymbolError
from rfcalc.formulas.polynomials.result import Formulas, Meaning, missing, of_account, of_report, single
from rfcalc.formulas.source import source_of
from rfcalc.graph.network import Network
from rfcalc.report.report import DTYPES, Report

if TYPE_CHECKING:
    from rfcalc.formulas.polynomials.solve import Solution


def formulas(
    target: Any,
    symbols: Iterable[str] | str | None = None,
    *,
    input: Any = None,  # noqa: A002
    assume: str = "",
    general: bool = False,
    dtype: str = "float32",
) -> Formulas:
    """The figures of a network as formulas in symbols.

    Args:
        target: as for `analyze`; in notation, names may stand for numbers (``convK-C xN``).
        symbols: which of the network's figures become symbols (``"H,W,C"``); all that it has if left out.
        input: an input shape, or shapes by name; a text may have names in it (``"CxHxW"``).
        assume: what is known of symbols: ``"K odd, H divisible by 32"``.
        general: keep the floors, and assume nothing about divisibility.
        dtype: of the values, for bytes.

    Raises:
        SymbolError: unknown or clashing symbols.

    >>> stack = formulas("conv3-C nobias x3")
    >>> print(stack.totals["weights"], stack.totals["macs"], stack.lines[-1].field["size"])
    27*C**2 27*C**2*H*W (7, 7)
    """
    source = source_of(target, input)
    said = declarations(assume)
    given = shapes_given(source, input)
    asked = None if symbols is None else asked_for(symbols)
    plan = Plan(source, given, asked)
    for name in said:
        if name not in plan.symbols:
            raise SymbolError(f"{name} is assumed something of, but is no symbol here", why=plan.known())
    first = {n: said.get(n, s) if s.modulus == 1 else s for n, s in plan.symbols.items()}

    if dtype not in DTYPES:
        raise UnknownName("dtype", dtype, list(DTYPES))

    def build(declared: Mapping[str, Symbol]) -> Any:
        network, shapes, batch = plan.network(declared), plan.shapes(declared), plan.batch(declared)
        if isinstance(network, Network):
            report = Report(network, shapes, batch=batch, dtype=dtype)
            return report, report.inputs, [d for shape in report.walked.shapes for d in shape.dims], None
        closed = _closed(network, shapes, batch, DTYPES[dtype])
        return None, shapes, [d for line in closed[0] for d in line.output_shape], closed

    def finish(made: Any) -> Any:
        report, shapes, _, closed = made
        return report, shapes, *(closed or (*of_report(report), ()))

    found = walk(build, first, lambda made: made[2], finish, plan.usual, () if general else plan.sizes)
    report, shapes, lines, totals, unknown = found.result
    meanings = tuple(Meaning(found.symbols[n], plan.told[n]) for n in plan.symbols)
    own = [sentence(m.symbol, _fresh(i, found.symbols)) for i, m in enumerate(meanings)]
    if general and report is not None:
        unknown = (*unknown, "peak_bytes: with floors it is the largest of very many terms")
    also = () if report is None else report.assumptions
    if report is not None and isinstance(report.batch, Poly) and any(k.single_values != 0 for k in report.kept):
        also = (*also, "B > 1, for the bytes that are saved: of a batch of one more copies are kept")
    told = dict.fromkeys([*source.assumptions, *filter(None, own), *also, *found.assumptions, *single(lines)])
    inputs = {name: shape.dims for name, shape in shapes.items()}
    return Formulas(
        source.target, inputs, lines, totals, meanings, tuple(told), unknown, report, found.even, dtype, not general
    )


def _closed(expr: Expr, shapes: Mapping[str, Shape], batch: Any, itemsize: int) -> tuple[Any, ...]:
    """Lines, totals, and what has no closed form, of an expression with repetitions of unknown count."""
    if len(shapes) > 1:
        raise SymbolError("a repetition of unknown count needs a network of one input")
    (shape,) = shapes.values()
    if shape.channel != 0:
        raise SymbolError("a repetition of unknown count needs an input with its channels first")
    account = chain.account(expr, shape.dims)
    lines, totals = of_account(account, shape.dims, batch, itemsize)
    for name, why in account.gone.items():
        totals[name] = Missing(why)
    totals.setdefault("peak_bytes", Missing("which maps live together is not followed through the copies"))
    kept, unknown = missing(totals, lines)
    return lines, kept, unknown


def _fresh(number: int, taken: Mapping[str, Any]) -> str:
    """A letter for the whole number behind a symbol."""
    letters = [c for c in "mnpqrstuvwxyz" if c not in taken]
    return letters[number % len(letters)]


def cheaper(
    target: Any, other: Any, by: str = "weights", *, values: Mapping[str, Any] | None = None, **how: Any
) -> Solution:
    """For which values of a symbol one design has less of a figure than another.

    Args:
        target, other: as for `formulas`; symbols of the same name are the same symbol.
        by: the metric.
        values: numbers to put in for symbols of either.
        how: for `formulas`.

    Raises:
        SymbolError: it depends on several symbols, or has no closed form.

    >>> cheaper("conv1-64 > conv3-64 > conv1-C", "conv3-C x2").smallest
    49
    """
    both = [formulas(t, **how) for t in (target, other)]
    classes: dict[str, int] = {}
    for found in both:
        for symbol in found.symbols.values():
            if isinstance(symbol.modulus, int):
                classes[symbol.name] = lcm(classes.get(symbol.name, 1), symbol.modulus)
    unequal = [n for n in classes if len({f.symbols[n].key[1:3] for f in both if n in f.symbols}) > 1]
    if unequal:  # one class for both
        said = [how.get("assume", ""), *(f"{n} divisible by {classes[n]}" for n in unequal)]
        shared = ", ".join(filter(None, said))
        both = []
        for t in (target, other):
            own = formulas(t, **{k: v for k, v in how.items() if k != "assume"}).symbols
            both.append(formulas(t, **{**how, "assume": ", ".join(p for p in shared.split(", ") if _of(p) in own)}))
    given = values or {}
    one, two = (f.with_numbers({n: v for n, v in given.items() if n in f.symbols}) for f in both)
    from rfcalc.formulas.polynomials.solve import cheaper as settle

    return settle(one, two, by)


def _of(assumption: str) -> str:
    """The symbol that an assumption is about."""
    return spelled(assumption.split()[0])
