"""Prints a network as a spec, TOML or JSON, that reads back as an equal one."""

from __future__ import annotations

import json
from typing import Any

from rfcalc.graph.network import Network
from rfcalc.notation.header import write_shape
from rfcalc.notation.write import WIDTH, told_outputs
from rfcalc.notation.write import write as notation
from rfcalc.spec.read import SCHEMA


def write(network: Network, form: str = "toml") -> str:
    """The spec of a network.

    >>> from rfcalc import Conv, MaxPool, Network
    >>> print(write(Network(Conv(8, 3, padding=1) >> MaxPool(2), "3x8x8", name="toy")))
    schema = "rfcalc/spec/1"
    name = "toy"
    input = "3x8x8"
    layers = '''
    conv3-8 > maxpool2
    '''
    """
    data: dict[str, Any] = {"schema": SCHEMA}
    data |= {key: text for key in ("name", "title", "citation") if (text := getattr(network, key))}
    shapes = {name: write_shape(shape) for name, shape in network.inputs.items()}
    if list(shapes) != ["input"]:
        data["inputs"] = shapes
    elif shapes["input"] != "?":
        data["input"] = shapes["input"]
    if told_outputs(network):
        data["outputs"] = list(network.outputs)
    if form == "json":
        return json.dumps({**data, "layers": notation(network.expr, None)}, indent=1, ensure_ascii=False)
    lines = [f"{key} = {_toml(value)}" for key, value in data.items()]
    return "\n".join([*lines, f"layers = {_several_lines(notation(network.expr, WIDTH))}"])


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _several_lines(text: str) -> str:
    """A text over lines, as it stands where TOML allows that."""
    if "'''" in text or any(ord(c) < 32 and c != "\n" for c in text) or "\x7f" in text:
        return _toml(text)
    return f"'''\n{text}\n'''"
