"""What an error of a size says of the valid ones. It is worked out where the text of the error is asked for, so that an
error that is caught costs nothing more.

Further runs of the user's code are silent, and nothing around them (assumptions about symbols, what is watched) reaches
them.
"""

from __future__ import annotations

from contextlib import redirect_stderr, redirect_stdout, suppress
from contextvars import Context, ContextVar
from io import StringIO
from typing import TYPE_CHECKING, Any

from rfcalc.core.errors import RfcalcError

if TYPE_CHECKING:
    from rfcalc.plan.sizes import Sizes

SECONDS = 1.0  # of the processor, to look for valid sizes of layers
LONGEST = 3.0  # where files or code are read for that, once they have been found to run

_working: ContextVar[bool] = ContextVar("working", default=False)  # errors that occur meanwhile are told as they are


def advised(error: RfcalcError) -> str | None:
    """How to fix a size that is not taken: the valid sizes and the nearest ones, before what the error says itself.

    Returns:
        What the error says itself, where no more is found in time. Nothing is raised.
    """
    return error.own_fix if _working.get() else Context().run(_advised, error)


def _advised(error: RfcalcError) -> str | None:
    _working.set(True)
    fix, sizes = error.own_fix, None
    with suppress(Exception), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        if error.advice is not None:
            advice = error.advice()
            if advice is None:
                return fix
            fix = advice.text
            if advice.input is not None:
                fix = f"{advice.text} (rfcalc sizes TARGET tells all valid sizes)"
                sizes = None if error.asked is None else _of_reading(error.asked, advice.input)
                fix = fix if sizes is None else advice.text
        elif error.asked is not None:
            sizes = _of_reading(error.asked, error.asked[1])
        elif error.walk is not None:
            sizes = _of_walk(*error.walk)
    return "\n".join([told for told in (sizes, fix) if told is not None]) or None


def _of_walk(network: Any, shapes: Any) -> str | None:
    from rfcalc.plan.sizes import Sizes

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
    rules = [told(axis.valid) for axis in found.axes]
    alike = len(set(rules)) == 1
    rules = rules[:1] if alike else [f"axis {i}: {rule}" for i, rule in enumerate(rules)]
    nearest = f"; nearest {' or '.join(near)}" if near else ""
    return f"valid sizes: {'; '.join(rules)}{nearest} (rfcalc sizes shows all)"
