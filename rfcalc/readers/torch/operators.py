"""What is asked of an operator's schema, and of how it is called."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

_OTHERS = ("type_as", "expand_as", "view_as", "reshape_as")  # of the second argument only shape or type matter
_SHAPE_ONLY = frozenset(
    ["zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full", "new_empty", *_OTHERS]
)
_ASKING = frozenset(["item", "_local_scalar_dense", "equal", "is_nonzero", "allclose", "_is_all_true", "_is_any_true"])


class KnownSchema(NamedTuple):
    """What is asked of an operator's schema, once for each operator."""

    name: str
    overload: str
    names: tuple[str, ...]
    defaults: dict[str, Any]
    views: bool
    writes: bool
    written: tuple[tuple[int, str], ...]  # arguments that it writes to: place and name
    random: bool
    reshapes: bool  # changes the shape of its argument in place
    shape_only: bool
    by_other: bool
    asks: bool


OPERATORS: dict[Any, KnownSchema] = {}


def operator(func: Any) -> KnownSchema:
    """What is known of an operator.

    Raises:
        NotImplementedError: it has no schema.
    """
    schema = func._schema
    namespace, _, name = schema.name.partition("::")
    returned = [r.alias_info for r in schema.returns]
    names = tuple(a.name for a in schema.arguments)
    defaults = {a.name: a.default_value for a in schema.arguments if a.has_default_value()}
    writes = [(i, a.name) for i, a in enumerate(schema.arguments) if a.alias_info is not None and a.alias_info.is_write]
    seen = any(a is not None and not a.is_write for a in returned)
    full = name if namespace == "aten" else f"{namespace}.{name}"
    if full == "_convolution":  # what tracing writes down; its first arguments are the same
        full = "convolution"
    found = OPERATORS[func] = KnownSchema(
        full,
        func._overloadname,
        names,
        defaults,
        seen,
        bool(writes),
        tuple(writes),
        torch.Tag.nondeterministic_seeded in func.tags,
        torch.Tag.inplace_view in func.tags,
        full in _SHAPE_ONLY or (full == "to" and func._overloadname == "other"),
        full in _OTHERS or (full == "to" and func._overloadname == "other"),
        full in _ASKING,
    )
    return found


def settled(known: KnownSchema, args: Any, kwargs: Any) -> bool:
    """Whether an operator that may draw by chance does not, as it is called: dropout in evaluation mode."""
    bound = {**known.defaults, **dict(zip(known.names, args, strict=False)), **kwargs}
    return bound.get("train", bound.get("training")) is False or bound.get("dropout_p") == 0
