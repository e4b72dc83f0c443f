"""`rfcalc sizes`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rfcalc.cli.common import Format, Inputs, NoNotes, Output, Target, emit, format_of, inputs
from rfcalc.core.errors import RfcalcError

if TYPE_CHECKING:
    from rfcalc.plan.sizes import Sizes

SECONDS = 1.0  # to look for valid sizes where an error is told
LONGEST = 3.0  # where files or code are read for that, once they have been found to run


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
        if error.advice is not None:
            advice = error.advice()
            if advice is None:
                return
            error.fix = advice.text
            if advice.input is not None:
                error.fix += " (rfcalc sizes TARGET tells all valid sizes)"
                if error.asked is not None and (sizes := _of_reading(error.asked, advice.input)) is not None:
                    error.fix = f"{sizes}\n{advice.text}"
        elif error.asked is not None:
            _put_before(error, _of_reading(error.asked, error.asked[1]))
        elif error.walk is not None:
            _put_before(error, _of_walk(error))


def _put_before(error: RfcalcError, sizes: str | None) -> None:
    if sizes is not None:
        error.fix = sizes if error.fix is None else f"{sizes}\n{error.fix}"


def _of_walk(error: RfcalcError) -> str | None:
    from rfcalc.plan.sizes import Sizes

    network, shapes = error.walk
    return _told(Sizes(network, shapes, shapes[0].spatial, seconds=SECONDS))


def _of_reading(asked: tuple[Any, Any], runs: Any) -> str | None:
    """The valid sizes of a file, or of code from the input that it runs on, near to what was asked for."""
    from rfcalc.core.shape import Shape
    from rfcalc.core.within import within
    from rfcalc.readers.close import first_of
    from rfcalc.readers.planning import sizes

    target, given = asked
    if given is None and runs is None:
        return None
    near = None if given is None else Shape.of(first_of(given)).spatial
    with within(LONGEST):
        return _told(sizes(target, runs, near=near))


def _told(found: Sizes) -> str | None:
    from rfcalc.plan.nearest import told

    near = ["x".join(map(str, n.valid)) for n in found.near if n.valid != n.asked]
    apart = len({x.spatial for x in found.inputs}) > 1  # then the sizes of the first hold beside those of the others
    if apart or (not near and found.asked_near is not None):
        return None
    rules = dict.fromkeys(told(axis.valid) for axis in found.axes)
    nearest = f"; nearest {' or '.join(near)}" if near else ""
    return f"valid sizes: {'; '.join(rules)}{nearest} (rfcalc sizes shows all)"
