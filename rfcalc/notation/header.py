"""The lines before the chain: ``name: vgg16``, ``input: 3x224x224``, ``outputs: a, b``; a line or ``;`` ends each."""

from __future__ import annotations

import re
from json import loads
from typing import NamedTuple

from rfcalc.core.errors import NotationError, RfcalcError
from rfcalc.core.shape import Shape
from rfcalc.core.size import is_number
from rfcalc.notation.tokens import LONGEST, fault

_SPACE = re.compile(r"(?:[\s;]++|#[^\n]*+)*+")
_STRING = r'"(?:[^"\\\n]|\\[^\n])*"'
_LINE = re.compile(rf"(name|title|citation|inputs?|outputs?)[ \t]*:[ \t]*((?:{_STRING}|[^;\n\"])*)", re.IGNORECASE)
_ENTRY = re.compile(rf"\s*(?:({_STRING}|[^\s=,\"]+)\s*=\s*)?({_STRING}|[^,\"]*?)\s*(?:,|$)")
_SHAPE = re.compile(r"(\S+)(?:\s+channel(\d+))?$")


class Header(NamedTuple):
    """What a text says about the network beside its layers."""

    name: str = ""
    title: str = ""
    citation: str = ""
    inputs: tuple[tuple[str, Shape | None], ...] = ()
    outputs: tuple[str, ...] = ()


def read_header(text: str) -> tuple[Header, int]:
    """The header, and where the chain begins.

    Raises:
        NotationError: a line twice, or a value that cannot be read.

    >>> read_header("name: toy; input: 1x9x9; conv3-1")
    (Header(name='toy', title='', citation='', inputs=(('input', Shape(1, 9, 9)),), outputs=()), 25)
    """
    found: dict[str, object] = {}
    if len(text) > LONGEST:
        return Header(), 0  # the tokens refuse it
    at = 0
    while True:
        space = _SPACE.match(text, at)
        start = space.end() if space else at
        line = _LINE.match(text, start)
        if line is None:
            return Header(**found), start if found else 0  # type: ignore[arg-type]
        key = line[1].lower()
        key = key if key not in ("input", "output") else key + "s"
        if key in found:
            raise fault(text, line.start(1), line.end(1), f"{key} is said twice", "say it once")
        value = line[2].rstrip()
        span = (line.start(2), line.start(2) + len(value))
        at = line.end()
        if not value:
            raise fault(text, line.start(1), line.end(), f"{key} says nothing", "leave the line out, or fill it in")
        if text[at : at + 1] not in ("", "\n", ";"):
            raise fault(text, at, at + 1, "this text in quotes does not end on its line", 'write it like "a: b"')
        try:
            if key == "inputs":
                found[key] = _inputs(value)
            elif key == "outputs":
                found[key] = tuple(_unquoted(m[2]) for m in _entries(value, named=False))
            else:
                found[key] = _unquoted(value)
        except (RfcalcError, ValueError) as error:
            told = error if isinstance(error, RfcalcError) else RfcalcError("this is not a text in quotes")
            raise fault(text, *span, told.what, told.fix, told.why) from None


def _entries(value: str, named: bool) -> list[re.Match[str]]:
    found = []
    at = 0
    while at < len(value):
        entry = _ENTRY.match(value, at)
        if entry is None or not entry[2] or (entry[1] and not named):
            raise RfcalcError("the names cannot be read", fix='write them with commas: left, right, "a b"')
        found.append(entry)
        at = entry.end()
    return found


def _inputs(value: str) -> tuple[tuple[str, Shape | None], ...]:
    entries = _entries(value, named=True)
    if len(entries) > 1 and not all(e[1] for e in entries):
        raise RfcalcError("several inputs need names", fix="write left=3x32x32, right=3x32x32 (or left=?)")
    found: dict[str, Shape | None] = {}
    for entry in entries:
        name = _unquoted(entry[1]) if entry[1] else "input"
        if name in found:
            raise RfcalcError(f"the input {name!r} is given twice")
        found[name] = read_shape(entry[2])
    return tuple(found.items())


def read_shape(text: str) -> Shape | None:
    """A shape as it is written: ``3x224x224``, ``196x768 channel1``; None for ``?``."""
    if text == "?":
        return None
    match = _SHAPE.match(text)
    shape = Shape.parse(match[1] if match else text)
    channel = int(match[2]) if match and match[2] else 0
    if channel >= len(shape.dims):
        raise RfcalcError(f"there is no axis {channel} for the channels in {shape}")
    return Shape(*shape.dims, channel=channel)


def _unquoted(text: str) -> str:
    return str(loads(text)) if text.startswith('"') else text


def write_shape(shape: Shape | None) -> str:
    """A shape as `read_shape` reads it.

    Raises:
        NotationError: it has symbols.
    """
    if shape is None:
        return "?"
    if not all(is_number(d) for d in shape.dims):
        raise NotationError(f"the input {shape} has symbols", fix="write the network with numbers")
    return str(shape) + (f" channel{shape.channel}" if shape.channel else "")
