"""Today's figures of a network as a claims file, so that a change of it is noticed."""

from __future__ import annotations

from rfcalc.claims.files import SCHEMA, is_code
from rfcalc.core.errors import RfcalcError
from rfcalc.report import Report

TOTALS = ("params", "weights", "biases", "buffers", "macs", "values", "peak_bytes", "saved_bytes", "weight_layers")


def lock(report: Report, network: str, shape: str | None = None) -> str:
    """A claims file with the totals and, for each output, its shape and receptive field.

    Args:
        report: what is locked.
        network: how claims name it: a name of the zoo, or notation.
        shape: the input, where it is not the network's own.

    Raises:
        RfcalcError: a total that is no number.
    """
    given = f"input = {_text(shape)}\n" if shape else ""
    consent = f"# {network} is code: it runs only where the command line names it, rfcalc check FILE --run {network}\n"
    parts = [
        (consent if is_code(network) else "")
        + f'schema = "{SCHEMA}"\ntitle = {_text(f"{network}, locked")}\nnetwork = {_text(network)}\n{given}'
    ]

    def claim(name: str, what: str, value: object) -> None:
        if not isinstance(value, int):
            raise RfcalcError(f"{name} is {value}, not a number", fix="put numbers in for symbols")
        parts.append(f'[[claim]]\nname = {_text(name)}\nwhat = {_text(what)}\nprinted = "{value:,}"\n')

    for name in TOTALS:
        claim(name, name, getattr(report.totals, name))
    for row in report.outputs:
        at = f"'{row.name}'"
        for axis, size in enumerate(row.output_shape):
            claim(f"shape of {row.name}, axis {axis}", f"output_shape[{axis}]@{at}", size)
        field = row.receptive_field
        if field.status not in ("exact", "periodic"):
            continue
        for axis, value in enumerate(field.size):
            if isinstance(value, int):
                claim(f"receptive field of {row.name}, axis {axis}", f"rf[{axis}]@{at}", value)
    return "\n".join(parts)


def _text(text: str) -> str:
    from json import dumps

    return dumps(text, ensure_ascii=False)
