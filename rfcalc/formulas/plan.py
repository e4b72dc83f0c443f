"""Which symbols a network has, what each stands for, and how they are put into the network and its inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from rfcalc.core.errors import RfcalcError
from rfcalc.core.expr import Expr
from rfcalc.core.integers import read
from rfcalc.core.shape import Shape
from rfcalc.formulas.account import lasting
from rfcalc.formulas.source import SymbolicSource
from rfcalc.formulas.symbols import Declared, SymbolError, spelled
from rfcalc.graph.network import Network

AXES = {0: (), 1: ("L",), 2: ("H", "W"), 3: ("D", "H", "W")}
SIDES = {"L": "length", "D": "depth", "H": "height", "W": "width"}
GRAIN = Fraction(1, 32)  # α is a multiple of 1/32, so that all channel counts are whole


def asked_for(symbols: Iterable[str] | str) -> tuple[str, ...]:
    """The names in ``"H,W,C"``."""
    parts = symbols.split(",") if isinstance(symbols, str) else symbols
    return tuple(dict.fromkeys(spelled(p.strip()) for p in parts if p.strip()))


def shapes_given(source: SymbolicSource, given: Any) -> dict[str, Any]:
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


class Plan:
    """Which symbols there are, what each stands for, and how they are put into the network and its inputs."""

    def __init__(self, source: SymbolicSource, given: Mapping[str, Any], asked: tuple[str, ...] | None) -> None:
        self.source = source
        self.given = given
        self.symbols: dict[str, Declared] = {}
        self.told: dict[str, str] = {}
        self.usual: dict[str, Any] = {}
        self.sizes: list[str] = []
        self._networks: dict[Any, Network | Expr] = {}
        for name in source.names:
            self._add(name, source.roles.get(name, "in the text"))
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
                self.symbols[name] = Declared(name, GRAIN, 0, GRAIN)
            elif name == "ρ":
                side = Fraction(1, self.own["H"][1] or 1)
                self.symbols[name] = Declared(name, side, 0, side)

    def _add(self, name: str, told: str, size: bool = False, least: Any = 1) -> None:
        self.symbols[name] = Declared(name, 1, 0, least)
        if name in self.source.sizes:
            size_read, modulus = self.source.sizes[name], self.source.modulus
            self.symbols[name] = Declared(name, modulus, size_read % modulus, least)
            self.usual[name] = size_read
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
            found.setdefault(self.source.channel, ("channels of the input", None if shape is None else shape.channels))
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
            clash = [n for n in names if n in taken and (n != implied or n in SIDES)]
            if clash and any(s is None for s in self.source.inputs.values()):
                raise SymbolError(
                    f"the text uses {clash[0]} already, and {clash[0]} is also the {self.own[clash[0]][0]}",
                    fix=f"use another letter, or give the input: --input {implied}x224x224",
                )
            return [n for n in names if n not in taken]
        for name in asked:
            if name not in self.own and name not in self.symbols:
                raise SymbolError(f"{name} names no figure of this network", why=self.known())
            if name in taken and name in self.own and name != self.source.channel:
                raise SymbolError(
                    f"the text uses {name} already, and {name} is also the {self.own[name][0]}", fix="rename one"
                )
        if "ρ" in asked and {"H", "W"} & set(asked):
            raise SymbolError("ρ gives H and W: they clash", fix="ask for ρ, or for H and W")
        return [n for n in asked if n in self.own and n not in taken]

    def known(self) -> str:
        """What could be a symbol here."""
        told = [f"{n} ({self.own[n][0]})" for n in self.own] + [f"{n} (in the text)" for n in self.source.names]
        return "there is " + ", ".join(told)

    def values(self, declared: Mapping[str, Declared]) -> dict[str, Any]:
        return {name: declared[name].value for name in self.symbols}

    def network(self, declared: Mapping[str, Declared]) -> Network | Expr:
        values = self.values(declared)
        source = self.source
        inside = {n: v for n, v in values.items() if n in source.names or n in source.options or n in source.sizes}
        key = tuple(inside.items())
        found = self._networks.get(key)
        if found is None:
            try:
                made = self.source.make(inside)
            except TypeError:
                raise SymbolError(
                    f"{', '.join(inside)} cannot be a symbol of {self.source.target}", fix="leave it out of --symbols"
                ) from None
            if isinstance(made, Expr) and lasting(made):
                found = made
            else:
                found = made if isinstance(made, Network) else Network(made, self.source.inputs, **self.source.about)
            self._networks[key] = found
        return found

    def shapes(self, declared: Mapping[str, Declared]) -> dict[str, Shape]:
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

    def batch(self, declared: Mapping[str, Declared]) -> Any:
        return declared["B"].value if "B" in declared and "B" not in self.source.names else 1
