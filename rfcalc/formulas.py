"""A network with symbols for what a user may name: the way in to `rfcalc.symbolic`. Imports levels 0 to 9.

The symbols of a network: H and W (L for one axis, D, H and W for three) for the sizes of its input, C for the channels
of its input, N for the classes of its last layer, B for the batch; α and ρ for the width and resolution multipliers of
a family that has them. In notation a name stands where a number could: ``convK-C xN``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from inspect import signature
from typing import Any, NamedTuple

from rfcalc.errors import RfcalcError, UnknownName
from rfcalc.expr import Expr
from rfcalc.network import Network
from rfcalc.report import DTYPES, Report
from rfcalc.shape import Shape
from rfcalc.symbolic import chain
from rfcalc.symbolic.analysis import walk
from rfcalc.symbolic.declare import declarations, sentence, spelled
from rfcalc.symbolic.poly import Missing, Symbol, SymbolError
from rfcalc.symbolic.result import Formulas, Meaning, missing, of_account, of_report
from rfcalc.target import resolve
from rfcalc.whole import read

AXES = {0: (), 1: ("L",), 2: ("H", "W"), 3: ("D", "H", "W")}
SIDES = {"L": "length", "D": "depth", "H": "height", "W": "width"}
OPTIONS = {"N": "classes", "α": "width"}
FAMILIES = {"mobilenet": "mobilenet-v1"}
WIDTHS = ("mobilenet-v1",)  # networks whose channels follow a width multiplier
GRAIN = Fraction(1, 32)  # α is a multiple of 1/32, so that all channel counts are whole


class Source(NamedTuple):
    """A network in the making: `make(values)` puts formulas in for its names."""

    target: str
    make: Callable[[Mapping[str, Any]], Network | Expr]
    inputs: dict[str, Shape | None]
    names: tuple[str, ...] = ()  # symbols that stand in the text
    options: tuple[str, ...] = ()  # what its family's builder can vary
    channel: str = "C"  # what the channels of the input are called
    assumptions: tuple[str, ...] = ()
    about: dict[str, Any] = {}  # noqa: RUF012 (never changed)


def formulas(
    target: Any,
    symbols: Iterable[str] | str | None = None,
    *,
    input: Any = None,  # noqa: A002
    assume: str = "",
    general: bool = False,
    dtype: str = "float32",
) -> Formulas:
    """The figures of a network as formulas in symbols.

    Args:
        target: as for `analyze`; in notation, names may stand for numbers (``convK-C xN``).
        symbols: which of the network's figures become symbols (``"H,W,C"``); all that it has if left out.
        input: an input shape, or shapes by name; a text may have names in it (``"CxHxW"``).
        assume: what is known of symbols: ``"K odd, H divisible by 32"``.
        general: keep the floors, and assume nothing about divisibility.
        dtype: of the values, for bytes.

    Raises:
        SymbolError: unknown or clashing symbols.

    >>> stack = formulas("conv3-C nobias x3")
    >>> print(stack.totals["weights"], stack.totals["macs"], stack.lines[-1].field["size"])
    27*C**2 27*C**2*H*W (7, 7)
    """
    source = _source(target)
    said = declarations(assume)
    given = _inputs(source, input)
    asked = None if symbols is None else _asked(symbols)
    plan = _Plan(source, given, asked)
    for name in said:
        if name not in plan.symbols:
            raise SymbolError(f"{name} is assumed something of, but is no symbol here", why=plan.known())
    first = {n: said.get(n, s) if s.modulus == 1 else s for n, s in plan.symbols.items()}

    def build(declared: Mapping[str, Symbol]) -> Any:
        network, shapes, batch = plan.network(declared), plan.shapes(declared), plan.batch(declared)
        if not isinstance(network, Network):
            return (None, shapes, *_closed(network, shapes, batch, DTYPES[dtype]))
        report = Report(network, shapes, batch=batch, dtype=dtype)
        return report, report.inputs, *of_report(report), ()

    if dtype not in DTYPES:
        raise UnknownName("dtype", dtype, list(DTYPES))
    found = walk(
        build, first, lambda made: (d for line in made[2] for d in line.output_shape), plan.usual, () if general else plan.sizes
    )
    report, shapes, lines, totals, unknown = found.result
    meanings = tuple(Meaning(found.symbols[n], plan.told[n]) for n in plan.symbols)
    own = [sentence(m.symbol, _fresh(i, found.symbols)) for i, m in enumerate(meanings)]
    also = () if report is None else report.assumptions
    told = dict.fromkeys([*source.assumptions, *filter(None, own), *also, *found.assumptions])
    inputs = {name: shape.dims for name, shape in shapes.items()}
    return Formulas(source.target, inputs, lines, totals, meanings, tuple(told), unknown, report, found.even, dtype)


def _closed(expr: Expr, shapes: Mapping[str, Shape], batch: Any, itemsize: int) -> tuple[Any, ...]:
    """Lines, totals, and what has no closed form, of an expression with repetitions of unknown count."""
    if len(shapes) > 1:
        raise SymbolError("a repetition of unknown count needs a network of one input")
    (shape,) = shapes.values()
    if shape.channel != 0:
        raise SymbolError("a repetition of unknown count needs an input with its channels first")
    account = chain.account(expr, shape.dims)
    lines, totals = of_account(account, shape.dims, batch, itemsize)
    for name, why in account.gone.items():
        totals[name] = Missing(why)
    totals.setdefault("peak_bytes", Missing("which maps live together is not followed through the copies"))
    kept, unknown = missing(totals, lines)
    return lines, kept, unknown


def _fresh(number: int, taken: Mapping[str, Any]) -> str:
    """A letter for the whole number behind a symbol."""
    letters = [c for c in "mnpqrstuvwxyz" if c not in taken]
    return letters[number % len(letters)]


def _asked(symbols: Iterable[str] | str) -> tuple[str, ...]:
    parts = symbols.split(",") if isinstance(symbols, str) else symbols
    return tuple(dict.fromkeys(spelled(p.strip()) for p in parts if p.strip()))


def _source(target: Any) -> Source:
    """The network that a target names, with its names open."""
    from rfcalc import zoo

    if isinstance(target, str):
        text = target.strip()
        entry = zoo.find(FAMILIES.get(text.lower(), text)) if text and not set(text) & set(' \n>|+()[]"') else None
        if entry is not None:
            network = entry.build()
            options = tuple(signature(entry.build).parameters)
            wide = entry.name.startswith(WIDTHS)
            known = {n: o for n, o in OPTIONS.items() if o in options and (n != "α" or wide)}

            def made(values: Mapping[str, Any]) -> Network:
                return entry.build(**{known[n]: v for n, v in values.items() if n in known}) if values else network

            return Source(entry.name, made, dict(network.inputs), (), (*known, "ρ") if "α" in known else tuple(known))
        if text and "." not in text and not text.startswith("py:"):
            return _written(text)
    if isinstance(target, Expr) and chain.lasting(target):
        return Source("network", lambda values: target, {"input": None})
    found = resolve(target)
    network = found.network
    return Source(found.name, lambda values: network, dict(network.inputs), assumptions=found.assumptions)


def _written(text: str) -> Source:
    """Notation with names in it."""
    from rfcalc.errors import NotationError
    from rfcalc.notation import parse

    try:
        reading = parse(text, symbols=True)
    except NotationError as error:
        if not set(text) & set(' \n>|+()[]"'):
            resolve(text)  # says what a single word may have meant
        raise error.at("notation") from None
    names = tuple(sorted(set().union(*(e.free_symbols for e in reading.symbolic))))
    head = reading.header

    def made(values: Mapping[str, Any]) -> Network | Expr:
        return reading.expr.bind({n: v for n, v in values.items() if n in names})

    about = {"outputs": head.outputs, "name": head.name, "title": head.title, "citation": head.citation}
    inputs = dict(head.inputs) or {"input": None}
    return Source(head.name or text, made, inputs, names, (), _channel(reading.expr), reading.assumptions, about)


def _channel(expr: Expr) -> str:
    """The name of the first layer's output channels, where they are a plain name: the input's channels, too."""
    from rfcalc.index import Var

    waiting: list[Any] = [expr]
    while waiting:
        one = waiting.pop()
        out = getattr(one, "out_channels", None)
        if out is not None:
            return out.name if isinstance(out, Var) else "C"
        parts = getattr(one, "items", None) or getattr(one, "branches", None) or (getattr(one, "body", None),)
        waiting += [p for p in reversed(parts) if p is not None]
    return "C"


def _inputs(source: Source, given: Any) -> dict[str, Any]:
    """Shapes by input name, as they were given: lists of numbers and names."""
    if given is None:
        return {}
    named = given if isinstance(given, Mapping) else {next(iter(source.inputs)): given}
    found: dict[str, Any] = {}
    for name, shape in named.items():
        if name not in source.inputs:
            raise SymbolError(f"there is no input {name!r}", why=f"the inputs are {', '.join(source.inputs)}")
        if not isinstance(shape, str):
            found[name] = tuple(Shape.of(shape).dims)
            continue
        parts = [p.strip() for p in shape.replace("×", "x").replace(",", "x").split("x")]
        try:
            found[name] = tuple(read(spelled(p)) for p in parts)
        except RfcalcError as error:
            raise SymbolError(
                f"{shape!r} is not a shape", why=error.why, fix="write it like 3x224x224, CxHxW or 3xHxW"
            ) from None
        if any(isinstance(d, int) and d < 1 for d in found[name]):
            raise SymbolError(f"{shape!r} is not a shape", fix="every size is at least 1")
    return found


class _Plan:
    """Which symbols there are, what each stands for, and how they are put into the network and its inputs."""

    def __init__(self, source: Source, given: Mapping[str, Any], asked: tuple[str, ...] | None) -> None:
        self.source = source
        self.given = given
        self.symbols: dict[str, Symbol] = {}
        self.told: dict[str, str] = {}
        self.usual: dict[str, Any] = {}
        self.sizes: list[str] = []
        self._networks: dict[Any, Network | Expr] = {}
        for name in source.names:
            self._add(name, "in the text")
        for shape in given.values():
            for d in shape:
                for name in sorted(getattr(d, "free_symbols", ())):
                    if name not in self.symbols:
                        self._add(name, "of the input", size=True)
        self.own = self._available()
        for name in self._chosen(asked):
            told, usual = self.own[name]
            grain: Any = GRAIN if name == "α" else 1
            self._add(name, told, size=name in SIDES or name == "ρ", least=grain)
            if usual is not None:
                self.usual[name] = usual
            if name == "α":
                self.symbols[name] = Symbol(name, GRAIN, 0, GRAIN)
            elif name == "ρ":
                side = Fraction(1, self.own["H"][1] or 1)
                self.symbols[name] = Symbol(name, side, 0, side)

    def _add(self, name: str, told: str, size: bool = False, least: Any = 1) -> None:
        self.symbols[name] = Symbol(name, 1, 0, least)
        self.told[name] = told
        if size:
            self.sizes.append(name)

    def _available(self) -> dict[str, tuple[str, int | None]]:
        """The figures of the network that may be symbols: what they are, and their usual value."""
        found: dict[str, tuple[str, int | None]] = {}
        for name, shape in self.source.inputs.items():
            if name in self.given:
                continue
            axes = AXES.get(2 if shape is None else shape.rank, ())
            for letter, i in zip(axes, (1, 2) if shape is None else shape.axes, strict=True):
                found.setdefault(letter, (f"{SIDES[letter]} of the input", None if shape is None else shape.dims[i]))
            found.setdefault(
                self.source.channel, ("channels of the input", None if shape is None else shape.channels)
            )
        for name in self.source.options:
            if name == "N":
                found[name] = ("classes of the last layer", None)
            elif name == "α":
                found[name] = ("width multiplier, on the channels of every layer", 1)
            elif name == "ρ" and "H" in found and "W" in found:
                found[name] = (f"resolution multiplier: H = W = {found['H'][1]}ρ", 1)
        found["B"] = ("items in the batch", 1)
        return found

    def _chosen(self, asked: tuple[str, ...] | None) -> list[str]:
        taken = set(self.source.names)
        if asked is None:
            if "ρ" in self.own:
                return ["α", "ρ"]
            text = not self.source.options and bool(self.source.about)
            names = [n for n in self.own if not (n == "B" and text)]
            implied = self.source.channel
            clash = [n for n in names if n in taken and n != implied]
            if clash and any(s is None for s in self.source.inputs.values()):
                raise SymbolError(
                    f"{clash[0]} stands in the text, and is the {self.own[clash[0]][0]}",
                    fix=f"use another letter, or give the input: --input {implied}x224x224",
                )
            return [n for n in names if n not in taken]
        for name in asked:
            if name not in self.own and name not in self.symbols:
                raise SymbolError(f"{name} is nothing of this network", why=self.known())
            if name in taken and name in self.own and name != self.source.channel:
                raise SymbolError(f"{name} stands in the text, and is the {self.own[name][0]}", fix="rename one")
        if "ρ" in asked and {"H", "W"} & set(asked):
            raise SymbolError("ρ gives H and W: they clash", fix="ask for ρ, or for H and W")
        return [n for n in asked if n in self.own and n not in taken]

    def known(self) -> str:
        """What could be a symbol here."""
        told = [f"{n} ({self.own[n][0]})" for n in self.own] + [f"{n} (in the text)" for n in self.source.names]
        return "there is " + ", ".join(told)

    def values(self, declared: Mapping[str, Symbol]) -> dict[str, Any]:
        return {name: declared[name].value for name in self.symbols}

    def network(self, declared: Mapping[str, Symbol]) -> Network | Expr:
        values = self.values(declared)
        inside = {n: v for n, v in values.items() if n in self.source.names or n in self.source.options}
        key = tuple(inside.items())
        found = self._networks.get(key)
        if found is None:
            try:
                made = self.source.make(inside)
            except TypeError:
                raise SymbolError(
                    f"{', '.join(inside)} cannot be a symbol of {self.source.target}", fix="leave it out of --symbols"
                ) from None
            if isinstance(made, Expr) and chain.lasting(made):
                found = made
            else:
                found = made if isinstance(made, Network) else Network(made, self.source.inputs, **self.source.about)
            self._networks[key] = found
        return found

    def shapes(self, declared: Mapping[str, Symbol]) -> dict[str, Shape]:
        values = self.values(declared)
        found = {}
        first: dict[str, Any] = {}
        for name, shape in self.source.inputs.items():
            if name in self.given:
                dims = [d.bind(values) if getattr(d, "free_symbols", None) else d for d in self.given[name]]
                found[name] = Shape(*dims, channel=0 if shape is None else shape.channel)
                continue
            axes = AXES.get(2 if shape is None else shape.rank, ())
            sizes = []
            for letter, i in zip(axes, (1, 2) if shape is None else shape.axes, strict=True):
                usual = None if shape is None else shape.dims[i]
                if first.setdefault(letter, usual) != usual:
                    sizes.append(usual)  # another input of another size stays as it is
                elif "ρ" in values and letter in "HW":
                    sizes.append(values["ρ"] * usual)
                else:
                    sizes.append(values.get(letter, 224 if usual is None else usual))
            channels = self.source.channel
            usual = 3 if shape is None else shape.channels
            told = values.get(channels, usual) if shape is None or channels not in self.source.names else usual
            if first.setdefault("channels", usual) != usual:
                told = usual
            if shape is None:
                found[name] = Shape(told, *sizes)
            else:
                found[name] = shape.with_spatial(told, tuple(sizes))
        return found

    def batch(self, declared: Mapping[str, Symbol]) -> Any:
        return declared["B"].value if "B" in declared and "B" not in self.source.names else 1
