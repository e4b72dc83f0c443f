"""Targets whose sizes are symbols: ``conv3-C x3`` on C×H×W. sympy is loaded only where there are symbols."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rfcalc.core.errors import RfcalcError
from rfcalc.core.size import walking_with
from rfcalc.readers.target import analyze, named
from rfcalc.report import Report

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

    Without an input, symbolic notation reads C×H×W with the first layer's own symbol for C, if it is one name: the
    block then keeps its channels, which is what is usually compared.

    Raises:
        RfcalcError: what cannot be read or does not fit.

    >>> analyzed("conv3-C nobias x3").totals.weights, analyzed("conv3-C nobias xN").totals.weights
    (27*C**2, 9*C**2*N)
    """
    asked = named(target)
    if not asked.open:
        return analyze(target, input, batch=batch, dtype=dtype)
    from rfcalc.derivation.sources import source_of
    from rfcalc.formulas.algebra import SympyAlgebra
    from rfcalc.formulas.formulas import formulas

    source = source_of(target, input)
    found = formulas(source, input, general=True, dtype=dtype or "float32")
    report = found.report
    if report is None:
        if batch != 1:
            raise RfcalcError("a repetition of unknown count is explained for one item", fix="leave out --batch")
        return found
    names = sorted(source.names)
    are = "is a whole number" if len(names) == 1 else "are whole numbers"
    assumed = [*found.assumptions, f"{', '.join(names)} {are} ≥ 1"]
    if input is None and list(source.inputs.values()) == [None]:
        assumed.insert(0, f"the input is {'×'.join(map(str, *found.inputs.values()))}: none was given")
    with walking_with(SympyAlgebra()):
        return Report(
            report.network,
            report.inputs,
            batch=batch,
            dtype=report.dtype,
            target=asked.name,
            assumptions=[*dict.fromkeys(assumed)],
        )
