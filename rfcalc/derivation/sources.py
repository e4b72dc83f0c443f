"""A network in the making, for what a user may name: from the zoo, from notation with names in it, or as it is."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import TYPE_CHECKING, Any

from rfcalc.core.errors import RfcalcError
from rfcalc.core.expr import Expr, Repeat
from rfcalc.core.index import Expression, Var, bind
from rfcalc.core.integers import read as read_size
from rfcalc.core.layer import Layer
from rfcalc.core.shape import Shape
from rfcalc.formulas.account import lasting, parts
from rfcalc.formulas.plan import AXES
from rfcalc.formulas.source import SymbolicSource
from rfcalc.formulas.symbols import spelled
from rfcalc.graph.network import Network
from rfcalc.notation.parse import Reading
from rfcalc.readers.target import Named, Target, named, numbers

if TYPE_CHECKING:
    from rfcalc.zoo import Entry

OPTIONS = {"N": "classes", "α": "width"}
WIDTHS = ("mobilenet-v1",)  # networks whose channels follow a width multiplier
WORDS = {
    "out_channels": "output channels",
    "out_features": "output features",
    "kernel": "kernel size",
    "times": "number of copies",
}


def source_of(target: Any, given: Any = None) -> SymbolicSource:
    """The network that a target names, with its names open; a model may need the input to be read at all."""
    if isinstance(target, Expr) and lasting(target):
        return SymbolicSource("network", lambda values: target, {"input": None})
    found = named(target)
    if found.entry is not None:
        return _entry(found.entry)
    if found.reading is not None:
        return _written(found.name, found.reading)
    return _read(found, given)


def _entry(entry: Entry) -> SymbolicSource:
    """A network of the literature, with what its builder can vary."""
    network = entry.build()
    options = tuple(signature(entry.build).parameters)
    wide = entry.name.startswith(WIDTHS)
    known = {n: o for n, o in OPTIONS.items() if o in options and (n != "α" or wide)}

    def made(values: Mapping[str, Any]) -> Network:
        return entry.build(**{known[n]: v for n, v in values.items() if n in known}) if values else network

    return SymbolicSource(entry.name, made, dict(network.inputs), (), (*known, "ρ") if "α" in known else tuple(known))


def _read(target: Named, given: Any) -> SymbolicSource:
    """A network that is read: from code at the sizes of its input, at several of them where these are to be symbols."""
    from rfcalc.derivation.fitting import fit

    shapes = _shapes(given)
    named = any(isinstance(d, Expression) for dims in shapes.values() for d in dims)
    found, base, channels = _first(target, shapes) if named else (target.read(numbers(given)), {}, {})
    network = found.network
    inputs = dict(network.inputs)
    if found.bound and not shapes:
        shapes, base = _letters(inputs)
    if not (found.bound and base):
        return SymbolicSource(found.name, lambda values: network, inputs, assumptions=found.assumptions)

    def read(sizes: Mapping[str, int]) -> Expr:
        return target.read(_put(shapes, {**channels, **sizes})).network.expr

    fitted = fit(read, base, network.expr)
    about: dict[str, Any] = {n: getattr(network, n) for n in ("outputs", "name", "title", "citation")}
    follows = fitted.modulus > 1 or fitted.expr is not network.expr

    def made(values: Mapping[str, Any]) -> Network:
        inside = {name: values.get(name, size) for name, size in base.items()}
        return Network(fitted.expr.bind(inside), network.inputs, **about) if follows else network

    told = "; ".join(", ".join(f"{n} = {s}" for n, s in sizes.items()) for sizes in fitted.read)
    more = (f"the code was read at {told}: its inner sizes are taken to follow the same formulas elsewhere",)
    assumptions = tuple(a for a in found.assumptions if not a.startswith("the input is")) + (more if follows else ())
    return SymbolicSource(
        found.name, made, inputs, assumptions=assumptions, sizes=base if follows else {}, modulus=fitted.modulus
    )


TRIED = (224, 64, 256, 32, 512, 1024, 16000)  # sizes at which code is read first, where the user gives names


def _first(target: Named, shapes: Mapping[str, tuple[Any, ...]]) -> tuple[Target, dict[str, int], dict[str, int]]:
    """A first reading of a target whose input has names in it; what was put in for its positions, and for channels.

    Raises:
        RfcalcError: it reads at none of the sizes that are tried.
    """
    channels = {n for dims in shapes.values() if len(dims) > 1 for n in names_in(dims[0])}
    names = dict.fromkeys(n for dims in shapes.values() for d in dims for n in names_in(d) if n not in channels)
    trouble: RfcalcError | None = None
    for size in TRIED:
        for count in (3, 1) if channels else (3,):
            base, beside = dict.fromkeys(names, size), dict.fromkeys(channels, count)
            try:
                return target.read(_put(shapes, {**beside, **base})), base, beside
            except RfcalcError as error:
                trouble = trouble or error
    assert trouble is not None
    raise trouble


def names_in(value: Any) -> frozenset[str]:
    """The names in a size."""
    return value.free_symbols if isinstance(value, Expression) else frozenset()


def _shapes(given: Any) -> dict[str, tuple[Any, ...]]:
    """Shapes by the input's name, numbers and names; the empty name where there is one input."""
    named = given if isinstance(given, Mapping) else {} if given is None else {"": given}
    found: dict[str, tuple[Any, ...]] = {}
    for name, shape in named.items():
        if not isinstance(shape, str):
            found[name] = tuple(Shape.of(shape).dims)
            continue
        try:
            parts = shape.replace("×", "x").replace(",", "x").split("x")
            found[name] = tuple(read_size(spelled(p.strip())) for p in parts)
        except RfcalcError:
            return {}  # told where the symbols are chosen, or by the reader
    return found


def _put(shapes: Mapping[str, tuple[Any, ...]], sizes: Mapping[str, int]) -> Any:
    """The shapes with numbers put in for names."""
    put = {name: Shape(*bind(dims, dict(sizes))) for name, dims in shapes.items()}
    return put[""] if list(put) == [""] else put


def _letters(inputs: Mapping[str, Shape | None]) -> tuple[dict[str, tuple[Any, ...]], dict[str, int]]:
    """The shapes that a network was read with, letters for the sizes of its positions; and these sizes."""
    base: dict[str, int] = {}
    shapes: dict[str, tuple[Any, ...]] = {}
    for name, shape in inputs.items():
        if shape is None or len(AXES.get(shape.rank, ())) != shape.rank:
            return {}, {}
        dims = list(shape.dims)
        for letter, i in zip(AXES[shape.rank], shape.axes, strict=True):
            if base.setdefault(letter, dims[i]) == dims[i]:
                dims[i] = Var(letter)
        shapes[name] = tuple(dims)
    return ({"": next(iter(shapes.values()))} if len(shapes) == 1 else shapes), base


def _written(name: str, reading: Reading) -> SymbolicSource:
    """Notation with names in it."""
    roles = _roles(reading.expr)
    names = tuple(sorted(roles))
    head = reading.header

    def made(values: Mapping[str, Any]) -> Network | Expr:
        return reading.expr.bind({n: v for n, v in values.items() if n in names})

    about = {"outputs": head.outputs, "name": head.name, "title": head.title, "citation": head.citation}
    inputs = dict(head.inputs) or {"input": None}
    return SymbolicSource(name, made, inputs, names, (), reading.channel, reading.assumptions, about, roles)


def _roles(expr: Expr) -> dict[str, str]:
    """The names in an expression that are no index of a repetition, and what each stands for."""
    found: dict[str, dict[str, None]] = {}

    def note(value: Any, role: str, bound: frozenset[str]) -> None:
        if isinstance(value, tuple):
            for v in value:
                note(v, role, bound)
        elif role != "padding" or isinstance(value, Var):
            for name in sorted(getattr(value, "free_symbols", frozenset()) - bound):
                found.setdefault(name, {})[role] = None

    waiting: list[tuple[Any, frozenset[str]]] = [(expr, frozenset())]
    while waiting:
        one, bound = waiting.pop()
        if isinstance(one, Layer):
            for name, value in one.given.items():
                note(value, WORDS.get(name, name.replace("_", " ")), bound)
        elif isinstance(one, Repeat):
            note(one.times, WORDS["times"], bound)
            waiting.append((one.body, bound | {one.index} if one.index else bound))
        else:
            waiting += [(part, bound) for part in reversed(parts(one))]
    return {name: " and ".join(sorted(roles)) for name, roles in found.items()}
