"""Plans for what a user may name: `rfcalc.sizes`, `rfcalc.grid`, `rfcalc.tile`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rfcalc.core.errors import RfcalcError
from rfcalc.graph.forward import shapes_of_inputs
from rfcalc.readers.target import DEFAULT_INPUT, resolve

if TYPE_CHECKING:
    from rfcalc.plan.sizes import Sizes


def sizes(target: Any, input: Any = None, *, near: Any = None) -> Sizes:  # noqa: A002
    """The valid input sizes of a network on every axis, exactly: congruences, a bound, exceptions.

    Args:
        target, input: as for `analyze`; the sizes of the other axes, while one is varied, are the input's.
        near: sizes of the spatial axes (``"350x525"``, a tuple), to which the nearest valid ones are found.

    Raises:
        RfcalcError: what cannot be read; sizes that cannot be told.

    >>> import rfcalc
    >>> rfcalc.sizes("unet-padded").axes[0].valid
    Congruence(start=16, modulus=16, rests=(0,), below=())
    """
    from rfcalc.plan.sizes import Sizes

    found = resolve(target, input)
    network, assumptions = found.network, found.assumptions
    if found.bound:
        input = None  # noqa: A001
    elif input is None and list(network.inputs.values()) == [None]:
        input = DEFAULT_INPUT  # noqa: A001
        assumptions = (f"the input is {DEFAULT_INPUT}: none was given", *assumptions)
    shapes = shapes_of_inputs(network, input)
    return Sizes(network, shapes, lengths("near", near), target=found.name, assumptions=assumptions)


def lengths(name: str, given: Any) -> tuple[int, ...] | None:
    """Sizes of the spatial axes, as text (``"350x525"``), a number or a sequence.

    Raises:
        RfcalcError: anything else.

    >>> lengths("near", "350x525")
    (350, 525)
    """
    if given is None:
        return None
    parts: Sequence[Any] = given.lower().replace("×", "x").split("x") if isinstance(given, str) else ()
    if not isinstance(given, str):
        parts = given if isinstance(given, (tuple, list)) else (given,)
    try:
        found = tuple(int(p) if isinstance(p, str) else p.__index__() for p in parts)
    except (ValueError, AttributeError):
        found = ()
    if not found or min(found) < 1:
        raise RfcalcError(
            f"{name} {given!r} are no sizes", fix=f'write whole numbers, one for each spatial axis: {name}="350x525"'
        )
    return found
