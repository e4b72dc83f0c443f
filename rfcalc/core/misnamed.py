"""The errors of parameters that are given to a layer kind in another order, or by another name. Loaded where needed."""

from __future__ import annotations

from dataclasses import MISSING
from typing import Any

from rfcalc.core.errors import LayerError, suggestion
from rfcalc.core.layer import Layer, parameters
from rfcalc.core.size import is_size

FROM_THE_INPUT = ("in_channels", "in_features", "num_features", "num_channels", "embed_dim", "input_size")


def check_names(kind: type[Layer], given: int, named: dict[str, Any]) -> None:
    """Refuse names that a kind has no parameter for, and parameters that are missing."""
    taken = parameters(kind)
    names = [f.name for f in taken]
    for name in named:
        if name in names:
            continue
        if name in FROM_THE_INPUT:
            fix = "leave it out: the channels come from the input"
        else:
            fix = suggestion(name, names)
        raise LayerError(f"there is no parameter {name!r}", where=kind.__name__, fix=fix or "it takes none")
    for f in taken[given:]:
        if f.default is MISSING and f.default_factory is MISSING and f.name not in named:
            raise LayerError(f"the parameter {f.name!r} is missing", where=kind.__name__, fix=f"give {f.name}=…")


def misordered(kind: type[Layer], given: tuple[Any, ...], named: dict[str, Any], most: int) -> LayerError:
    """The error for parameters that must be named. PyTorch's order, with the input's channels in it, is recognised."""
    names = [f.name for f in parameters(kind)]

    def call(values: tuple[Any, ...]) -> str:
        shown = [repr(v) if i < most else f"{names[i]}={v!r}" for i, v in enumerate(values[: len(names)])]
        return f"{kind.__name__}({', '.join([*shown, *(f'{n}={v!r}' for n, v in named.items())])})"

    first = "the first parameter" if most == 1 else f"the first {most} parameters"
    what = f"only {first} may stand without a name" if most else "every parameter has its name"
    told = f"what follows must be named: {', '.join(names[most:])}"
    meant = call(given)
    taken = given[kind.from_the_input] if kind.from_the_input else ()
    if kind.from_the_input is None or not taken or not all(is_size(v) and not isinstance(v, bool) for v in taken):
        return LayerError(what, where=kind.__name__, why=told, fix=f"write {meant}")
    why = f"{told}\nPyTorch's order names the channels of the input; here they come from the input itself"
    bare = isinstance(parameters(kind)[most].default, bool)  # no number, then
    start = kind.from_the_input.start
    count = taken.count(taken[0])  # a depthwise convolution gives as many channels as come in
    right = call((*given[:start], *given[start + count :]))
    other = f"; or, if {taken[0]} is no number of input channels, {meant}" if not bare else ""
    return LayerError(what, where=kind.__name__, why=why, fix=f"write {right}{other}")
