"""A network in the making, for what a user may name: from the zoo, from notation with names in it, or as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from inspect import signature
from typing import Any

from rfcalc.core.errors import NotationError
from rfcalc.core.expr import Expr, Repeat
from rfcalc.core.index import Var
from rfcalc.core.layer import Layer
from rfcalc.formulas.account import lasting, parts
from rfcalc.formulas.source import Source
from rfcalc.graph.network import Network
from rfcalc.readers.target import numbers, resolve

OPTIONS = {"N": "classes", "α": "width"}
FAMILIES = {"mobilenet": "mobilenet-v1"}
WIDTHS = ("mobilenet-v1",)  # networks whose channels follow a width multiplier
WORDS = {
    "out_channels": "output channels",
    "out_features": "output features",
    "kernel": "kernel size",
    "times": "number of copies",
}


def source_of(target: Any, given: Any = None) -> Source:
    """The network that a target names, with its names open; a model may need the input to be read at all."""
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
    if isinstance(target, Expr) and lasting(target):
        return Source("network", lambda values: target, {"input": None})
    found = resolve(target, numbers(given))
    network = found.network
    return Source(found.name, lambda values: network, dict(network.inputs), assumptions=found.assumptions)


def _written(text: str) -> Source:
    """Notation with names in it."""
    from rfcalc.notation import parse

    try:
        reading = parse(text, symbols=True)
    except NotationError as error:
        if not set(text) & set(' \n>|+()[]"'):
            resolve(text)  # says what a single word may have meant
        raise error.at("notation") from None
    roles = _roles(reading.expr)
    names = tuple(sorted(roles))
    head = reading.header

    def made(values: Mapping[str, Any]) -> Network | Expr:
        return reading.expr.bind({n: v for n, v in values.items() if n in names})

    about = {"outputs": head.outputs, "name": head.name, "title": head.title, "citation": head.citation}
    inputs = dict(head.inputs) or {"input": None}
    channel = _channel(reading.expr)
    return Source(head.name or text, made, inputs, names, (), channel, reading.assumptions, about, roles)


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
            for f in fields(one):  # type: ignore[arg-type]
                if f.init:
                    note(getattr(one, f.name), WORDS.get(f.name, f.name.replace("_", " ")), bound)
        elif isinstance(one, Repeat):
            note(one.times, WORDS["times"], bound)
            waiting.append((one.body, bound | {one.index} if one.index else bound))
        else:
            waiting += [(part, bound) for part in reversed(parts(one))]
    return {name: " and ".join(sorted(roles)) for name, roles in found.items()}


def _channel(expr: Expr) -> str:
    """The name of the first layer's output channels, where they are a plain name: the input's channels, too."""
    waiting: list[Any] = [expr]
    while waiting:
        one = waiting.pop()
        out = getattr(one, "out_channels", None)
        if out is not None:
            return out.name if isinstance(out, Var) else "C"
        waiting += reversed(parts(one))
    return "C"
