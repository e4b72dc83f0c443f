"""`rfcalc sizes`."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from rfcalc.cli.common import Format, Inputs, NoNotes, Output, Target, emit, format_of, inputs
from rfcalc.core.errors import RfcalcError

if TYPE_CHECKING:
    from rfcalc.plan.sizes import Sizes

SECONDS = 1.0  # to look for valid sizes where an error is told
QUICK = 0.3  # a reading of code, so that several do not keep the message back
MULTIPLES = (2, 4, 8, 16, 32, 64, 128)


def command(
    target: Target,
    near: Annotated[
        str | None, typer.Option(help="Sizes to which the nearest valid ones are looked for: 350x525.")
    ] = None,
    input: Inputs = None,  # noqa: A002
    format: Format = None,  # noqa: A002
    output: Output = None,
    no_notes: NoNotes = False,
) -> None:
    """Must it be divisible by 32? Exact rules for each axis, the node that refuses other sizes, padding and cropping
    to the nearest valid size, pixels that reach no output.

    Example: rfcalc sizes unet --near 350x525
    """
    from rfcalc.readers.planning import sizes

    format_of(format, output)
    emit(sizes(target, inputs(input), near=near).document(), format, output, no_notes)


def advise(error: RfcalcError) -> None:
    """Add the valid sizes, and the nearest ones, to what is told of a size that a network does not take."""
    with suppress(Exception):  # the error itself is what must be told
        if error.asked is not None and (sizes := _of_reading(error)):
            error.fix = sizes
        elif error.advice is not None:
            error.fix = error.advice() or error.fix
        elif error.walk is not None and (sizes := _of_walk(error)):
            error.fix = sizes if error.fix is None else f"{sizes}\n{error.fix}"


def _of_walk(error: RfcalcError) -> str | None:
    from rfcalc.plan.sizes import Sizes

    network, shapes = error.walk
    return _told(Sizes(network, shapes, shapes[0].spatial, seconds=SECONDS))


def _of_reading(error: RfcalcError) -> str | None:
    """The valid sizes of a file, or of code, from a size close by with which it can be read."""
    from rfcalc.core.shape import Shape
    from rfcalc.readers.planning import sizes
    from rfcalc.readers.target import resolve

    target, given = error.asked
    if given is None or isinstance(given, dict) or (code := error.advice is not None) != (".py:" in str(target)):
        return None
    asked = Shape.of(given)
    begun = monotonic()
    for multiple in MULTIPLES:
        tried = Shape(asked.channels, *(-(-n // multiple) * multiple for n in asked.spatial))
        start = monotonic()
        if start - begun > SECONDS:
            return None
        with suppress(RfcalcError):
            resolve(target, tried)
            slow = code and monotonic() - start > QUICK
            return None if slow else _told(sizes(target, tried, near=asked.spatial))
    return None


def _told(found: Sizes) -> str | None:
    from rfcalc.plan.nearest import told

    near = ["x".join(map(str, n.valid)) for n in found.near if n.valid != n.asked]
    rules = dict.fromkeys(told(axis.valid) for axis in found.axes)
    return f"valid sizes: {'; '.join(rules)}; nearest {' or '.join(near)} (rfcalc sizes shows all)" if near else None
