"""Targets whose sizes are symbols: ``conv3-C x3`` on C×H×W. sympy is loaded only where there are symbols."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rfcalc.core.errors import NotationError, RfcalcError
from rfcalc.core.size import walking_with
from rfcalc.formulas.account import lasting
from rfcalc.readers.target import analyze
from rfcalc.report.report import Report

if TYPE_CHECKING:
    from rfcalc.formulas.result import Symbolic


def analyzed(
    target: Any,
    input: Any = None,  # noqa: A002
    *,
    batch: Any = 1,
    dtype: str | None = None,
) -> Report | Symbolic:
    """The report on a target; where its notation has symbols for sizes, in these symbols.

    Of notation with a repetition whose count is a symbol, its formulas (a report has a definite number of nodes).

    Without an input, symbolic notation reads C×H×W with the first convolution's own symbol for C, if it is one name:
    the block then keeps its channels, which is what is usually compared.

    Raises:
        RfcalcError: what cannot be read or does not fit.

    >>> analyzed("conv3-C nobias x3").totals.weights, analyzed("conv3-C nobias xN").totals.weights
    (27*C**2, 9*C**2*N)
    """
    try:
        return analyze(target, input, batch=batch, dtype=dtype)
    except NotationError as error:
        reading = _symbolic(target)
        if reading is None:
            raise error from None
    if not lasting(reading.expr):
        return _report(reading, target, input, batch, dtype or "float32")
    if batch != 1:
        raise RfcalcError("a repetition of unknown count is explained for one item", fix="leave out --batch")
    from rfcalc.derivation.symbolic import symbolic

    return symbolic(target, input, dtype=dtype or "float32")


def _symbolic(target: Any) -> Any:
    """The target read as notation with symbols; None where it has none."""
    from rfcalc.notation import parse

    try:
        reading = parse(target, symbols=True) if isinstance(target, str) else None
    except RfcalcError:
        return None
    return reading if reading is not None and reading.symbolic else None


def _report(reading: Any, target: str, given: Any, batch: Any, dtype: str) -> Report:
    from rfcalc.formulas.algebra import SympyAlgebra
    from rfcalc.formulas.symbols import Declared

    names = sorted({str(n) for value in reading.symbolic for n in value.free_symbols})
    symbols = {name: Declared(name).symbol for name in names}
    network = reading._replace(expr=reading.expr.bind(symbols)).network()
    assumed = list(reading.assumptions)
    if given is None and list(network.inputs.values()) == [None]:
        channels = _channels(network, symbols)
        given = (channels, Declared("H").symbol, Declared("W").symbol)
        assumed.insert(0, f"the input is {channels}×H×W: none was given")
    are = "is a whole number" if len(names) == 1 else "are whole numbers"
    assumed.append(f"{', '.join(names)} {are} ≥ 1")
    with walking_with(SympyAlgebra()):
        return Report(network, given, batch=batch, dtype=dtype, target=target, assumptions=assumed)


def _channels(network: Any, symbols: dict[str, Any]) -> Any:
    """The symbol of the first layer's channels, which the input then has too; 3 where it has none."""
    for node in network.nodes:
        channels = getattr(node.layer, "out_channels", getattr(node.layer, "out_features", None))
        if channels is not None:
            return channels if channels in symbols.values() else 3
    return next(iter(symbols.values()))
