"""Fields of nodes whose channel axis positions of the source lie along, with the channels told apart.

A `Field` speaks of positions over all channels: products of queries and keys hold a key in every channel, so a position
sees them all. A layer that reads some channels only (a masked softmax) sees less than that. This companion of the walk
keeps the fields of such nodes as they are before the union over the channels, path by path, until they are read.
"""

from __future__ import annotations

from collections.abc import Sequence

from rfcalc.core.shape import numbers
from rfcalc.graph.forward import Shaped, reads_of
from rfcalc.receptive.field import Aligned, Field, Unaligned, join, of_positions, through
from rfcalc.receptive.parts import ChannelsApart, trivial

MOST_PATHS = 16


class Told:
    """The fields by position where channels are told apart, one a path."""

    def __init__(self, walked: Shaped, found: Sequence[Field | None], apart: ChannelsApart) -> None:
        self.walked, self.found, self.apart = walked, found, apart
        self.known: dict[int, tuple[Field, ...]] = {}

    def after(self, position: int, plain: Field | None) -> Field | None:
        """The field of a node, where positions lie along its channels or did so before it; None where `plain`, the
        field that was found without telling channels apart, says it as well."""
        node, sources, xs, y = self.walked.at(position)
        if node.layer.opaque or not numbers(*xs, y):
            return None
        before = any(s in self.known for s in sources)
        paths: list[Field] = []
        for s, x, alternatives in zip(sources, xs, node.layer.apart(xs, y) or reads_of(node, xs, y), strict=True):
            field = self.found[s]
            for one in self.known.get(s, () if field is None else (field,)):
                part = through(one, alternatives, node.name, x.dims)
                if part is not None and part not in paths:
                    paths.append(part)
        if not paths or len(paths) > MOST_PATHS or any(_wanders(path, y.channel) for path in paths):
            return None
        along = [_lies_along(path, y.channel) for path in paths]
        if any(along):
            self.known[position] = tuple(paths)
            if plain is None or not any(j.node == node.name and j.why == "layout" for j in plain.joins):
                return None
            paths = [of_positions(path, y.channel, y.dims, node.name) for path in paths]
        elif not before or not all(s in self.known or trivial(self.apart.of(s, self.found[s])) for s in sources):
            return None
        result = paths[0]
        for path in paths[1:]:
            result = join(result, path, node.name, y.dims, node.inputs[:1] * 2)  # type: ignore[arg-type]
        return result


def _wanders(field: Field, channel: int) -> bool:
    return any(isinstance(e, Unaligned) and channel in e.carriers for term in field.terms for e in term)


def _lies_along(field: Field, channel: int) -> bool:
    """Whether windows of the field move along the channel axis."""
    entries = [e for term in field.terms for e in term]
    return any(isinstance(e, Aligned) and e.carrier == channel and not e.constant for e in entries)
