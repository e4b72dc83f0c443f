"""What a user may name becomes a network, loading only what that needs. Imports levels 0 to 8."""

from __future__ import annotations

from typing import Any, NamedTuple

from rfcalc.errors import NotationError, RfcalcError, UnknownName, suggestion
from rfcalc.expr import Expr
from rfcalc.network import Network
from rfcalc.report import Report
from rfcalc.size import Size

DEFAULT_INPUT = "3x224x224"


class Target(NamedTuple):
    """A network, how it was named, and what had to be assumed to read it."""

    network: Network
    name: str
    assumptions: tuple[str, ...] = ()


def resolve(target: Any) -> Target:
    """The network that a target names: a `Network`, an expression, a zoo name, or notation.

    Raises:
        UnknownName: a word that is neither a network nor a layer, with the nearest names.
        NotationError: a text that cannot be read.
    """
    if isinstance(target, Target):
        return target
    if isinstance(target, Network):
        return Target(target, target.name or "network")
    if isinstance(target, Expr):
        return Target(Network(target), "network")
    if not isinstance(target, str):
        raise RfcalcError(
            f"{type(target).__name__} {target!r} is not a network", fix='give a name ("vgg16"), notation or a Network'
        )
    from rfcalc import zoo

    text = target.strip()
    if not text:
        raise RfcalcError("the network is empty", fix="name one (`rfcalc list`), or write it: conv3-64 > maxpool2")
    if _word_like(text):
        entry = zoo.find(text)
        if entry is not None:
            return Target(entry.build(), entry.name)
    from rfcalc.notation import parse

    try:
        reading = parse(text)
    except NotationError as error:
        if _word_like(text):
            hint = suggestion(text, zoo.names())
            fix = f"{hint}; `rfcalc list` shows the networks, and a layer is written like conv3-64"
            raise UnknownName("network", text, [], fix=fix) from None
        raise error.at("notation") from None
    return Target(reading.network(), reading.header.name or text, reading.assumptions)


def _word_like(text: str) -> bool:
    return not any(c in text for c in " \n>|+()[]")


def load(target: Any) -> Network:
    """The network that a target names.

    >>> import rfcalc
    >>> rfcalc.load("vgg16").node("conv1_1").layer
    Conv(64, 3, padding=1)
    """
    return resolve(target).network


def analyze(target: Any, input: Any = None, *, batch: Size = 1, dtype: str = "float32") -> Report:  # noqa: A002
    """Analyse a network: shapes, parameters, operations, memory, receptive fields.

    Args:
        target: a `Network`, an expression, the name of a network of the literature, or notation.
        input: its input shape (``"3x224x224"``, a tuple), or shapes by input name; its default if left out, and
            3x224x224 for notation (which is then among the assumptions).
        batch: multiplies values, bytes and operations.
        dtype: ``float32``, ``float16``, …

    Raises:
        RfcalcError: what cannot be read or does not fit; the message says where, what, why and how to fix it.

    >>> import rfcalc
    >>> rfcalc.analyze("vgg16").totals.macs
    15470264320
    """
    found = resolve(target)
    network = found.network
    assumptions = found.assumptions
    if input is None and list(network.inputs.values()) == [None]:
        input = DEFAULT_INPUT  # noqa: A001
        assumptions = (f"the input is {DEFAULT_INPUT}: none was given", *assumptions)
    return Report(network, input, batch=batch, dtype=dtype, target=found.name, assumptions=assumptions)
