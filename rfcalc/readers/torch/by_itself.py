"""A module run as it is, with plain numbers for its lengths: what its code does then must be what it did when it was
read with lengths that note what it asks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.core.lengths import watched
from rfcalc.core.shape import Shape
from rfcalc.readers.torch.given import ForwardCall
from rfcalc.readers.torch.looks import codes, looking, may_look
from rfcalc.readers.torch.recording import NoValues, Recording, record

if TYPE_CHECKING:
    from rfcalc.readers.torch.source import Source


class Ran(NamedTuple):
    """What a run did: its steps, by their names and the shapes that they made; the shapes of what it gives back;
    whether one of its maps has no values."""

    steps: tuple[Any, ...]
    outputs: tuple[tuple[int, ...], ...]
    empty: bool


def ran(recording: Recording) -> Ran:
    steps = tuple([(s.name, *[tuple(t.shape) for t in s.outs]) for s in recording.steps])
    outputs = tuple([tuple(t.shape) for t in recording.outputs])
    return Ran(steps, outputs, any(0 in shape for _, *shapes in steps for shape in shapes))


def by_itself(source: Source, base: Sequence[Shape], inputs: Sequence[Shape]) -> Ran | RfcalcError | None:
    """What the module of a source does at some sizes, in shapes as it is called; the error where it is refused; None
    where it asks for values that are not there."""
    pairs = iter(list(zip(base, inputs, strict=True)))

    def changed(leaf: Any) -> Any:
        one, other = next(pairs)
        return leaf if one.dims == other.dims else leaf._replace(shape=(leaf.shape[0], *other.dims))

    return _run(source, source.call.mapped(changed))


def at_first(source: Source) -> tuple[Ran | RfcalcError | None, list[str]]:
    """The same at the sizes that it was read at; and where its code looks at what a length is, not how much it is."""
    with codes() as run:
        does = _run(source, source.call)
    among = may_look(run)
    if not among:
        return does, []
    with watched(sized=True), looking(among) as found, suppress(RfcalcError):
        record(source.module, source.call, source.training)
    return does, list(dict.fromkeys(found))


def _run(source: Source, call: ForwardCall) -> Ran | RfcalcError | None:
    try:
        return ran(record(source.module, call, source.training))
    except RfcalcError as error:
        return None if isinstance(error.__cause__, NoValues) else error
