"""The formulas as Python source that needs nothing, and as JSON (schema rfcalc/symbolic/1)."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy

from rfcalc.formulas.account import FIELD
from rfcalc.formulas.forms import NotClosed
from rfcalc.formulas.forms import plain as number
from rfcalc.formulas.result import FIGURES, OPS, Symbolic, SymbolicRow
from rfcalc.formulas.symbols import Declared, letters
from rfcalc.formulas.writing import show

SCHEMA = "rfcalc/symbolic/1"


def python(found: Symbolic, **view: Any) -> str:
    """Two functions: `layers` gives every node's figures, `totals` the sums, for whole numbers (α and ρ: fractions)."""
    names = [letters(name) for name in found.declared]
    arguments = ", ".join(names)
    told = [f"{letters(name)}: {meaning}" for name, meaning in found.meanings.items()] + [
        f"assumed: {a}" for a in found.assumptions
    ]
    told += [f"no closed form: {t}" for t in found.unknown]
    doc = [found.target.replace("\\", "\\\\").replace('"""', "'''"), "", *told]
    lines = ['"""' + "\n".join(doc) + '\n"""', "", ""]
    lines += [f"def check({arguments}):", '    """Refuse numbers that the formulas are not for."""']
    lines += [f"    assert {_condition(d)}" for d in found.declared.values()]
    lines += [
        "",
        "",
        f"def layers({arguments}):",
        '    """The figures of each layer, in order."""',
        f"    check({arguments})",
    ]
    lines.append("    return [")
    for line in found:
        lines.append(f"        {_entry(line)},")
    lines += [
        "    ]",
        "",
        "",
        f"def totals({arguments}):",
        '    """Sums over the network."""',
        f"    check({arguments})",
    ]
    lines.append("    return {")
    lines += [f"        {k!r}: {_value(v)}," for k, v in found.totals.items()]
    lines += ["    }", ""]
    return "\n".join(lines)


def _condition(symbol: Declared) -> str:
    name = letters(symbol.name)
    modulus, residue = Fraction(symbol.modulus), Fraction(symbol.residue)
    least = Fraction(symbol.lowest)
    parts = []
    if modulus.denominator > 1:
        parts.append(f"{name} * {modulus.denominator} % {modulus.numerator} == 0")
    elif modulus > 1:
        parts.append(f"{name} % {modulus} == {residue}")
    bound = f"{name} >= {least}" if least.denominator == 1 else f"{name} * {least.denominator} >= {least.numerator}"
    return " and ".join([*parts, bound])


def _entry(line: SymbolicRow) -> str:
    shape = ", ".join(_value(d) for d in line.output_shape)
    parts = [f"'name': {line.name!r}", f"'output_shape': ({shape},)"]
    parts.append(f"'receptive_field': {_tuple(line.field['size'])}")
    parts += [f"{k!r}: {_value(line.figures[k])}" for k in FIGURES if k in line.figures]
    return "{" + ", ".join(parts) + "}"


def _tuple(values: Any) -> str:
    return "(" + "".join(f"{_value(v)}, " for v in values).rstrip() + ")" if values else "()"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {_value(v)}" for k, v in value.items()) + "}"
    return "None" if value is None else show(value, "python")


def data(found: Symbolic, solution: dict[str, Any] | None = None) -> dict[str, Any]:
    """The formulas (and a solution) as JSON has them: numbers, and formulas as Python expressions in text."""
    told = {
        "schema": SCHEMA,
        "target": found.target,
        "dtype": found.dtype,
        "symbols": [
            {
                "name": name,
                "meaning": found.meanings[name],
                "modulus": plain(d.modulus),
                "residue": plain(d.residue),
                "least": plain(d.lowest),
            }
            for name, d in found.declared.items()
        ],
        "inputs": {name: plain(dims) for name, dims in found.inputs.items()},
        "assumptions": list(found.assumptions),
        "no_closed_form": list(found.unknown),
        "layers": [_layer(line) for line in found],
        "totals": {k: plain(v) for k, v in found.totals.items()},
    }
    return told if solution is None else {**told, "solution": solution}


def _layer(line: SymbolicRow) -> dict[str, Any]:
    told = {name: getattr(line, name) for name in ("name", "kind", "notation", "stage")}
    field = {"status": line.field["status"], **{name: plain(line.field[name], "ratio") for name in FIELD}}
    figures = {k: plain(line.figures[k]) for k in FIGURES if k in line.figures}
    shape = plain(line.output_shape)
    ops = {k: plain(line.figures[k]) for k in OPS}
    return {**told, "output_shape": shape, "receptive_field": field, **figures, "ops": ops}


def plain(value: Any, form: str = "python") -> Any:
    """A value as JSON has it: formulas as Python text, what has no closed form as null."""
    if isinstance(value, dict):
        return {k: plain(v, form) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(v, form) for v in value]
    if isinstance(value, NotClosed):
        return None
    if isinstance(value, sympy.Basic):
        value = number(value)
        if isinstance(value, sympy.Basic):
            return show(value, form)
    return str(value) if isinstance(value, Fraction) else value
